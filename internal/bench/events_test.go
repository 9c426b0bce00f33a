package bench_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

// batchResult is of n batches of 1,000 events in ten seconds, each answered after
// the same time; some of them are repeats.
func batchResult(n, repeats int64, took time.Duration) bench.BatchResult {
	r := bench.BatchResult{Result: result(n, took, took), Events: 1000, Stored: 1000 * (n - repeats), Repeated: 1000 * repeats}
	r.Max, r.Connections = took, 4
	for range n {
		r.Latency.Record(took)
	}
	return r
}

// goodEvents passes every bar.
func goodEvents() bench.EventRound {
	return bench.EventRound{
		Store: bench.StoreRun{
			Batches: batchResult(330, 30, 120*ms), CPU: 9 * time.Second, SenderCPU: 500 * ms, Fsyncs: 600,
			Begin: bench.Memory{Resident: 35_000_000, Peak: 35_100_000}, End: bench.Memory{Resident: 62_000_000, Peak: 68_000_000},
			DiskBytes: 320_000_000, DiskEvents: 375_000,
		},
		Beside: bench.BesideRun{
			Batches: batchResult(50, 0, 60*ms), Accept: result(30_000, 4*ms, 20*ms), Memory: bench.Memory{Resident: 54_000_000, Peak: 56_000_000},
		},
		Restart:        700 * ms,
		AnsweredStored: 437_000, AnsweredRepeated: 37_000, AnsweredAccepted: 37_500,
		CountedStored: 437_000, CountedRepeated: 37_000, CountedAccepted: 37_500,
	}
}

func TestEventReport(t *testing.T) {
	t.Parallel()
	slow := changed(goodEvents(), func(r *bench.EventRound) {
		r.Store.Batches.Stored = 199_999
		r.Beside.Batches.Latency.Record(151 * ms)
	})
	lost := changed(goodEvents(), func(r *bench.EventRound) {
		r.Store.Batches.Errors, r.Store.Batches.Failures = 1, []string{"status 503: later"}
		r.Unsure, r.CountedStored, r.CountedAccepted = 1, 436_999, 37_498
	})
	bare := changed(goodEvents(), func(r *bench.EventRound) {
		s := &r.Store
		s.CPU, s.SenderCPU, s.Fsyncs, s.Begin, s.End, r.Beside.Memory = 0, 0, 0, bench.Memory{}, bench.Memory{}, bench.Memory{}
	})
	for _, tt := range []struct {
		name   string
		rounds []bench.EventRound
		misses []string
	}{
		{"good", []bench.EventRound{goodEvents(), goodEvents(), slow}, nil}, // a late one is few enough in 151
		{"slow", []bench.EventRound{slow}, []string{
			"events stored 19999.9/s (at least 20000/s)", "p99 of a batch beside accepts 151 ms (at most 150 ms)",
		}},
		{"lost", []bench.EventRound{goodEvents(), lost}, []string{"errors 4 (at most 0)"}},
		{"unmeasured", []bench.EventRound{bare}, nil},
		{"nothing", nil, []string{
			"events stored not measured (at least 20000/s)", "p99 of a batch beside accepts not measured (at most 150 ms)", "errors not measured (at most 0)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := bench.NewEventReport(tt.rounds)
			var text strings.Builder
			if err := report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "events-"+tt.name+".txt", text.String())
			if diff := cmp.Diff(tt.misses, report.Misses()); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
			var got bench.EventReport
			roundTrip(t, report, &got)
			if diff := cmp.Diff(report, &got); diff != "" {
				t.Errorf("after JSON (-want +got):\n%s", diff)
			}
			for _, r := range tt.rounds {
				if r.Store.Batches.Latency == nil || r.Beside.Batches.Latency == nil || r.Beside.Accept.Latency == nil {
					t.Error("the rounds given were changed")
				}
			}
		})
	}
	goldenJSON(t, "events.json", bench.NewEventReport([]bench.EventRound{goodEvents()}))
}

// What is counted without having been answered is wrong, too, unless some request
// got no answer: it may have been stored.
func TestEventReportCounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*bench.EventRound)
		errors float64
	}{
		"all there":            {func(*bench.EventRound) {}, 0},
		"repeated as new":      {func(r *bench.EventRound) { r.CountedStored++; r.CountedRepeated-- }, 2},
		"unanswered":           {func(r *bench.EventRound) { r.CountedStored += 250; r.CountedAccepted++; r.Unsure = 2 }, 2},
		"registrations extra":  {func(r *bench.EventRound) { r.CountedAccepted += 3 }, 3},
		"silent beside accept": {func(r *bench.EventRound) { r.Beside.Batches = bench.BatchResult{} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := bench.NewEventReport([]bench.EventRound{changed(goodEvents(), tt.change)})
			if report.Errors.Value != tt.errors || report.Errors.OK != (tt.errors == 0) {
				t.Errorf("errors %+v, want %v", report.Errors, tt.errors)
			}
			if silent := name == "silent beside accept"; report.BesideP99.Measured == silent {
				t.Errorf("p99 %+v", report.BesideP99)
			}
		})
	}
}

func TestReportsWriteErrors(t *testing.T) {
	t.Parallel()
	if err := bench.NewEventReport(nil).WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("events: error %v, want %v", err, errFull)
	}
	if err := bench.NewTokenReport(nil, bench.Memory{}, bench.Memory{}).WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("tokens: error %v, want %v", err, errFull)
	}
}
