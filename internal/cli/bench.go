package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/config"
	"onramp/internal/web"
)

// registrationsPath is where a site posts the registrations of the form that
// every command here uses.
const registrationsPath = "/v1/forms/registration/registrations"

// bench has the measurements, and hidden commands for the processes that they
// consist of.
func (c *command) bench() *cobra.Command {
	return group(
		"bench", "Measure this machine", c.benchAccept(), c.benchDeliver(), c.benchToken(), c.benchEvents(),
		c.benchBare(), c.benchBareToken(), c.benchOnramp(), c.benchGateway(), c.benchCallback(), c.benchSandbox(), c.benchLoad(),
	)
}

// childReady is the first line that a child server prints.
type childReady struct {
	URL   string `json:"url"`
	Admin string `json:"admin,omitempty"`
}

// childStats is what a child server answers to a line on its standard input.
type childStats struct {
	Fsyncs  int64            `json:"fsyncs,omitempty"`
	Calls   map[string]int64 `json:"calls,omitempty"`   // answered, by route
	Refused int64            `json:"refused,omitempty"` // calls of them that were
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
			return c.answerStats(childReady{URL: l.URL()}, func() childStats { return childStats{} })
		}),
	}
}

func (c *command) benchOnramp() *cobra.Command {
	return &cobra.Command{
		Use: "onramp DIR", Short: "The gateway that bench measures", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error {
			cfg, err := config.Parse("bench", []byte(app.DemoConfig()), nil)
			if err != nil {
				return err
			}
			cfg.Database = filepath.Join(args[0], "onramp.db")
			cfg.Public.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
			cfg.Callbacks, cfg.OAuth.Clients = nil, nil // these are measured by themselves
			return c.serveChild(ctx, args[0], cfg, app.Options{NoPump: true})
		}),
	}
}

func (c *command) benchGateway() *cobra.Command {
	return &cobra.Command{
		Use: "gateway DIR", Short: "The gateway that bench has deliver", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error {
			// without the environment: it might name a real account
			cfg, err := config.Load(filepath.Join(args[0], gatewayConfig), nil)
			if err != nil {
				return err
			}
			return c.serveChild(ctx, args[0], cfg, app.Options{OpenAdmin: true})
		}),
	}
}

// serveChild runs a gateway with its log in a folder until the parent closes the
// pipe.
func (c *command) serveChild(ctx context.Context, dir string, cfg *config.Config, o app.Options) error {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	o.Log, o.Version = slog.New(slog.NewJSONHandler(log, nil)), buildVersion()
	a, err := app.Start(ctx, cfg, o)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	err = c.answerStats(childReady{a.PublicURL(), a.AdminURL()}, func() childStats { return childStats{Fsyncs: a.Commits()} })
	stop()
	return errors.Join(err, <-ended)
}

func (c *command) benchSandbox() *cobra.Command {
	return &cobra.Command{
		Use: "sandbox", Short: "The sandbox that bench delivers to", Hidden: true, Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			counter := &callCounter{calls: map[string]int64{}}
			s, err := app.StartSandbox(ctx, app.SandboxOptions{Address: "127.0.0.1:0", Log: slog.New(counter)})
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() { ended <- s.Run(running) }()
			err = c.answerStats(childReady{URL: s.URL()}, counter.stats)
			stop()
			return errors.Join(err, <-ended)
		}),
	}
}

// callCounter counts the sandbox's calls by the line that it logs of each. To
// ask the sandbox for its state would have it copy all of its rows.
type callCounter struct {
	mu      sync.Mutex
	calls   map[string]int64
	refused int64
}

func (n *callCounter) Enabled(context.Context, slog.Level) bool { return true }
func (n *callCounter) WithAttrs([]slog.Attr) slog.Handler       { return n }
func (n *callCounter) WithGroup(string) slog.Handler            { return n }

// Handle counts a call. One that was cut off has the status 0.
func (n *callCounter) Handle(_ context.Context, line slog.Record) error {
	var route string
	var status int64
	line.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "route":
			route = a.Value.String()
		case "status":
			status = a.Value.Int64()
		}
		return true
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[route]++
	if status < 200 || status > 299 {
		n.refused++
	}
	return nil
}

func (n *callCounter) stats() childStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return childStats{Calls: maps.Clone(n.calls), Refused: n.refused}
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

// benchReport is what a measurement has come to.
type benchReport interface {
	WriteText(w io.Writer) error
	Misses() []string
}

// report prints a report and returns its misses.
func (c *command) report(r benchReport) error {
	show := func() error { return r.WriteText(c.Stdout) }
	if c.output == "json" {
		show = func() error { return c.printJSON(r) }
	}
	errs := []error{show()}
	for _, miss := range r.Misses() {
		errs = append(errs, errors.New(miss))
	}
	return errors.Join(errs...)
}

func (c *command) benchLoad() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "The load generator of bench", Hidden: true, Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			var load bench.LoadConfig
			if err := json.NewDecoder(c.Stdin).Decode(&load); err != nil {
				return err
			}
			out := json.NewEncoder(c.Stdout)
			var told error
			load.Begun = func(at time.Time) { told = out.Encode(loadBegun{at}) }
			result, err := bench.Load(ctx, load)
			if err := errors.Join(err, told); err != nil {
				return err
			}
			return out.Encode(result)
		}),
	}
}

// browserHeader is what a browser sends along, so that the rows have the size of
// real ones.
func browserHeader() http.Header {
	return http.Header{
		"User-Agent": {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"},
		"Referer":    {"https://example.com/register"},
	}
}
