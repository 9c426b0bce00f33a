package sandbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/wire"
)

// deferredCall is a call that was taken and is carried out later, whatever becomes
// of its caller.
type deferredCall struct {
	call   *call
	due    time.Time       // on the sandbox's clock
	gone   <-chan struct{} // closed when the world that it is for is thrown away
	done   chan struct{}   // closed when it was carried out
	answer wire.Answer     // then
}

// take carries a call out after the given time: at once when that is 0. One that is
// refused is answered so at once, since it is checked when it comes.
func (s *Sandbox) take(c *call, after time.Duration) *deferredCall {
	d := &deferredCall{call: c, done: make(chan struct{}), gone: s.gone()}
	// The request outlives its connection.
	c.Request = c.Request.WithContext(context.WithoutCancel(c.Request.Context()))
	s.carryOut()
	if err := s.admit(c); err != nil {
		d.answer = s.refusal(c, err)
		close(d.done)
		return d
	}
	if after <= 0 {
		s.run(d)
		return d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.due = s.now().Add(after)
	s.world.deferred = append(s.world.deferred, d)
	slices.SortStableFunc(s.world.deferred, func(a, b *deferredCall) int { return a.due.Compare(b.due) })
	s.defers.Store(true)
	time.AfterFunc(after, s.carryOut) // when nobody moves the clock
	return d
}

// run carries a deferred call out. What calls others itself is not waited for: they
// may call back.
func (s *Sandbox) run(d *deferredCall) {
	work := func() {
		d.answer = s.perform(d.call)
		close(d.done)
	}
	if strings.HasPrefix(d.call.route.Pattern, "/platform/v1/ens") {
		go work()
		return
	}
	work()
}

// carryOut carries out the deferred calls that are due by now, each before
// whatever looks at the world next.
func (s *Sandbox) carryOut() {
	if !s.defers.Load() {
		return
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runUntil(s.world.offset)
}

// runUntil carries out, in order of time, the deferred calls that are due when the
// clock is ahead by no more than offset, and moves it on with them. It needs turn
// and mu, and gives up mu in between.
func (s *Sandbox) runUntil(offset time.Duration) {
	w := s.world
	for len(w.deferred) > 0 {
		d := w.deferred[0]
		at := d.due.Sub(s.base())
		if at > offset {
			return
		}
		w.offset = max(w.offset, at)
		w.deferred = w.deferred[1:]
		s.mu.Unlock()
		s.run(d)
		s.mu.Lock()
	}
}

// await gives the answer of a deferred call once it was carried out; ok is false
// when the caller hangs up, or the sandbox is reset, before.
func (s *Sandbox) await(caller context.Context, d *deferredCall) (a wire.Answer, ok bool) {
	select {
	case <-d.done:
		return d.answer, true
	case <-caller.Done():
	case <-d.gone:
	}
	return a, false
}

// hang waits until the caller hangs up, for as long as the longest delay, or until
// the sandbox is reset.
func (s *Sandbox) hang(caller context.Context) {
	most := time.NewTimer(maxDelay)
	defer most.Stop()
	select {
	case <-caller.Done():
	case <-most.C:
	case <-s.gone():
	}
}

// gone is closed when the world of now is thrown away.
func (s *Sandbox) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.gone
}
