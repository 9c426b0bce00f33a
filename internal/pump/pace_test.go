package pump_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// gaps are the distances between calls.
func gaps(times []time.Duration) (between []time.Duration) {
	for i := 1; i < len(times); i++ {
		between = append(between, times[i]-times[i-1])
	}
	return between
}

func seconds(n ...int) (durations []time.Duration) {
	for _, n := range n {
		durations = append(durations, time.Duration(n)*time.Second)
	}
	return durations
}

// While a destination does not want to be called it is called rarely, by one
// probe at a time, and no delivery's tries are used up.
func TestPause(t *testing.T) {
	for name, c := range map[string]struct {
		outcome onramp.Outcome
		gaps    []time.Duration
		health  onramp.Health
	}{
		"throttled": {
			onramp.Outcome{Verdict: onramp.Throttled, Detail: "429 50100", Hint: "wait"},
			seconds(1, 2, 4, 8, 8, 8, 8),
			onramp.Health{State: "throttled", Reason: "429 50100", Hint: "wait"},
		},
		"with Retry-After": {
			onramp.Outcome{Verdict: onramp.Throttled, Detail: "429", RetryAfter: 7 * time.Second},
			seconds(7, 7, 7, 7, 7, 7, 7),
			onramp.Health{State: "throttled", Reason: "429"},
		},
		"blocked": {
			onramp.Outcome{Verdict: onramp.Blocked, Detail: "401", Hint: "check the secret", Refused: true},
			seconds(1, 2, 4, 8, 16, 32, 60),
			onramp.Health{State: "blocked", Reason: "401", Hint: "check the secret", Refused: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			run(t, pump.Config{}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
				if to.ID == y.ID {
					return ok
				}
				if calls.Add(1) <= 7 {
					return c.outcome
				}
				return ok
			}, func(r running) {
				r.o.save(1, x)
				r.wait(2 * time.Second)
				r.o.save(1, x) // behind it
				r.o.save(2, y)
				r.wait(2100 * time.Millisecond)
				health := r.Health()
				want := []onramp.Health{c.health, {State: "running"}}
				want[0].Destination, want[0].Since, want[0].Cause, want[1].Destination = x, r.s.start, c.outcome.Cause(), y
				if diff := cmp.Diff(want, health); diff != "" {
					t.Error(diff)
				}
				if state := r.o.state(3); state != onramp.DeliveryDelivered {
					t.Errorf("the other destination's is %s", state)
				}
				r.wait(10 * time.Minute)
				if diff := cmp.Diff(append(c.gaps, 0), gaps(r.s.times(x.ID))); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]int64{3, 1, 2}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
					t.Error(diff)
				}
				if tries := r.o.at(1).Tries; tries != 1 {
					t.Errorf("%d tries were used up", tries)
				}
				if state := r.Health()[0]; state.State != "running" || state.Reason != "" || state.Refused || !state.Since.IsZero() {
					t.Errorf("afterwards it is %+v", state)
				}
				if n := len(r.o.settled); n != 4 {
					t.Errorf("%d outcomes stored, want the first one and three deliveries: what probes find is known", n)
				}
			})
		})
	}
}

// Calls in flight halve when the destination throttles, and grow back.
func TestPace(t *testing.T) {
	var throttling atomic.Bool
	run(t, pump.Config{Senders: 16}, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
		<-time.After(time.Second)
		if throttling.Load() {
			return onramp.Outcome{Verdict: onramp.Throttled}
		}
		return ok
	}, func(r running) {
		for i := range 400 {
			r.o.save(int64(i), x)
		}
		most := func(until time.Duration, want int) {
			t.Helper()
			r.wait(until)
			if got := r.s.takeMost(x.ID); got != want {
				t.Errorf("until %v there were %d calls in flight, want %d", until, got, want)
			}
		}
		most(2500*time.Millisecond, 16)
		throttling.Store(true)
		r.wait(3500 * time.Millisecond) // all 16 were throttled: a pause of a second
		throttling.Store(false)
		r.s.takeMost(x.ID)
		most(4500*time.Millisecond, 1) // the probe
		most(5500*time.Millisecond, 9)
		most(6500*time.Millisecond, 16)
		r.wait(time.Minute)
		if diff := cmp.Diff(upTo(400), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
	})
}

// What fails five times in a row is the destination's fault.
func TestOutage(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	run(t, pump.Config{Senders: 1}, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
		if down.Load() {
			return onramp.Outcome{Verdict: onramp.Retry, Detail: "connection refused"}
		}
		return ok
	}, func(r running) {
		for i := range 100 {
			r.o.save(int64(i), x)
		}
		r.wait(100 * time.Millisecond)
		if n := len(r.s.times(x.ID)); n != 5 {
			t.Errorf("%d calls before the pause, want 5", n)
		}
		if health := r.Health()[0]; health.State != "throttled" || health.Reason != "connection refused" {
			t.Errorf("it is %+v", health)
		}
		r.wait(10 * time.Minute)
		times := r.s.times(x.ID)
		if diff := cmp.Diff(seconds(1, 2, 4, 8, 8, 8, 8, 8), gaps(times[4:])[:8]); diff != "" {
			t.Error(diff)
		}
		down.Store(false)
		r.wait(3 * time.Hour)
		if diff := cmp.Diff(upTo(100), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
	})
}

// A call that was in flight when its destination was found blocked does not
// make it a matter of seconds.
func TestStraggler(t *testing.T) {
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if d.Seq == 1 {
			<-time.After(500 * time.Millisecond)
			return onramp.Outcome{Verdict: onramp.Throttled, Detail: "slow"}
		}
		return onramp.Outcome{Verdict: onramp.Blocked, Detail: "blocked"}
	}, func(r running) {
		r.o.save(1, x)
		r.o.save(2, x)
		r.wait(900 * time.Millisecond)
		if health := r.Health()[0]; health.Reason != "blocked" || len(r.s.times(x.ID)) != 2 {
			t.Errorf("it is %+v after %d calls", health, len(r.s.times(x.ID)))
		}
		r.wait(1100 * time.Millisecond)
		if n := len(r.s.times(x.ID)); n != 3 {
			t.Errorf("%d calls, want the probe", n)
		}
	})
}
