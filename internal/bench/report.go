package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// The bars. A key on every request costs an index, so less is asked for then.
const (
	minRatio         = 0.25
	minRatioWithKeys = 0.22
	maxP99Ratio      = 4
	maxResident      = 64 * megabyte
	maxStart         = 200 * time.Millisecond

	megabyte = 1e6
)

// Bar is a figure with the value it has to reach.
type Bar struct {
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	// AtLeast says that Limit is the least; otherwise it is the most.
	AtLeast bool `json:"at_least"`
	// Measured is false when there is no value. That is not ok, but no miss
	// either where the machine does not report it (see Report.Misses).
	Measured bool `json:"measured"`
	OK       bool `json:"ok"`
}

func atLeast(limit, value float64, measured bool) Bar {
	return Bar{Value: value, Limit: limit, AtLeast: true, Measured: measured, OK: measured && value >= limit}
}

func atMost(limit, value float64, measured bool) Bar {
	return Bar{Value: value, Limit: limit, Measured: measured, OK: measured && value <= limit}
}

// Report is the judgement over all rounds. NewReport fills it.
type Report struct {
	Rounds          []Round `json:"rounds"`
	Connections     int     `json:"connections"`
	IdempotencyKeys bool    `json:"idempotency_keys"`
	ClearText       bool    `json:"clear_text,omitempty"` // personal data was not encrypted

	Medians

	// Over all rounds; zero when the fsyncs were not counted.
	FsyncsPerSecond  float64 `json:"fsyncs_per_second,omitempty"`
	FsyncsPerRequest float64 `json:"fsyncs_per_request,omitempty"`

	// MedianRatio and P99Ratio are medians of the ratios within a round, not
	// ratios of the medians above: only runs right after each other compare.
	MedianRatio Bar `json:"median_ratio"`
	P99Ratio    Bar `json:"p99_ratio"`
	// Resident is the largest of all rounds, in bytes.
	Resident Bar `json:"resident_bytes"`
	// StartToReady is in milliseconds.
	StartToReady Bar `json:"start_to_ready_ms"`
	// Errors counts both servers' in all rounds. There must be none: a rate
	// is worth little when some requests are lost for it.
	Errors Bar `json:"errors"`
}

// NewReport judges rounds, which it does not change. startToReady is how long
// Onramp took from its start until it was ready, zero when not measured. keys
// says that every request carried an idempotency key.
func NewReport(rounds []Round, startToReady time.Duration, keys bool) *Report {
	r := &Report{IdempotencyKeys: keys, Rounds: slices.Clone(rounds)}
	var fsyncs, requests, failed, resident int64
	var elapsed time.Duration
	for i := range r.Rounds {
		round := &r.Rounds[i]
		round.Bare.Latency, round.Onramp.Latency = nil, nil // thousands of numbers that nobody reads
		r.Connections = max(r.Connections, round.Onramp.Connections)
		requests += round.Onramp.Requests
		fsyncs += round.Onramp.Fsyncs
		elapsed += round.Onramp.Elapsed
		resident = max(resident, round.Onramp.ResidentBytes)
		failed += round.Bare.Errors + round.Onramp.Errors
	}
	if fsyncs > 0 && elapsed > 0 && requests > 0 {
		r.FsyncsPerSecond = float64(fsyncs) / elapsed.Seconds()
		r.FsyncsPerRequest = float64(fsyncs) / float64(requests)
	}

	r.Medians = mediansOf(r.Rounds)
	ratio := minRatio
	if keys {
		ratio = minRatioWithKeys
	}
	measured := len(rounds) > 0
	r.MedianRatio = atLeast(ratio, medianOf(r.Rounds, Round.Ratio), measured)
	r.P99Ratio = p99Ratio(maxP99Ratio, r.Rounds)
	r.Resident = atMost(maxResident, float64(resident), resident > 0)
	r.StartToReady = atMost(milliseconds(maxStart), milliseconds(startToReady), startToReady > 0)
	r.Errors = atMost(0, float64(failed), measured)
	return r
}

