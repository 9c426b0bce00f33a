package bench_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

// Whatever the durations, each quantile is within 2 % of the exact one, taken
// from all of them sorted; and so it is when they were counted in parts.
func TestHistogramQuantile(t *testing.T) {
	t.Parallel()
	quantiles := []float64{-1, 0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.99999, 1, 2}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		// Some narrow, some over the whole range: a factor of up to 60 million.
		low := math.Log(1e3) + random.Float64()*math.Log(1e7)
		spread := random.Float64() * (math.Log(60e9) - low)
		all := make([]time.Duration, 1+random.IntN(2000))
		parts := make([]bench.Histogram, 3)
		for i := range all {
			all[i] = time.Duration(math.Exp(low + random.Float64()*spread))
			parts[random.IntN(len(parts))].Record(all[i])
		}
		var h bench.Histogram
		for i := range parts {
			h.Merge(&parts[i])
		}
		slices.Sort(all)
		if h.Count() != int64(len(all)) || h.Max() != all[len(all)-1] {
			t.Fatalf("seed %d: count %d, max %v; want %d, %v", seed, h.Count(), h.Max(), len(all), all[len(all)-1])
		}
		for _, q := range quantiles {
			rank := int(math.Ceil(q * float64(len(all))))
			exact := all[min(max(rank, 1), len(all))-1]
			got := h.Quantile(q)
			if off := math.Abs(float64(got-exact)) / float64(exact); off > 0.02 {
				t.Errorf("seed %d: quantile %v of %d is %v, exactly %v: off by %.1f %%", seed, q, len(all), got, exact, off*100)
			}
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	t.Parallel()
	type figures struct {
		Count                int64
		Low, Half, High, Max time.Duration
	}
	for _, tt := range []struct {
		name   string
		record []time.Duration
		want   figures
	}{
		{"empty", nil, figures{}},
		{"one", []time.Duration{time.Millisecond}, figures{1, time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}},
		{"negative", []time.Duration{-5}, figures{Count: 1}},
		{"too short", []time.Duration{0, 1, 3}, figures{3, 0, 3, 3, 3}},
		{"too long", []time.Duration{time.Hour, time.Hour, 2 * time.Hour}, figures{3, time.Hour, time.Hour, 2 * time.Hour, 2 * time.Hour}},
		{"longest", []time.Duration{math.MaxInt64}, figures{1, math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var h bench.Histogram
			for _, d := range tt.record {
				h.Record(d)
			}
			h.Merge(nil)
			h.Merge(new(bench.Histogram))
			got := figures{h.Count(), h.Quantile(0), h.Quantile(0.5), h.Quantile(1), h.Max()}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHistogramJSON(t *testing.T) {
	t.Parallel()
	var h bench.Histogram
	roundTrip(t, &h, &h)
	for i := range 1000 {
		h.Record(time.Duration(i*i) * time.Microsecond)
	}
	var got bench.Histogram
	roundTrip(t, &h, &got)
	if diff := cmp.Diff(h, got, cmp.AllowUnexported(h)); diff != "" {
		t.Errorf("histogram (-want +got):\n%s", diff)
	}
	for _, text := range []string{
		`[]`,
		`{"min_ns":-1,"max_ns":1,"buckets":[[0,1]]}`,
		`{"min_ns":2,"max_ns":1,"buckets":[[0,1]]}`,
		`{"min_ns":1,"max_ns":1,"buckets":[]}`,
		`{"min_ns":1,"max_ns":1,"buckets":[[-1,1]]}`,
		`{"min_ns":1,"max_ns":1,"buckets":[[100000,1]]}`,
		`{"min_ns":1,"max_ns":1,"buckets":[[1,0]]}`,
		`{"min_ns":1,"max_ns":1,"buckets":[[1,9223372036854775807],[2,1]]}`,
	} {
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	if diff := cmp.Diff(h, got, cmp.AllowUnexported(h)); diff != "" {
		t.Errorf("histogram after refusals (-want +got):\n%s", diff)
	}
}
