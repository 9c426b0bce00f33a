package pump_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// A destination that answers 500 to each call with a poisonous row in it gets all
// the others, in few calls and soon, however the poisonous ones lie.
func TestPoison(t *testing.T) {
	const rows = 10_000
	everyHundredth := func(i int) bool { return i%100 == 99 }
	ofOneKey := func(i int) bool { return i%100 == 99 } // and all of the same key
	theOldest := func(i int) bool { return i < rows/100 }
	sync, async := onramp.Destination{Kind: onramp.DataExtension, Mode: onramp.Sync}, onramp.Destination{Kind: onramp.DataExtension, Mode: onramp.Async}
	journey, sink := onramp.Destination{Kind: onramp.Journey}, onramp.Destination{Kind: onramp.SinkDestination}
	for _, row := range []struct {
		name   string
		to     onramp.Destination
		poison func(i int) bool
		calls  int           // until all others are delivered
		within time.Duration // at 300 ms a call
	}{
		{"every hundredth, 50 in a call", sync, everyHundredth, 1600, 40 * time.Second},
		{"of one key, 50 in a call", sync, ofOneKey, 220, 15 * time.Second},
		{"the oldest, 50 in a call", sync, theOldest, 400, 15 * time.Second},
		{"every hundredth, 100 in a call", journey, everyHundredth, 1600, 45 * time.Second},
		{"every hundredth, 3,000 in a call", async, everyHundredth, 1600, 2 * time.Minute},
		{"every hundredth, one in a call", sink, everyHundredth, rows + 600, 250 * time.Second},
		{"the oldest, one in a call", sink, theOldest, rows + 600, 250 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.to.Key = "x"
			poison := map[int64]bool{}
			var calls, healthy atomic.Int64
			var callsUntilAll, timeUntilAll atomic.Int64
			start := make(chan time.Time, 1)
			s := func(_ context.Context, c onramp.Call) []onramp.Outcome {
				n := calls.Add(1)
				<-time.After(300 * time.Millisecond)
				o := ok
				if slices.ContainsFunc(c.Deliveries, func(d onramp.Delivery) bool { return poison[d.Seq] }) {
					o = onramp.Outcome{Verdict: onramp.Retry, Status: 500}
				} else if healthy.Add(int64(len(c.Deliveries))) == int64(rows-len(poison)) {
					callsUntilAll.Store(n)
					at := <-start
					timeUntilAll.Store(int64(time.Since(at)))
				}
				return slices.Repeat([]onramp.Outcome{o}, len(c.Deliveries))
			}
			runCalls(t, row.to, pump.Config{}, s, func(r *calling) {
				start <- time.Now()
				r.o.mu.Lock()
				for i := range rows {
					key := int64(i)
					if row.poison(i) {
						poison[int64(i+1)] = true
						if row.name == "of one key, 50 in a call" {
							key = -1
						}
					}
					r.o.append(key, 0, x)
				}
				r.o.mu.Unlock()
				ring(r.o.fresh[x.ID])
				r.wait(time.Hour)
				if n := int(callsUntilAll.Load()); n == 0 || n > row.calls {
					t.Errorf("%d calls until all others were delivered, want at most %d", n, row.calls)
				}
				if took := time.Duration(timeUntilAll.Load()); took > row.within {
					t.Errorf("the others took %v, want at most %v", took, row.within)
				}
				var want []int64
				for _, seq := range upTo(rows) {
					if !poison[seq] {
						want = append(want, seq)
					}
				}
				if diff := cmp.Diff(want, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
					t.Error(diff[:min(len(diff), 1000)])
				}
				if dead := r.o.seqs(onramp.DeliveryDead); len(dead) > 0 {
					t.Errorf("given up: %v", dead)
				}
			})
		})
	}
}

