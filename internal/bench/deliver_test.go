package bench_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

const ms = time.Millisecond

func destination(mode string, call time.Duration) bench.Destination {
	return bench.Destination{Mode: mode, Steps: 1, Call: call}
}

// goodCase passes every bar of its destination.
func goodCase(d bench.Destination) bench.DeliverCase {
	calls := time.Duration(d.Steps) * d.Call
	return bench.DeliverCase{
		Destination: d,
		Quiet:       bench.Quiet{Rate: 50, Result: result(1000, calls+8*ms, calls+30*ms)},
		Saturation: bench.Saturation{
			Accept: result(500_000, 4*ms, 12*ms), Window: 30 * time.Second, Accepted: 420_000, Delivered: 416_000,
			Oldest: 310 * ms, Drained: 400 * ms, TotalAccepted: 500_000, TotalDelivered: 500_000, Rows: 500_000,
			Calls: map[string]int64{"a": 600, "b": 200}, ResidentBytes: 43_123_456, CPU: 20 * time.Second,
		},
	}
}

func goodBacklog(d bench.Destination) bench.Backlog {
	return bench.Backlog{
		Destination: d, Accept: result(1_000_000, 7*ms, 20*ms), Waiting: 1_000_000,
		Memory: bench.Memory{Resident: 70_100_000, Peak: 82_000_000}, Restart: 312 * ms, Found: 1_000_000,
		MemoryAfter: bench.Memory{Resident: 41_000_000, Peak: 55_500_000},
		Resumed:     4200 * ms, Delivered: 98_000, Draining: 10 * time.Second,
	}
}

// changed returns a copy of a value that was changed.
func changed[T any](v T, change func(*T)) T {
	change(&v)
	return v
}

func TestDeliverReportText(t *testing.T) {
	t.Parallel()
	bad := changed(goodCase(destination("sync", 50*ms)), func(c *bench.DeliverCase) {
		c.Quiet.P50, c.Quiet.P99 = 66*ms, 111*ms
		c.Quiet.Errors, c.Quiet.Failures = 2, []string{"status 202: queued"}
		s := &c.Saturation
		s.Delivered, s.Calls, s.ResidentBytes = 200_000, map[string]int64{"a": 6_000, "b": 8_000}, 0
		s.Accept.Errors, s.Accept.Failures = 1, []string{"connection reset by peer"}
		s.TotalDelivered, s.Failed, s.Left, s.Drained = 400_000, 3, 99_997, time.Minute
		s.Rows, s.Refused = 399_990, 17
	})
	lost := changed(goodBacklog(destination("sync", 50*ms)), func(b *bench.Backlog) {
		b.Memory.Peak, b.Found, b.Delivered, b.Draining, b.Resumed = 96_000_001, 999_998, 0, 0, 3*time.Minute
	})
	silent := bench.DeliverCase{Destination: destination("auto", 50*ms)}
	for _, tt := range []struct {
		name   string
		report *bench.DeliverReport
		misses []string
	}{
		{"good", bench.NewDeliverReport([]bench.DeliverCase{
			goodCase(destination("sync", 50*ms)), goodCase(destination("sync", 300*ms)),
			goodCase(destination("async", 50*ms)), goodCase(destination("async", 300*ms)),
		}, []bench.Backlog{goodBacklog(destination("sync", 50*ms))}), nil},
		{"bad", bench.NewDeliverReport([]bench.DeliverCase{bad}, []bench.Backlog{lost}), []string{
			"sync, 50ms a call: delivered/accepted 0.476 (at least 0.95)",
			"sync, 50ms a call: calls per registration 0.035 (at most 0.03)",
			"sync, 50ms a call: quiet p50 beyond the calls 16 ms (at most 15 ms)",
			"sync, 50ms a call: quiet p99 beyond the calls 61 ms (at most 60 ms)",
			"sync, 50ms a call: resident memory with 1000000 waiting 96.001 MB (at most 96 MB)",
			"errors 19 (at most 0)",
		}},
		{"silent", bench.NewDeliverReport([]bench.DeliverCase{silent}, nil), []string{
			"auto, 50ms a call: delivered/accepted not measured (at least 0.95)",
			"auto, 50ms a call: calls per registration not measured (at most 0.03)",
			"auto, 50ms a call: quiet p50 beyond the calls not measured (at most 15 ms)",
			"auto, 50ms a call: quiet p99 beyond the calls not measured (at most 60 ms)",
		}},
		{"nothing", bench.NewDeliverReport(nil, nil), []string{"errors not measured (at most 0)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			if err := tt.report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "deliver-"+tt.name+".txt", text.String())
			if diff := cmp.Diff(tt.misses, tt.report.Misses()); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
		})
	}
}

