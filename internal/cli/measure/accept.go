package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

func (c *measurements) accept() *cobra.Command {
	s := rig.AcceptSettings{}
	var keys string
	encrypt := true
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Measure how fast registrations are accepted, against a bare HTTP handler",
		Long: `Measures how many registrations per second Onramp accepts. Accepted means that the
registration is committed to disk before the answer is sent. A bare net/http handler that
reads the body, stores nothing and answers 202 is measured for comparison.

Each round measures both servers, one after the other, under the same load: every
connection sends its next request as soon as the last one is answered. The servers and
the load generator are separate processes. Onramp stores the deliveries but does not send
them.

Prints the requests per second, the latency (p50, p99) and the CPU time per request of
both, and the fsyncs, the memory and the start-up time of Onramp. Exits with 1 if a
figure misses its limit. Compare the ratio of the two servers: absolute figures vary with
the machine and from hour to hour.`,
		Example: "  onramp bench accept\n  onramp bench accept --rounds 9 --duration 10s --output json\n  onramp bench accept --encrypt=false",
		Args:    cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			s.Clear = !encrypt
			return c.runAccept(ctx, s, keys)
		}),
	}
	cmd.Flags().IntVar(&s.Rounds, "rounds", 5, "number of rounds; each measures both servers")
	cmd.Flags().DurationVar(&s.Duration, "duration", 4*time.Second, "length of one measurement")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "number of keep-alive connections")
	cmd.Flags().StringVar(&keys, "idempotency-keys", "both", "send a new Idempotency-Key with each request: with, without, or both for one run of each")
	cmd.Flags().BoolVar(&encrypt, "encrypt", true, "encrypt personal data in the database, as it is by default; =false measures without")
	dataFlag(cmd, &s.Data)
	frame.OutputFlag(cmd, &c.output)
	return cmd
}

// runAccept prints each report as soon as there is one, as JSON all together.
func (c *measurements) runAccept(ctx context.Context, s rig.AcceptSettings, keys string) error {
	modes := map[string][]bool{"without": {false}, "with": {true}, "both": {false, true}}[keys]
	if modes == nil {
		return errors.New("--idempotency-keys must be with, without or both")
	}
	var reports []report
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
		if err := report.WriteText(c.stdout); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout)
	}
	if c.output == "json" {
		misses = append([]error{frame.PrintJSON(c.stdout, reports)}, misses...)
	}
	return errors.Join(misses...)
}
