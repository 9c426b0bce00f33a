package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/internal/web"
)

// fakeEns says what a test wants, and notes what it was asked.
type fakeEns struct {
	steps  []setup.Step
	status setup.Status
	err    error
	asked  []string
}

func (e *fakeEns) note(what string, callbacks ...string) ([]setup.Step, error) {
	e.asked = append(e.asked, strings.TrimSpace(what+" "+strings.Join(callbacks, " ")))
	return e.steps, e.err
}

func (e *fakeEns) Plan(_ context.Context, prune bool) ([]setup.Step, error) {
	return e.note(map[bool]string{false: "plan", true: "plan, prune"}[prune])
}

func (e *fakeEns) Apply(_ context.Context, prune bool) ([]setup.Step, error) {
	return e.note(map[bool]string{false: "apply", true: "apply, prune"}[prune])
}

func (e *fakeEns) PlanRemoval(_ context.Context, callbacks []string) ([]setup.Step, error) {
	return e.note("plan removal", callbacks...)
}

func (e *fakeEns) Remove(_ context.Context, callbacks []string) ([]setup.Step, error) {
	return e.note("remove", callbacks...)
}

func (e *fakeEns) Status(context.Context) (setup.Status, error) {
	_, err := e.note("status")
	return e.status, err
}

func ensHandler(e api.EnsSetup) http.Handler {
	a := &api.Admin{Ens: e, Token: "token-of-the-operator", Server: &web.Server{Log: slog.New(slog.DiscardHandler), Part: "admin"}}
	mux := http.NewServeMux()
	a.Routes(mux)
	a.Server.Unmatched(mux)
	return web.Harden(mux)
}

// refused is an answer about fields of an operator's request.
func ensRefused(detail, field, message string) answer {
	return problem(422, detail, `,"errors":[{"field":"`+field+`","message":"`+message+`"}]`)
}

