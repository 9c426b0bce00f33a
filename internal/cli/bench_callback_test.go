package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onramp/internal/bench"
)

// measured runs a measurement for a moment and reads its report. How quick anything
// is says nothing here; that the counts agree does.
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

func TestBenchToken(t *testing.T) {
	t.Parallel()
	var report bench.TokenReport
	measured(t, &report, "token", "--rounds", "2", "--duration", "200ms", "--connections", "2")
	if len(report.Rounds) != 2 || report.Connections != 2 || !report.Errors.OK || !report.MedianRatio.Measured || !report.P99Ratio.Measured {
		t.Errorf("report: %+v", report)
	}
	for _, r := range report.Rounds {
		if r.Bare.Requests == 0 || r.Onramp.Requests == 0 || r.Ratio() <= 0 {
			t.Errorf("round: %+v", r)
		}
	}
}

func TestBenchEvents(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "cpu")
	var report bench.EventReport
	measured(t, &report, "events", "--rounds", "1", "--duration", "400ms", "--connections", "2", "--batch", "20", "--repeat-every", "2",
		"--batch-rate", "20", "--accept-connections", "2", "--cpuprofile", profile)
	if len(report.Rounds) != 1 || !report.Errors.OK || !report.StoredRate.Measured || !report.BesideP99.Measured {
		t.Fatalf("report: %+v", report)
	}
	r := report.Rounds[0]
	s, b := r.Store, r.Beside
	if s.Batches.Requests == 0 || s.Batches.Stored+s.Batches.Repeated != 20*s.Batches.Requests || s.DiskEvents < s.Batches.Stored ||
		s.DiskBytes < int64(report.EventBytes)*s.DiskEvents || s.Fsyncs == 0 {
		t.Errorf("as fast as they are answered: %+v", s)
	}
	if b.Batches.Requests != 8 || b.Batches.Stored != 160 || b.Accept.Requests == 0 || r.Restart <= 0 || r.Restart > time.Minute {
		t.Errorf("beside accepts: %+v", r)
	}
	if r.CountedStored != r.AnsweredStored || r.CountedStored < s.Batches.Stored+b.Batches.Stored || r.CountedRepeated != r.AnsweredRepeated ||
		r.CountedAccepted != r.AnsweredAccepted || r.CountedAccepted < b.Accept.Requests {
		t.Errorf("counts: %+v", r)
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("profile: %v, %v", info, err)
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
		{"bench", 2, "needs one of: accept, deliver, token, events"},
		{"bench token --rounds 0", 2, "--rounds, --duration and --connections must be more than nothing"},
		{"bench token --output xml", 2, "--output is text or json"},
		{"bench events --duration -1s --batch-rate 0", 2, "--rounds, --duration, --connections and --accept-connections must be more than nothing\n--batch-rate must be more than 0"},
		{"bench events --batch 1001", 2, "--batch is 1 to 1000"},
		{"bench events --repeat-every -1", 2, "--repeat-every and --accept-rate must not be negative"},
		{"bench events --data ./nowhere", 1, "round 1: "},
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
