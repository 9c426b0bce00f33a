package rig_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"onramp/internal/bench"
	"onramp/internal/bench/rig"
	"onramp/internal/pgtest"
)

// TestMain lets the test binary be the parts of a measurement, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "part" {
		if err := rig.RunPart(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// newRig makes a rig whose processes print their errors into the test's log.
func newRig(t *testing.T) *rig.Rig {
	t.Helper()
	return &rig.Rig{Command: []string{"part"}, Stderr: t.Output()}
}

// How quick anything is says nothing in these tests; that the counts agree does.

func TestAccept(t *testing.T) {
	t.Parallel()
	report, err := newRig(t).Accept(t.Context(), rig.AcceptSettings{
		Rounds: 2, Duration: 200 * time.Millisecond, Connections: 2, IdempotencyKeys: true, Data: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rounds) != 2 || report.Connections != 2 || !report.IdempotencyKeys || !report.Errors.OK || !report.MedianRatio.Measured || !report.StartToReady.Measured {
		t.Errorf("report: %+v", report)
	}
	for _, r := range report.Rounds {
		if r.Bare.Requests == 0 || r.Onramp.Requests == 0 || r.Ratio() <= 0 || r.Onramp.Fsyncs == 0 || r.Bare.Fsyncs != 0 {
			t.Errorf("round: %+v", r)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	report, err := newRig(t).Token(t.Context(), rig.TokenSettings{Rounds: 2, Duration: 200 * time.Millisecond, Connections: 2, Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rounds) != 2 || report.Connections != 2 || !report.Errors.OK || !report.MedianRatio.Measured || !report.P99Ratio.Measured {
		t.Errorf("report: %+v", report)
	}
	for _, r := range report.Rounds {
		if r.Bare.Requests == 0 || r.Onramp.Requests == 0 || r.Ratio() <= 0 {
			t.Errorf("round: %+v", r)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "cpu")
	report, err := newRig(t).Events(t.Context(), rig.EventSettings{
		Rounds: 1, Duration: 400 * time.Millisecond, Connections: 2, Batch: 20, RepeatEvery: 2, BatchRate: 20, AcceptConnections: 2,
		Data: t.TempDir(), Profile: profile,
	})
	if err != nil {
		t.Fatal(err)
	}
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

func TestDeliver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mode string
		steps      int
		database   func(testing.TB) string
		backlog    int64
	}{
		{"sync", "sync", 1, inside, 200},
		{"async", "async", 1, inside, 0},
		{"both", "auto", 2, inside, 0},
		{"postgres", "sync", 1, pgtest.URL, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report, err := newRig(t).Deliver(t.Context(), rig.DeliverSettings{
				Modes: []string{tt.mode}, Delays: []time.Duration{5 * time.Millisecond}, Steps: tt.steps,
				Duration: 300 * time.Millisecond, QuietRate: 50, QuietDuration: 300 * time.Millisecond, Connections: 2, Backlog: tt.backlog,
				Data: t.TempDir(), Database: tt.database(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Cases) != 1 {
				t.Fatalf("%d cases, want 1: %+v", len(report.Cases), report)
			}
			checkCase(t, report.Cases[0], tt.steps)
			if tt.backlog > 0 {
				checkBacklog(t, report.Backlogs[0])
			}
		})
	}
}

// With faults at random and kills, each registration and each event is accounted for.
func TestSoak(t *testing.T) {
	t.Parallel()
	report, err := newRig(t).Soak(t.Context(), rig.SoakSettings{
		Duration: 3 * time.Second, Rate: 200, EventRate: 2000, KillEvery: time.Second, Seed: 1, Data: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	g, e := report.Registrations, report.Events
	if g.Sent != 600 || g.Planted != 2 || g.Dead != 2 || g.Rows != 598 || e.Sent != 6000 || e.Stored != 6000 || e.Forwarded != 6000 || e.Received < 6000 || e.Repeats < 3 {
		t.Errorf("registrations %+v, events %+v", g, e)
	}
	if !report.Unaccounted.OK || report.Kills != 2 || len(report.Faults) == 0 || len(report.Samples) < 2 || report.Goroutines.Most == 0 {
		t.Errorf("report: %+v", report)
	}
	if report.Memory.Growth.Measured {
		t.Error("a slope was judged after seconds")
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
