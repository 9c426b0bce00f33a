package setup_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

func remove(names ...string) func(context.Context, *setup.Setup) error {
	return func(ctx context.Context, s *setup.Setup) error {
		_, err := s.Remove(ctx, names)
		return err
	}
}

// removals are what is to be removed of two callbacks, and what stays.
func removals() map[string]struct {
	change func(w *world)
	names  []string
	steps  []string
	want   []string
} {
	password := `scheme password mc-ens secret-one robot password-one at GATEWAY/oauth2/token, stored as "password:mc-ens:robot"`
	opens := "subscription opens of onramp-other [EngagementEvents.EmailOpen] [] active"
	left := sorted([]string{callbackLine("other", "password:mc-ens:robot"), opens, password})
	first := []string{"delete subscription sends", "delete subscription clicks", "delete callback events"}
	all := append(append([]string{}, first...),
		"delete subscription opens", "delete callback other", "delete scheme client_credentials:mc-ens", "delete scheme password:mc-ens:robot", "forget callback events", "forget callback other")
	shared := func(w *world) { // both have one scheme
		w.callbacks[1].Auth, w.callbacks[1].User = onramp.ClientCredentials, ""
		w.must(prune)
	}
	return map[string]struct {
		change func(w *world)
		names  []string
		steps  []string
		want   []string
	}{
		"all": {func(*world) {}, nil, all, nil},
		"one": {func(*world) {}, []string{"events", "events"}, append(first, "delete scheme client_credentials:mc-ens", "forget callback events"), left},
		"one of a scheme": {
			shared,
			[]string{"events"},
			append(first, "forget callback events"),
			sorted([]string{callbackLine("other", "client_credentials:mc-ens"), opens, schemeLine}),
		},
		"no longer configured": {
			func(w *world) { w.callbacks = w.callbacks[1:] }, []string{"events"}, append(first, "delete scheme client_credentials:mc-ens", "forget callback events"), left,
		},
		"records lost": {
			func(w *world) {
				w.schemes, w.records = map[string]onramp.Scheme{}, map[string]onramp.CallbackRecord{}
			},
			[]string{"events", "other"},
			nil, nil,
		},
		"already gone there": {
			func(w *world) { w.cloud.schemes, w.cloud.callbacks, w.cloud.subscriptions = nil, nil, nil }, nil,
			[]string{"delete scheme client_credentials:mc-ens", "delete scheme password:mc-ens:robot", "forget callback events", "forget callback other"},
			nil,
		},
	}
}

// Removing takes the order that the vendor demands, does what was planned, and
// after a kill at any point goes on where it stopped.
func TestRemove(t *testing.T) {
	t.Parallel()
	for name, row := range removals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for end := 0; ; end++ {
				w := newWorld(t, events(onramp.ClientCredentials), other(onramp.PasswordGrant))
				w.must(apply)
				row.change(w)
				if end == 0 {
					plan, err := w.setup().PlanRemoval(t.Context(), row.names)
					if err != nil {
						t.Fatal(err)
					}
					done, err := w.setup().Remove(t.Context(), row.names)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(plan, done); diff != "" {
						t.Errorf("planned and done differ:\n%s", diff)
					}
					if diff := cmp.Diff(row.steps, changing(done)); row.steps != nil && diff != "" {
						t.Error(diff)
					}
				} else if died, _ := w.live(end, remove(row.names...)); !died {
					return
				}
				_, err := w.live(0, remove(row.names...))
				var unknown *onramp.Error
				if err != nil && !(errors.As(err, &unknown) && unknown.Kind == onramp.NotFound) { // all of it was gone
					t.Errorf("after the kill at point %d: %v", end, err)
				}
				if diff := cmp.Diff(row.want, w.state()); diff != "" {
					t.Errorf("after the kill at point %d:\n%s", end, diff)
				}
			}
		})
	}
}

// After a removal everything can be set up again.
func TestRemoveAndSetUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.PasswordGrant))
	w.must(apply)
	w.must(remove())
	w.must(apply)
	w.wantState(complete(onramp.PasswordGrant))
	w.settled()
}

func TestRemoveErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.ClientCredentials))
	w.must(apply)
	_, err := w.setup().Remove(t.Context(), []string{"events", "evnets"})
	if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != onramp.NotFound || !strings.Contains(e.Message, `"evnets"`) {
		t.Errorf("error %v", err)
	}
	w.wantState(complete(onramp.ClientCredentials))

	// what is refused stays, with its record, and is deleted the next time
	w.cloud.refuse = func(r *http.Request) int {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "authentications") {
			return 409
		}
		return 0
	}
	done, err := w.setup().Remove(t.Context(), nil)
	if failed, ok := errors.AsType[*setup.Error](err); !ok || failed.Step != "delete scheme client_credentials:mc-ens" || !strings.Contains(failed.Hint, "two minutes") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"delete subscription sends", "delete subscription clicks", "delete callback events"}, changing(done)); diff != "" {
		t.Error(diff)
	}
	w.cloud.refuse = nil
	w.must(remove("events"))
	w.wantState(nil)
}
