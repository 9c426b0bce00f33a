package figures

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"onramp/internal/bench"
)

// idleConfig is a gateway with one form, and an account that nobody answers for.
const idleConfig = `
database: %s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
marketing_cloud: { auth_url: "http://127.0.0.1:1", client_id: nobody, client_secret: nothing }
forms:
  registration:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
`

const (
	starts    = 5
	restAfter = 3 * time.Second // until what the start has used is given back
)

// footprint starts the gateway some times, each with a new database.
func (r *Run) footprint(ctx context.Context, program string) (*bench.FootprintReport, error) {
	r.progress("footprint")
	binary, err := os.Stat(program)
	if err != nil {
		return nil, err
	}
	var idle bench.Memory
	var took []time.Duration
	for i := range starts {
		rest := time.Duration(0)
		if i == starts-1 {
			rest = restAfter
			if err := evict(program); err != nil {
				return nil, fmt.Errorf("evict the program from the page cache: %w", err)
			}
		}
		ready, memory, err := r.startOnce(ctx, program, rest)
		if err != nil {
			return nil, fmt.Errorf("start the gateway: %w", err)
		}
		took, idle = append(took, ready), memory
	}
	return bench.NewFootprint(binary.Size(), idle, took), nil
}

// startOnce starts a gateway, waits until it serves and then for a rest, and stops it. Memory is
// zero where there is no /proc.
func (r *Run) startOnce(ctx context.Context, program string, rest time.Duration) (ready time.Duration, idle bench.Memory, err error) {
	folder, err := os.MkdirTemp(r.Folder, "idle-")
	if err != nil {
		return 0, idle, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	config := filepath.Join(folder, "onramp.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, idleConfig, filepath.Join(folder, "onramp.db")), 0o600); err != nil {
		return 0, idle, err
	}
	cmd := exec.CommandContext(ctx, program, "serve", "--config", config)
	cmd.Env = []string{} // which might name a real account
	log, err := cmd.StderrPipe()
	if err != nil {
		return 0, idle, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, idle, err
	}
	defer func() { _ = cmd.Wait() }() // it was told to stop
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM) }()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			ready = time.Since(begin)
			break
		}
	}
	if ready == 0 {
		return 0, idle, errors.New("it has ended before it was ready")
	}
	go func() { // so that its log never makes it wait
		for lines.Scan() {
		}
	}()
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return 0, idle, context.Cause(ctx)
	}
	idle, _ = bench.MemoryOf(cmd.Process.Pid)
	return ready, idle, nil
}
