package pump_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// What an operator has discarded is not sent, nor are its later steps waited
// for; what was in flight is not sent again.
func TestForget(t *testing.T) {
	run(t, pump.Config{Senders: 1}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if d.OrderingKey == 1 {
			<-time.After(10 * time.Second)
			return onramp.Outcome{Verdict: onramp.Throttled}
		}
		return ok
	}, func(r running) {
		r.o.save(1, x, y) // 1 2
		r.o.save(2, x, y) // 3 4
		r.o.save(2, y)    // 5, behind 4
		r.o.save(3, x)    // 6
		r.wait(time.Second)
		if r.Flight(x.ID, 1) != onramp.DeliverySending || r.Flight(x.ID, 3) != 0 || r.Flight(99, 1) != 0 {
			t.Error("it is not known what is in flight")
		}
		for _, seq := range []int64{1, 3} {
			r.o.discard(seq)
			r.Forget(seq)
		}
		r.wait(2 * time.Second)
		if diff := cmp.Diff([]int64{5}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
		r.wait(time.Minute)
		if diff := cmp.Diff([]int64{5, 6}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
		if n := len(r.s.times(x.ID)); n != 2 {
			t.Errorf("%d calls, want two", n)
		}
		if r.o.marks[x.ID] != 6 || r.o.marks[y.ID] != 6 {
			t.Errorf("read to %v", r.o.marks)
		}
	})
}

// An earlier delivery that an operator retries while a later one is in flight
// waits for it, and then goes before the others.
func TestRevived(t *testing.T) {
	run(t, pump.Config{}, slowly(10*time.Second, ok), func(r running) {
		r.o.mu.Lock()
		r.o.deliveries = []onramp.Delivery{{Seq: 1, Step: 1, Steps: 1, DestinationID: x.ID, OrderingKey: 1, State: onramp.DeliveryDead, ReceivedAt: time.Now()}}
		r.o.mu.Unlock()
		r.o.save(1, x)
		r.o.save(1, x)
		r.wait(5 * time.Second) // 2 is in flight
		r.o.mu.Lock()
		r.o.at(1).State = onramp.DeliveryPending
		r.o.enter(r.o.at(1), time.Now())
		r.o.mu.Unlock()
		ring(r.o.due[x.ID])
		r.wait(time.Minute)
		if diff := cmp.Diff([]int64{2, 1, 3}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// quickOperator retries the first delivery as soon as it is dead, before the
// lane has noticed.
type quickOperator struct {
	*outbox
	done bool
}

func (o *quickOperator) Settle(ctx context.Context, settlements []onramp.Settlement) ([]onramp.Delivery, error) {
	followers, err := o.outbox.Settle(ctx, settlements)
	if !o.done {
		o.done = true
		o.mu.Lock()
		o.at(1).State = onramp.DeliveryPending
		o.enter(o.at(1), time.Now())
		o.mu.Unlock()
		ring(o.due[x.ID])
		<-time.After(time.Second)
	}
	return followers, err
}

func TestRevivedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &quickOperator{outbox: newOutbox()}
		var calls atomic.Int64
		s := newSender(t, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
			if calls.Add(1) == 1 {
				return onramp.Outcome{Verdict: onramp.Rejected}
			}
			return ok
		})
		o.save(1, x)
		claim, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		pump.New(pump.Config{}, o, o, s, []onramp.Destination{x, y}).Run(claim, t.Context())
		if diff := cmp.Diff(upTo(1), o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// When a delivery is discarded in flight, the next of its key goes, whatever comes
// of the call.
func TestDiscardedInFlight(t *testing.T) {
	var calls atomic.Int64
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if d.Seq == 2 {
			return ok
		}
		if calls.Add(1) == 2 {
			<-time.After(10 * time.Second)
		}
		return onramp.Outcome{Verdict: onramp.Retry}
	}, func(r running) {
		r.o.save(1, x)
		r.o.save(1, x)
		r.wait(5 * time.Second) // the second try is in flight
		r.o.discard(1)
		r.wait(11200 * time.Millisecond) // it has ended; what was to be its next try is not due
		if diff := cmp.Diff([]int64{2}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// However many of one key an operator retries, one by one and the newest first, they
// leave room for others: only the oldest of them is due.
func TestRetriedBackwards(t *testing.T) {
	const hot = 3000
	run(t, pump.Config{}, slowly(10*time.Second, ok), func(r running) {
		r.o.mu.Lock()
		for seq := range int64(hot + 1) {
			r.o.append(min(seq/hot, 1), 0, x)
			r.o.at(seq + 1).State = onramp.DeliveryDead
		}
		r.o.mu.Unlock()
		r.wait(time.Second)
		for seq := int64(hot); seq > 0; seq-- {
			r.o.retry(seq)
			synctest.Wait()
		}
		r.o.retry(hot + 1)
		r.wait(12 * time.Second)
		if state := r.o.state(hot + 1); state != onramp.DeliveryDelivered {
			t.Errorf("the other one is %s", state)
		}
		r.wait(12 * time.Hour)
		want := append([]int64{hot, hot + 1}, upTo(hot-1)...)
		if diff := cmp.Diff(sorted(want), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff[:min(len(diff), 1000)])
		}
	})
}
