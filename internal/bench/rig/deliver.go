package rig

import (
	"context"
	"fmt"
	"time"

	"onramp/internal/bench"
)

// DeliverSettings are those of Deliver. For each mode, each delay is measured.
type DeliverSettings struct {
	Modes         []string        // of the data extension: sync, async or auto
	Delays        []time.Duration // of each call to the sandbox, in whole milliseconds
	Steps         int             // of the route: 1 for the data extension, 2 for the journey as well
	Connections   int             // of saturation and backlog
	Duration      time.Duration   // of saturation, after its warm-up
	QuietRate     float64         // registrations a second
	QuietDuration time.Duration   // of quiet, after its warm-up
	Backlog       int64           // registrations that wait in a further measurement, with the first delay; 0: none
	Data          string          // folder for the database; "": a temporary one
	Database      string          // postgres:// URL of a database made for this; "": SQLite
}

// Deliver measures how fast registrations reach the sandbox, and with how many
// calls.
func (r *Rig) Deliver(ctx context.Context, s DeliverSettings) (*bench.DeliverReport, error) {
	var cases []bench.DeliverCase
	var backlogs []bench.Backlog
	for _, mode := range s.Modes {
		for _, delay := range s.Delays {
			to := bench.Destination{Mode: mode, Steps: s.Steps, Call: delay}
			measured, err := r.deliverCase(ctx, s, to)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", to, err)
			}
			cases = append(cases, measured)
		}
		if s.Backlog == 0 {
			continue
		}
		to := bench.Destination{Mode: mode, Steps: s.Steps, Call: s.Delays[0]}
		measured, err := r.deliverBacklog(ctx, s, to)
		if err != nil {
			return nil, fmt.Errorf("%v, backlog: %w", to, err)
		}
		backlogs = append(backlogs, measured)
	}
	return bench.NewDeliverReport(cases, backlogs), nil
}
