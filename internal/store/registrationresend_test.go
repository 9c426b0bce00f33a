package store_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

// resend sends again what a filter selects, and returns what was left out.
func (w *world) resend(f resend.RegistrationFilter) map[string]int64 {
	w.t.Helper()
	ctx := w.t.Context()
	p, err := w.s.PlanRegistrationResend(ctx, f, w.forms)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Kind, p.Target = resend.Registrations, resend.Routes
	if p.Filter, err = json.Marshal(f); err != nil {
		w.t.Fatal(err)
	}
	run, _, err := w.s.StartResend(ctx, p, true)
	if err != nil {
		w.t.Fatal(err)
	}
	read := run
	for run.State == resend.Running {
		if _, err := w.s.ResendRegistrations(ctx, &run, f, w.forms); err != nil {
			w.t.Fatal(err)
		}
		if run, err = w.s.FindResend(ctx, run.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	// a portion whose answer was lost is not queued again
	if _, err := w.s.ResendRegistrations(ctx, &read, f, w.forms); err != nil {
		w.t.Fatal(err)
	}
	if run.Sent != p.Count {
		w.t.Errorf("%d were sent, %d planned", run.Sent, p.Count)
	}
	return run.LeftOut
}

func (w *world) wantState(name string, want onramp.RegistrationState) {
	w.t.Helper()
	r, err := w.s.FindRegistration(w.t.Context(), w.ids[name])
	if err != nil || r.State != want {
		w.t.Errorf("%s is %v, want %v: %v", name, r.State, want, err)
	}
}

// What is sent again goes step by step like an acceptance, has a fate of its own, and
// leaves the state of its registration alone. Its dead letters are replaced.
func TestResentSteps(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "bob1", "cid1", "dan1")
		for _, d := range []string{"ana1.1", "ana1.2", "bob1.1"} {
			w.settle(d, delivered, 0)
		}
		w.settle("bob1.2", dead, 0)
		w.settle("cid1.1", dead, 0)
		if diff := cmp.Diff(map[string]int64{"waiting": 1}, w.resend(resend.RegistrationFilter{All: true})); diff != "" {
			t.Error(diff)
		}
		w.checkCounts()
		w.wantRows("ana1.1 delivered tries 1 settled 0s", "ana1.2 delivered tries 1 settled 0s", "bob1.1 delivered tries 1 settled 0s",
			"bob1.2 discarded tries 1 settled 0s reason sent again by resend 1", "cid1.1 discarded tries 1 settled 0s reason sent again by resend 1",
			"cid1.2 discarded settled 0s reason sent again by resend 1", "dan1.1 pending", "dan1.2 waiting",
			"ana1.1 pending", "bob1.1 pending", "bob1.2 waiting", "cid1.1 pending", "cid1.2 waiting")

		w.settle("bob1.1.1", delivered, 0)
		w.settle("bob1.2.1", onramp.DeliveryUnknown, 0)
		w.settle("cid1.1.1", dead, 0)
		w.settle("ana1.1.1", pending, 0)
		w.wantState("ana1", onramp.RegistrationDelivered)
		w.wantState("bob1", onramp.RegistrationFailed)
		for state, want := range map[string]string{"delivered": "ana1", "failed": "cid1 bob1", "unknown": "", "queued": "dan1"} {
			page, _, _, err := w.s.ListRegistrations(t.Context(), onramp.Filter{State: state})
			var names []string
			for _, r := range page {
				names = append(names, w.names[r.ID])
			}
			if got := strings.Join(names, " "); got != want || err != nil {
				t.Errorf("%s: %s, want %s: %v", state, got, want, err)
			}
		}
		if r, err := w.s.RetryDeliveries(t.Context(), onramp.Filter{}, false, nil); r.Count != 1 || err != nil {
			t.Errorf("%+v, %v", r, err)
		}
		w.settle("cid1.1.1", delivered, 0)
		w.settle("cid1.2.1", delivered, 0)
		w.wantState("cid1", onramp.RegistrationFailed)
		w.checkCounts()

		// a step alone, and again: bob has the journey, or may have it
		if diff := cmp.Diff(map[string]int64{"got": 2, "waiting": 2}, func() map[string]int64 {
			p, err := w.s.PlanRegistrationResend(t.Context(), resend.RegistrationFilter{All: true, Step: 2}, w.forms)
			if err != nil {
				t.Fatal(err)
			}
			return p.LeftOut
		}()); diff != "" {
			t.Error(diff)
		}
		w.resend(resend.RegistrationFilter{ID: w.ids["bob1"], Step: 2, RepeatJourneys: true})
		w.settle("bob1.2.2", delivered, 0)
	})
}

// An older registration is not newer for having been sent again.
func TestAgeOfResent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "ana2")
		w.settle("ana1.1", delivered, 0)
		w.settle("ana1.2", delivered, 0)
		w.settle("ana2.1", dead, 0)
		w.resend(resend.RegistrationFilter{ID: w.ids["ana1"]}) // the newer one has not arrived
		w.settle("ana1.1.1", delivered, 0)
		w.retry("ana2.1") // and may
		w.settle("ana2.1", delivered, 0)
		w.settle("ana2.2", delivered, 0)
		p, err := w.s.PlanRegistrationResend(t.Context(), resend.RegistrationFilter{All: true}, w.forms)
		if diff := cmp.Diff(map[string]int64{"superseded": 1}, p.LeftOut); err != nil || diff != "" {
			t.Error(err, diff)
		}
		// what is dead of a resend is as old as its registration
		w.resend(resend.RegistrationFilter{ID: w.ids["ana1"], OverwriteNewer: true})
		w.settle("ana1.1.2", dead, 0)
		wantKind(t, "a retry of what is older", w.s.RetryDelivery(t.Context(), w.id("ana1.1.2"), false), onramp.Conflict)
	})
}

// A portion whose answer was lost is not queued again, though the run goes on.
func TestResentPortion(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var names []string
		for i := range 300 {
			names = append(names, "p"+strconv.Itoa(i)+"x")
		}
		w.save("one", names...)
		for _, name := range names {
			w.settle(name+".1", delivered, 0)
		}
		f := resend.RegistrationFilter{Form: "one", RepeatJourneys: true}
		plan, err := w.s.PlanRegistrationResend(t.Context(), f, w.forms)
		if err != nil {
			t.Fatal(err)
		}
		plan.Kind, plan.Target, plan.Filter = resend.Registrations, resend.Routes, json.RawMessage(`{"form":"one"}`)
		run, _, err := w.s.StartResend(t.Context(), plan, false)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.s.ResendRegistrations(t.Context(), &run, f, w.forms); err != nil {
				t.Fatal(err)
			}
		}
		queued := w.countBy(`SELECT 'again', COUNT(*) FROM delivery WHERE steps IS NOT NULL`)
		run, err = w.s.FindResend(t.Context(), run.ID)
		if queued["again"] != 250 || run.Sent != 250 || run.State != resend.Running || err != nil {
			t.Errorf("%d are queued; %+v, %v", queued["again"], run, err)
		}
		if waits, err := w.s.ResendRegistrations(t.Context(), &run, f, w.forms); !waits || err != nil {
			t.Errorf("the next portion does not wait for this one: %v", err)
		}
	})
}
