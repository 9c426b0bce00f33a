package pump_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// between checks a wait that has up to a half taken off.
func between(t *testing.T, what string, got, longest time.Duration) {
	t.Helper()
	if got <= longest/2 || got > longest {
		t.Errorf("%s after %v, want up to %v and more than half of it", what, got, longest)
	}
}

// A failing delivery is tried again at growing distances, and given up.
func TestRetry(t *testing.T) {
	answer := onramp.Outcome{Verdict: onramp.Retry, Status: 500}
	run(t, pump.Config{}, always(answer), func(r running) {
		r.o.save(1, x)
		r.wait(100 * time.Hour)
		times := r.s.times(x.ID)
		for i, longest := range []time.Duration{
			time.Second, 2 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, 55 * time.Minute, 55 * time.Minute,
		} {
			between(t, fmt.Sprint("try ", i+2), times[i+1]-times[i], longest)
		}
		last := times[len(times)-1]
		if last < 72*time.Hour || last > 73*time.Hour || times[len(times)-2] >= 72*time.Hour {
			t.Errorf("the last tries are at %v", times[len(times)-2:])
		}
		final := r.o.settled[len(r.o.settled)-1]
		final.Attempt.Request = ""
		answer.Hint = "given up after 72h0m0s; retry it when the destination works again"
		at := r.s.start.Add(last)
		want := onramp.Settlement{
			State: onramp.DeliveryDead, Tries: len(times), At: at,
			Attempt: &onramp.Attempt{StartedAt: at, Outcome: answer},
		}
		final.Delivery = nil
		if diff := cmp.Diff(want, final); diff != "" {
			t.Error(diff)
		}
	})
}

// A message is given up while Marketing Cloud still knows its key, however long
// others are tried.
func TestRetryMessage(t *testing.T) {
	message := onramp.Destination{ID: x.ID, Kind: onramp.Message, Key: "welcome", Batch: 1}
	runAll(t, []onramp.Destination{message}, pump.Config{}, always(onramp.Outcome{Verdict: onramp.Retry}), func(r running) {
		r.o.save(1, message)
		r.wait(100 * time.Hour)
		times := r.s.times(message.ID)
		if last := times[len(times)-1]; last < 47*time.Hour || last > 48*time.Hour || r.o.state(1) != onramp.DeliveryDead {
			t.Errorf("the last try is at %v, the delivery is %s", last, r.o.state(1))
		}
	})
}

func TestRejected(t *testing.T) {
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		return onramp.Outcome{Verdict: map[int64]onramp.Verdict{1: onramp.Rejected, 2: onramp.Unknown, 3: onramp.Delivered}[d.OrderingKey]}
	}, func(r running) {
		for _, key := range []int64{1, 2, 3} {
			r.o.save(key, x, y)
		}
		r.wait(time.Second)
		var got []string
		for _, d := range r.o.deliveries {
			got = append(got, fmt.Sprint(d.Seq, " ", d.State, " ", d.Tries))
		}
		if diff := cmp.Diff([]string{"1 dead 1", "2 waiting 0", "3 unknown 1", "4 waiting 0", "5 delivered 1", "6 delivered 1"}, got); diff != "" {
			t.Error(diff)
		}
		if n := len(r.s.times(x.ID)); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}
