package cli_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/admin"
	words "onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/setup"
	"onramp/internal/web"
)

// setUp is a gateway's setup whose Marketing Cloud refuses the callback while
// "refuse" stands in the name of a callback to remove, and the second setup finds
// all done.
type setUp struct{ done bool }

func (s *setUp) steps(prune bool) []setup.Step {
	steps := []setup.Step{
		{Kind: setup.Create, Object: setup.Callback, Name: "events", Detail: "https://signup.example.com/ens/events"},
		{Kind: setup.Verify, Object: setup.Callback, Name: "events", Detail: "with the key from the probe"},
		{Kind: setup.Leave, Object: setup.Subscription, Name: "old\x1b[31m", Detail: "left alone", Kept: true},
	}
	if s.done {
		steps = steps[2:]
	}
	if prune {
		steps[len(steps)-1] = setup.Step{Kind: setup.Delete, Object: setup.Subscription, Name: "old", Detail: "not in the configuration"}
	}
	return steps
}

func (s *setUp) Plan(_ context.Context, prune bool) ([]setup.Step, error) {
	return s.steps(prune), nil
}

func (s *setUp) Apply(_ context.Context, prune bool) ([]setup.Step, error) {
	steps := s.steps(prune)
	s.done = true
	return steps, nil
}

func (s *setUp) PlanRemoval(_ context.Context, names []string) ([]setup.Step, error) {
	if slices.Contains(names, "nobody") {
		return nil, &words.Error{Kind: words.NotFound, Message: `there is no callback "nobody"`}
	}
	return []setup.Step{{Kind: setup.Delete, Object: setup.Callback, Name: strings.Join(names, "+"), Detail: "its URL"}, {Kind: setup.Delete, Object: setup.Scheme, Name: "s", Detail: "unused"}}, nil
}

func (s *setUp) Remove(ctx context.Context, names []string) ([]setup.Step, error) {
	steps, err := s.PlanRemoval(ctx, names)
	if slices.Contains(names, "refuse") {
		taken := 1
		if slices.Contains(names, "first") {
			taken = 0
		}
		return steps[:taken], &setup.Error{Step: "delete scheme s", Cause: "409 Conflict", Hint: "run the command again"}
	}
	return steps, err
}

func (s *setUp) Status(context.Context) (setup.Status, error) {
	if !s.done {
		return setup.Status{
			Unreachable: "no answer",
			Wrong:       []setup.Finding{{What: "the stored signing key k can't be read", Hint: "nothing to do"}},
			Schemes:     []setup.SchemeStatus{{Name: "s", State: setup.StateMissing, Wrong: []setup.Finding{{What: "it is not there", Hint: "run onramp ens setup"}}}},
			Callbacks: []setup.CallbackStatus{{
				Name: "events", URL: "https://signup.example.com/ens/events", State: setup.StateMissing, Wrong: []setup.Finding{{What: "it is\nnot there", Hint: "run onramp ens setup"}},
			}},
		}, nil
	}
	last := time.Now().Add(-150 * time.Minute)
	return setup.Status{
		Schemes: []setup.SchemeStatus{{Name: "s", AuthID: "1", State: setup.StatePresent}},
		Callbacks: []setup.CallbackStatus{{
			Name: "events", URL: "https://signup.example.com/ens/events", CallbackID: "2", State: setup.StateVerified, Scheme: "s",
			LastEvent: &last, Taken: map[string]int64{"signature": 7}, Refused: map[words.Refusal]int64{"wrong signature": 1, "content type": 2},
			Subscriptions: []setup.SubscriptionStatus{{Name: "sends", State: setup.StateActive, Types: []string{"A.B", "A.C"}, Filters: []string{"x=y"}}},
		}},
	}, nil
}

// TestEns runs onramp ens against a gateway whose setup is played.
func TestEns(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "ens"), Setup: func(e *testscript.Env) error {
		serveDesk(e, &operator.Desk{Setup: &setUp{}})
		return nil
	}})
}

// serveDesk serves the admin API, open to all, and points the scripts at it.
func serveDesk(e *testscript.Env, desk *operator.Desk) {
	desk.Log = slog.New(slog.DiscardHandler)
	routes := &admin.Admin{Desk: desk, Open: true, Server: &web.Server{Log: desk.Log, Part: "admin"}}
	mux := http.NewServeMux()
	routes.Routes(mux)
	server := httptest.NewServer(mux)
	e.Defer(server.Close)
	e.Setenv("ONRAMP_ADMIN_LISTEN", strings.TrimPrefix(server.URL, "http://"))
}
