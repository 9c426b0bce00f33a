package bench

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// The bars of a soak: what the gateway may grow by in a minute, by the slope of the least
// squares over the second half. What a loaded process uses goes up and down by more than that, so
// a slope has an error, which is the less the longer a soak is: a miss is what is certain.
const (
	maxMemorySlope    = 1 * megabyte
	maxGoroutineSlope = 5
	maxFileSlope      = 2

	// shortestTrend is the shortest second half whose slope is judged: what a process needs
	// for a few seconds says nothing about years.
	shortestTrend = time.Minute

	// trendBlocks are the parts of the second half whose means the line goes through: single
	// samples depend on the ones before them, and would make the error too small.
	trendBlocks = 20
	certain     = 2 // standard errors
)

// Sample is what a gateway used at one moment.
type Sample struct {
	At         time.Duration `json:"at_ns"` // since the begin of the soak
	Resident   int64         `json:"resident_bytes"`
	Goroutines int           `json:"goroutines"`
	Files      int           `json:"open_files"`
}

// SoakRegistrations is what became of the registrations of a soak.
type SoakRegistrations struct {
	Sent      int64 `json:"sent"`    // different ones, each until it was answered
	Repeats   int64 `json:"repeats"` // requests that were sent again, with the same Idempotency-Key
	Accepted  int64 `json:"accepted"`
	Delivered int64 `json:"delivered"`
	Dead      int64 `json:"dead"`
	Other     int64 `json:"other"`   // in any other state at the end
	Planted   int64 `json:"planted"` // that the sandbox refuses
	Rows      int64 `json:"rows"`    // in the sandbox
	Missing   int64 `json:"missing"` // not planted, and without a row
	Wrong     int64 `json:"wrong"`   // dead without being planted, planted with a row, or rows of nobody
}

// SoakEvents is what became of the events of a soak.
type SoakEvents struct {
	Sent      int64 `json:"sent"`      // different ones, each batch until it was answered 2xx
	Repeats   int64 `json:"repeats"`   // batches that were sent again
	Stored    int64 `json:"stored"`    // by the gateway's count
	Received  int64 `json:"received"`  // by the sink, repeats included
	Forwarded int64 `json:"forwarded"` // the same, by different ids
	Missing   int64 `json:"missing"`   // sent, and not in the sink
	Doubled   int64 `json:"doubled"`   // in the sink under more than one id
}

// Trend is how one figure went.
type Trend struct {
	First float64 `json:"first"` // of the second half
	Last  float64 `json:"last"`
	Most  float64 `json:"most"`             // of the whole soak
	Slope float64 `json:"slope_per_minute"` // of the least squares over the second half
	Error float64 `json:"slope_error"`      // its standard error
	// Growth is what it grew by in a minute at the least: Slope less twice its Error.
	Growth Bar `json:"growth_per_minute"`
}

// SoakReport is the judgement over a soak. NewSoakReport fills it.
type SoakReport struct {
	Duration      time.Duration     `json:"duration_ns"`
	Rate          float64           `json:"registration_rate"` // registrations a second
	EventRate     float64           `json:"event_rate"`        // events a second
	Seed          uint64            `json:"seed"`              // of the faults
	Kills         int               `json:"kills"`
	Slowest       time.Duration     `json:"slowest_start_ns"` // of the starts after a kill
	Settled       time.Duration     `json:"settled_ns"`       // from the end of the load until nothing waited any more
	Faults        map[string]int64  `json:"faults"`           // how often each was set
	Registrations SoakRegistrations `json:"registrations"`
	Events        SoakEvents        `json:"events"`
	Samples       []Sample          `json:"samples"`

	// Unaccounted is all that does not add up: there must be nothing.
	Unaccounted Bar   `json:"unaccounted"`
	Memory      Trend `json:"memory_bytes"`
	Goroutines  Trend `json:"goroutines"`
	Files       Trend `json:"open_files"`
}

