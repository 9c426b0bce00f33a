package measure

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

func (c *measurements) token() *cobra.Command {
	s := rig.TokenSettings{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Measure how fast access tokens are issued, against a bare HTTP handler",
		Long: `Measures how many access tokens per second Onramp issues to a client that authenticates
with HTTP Basic. A bare net/http handler that checks nothing and signs the same JWT with
Ed25519 is measured for comparison, in turns with Onramp. The servers and the load
generator are separate processes. Compare the ratio of the two servers: absolute figures
vary with the machine and from hour to hour.

Each round also checks one token from each server. Memory is read after Onramp's warm-up
and at the end: Onramp stores no tokens, so it must not grow.`,
		Example: "  onramp bench token\n  onramp bench token --rounds 9 --duration 10s --output json",
		Args:    cobra.NoArgs,
		RunE: checked(
			func() error {
				if s.Rounds < 1 || s.Duration <= 0 || s.Connections < 1 {
					return errors.New("--rounds, --duration and --connections must be greater than zero")
				}
				return nil
			},
			func(ctx context.Context) error {
				report, err := c.rig().Token(ctx, s)
				if err != nil {
					return err
				}
				return c.report(report)
			},
		),
	}
	cmd.Flags().IntVar(&s.Rounds, "rounds", 5, "number of rounds; each measures both servers")
	cmd.Flags().DurationVar(&s.Duration, "duration", 4*time.Second, "length of one measurement")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "number of keep-alive connections")
	dataFlag(cmd, &s.Data)
	profileFlag(cmd, &s.Profile)
	frame.OutputFlag(cmd, &c.output)
	return cmd
}
