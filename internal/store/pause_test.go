package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// isKind says whether an error is meant for the operator and of a kind.
func isKind(err error, kind onramp.Kind) bool {
	e, ok := errors.AsType[*onramp.Error](err)
	return ok && e.Kind == kind
}

// A pause is on disk, wakes the lane, and is told at once.
func TestPauseDestination(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const x = "data_extension:x"
		id := w.destination("x")
		want := func(want onramp.Pause) {
			t.Helper()
			if diff := cmp.Diff(want, w.s.Pause(id)); diff != "" {
				t.Error(diff)
			}
			if other := w.s.Pause(w.destination("y")); other != (onramp.Pause{}) {
				t.Errorf("the other destination: %+v", other)
			}
		}
		want(onramp.Pause{})
		if _, err := w.s.ResumeDestination(t.Context(), x); !isKind(err, onramp.Conflict) || err.Error() != x+" is not paused" {
			t.Errorf("resumed, it answers %v", err)
		}
		_, due := w.s.Wake(id)
		for _, reason := range []string{"new columns", "new\x00columns until noon"} {
			if err := w.s.PauseDestination(t.Context(), x, reason); err != nil {
				t.Fatal(err)
			}
			select {
			case <-due:
			default:
				t.Error("the lane is not woken")
			}
			w.clock.advance(time.Minute)
		}
		paused := onramp.Pause{Since: begin, Reason: "new\ufffdcolumns until noon"}
		want(paused)
		w.reopen()
		want(paused)
		if n, err := w.s.ResumeDestination(t.Context(), x); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		resumed := onramp.Pause{Ended: begin.Add(2 * time.Minute)}
		want(resumed)
		w.reopen()
		want(resumed)
		for _, err := range []error{
			w.s.PauseDestination(t.Context(), "data_extension:nope\x00", "x"),
			func() error { _, err := w.s.ResumeDestination(t.Context(), "data_extension:nope"); return err }(),
		} {
			if !isKind(err, onramp.NotFound) {
				t.Errorf("a destination that does not exist: %v", err)
			}
		}
	})
}

// Nobody knows of a commit whose answer was lost, but a pause that is on disk holds.
func TestPauseInDoubt(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.faults.during(lost, func() {
			if err := w.s.PauseDestination(t.Context(), "data_extension:x", "new columns"); err == nil {
				t.Fatal("the commit has not failed")
			}
		})
		w.save("one", "ana1") // whatever is written next
		if p := w.s.Pause(w.destination("x")); p.Reason != "new columns" {
			t.Errorf("it is %+v", p)
		}
	})
}

// At the end of a pause, messages become unknown that were tried so long ago that
// Marketing Cloud may send a repeat twice. Others go on.
func TestResumeMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		message := onramp.Destination{Kind: onramp.Message, Key: "m"}
		registered, err := w.s.RegisterForms(t.Context(), []onramp.Form{{Name: "mail", Route: []onramp.Destination{message}}})
		if err != nil {
			t.Fatal(err)
		}
		w.forms["mail"] = registered[0]
		w.save("mail", "old1", "old2", "throttled1", "fresh1", "late1", "again1")
		w.save("both", "row1")
		w.settle("old1.1", pending, time.Minute)
		w.park("old2.1") // behind it
		w.settle("throttled1.1", pending, 0)
		w.settle("row1.1", pending, time.Minute)
		w.settle("again1.1", pending, time.Minute)
		w.clock.advance(2 * time.Hour)
		w.settle("late1.1", pending, time.Minute)
		for _, name := range []string{"message:m", "data_extension:x"} {
			if err := w.s.PauseDestination(t.Context(), name, "new template"); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.advance(46 * time.Hour)
		for name, want := range map[string]int{"message:m": 2, "data_extension:x": 0} {
			if n, err := w.s.ResumeDestination(t.Context(), name); n != want || err != nil {
				t.Fatalf("%s: %d became unknown, %v", name, n, err)
			}
		}
		const reason = " an earlier try, more than 47 hours ago, may have arrived: after so long a pause Marketing Cloud no longer recognises a repeat"
		want := []string{
			"old1.1 unknown tries 1 settled 0s reason" + reason, "old2.1 pending due 0s", "throttled1.1 pending", "fresh1.1 pending", "late1.1 pending tries 1 due -45h59m0s",
			"again1.1 unknown tries 1 settled 0s reason" + reason, "row1.1 pending tries 1 due -47h59m0s", "row1.2 waiting due never",
		}
		if diff := cmp.Diff(want, w.rows()); diff != "" {
			t.Error(diff)
		}
		if first := w.find("late1.1").FirstFailure; !first.Equal(begin.Add(2*time.Hour - time.Second)) {
			t.Errorf("it failed first at %v", first)
		}
		w.retry("old1.1") // an operator may send it all the same
		if d := w.find("old1.1"); d.State != pending {
			t.Errorf("retried, it is %s", d.State)
		}
	})
}
