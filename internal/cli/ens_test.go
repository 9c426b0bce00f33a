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
	"onramp/internal/web"
)

// setUp is a gateway's setup whose Marketing Cloud refuses the callback while
// "refuse" stands in the name of a callback to remove, and the second setup finds
// all done.
type setUp struct{ done bool }

func (s *setUp) steps(prune bool) []words.SetupStep {
	steps := []words.SetupStep{
		{What: "create callback", Name: "events", Detail: "https://signup.example.com/ens/events"},
		{What: "verify callback", Name: "events", Detail: "by the key that the probe brings"},
		{What: "leave subscription", Name: "old\x1b[31m", Detail: "left alone", Kept: true},
	}
	if s.done {
		steps = steps[2:]
	}
	if prune {
		steps[len(steps)-1] = words.SetupStep{What: "delete subscription", Name: "old", Detail: "not in the configuration"}
	}
	return steps
}

func (s *setUp) Plan(_ context.Context, prune bool) ([]words.SetupStep, error) {
	return s.steps(prune), nil
}

func (s *setUp) Apply(_ context.Context, prune bool) ([]words.SetupStep, error) {
	steps := s.steps(prune)
	s.done = true
	return steps, nil
}

func (s *setUp) PlanRemoval(_ context.Context, names []string) ([]words.SetupStep, error) {
	if slices.Contains(names, "nobody") {
		return nil, &words.Error{Kind: words.NotFound, Message: `there is no callback "nobody"`}
	}
	return []words.SetupStep{{What: "delete callback", Name: strings.Join(names, "+"), Detail: "removed"}, {What: "delete scheme", Name: "s", Detail: "unused"}}, nil
}

func (s *setUp) Remove(ctx context.Context, names []string) ([]words.SetupStep, error) {
	steps, err := s.PlanRemoval(ctx, names)
	if slices.Contains(names, "refuse") {
		return steps[:1], &words.SetupError{Step: "delete scheme s", Cause: "409 Conflict", Hint: "run the command again"}
	}
	return steps, err
}

func (s *setUp) Status(context.Context) (words.SetupStatus, error) {
	if !s.done {
		return words.SetupStatus{
			Unreachable: "no answer",
			Schemes:     []words.SchemeStatus{{Name: "s", State: words.StateMissing, Wrong: []words.Finding{{What: "it is not there", Hint: "run onramp ens setup"}}}},
			Callbacks: []words.CallbackStatus{{
				Name: "events", URL: "https://signup.example.com/ens/events", State: words.StateMissing, Wrong: []words.Finding{{What: "it is\nnot there", Hint: "run onramp ens setup"}},
			}},
		}, nil
	}
	return words.SetupStatus{
		Schemes: []words.SchemeStatus{{Name: "s", AuthID: "1", State: words.StatePresent}},
		Callbacks: []words.CallbackStatus{{
			Name: "events", URL: "https://signup.example.com/ens/events", CallbackID: "2", State: words.StateVerified, Scheme: "s",
			LastEvent: time.Now().Add(-150 * time.Minute), Taken: map[string]int64{"signature": 7}, Refused: map[string]int64{"wrong signature": 1, "content type": 2},
			Subscriptions: []words.SubscriptionStatus{{Name: "sends", State: words.StateActive, Types: []string{"A.B", "A.C"}, Filters: []string{"x=y"}}},
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
