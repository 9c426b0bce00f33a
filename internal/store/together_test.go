package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// call settles what one call has delivered, as the deliveries were read.
func (w *world) call(deliveries []onramp.Delivery) (followers []int64) {
	w.t.Helper()
	shared := &onramp.Attempt{StartedAt: w.clock.now(), Took: time.Second, Outcome: onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}}
	settlements := make([]onramp.Settlement, len(deliveries))
	for i := range deliveries {
		settlements[i] = w.settlement(deliveries[i], delivered, 0)
		settlements[i].Attempt = shared
	}
	found, err := w.s.Settle(w.t.Context(), settlements)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		if f.State == pending {
			followers = append(followers, f.Seq)
		}
	}
	slices.Sort(followers)
	return followers
}

// What one call delivered is settled together, whatever the number, and the next
// steps start.
func TestSettleTogether(t *testing.T) {
	for _, n := range []int{1, 2, 8, 9, 63, 64, 65, 150} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				var deliveries []onramp.Delivery
				var want []string
				var next []int64
				for i := range n {
					name := fmt.Sprint("p", i, "x")
					w.save("both", name)
					deliveries = append(deliveries, w.find(name+".1"))
					want = append(want, name+".1 delivered tries 1 settled 0s", name+".2 pending")
					next = append(next, deliveries[i].Seq+1)
				}
				if diff := cmp.Diff(next, w.call(deliveries)); diff != "" {
					t.Error("followers:", diff)
				}
				w.wantRows(want...)
				w.call(deliveries) // told twice, as after a lost commit's answer
				w.wantRows(want...)
				wantAttempts := []onramp.Attempt{{
					Number: 1, StartedAt: begin, Took: time.Second, Outcome: onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"},
				}}
				d := w.find(fmt.Sprint("p", n-1, "x.1"))
				if diff := cmp.Diff(wantAttempts, d.Attempts); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Those of a call that stand differently by now are looked at one by one: one
// that was discarded stays so, one that was parked and revived is delivered, and
// a next step that was parked is woken.
func TestSettleTogetherApart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana", "bob", "cid", "dot")
		deliveries := []onramp.Delivery{w.find("ana.1"), w.find("bob.1"), w.find("cid.1"), w.find("dot.1")}
		w.discard("bob.1")
		w.park("cid.2")
		w.settle("dot.1", pending, time.Minute) // tried by another hand
		deliveries[3] = w.find("dot.1")
		w.call(deliveries)
		w.wantRows(
			"ana.1 delivered tries 1 settled 0s", "ana.2 pending",
			"bob.1 discarded settled 0s reason a test", "bob.2 discarded settled 0s reason a test",
			"cid.1 delivered tries 1 settled 0s", "cid.2 pending due 0s",
			"dot.1 delivered tries 2 settled 0s", "dot.2 pending due 0s",
		)
		if attempts := w.find("dot.1").Attempts; len(attempts) != 2 || attempts[1].Number != 2 || attempts[1].Verdict != onramp.Delivered {
			t.Errorf("attempts of dot: %+v", attempts)
		}
	})
}

// The numbers of calls go on after a restart.
func TestCallNumbers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana", "bob")
		w.call([]onramp.Delivery{w.find("ana.1")})
		w.reopen()
		w.clock.advance(time.Minute)
		w.call([]onramp.Delivery{w.find("bob.1")})
		if at := w.find("ana.1").Attempts[0].StartedAt; !at.Equal(begin) {
			t.Errorf("the attempt of ana is that of bob: %v", at)
		}
	})
}
