package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
	"onramp/internal/screen"
)

// suspectFlags are those of the commands that decide about registrations that are held
// under suspicion.
type suspectFlags struct {
	operator.Suspected
	yes bool
}

func (f *suspectFlags) add(cmd *cobra.Command, done string) {
	flags := cmd.Flags()
	flags.StringVar(&f.Form, "form", "", "only those from this form")
	flags.StringVar(&f.Reason, "reason", "", "only those that are held for this: "+strings.Join(screen.Reasons(), ", "))
	flags.StringVar(&f.Since, "since", "", "only those received then or later: "+timeForms)
	flags.StringVar(&f.Until, "until", "", "only those received before then")
	flags.BoolVar(&f.All, "all", false, "all that are held under suspicion")
	flags.BoolVar(&f.DryRun, "dry-run", false, "only show how many there are (the default)")
	flags.BoolVar(&f.yes, "yes", false, done)
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
}

// check says what is wrong with the use of the flags. Without --yes it is a dry run.
func (f *suspectFlags) check(args []string) error {
	switch {
	case len(args) > 0 && (f.Narrowed() || f.All || f.DryRun):
		return errors.New("give either one registration ID, or --form, --reason, --since, --until or --all")
	case len(args) == 0 && !f.Narrowed() && !f.All:
		return errors.New("give a registration ID, --form, --reason, --since or --until; or add --all for all that are held under suspicion")
	}
	f.DryRun = !f.yes
	return nil
}

func (c *command) registrationsRelease() *cobra.Command {
	var flags suspectFlags
	var overwrite bool
	cmd := &cobra.Command{
		Use: "release ID | --form FORM | --reason REASON | --since TIME | --until TIME | --all", Short: "Send registrations that are held under suspicion",
		Long: `Releases one registration that is held under suspicion, or all that match the flags: they
are sent as if they had just been accepted. Without --yes, only shows how many there are.

What waits for its person to confirm it is left alone. So is what a newer row of the same
person has overtaken; --overwrite-newer sends one such registration anyway. A release that
was interrupted goes on when it is repeated.`,
		Example: `  onramp registrations release 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f
  onramp registrations release --form registration --reason form_limit --since 24h
  onramp registrations release --form registration --reason form_limit --since 24h --yes`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.add(cmd, "release them")
	addOverwriteNewer(cmd, &overwrite)
	c.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := flags.check(args)
		if err == nil && overwrite && len(args) == 0 {
			err = errors.New("--overwrite-newer is for one registration")
		}
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return c.decideSuspect(ctx, args[0], "release", overwriteNewer(overwrite))
			}
			return c.decideSuspects(ctx, "release", flags.Suspected)
		})(cmd, args)
	}
	return cmd
}

func (c *command) registrationsDiscard() *cobra.Command {
	var flags suspectFlags
	cmd := &cobra.Command{
		Use: "discard ID | --form FORM | --reason REASON | --since TIME | --until TIME | --all", Short: "Give up registrations that are held under suspicion",
		Long: `Gives up one registration that is held under suspicion, or all that match the flags, for
good. Without --yes, only shows how many there are.`,
		Example: `  onramp registrations discard 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f
  onramp registrations discard --reason honeypot --since 24h
  onramp registrations discard --reason honeypot --since 24h --yes`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.add(cmd, "discard them")
	c.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.check(args); err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return c.decideSuspect(ctx, args[0], "discard", "")
			}
			return c.decideSuspects(ctx, "discard", flags.Suspected)
		})(cmd, args)
	}
	return cmd
}

func (c *command) decideSuspect(ctx context.Context, id, action, query string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/"+url.PathEscape(id)+"/"+action+query, nil, nil); err != nil {
		return err
	}
	return c.showRegistration(ctx, id)
}

// decideSuspects decides about many and prints how many they were.
func (c *command) decideSuspects(ctx context.Context, action string, meant operator.Suspected) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = 0 // it takes as long as there are registrations
	var n operator.Count
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/"+action, meant, &n); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(n)
	}
	done := map[string]string{"release": "Released", "discard": "Discarded"}[action]
	if meant.DryRun {
		done = "Would " + action
	}
	fmt.Fprintf(c.Stdout, "%s %s.\n", done, countRegistrations(n.Count))
	if n.Superseded > 0 {
		fmt.Fprintf(c.Stdout, "Left alone: %s, since a newer row of the same person would be overwritten.\n", countRegistrations(n.Superseded))
	}
	if meant.DryRun {
		fmt.Fprintln(c.Stdout, "Nothing was changed. Add --yes to "+action+" them.")
	}
	return nil
}

func countRegistrations(n int64) string {
	if n == 1 {
		return "1 registration"
	}
	return strconv.FormatInt(n, 10) + " registrations"
}
