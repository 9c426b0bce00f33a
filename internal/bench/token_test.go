package bench_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

// goodTokens pass every bar of tokens.
func goodTokens() []bench.Round {
	rounds := goodRounds()
	for i := range rounds {
		r := &rounds[i]
		r.Onramp.Requests = r.Bare.Requests * int64(70+i) / 100
		r.Onramp.P50, r.Onramp.P99, r.Onramp.Fsyncs = r.Bare.P50*3/2, r.Bare.P99*3/2, 0
	}
	return rounds
}

func TestTokenReport(t *testing.T) {
	t.Parallel()
	warm := bench.Memory{Resident: 40_000_000, Peak: 41_000_000}
	bad := goodTokens()[:1]
	bad[0].Onramp.Requests = bad[0].Bare.Requests * 6499 / 10000
	bad[0].Onramp.P99 = bad[0].Bare.P99*2 + 1000
	bad[0].Onramp.Errors, bad[0].Onramp.Failures = 2, []string{"status 429: too many tries"}
	silent := goodTokens()
	silent[1].Onramp.Result = bench.Result{}
	for _, tt := range []struct {
		name   string
		report *bench.TokenReport
		misses []string
	}{
		{"good", bench.NewTokenReport(goodTokens(), warm, bench.Memory{Resident: 50_000_000, Peak: 52_000_000}), nil},
		{"bad", bench.NewTokenReport(bad, warm, bench.Memory{Resident: 50_000_001, Peak: 250_000_000}), []string{
			"ratio 0.649 (at least 0.65)",
			"p99 ratio 2.001 (at most 2)",
			"growth of resident memory 10.001 MB (at most 10 MB)",
			"errors 2 (at most 0)",
		}},
		{"shrunk", bench.NewTokenReport(goodTokens(), warm, bench.Memory{Resident: 30_000_000, Peak: 41_000_000}), nil},
		{"unmeasured", bench.NewTokenReport(goodTokens()[:1], bench.Memory{}, bench.Memory{}), nil},
		{"silent", bench.NewTokenReport(silent, warm, warm), []string{"p99 ratio not measured (at most 2)"}},
		{"nothing", bench.NewTokenReport(nil, warm, warm), []string{
			"ratio not measured (at least 0.65)", "p99 ratio not measured (at most 2)", "errors not measured (at most 0)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			if err := tt.report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "token-"+tt.name+".txt", text.String())
			if diff := cmp.Diff(tt.misses, tt.report.Misses()); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
			var got bench.TokenReport
			roundTrip(t, tt.report, &got)
			if diff := cmp.Diff(tt.report.Misses(), got.Misses()); diff != "" {
				t.Errorf("misses after JSON (-want +got):\n%s", diff)
			}
		})
	}
	goldenJSON(t, "token.json", bench.NewTokenReport(goodTokens()[:1], warm, warm))
	if rounds := goodTokens(); bench.NewTokenReport(rounds, warm, warm) == nil || rounds[0].Bare.Latency == nil {
		t.Error("the rounds given were changed")
	}
}
