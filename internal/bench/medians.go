package bench

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Medians are those of rounds.
type Medians struct {
	BareRate   float64       `json:"bare_rate"`
	OnrampRate float64       `json:"onramp_rate"`
	BareP50    time.Duration `json:"bare_p50_ns"`
	BareP99    time.Duration `json:"bare_p99_ns"`
	OnrampP50  time.Duration `json:"onramp_p50_ns"`
	OnrampP99  time.Duration `json:"onramp_p99_ns"`
	BareCPU    time.Duration `json:"bare_cpu_per_request_ns,omitempty"`
	OnrampCPU  time.Duration `json:"onramp_cpu_per_request_ns,omitempty"`
}

func mediansOf(rounds []Round) Medians {
	return Medians{
		BareRate:   medianOf(rounds, func(r Round) float64 { return r.Bare.Rate() }),
		OnrampRate: medianOf(rounds, func(r Round) float64 { return r.Onramp.Rate() }),
		BareP50:    medianOf(rounds, func(r Round) time.Duration { return r.Bare.P50 }),
		BareP99:    medianOf(rounds, func(r Round) time.Duration { return r.Bare.P99 }),
		OnrampP50:  medianOf(rounds, func(r Round) time.Duration { return r.Onramp.P50 }),
		OnrampP99:  medianOf(rounds, func(r Round) time.Duration { return r.Onramp.P99 }),
		BareCPU:    medianOf(rounds, func(r Round) time.Duration { return r.Bare.cpuPerRequest() }),
		OnrampCPU:  medianOf(rounds, func(r Round) time.Duration { return r.Onramp.cpuPerRequest() }),
	}
}

// p99Ratio judges the median of the rounds' ratios. A round without one makes the
// whole unmeasured; it would else be judged by the rounds that went well.
func p99Ratio(limit float64, rounds []Round) Bar {
	var ratios []float64
	for _, round := range rounds {
		if ratio, ok := round.P99Ratio(); ok {
			ratios = append(ratios, ratio)
		}
	}
	return atMost(limit, median(ratios), len(rounds) > 0 && len(ratios) == len(rounds))
}

// roundsText says of what the medians are.
func roundsText(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("median of %d rounds", n)
}

func (m Medians) writeText(w io.Writer) {
	writeSide(w, "bare", m.BareRate, m.BareP50, m.BareP99, m.BareCPU)
	writeSide(w, "onramp", m.OnrampRate, m.OnrampP50, m.OnrampP99, m.OnrampCPU)
}

func writeSide(w io.Writer, name string, rate float64, p50, p99, cpu time.Duration) {
	spent := ""
	if cpu > 0 {
		spent = fmt.Sprintf(", %.1f µs of CPU a request", float64(cpu)/float64(time.Microsecond))
	}
	fmt.Fprintf(w, "%-6s  %.0f requests/s, p50 %.2f ms, p99 %.2f ms%s\n", name, rate, milliseconds(p50), milliseconds(p99), spent)
}

func medianOf[T ~int64 | ~float64](rounds []Round, value func(Round) T) T {
	values := make([]T, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return median(values)
}

// median of none is zero; of an even number it is half-way between the middle two.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1] + (sorted[middle]-sorted[middle-1])/2
}
