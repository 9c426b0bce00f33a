package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/cli/plan"
	"onramp/internal/operator"
	"onramp/internal/setup"
)

// ensPatience is how long a request of these commands may take. Marketing Cloud
// takes half a minute to probe a callback that it can't reach.
const ensPatience = 15 * time.Minute

func (c *command) ens() *cobra.Command {
	under := []*cobra.Command{c.ensSetup(), c.ensStatus(), c.ensRemove()}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("ens", "Set up event notifications from Marketing Cloud", under...)
}

func (c *command) ensSetup() *cobra.Command {
	var dry bool
	var meant operator.SetupRequest
	cmd := &cobra.Command{
		Use: "setup", Short: "Create or update authentication, callbacks and subscriptions as configured",
		Long: `Has the running gateway bring Marketing Cloud's Event Notification Service in line with
the configuration: authentication schemes, callbacks with their verification, and
subscriptions. Marketing Cloud calls the gateway during the setup, so it must be running
and reachable at public.url.

Prints the plan first. It is safe to run again at any time: what matches is left alone,
and after an interruption the setup continues where it stopped. What the configuration no
longer names is deleted only with --prune.`,
		Example: "  onramp ens setup --dry-run\n  onramp ens setup\n  onramp ens setup --prune",
		Args:    cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			return c.changeEns(ctx, meant, dry, "/api/ens/setup")
		}),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the plan without changing anything")
	cmd.Flags().BoolVar(&meant.Prune, "prune", false, "also delete what Onramp created and the configuration no longer names")
	return cmd
}

func (c *command) ensRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove [NAME…]", Short: "Delete callbacks in Marketing Cloud, with their subscriptions",
		Long: `Has the running gateway delete the named callbacks in Marketing Cloud, or all that Onramp
created: first their subscriptions, then the callbacks, then the authentication schemes
that no callback uses any more. The configuration is not changed, and onramp ens setup
creates them again. Without --yes, only prints the plan.`,
		Example: "  onramp ens remove\n  onramp ens remove --yes\n  onramp ens remove events --yes",
		Args: func(_ *cobra.Command, args []string) error {
			if slices.Contains(args, "") {
				return errors.New("a name is empty")
			}
			return nil
		},
		RunE: frame.Run(func(ctx context.Context, args []string) error {
			err := c.changeEns(ctx, operator.SetupRequest{Remove: true, Callbacks: args}, !yes, "/api/ens/remove")
			if err == nil && !yes && c.output == "text" {
				fmt.Fprintln(c.Stdout, "\nNothing was removed. Add --yes to carry out the plan.")
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "carry out the plan")
	return cmd
}

// changeEns prints the plan and, unless that is all, follows it and prints what
// was done.
func (c *command) changeEns(ctx context.Context, meant operator.SetupRequest, dry bool, path string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = ensPatience
	var planned, done operator.SetupSteps
	if err := admin.call(ctx, http.MethodPost, "/api/ens/plan", meant, &planned); err != nil {
		return err
	}
	if c.output == "text" {
		c.steps().Print(planTitle(meant), planned.Items)
	}
	if !dry {
		meant.Remove = false // the path says so
		if err := admin.call(ctx, http.MethodPost, path, meant, &done); err != nil {
			return err
		}
	}
	if c.output == "json" {
		err = c.printJSON(plan.Output{Plan: planned.Items, Done: append([]setup.Step{}, done.Items...), Failed: done.Failed})
	} else if !dry {
		c.steps().PrintDone(done.Items, done.Failed)
	}
	if done.Failed != nil {
		return errors.New(oneLine(done.Failed.Error()))
	}
	return err
}

func (c *command) steps() plan.Printer {
	return plan.Printer{Out: c.Stdout, Line: oneLine}
}

func planTitle(meant operator.SetupRequest) string {
	if meant.Remove {
		return "Plan for the removal:"
	}
	return "Plan:"
}

func (c *command) ensStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show schemes, callbacks and subscriptions, with the last event and any problems",
		Long: `Shows the authentication schemes, callbacks and subscriptions that the configuration
names, and others that Onramp created: the state of each in Marketing Cloud, the age of
the last event, and how many batches were accepted and refused since the start: accepted
ones by what authenticated them (a signature, or a token alone), refused ones by the
reason. Lists each problem with a hint.`,
		Example: "  onramp ens status\n  onramp ens status --output json",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runEnsStatus(ctx) }),
	}
}

