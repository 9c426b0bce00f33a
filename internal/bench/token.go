package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// The bars of giving out tokens.
const (
	minTokenRatio    = 0.65
	maxTokenP99Ratio = 2
	maxTokenGrowth   = 10 * megabyte
)

// TokenReport is the judgement of a token endpoint beside a bare handler that
// signs the same token. NewTokenReport fills it.
type TokenReport struct {
	Rounds      []Round `json:"rounds"`
	Connections int     `json:"connections"`
	Medians
	// Begin and End are Onramp's memory after it was warmed up and after the last
	// round; zero: not measured.
	Begin Memory `json:"begin"`
	End   Memory `json:"end"`

	// MedianRatio and P99Ratio are medians of the ratios within a round.
	MedianRatio Bar `json:"median_ratio"`
	P99Ratio    Bar `json:"p99_ratio"`
	// Growth is by how much Resident grew from Begin to End, in bytes.
	Growth Bar `json:"growth_bytes"`
	// Errors counts both servers' in all rounds.
	Errors Bar `json:"errors"`
}

// NewTokenReport judges rounds, which it does not change.
func NewTokenReport(rounds []Round, begin, end Memory) *TokenReport {
	r := &TokenReport{Rounds: slices.Clone(rounds), Medians: mediansOf(rounds), Begin: begin, End: end}
	var failed int64
	for i := range r.Rounds {
		round := &r.Rounds[i]
		round.Bare.Latency, round.Onramp.Latency = nil, nil // thousands of numbers that nobody reads
		r.Connections = max(r.Connections, round.Onramp.Connections)
		failed += round.Bare.Errors + round.Onramp.Errors
	}
	measured := len(rounds) > 0
	r.MedianRatio = atLeast(minTokenRatio, medianOf(rounds, Round.Ratio), measured)
	r.P99Ratio = p99Ratio(maxTokenP99Ratio, rounds)
	growth := max(end.Resident-begin.Resident, 0)
	r.Growth = atMost(maxTokenGrowth, float64(growth), begin.Resident > 0 && end.Resident > 0)
	r.Errors = atMost(0, float64(failed), measured)
	return r
}

func (r *TokenReport) bars() []judged {
	return []judged{
		{"ratio", r.MedianRatio, "", 1, false},
		{"p99 ratio", r.P99Ratio, "", 1, false},
		{"growth of resident memory", r.Growth, " MB", megabyte, true},
		{"errors", r.Errors, "", 1, false},
	}
}

// Misses says in words each bar that was not reached; none means accepted.
// Memory that was not measured is no miss.
func (r *TokenReport) Misses() []string { return misses(r.bars()) }

// WriteText prints the report for people: a line a round, the medians, the bars.
func (r *TokenReport) WriteText(w io.Writer) error {
	var b strings.Builder
	writeRounds(&b, r.Rounds)
	fmt.Fprintf(&b, "\n%s, %d connections, a token a request\n", roundsText(len(r.Rounds)), r.Connections)
	r.Medians.writeText(&b)
	fmt.Fprintf(&b, "memory  resident %s MB when warm, %s MB at the end, at most %s MB\n\n",
		megabytes(r.Begin.Resident), megabytes(r.End.Resident), megabytes(r.End.Peak))
	writeVerdicts(&b, r.bars(), failuresOf(r.Rounds))
	_, err := io.WriteString(w, b.String())
	return err
}
