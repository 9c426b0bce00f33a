package pump_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// skipping skips what is to go to a destination with one of the keys.
func skipping(to onramp.Destination, keys ...int64) pump.Config {
	return pump.Config{Skips: func(d *onramp.Delivery) string {
		if d.DestinationID == to.ID && slices.Contains(keys, d.OrderingKey) {
			return "not for them"
		}
		return ""
	}}
}

// What is skipped is not sent, and the next step of its route begins.
func TestSkip(t *testing.T) {
	run(t, skipping(x, 1, 3), always(ok), func(r running) {
		for _, key := range []int64{1, 2, 3, 1} {
			r.o.save(key, x, y)
		}
		r.wait(time.Minute)
		if diff := cmp.Diff([]int64{1, 5, 7}, sorted(r.o.seqs(onramp.DeliverySkipped))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int64{2, 3, 4, 6, 8}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		if r.o.marks[x.ID] != 7 && r.o.marks[x.ID] != 8 {
			t.Errorf("read to %d", r.o.marks[x.ID])
		}
	})
}

// A destination that takes nothing holds up nobody whom it is not for. While an operator
// has paused it, nothing is decided.
func TestSkipWhileNothingIsSent(t *testing.T) {
	run(t, skipping(x, 2), always(onramp.Outcome{Verdict: onramp.Blocked}), func(r running) {
		r.o.save(1, x, y)
		r.wait(time.Second)
		r.o.save(2, x, y)
		r.wait(2 * time.Second)
		if diff := cmp.Diff([]int64{3}, r.o.seqs(onramp.DeliverySkipped)); diff != "" {
			t.Error(diff)
		}
		r.o.pause(x, onramp.Pause{Since: time.Now(), Reason: "a test"})
		r.o.save(2, x, y)
		r.wait(time.Hour)
		if diff := cmp.Diff([]int64{3}, r.o.seqs(onramp.DeliverySkipped)); diff != "" {
			t.Error(diff)
		}
		r.o.pause(x, onramp.Pause{Ended: time.Now()})
		r.wait(time.Hour + time.Minute)
		if diff := cmp.Diff([]int64{3, 5}, r.o.seqs(onramp.DeliverySkipped)); diff != "" {
			t.Error(diff)
		}
	})
}

// Behind one that is retried, what is skipped keeps its place, and holds nobody up.
func TestSkipInOrder(t *testing.T) {
	var works atomic.Bool
	cfg := pump.Config{Skips: func(d *onramp.Delivery) string {
		if d.Seq == 2 {
			return "not for them"
		}
		return ""
	}}
	run(t, cfg, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
		if works.Load() {
			return ok
		}
		return onramp.Outcome{Verdict: onramp.Retry}
	}, func(r running) {
		for range 3 {
			r.o.save(1, x)
		}
		r.wait(10 * time.Second)
		if n := len(r.o.seqs(onramp.DeliverySkipped)); n != 0 {
			t.Errorf("%d were skipped before the one that they are behind", n)
		}
		works.Store(true)
		r.wait(2 * time.Hour)
		if diff := cmp.Diff([][]int64{{1, 3}, {2}}, [][]int64{r.o.seqs(onramp.DeliveryDelivered), r.o.seqs(onramp.DeliverySkipped)}); diff != "" {
			t.Error(diff)
		}
	})
}

// Columns that are refused hold up nobody whom the step is not for.
func TestSkipBehindBar(t *testing.T) {
	var mended atomic.Bool
	runTo(t, onramp.Destination{Kind: onramp.Journey, Key: "x"}, skipping(x, 7), refusesColumn(&mended), func(r running) {
		r.o.values, r.o.form = []byte(wrongColumn), "bad"
		r.o.save(1, x)
		r.wait(10 * time.Second)
		r.o.save(7, x)
		r.wait(20 * time.Second)
		if diff := cmp.Diff([]int64{2}, r.o.seqs(onramp.DeliverySkipped)); diff != "" {
			t.Error(diff)
		}
		mended.Store(true)
		r.wait(time.Hour)
		if diff := cmp.Diff([]int64{1}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever fails meanwhile, everything ends delivered or skipped, and only what is for its
// person is sent.
func TestSkipAtRandom(t *testing.T) {
	isSkipped := func(d *onramp.Delivery) bool { return (d.Seq*2654435761)%5 < 2 }
	cfg := pump.Config{Window: 16, Senders: 3, Skips: func(d *onramp.Delivery) string {
		if isSkipped(d) {
			return "not for them"
		}
		return ""
	}}
	run(t, cfg, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if isSkipped(&d) {
			t.Errorf("%d is sent", d.Seq)
		}
		<-time.After(rand.N(50 * time.Millisecond))
		return []onramp.Outcome{ok, ok, ok, {Verdict: onramp.Retry}, {Verdict: onramp.Throttled}}[rand.IntN(5)]
	}, func(r running) {
		r.o.settling = func() error {
			if rand.IntN(20) == 0 {
				return errors.New("a test")
			}
			return nil
		}
		for range 300 {
			r.o.save(rand.Int64N(20), [][]onramp.Destination{{x, y}, {y, x}, {x}}[rand.IntN(3)]...)
			if rand.IntN(10) == 0 {
				<-time.After(time.Second)
			}
		}
		<-time.After(100 * time.Hour)
		r.o.mu.Lock()
		defer r.o.mu.Unlock()
		for i := range r.o.deliveries {
			d := &r.o.deliveries[i]
			if want := map[bool]onramp.DeliveryState{true: onramp.DeliverySkipped, false: onramp.DeliveryDelivered}[isSkipped(d)]; d.State != want {
				t.Errorf("%d is %s, want %s", d.Seq, d.State, want)
			}
		}
	})
}
