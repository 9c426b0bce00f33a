package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/erasure"
	"onramp/internal/operator"
)

// eraseFlags are those of the commands that erase a person, or have the processing of the
// person's data restricted.
type eraseFlags struct {
	operator.Named
	yes, noWait, list     bool
	follow, close, reason string
}

func (f *eraseFlags) add(cmd *cobra.Command, does string) {
	cmd.Flags().StringVar(&f.Email, "email", "", "the person's email address")
	cmd.Flags().StringVar(&f.SubscriberKey, "subscriber-key", "", "the person's subscriber key")
	cmd.Flags().BoolVar(&f.DryRun, "dry-run", false, "only show what there is of the person")
	cmd.Flags().BoolVar(&f.yes, "yes", false, does)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "don't wait until Marketing Cloud has confirmed it")
	cmd.Flags().BoolVar(&f.list, "list", false, "list erasures and restrictions, newest first")
	cmd.Flags().StringVar(&f.follow, "follow", "", "wait for the one with this id")
	cmd.Flags().StringVar(&f.close, "close", "", "end the one with this id, whose open parts were done by hand")
	cmd.Flags().StringVar(&f.reason, "reason", "", "with --close: how the rest was done, or why it is not")
	cmd.MarkFlagsMutuallyExclusive("email", "subscriber-key", "list", "follow", "close")
	cmd.MarkFlagsOneRequired("email", "subscriber-key", "list", "follow", "close")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
	cmd.MarkFlagsRequiredTogether("close", "reason")
}

func (c *command) registrationsErase() *cobra.Command {
	var flags eraseFlags
	cmd := &cobra.Command{
		Use: "erase", Short: "Erase a person, here and in Marketing Cloud",
		Long: `Erases a person: what the gateway has stored, lines of files that sinks write, the rows in
the data extensions of the forms, and the contact in Marketing Cloud, whose deletion is
followed to its end. That takes hours at times: the gateway goes on by itself, and --follow
waits again.

The key by which the person's data was encrypted is destroyed first, so nobody can read it in
backups and standbys either. Without --yes nothing is erased.

Exits with 1 if a part is open that somebody has to do something about.`,
		Example: `  onramp registrations erase --email ana@example.org
  onramp registrations erase --email ana@example.org --yes
  onramp registrations erase --list
  onramp registrations erase --close 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f --reason "deleted by hand in Contact Builder"`,
		Args: cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error { return c.erase(ctx, "erase", &flags) }),
	}
	flags.add(cmd, "erase the person; this can't be undone")
	c.outputFlag(cmd)
	return cmd
}

func (c *command) registrationsRestrict() *cobra.Command {
	var flags eraseFlags
	cmd := &cobra.Command{
		Use: "restrict", Short: "Have Marketing Cloud restrict the processing of a person's data",
		Long: `Has Marketing Cloud restrict the processing of a person's data (GDPR, article 18), and follows
that to its end. What the gateway has stored stays. Without --yes nothing is restricted.`,
		Example: `  onramp registrations restrict --email ana@example.org
  onramp registrations restrict --subscriber-key u-1001 --yes`,
		Args: cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error { return c.erase(ctx, "restrict", &flags) }),
	}
	flags.add(cmd, "restrict it")
	c.outputFlag(cmd)
	return cmd
}

// erase does what the flags of a command say; verb is what the command does.
func (c *command) erase(ctx context.Context, verb string, f *eraseFlags) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	switch {
	case f.list:
		return c.listErasures(ctx)
	case f.close != "":
		var run erasure.Run
		if err := admin.call(ctx, http.MethodPost, erasurePath(f.close)+"/close", map[string]string{"reason": f.reason}, &run); err != nil {
			return err
		}
		return c.printErasure(&run)
	case f.follow != "":
		return c.followErasure(ctx, admin, f.follow)
	}
	return c.beginErasure(ctx, admin, verb, f)
}

func erasurePath(id string) string { return "/api/erasures/" + url.PathEscape(id) }

func (c *command) beginErasure(ctx context.Context, admin *adminClient, verb string, f *eraseFlags) error {
	admin.http.Timeout = 0 // it may look through everything that is stored
	person := f.Named
	person.DryRun = !f.yes
	var begun operator.Erasure
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/"+verb, person, &begun); err != nil {
		return err
	}
	if begun.Run == nil {
		if c.output == "json" {
			return c.printJSON(begun)
		}
		c.printErasurePlan(begun.Plan)
		if !f.DryRun {
			fmt.Fprintf(c.Stdout, "\nNothing was done. Add --yes to %s.\n", verb)
		}
		return nil
	}
	if f.noWait {
		return c.printErasure(begun.Run)
	}
	return c.followErasure(ctx, admin, begun.Run.ID)
}

func (c *command) printErasurePlan(p *erasure.Plan) {
	fmt.Fprintf(c.Stdout, "stored         %d registrations, %d deliveries, %d events\n", p.Registrations, p.Deliveries, p.Events)
	if p.OnTheirWay > 0 {
		fmt.Fprintf(c.Stdout, "on their way   %d deliveries, which are not sent\n", p.OnTheirWay)
	}
	for _, sink := range p.Files {
		fmt.Fprintf(c.Stdout, "file           of sink %s\n", sink)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Rows)) {
		fmt.Fprintf(c.Stdout, "rows           at most %d in %s\n", p.Rows[name], name)
	}
	fmt.Fprintln(c.Stdout, "contact        in Marketing Cloud, with its attributes, in all business units")
}

func (c *command) listErasures(ctx context.Context) error {
	heading := []string{"ID", "BEGAN", "KIND", "STATE", "OPEN PARTS"}
	return printList(ctx, c, "/api/erasures", nil, heading, func(r *erasure.Run) []string {
		var open []string
		for _, p := range r.Parts {
			if p.State != erasure.Done {
				open = append(open, p.What+" "+p.Where)
			}
		}
		return []string{r.ID, moment(r.BeganAt), string(r.Kind), string(r.State), strings.Join(open, ", ")}
	})
}

// followErasure waits until an erasure has ended, or somebody has to do something.
func (c *command) followErasure(ctx context.Context, admin *adminClient, id string) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	said := ""
	for {
		var run erasure.Run
		if err := admin.get(ctx, erasurePath(id), nil, &run); err != nil {
			return err
		}
		if run.EndedAt != nil || run.State == erasure.Open {
			return c.printErasure(&run)
		}
		if now := run.State; string(now) != said && c.output == "text" {
			said = string(now)
			fmt.Fprintf(c.Stderr, "%s %s: %s; it goes on by itself, and --follow %s waits again\n", run.Kind, run.ID, run.State, run.ID)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errPartsOpen = errors.New("parts are open: see their hints; they are tried again by themselves")

func (c *command) printErasure(r *erasure.Run) error {
	if c.output == "json" {
		if err := c.printJSON(r); err != nil {
			return err
		}
	} else if err := c.printParts(r); err != nil {
		return err
	}
	if r.State == erasure.Open {
		return errPartsOpen
	}
	return nil
}

func (c *command) printParts(r *erasure.Run) error {
	fmt.Fprintf(c.Stdout, "%s %s: %s\n\n", r.Kind, r.ID, r.State)
	rows := [][]string{{"WHAT", "WHERE", "STATE", "COUNT", "DETAIL"}}
	for _, p := range r.Parts {
		detail := p.Detail
		if p.Hint != "" {
			detail += "; " + p.Hint
		}
		rows = append(rows, []string{p.What, p.Where, string(p.State), strconv.FormatInt(p.Count, 10), oneLine(detail)})
	}
	return c.table(rows)
}
