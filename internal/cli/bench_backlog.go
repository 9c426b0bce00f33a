package cli

import (
	"context"
	"errors"
	"net/http"
	"time"

	"onramp/internal/bench"
)

const (
	noticeLimit     = 30 * time.Second // for a gateway to find that it is blocked
	resumeLimit     = 3 * time.Minute  // for it to find that it is not any more
	longestDraining = 10 * time.Second
)

// deliverBacklog measures a gateway that has much to deliver and cannot.
func (c *command) deliverBacklog(ctx context.Context, s deliverSettings, to bench.Destination) (b bench.Backlog, err error) {
	r, err := c.startRig(ctx, s, to)
	if err != nil {
		return b, err
	}
	defer r.close()
	b.Destination = to
	if err := r.block(ctx); err != nil {
		return b, err
	}
	c.progress("%v: %d registrations that have to wait", to, s.backlog)
	if err := r.fill(ctx, &b); err != nil {
		return b, err
	}
	c.progress("%v: restart with %d waiting", to, b.Waiting)
	if err := r.restart(ctx, &b); err != nil {
		return b, err
	}
	c.progress("%v: draining", to)
	return b, r.drain(ctx, &b)
}

// fill has registrations accepted that cannot be delivered.
func (r *rig) fill(ctx context.Context, b *bench.Backlog) error {
	start, err := r.read(ctx)
	if err != nil {
		return err
	}
	load, err := r.load()
	if err != nil {
		return err
	}
	load.Requests = r.settings.backlog
	if b.Accept, err = runLoad(ctx, load); err != nil {
		return err
	}
	end, err := r.read(ctx)
	if err != nil {
		return err
	}
	b.Waiting, b.Failed, b.Memory = end.waiting(), end.failed()-start.failed(), end.memory
	return nil
}

// restart stops the gateway as an operator does and starts it again, still
// blocked. It returns when the new process has noticed that: then it has read
// what it wants to have in memory.
func (r *rig) restart(ctx context.Context, b *bench.Backlog) (err error) {
	r.gateway.stop()
	begin := time.Now()
	if r.gateway, err = startChild(ctx, r.stderr, "gateway", r.dir); err != nil {
		return err
	}
	if err := r.awaitReady(ctx); err != nil {
		return err
	}
	b.Restart = time.Since(begin)
	s, _, err := r.poll(ctx, noticeLimit, reading.halted)
	b.Found, b.MemoryAfter = s.waiting(), s.memory
	return err
}

// awaitReady asks the gateway as a load balancer does. It listens already, so
// that one question is enough: the answer comes when it serves.
func (r *rig) awaitReady(ctx context.Context) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.gateway.admin+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("the gateway is not ready after a restart: " + response.Status)
	}
	return nil
}

// drain lifts the block and measures for a while from the first delivery on.
func (r *rig) drain(ctx context.Context, b *bench.Backlog) error {
	start, err := r.read(ctx)
	if err != nil {
		return err
	}
	if err := r.unblock(ctx); err != nil {
		return err
	}
	lifted := time.Now()
	last := start // the last reading before the first delivery
	first, ok, err := r.poll(ctx, resumeLimit, func(s reading) bool {
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
	for limit := last.at.Add(min(r.settings.duration, longestDraining)); err == nil && !idle(end) && end.at.Before(limit); {
		end, err = r.readAt(ctx, end.at.Add(pollEvery))
	}
	b.Delivered, b.Draining = end.delivered()-last.delivered(), end.at.Sub(last.at)
	b.Failed += end.failed() - start.failed()
	return err
}
