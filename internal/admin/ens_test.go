package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/setup"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
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

func ensHandler(e operator.Setup) http.Handler {
	a := &admin.Admin{Desk: &operator.Desk{Setup: e}, Tokens: tokens, Server: &web.Server{Log: slog.New(slog.DiscardHandler), Part: "admin"}}
	mux := http.NewServeMux()
	a.Routes(mux)
	a.Server.Unmatched(mux)
	return web.Harden(mux)
}

// refused is an answer about fields of an operator's request.
func ensRefused(detail, field, message string) answer {
	return webtest.Problem(422, detail, `,"errors":[{"field":"`+field+`","message":"`+message+`"}]`)
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
		"plan of some":      {nil, "plan", `{"callbacks":["events"]}`, ensRefused("setup always covers all callbacks; only remove can be limited to some", "callbacks", "can only be used with remove"), nil},
		"plan in vain": {
			stopped, "plan", "", webtest.Problem(503, "verify callback events: no probe; look at public.url", ""), []string{"plan"},
		},
		"plan while busy":  {busy, "plan", "", webtest.Problem(409, "another setup is under way", ""), []string{"plan"}},
		"setup":            {nil, "setup", "{}", told(items + "}\n"), []string{"apply"}},
		"setup, pruned":    {nil, "setup", `{"prune":true}`, told(items + "}\n"), []string{"apply, prune"}},
		"setup of some":    {nil, "setup", `{"callbacks":["events"]}`, ensRefused("setup always covers all callbacks; only remove can be limited to some", "callbacks", "can only be used with remove"), nil},
		"setup to remove":  {nil, "setup", `{"remove":true}`, ensRefused("POST /api/ens/remove removes", "remove", "can't be used with setup"), nil},
		"setup that stops": {stopped, "setup", "", told(items + `,"failed":{"step":"verify callback events","cause":"no probe","hint":"look at public.url"}}` + "\n"), []string{"apply"}},
		"setup while busy": {busy, "setup", "", webtest.Problem(409, "another setup is under way", ""), []string{"apply"}},
		"setup broken":     {errors.New("disk gone"), "setup", "", webtest.Problem(500, "internal error", ""), []string{"apply"}},
		"setup misspelt":   {nil, "setup", `{"purge":true}`, webtest.Problem(400, `the body must be JSON such as {"prune":true}`, ""), nil},
		"remove":           {nil, "remove", "", told(items + "}\n"), []string{"remove"}},
		"remove some":      {nil, "remove", `{"callbacks":["events","other"]}`, told(items + "}\n"), []string{"remove events other"}},
		"remove, pruned":   {nil, "remove", `{"prune":true}`, ensRefused("POST /api/ens/setup prunes", "prune", "can't be used with remove"), nil},
		"remove nobody": {
			&onramp.Error{Kind: onramp.NotFound, Message: "there is no callback"}, "remove", `{"callbacks":["x"]}`, webtest.Problem(404, "there is no callback", ""), []string{"remove x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &fakeEns{steps: steps, err: row.err}
			webtest.Check(t, row.want, post(ensHandler(e), "/api/ens/"+row.target, row.body))
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
		Wrong: []setup.Finding{{What: "row", Hint: "h"}},
	}}
	want := `{"unreachable":"no answer","schemes":[{"name":"s","auth_id":"a","state":"unknown","wrong":[]}],"callbacks":[` +
		`{"name":"bare","url":"u","state":"missing","last_event":null,"taken":{},"refused":{},"subscriptions":[],"wrong":[]},` +
		`{"name":"events","url":"u","callback_id":"c","state":"verified","scheme":"s","last_event":"2026-11-22T09:59:00Z","taken":{"probe":1,"signature":3},"refused":{"wrong signature":2},` +
		`"subscriptions":[{"name":"sends","state":"active","types":["T"],"filters":["f=1"]},{"name":"x","state":"missing","types":[],"filters":[]}],` +
		`"wrong":[{"what":"w","hint":"m"}]}],"wrong":[{"what":"row","hint":"h"}]}` + "\n"
	webtest.Check(t, told(want), get(ensHandler(e), "/api/ens"))
	webtest.Check(t, told(`{"schemes":[],"callbacks":[],"wrong":[]}`+"\n"), get(ensHandler(&fakeEns{}), "/api/ens"))
	webtest.Check(t, webtest.Problem(500, "internal error", ""), get(ensHandler(&fakeEns{err: errors.New("disk gone")}), "/api/ens"))
}

// Without the service its routes say so; without the token they say nothing.
func TestEnsClosed(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"GET /api/ens", "POST /api/ens/plan", "POST /api/ens/setup", "POST /api/ens/remove"} {
		method, target, _ := strings.Cut(route, " ")
		webtest.Check(t, webtest.Problem(409, "this gateway has no callbacks: configure ens.callbacks and marketing_cloud", ""),
			do(ensHandler(nil), method, target, "", bearer))
		e := &fakeEns{}
		if got := do(ensHandler(e), method, target, ""); got.Status != 401 || len(e.asked) > 0 {
			t.Errorf("%s: answered %+v, asked %q", route, got, e.asked)
		}
	}
}
