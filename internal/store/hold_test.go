package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// A held registration is read by no lane. Released, it goes its way behind whatever is
// still to be sent for its person; discarded, it is failed.
func TestHold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		until := w.clock.now().Add(time.Hour)
		for _, name := range []string{"ana1", "bob1"} {
			r := w.registration("both", name[:3])
			r.Hold = onramp.Hold{Reason: onramp.HoldConfirmation, Detail: "why", Until: until}
			accepted, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{Hash: onramp.OrderingKey(name), Body: 1}, false)
			if err != nil || accepted.Registration.State != onramp.RegistrationHeld {
				t.Fatal(accepted, err)
			}
			w.ids[name], w.names[r.ID] = r.ID, name
		}
		again := w.registration("both", "ana")
		accepted, err := w.s.SaveRegistration(ctx, &again, onramp.IdempotencyKey{Hash: onramp.OrderingKey("ana1"), Body: 1}, false)
		if err != nil || !accepted.Repeated || accepted.Registration.State != onramp.RegistrationHeld {
			t.Error(accepted, err)
		}
		w.save("both", "ana2")
		fresh, _, _, err := w.s.ListFresh(ctx, w.destination("x"), 0, 10)
		if err != nil || len(fresh) != 1 || w.names[fresh[0].RegistrationID] != "ana2" {
			t.Error(fresh, err)
		}
		r, err := w.s.FindRegistration(ctx, w.ids["ana1"])
		want := onramp.Hold{Reason: onramp.HoldConfirmation, Detail: "why", Since: begin, Until: until}
		if diff := cmp.Diff(want, r.Hold); diff != "" || err != nil || r.State != onramp.RegistrationHeld {
			t.Error(diff, err, r.State)
		}
		w.reopen()
		if err := w.s.ReleaseRegistration(ctx, w.ids["ana1"], []byte(`{"EmailAddress":"ana@example.org","at":"now"}`), false); err != nil {
			t.Fatal(err)
		}
		if err := w.s.DiscardHeld(ctx, w.ids["bob1"], "a test"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{w.s.ReleaseRegistration(ctx, w.ids["ana1"], nil, false), w.s.DiscardHeld(ctx, w.ids["ana1"], "a test"), w.s.ReleaseRegistration(ctx, w.ids["bob1"], nil, false)} {
			if !isConflict(err) {
				t.Error(err)
			}
		}
		d := w.find("ana1.1")
		if got := fmt.Sprint(d.State, w.due(d.DueAt), string(d.Values)); got != `pending due 0s{"EmailAddress":"ana@example.org","at":"now"}` {
			t.Error(got)
		}
		if diff := cmp.Diff([]string{"2: pending due 0s"}, w.settle("ana1.1", delivered, 0)); diff != "" {
			t.Error(diff)
		}
		w.settle("ana1.2", delivered, 0)
		w.settle("ana2.1", delivered, 0)
		counts := w.s.Count()
		if diff := cmp.Diff(map[onramp.RegistrationState]int64{onramp.RegistrationDelivered: 1, onramp.RegistrationDelivering: 1, onramp.RegistrationFailed: 1}, nonzero(counts.Registrations)); diff != "" {
			t.Error(diff)
		}
		if b, err := w.s.FindRegistration(ctx, w.ids["bob1"]); err != nil || b.State != onramp.RegistrationFailed || b.Hold != (onramp.Hold{}) {
			t.Error(b.State, b.Hold, err)
		}
	})
}

// A held registration that a newer one has overtaken doesn't overwrite it by itself.
func TestHoldOvertaken(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := w.registration("both", "ana")
		r.Hold.Reason = onramp.HoldSuspicion
		if _, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
			t.Fatal(err)
		}
		w.ids["ana1"], w.names[r.ID] = r.ID, "ana1"
		w.save("both", "ana2")
		w.settle("ana2.1", delivered, 0)
		if err := w.s.ReleaseRegistration(t.Context(), r.ID, nil, false); !isConflict(err) {
			t.Fatal(err)
		}
		if got := w.find("ana1.1").State; got != onramp.DeliveryHeld {
			t.Error(got)
		}
		if err := w.s.ReleaseRegistration(t.Context(), r.ID, nil, true); err != nil {
			t.Fatal(err)
		}
		if got := w.find("ana1.1").State; got != pending {
			t.Error(got)
		}
	})
}

// nonzero leaves out what there is none of.
func nonzero[K comparable](n map[K]int64) map[K]int64 {
	rest := map[K]int64{}
	for k, n := range n {
		if n != 0 {
			rest[k] = n
		}
	}
	return rest
}

func isConflict(err error) bool {
	e, ok := errors.AsType[*onramp.Error](err)
	return ok && e.Kind == onramp.Conflict
}
