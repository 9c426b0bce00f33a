package measure

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

func (c *measurements) soak() *cobra.Command {
	s := rig.SoakSettings{}
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Load the gateway for minutes or days while things fail, and see that all adds up",
		Long: `Loads a gateway with registrations and events at a steady rate, while the sandbox in place
of Marketing Cloud and the system that events go on to fail at random: 429 with
Retry-After, 500, 503, time-outs, dropped and reset connections, lost and cut answers, slow
calls, revoked tokens. The gateway is killed (kill -9) and started again every --kill-every
in the first half, and once more after the load. The senders repeat what was not answered,
as browsers and Marketing Cloud do; some batches of events are sent twice. One registration
in 500 is refused by the sandbox and must be dead in the end, and no other.

At the end everything must add up: each registration is a row or dead as planted, each
event is in the sink once by its id. Memory, goroutines and open files of the gateway must
be flat: the slope of the least squares over the second half, in which one process runs, is
printed with its standard error. It is judged from two minutes on.

Exits with 1 if anything is unaccounted for, or a slope is beyond its limit by more than
twice its error. The longer the soak, the smaller the error.`,
		Example: "  onramp bench soak\n  onramp bench soak --duration 24h --kill-every 10m --data /var/lib/onramp --output json",
		Args:    cobra.NoArgs,
		RunE: checked(
			func() error { return checkSoakSettings(s) },
			func(ctx context.Context) error {
				report, err := c.rig().Soak(ctx, s)
				if err != nil {
					return err
				}
				return c.report(report)
			},
		),
	}
	cmd.Flags().DurationVar(&s.Duration, "duration", 10*time.Minute, "length of the load")
	cmd.Flags().Float64Var(&s.Rate, "registrations", 300, "registrations per second")
	cmd.Flags().Float64Var(&s.EventRate, "events", 1000, "events per second, in batches of 100")
	cmd.Flags().DurationVar(&s.KillEvery, "kill-every", 2*time.Minute, "time between two kills of the gateway")
	cmd.Flags().Uint64Var(&s.Seed, "seed", 0, "seed of the random faults, as a report has it (0: another one each time)")
	dataFlag(cmd, &s.Data)
	frame.OutputFlag(cmd, &c.output)
	return cmd
}

// checkSoakSettings reports every mistake at once.
func checkSoakSettings(s rig.SoakSettings) error {
	var errs []error
	if s.Duration <= 0 || s.KillEvery <= 0 {
		errs = append(errs, errors.New("--duration and --kill-every must be greater than zero"))
	}
	if s.Rate <= 0 || s.EventRate <= 0 {
		errs = append(errs, errors.New("--registrations and --events must be greater than zero"))
	}
	return errors.Join(errs...)
}
