package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Run is one server's part of a round: what its clients saw, and what it spent
// meanwhile. Zero means not measured. Fsyncs and CPU are set against Requests,
// so they should cover the same time: warm up with a separate Load, and read
// the counters before and after one without Warmup.
type Run struct {
	Result
	// Fsyncs is how often the server flushed to disk.
	Fsyncs int64 `json:"fsyncs,omitempty"`
	// ResidentBytes is the most memory it held.
	ResidentBytes int64 `json:"resident_bytes,omitempty"`
	// CPU is the processor time it used.
	CPU time.Duration `json:"cpu_ns,omitempty"`
}

// cpuPerRequest is zero when not measured.
func (r Run) cpuPerRequest() time.Duration {
	if r.Requests == 0 {
		return 0
	}
	return r.CPU / time.Duration(r.Requests)
}

// Round is one run of each server, right after each other, so that both see
// the same machine.
type Round struct {
	BareFirst bool `json:"bare_first"`
	Bare      Run  `json:"bare"`
	Onramp    Run  `json:"onramp"`
}

// Ratio is Onramp's rate as a share of the bare handler's; zero when that
// answered nothing.
func (r Round) Ratio() float64 {
	if r.Bare.Rate() == 0 {
		return 0
	}
	return r.Onramp.Rate() / r.Bare.Rate()
}

// P99Ratio is Onramp's p99 as a multiple of the bare handler's. It is not ok
// when one of them answered nothing, since then there is nothing to compare.
func (r Round) P99Ratio() (ratio float64, ok bool) {
	if r.Bare.Requests == 0 || r.Onramp.Requests == 0 || r.Bare.P99 <= 0 {
		return 0, false
	}
	return float64(r.Onramp.P99) / float64(r.Bare.P99), true
}

// writeRounds writes a line for each round, below a heading.
func writeRounds(w io.Writer, rounds []Round) {
	fmt.Fprintln(w, roundHeader)
	for _, round := range rounds {
		fmt.Fprintln(w, round)
	}
}

// roundHeader names the columns of a Round's line.
const roundHeader = "first     bare/s  onramp/s  ratio  bare p50 / p99 ms  onramp p50 / p99 ms  fsyncs/s  resident MB  errors"

const roundLine = "%-6s  %8.0f  %8.0f  %5.3f  %17s  %19s  %8s  %11s  %6d"

// String is the round's line in the table of the report.
func (r Round) String() string {
	first := "onramp"
	if r.BareFirst {
		first = "bare"
	}
	fsyncs, resident := "-", "-"
	if r.Onramp.Fsyncs > 0 && r.Onramp.Elapsed > 0 {
		fsyncs = fmt.Sprintf("%.0f", float64(r.Onramp.Fsyncs)/r.Onramp.Elapsed.Seconds())
	}
	if r.Onramp.ResidentBytes > 0 {
		resident = fmt.Sprintf("%.1f", float64(r.Onramp.ResidentBytes)/megabyte)
	}
	return strings.TrimRight(fmt.Sprintf(roundLine, first, r.Bare.Rate(), r.Onramp.Rate(), r.Ratio(),
		latencies(r.Bare.Result), latencies(r.Onramp.Result), fsyncs, resident, r.Bare.Errors+r.Onramp.Errors), " ")
}

func latencies(r Result) string {
	return fmt.Sprintf("%.2f / %.2f", milliseconds(r.P50), milliseconds(r.P99))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Measure runs one server's part of a round.
type Measure func(ctx context.Context) (Run, error)

// Alternate measures both servers n times in turns. The first round
// begins with the bare one, the next with Onramp, and so on: a machine that
// grows slower or faster meanwhile favours neither. done, when not nil, is called
// with each round as it ends. Alternate stops at the first error and returns it
// with the rounds that were complete.
func Alternate(ctx context.Context, rounds int, bare, onramp Measure, done func(Round)) ([]Round, error) {
	all := make([]Round, 0, max(rounds, 0))
	for i := range rounds {
		r := Round{BareFirst: i%2 == 0}
		halves := []struct {
			name    string
			measure Measure
			into    *Run
		}{{"bare", bare, &r.Bare}, {"onramp", onramp, &r.Onramp}}
		if !r.BareFirst {
			halves[0], halves[1] = halves[1], halves[0]
		}
		for _, h := range halves {
			run, err := h.measure(ctx)
			if err != nil {
				return all, fmt.Errorf("round %d, %s: %w", i+1, h.name, err)
			}
			*h.into = run
		}
		all = append(all, r)
		if done != nil {
			done(r)
		}
	}
	return all, nil
}
