package pump_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

var (
	message = onramp.Destination{ID: x.ID, Kind: onramp.Message, Key: "welcome", Batch: 1}
	refused = onramp.Outcome{Verdict: onramp.Retry}
)

// stop pauses a destination as of now, and goOn resumes it.
func (r running) stop(to onramp.Destination) {
	r.o.pause(to, onramp.Pause{Since: time.Now(), Reason: "new columns"})
}
func (r running) goOn(to onramp.Destination) { r.o.pause(to, onramp.Pause{Ended: time.Now()}) }

// While a destination is paused nothing new is sent to it, and later steps wait; what
// is in flight is finished, and others go on. Then all goes, in order.
func TestPaused(t *testing.T) {
	run(t, pump.Config{Senders: 1}, slowly(10*time.Second, ok), func(r running) {
		r.o.save(1, x, y) // 1 2
		r.o.save(1, x, y) // 3 4
		r.wait(5 * time.Second)
		r.stop(x)
		r.o.save(2, y) // 5
		r.o.save(1, x) // 6
		r.wait(time.Hour)
		if diff := cmp.Diff([]int64{1, 2, 5}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Errorf("paused: %s", diff)
		}
		want := onramp.Health{Destination: x, State: "paused", Reason: "new columns", Since: r.s.start.Add(5 * time.Second)}
		if diff := cmp.Diff(want, r.Health()[0]); diff != "" {
			t.Error(diff)
		}
		r.goOn(x)
		r.wait(time.Hour + time.Minute)
		if diff := cmp.Diff([]time.Duration{0, time.Hour, time.Hour + 10*time.Second}, r.s.times(x.ID)); diff != "" {
			t.Error(diff)
		}
		if n := len(r.o.seqs(onramp.DeliveryDelivered)); n != 6 || r.Health()[0].State != "running" {
			t.Errorf("%d are delivered, it is %s", n, r.Health()[0].State)
		}
	})
}

// A pump that starts while a destination is paused sends it nothing.
func TestPausedAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := running{o: newOutbox(), s: newSender(t, always(ok))}
		r.o.save(1, x)
		r.stop(x)
		for _, delivered := range [][]int64{nil, upTo(1)} {
			r.Pump = pump.New(pump.Config{}, r.o, r.o, r.s, []onramp.Destination{x, y})
			l := begin(t, r.Pump)
			<-time.After(time.Hour)
			if diff := cmp.Diff(delivered, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
				t.Error(diff)
			}
			l.end()
			r.goOn(x)
		}
	})
}

// A pause longer than deliveries are tried gives up none of them: neither those that
// failed before it, nor later steps that waited for it.
func TestPauseGivesUpNothing(t *testing.T) {
	var fails atomic.Bool
	run(t, pump.Config{}, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
		if fails.Load() {
			return refused
		}
		return ok
	}, func(r running) {
		fails.Store(true)
		r.o.save(1, x) // 1
		r.wait(10 * time.Minute)
		r.stop(x)
		r.o.save(2, x, y) // 2 3
		r.wait(100 * time.Hour)
		if times := r.s.times(x.ID); times[len(times)-1] > 10*time.Minute || r.o.at(1).Tries != len(times) {
			t.Errorf("tried %d times, at %v", r.o.at(1).Tries, times)
		}
		fails.Store(false)
		r.goOn(x)
		r.wait(100*time.Hour + time.Millisecond)
		if diff := cmp.Diff([]int64{1, 2, 3}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
	})
}

// After a long pause a delivery is tried for as long as if it were new, also one of a
// later step.
func TestTriedAfterPause(t *testing.T) {
	for name, route := range map[string][]onramp.Destination{"first step": {x}, "later step": {x, y}} {
		t.Run(name, func(t *testing.T) {
			run(t, pump.Config{}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
				if to.ID == route[len(route)-1].ID {
					return refused
				}
				return ok
			}, func(r running) {
				r.stop(x)
				r.o.save(1, route...)
				r.wait(100 * time.Hour)
				r.goOn(x)
				r.wait(171 * time.Hour)
				last := int64(len(route))
				if state := r.o.state(last); state != onramp.DeliveryPending {
					t.Errorf("71 h after the pause it is %s", state)
				}
				r.wait(174 * time.Hour)
				if state := r.o.state(last); state != onramp.DeliveryDead {
					t.Errorf("74 h after the pause it is %s", state)
				}
			})
		})
	}
}

// A message is tried for 47 hours from its first try on, and not from the end of a
// pause: Marketing Cloud counts from there, too.
func TestPausedMessage(t *testing.T) {
	runAll(t, []onramp.Destination{message}, pump.Config{}, always(refused), func(r running) {
		r.o.save(1, message)
		r.wait(20 * time.Hour)
		r.stop(message)
		r.o.save(2, message)
		r.wait(40 * time.Hour)
		r.goOn(message)
		r.wait(86 * time.Hour)
		if first, second := r.o.state(1), r.o.state(2); first != onramp.DeliveryDead || second != onramp.DeliveryPending {
			t.Errorf("they are %s and %s", first, second)
		}
		r.wait(100 * time.Hour)
		var ends []time.Duration
		for _, s := range r.o.settled {
			if s.State == onramp.DeliveryDead {
				ends = append(ends, s.At.Sub(r.s.start).Truncate(time.Hour))
			}
		}
		if diff := cmp.Diff([]time.Duration{47 * time.Hour, 87 * time.Hour}, ends); diff != "" {
			t.Error(diff)
		}
	})
}

// What became unknown during a pause is not sent when it ends, though the lane had it
// in memory.
func TestUnknownDuringPause(t *testing.T) {
	run(t, pump.Config{}, always(refused), func(r running) {
		r.o.save(1, x)
		r.o.save(2, x)
		r.wait(200 * time.Millisecond)
		r.stop(x)
		r.wait(time.Minute) // both are due, and in memory
		before := len(r.s.times(x.ID))
		r.o.discard(1)
		r.goOn(x)
		r.wait(time.Minute + time.Millisecond)
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		if after := r.s.calls[before:]; len(after) != 1 || slices.ContainsFunc(after, func(c call) bool { return c.seq == 1 }) {
			t.Errorf("after the pause: %v", after)
		}
	})
}
