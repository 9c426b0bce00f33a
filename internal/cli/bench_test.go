package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onramp/internal/bench"
)

// program runs onramp as a separate program, which the children of bench need:
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

// measured runs a measurement for a moment and reads its report. What the figures must
// be is tested in package rig; here, that the flags get there and the report back.
func measured[R interface{ Misses() []string }](t *testing.T, report R, args ...string) {
	t.Helper()
	status, stdout, stderr := program(t, append(append([]string{"bench"}, args...), "--data", t.TempDir(), "--output", "json")...)
	if err := json.Unmarshal([]byte(stdout), report); err != nil {
		t.Fatalf("%v in %s; status %d, %s", err, stdout, status, stderr)
	}
	if missed := len(report.Misses()) > 0; missed != (status == 1) || status > 1 {
		t.Errorf("status %d with misses %q", status, report.Misses())
	}
}

func TestBenchPrintsJSON(t *testing.T) {
	t.Parallel()
	t.Run("accept", func(t *testing.T) {
		t.Parallel()
		var reports acceptReports
		measured(t, &reports, "accept", "--rounds", "1", "--duration", "100ms", "--connections", "3")
		if len(reports) != 2 || reports[0].IdempotencyKeys || !reports[1].IdempotencyKeys || len(reports[1].Rounds) != 1 || reports[1].Connections != 3 {
			t.Errorf("reports: %+v", reports)
		}
	})
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		var report bench.TokenReport
		measured(t, &report, "token", "--rounds", "2", "--duration", "100ms", "--connections", "3")
		if len(report.Rounds) != 2 || report.Connections != 3 {
			t.Errorf("report: %+v", report)
		}
	})
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		profile := filepath.Join(t.TempDir(), "cpu")
		var report bench.EventReport
		measured(t, &report, "events", "--rounds", "1", "--duration", "200ms", "--connections", "2", "--batch", "20", "--repeat-every", "2",
			"--batch-rate", "20", "--accept-connections", "2", "--cpuprofile", profile)
		if len(report.Rounds) != 1 || report.Rounds[0].Beside.Batches.Stored != 80 || report.Rounds[0].AnsweredRepeated == 0 {
			t.Errorf("report: %+v", report)
		}
		if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
			t.Errorf("profile: %v, %v", info, err)
		}
	})
	t.Run("deliver", func(t *testing.T) {
		t.Parallel()
		var report bench.DeliverReport
		measured(t, &report, "deliver", "--mode", "auto,sync", "--delay", "5ms", "--route", "both", "--duration", "100ms",
			"--quiet-duration", "100ms", "--quiet-rate", "40", "--connections", "2", "--backlog", "20")
		if len(report.Cases) != 2 || len(report.Backlogs) != 2 {
			t.Fatalf("report: %+v", report)
		}
		c, b := report.Cases[1], report.Backlogs[0]
		want := bench.Destination{Mode: "sync", Steps: 2, Call: 5 * time.Millisecond}
		if c.Destination != want || c.Quiet.Rate != 40 || b.Mode != "auto" || b.Waiting != 20 {
			t.Errorf("case: %+v, backlog: %+v", c, b)
		}
	})
}

// acceptReports are what bench accept prints.
type acceptReports []bench.Report

func (r acceptReports) Misses() (all []string) {
	for i := range r {
		all = append(all, r[i].Misses()...)
	}
	return all
}

func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		status int
		want   []string
	}{
		{"bench", 2, []string{"needs one of: accept, deliver"}},
		{"bench deliver --mode fast,sync", 2, []string{`--mode must be sync, async or auto, not "fast"`}},
		{"bench deliver --delay 50us", 2, []string{"--delay must be whole milliseconds, at most a minute, not 50µs"}},
		{"bench deliver --route journey --connections 0", 2, []string{`--route must be data_extension or both, not "journey"`, "--connections must be at least 1"}},
		{"bench deliver --duration 0s", 2, []string{"--duration and --quiet-duration must be greater than zero"}},
		{"bench deliver --quiet-rate 0", 2, []string{"--quiet-rate must be greater than 0"}},
		{"bench deliver --backlog -1", 2, []string{"--backlog must not be negative"}},
		{"bench deliver --database postgres://x --backlog 1", 2, []string{"needs one --mode"}},
		{"bench deliver --output xml", 2, []string{"--output must be text or json"}},
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

// A steady pace of registrations instead of as many as there can be, for people to
// read.
func TestBenchEventsText(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := program(t, "bench", "events", "--rounds", "1", "--duration", "200ms", "--batch", "10", "--repeat-every", "0", "--accept-rate", "50", "--data", t.TempDir())
	if status > 1 || !strings.Contains(stdout, "\nerrors 0 (at most 0) ok\n") || !strings.Contains(stderr, "round 1 of 1 …\n") {
		t.Errorf("status %d: %s\n%s", status, stdout, stderr)
	}
}

func TestBenchOfTokensAndEventsRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"bench", 2, "needs one of: accept, deliver, token, events, soak"},
		{"bench token --rounds 0", 2, "--rounds, --duration and --connections must be greater than zero"},
		{"bench token --output xml", 2, "--output must be text or json"},
		{"bench events --duration -1s --batch-rate 0", 2, "--rounds, --duration, --connections and --accept-connections must be greater than zero\n--batch-rate must be greater than 0"},
		{"bench events --batch 1001", 2, "--batch must be 1 to 1000"},
		{"bench events --repeat-every -1", 2, "--repeat-every and --accept-rate must not be negative"},
		{"bench events --data ./nowhere", 1, "round 1: "},
		{"bench soak --duration 0s --kill-every -1s --events 0", 2, "--duration and --kill-every must be greater than zero\n--registrations and --events must be greater than zero"},
		{"bench soak --data ./nowhere", 1, "nowhere"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := onramp(t.Context(), nil, strings.Fields(tt.args)...)
			if status != tt.status || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("status %d, want %d; printed %q and %q, want %q", status, tt.status, stdout, stderr, tt.want)
			}
		})
	}
	_, stdout, _ := onramp(t.Context(), nil, "bench", "--help")
	for _, hidden := range []string{"bare-token", "callback"} {
		if strings.Contains(stdout, "\n  "+hidden) {
			t.Errorf("the help shows %s: %s", hidden, stdout)
		}
	}
	if _, stdout, _ = onramp(t.Context(), nil, "bench", "events", "--help"); strings.Contains(stdout, "cpuprofile") || !strings.Contains(stdout, "--accept-rate") {
		t.Errorf("the help of events: %s", stdout)
	}
}