func (c *command) runEnsStatus(ctx context.Context) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var s setup.Status
	if err := admin.get(ctx, "/api/ens", nil, &s); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(s)
	}
	callbacks := [][]string{{"CALLBACK", "STATE", "SCHEME", "LAST EVENT", "TAKEN", "REFUSED", "URL"}}
	subscriptions := [][]string{{"SUBSCRIPTION", "STATE", "CALLBACK", "TYPES", "FILTERS"}}
	schemes := [][]string{{"SCHEME", "STATE"}}
	for i := range s.Callbacks {
		one := &s.Callbacks[i]
		callbacks = append(callbacks, []string{
			oneLine(one.Name), string(one.State), orNone(one.Scheme), age(one.LastEvent, time.Now()), tallied(one.Taken), tallied(one.Refused), oneLine(one.URL),
		})
		for _, sub := range one.Subscriptions {
			subscriptions = append(subscriptions, []string{
				oneLine(sub.Name), string(sub.State), oneLine(one.Name), oneLine(strings.Join(sub.Types, ", ")), orNone(oneLine(strings.Join(sub.Filters, ", "))),
			})
		}
	}
	for _, one := range s.Schemes {
		schemes = append(schemes, []string{oneLine(one.Name), string(one.State)})
	}
	for _, rows := range [][][]string{callbacks, subscriptions, schemes} {
		if err := c.table(rows); err != nil {
			return err
		}
		fmt.Fprintln(c.Stdout)
	}
	c.printEnsFindings(&s)
	return nil
}

// printEnsFindings prints what is wrong, or that nothing is.
func (c *command) printEnsFindings(s *setup.Status) {
	var lines []string
	if s.Unreachable != "" {
		lines = append(lines, "Marketing Cloud could not be asked: "+s.Unreachable)
	}
	for _, f := range s.Wrong {
		lines = append(lines, f.What+"; "+f.Hint)
	}
	for _, one := range s.Schemes {
		for _, f := range one.Wrong {
			lines = append(lines, "scheme "+one.Name+": "+f.What+"; "+f.Hint)
		}
	}
	for i := range s.Callbacks {
		for _, f := range s.Callbacks[i].Wrong {
			lines = append(lines, "callback "+s.Callbacks[i].Name+": "+f.What+"; "+f.Hint)
		}
	}
	if len(lines) == 0 {
		fmt.Fprintln(c.Stdout, "Everything is as configured.")
		return
	}
	fmt.Fprintln(c.Stdout, "What is wrong:")
	for _, line := range lines {
		fmt.Fprintln(c.Stdout, "  "+oneLine(line))
	}
}

// age says how long ago something was, in the largest unit that fits.
func age(at *time.Time, now time.Time) string {
	if at == nil {
		return "none yet"
	}
	past := max(0, now.Sub(*at))
	switch {
	case past < time.Minute:
		return fmt.Sprintf("%d s ago", int(past.Seconds()))
	case past < time.Hour:
		return fmt.Sprintf("%d min ago", int(past.Minutes()))
	case past < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(past.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(past.Hours()/24))
}

// tallied gives counts and their sum, such as "3 (no token 2, wrong signature 1)".
func tallied[K ~string](n map[K]int64) string {
	var total int64
	var each []string
	for _, reason := range slices.Sorted(maps.Keys(n)) {
		total += n[reason]
		each = append(each, oneLine(string(reason))+" "+strconv.FormatInt(n[reason], 10))
	}
	if total == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(each, ", "))
}
