package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// A retry leaves alone what a newer row of the same person has overtaken, unless the
// operator insists: whether the newer one was delivered before, or is in flight.
func TestSuperseded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		w.save("both", "ana1", "bob1", "ana2", "bob2")
		for _, d := range []string{"ana1.1", "bob1.1"} {
			w.settle(d, dead, 0)
		}
		w.settle("ana2.1", delivered, 0)

		err := w.s.RetryDelivery(ctx, w.id("ana1.1"), false)
		wantKind(t, "a retry of what is older", err, onramp.Conflict)
		if err != nil && !strings.Contains(err.Error(), "--overwrite-newer") {
			t.Errorf("it does not say how to insist: %v", err)
		}
		plan, err := w.s.PlanRetry(ctx, onramp.Filter{}, false, func(*onramp.Delivery) bool { return true })
		if diff := cmp.Diff(onramp.Retried{Count: 1, Superseded: 1, To: map[string]int64{"data_extension:x": 1}}, plan); diff != "" || err != nil {
			t.Error(err, diff)
		}
		none, err := w.s.RetryDeliveries(ctx, onramp.Filter{}, false, func(*onramp.Delivery) bool { return false })
		if diff := cmp.Diff(onramp.Retried{Unsendable: 2}, none); diff != "" || err != nil {
			t.Error(err, diff)
		}
		r, err := w.s.RetryDeliveries(ctx, onramp.Filter{}, false, nil)
		if r.Count != 1 || r.Superseded != 1 || err != nil {
			t.Errorf("%+v, %v", r, err)
		}

		flying := w.find("bob2.1") // while the older one is retried
		followers, err := w.s.Settle(ctx, []onramp.Settlement{w.settlement(flying, delivered, 0)})
		if err != nil {
			t.Fatal(err)
		}
		told := map[int64]onramp.DeliveryState{}
		for _, d := range followers {
			told[d.Seq] = d.State
		}
		overtaken := w.find("bob1.1").Seq
		want := map[int64]onramp.DeliveryState{overtaken: dead, overtaken + 1: onramp.DeliveryOutOfReach, flying.Seq + 1: pending}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
		if d := w.find("bob1.1"); d.State != dead || !strings.Contains(d.Reason, "newer") {
			t.Errorf("what was overtaken is %s: %s", d.State, d.Reason)
		}

		if err := w.s.RetryDelivery(ctx, w.id("ana1.1"), true); err != nil {
			t.Error(err)
		}
		if r, err := w.s.RetryDeliveries(ctx, onramp.Filter{}, true, nil); r.Count != 1 || r.Superseded != 0 || err != nil {
			t.Errorf("with overwrite: %+v, %v", r, err)
		}
		w.checkCounts()
	})
}
