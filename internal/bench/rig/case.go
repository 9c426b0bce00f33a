package rig

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"onramp/internal/bench"
)

const (
	quietConnections = 1024        // as many may wait for their outcome; they are made as needed
	drainLimit       = time.Minute // how long to wait for what a load has left

	tokenRoute = "POST /v2/token"
)

// deliverCase measures a destination on a new database.
func (r *Rig) deliverCase(ctx context.Context, s DeliverSettings, to bench.Destination) (measured bench.DeliverCase, err error) {
	d, err := r.startDeliveryRig(ctx, s, to)
	if err != nil {
		return measured, err
	}
	defer d.close()
	measured.Destination = to
	if err := d.unblock(ctx); err != nil {
		return measured, err
	}
	r.progress("%v: quiet", to)
	if measured.Quiet, err = d.quiet(ctx); err != nil {
		return measured, fmt.Errorf("quiet: %w", err)
	}
	r.progress("%v: saturation", to)
	if measured.Saturation, err = d.saturate(ctx); err != nil {
		return measured, fmt.Errorf("saturation: %w", err)
	}
	return measured, nil
}

// quiet measures how long a registration takes when the gateway is mostly idle.
func (d *deliveryRig) quiet(ctx context.Context) (q bench.Quiet, err error) {
	load, err := d.load()
	if err != nil {
		return q, err
	}
	load.Rate, load.Connections = d.settings.QuietRate, quietConnections
	load.Header.Set("Prefer", "wait=30")
	load.WantStatus = http.StatusCreated
	load.Warmup, load.Duration = warmUp(d.settings.QuietDuration), d.settings.QuietDuration
	q.Rate = d.settings.QuietRate
	if q.Result, err = d.rig.runLoad(ctx, load); err != nil {
		return q, err
	}
	// what it may have left must not be counted to the next measurement
	_, _, err = d.poll(ctx, drainLimit, idle)
	return q, err
}

// saturate measures how much gets through, and checks that all of it did.
func (d *deliveryRig) saturate(ctx context.Context) (s bench.Saturation, err error) {
	rows, err := d.rows(ctx)
	if err != nil {
		return s, err
	}
	before, err := d.sandbox.counts()
	if err != nil {
		return s, err
	}
	start, err := d.read(ctx)
	if err != nil {
		return s, err
	}
	settled, err := d.window(ctx, &s)
	if err != nil {
		return s, err
	}
	s.TotalAccepted = settled.Accepted - start.Accepted
	s.TotalDelivered = settled.delivered() - start.delivered()
	s.Failed = settled.failed() - start.failed()
	s.Left = s.TotalAccepted - s.TotalDelivered - s.Failed
	s.ResidentBytes = settled.memory.Peak
	after, err := d.sandbox.counts()
	if err != nil {
		return s, err
	}
	s.Refused = after.Refused - before.Refused
	s.Calls = callsSince(before.Calls, after.Calls)
	s.Rows, err = d.rows(ctx)
	s.Rows -= rows
	return s, err
}

// window loads the gateway, measures between the end of the warm-up and the end
// of the load, and returns the reading when all was settled.
func (d *deliveryRig) window(ctx context.Context, s *bench.Saturation) (settled reading, err error) {
	load, err := d.load()
	if err != nil {
		return settled, err
	}
	load.Duration = warmUp(d.settings.Duration) + d.settings.Duration
	l, err := d.rig.startLoad(ctx, load)
	if err != nil {
		return settled, err
	}
	defer l.kill()
	loadEnd := l.begun.Add(load.Duration)
	begin, err := d.readAt(ctx, l.begun.Add(warmUp(d.settings.Duration)))
	if err != nil {
		return settled, err
	}
	end, err := d.readAt(ctx, loadEnd)
	if err != nil {
		return settled, err
	}
	if s.Accept, err = l.result(); err != nil {
		return settled, err
	}
	s.Window = end.at.Sub(begin.at)
	s.Accepted, s.Delivered = end.Accepted-begin.Accepted, end.delivered()-begin.delivered()
	s.Oldest, s.CPU = end.oldest(), end.cpu-begin.cpu
	settled, _, err = d.poll(ctx, drainLimit, idle)
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
