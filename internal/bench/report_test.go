package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

func result(requests int64, p50, p99 time.Duration) bench.Result {
	return bench.Result{Requests: requests, Connections: 64, Elapsed: 10 * time.Second, P50: p50, P99: p99, Max: 2 * p99, Latency: new(bench.Histogram)}
}

// goodRounds pass every bar. Their medians belong to different rounds.
func goodRounds() []bench.Round {
	const µs = time.Microsecond
	return []bench.Round{
		{
			BareFirst: true,
			Bare:      bench.Run{Result: result(600_000, 900*µs, 5800*µs), CPU: 9600 * time.Millisecond},
			Onramp:    bench.Run{Result: result(186_000, 2700*µs, 7900*µs), CPU: 10416 * time.Millisecond, Fsyncs: 8000, ResidentBytes: 38_123_456},
		},
		{
			Bare:   bench.Run{Result: result(500_000, 1000*µs, 6000*µs), CPU: 9000 * time.Millisecond},
			Onramp: bench.Run{Result: result(160_000, 3100*µs, 9000*µs), CPU: 9600 * time.Millisecond, Fsyncs: 7000, ResidentBytes: 40_500_000},
		},
		{
			BareFirst: true,
			Bare:      bench.Run{Result: result(550_000, 950*µs, 6400*µs), CPU: 8800 * time.Millisecond},
			Onramp:    bench.Run{Result: result(143_000, 3500*µs, 9500*µs), CPU: 9000 * time.Millisecond, Fsyncs: 7200, ResidentBytes: 39_000_000},
		},
	}
}

// badRounds miss every bar, the ratio by less than two decimals show.
func badRounds() []bench.Round {
	rounds := goodRounds()[:2]
	rounds[0].Onramp.Requests, rounds[1].Onramp.Requests = 149_820, 124_850
	rounds[0].Onramp.P99, rounds[1].Onramp.P99 = 24*time.Millisecond, 40*time.Millisecond
	rounds[1].Onramp.ResidentBytes = 64_000_001
	rounds[0].Onramp.Errors = 12
	rounds[0].Onramp.Failures = []string{"status 503: full", "connection closed without an answer"}
	rounds[1].Onramp.Errors = 3
	rounds[1].Onramp.Failures = []string{"status 503: full"}
	rounds[1].Bare.Errors = 1
	rounds[1].Bare.Failures = []string{"connection reset by peer"}
	return rounds
}

func TestReportText(t *testing.T) {
	t.Parallel()
	unmeasured := goodRounds()[:1]
	unmeasured[0].Bare.CPU, unmeasured[0].Onramp.CPU = 0, 0
	unmeasured[0].Onramp.Fsyncs, unmeasured[0].Onramp.ResidentBytes = 0, 0
	for _, tt := range []struct {
		name   string
		report *bench.Report
		misses []string
	}{
		{"good", bench.NewReport(goodRounds(), 120400*time.Microsecond, false), nil},
		{"bad", bench.NewReport(badRounds(), time.Second, false), []string{
			"ratio 0.249 (at least 0.25)",
			"p99 ratio 5.403 (at most 4)",
			"resident memory 64.001 MB (at most 64 MB)",
			"start to ready 1000 ms (at most 200 ms)",
			"errors 16 (at most 0)",
		}},
		{"keys", bench.NewReport(badRounds(), 200*time.Millisecond, true), []string{
			"p99 ratio 5.403 (at most 4)",
			"resident memory 64.001 MB (at most 64 MB)",
			"errors 16 (at most 0)",
		}},
		{"unmeasured", bench.NewReport(unmeasured, 0, false), nil},
		{"nothing", bench.NewReport(nil, 0, false), []string{
			"ratio not measured (at least 0.25)",
			"p99 ratio not measured (at most 4)",
			"errors not measured (at most 0)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			if err := tt.report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "report-"+tt.name+".txt", text.String())
			if diff := cmp.Diff(tt.misses, tt.report.Misses()); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
			if _, err := json.Marshal(tt.report); err != nil {
				t.Errorf("as JSON: %v", err)
			}
		})
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	goldenJSON(t, "report.json", bench.NewReport(goodRounds()[:1], 120*time.Millisecond, true))
}

// A server that answers nothing has a p99 of nothing; that must not pass.
func TestReportSilentServer(t *testing.T) {
	t.Parallel()
	rounds := goodRounds()
	rounds[1].Onramp.Result = bench.Result{Connections: 64}
	report := bench.NewReport(rounds, 0, false)
	if report.P99Ratio.OK || !slices.Contains(report.Misses(), "p99 ratio not measured (at most 4)") {
		t.Errorf("p99 ratio %+v, misses %q", report.P99Ratio, report.Misses())
	}
	rounds[1].Bare.Result = bench.Result{}
	if ratio := rounds[1].Ratio(); ratio != 0 {
		t.Errorf("ratio %v to a silent bare handler, want 0", ratio)
	}
	if rounds[0].Bare.Latency == nil {
		t.Error("the rounds given were changed")
	}
}

func TestReportWriteError(t *testing.T) {
	t.Parallel()
	if err := bench.NewReport(nil, 0, false).WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestAlternate(t *testing.T) {
	t.Parallel()
	broken := errors.New("server ended")
	for _, tt := range []struct {
		name   string
		failAt int // which run fails, counted from 1
		order  string
		done   []bench.Round
		err    string
	}{
		{"all", 0, "bare onramp onramp bare bare onramp", []bench.Round{
			{BareFirst: true, Bare: run(1), Onramp: run(2)},
			{Bare: run(4), Onramp: run(3)},
			{BareFirst: true, Bare: run(5), Onramp: run(6)},
		}, ""},
		{"broken in round two", 4, "bare onramp onramp bare", []bench.Round{
			{BareFirst: true, Bare: run(1), Onramp: run(2)},
		}, "round 2, bare: server ended"},
		{"broken at once", 1, "bare", nil, "round 1, bare: server ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var order []string
			measure := func(name string) bench.Measure {
				return func(context.Context) (bench.Run, error) {
					order = append(order, name)
					if len(order) == tt.failAt {
						return bench.Run{}, broken
					}
					return run(int64(len(order))), nil
				}
			}
			var reported []bench.Round
			got, err := bench.Alternate(t.Context(), 3, measure("bare"), measure("onramp"), func(r bench.Round) { reported = append(reported, r) })
			if errText(err) != tt.err || tt.err != "" && !errors.Is(err, broken) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if s := strings.Join(order, " "); s != tt.order {
				t.Errorf("order %s, want %s", s, tt.order)
			}
			if diff := cmp.Diff(tt.done, reported); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]bench.Round{}, tt.done...), got); diff != "" {
				t.Errorf("rounds (-want +got):\n%s", diff)
			}
		})
	}
	if got, err := bench.Alternate(t.Context(), 0, nil, nil, nil); len(got) != 0 || err != nil {
		t.Errorf("no rounds: %v, %v", got, err)
	}
}

func run(n int64) bench.Run { return bench.Run{Result: bench.Result{Requests: n}} }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// goldenJSON compares a report's JSON with a file, and what is read from it with
// the report.
func goldenJSON[R any](t *testing.T, name string, report *R) {
	t.Helper()
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name, string(text)+"\n")
	var got R
	roundTrip(t, report, &got)
	if diff := cmp.Diff(report, &got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
