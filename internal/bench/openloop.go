package bench

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// openLoop begins a request whenever one is due, and counts its latency from
// then: a server that stalls must not be spared the requests that fell due
// meanwhile. It returns an error when the server cannot be reached.
//
// Connections are made as they are needed and used in turn, so that none lies
// idle until the server closes it.
func (g *generator) openLoop(ctx context.Context) error {
	if err := g.addClient().connect(ctx); err != nil {
		return err
	}
	idle := make(chan *client, g.config.Connections)
	idle <- g.clients[0]
	g.begin()
	var open sync.WaitGroup
	n, quota := int64(0), cmp.Or(g.config.Requests, math.MaxInt64)
	for ; g.due(n) < g.plan.end && quota > 0; n++ {
		at := g.due(n)
		pause(ctx, at-time.Since(g.plan.begin))
		k := g.free(ctx, idle)
		if k == nil {
			break
		}
		if at >= g.plan.warmup {
			quota--
		}
		open.Go(func() {
			k.once(ctx, g.plan, at)
			idle <- k
		})
	}
	open.Wait()
	if errors.Is(context.Cause(ctx), errDrain) {
		g.countUnsent(n, quota)
	}
	return nil
}

// due is when request n is to start.
func (g *generator) due(n int64) time.Duration {
	return time.Duration(float64(n) / g.config.Rate * float64(time.Second))
}

// free returns a client that is not busy, if need be when one gets free; nil
// when ctx has ended.
func (g *generator) free(ctx context.Context, idle <-chan *client) *client {
	if ctx.Err() != nil {
		return nil
	}
	select {
	case k := <-idle:
		return k
	default:
	}
	if len(g.clients) < g.config.Connections {
		return g.addClient()
	}
	select {
	case k := <-idle:
		return k
	case <-ctx.Done():
		return nil
	}
}

// countUnsent counts the requests that fell due from request n on and found no
// connection until the end: they were not answered either.
func (g *generator) countUnsent(n, quota int64) {
	for ; g.due(n) < g.plan.end && quota > 0; n++ {
		if at := g.due(n); at >= g.plan.warmup {
			g.clients[0].count(at, time.Since(g.plan.begin), answer{}, errDrain)
			quota--
		}
	}
}
