package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/web"
)

// The parts that a process can play.
const (
	partBare      = "bare"       // the handler that accepts are compared with
	partBareToken = "bare-token" // the handler that tokens are compared with
	partGateway   = "gateway"
	partSandbox   = "sandbox"
	partLoad      = "load"
)

// RunPart plays one part of a measurement until stdin ends. It reads the part's
// settings from the first line of stdin, and says on stdout that it is ready. The
// parts are known to a Rig only.
func RunPart(ctx context.Context, part string, stdin io.Reader, stdout io.Writer) error {
	p := &parent{in: json.NewDecoder(stdin), out: json.NewEncoder(stdout)}
	if err := p.in.Decode(&p.settings); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	switch part {
	case partBare:
		return serveHandler(ctx, p, func(string) (http.Handler, error) { return bench.Bare(), nil })
	case partBareToken:
		return serveHandler(ctx, p, newBareToken)
	case partGateway:
		return serveGateway(ctx, p)
	case partSandbox:
		return serveSandbox(ctx, p)
	case partLoad:
		return runLoad(ctx, p)
	}
	return fmt.Errorf("unknown part %q", part)
}

// parent is the process that started this one, at the other end of its pipes.
type parent struct {
	in       *json.Decoder
	out      *json.Encoder
	settings json.RawMessage
}

// addresses is the first line that a server prints.
type addresses struct {
	URL   string `json:"url"`
	Admin string `json:"admin,omitempty"`
}

// counts is what a server answers to a line on its standard input.
type counts struct {
	Fsyncs  int64            `json:"fsyncs,omitempty"`
	Calls   map[string]int64 `json:"calls,omitempty"`   // answered, by route
	Refused int64            `json:"refused,omitempty"` // calls of them that were

	Goroutines int `json:"goroutines,omitempty"`
}

// attend says where a server is, and then answers each line from the parent with
// the counts, until the parent closes the pipe.
func (p *parent) attend(at addresses, count func() counts) error {
	if err := p.out.Encode(at); err != nil {
		return err
	}
	for {
		var request json.RawMessage
		if err := p.in.Decode(&request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := p.out.Encode(count()); err != nil {
			return err
		}
	}
}

// serveHandler serves a handler, which may need to know its own URL.
func serveHandler(ctx context.Context, p *parent, make func(url string) (http.Handler, error)) error {
	l, err := web.Listen(ctx, anyPort, nil)
	if err != nil {
		return err
	}
	h, err := make(l.URL())
	if err != nil {
		return err
	}
	l.Handle(h)
	go func() { _ = l.Serve() }() // ends with the process
	return p.attend(addresses{URL: l.URL()}, func() counts { return counts{} })
}

// whileRunning calls attend while something runs, then stops it.
func whileRunning(ctx context.Context, run func(context.Context) error, attend func() error) error {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- run(running) }()
	err := attend()
	stop()
	return errors.Join(err, <-ended)
}

func serveSandbox(ctx context.Context, p *parent) error {
	counter := &callCounter{calls: map[string]int64{}}
	s, err := app.StartSandbox(ctx, app.SandboxOptions{Address: anyPort, Log: slog.New(counter)})
	if err != nil {
		return err
	}
	return whileRunning(ctx, s.Run, func() error { return p.attend(addresses{URL: s.URL()}, counter.counts) })
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

func (n *callCounter) counts() counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return counts{Calls: maps.Clone(n.calls), Refused: n.refused}
}

// begun is the first line of a load generator.
type begun struct {
	At time.Time `json:"at"`
}

// runLoad sends a load and prints its result.
func runLoad(ctx context.Context, p *parent) error {
	var load bench.LoadConfig
	if err := json.Unmarshal(p.settings, &load); err != nil {
		return err
	}
	var printed error
	load.Begun = func(at time.Time) { printed = p.out.Encode(begun{at}) }
	result, err := bench.Load(ctx, load)
	if err := errors.Join(err, printed); err != nil {
		return err
	}
	return p.out.Encode(result)
}