// judged is a bar as it is printed.
type judged struct {
	name string
	Bar
	unit     string
	scale    float64 // how much one unit is
	optional bool    // some machines cannot measure it
}

func (r *Report) bars() []judged {
	return []judged{
		{"ratio", r.MedianRatio, "", 1, false},
		{"p99 ratio", r.P99Ratio, "", 1, false},
		{"resident memory", r.Resident, " MB", megabyte, true},
		{"start to ready", r.StartToReady, " ms", 1, true},
		{"errors", r.Errors, "", 1, false},
	}
}

func (j judged) missed() bool { return !j.OK && (j.Measured || !j.optional) }

// String says the figure and what was asked: ratio 0.31 (at least 0.25).
func (j judged) String() string {
	side := "at most"
	if j.AtLeast {
		side = "at least"
	}
	value := "not measured"
	if j.Measured {
		value = fmt.Sprintf("%v%s", j.rounded(), j.unit)
	}
	return fmt.Sprintf("%s %s (%s %v%s)", j.name, value, side, j.Limit/j.scale, j.unit)
}

// rounded has three decimals and errs towards the miss: 0.2497 must not be
// printed as the 0.25 that it is not.
func (j judged) rounded() float64 {
	const decimals, noise = 1e3, 1e-6
	v := j.Value / j.scale * decimals
	if j.AtLeast {
		return math.Floor(v+noise) / decimals
	}
	return math.Ceil(max(v-noise, 0)) / decimals // none of them is negative, and -0 looks odd
}

func (j judged) verdict() string {
	switch {
	case j.OK:
		return "ok"
	case j.missed():
		return "MISSED"
	}
	return "-"
}

// Misses says in words each bar that was not reached; none means accepted.
// Memory and start that were not measured are no misses: outside Linux there is
// no telling. A ratio that was not measured is one.
func (r *Report) Misses() []string { return misses(r.bars()) }

func misses(bars []judged) []string {
	var all []string
	for _, j := range bars {
		if j.missed() {
			all = append(all, j.String())
		}
	}
	return all
}

// WriteText prints the report for people: a line a round, the medians, the bars.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	writeRounds(&b, r.Rounds)
	keys := "no idempotency keys"
	if r.IdempotencyKeys {
		keys = "a fresh idempotency key on every request"
	}
	if r.ClearText {
		keys += ", personal data in clear text"
	}
	fmt.Fprintf(&b, "\n%s, %d connections, %s\n", roundsText(len(r.Rounds)), r.Connections, keys)
	r.Medians.writeText(&b)
	if r.FsyncsPerSecond > 0 {
		fmt.Fprintf(&b, "fsyncs  %.0f/s, %.2g a request\n", r.FsyncsPerSecond, r.FsyncsPerRequest)
	} else {
		fmt.Fprintln(&b, "fsyncs  not counted")
	}
	fmt.Fprintln(&b)
	writeVerdicts(&b, r.bars(), failuresOf(r.Rounds))
	_, err := io.WriteString(w, b.String())
	return err
}

// writeVerdicts writes a line for each bar, and the remarks below them.
func writeVerdicts(b *strings.Builder, bars []judged, remarks []string) {
	for _, j := range bars {
		fmt.Fprintf(b, "%s %s\n", j, j.verdict())
	}
	for _, text := range remarks {
		fmt.Fprintf(b, "  %s\n", text)
	}
}

// failuresOf are the first different errors of all rounds, with whose they are.
func failuresOf(rounds []Round) []string {
	var all []string
	add := func(name string, texts []string) {
		for _, text := range texts {
			text = name + ": " + text
			if len(all) < maxFailures && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	for _, round := range rounds {
		add("bare", round.Bare.Failures)
		add("onramp", round.Onramp.Failures)
	}
	return all
}
