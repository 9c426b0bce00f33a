package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// corrected registers the world's forms with another first step of "both", and has what
// waits follow.
func (w *world) corrected(change func(route []onramp.Destination) []onramp.Destination) {
	w.t.Helper()
	all := forms()
	all[0].Route = change(all[0].Route)
	registered, err := w.s.RegisterForms(context.Background(), all)
	if err == nil {
		w.left, err = w.s.FollowRoutes(context.Background(), registered)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// places tells where deliveries are.
func (w *world) places(deliveries ...string) map[string]string {
	places := map[string]string{}
	for _, name := range deliveries {
		d := w.find(name)
		places[name] = d.Destination + " " + d.State.String()
	}
	return places
}

func same(route []onramp.Destination) []onramp.Destination { return route }

func renamed(key string) func([]onramp.Destination) []onramp.Destination {
	return func(route []onramp.Destination) []onramp.Destination {
		route[0].Key = key
		return route
	}
}

// What waits, and what has failed, goes where the corrected route leads; what was
// delivered stays where it is.
func TestFollowRoutes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.corrected(same)
		w.save("both", "ana", "bob", "cid", "dora", "eva")
		w.settle("ana.1", delivered, 0)
		w.settle("bob.1", dead, 0)
		w.settle("cid.1", pending, time.Minute)
		w.settle("eva.1", delivered, 0)
		w.settle("eva.2", dead, 0)
		w.corrected(renamed("x2"))
		w.corrected(same) // and back
		w.corrected(renamed("x2"))
		want := map[string]string{
			"ana.1": "data_extension:x delivered", "ana.2": "journey:y pending", "bob.1": "data_extension:x2 dead", "bob.2": "journey:y waiting",
			"cid.1": "data_extension:x2 pending", "cid.2": "journey:y waiting", "dora.1": "data_extension:x2 pending", "dora.2": "journey:y waiting",
			"eva.1": "data_extension:x delivered", "eva.2": "journey:y dead",
		}
		if diff := cmp.Diff(want, w.places("ana.1", "ana.2", "bob.1", "bob.2", "cid.1", "cid.2", "dora.1", "dora.2", "eva.1", "eva.2")); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
		to, _, err := w.s.Resume(t.Context(), onramp.Destination{ID: w.find("dora.1").DestinationID})
		if err != nil {
			t.Fatal(err)
		}
		fresh, _, _, err := w.s.ListFresh(t.Context(), w.find("dora.1").DestinationID, to, 10)
		if err != nil || len(fresh) != 1 || fresh[0].Seq != w.find("dora.1").Seq {
			t.Errorf("the new destination finds %+v, %v", fresh, err)
		}
		due, _, err := w.s.ListDue(t.Context(), w.find("dora.1").DestinationID, fresh[0].Seq, w.clock.now(), 10)
		if err != nil || len(due) != 1 || due[0].Seq != w.find("cid.1").Seq {
			t.Errorf("due are %+v, %v", due, err)
		}
		if reopened := w.places("dora.1"); true {
			w.reopen()
			if diff := cmp.Diff(reopened, w.places("dora.1")); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Steps that were added or taken away take nothing along.
func TestFollowNoRoute(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.corrected(same)
		w.save("both", "ana")
		for name, change := range map[string]func([]onramp.Destination) []onramp.Destination{
			"a step before": func(r []onramp.Destination) []onramp.Destination {
				return append([]onramp.Destination{{Kind: onramp.DataExtension, Key: "first"}}, r...)
			},
			"without the step": func(r []onramp.Destination) []onramp.Destination { return r[1:] },
			"another kind of step": func(r []onramp.Destination) []onramp.Destination {
				return []onramp.Destination{{Kind: onramp.Message, Key: "hello"}, r[1]}
			},
		} {
			w.corrected(change)
			want := map[string]string{"ana.1": "data_extension:x pending", "ana.2": "journey:y waiting"}
			if diff := cmp.Diff(want, w.places("ana.1", "ana.2")); diff != "" {
				t.Errorf("%s: places (-want +got):\n%s", name, diff)
			}
		}
	})
}

// One new step takes the place of one: what waits for two that are gone must not enter
// it twice.
func TestFollowOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		z := onramp.Destination{Kind: onramp.Journey, Key: "z"}
		w.corrected(func(r []onramp.Destination) []onramp.Destination { return []onramp.Destination{r[1], z} })
		registered := forms()
		registered[0].Route = []onramp.Destination{registered[0].Route[1], z}
		all, err := w.s.RegisterForms(t.Context(), registered)
		if err != nil {
			t.Fatal(err)
		}
		w.forms["both"] = all[0]
		w.save("both", "ana")
		w.corrected(func([]onramp.Destination) []onramp.Destination {
			return []onramp.Destination{{Kind: onramp.Journey, Key: "new"}}
		})
		want := map[string]string{"ana.1": "journey:new pending", "ana.2": "journey:z waiting"}
		if diff := cmp.Diff(want, w.places("ana.1", "ana.2")); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
	})
}

// An older row does not overwrite what the new destination has been sent since.
func TestFollowOvertaken(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := append(forms(), onramp.Form{Name: "right", Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "right"}}})
		register := func() {
			registered, err := w.s.RegisterForms(t.Context(), all)
			if err == nil {
				_, err = w.s.FollowRoutes(t.Context(), registered)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range registered {
				w.forms[f.Name] = f
			}
		}
		register()
		w.save("both", "ana", "bob")
		newer := w.registration("right", "ana")
		if _, err := w.s.SaveRegistration(t.Context(), &newer, onramp.IdempotencyKey{}, false); err != nil {
			t.Fatal(err)
		}
		w.names[newer.ID], w.ids["newer"] = "newer", newer.ID
		w.settle("newer.1", delivered, 0)
		all[0].Route[0].Key = "right"
		registered, err := w.s.RegisterForms(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		// the same when the start before this one has died in the middle of it
		w.faults.during(lost, func() { _, err = w.s.FollowRoutes(t.Context(), registered) })
		if !failedCommit(err) {
			t.Fatal(err)
		}
		register()
		want := map[string]string{"ana.1": "data_extension:right dead", "ana.2": "journey:y waiting", "bob.1": "data_extension:right pending"}
		if diff := cmp.Diff(want, w.places("ana.1", "ana.2", "bob.1")); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
	})
}
