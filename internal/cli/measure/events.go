package measure

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

func (c *measurements) events() *cobra.Command {
	s := rig.EventSettings{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Measure how fast events are stored, alone and while registrations arrive",
		Long: `Measures how fast Onramp takes batches of events. Each event is checked for repeats and
committed to disk before its batch is answered. The callback is set up first, as with
Marketing Cloud: each batch carries an access token and a signature over its body, and
Onramp checks both. Every event is about a different person.

Each round uses a new database and has two parts:

  as fast as they are answered   Each connection sends its next batch as soon as the
                                 last one is answered. One batch out of --repeat-every
                                 is sent a second time, and must be answered as known;
                                 repeated events do not count as stored.
  beside accepts                 After a restart on the filled database, batches are
                                 sent at a steady rate while other connections post
                                 registrations, as fast as they are answered or at
                                 --accept-rate. The latency of a batch is measured from
                                 the time at which it was due.

At the end the gateway's own counts are compared with its answers. It has no sinks and no
on_event rules, and stores deliveries but does not send them. This process creates, signs
and sends the batches on the same processors, so its CPU time is shown next to the
gateway's. Exits with 1 if a figure misses its limit.`,
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
	cmd.Flags().IntVar(&s.Rounds, "rounds", 3, "number of rounds")
	cmd.Flags().DurationVar(&s.Duration, "duration", 10*time.Second, "length of each part of a round, after a warm-up of a quarter of it")
	cmd.Flags().IntVar(&s.Batch, "batch", 1000, "events in a batch; the limits are for 1000")
	cmd.Flags().IntVar(&s.Connections, "connections", 4, "number of keep-alive connections that send batches")
	cmd.Flags().IntVar(&s.RepeatEvery, "repeat-every", 10, "send one batch out of this many a second time (0: none)")
	cmd.Flags().Float64Var(&s.BatchRate, "batch-rate", 5, "batches per second while registrations arrive")
	cmd.Flags().IntVar(&s.AcceptConnections, "accept-connections", 16, "number of keep-alive connections that post registrations")
	cmd.Flags().Float64Var(&s.AcceptRate, "accept-rate", 0, "registrations per second (0: as fast as they are answered)")
	dataFlag(cmd, &s.Data)
	profileFlag(cmd, &s.Profile)
	frame.OutputFlag(cmd, &c.output)
	return cmd
}

// checkEventSettings reports every mistake at once.
func checkEventSettings(s rig.EventSettings) error {
	var errs []error
	if s.Rounds < 1 || s.Duration <= 0 || s.Connections < 1 || s.AcceptConnections < 1 {
		errs = append(errs, errors.New("--rounds, --duration, --connections and --accept-connections must be greater than zero"))
	}
	if s.Batch < 1 || s.Batch > 1000 {
		errs = append(errs, errors.New("--batch must be 1 to 1000, the most that Marketing Cloud sends"))
	}
	if s.BatchRate <= 0 {
		errs = append(errs, errors.New("--batch-rate must be greater than 0"))
	}
	if s.RepeatEvery < 0 || s.AcceptRate < 0 {
		errs = append(errs, errors.New("--repeat-every and --accept-rate must not be negative"))
	}
	return errors.Join(errs...)
}
