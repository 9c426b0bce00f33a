package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"onramp/internal/bench"
)

// child is another process of this very binary that serves until it is stopped.
type child struct {
	cmd     *exec.Cmd
	process *os.Process
	in      io.WriteCloser
	out     *json.Decoder
	url     string
	admin   string        // of a gateway that has it open
	ready   time.Duration // from its start to its first line
}

func startChild(ctx context.Context, stderr io.Writer, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"bench"}, args...)...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bench %s: %w", args[0], err)
	}
	c := &child{cmd: cmd, process: cmd.Process, in: in, out: json.NewDecoder(out)}
	var ready childReady
	if err := c.out.Decode(&ready); err != nil {
		c.stop()
		return nil, fmt.Errorf("bench %s did not start: %w", args[0], err)
	}
	c.url, c.admin, c.ready = ready.URL, ready.Admin, time.Since(begin)
	return c, nil
}

// stats asks the child what it has counted.
func (c *child) stats() (s childStats, err error) {
	if _, err := io.WriteString(c.in, "{}\n"); err != nil {
		return s, fmt.Errorf("ask for figures: %w", err)
	}
	if err := c.out.Decode(&s); err != nil {
		return s, fmt.Errorf("read figures: %w", err)
	}
	return s, nil
}

// adminClient calls the admin API of a gateway that has it open.
func (c *child) adminClient() *adminClient {
	return &adminClient{base: c.admin, http: http.DefaultClient}
}

// stop lets the child end by itself: its parent's pipe is closed.
func (c *child) stop() {
	_ = c.in.Close() // closed already: the same
	_ = c.cmd.Wait() // how it ended no longer matters
}

// loadBegun is the first line of a load generator.
type loadBegun struct {
	At time.Time `json:"at"`
}

// loader is a load generator that runs, in a process of its own, so that its
// garbage and its scheduling are not the server's.
type loader struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	out    *json.Decoder
	begun  time.Time // when its first request went out
}

func startLoad(ctx context.Context, load bench.LoadConfig) (*loader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(load)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, "bench", "load")
	cmd.Stdin = bytes.NewReader(settings)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start load generator: %w", err)
	}
	l := &loader{cmd: cmd, cancel: cancel, out: json.NewDecoder(out)}
	var begun loadBegun
	if err := l.out.Decode(&begun); err != nil {
		l.stop()
		return nil, fmt.Errorf("load generator did not begin: %w", err)
	}
	l.begun = begun.At
	return l, nil
}

// result waits for the end of the load.
func (l *loader) result() (result bench.Result, err error) {
	defer l.cancel()
	if err := l.out.Decode(&result); err != nil {
		return result, errors.Join(fmt.Errorf("read the load generator's result: %w", err), l.cmd.Wait())
	}
	if err := l.cmd.Wait(); err != nil {
		return result, fmt.Errorf("load generator: %w", err)
	}
	return result, nil
}

// stop ends a load whose result nobody needs; after result it does nothing.
func (l *loader) stop() {
	l.cancel()
	_ = l.cmd.Wait() // how it ended no longer matters
}

// runLoad is a load from its start to its end.
func runLoad(ctx context.Context, load bench.LoadConfig) (bench.Result, error) {
	l, err := startLoad(ctx, load)
	if err != nil {
		return bench.Result{}, err
	}
	return l.result()
}
