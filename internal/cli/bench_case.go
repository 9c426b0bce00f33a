package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"onramp/internal/bench"
)

const (
	longestWarmUp    = 5 * time.Second // else a quarter of what follows
	quietConnections = 1024            // as many may wait for their outcome; they are made as needed
	drainLimit       = time.Minute     // how long what a load has left is waited for

	tokenRoute = "POST /v2/token"
)

// deliverCase measures a destination on a database of its own.
func (c *command) deliverCase(ctx context.Context, s deliverSettings, to bench.Destination) (measured bench.DeliverCase, err error) {
	r, err := c.startRig(ctx, s, to)
	if err != nil {
		return measured, err
	}
	defer r.close()
	measured.Destination = to
	if err := r.unblock(ctx); err != nil {
		return measured, err
	}
	c.progress("%v: quiet", to)
	if measured.Quiet, err = r.quiet(ctx); err != nil {
		return measured, fmt.Errorf("quiet: %w", err)
	}
	c.progress("%v: saturation", to)
	if measured.Saturation, err = r.saturate(ctx); err != nil {
		return measured, fmt.Errorf("saturation: %w", err)
	}
	return measured, nil
}

// warmUp is how long to send before a measurement.
func warmUp(d time.Duration) time.Duration { return min(d/4, longestWarmUp) }

// quiet measures how long a registration takes when nobody is busy.
func (r *rig) quiet(ctx context.Context) (q bench.Quiet, err error) {
	load, err := r.load()
	if err != nil {
		return q, err
	}
	load.Rate, load.Connections = r.settings.quietRate, quietConnections
	load.Header.Set("Prefer", "wait=30")
	load.WantStatus = http.StatusCreated
	load.Warmup, load.Duration = warmUp(r.settings.quietDuration), r.settings.quietDuration
	q.Rate = r.settings.quietRate
	if q.Result, err = runLoad(ctx, load); err != nil {
		return q, err
	}
	// what it may have left must not be counted to the next measurement
	_, _, err = r.poll(ctx, drainLimit, idle)
	return q, err
}

// saturate measures how much gets through, and checks that all of it did.
func (r *rig) saturate(ctx context.Context) (s bench.Saturation, err error) {
	rows, err := r.rows(ctx)
	if err != nil {
		return s, err
	}
	before, err := r.sandbox.stats()
	if err != nil {
		return s, err
	}
	start, err := r.read(ctx)
	if err != nil {
		return s, err
	}
	settled, err := r.window(ctx, &s)
	if err != nil {
		return s, err
	}
	s.TotalAccepted = settled.Accepted - start.Accepted
	s.TotalDelivered = settled.delivered() - start.delivered()
	s.Failed = settled.failed() - start.failed()
	s.Left = s.TotalAccepted - s.TotalDelivered - s.Failed
	s.ResidentBytes = settled.memory.Peak
	after, err := r.sandbox.stats()
	if err != nil {
		return s, err
	}
	s.Refused = after.Refused - before.Refused
	s.Calls = callsSince(before.Calls, after.Calls)
	s.Rows, err = r.rows(ctx)
	s.Rows -= rows
	return s, err
}

// window loads the gateway, measures between the end of the warm-up and the end
// of the load, and returns the reading when all was settled.
func (r *rig) window(ctx context.Context, s *bench.Saturation) (settled reading, err error) {
	load, err := r.load()
	if err != nil {
		return settled, err
	}
	load.Duration = warmUp(r.settings.duration) + r.settings.duration
	l, err := startLoad(ctx, load)
	if err != nil {
		return settled, err
	}
	defer l.stop()
	loadEnd := l.begun.Add(load.Duration)
	begin, err := r.readAt(ctx, l.begun.Add(warmUp(r.settings.duration)))
	if err != nil {
		return settled, err
	}
	end, err := r.readAt(ctx, loadEnd)
	if err != nil {
		return settled, err
	}
	if s.Accept, err = l.result(); err != nil {
		return settled, err
	}
	s.Window = end.at.Sub(begin.at)
	s.Accepted, s.Delivered = end.Accepted-begin.Accepted, end.delivered()-begin.delivered()
	s.Oldest, s.CPU = end.oldest(), end.cpu-begin.cpu
	settled, _, err = r.poll(ctx, drainLimit, idle)
	s.Drained = settled.at.Sub(loadEnd)
	return settled, err
}

// callsSince leaves out the calls for a token: they are few, and not slowed down.
func callsSince(before, after map[string]int64) map[string]int64 {
	calls := map[string]int64{}
	for route, n := range after {
		if n -= before[route]; n > 0 && route != tokenRoute {
			calls[route] = n
		}
	}
	return calls
}
