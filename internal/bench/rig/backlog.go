package rig

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"onramp/internal/bench"
	"onramp/internal/web"
)

const (
	noticeLimit     = 30 * time.Second // for a gateway to find that it is blocked
	resumeLimit     = 3 * time.Minute  // for it to find that it is not any more
	longestDraining = 10 * time.Second
)

// deliverBacklog measures a gateway that has much to deliver and cannot.
func (r *Rig) deliverBacklog(ctx context.Context, s DeliverSettings, to bench.Destination) (b bench.Backlog, err error) {
	d, err := r.startDeliveryRig(ctx, s, to)
	if err != nil {
		return b, err
	}
	defer d.close()
	b.Destination = to
	if err := d.block(ctx); err != nil {
		return b, err
	}
	r.progress("%v: %d registrations that have to wait", to, s.Backlog)
	if err := d.fill(ctx, &b); err != nil {
		return b, err
	}
	r.progress("%v: restart with %d waiting", to, b.Waiting)
	if err := d.restart(ctx, &b); err != nil {
		return b, err
	}
	r.progress("%v: draining", to)
	return b, d.drain(ctx, &b)
}

// fill has registrations accepted that cannot be delivered.
func (d *deliveryRig) fill(ctx context.Context, b *bench.Backlog) error {
	start, err := d.read(ctx)
	if err != nil {
		return err
	}
	load, err := d.load()
	if err != nil {
		return err
	}
	load.Requests = d.settings.Backlog
	if b.Accept, err = d.rig.runLoad(ctx, load); err != nil {
		return err
	}
	end, err := d.read(ctx)
	if err != nil {
		return err
	}
	b.Waiting, b.Failed, b.Memory = end.waiting(), end.failed()-start.failed(), end.memory
	return nil
}

// restart stops the gateway as an operator does and starts it again, still
// blocked. It returns when the new process has noticed that: then it has read
// what it wants to have in memory.
func (d *deliveryRig) restart(ctx context.Context, b *bench.Backlog) (err error) {
	d.stop()
	begin := time.Now()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	b.Restart = time.Since(begin)
	s, _, err := d.poll(ctx, noticeLimit, reading.halted)
	b.Found, b.MemoryAfter = s.waiting(), s.memory
	return err
}

// awaitReady asks the gateway as a load balancer does. It listens already, so
// that one question is enough: the answer comes when it serves.
func (d *deliveryRig) awaitReady(ctx context.Context) error {
	admin := web.Client{Base: d.admin}
	if err := admin.Call(ctx, http.MethodGet, "/readyz", nil, nil); err != nil {
		return fmt.Errorf("check that the gateway is ready after a restart: %w", err)
	}
	return nil
}

// drain lifts the block and measures for a while from the first delivery on.
func (d *deliveryRig) drain(ctx context.Context, b *bench.Backlog) error {
	start, err := d.read(ctx)
	if err != nil {
		return err
	}
	if err := d.unblock(ctx); err != nil {
		return err
	}
	lifted := time.Now()
	last := start // the last reading before the first delivery
	first, ok, err := d.poll(ctx, resumeLimit, func(s reading) bool {
		if s.delivered() > start.delivered() || idle(s) {
			return true
		}
		last = s
		return false
	})
	b.Resumed = first.at.Sub(lifted)
	if err != nil || !ok {
		return err
	}
	end := first
	for limit := last.at.Add(min(d.settings.Duration, longestDraining)); err == nil && !idle(end) && end.at.Before(limit); {
		end, err = d.readAt(ctx, end.at.Add(pollEvery))
	}
	b.Delivered, b.Draining = end.delivered()-last.delivered(), end.at.Sub(last.at)
	b.Failed += end.failed() - start.failed()
	return err
}
