package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
)

func (c *command) benchAccept() *cobra.Command {
	s := rig.AcceptSettings{}
	var keys string
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Measure durable accepts beside a bare HTTP handler",
		Long: `Measures how many registrations a second Onramp accepts, each on disk before its
answer, as a share of what a bare net/http handler does that reads the body and
answers 202. Both run in turns, each in a process of its own, as does the load
generator. Deliveries are written but not sent meanwhile. Only the ratio says
much: absolute figures change with the machine and the hour.`,
		Example: "  onramp bench accept\n  onramp bench accept --rounds 9 --duration 10s --output json",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runBenchAccept(ctx, s, keys) }),
	}
	cmd.Flags().IntVar(&s.Rounds, "rounds", 5, "how often both are measured")
	cmd.Flags().DurationVar(&s.Duration, "duration", 4*time.Second, "of one measurement")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "keep-alive connections")
	cmd.Flags().StringVar(&keys, "idempotency-keys", "both", "a fresh Idempotency-Key on every request: without, with, or both in turn")
	dataFlag(cmd, &s.Data)
	c.outputFlag(cmd)
	return cmd
}

// runBenchAccept prints each report as soon as there is one, as JSON all together.
func (c *command) runBenchAccept(ctx context.Context, s rig.AcceptSettings, keys string) error {
	modes := map[string][]bool{"without": {false}, "with": {true}, "both": {false, true}}[keys]
	if modes == nil {
		return errors.New("--idempotency-keys is with, without or both")
	}
	var reports []benchReport
	var misses []error
	for _, s.IdempotencyKeys = range modes {
		report, err := c.rig().Accept(ctx, s)
		if err != nil {
			return err
		}
		reports, misses = append(reports, report), append(misses, missed(report))
		if c.output == "json" {
			continue
		}
		if err := report.WriteText(c.Stdout); err != nil {
			return err
		}
		fmt.Fprintln(c.Stdout)
	}
	if c.output == "json" {
		misses = append([]error{c.printJSON(reports)}, misses...)
	}
	return errors.Join(misses...)
}
