package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

const skipped = onramp.DeliverySkipped

// A skipped step counts as done: the next one starts, and a registration whose steps are
// all delivered or skipped is delivered.
func TestSkipped(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.save("both", "ana1", "bob1", "cid1", "dan1")
		for delivery, want := range map[string][]string{
			"ana1.1": {"2: pending"}, "bob1.1": {"4: pending"},
		} {
			if diff := cmp.Diff(want, w.settle(delivery, skipped, 0)); diff != "" {
				t.Errorf("after %s: %s", delivery, diff)
			}
		}
		w.settle("ana1.2", skipped, 0)
		w.settle("bob1.2", delivered, 0)
		w.settle("cid1.1", delivered, 0)
		w.settle("cid1.2", skipped, 0)
		w.clock.advance(time.Minute)
		w.settle("dan1.1", pending, time.Minute) // a failed try before the condition came
		w.clock.advance(time.Minute)
		w.settle("dan1.1", skipped, 0)
		var states []string
		list, _, _, err := w.s.ListRegistrations(ctx, onramp.Filter{State: "delivered"})
		for _, r := range list {
			states = append(states, w.names[r.ID]+" "+r.State.String())
		}
		if diff := cmp.Diff([]string{"cid1 delivered", "bob1 delivered", "ana1 delivered"}, states); diff != "" || err != nil {
			t.Error(diff, err)
		}
		var names []string
		deliveries, _, _, err := w.s.ListDeliveries(ctx, onramp.Filter{State: "skipped"})
		for _, d := range deliveries {
			names = append(names, fmt.Sprintf("%s.%d %s", w.names[d.RegistrationID], d.Step, d.Reason))
		}
		const why = " opt_in is not true"
		if diff := cmp.Diff([]string{"dan1.1" + why, "cid1.2" + why, "bob1.1" + why, "ana1.2" + why, "ana1.1" + why}, names); diff != "" || err != nil {
			t.Error(diff, err)
		}
		counts := w.s.Count()
		if counts.Registrations[onramp.RegistrationDelivered] != 3 || counts.Registrations[onramp.RegistrationDelivering] != 1 ||
			counts.Deliveries["data_extension:x"][skipped] != 3 || counts.Deliveries["journey:y"][skipped] != 2 {
			t.Errorf("counts are %+v", counts)
		}
		var whats []string
		items, err := w.s.Timeline(ctx, w.ids["dan1"])
		for _, i := range items {
			whats = append(whats, i.What)
		}
		if want := []string{"accepted", "attempt", "retry", "skipped"}; !slices.Equal(want, whats) || err != nil {
			t.Error(whats, err)
		}
		for name, do := range map[string]func() error{
			"retry":   func() error { return w.s.RetryDelivery(ctx, w.id("ana1.1"), false) },
			"discard": func() error { return w.s.DiscardDelivery(ctx, w.id("ana1.1"), "why") },
		} {
			wantKind(t, name, do(), onramp.Conflict)
		}
		if n, err := w.s.MoveDeliveries(ctx, "journey:y", "data_extension:x", false); n != 1 || err != nil { // that of dan
			t.Errorf("%d were moved, %v", n, err)
		}
	})
}

// What is skipped writes nothing over: an older row of the person may be retried after it,
// and whoever was behind it goes on.
func TestSkippedHoldsNobodyUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "ana2", "ana3")
		w.settle("ana1.1", dead, 0)
		w.settle("ana2.1", skipped, 0)
		if err := w.s.RetryDelivery(t.Context(), w.id("ana1.1"), false); err != nil {
			t.Errorf("an older one can't be retried after one that was skipped: %v", err)
		}
		w.park("ana3.1")
		w.settle("ana1.1", skipped, 0)
		if got := w.due(w.find("ana3.1").DueAt); got != " due 0s" {
			t.Errorf("behind one that is skipped:%q, want it due", got)
		}
		w.settle("ana3.1", delivered, 0)
		w.save("both", "bob1", "bob2")
		w.settle("bob1.1", dead, 0)
		w.settle("bob2.1", delivered, 0)
		wantKind(t, "the older one after one that was delivered", w.s.RetryDelivery(t.Context(), w.id("bob1.1"), false), onramp.Conflict)
	})
}

// Whatever is settled in whatever order, skipped steps among it: the counts add up, and
// once nothing is pending every registration is where its steps say.
func TestSkippedAtRandom(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		var open []string
		for i := range 40 {
			name := fmt.Sprintf("%c%d", 'a'+rune(random.IntN(6)), i+1)
			w.save([]string{"both", "one"}[random.IntN(2)], name)
			open = append(open, name)
		}
		states := []onramp.DeliveryState{skipped, skipped, skipped, delivered, delivered, pending, dead, onramp.DeliveryUnknown}
		for round := 0; round < 60 && len(open) > 0; round++ {
			w.clock.advance(time.Second)
			var batch []onramp.Settlement
			for _, name := range open {
				r, err := w.s.FindRegistration(context.Background(), w.ids[name])
				if err != nil {
					t.Fatal(err)
				}
				at := slices.IndexFunc(r.Deliveries, func(d onramp.Delivery) bool { return d.State == pending })
				switch {
				case at >= 0 && random.IntN(2) == 0:
					batch = append(batch, w.settlement(r.Deliveries[at], states[random.IntN(len(states))], time.Minute))
				case at < 0 && r.State == onramp.RegistrationFailed && random.IntN(3) == 0:
					failed := slices.IndexFunc(r.Deliveries, func(d onramp.Delivery) bool { return d.State == dead })
					if err := w.s.RetryDelivery(context.Background(), r.Deliveries[failed].ID(), true); err != nil {
						t.Fatal(seed, err)
					}
				}
			}
			if _, err := w.s.Settle(context.Background(), batch); err != nil {
				t.Fatal(seed, err)
			}
			w.checkCounts()
		}
		if t.Failed() {
			t.Log("seed", seed)
		}
	})
}
