package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	c.url, c.ready = ready.URL, time.Since(begin)
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

// stop lets the child end by itself: its parent's pipe is closed.
func (c *child) stop() {
	_ = c.in.Close() // closed already: the same
	_ = c.cmd.Wait() // how it ended no longer matters
}

// runLoad runs the load generator in a process of its own, so that its garbage
// and its scheduling are not the server's.
func runLoad(ctx context.Context, load bench.LoadConfig) (result bench.Result, err error) {
	self, err := os.Executable()
	if err != nil {
		return result, err
	}
	settings, err := json.Marshal(load)
	if err != nil {
		return result, err
	}
	cmd := exec.CommandContext(ctx, self, "bench", "load")
	cmd.Stdin = bytes.NewReader(settings)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result, fmt.Errorf("load generator: %w", err)
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return result, fmt.Errorf("read the load generator's result: %w", err)
	}
	return result, nil
}
