package store

import (
	"context"
	"errors"
	"time"

	"onramp/internal/onramp"
)

// acceptWithin bounds how long a registration waits for its commit, however many
// wait before it. Proxies give up after 30 or 60 s, and people sooner.
const acceptWithin = 10 * time.Second

// The states of an op. Whoever changes it from waiting decides what becomes of it.
const (
	opWaiting   = iota
	opTaken     // the writer has it: it may be on disk from now on
	opWithdrawn // its caller no longer waits: it is never carried out
)

var (
	errUncertain  = errors.New("the commit has not ended in time")
	errNotBegun   = errors.New("its turn did not come in time")
	errOverloaded = errors.New("its turn would not come in time")
)

// take is called by the writer before it carries out an op. It is false when
// nobody waits for it any more.
func (o *op) take() bool { return o.state.CompareAndSwap(opWaiting, opTaken) }

// withdraw is false when the writer has the op already.
func (o *op) withdraw() bool { return o.state.CompareAndSwap(opWaiting, opWithdrawn) }

// write hands an op to the writer and waits until it is on disk. When ctx ends
// first, or the time that a registration may wait, a registration is withdrawn;
// only if the writer has it already it may still be carried out.
func (w *writer) write(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	var late <-chan struct{}
	if o.acceptance != nil {
		if w.expectedWait() > w.patience.within {
			return unavailable(errOverloaded)
		}
		late = w.patience.end()
	}
	if err := w.enqueue(ctx, o, late); err != nil {
		return err
	}
	return o.wait(ctx, late)
}

func (w *writer) enqueue(ctx context.Context, o *op, late <-chan struct{}) error {
	w.closing.RLock()
	defer w.closing.RUnlock()
	if w.closed {
		return unavailable(errClosed)
	}
	select {
	case w.queue <- o:
		return nil
	case <-late:
		return unavailable(errNotBegun)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait waits for an op that is queued. An op that is not a registration is left to
// the writer when ctx ends: what the pump has settled is better on disk.
func (o *op) wait(ctx context.Context, late <-chan struct{}) error {
	var cause error
	select {
	case err := <-o.done:
		return err
	case <-late:
		cause = unavailable(errNotBegun)
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	if o.acceptance == nil || o.withdraw() {
		return cause
	}
	return unavailable(errors.Join(errUncertain, cause))
}

// expectedWait is about how long a registration would wait that came now. It is 0
// while nothing is queued.
func (w *writer) expectedWait() time.Duration {
	queued, age := len(w.queue), w.heartbeat.age()
	if queued == 0 || age == 0 {
		return 0
	}
	return max(time.Duration(w.heartbeat.usual.Load()), age) * time.Duration(1+queued/maxGroup)
}

// mayBeStored is what the sender of a registration is told when nobody knows
// whether its commit is on disk.
func mayBeStored(err error, key onramp.IdempotencyKey) error {
	told := *unavailable(err)
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		told.Err = e.Err
	}
	told.Message = "it is not certain that the registration was stored; sent again without an Idempotency-Key, it may be stored twice"
	switch {
	case key.Once != 0:
		told.Message = "it is not certain that the registration was stored; please send it again unchanged, which stores it only once"
	case key.Given():
		told.Message = "it is not certain that the registration was stored; please repeat the request with the same Idempotency-Key, which stores it only once"
	}
	return &told
}
