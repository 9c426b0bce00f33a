package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bench"
)

// acceptSettings are what the flags of bench accept say.
type acceptSettings struct {
	rounds      int
	duration    time.Duration
	connections int
	keys        string
	data        string
}

func (c *command) benchAccept() *cobra.Command {
	s := acceptSettings{}
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
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runBenchAccept(ctx, s) }),
	}
	cmd.Flags().IntVar(&s.rounds, "rounds", 5, "how often both are measured")
	cmd.Flags().DurationVar(&s.duration, "duration", 4*time.Second, "of one measurement")
	cmd.Flags().IntVar(&s.connections, "connections", 64, "keep-alive connections")
	cmd.Flags().StringVar(&s.keys, "idempotency-keys", "both", "a fresh Idempotency-Key on every request: without, with, or both in turn")
	cmd.Flags().StringVar(&s.data, "data", "", "folder for the database (default: a temporary one); it decides which disk is measured")
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runBenchAccept(ctx context.Context, s acceptSettings) error {
	var reports []*bench.Report
	for _, keys := range []bool{false, true} {
		if s.keys == "with" && !keys || s.keys == "without" && keys {
			continue
		}
		report, err := c.benchOnce(ctx, s, keys)
		if err != nil {
			return err
		}
		reports = append(reports, report)
		if c.output != "json" {
			if err := report.WriteText(c.Stdout); err != nil {
				return err
			}
			fmt.Fprintln(c.Stdout)
		}
	}
	if len(reports) == 0 {
		return errors.New("--idempotency-keys is with, without or both")
	}
	if c.output == "json" {
		if err := c.printJSON(reports); err != nil {
			return err
		}
	}
	var misses []error
	for _, r := range reports {
		for _, miss := range r.Misses() {
			misses = append(misses, errors.New(miss))
		}
	}
	return errors.Join(misses...)
}

// benchOnce starts both servers and measures them in turns.
func (c *command) benchOnce(ctx context.Context, s acceptSettings, keys bool) (*bench.Report, error) {
	dir, err := os.MkdirTemp(s.data, "onramp-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bare, err := startChild(ctx, c.Stderr, "bare")
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	gateway, err := startChild(ctx, c.Stderr, "onramp", dir)
	if err != nil {
		return nil, err
	}
	defer gateway.stop()
	load := bench.LoadConfig{
		Connections: s.connections, Duration: s.duration, Body: []byte(app.DemoRegistration), IdempotencyKeys: keys,
		Header: browserHeader(),
	}
	rounds, err := bench.Alternate(ctx, s.rounds,
		func(ctx context.Context) (bench.Run, error) { return bare.measure(ctx, load, "/") },
		func(ctx context.Context) (bench.Run, error) {
			return gateway.measure(ctx, load, registrationsPath)
		}, nil)
	if err != nil {
		return nil, err
	}
	return bench.NewReport(rounds, gateway.ready, keys), nil
}

// measure runs the load generator against the child once.
func (c *child) measure(ctx context.Context, load bench.LoadConfig, path string) (bench.Run, error) {
	u, err := url.Parse(c.url)
	if err != nil {
		return bench.Run{}, err
	}
	load.Addr, load.Path = u.Host, path
	warmUp := load
	warmUp.Duration /= 4
	if _, err := runLoad(ctx, warmUp); err != nil {
		return bench.Run{}, err
	}
	before, err := c.figures()
	if err != nil {
		return bench.Run{}, err
	}
	result, err := runLoad(ctx, load)
	if err != nil {
		return bench.Run{}, err
	}
	after, err := c.figures()
	if err != nil {
		return bench.Run{}, err
	}
	return bench.Run{
		Result: result, Fsyncs: after.Fsyncs - before.Fsyncs, CPU: after.cpu - before.cpu, ResidentBytes: after.peak,
	}, nil
}

// figures are what a child has used up so far.
type figures struct {
	childStats
	cpu  time.Duration
	peak int64
}

func (c *child) figures() (f figures, err error) {
	if f.childStats, err = c.stats(); err != nil {
		return f, err
	}
	// where there is no /proc these stay zero, which means not measured
	f.cpu, _ = bench.CPUOf(c.process.Pid)
	memory, _ := bench.MemoryOf(c.process.Pid)
	f.peak = memory.Peak
	return f, nil
}