// NewSoakReport judges a soak: it fills in the trends and what does not add up.
func NewSoakReport(r SoakReport) *SoakReport {
	g, e := r.Registrations, r.Events
	r.Unaccounted = atMost(0, float64(distance(g.Sent, g.Accepted)+distance(g.Accepted, g.Delivered+g.Dead)+distance(g.Planted, g.Dead)+
		distance(g.Delivered, g.Rows)+g.Other+g.Missing+g.Wrong+distance(e.Sent, e.Stored)+distance(e.Sent, e.Forwarded)+e.Missing+e.Doubled), g.Sent > 0 && e.Sent > 0)
	r.Memory = r.trend(maxMemorySlope, func(s Sample) float64 { return float64(s.Resident) })
	r.Goroutines = r.trend(maxGoroutineSlope, func(s Sample) float64 { return float64(s.Goroutines) })
	r.Files = r.trend(maxFileSlope, func(s Sample) float64 { return float64(s.Files) })
	return &r
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// trend judges one figure of the samples.
func (r *SoakReport) trend(limit float64, figure func(Sample) float64) (t Trend) {
	var minutes, values []float64
	for _, s := range r.Samples {
		t.Most = max(t.Most, figure(s))
		if s.At >= r.Duration/2 {
			minutes, values = append(minutes, s.At.Minutes()), append(values, figure(s))
		}
	}
	if len(values) > 0 {
		t.First, t.Last = values[0], values[len(values)-1]
	}
	t.Slope, t.Error = Slope(means(minutes, trendBlocks), means(values, trendBlocks))
	t.Growth = atMost(limit, t.Slope-certain*t.Error, len(values) >= trendBlocks && r.Duration/2 >= shortestTrend)
	return t
}

// means divides values into n parts and returns the mean of each; fewer values stay as they are.
func means(values []float64, n int) []float64 {
	if len(values) < n {
		return values
	}
	all := make([]float64, n)
	for i := range all {
		part := values[i*len(values)/n : (i+1)*len(values)/n]
		for _, v := range part {
			all[i] += v / float64(len(part))
		}
	}
	return all
}

// Slope is that of the straight line with the least squares through points, by how much y
// grows where x grows by one, and its standard error. Both are 0 where there is no such line;
// through two points it has no error.
func Slope(x, y []float64) (slope, standardError float64) {
	if len(x) < 2 || len(x) != len(y) {
		return 0, 0
	}
	var meanX, meanY, products, squares, residuals float64
	for i := range x {
		meanX += x[i] / float64(len(x))
		meanY += y[i] / float64(len(x))
	}
	for i := range x {
		products += (x[i] - meanX) * (y[i] - meanY)
		squares += (x[i] - meanX) * (x[i] - meanX)
	}
	if squares == 0 {
		return 0, 0
	}
	slope = products / squares
	for i := range x {
		off := y[i] - meanY - slope*(x[i]-meanX)
		residuals += off * off
	}
	return slope, math.Sqrt(residuals / float64(max(len(x)-2, 1)) / squares)
}

func (r *SoakReport) bars() []judged {
	return []judged{
		{"unaccounted", r.Unaccounted, "", 1, false},
		{"memory grows by at least", r.Memory.Growth, " MB/min", megabyte, true},
		{"goroutines grow by at least", r.Goroutines.Growth, "/min", 1, true},
		{"open files grow by at least", r.Files.Growth, "/min", 1, true},
	}
}

// Misses says in words each bar that was not reached; none means accepted. The slopes of a soak
// of less than two minutes are not judged.
func (r *SoakReport) Misses() []string { return misses(r.bars()) }

// WriteText prints the report for people.
func (r *SoakReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v with %v registrations and %v events a second, seed %d\n", r.Duration, r.Rate, r.EventRate, r.Seed)
	fmt.Fprintf(&b, "%d kills, the slowest start after one %.0f ms, settled %.1f s after the load\n", r.Kills, milliseconds(r.Slowest), r.Settled.Seconds())
	fmt.Fprint(&b, "faults:")
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(&b, " %s %d", name, r.Faults[name])
	}
	g, e := r.Registrations, r.Events
	fmt.Fprintf(&b, "\n\nregistrations  %d sent (%d repeats), %d accepted = %d delivered + %d dead + %d other; %d planted, %d rows, %d missing, %d wrong\n",
		g.Sent, g.Repeats, g.Accepted, g.Delivered, g.Dead, g.Other, g.Planted, g.Rows, g.Missing, g.Wrong)
	fmt.Fprintf(&b, "events         %d sent (%d batches repeated), %d stored; the sink has %d, %d by id, %d missing, %d doubled\n",
		e.Sent, e.Repeats, e.Stored, e.Received, e.Forwarded, e.Missing, e.Doubled)
	for _, line := range []struct {
		name string
		Trend
		scale float64
		unit  string
	}{{"memory", r.Memory, megabyte, " MB"}, {"goroutines", r.Goroutines, 1, ""}, {"open files", r.Files, 1, ""}} {
		fmt.Fprintf(&b, "%-14s %.0f%s at half-time, %.0f at the end, %.0f at most; slope %.2f ± %.2f%s a minute\n", line.name,
			line.First/line.scale, line.unit, line.Last/line.scale, line.Most/line.scale, line.Slope/line.scale, line.Error/line.scale, line.unit)
	}
	fmt.Fprintln(&b)
	writeVerdicts(&b, r.bars(), nil)
	_, err := io.WriteString(w, b.String())
	return err
}
