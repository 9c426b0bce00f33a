// Package rig sets up what the measurements of package bench need: the gateway,
// the sandbox or what else stands for Marketing Cloud, the handlers to compare
// with, and the load generator. All but the cloud stub run as separate processes,
// so that they share no scheduler and no garbage collector.
//
// The processes are this same program, started again: give a Rig the arguments
// that lead to RunPart. Accept, Token, Events and Deliver each run one measurement
// and return package bench's report. Nothing here prints.
package rig

import (
	"io"
	"net/http"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
)

// Rig runs measurements.
type Rig struct {
	// Command holds the arguments with which this program calls RunPart, all but
	// the name of the part, which follows.
	Command []string
	// Stderr gets what the processes print there.
	Stderr io.Writer
	// Progress is called with what begins now; nil: nobody wants to know.
	Progress func(format string, args ...any)
}

func (r *Rig) progress(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(format, args...)
	}
}

const (
	anyPort       = "127.0.0.1:0"
	longestWarmUp = 5 * time.Second
)

// warmUp is how long to send before a measurement.
func warmUp(d time.Duration) time.Duration { return min(d/4, longestWarmUp) }

// registrations is a load of registrations with the headers that a browser sends,
// so that the rows have the size of real ones.
func registrations(body string) bench.LoadConfig {
	return bench.LoadConfig{
		Path: app.DemoPath, Body: []byte(body),
		Header: http.Header{
			"User-Agent": {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"},
			"Referer":    {"https://example.com/register"},
		},
	}
}
