package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// saveHeld saves registrations that are held.
func (w *world) saveHeld(form string, h onramp.Hold, names ...string) {
	w.t.Helper()
	for _, name := range names {
		r := w.registration(form, name[:3])
		r.Hold = h
		if _, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
			w.t.Fatal(err)
		}
		w.ids[name], w.names[r.ID] = r.ID, name
	}
}

func suspected(of string) onramp.Hold { return onramp.Hold{Reason: onramp.HoldSuspicion, Detail: of} }

// Suspects are released and discarded together, by form, reason and time, and counted by
// what they were suspected of. What waits for its person is left alone, and so is what a
// newer row has overtaken.
func TestSuspects(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.saveHeld("both", suspected("honeypot"), "ana1", "bob1")
		w.saveHeld("one", suspected("hook: a%name"), "cem1")
		w.saveHeld("one", suspected("hook_x"), "dan1")
		w.saveHeld("both", onramp.Hold{Reason: onramp.HoldConfirmation}, "eva1")
		w.clock.advance(time.Hour)
		later := w.clock.now()
		w.saveHeld("one", suspected("honeypot"), "fay1")
		w.saveHeld("both", suspected("honeypot"), "gus1")
		w.save("both", "gus2")
		w.settle("gus2.1", delivered, 0)

		for name, row := range map[string]struct {
			filter                     onramp.SuspectFilter
			releases, overtaken, total int64
		}{
			"all":            {onramp.SuspectFilter{}, 5, 1, 6},
			"of a form":      {onramp.SuspectFilter{Form: "both"}, 2, 1, 3},
			"for a reason":   {onramp.SuspectFilter{Reason: "honeypot"}, 3, 1, 4},
			"with more said": {onramp.SuspectFilter{Reason: "hook"}, 1, 0, 1},
			"since":          {onramp.SuspectFilter{Since: later}, 1, 1, 2},
			"until":          {onramp.SuspectFilter{Until: later, Reason: "honeypot"}, 2, 0, 2},
			"none":           {onramp.SuspectFilter{Reason: "captcha"}, 0, 0, 0},
		} {
			plan, err := w.s.PlanRelease(ctx, row.filter)
			discards, err2 := w.s.PlanDiscard(ctx, row.filter)
			if err != nil || err2 != nil || plan.Count != row.releases || plan.Superseded != row.overtaken || discards != row.total {
				t.Errorf("%s: %+v, %d, %v, %v", name, plan, discards, err, err2)
			}
		}
		_, err := w.s.PlanRelease(ctx, onramp.SuspectFilter{Form: "nobody's"})
		wantKind(t, "an unknown form", err, onramp.Malformed)
		if got := w.s.Count().Registrations[onramp.RegistrationHeld]; got != 7 {
			t.Errorf("a plan has changed something: %d are held", got)
		}

		before, err := w.s.ListSuspicions(ctx)
		if len(before) != 3 || before[0] != (onramp.Suspicion{Reason: "honeypot", Held: 4, Waiting: 4}) || err != nil {
			t.Error(before, err)
		}
		released, err := w.s.ReleaseSuspects(ctx, onramp.SuspectFilter{Reason: "honeypot"})
		if err != nil || released.Count != 3 || released.Superseded != 1 {
			t.Fatal(released, err)
		}
		discarded, err := w.s.DiscardSuspects(ctx, onramp.SuspectFilter{}, "a test")
		if err != nil || discarded != 3 {
			t.Fatal(discarded, err)
		}
		states := map[string]string{}
		for _, name := range []string{"ana1", "bob1", "cem1", "dan1", "eva1", "fay1", "gus1"} {
			r, err := w.s.FindRegistration(ctx, w.ids[name])
			if err != nil {
				t.Fatal(err)
			}
			states[name] = fmt.Sprint(r.State, " ", r.Deliveries[0].State)
		}
		want := map[string]string{
			"ana1": "queued pending", "bob1": "queued pending", "cem1": "failed discarded", "dan1": "failed discarded",
			"eva1": "held held", "fay1": "queued pending", "gus1": "failed discarded",
		}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Error(diff)
		}
		w.reopen()
		counts, err := w.s.ListSuspicions(ctx)
		wantCounts := []onramp.Suspicion{
			{Reason: "honeypot", Held: 4, Released: 3, Discarded: 1}, {Reason: "hook", Held: 1, Discarded: 1}, {Reason: "hook_x", Held: 1, Discarded: 1},
		}
		if diff := cmp.Diff(wantCounts, counts); diff != "" || err != nil {
			t.Error(diff, err)
		}
		w.checkCounts()
	})
}

// More than one portion is released, and each once.
func TestManySuspects(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const many = 450
		for i := range many {
			w.saveHeld("one", suspected("form_limit"), fmt.Sprintf("%03d1", i))
		}
		released, err := w.s.ReleaseSuspects(t.Context(), onramp.SuspectFilter{Form: "one"})
		if err != nil || released.Count != many {
			t.Fatal(released, err)
		}
		again, err := w.s.ReleaseSuspects(t.Context(), onramp.SuspectFilter{Form: "one"})
		if err != nil || again.Count != 0 {
			t.Error(again, err)
		}
		if got := w.s.Count().Registrations[onramp.RegistrationQueued]; got != many {
			t.Errorf("%d are queued", got)
		}
	})
}

// What was used is there after a restart, in order, until it can be forgotten; a node
// doesn't get its own back.
func TestUses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, at := t.Context(), w.clock.now()
		use := func(key uint64, life time.Duration) onramp.Use {
			return onramp.Use{Kind: onramp.UsePerson, Key: key, At: at, Amount: 7, Until: at.Add(life)}
		}
		for node, uses := range map[string][]onramp.Use{"a": {use(1, time.Minute), use(1<<63+5, time.Hour)}} {
			if err := w.s.SaveUses(ctx, node, uses); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.s.SaveUses(ctx, "b", []onramp.Use{use(3, time.Minute)}); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		others, to, err := w.s.ListUses(ctx, 0, "b")
		if diff := cmp.Diff([]onramp.Use{use(1, time.Minute), use(1<<63+5, time.Hour)}, others); diff != "" || err != nil || to != 2 {
			t.Error(diff, err, to)
		}
		all, to, err := w.s.ListUses(ctx, 1, "")
		if diff := cmp.Diff([]onramp.Use{use(3, time.Minute)}, all); diff != "" || err != nil || to != 2 {
			t.Error(diff, err, to)
		}
		w.clock.advance(2 * time.Hour)
		at = w.clock.now()
		if err := w.s.SaveUses(ctx, "a", []onramp.Use{use(9, time.Minute)}); err != nil {
			t.Fatal(err)
		}
		left, to, err := w.s.ListUses(ctx, 0, "")
		if len(left) != 2 || left[1].Key != 9 || to != 3 || err != nil { // the newest before it keeps its place
			t.Errorf("%+v, %d, %v", left, to, err)
		}
	})
}
