package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/config"
	"onramp/internal/web"
)

// benchSettings are what the flags of bench accept say.
type benchSettings struct {
	rounds      int
	duration    time.Duration
	connections int
	keys        string
	data        string
}

func (c *command) bench() *cobra.Command {
	s := benchSettings{}
	accept := &cobra.Command{
		Use:   "accept",
		Short: "Measure durable accepts beside a bare HTTP handler",
		Long: `Measures how many registrations a second Onramp accepts, each on disk before its
answer, as a share of what a bare net/http handler does that reads the body and
answers 202. Both run in turns, each in a process of its own, as does the load
generator. Deliveries are written but not sent meanwhile. Only the ratio says
much: absolute figures change with the machine and the hour.`,
		Example: "  onramp bench accept\n  onramp bench accept --rounds 9 --duration 10s --output json",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.benchAccept(ctx, s) }),
	}
	accept.Flags().IntVar(&s.rounds, "rounds", 5, "how often both are measured")
	accept.Flags().DurationVar(&s.duration, "duration", 4*time.Second, "of one measurement")
	accept.Flags().IntVar(&s.connections, "connections", 64, "keep-alive connections")
	accept.Flags().StringVar(&s.keys, "idempotency-keys", "both", "a fresh Idempotency-Key on every request: without, with, or both in turn")
	accept.Flags().StringVar(&s.data, "data", "", "folder for the database (default: a temporary one); it decides which disk is measured")
	c.outputFlag(accept)
	return group("bench", "Measure this machine", accept, c.benchBare(), c.benchOnramp(), c.benchLoad())
}

func (c *command) benchAccept(ctx context.Context, s benchSettings) error {
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
func (c *command) benchOnce(ctx context.Context, s benchSettings, keys bool) (*bench.Report, error) {
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
		Connections: s.connections, Duration: s.duration, Body: []byte(tryBody), IdempotencyKeys: keys,
		// what a browser sends along, so that the rows have the size of real ones
		Header: http.Header{
			"User-Agent": {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"},
			"Referer":    {"https://example.com/register"},
		},
	}
	rounds, err := bench.Alternate(ctx, s.rounds,
		func(ctx context.Context) (bench.Run, error) { return bare.measure(ctx, load, "/") },
		func(ctx context.Context) (bench.Run, error) {
			return gateway.measure(ctx, load, "/v1/forms/registration/registrations")
		}, nil)
	if err != nil {
		return nil, err
	}
	return bench.NewReport(rounds, gateway.ready, keys), nil
}

// childReady is the first line that a child server prints.
type childReady struct {
	URL string `json:"url"`
}

// childStats is what a child server answers to a line on its standard input.
type childStats struct {
	Fsyncs int64 `json:"fsyncs"`
}

func (c *command) benchBare() *cobra.Command {
	return &cobra.Command{
		Use: "bare", Short: "The bare handler that bench compares with", Hidden: true, Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			l, err := web.Listen(ctx, "127.0.0.1:0", bench.Bare())
			if err != nil {
				return err
			}
			go func() { _ = l.Serve() }() // ends with the process
			return c.answerStats(childReady{l.URL()}, func() childStats { return childStats{} })
		}),
	}
}

func (c *command) benchOnramp() *cobra.Command {
	return &cobra.Command{
		Use: "onramp DIR", Short: "The gateway that bench measures", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error {
			cfg, err := config.Parse("bench", []byte(app.DemoConfig), nil)
			if err != nil {
				return err
			}
			cfg.Database = filepath.Join(args[0], "onramp.db")
			cfg.Public.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
			log, err := os.Create(filepath.Join(args[0], "log"))
			if err != nil {
				return err
			}
			defer log.Close()
			a, err := app.Start(ctx, cfg, app.Options{Log: slog.New(slog.NewJSONHandler(log, nil)), Version: buildVersion(), NoPump: true})
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() { ended <- a.Run(running) }()
			err = c.answerStats(childReady{a.PublicURL()}, func() childStats { return childStats{a.Commits()} })
			stop()
			return errors.Join(err, <-ended)
		}),
	}
}

// answerStats says that a child is ready and then answers each line it reads,
// until its parent closes the pipe.
func (c *command) answerStats(ready childReady, stats func() childStats) error {
	out := json.NewEncoder(c.Stdout)
	if err := out.Encode(ready); err != nil {
		return err
	}
	for in := json.NewDecoder(c.Stdin); ; {
		var request json.RawMessage
		if err := in.Decode(&request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(stats()); err != nil {
			return err
		}
	}
}

func (c *command) benchLoad() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "The load generator of bench", Hidden: true, Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			var load bench.LoadConfig
			if err := json.NewDecoder(c.Stdin).Decode(&load); err != nil {
				return err
			}
			result, err := bench.Load(ctx, load)
			if err != nil {
				return err
			}
			return json.NewEncoder(c.Stdout).Encode(result)
		}),
	}
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
