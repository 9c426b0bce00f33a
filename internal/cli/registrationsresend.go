package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/resend"
)

func (c *command) registrationsResend() *cobra.Command {
	var flags resendFlags
	var filter resend.RegistrationFilter
	var since, until string
	cmd := &cobra.Command{
		Use:   "resend ID | --form FORM | --destination NAME | --since TIME | --until TIME | --state STATE | --all",
		Short: "Send registrations again, by today's routes",
		Long: `Sends registrations again, also delivered ones, to where the routes of their forms lead
now: all steps one after the other, or one of them (--step). First shows how many they
are, where they would go, what is left out and why, and what would differ from the first
time; with --yes, sends them, those of each person in the order of their acceptance.

Left out are registrations that are still waiting, that were erased, or whose row would
overwrite a newer one of the same person (--overwrite-newer sends those, too). A journey or
message that the person got for a registration already, or may have got, is not repeated
(--repeat-journeys does).

What is sent again are new deliveries: REGISTRATION.STEP.RESEND. The status of a
registration stays that of its first deliveries. When its whole route is sent again, its
dead letters are discarded, so that a retry does not send them twice.

The gateway does the work, at the pace of the destinations, and goes on with it after a
restart. It does not depend on this command, which only shows the progress: with the same
flags (and times that are dates), or with --follow, it shows it again. One resend of registrations runs at a time.`,
		Example: `  onramp registrations resend 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f
  onramp registrations resend --form registration --since 2026-06-01 --until 2026-06-08 --dry-run
  onramp registrations resend --form registration --since 2026-06-01 --step 1 --yes
  onramp registrations resend --state failed --yes
  onramp registrations resend --cancel 3`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.add(cmd)
	states := make([]string, 0, 8)
	for _, s := range onramp.RegistrationStates() {
		states = append(states, s.String())
	}
	cmd.Flags().StringVar(&filter.Form, "form", "", "only those from this form")
	cmd.Flags().StringVar(&filter.Destination, "destination", "", "only those that went to this destination the first time, such as data_extension:Web_Registrations")
	cmd.Flags().StringVar(&since, "since", "", "only those received then or later: "+timeForms)
	cmd.Flags().StringVar(&until, "until", "", "only those received before then")
	cmd.Flags().StringVar(&filter.State, "state", "", "only those in this state: "+strings.Join(states, ", "))
	cmd.Flags().BoolVar(&filter.All, "all", false, "confirm that every registration is meant")
	cmd.Flags().IntVar(&filter.Step, "step", 0, "only this step of the route, from 1 (default all)")
	cmd.Flags().BoolVar(&filter.RepeatJourneys, "repeat-journeys", false, "also journeys and messages that the person got for it already")
	addOverwriteNewer(cmd, &filter.OverwriteNewer)
	c.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := readRegistrationFilter(cmd, args, &flags, &filter, since, until); err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, _ []string) error {
			return c.resendOrLookAfter(ctx, resend.Registrations, filter, &flags)
		})(cmd, args)
	}
	return cmd
}

// narrowing are the flags that say which registrations are meant.
var narrowing = []string{"form", "destination", "since", "until", "state", "all"}

func readRegistrationFilter(cmd *cobra.Command, args []string, flags *resendFlags, filter *resend.RegistrationFilter, since, until string) error {
	if err := flags.check(cmd, append([]string{"step", "repeat-journeys", "overwrite-newer"}, narrowing...)...); err != nil {
		return err
	}
	if err := checkMeant(cmd, args, flags.looksAfter()); err != nil {
		return err
	}
	if len(args) > 0 {
		filter.ID = args[0]
	}
	if cmd.Flags().Changed("step") && filter.Step < 1 {
		return errors.New("--step must be 1 or more")
	}
	var err error
	if filter.Since, filter.Until, err = operator.ParsePeriod(since, until, time.Now()); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

// checkMeant wants either an ID or a flag that narrows the selection.
func checkMeant(cmd *cobra.Command, args []string, looksAfter bool) error {
	i := slices.IndexFunc(narrowing, cmd.Flags().Changed)
	switch {
	case len(args) > 0 && looksAfter:
		return errors.New("--list, --follow and --cancel take no ID")
	case len(args) > 0 && args[0] == "":
		return errEmptyID
	case len(args) > 0 && i >= 0:
		return fmt.Errorf("give either an ID or --%s", narrowing[i])
	case len(args) == 0 && i < 0 && !looksAfter:
		return errors.New("give a registration ID, --form, --destination, --since, --until or --state; or add --all to send every registration again")
	}
	return nil
}
