package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
)

func (c *command) benchToken() *cobra.Command {
	s := rig.TokenSettings{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Measure access tokens beside a bare handler that signs the same",
		Long: `Measures how many access tokens a second Onramp gives out to a client that
authenticates by HTTP Basic, as a share of what a bare net/http handler does that
looks at nothing and signs the same JWT by Ed25519. Both run in
turns, each in a process of its own, as does the load generator. Only the ratio
says much: absolute figures change with the machine and the hour.

One token of each server is looked at in every round. Memory is read when Onramp
has warmed up and at the end: it keeps no token, so it must stay as it is.`,
		Example: "  onramp bench token\n  onramp bench token --rounds 9 --duration 10s --output json",
		Args:    cobra.NoArgs,
		RunE: checked(
			func() error {
				if s.Rounds < 1 || s.Duration <= 0 || s.Connections < 1 {
					return errors.New("--rounds, --duration and --connections must be more than nothing")
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
	cmd.Flags().IntVar(&s.Rounds, "rounds", 5, "how often both are measured")
	cmd.Flags().DurationVar(&s.Duration, "duration", 4*time.Second, "of one measurement")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "keep-alive connections")
	dataFlag(cmd, &s.Data)
	profileFlag(cmd, &s.Profile)
	c.outputFlag(cmd)
	return cmd
}
