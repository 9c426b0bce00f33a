package ens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
)

// effect is what of a subscription has effect.
type effect struct {
	Types, Filters []string
	Active         bool
}

// A new subscription and a changed one have effect after a while, until which the
// changed one is as it was; a pause has effect at once.
func TestActivation(t *testing.T) {
	t.Parallel()
	const opened, clicked = "EngagementEvents.EmailOpen", "EngagementEvents.EmailClick"
	r := newRig(t, ens.Config{})
	id := r.subscription(`"` + opened + `"`)
	want := func(when string, want effect) {
		t.Helper()
		types, filters, active := r.Effective(id)
		if diff := cmp.Diff(want, effect{types, filters, active}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	put := func(more string) {
		t.Helper()
		r.send("PUT", subscriptionsPath, `[{"subscriptionId":"`+id+`",`+more+`}]`, "")
	}
	nothing, first := effect{}, effect{[]string{opened}, nil, true}
	want("new", nothing)
	r.advance(2*time.Minute - 1)
	want("nearly", nothing)
	put(`"eventCategoryTypes":["` + opened + `"],"subscriptionName":"renamed"`)
	r.advance(1)
	want("in effect", first)

	put(`"eventCategoryTypes":["` + clicked + `"],"filters":["definitionKey=a"]`)
	want("changed", first)
	r.advance(time.Minute)
	put(`"eventCategoryTypes":["` + clicked + `"],"filters":["definitionKey=b"]`)
	want("changed again", first)
	r.advance(2 * time.Minute)
	second := effect{[]string{clicked}, []string{"definitionKey=b"}, true}
	want("the change is in effect", second)
	put(`"eventCategoryTypes":["` + clicked + `"],"filters":["definitionKey=b"]`)
	want("no change", second)

	put(`"eventCategoryTypes":["` + clicked + `"],"status":"paused","statusReason":"a"`)
	want("paused", nothing)
	r.advance(time.Hour)
	want("still paused", nothing)
	put(`"eventCategoryTypes":["` + opened + `"],"status":"active","statusReason":"b"`)
	want("resumed", nothing)
	r.advance(2 * time.Minute)
	want("resumed and in effect", effect{[]string{opened}, []string{"definitionKey=b"}, true})
}

func TestActivationSetting(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ activation, from time.Duration }{{0, 2 * time.Minute}, {-1, 0}, {time.Second, time.Second}} {
		t.Run(row.activation.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ens.Config{Activation: row.activation})
			id := r.subscription(`"TransactionalSendEvents.EmailSent"`)
			if row.from > 0 {
				r.advance(row.from - 1)
				if _, _, active := r.Effective(id); active {
					t.Error("it is active before its time")
				}
				r.advance(1)
			}
			if _, _, active := r.Effective(id); !active {
				t.Error("it is not active")
			}
		})
	}
}
