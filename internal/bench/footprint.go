package bench

import (
	"io"
	"strings"
	"time"
)

// The bars of what the program takes before it does anything.
const (
	maxBinary = 45 * megabyte
	maxIdle   = 40 * megabyte
	maxReady  = 200 * time.Millisecond
)

// FootprintReport is the judgement over the program at rest. NewFootprint fills it.
type FootprintReport struct {
	Binary Bar `json:"binary_bytes"`   // stripped
	Idle   Bar `json:"resident_bytes"` // of a gateway that has nothing to do
	Ready  Bar `json:"ready_ms"`       // from its start until it serves
}

// NewFootprint judges the size of the binary in bytes, the memory of an idle gateway, zero
// when not measured, and the median of the times that starts took until they were ready.
func NewFootprint(binary int64, idle Memory, starts []time.Duration) *FootprintReport {
	return &FootprintReport{
		Binary: atMost(maxBinary, float64(binary), binary > 0),
		Idle:   atMost(maxIdle, float64(idle.Resident), idle.Resident > 0),
		Ready:  atMost(milliseconds(maxReady), milliseconds(median(starts)), len(starts) > 0),
	}
}

func (r *FootprintReport) bars() []judged {
	return []judged{
		{"stripped binary", r.Binary, " MB", megabyte, false},
		{"resident memory when idle", r.Idle, " MB", megabyte, true},
		{"start to ready", r.Ready, " ms", 1, false},
	}
}

// Misses says in words each bar that was not reached; none means accepted. Memory that was
// not measured is no miss.
func (r *FootprintReport) Misses() []string { return misses(r.bars()) }

// WriteText prints a line for each figure and its bar.
func (r *FootprintReport) WriteText(w io.Writer) error {
	var b strings.Builder
	writeVerdicts(&b, r.bars(), nil)
	_, err := io.WriteString(w, b.String())
	return err
}
