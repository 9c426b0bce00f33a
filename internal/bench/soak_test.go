package bench_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

func TestSlope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		x, y []float64

		slope, standardError float64
	}{
		{"a line", []float64{0, 1, 2, 3}, []float64{5, 7, 9, 11}, 2, 0},
		{"flat", []float64{0, 1, 2}, []float64{4, 4, 4}, 0, 0},
		{"scattered, by hand", []float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}, 0.8, math.Sqrt(3.6 / 3 / 10)},
		{"one moment", []float64{1, 1}, []float64{1, 9}, 0, 0},
		{"nothing", nil, nil, 0, 0},
	} {
		slope, standardError := bench.Slope(tt.x, tt.y)
		if math.Abs(slope-tt.slope) > 1e-9 || math.Abs(standardError-tt.standardError) > 1e-9 {
			t.Errorf("%s: slope %v ± %v, want %v ± %v", tt.name, slope, standardError, tt.slope, tt.standardError)
		}
	}
}

// goodSoak is a soak in which all adds up, and whose gateway grows only in its first half.
func goodSoak() bench.SoakReport {
	r := bench.SoakReport{
		Duration: 10 * time.Minute, Rate: 10, EventRate: 100, Faults: map[string]int64{"500": 3},
		Registrations: bench.SoakRegistrations{Sent: 1000, Accepted: 1000, Delivered: 998, Dead: 2, Planted: 2, Rows: 998},
		Events:        bench.SoakEvents{Sent: 5000, Stored: 5000, Received: 5100, Forwarded: 5000},
	}
	for at := time.Duration(0); at < r.Duration; at += 10 * time.Second {
		r.Samples = append(r.Samples, bench.Sample{At: at, Resident: 30e6 + 4e6*int64(min(at, 5*time.Minute)/time.Minute), Goroutines: 40, Files: 20})
	}
	return r
}

// A soak is good only if everything adds up and nothing grows in its second half.
func TestSoakReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		edit func(r *bench.SoakReport)
		want []string // misses
	}{
		{"good", func(*bench.SoakReport) {}, nil},
		{"a registration is lost", func(r *bench.SoakReport) {
			r.Registrations.Delivered, r.Registrations.Rows, r.Registrations.Missing = 997, 997, 1
			r.Registrations.Accepted = 999
		}, []string{"unaccounted 2 (at most 0)"}},
		{"one is dead that was not planted", func(r *bench.SoakReport) {
			r.Registrations.Delivered, r.Registrations.Dead, r.Registrations.Rows = 997, 3, 997
		}, []string{"unaccounted 1 (at most 0)"}},
		{"an event is missing", func(r *bench.SoakReport) { r.Events.Forwarded, r.Events.Missing = 4999, 1 }, []string{"unaccounted 2 (at most 0)"}},
		{"an event has two ids", func(r *bench.SoakReport) { r.Events.Forwarded, r.Events.Doubled = 5001, 1 }, []string{"unaccounted 2 (at most 0)"}},
		{"nothing was sent", func(r *bench.SoakReport) {
			r.Registrations, r.Events = bench.SoakRegistrations{}, bench.SoakEvents{}
		}, []string{"unaccounted not measured (at most 0)"}},
		{"memory grows", func(r *bench.SoakReport) {
			for i := range r.Samples {
				r.Samples[i].Resident = int64(2e6 * r.Samples[i].At.Minutes())
			}
		}, []string{"memory grows by at least 2 MB/min (at most 1 MB/min)"}},
		{"memory goes up and down by more than it grows", func(r *bench.SoakReport) {
			for i := range r.Samples {
				r.Samples[i].Resident = int64(2e6*r.Samples[i].At.Minutes()) + int64(i*7%5)*20e6
			}
		}, nil},
		{"goroutines and files grow", func(r *bench.SoakReport) {
			for i := range r.Samples {
				r.Samples[i].Goroutines, r.Samples[i].Files = i, i
			}
		}, []string{"goroutines grow by at least 6/min (at most 5/min)", "open files grow by at least 6/min (at most 2/min)"}},
		{"too short for a slope", func(r *bench.SoakReport) {
			r.Duration = time.Minute
			for i := range r.Samples {
				r.Samples[i].Goroutines = i
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodSoak()
			tt.edit(&r)
			if diff := cmp.Diff(tt.want, bench.NewSoakReport(r).Misses()); diff != "" {
				t.Errorf("misses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSoakText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := bench.NewSoakReport(goodSoak()).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"registrations  1000 sent (0 repeats), 1000 accepted = 998 delivered + 2 dead + 0 other; 2 planted, 998 rows, 0 missing, 0 wrong\n",
		"memory         50 MB at half-time, 50 at the end, 50 at most; slope 0.00 ± 0.00 MB a minute\n", "\nmemory grows by at least 0 MB/min (at most 1 MB/min) ok\n", "\nunaccounted 0 (at most 0) ok\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}
