package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
)

func (c *command) benchEvents() *cobra.Command {
	s := rig.EventSettings{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Measure how many events are stored, and how soon beside accepts",
		Long: `Measures how fast Onramp takes batches of events, each event on disk and told from
repeats before the batch is answered. The callback is set up first, as
Marketing Cloud would have it: each batch brings an access token and a signature
over its body, and Onramp checks both. Every event is about another person.

A round, on a database of its own:

  as fast as they are answered   some connections send one batch after the other.
                                 Every so many batches one is sent once more, and
                                 its answer has to say that all of it is known;
                                 events that are repeated do not count as stored.
  beside accepts                 after a restart on the database so filled,
                                 batches come at a steady pace, while connections
                                 post registrations as fast as they are answered,
                                 or at --accept-rate. The latency of a batch runs
                                 from the moment it was due.

At the end the gateway's own counts are held against what it has answered. It has
no sinks and no on_event rules here, and deliveries are written but not sent. This
process makes, signs and sends the batches, on the same processors: its share of
processor time is told beside the gateway's. It exits with 1 when a figure misses
its bar.`,
		Example: "  onramp bench events\n  onramp bench events --rounds 5 --duration 30s --data /var/lib/onramp --output json",
		Args:    cobra.NoArgs,
		RunE: checked(
			func() error { return checkEventSettings(s) },
			func(ctx context.Context) error {
				report, err := c.rig().Events(ctx, s)
				if err != nil {
					return err
				}
				return c.report(report)
			},
		),
	}
	cmd.Flags().IntVar(&s.Rounds, "rounds", 3, "how often all is measured")
	cmd.Flags().DurationVar(&s.Duration, "duration", 10*time.Second, "of either part of a round, after a warm-up of a quarter of it")
	cmd.Flags().IntVar(&s.Batch, "batch", 1000, "events in a batch; the bars are for 1000")
	cmd.Flags().IntVar(&s.Connections, "connections", 4, "keep-alive connections that send batches")
	cmd.Flags().IntVar(&s.RepeatEvery, "repeat-every", 10, "of so many batches of a connection send one once more (0: none)")
	cmd.Flags().Float64Var(&s.BatchRate, "batch-rate", 5, "batches a second beside accepts")
	cmd.Flags().IntVar(&s.AcceptConnections, "accept-connections", 16, "keep-alive connections that post registrations")
	cmd.Flags().Float64Var(&s.AcceptRate, "accept-rate", 0, "registrations a second (0: as fast as they are answered)")
	dataFlag(cmd, &s.Data)
	profileFlag(cmd, &s.Profile)
	c.outputFlag(cmd)
	return cmd
}

// checkEventSettings reports every mistake at once.
func checkEventSettings(s rig.EventSettings) error {
	var errs []error
	if s.Rounds < 1 || s.Duration <= 0 || s.Connections < 1 || s.AcceptConnections < 1 {
		errs = append(errs, errors.New("--rounds, --duration, --connections and --accept-connections must be more than nothing"))
	}
	if s.Batch < 1 || s.Batch > 1000 {
		errs = append(errs, errors.New("--batch is 1 to 1000, which is the most that Marketing Cloud sends"))
	}
	if s.BatchRate <= 0 {
		errs = append(errs, errors.New("--batch-rate must be more than 0"))
	}
	if s.RepeatEvery < 0 || s.AcceptRate < 0 {
		errs = append(errs, errors.New("--repeat-every and --accept-rate must not be negative"))
	}
	return errors.Join(errs...)
}
