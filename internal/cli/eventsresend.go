package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/resend"
)

func (c *command) eventsResend() *cobra.Command {
	var flags resendFlags
	var filter resend.EventFilter
	var since, until string
	cmd := &cobra.Command{
		Use: "resend --sink NAME", Short: "Send stored events to a sink again",
		Long: `Sends events that are stored to a sink again: to one that is new, or that was wrong for a
while. First shows how many they are, and what is left out and why; with --yes, sends
them. They go in the order in which they were received, those of each person one after
the other, and keep their IDs. The CloudEvents attribute "resend" marks them, with the
number of the resend.

The gateway does the work, at the pace of the sink, and goes on with it after a restart.
It does not depend on this command, which only shows the progress: with the same flags,
or with --follow, it shows it again. Events that are received meanwhile go out as always.`,
		Example: `  onramp events resend --sink crm --since 2026-06-01 --until 2026-06-08
  onramp events resend --sink crm --type 'EngagementEvents.*' --person ana@example.org --yes
  onramp events resend --list
  onramp events resend --cancel 3`,
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&filter.Sink, "sink", "", "name of the sink")
	cmd.Flags().StringVar(&since, "since", "", "only events received since then: a date, or a time such as 2026-06-01T12:00:00Z (UTC if it names no zone)")
	cmd.Flags().StringVar(&until, "until", "", "only events received before then")
	cmd.Flags().StringArrayVar(&filter.Types, "type", nil, "only events of this type; * matches any text; can be repeated")
	cmd.Flags().StringVar(&filter.Callback, "callback", "", "only events received by this callback")
	cmd.Flags().StringVar(&filter.Person, "person", "", "only events about the person with this subscriber key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := flags.check(cmd, "sink", "since", "until", "type", "callback", "person")
		if err == nil && !flags.looksAfter() && filter.Sink == "" {
			err = errors.New("give a sink, with --sink NAME")
		}
		if err == nil {
			filter.Since, err = parseMoment("since", since)
		}
		if err == nil {
			filter.Until, err = parseMoment("until", until)
		}
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, _ []string) error {
			return c.resendOrLookAfter(ctx, resend.Events, filter, &flags)
		})(cmd, args)
	}
	return cmd
}

// parseMoment reads a time, or a date: its beginning. Without a zone it is UTC.
func parseMoment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s must be a date such as 2026-06-01 or a time such as 2026-06-01T12:00:00Z", flag)
}