// Which bars a destination has, and on which side of them a figure lies.
func TestDeliverBars(t *testing.T) {
	t.Parallel()
	const (
		ratio = "delivered/accepted"
		calls = "calls per registration"
		p50   = "quiet p50 beyond the calls"
		p99   = "quiet p99 beyond the calls"
	)
	both := func(call time.Duration) bench.Destination {
		return bench.Destination{Mode: "sync", Steps: 2, Call: call}
	}
	nCalls := func(n int64) func(*bench.DeliverCase) {
		return func(c *bench.DeliverCase) { c.Saturation.Calls = map[string]int64{"a": n} }
	}
	for _, tt := range []struct {
		name   string
		to     bench.Destination
		change func(*bench.DeliverCase)
		bars   []string
		misses []string
	}{
		{"sync", destination("sync", 50*ms), nil, []string{ratio, calls, p50, p99}, nil},
		{"sync, slow", destination("sync", 300*ms), nil, []string{p50, p99}, nil},
		{"sync, another delay", destination("sync", 40*ms), nil, []string{p50, p99}, nil},
		{"auto", destination("auto", 50*ms), nil, []string{ratio, calls, p50, p99}, nil},
		{"async", destination("async", 50*ms), nil, []string{ratio, calls}, nil},
		{"async, slow", destination("async", 300*ms), nil, []string{calls}, nil},
		{"both", both(50 * ms), nil, []string{ratio, p50, p99}, nil},

		{"sync calls at the bar", destination("sync", 50*ms), nCalls(15_000), []string{ratio, calls, p50, p99}, nil},
		{"sync calls", destination("sync", 50*ms), nCalls(15_001), []string{ratio, calls, p50, p99}, []string{calls}},
		{"async calls at the bar", destination("async", 300*ms), nCalls(1_000), []string{calls}, nil},
		{"async calls", destination("async", 300*ms), nCalls(1_001), []string{calls}, []string{calls}},
		{"ratio at the bar", destination("sync", 50*ms), func(c *bench.DeliverCase) { c.Saturation.Delivered = 399_000 }, []string{ratio, calls, p50, p99}, nil},
		{"ratio", destination("sync", 50*ms), func(c *bench.DeliverCase) { c.Saturation.Delivered = 398_999 }, []string{ratio, calls, p50, p99}, []string{ratio}},
		{"two calls of a route", both(300 * ms), func(c *bench.DeliverCase) { c.Quiet.P50, c.Quiet.P99 = 615*ms, 660*ms }, []string{p50, p99}, nil},
		{"late", both(300 * ms), func(c *bench.DeliverCase) { c.Quiet.P50, c.Quiet.P99 = 616*ms, 661*ms }, []string{p50, p99}, []string{p50, p99}},
		{"an answer that is none", destination("sync", 300*ms), func(c *bench.DeliverCase) { c.Quiet.Errors = 1 }, []string{p50, p99}, []string{"errors"}},
		{"a dead letter", destination("sync", 300*ms), func(c *bench.DeliverCase) { c.Saturation.Failed = 1 }, []string{p50, p99}, []string{"errors"}},
		{"answered and lost", destination("sync", 300*ms), func(c *bench.DeliverCase) { c.Saturation.TotalAccepted-- }, []string{p50, p99}, []string{"errors"}},
		{"delivered and no row", destination("sync", 300*ms), func(c *bench.DeliverCase) { c.Saturation.Rows-- }, []string{p50, p99}, []string{"errors"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := goodCase(tt.to)
			if tt.change != nil {
				tt.change(&c)
			}
			var bars, misses []string
			for _, b := range bench.NewDeliverReport([]bench.DeliverCase{c}, nil).Bars {
				name := strings.TrimPrefix(b.Name, tt.to.String()+": ")
				bars = append(bars, name)
				if !b.OK {
					misses = append(misses, name)
				}
			}
			if diff := cmp.Diff(append(slices.Clone(tt.bars), "errors"), bars); diff != "" {
				t.Errorf("bars (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.misses, misses); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
		})
	}
}

// Memory that the machine does not report is no miss; what is lost is one.
func TestDeliverBacklogBars(t *testing.T) {
	t.Parallel()
	to := destination("sync", 50*ms)
	for _, tt := range []struct {
		name   string
		change func(*bench.Backlog)
		misses int
	}{
		{"good", func(*bench.Backlog) {}, 0},
		{"memory not measured", func(b *bench.Backlog) { b.Memory, b.MemoryAfter = bench.Memory{}, bench.Memory{} }, 0},
		{"memory before the restart", func(b *bench.Backlog) { b.Memory.Peak = 97_000_000 }, 1},
		{"memory after it", func(b *bench.Backlog) { b.MemoryAfter.Peak = 97_000_000 }, 1},
		{"refused", func(b *bench.Backlog) { b.Accept.Errors = 1 }, 1},
		{"lost at once", func(b *bench.Backlog) { b.Waiting-- }, 1},
		{"lost by the restart", func(b *bench.Backlog) { b.Found-- }, 1},
		{"dead letter", func(b *bench.Backlog) { b.Failed = 1 }, 1},
		{"never again", func(b *bench.Backlog) { b.Delivered = 0 }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := bench.NewDeliverReport(nil, []bench.Backlog{changed(goodBacklog(to), tt.change)})
			if misses := report.Misses(); len(misses) != tt.misses {
				t.Errorf("misses %q, want %d", misses, tt.misses)
			}
		})
	}
}

func TestDeliverReportJSON(t *testing.T) {
	t.Parallel()
	to := destination("sync", 50*ms)
	report := bench.NewDeliverReport([]bench.DeliverCase{goodCase(to)}, []bench.Backlog{goodBacklog(to)})
	goldenJSON(t, "deliver.json", report)
}

func TestDeliverReportWriteError(t *testing.T) {
	t.Parallel()
	if err := bench.NewDeliverReport(nil, nil).WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}
