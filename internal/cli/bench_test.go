package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"onramp/internal/bench"
	"onramp/internal/pgtest"
)

// program runs onramp as a program of its own, which the children of bench need:
// they are the same program.
func program(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "onramp", args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if failed := cmd.Run(); failed != nil {
		if _, exited := errors.AsType[*exec.ExitError](failed); !exited {
			t.Fatal(failed)
		}
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// TestBenchDeliver measures for a moment, from end to end. How quick anything is
// says nothing here; that the counts agree does.
func TestBenchDeliver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mode, route string
		database          func(testing.TB) string
		backlog           string
		steps             int
	}{
		{"sync", "sync", "data_extension", inside, "200", 1},
		{"async", "async", "data_extension", inside, "0", 1},
		{"both", "auto", "both", inside, "0", 2},
		{"postgres", "sync", "data_extension", pgtest.URL, "200", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := program(t, "bench", "deliver", "--mode", tt.mode, "--delay", "5ms", "--route", tt.route,
				"--duration", "300ms", "--quiet-duration", "300ms", "--connections", "2", "--backlog", tt.backlog,
				"--data", t.TempDir(), "--database", tt.database(t), "--output", "json")
			var report bench.DeliverReport
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%v in %s; status %d, %s", err, stdout, status, stderr)
			}
			if missed := len(report.Misses()) > 0; missed != (status == 1) || status > 1 {
				t.Errorf("status %d with misses %q", status, report.Misses())
			}
			if len(report.Cases) != 1 {
				t.Fatalf("%d cases, want 1: %s", len(report.Cases), stdout)
			}
			checkCase(t, report.Cases[0], tt.steps)
			if tt.backlog != "0" {
				checkBacklog(t, report.Backlogs[0])
			}
		})
	}
}

// inside stands for the database that needs no server.
func inside(testing.TB) string { return "" }

func checkCase(t *testing.T, c bench.DeliverCase, steps int) {
	t.Helper()
	q, calls := c.Quiet, time.Duration(steps)*c.Call
	if c.Steps != steps || q.Requests == 0 || q.Errors > 0 || q.P50 < calls || q.BeyondP50 != q.P50-calls {
		t.Errorf("quiet: %+v", q)
	}
	s := c.Saturation
	if s.Accept.Requests == 0 || s.Accept.Errors > 0 || s.TotalAccepted != s.Accept.Requests ||
		s.TotalDelivered != s.TotalAccepted || s.Rows != s.TotalAccepted || s.Failed > 0 || s.Left > 0 || s.Refused > 0 {
		t.Errorf("saturation: %+v", s)
	}
	if s.Accepted > s.TotalAccepted || s.Delivered > s.TotalDelivered || s.Window <= 0 {
		t.Errorf("window of the saturation: %+v", s)
	}
	if len(s.Calls) < steps || s.CallsEach <= 0 {
		t.Errorf("calls: %v, %v each", s.Calls, s.CallsEach)
	}
}

func checkBacklog(t *testing.T, b bench.Backlog) {
	t.Helper()
	if b.Accept.Requests != 200 || b.Accept.Errors > 0 || b.Waiting != 200 || b.Found != 200 || b.Failed > 0 {
		t.Errorf("backlog: %+v", b)
	}
	if b.Restart <= 0 || b.Resumed <= 0 || b.Delivered == 0 || b.DeliveredRate <= 0 {
		t.Errorf("restart: %+v", b)
	}
}

func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		status int
		want   []string
	}{
		{"bench", 2, []string{"needs one of: accept, deliver"}},
		{"bench deliver --mode fast,sync", 2, []string{`--mode is sync, async or auto, not "fast"`}},
		{"bench deliver --delay 50us", 2, []string{"--delay is whole milliseconds up to a minute, not 50µs"}},
		{"bench deliver --route journey --connections 0", 2, []string{`--route is data_extension or both, not "journey"`, "--connections must be at least 1"}},
		{"bench deliver --duration 0s", 2, []string{"--duration and --quiet-duration must be more than nothing"}},
		{"bench deliver --quiet-rate 0", 2, []string{"--quiet-rate must be more than 0"}},
		{"bench deliver --backlog -1", 2, []string{"--backlog is negative"}},
		{"bench deliver --database postgres://x --backlog 1", 2, []string{"needs one --mode"}},
		{"bench deliver --output xml", 2, []string{"--output is text or json"}},
		{"bench deliver --data ./nowhere", 1, []string{"sync, 50ms a call: ", "nowhere"}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := onramp(t.Context(), nil, strings.Fields(tt.args)...)
			if status != tt.status || stdout != "" {
				t.Errorf("status %d, want %d; printed %q", status, tt.status, stdout)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in %s", want, stderr)
				}
			}
		})
	}
}

func TestBenchHelp(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := onramp(t.Context(), nil, "bench", "deliver", "--help")
	if status != 0 || !strings.Contains(stdout, "onramp bench deliver --mode auto") {
		t.Errorf("status %d, %s %s", status, stdout, stderr)
	}
	_, stdout, _ = onramp(t.Context(), nil, "bench", "--help")
	for _, hidden := range []string{"bare", "gateway", "sandbox", "load"} {
		if strings.Contains(stdout, "\n  "+hidden) {
			t.Errorf("the help shows %s: %s", hidden, stdout)
		}
	}
}