// While all that is queued fails, a healthy delivery that comes goes soon, and so
// do those that come after it.
func TestPoisonAlone(t *testing.T) {
	for _, row := range []struct {
		verdict    onramp.Verdict
		first, all time.Duration // the longest wait, of the first one and of all together
	}{
		{onramp.Retry, 24 * time.Second, 4 * time.Minute},
		{onramp.Throttled, 3 * time.Minute, 60 * time.Minute},
		{onramp.Blocked, 5 * time.Minute, 5 * time.Hour}, // probed once a minute until then
	} {
		t.Run(row.verdict.String(), func(t *testing.T) {
			const poison = 1000
			sink := onramp.Destination{Kind: onramp.SinkDestination, Key: "x"}
			runTo(t, sink, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
				<-time.After(300 * time.Millisecond)
				if d.Seq <= poison {
					return onramp.Outcome{Verdict: row.verdict}
				}
				return ok
			}, func(r running) {
				r.o.saveMany(poison, 0, x)
				for i := range 100 { // one a second, after some time
					r.wait(time.Minute + time.Duration(i)*time.Second)
					r.o.save(int64(poison+i), x)
				}
				var longest, all time.Duration
				r.wait(10 * time.Minute)
				for _, s := range r.o.settled {
					if s.State == onramp.DeliveryDelivered {
						wait := s.At.Sub(r.o.at(s.Delivery.Seq).ReceivedAt)
						longest, all = max(longest, wait), all+wait
					}
				}
				if n := len(r.o.seqs(onramp.DeliveryDelivered)); n != 100 || longest > row.first || all > row.all {
					t.Errorf("%d were delivered; they waited for %v at most, %v together", n, longest, all)
				}
			})
		})
	}
}

// What one person's deliveries fail of is no outage, however often.
func TestFailuresOfOneKey(t *testing.T) {
	run(t, pump.Config{}, always(onramp.Outcome{Verdict: onramp.Retry, Status: 500}), func(r running) {
		for range 100 {
			r.o.save(1, x)
		}
		for at := time.Second; at < time.Hour; at += 7 * time.Second {
			r.wait(at)
			if health := r.Health()[0]; health.State != "running" {
				t.Fatalf("after %d calls it is %+v", len(r.s.times(x.ID)), health)
			}
		}
	})
}

// A call that was under way when a pause began does not keep the probe waiting, and
// ends the pause when it gets through.
func TestSuccessEndsPause(t *testing.T) {
	for _, verdict := range []onramp.Verdict{onramp.Retry, onramp.Blocked, onramp.Throttled} {
		t.Run(verdict.String(), func(t *testing.T) {
			run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
				switch {
				case d.Seq == 1:
					<-time.After(2500 * time.Millisecond)
				case d.Seq < 8:
					return onramp.Outcome{Verdict: verdict, Status: 500}
				}
				return ok
			}, func(r running) {
				for i := range 7 {
					r.o.save(int64(i), x)
				}
				r.wait(2400 * time.Millisecond)
				if times := r.s.times(x.ID); times[len(times)-1] != time.Second || r.Health()[0].State == "running" {
					t.Errorf("calls at %v, %+v; want a probe after a second", times, r.Health()[0])
				}
				r.o.save(8, x)
				r.wait(2600 * time.Millisecond)
				if state := r.o.state(8); state != onramp.DeliveryDelivered {
					t.Errorf("it is %s at once after a call got through", state)
				}
			})
		})
	}
}

// A few that are answered as if the destination were blocked do not block it again
// and again: it works for others, so it is they that fail.
func TestBlockedByFew(t *testing.T) {
	const poison, healthy = 5, 300
	var calls atomic.Int64 // with poison
	sink := onramp.Destination{Kind: onramp.SinkDestination, Key: "x"}
	runTo(t, sink, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		<-time.After(300 * time.Millisecond)
		if d.Seq <= poison {
			calls.Add(1)
			return onramp.Outcome{Verdict: onramp.Blocked, Status: 403}
		}
		return ok
	}, func(r running) {
		r.o.saveMany(poison, 0, x)
		var all time.Duration
		for i := range healthy {
			r.wait(time.Minute + time.Duration(i)*time.Second)
			r.o.save(int64(poison+i), x)
		}
		r.wait(10 * time.Minute)
		delivered := 0
		for _, s := range r.o.settled {
			if s.State == onramp.DeliveryDelivered {
				delivered++
				all += s.At.Sub(r.o.at(s.Delivery.Seq).ReceivedAt)
			}
		}
		if n := calls.Load(); delivered != healthy || all > healthy*10*time.Second || n > 100 {
			t.Errorf("%d were delivered after %v on average, with %d calls for the others", delivered, all/healthy, n)
		}
	})
}