func TestEns(t *testing.T) {
	t.Parallel()
	steps := []setup.Step{{Kind: setup.Create, Object: setup.Callback, Name: "events", Detail: "https://signup.example.com/ens/events"}, {Kind: setup.Keep, Object: setup.Scheme, Name: "s", Kept: true}}
	const items = `{"items":[{"what":"create callback","kind":"create","object":"callback","name":"events","detail":"https://signup.example.com/ens/events","kept":false},{"what":"keep scheme","kind":"keep","object":"scheme","name":"s","kept":true}]`
	stopped := &setup.Error{Step: "verify callback events", Cause: "no probe", Hint: "look at public.url", Err: errors.New("inside")}
	busy := &onramp.Error{Kind: onramp.Conflict, Message: "another setup is under way"}
	for name, row := range map[string]struct {
		err    error
		target string
		body   string
		want   answer
		asked  []string
	}{
		"plan":              {nil, "plan", "", told(items + "}\n"), []string{"plan"}},
		"plan, pruned":      {nil, "plan", `{"prune":true}`, told(items + "}\n"), []string{"plan, prune"}},
		"plan of a removal": {nil, "plan", `{"remove":true,"callbacks":["events"]}`, told(items + "}\n"), []string{"plan removal events"}},
		"plan of some":      {nil, "plan", `{"callbacks":["events"]}`, ensRefused("a setup is always of all callbacks; only a removal can be of some", "callbacks", "goes with remove"), nil},
		"plan in vain": {
			stopped, "plan", "", problem(503, "verify callback events: no probe; look at public.url", ""), []string{"plan"},
		},
		"plan while busy":  {busy, "plan", "", problem(409, "another setup is under way", ""), []string{"plan"}},
		"setup":            {nil, "setup", "{}", told(items + "}\n"), []string{"apply"}},
		"setup, pruned":    {nil, "setup", `{"prune":true}`, told(items + "}\n"), []string{"apply, prune"}},
		"setup of some":    {nil, "setup", `{"callbacks":["events"]}`, ensRefused("a setup is always of all callbacks; only a removal can be of some", "callbacks", "goes with remove"), nil},
		"setup to remove":  {nil, "setup", `{"remove":true}`, ensRefused("POST /api/ens/remove removes", "remove", "does not go with a setup"), nil},
		"setup that stops": {stopped, "setup", "", told(items + `,"failed":{"step":"verify callback events","cause":"no probe","hint":"look at public.url"}}` + "\n"), []string{"apply"}},
		"setup while busy": {busy, "setup", "", problem(409, "another setup is under way", ""), []string{"apply"}},
		"setup broken":     {errors.New("disk gone"), "setup", "", problem(500, "internal error", ""), []string{"apply"}},
		"setup misspelt":   {nil, "setup", `{"purge":true}`, problem(400, `the body must be JSON such as {"prune":true}`, ""), nil},
		"remove":           {nil, "remove", "", told(items + "}\n"), []string{"remove"}},
		"remove some":      {nil, "remove", `{"callbacks":["events","other"]}`, told(items + "}\n"), []string{"remove events other"}},
		"remove, pruned":   {nil, "remove", `{"prune":true}`, ensRefused("POST /api/ens/setup prunes", "prune", "does not go with a removal"), nil},
		"remove nobody": {
			&onramp.Error{Kind: onramp.NotFound, Message: "there is no callback"}, "remove", `{"callbacks":["x"]}`, problem(404, "there is no callback", ""), []string{"remove x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &fakeEns{steps: steps, err: row.err}
			check(t, row.want, post(ensHandler(e), "/api/ens/"+row.target, row.body))
			if diff := cmp.Diff(row.asked, e.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnsStatus(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 9, 59, 0, 0, time.UTC)
	e := &fakeEns{status: setup.Status{
		Unreachable: "no answer",
		Schemes:     []setup.SchemeStatus{{Name: "s", AuthID: "a", State: setup.StateUnknown}},
		Callbacks: []setup.CallbackStatus{
			{Name: "bare", URL: "u", State: setup.StateMissing},
			{
				Name: "events", URL: "u", CallbackID: "c", State: setup.StateVerified, Scheme: "s", LastEvent: &at,
				Taken:         map[string]int64{"probe": 1, "signature": 3},
				Refused:       map[onramp.Refusal]int64{"wrong signature": 2},
				Subscriptions: []setup.SubscriptionStatus{{Name: "sends", State: setup.StateActive, Types: []string{"T"}, Filters: []string{"f=1"}}, {Name: "x", State: setup.StateMissing}},
				Wrong:         []setup.Finding{{What: "w", Hint: "m"}},
			},
		},
	}}
	want := `{"unreachable":"no answer","schemes":[{"name":"s","auth_id":"a","state":"unknown","wrong":[]}],"callbacks":[` +
		`{"name":"bare","url":"u","state":"missing","last_event":null,"taken":{},"refused":{},"subscriptions":[],"wrong":[]},` +
		`{"name":"events","url":"u","callback_id":"c","state":"verified","scheme":"s","last_event":"2026-11-22T09:59:00Z","taken":{"probe":1,"signature":3},"refused":{"wrong signature":2},` +
		`"subscriptions":[{"name":"sends","state":"active","types":["T"],"filters":["f=1"]},{"name":"x","state":"missing","types":[],"filters":[]}],` +
		`"wrong":[{"what":"w","hint":"m"}]}]}` + "\n"
	check(t, told(want), get(ensHandler(e), "/api/ens"))
	check(t, told(`{"schemes":[],"callbacks":[]}`+"\n"), get(ensHandler(&fakeEns{}), "/api/ens"))
	check(t, problem(500, "internal error", ""), get(ensHandler(&fakeEns{err: errors.New("disk gone")}), "/api/ens"))
}

// Without the service its routes say so; without the token they say nothing.
func TestEnsClosed(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"GET /api/ens", "POST /api/ens/plan", "POST /api/ens/setup", "POST /api/ens/remove"} {
		method, target, _ := strings.Cut(route, " ")
		check(t, problem(409, "this gateway has no Event Notification Service: name a callback under ens.callbacks, and the account under marketing_cloud", ""),
			do(ensHandler(nil), method, target, "", bearer))
		e := &fakeEns{}
		if got := do(ensHandler(e), method, target, ""); got.Status != 401 || len(e.asked) > 0 {
			t.Errorf("%s: answered %+v, asked %q", route, got, e.asked)
		}
	}
}
