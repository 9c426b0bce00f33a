package setup_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

// events is a callback with two subscriptions, of which one is paused.
func events(auth onramp.Grant) onramp.Callback {
	c := onramp.Callback{Name: "events", Auth: auth, MaxBatch: 500, Subscriptions: []onramp.Subscription{
		{Name: "sends", Types: []string{"TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailBounced"}, Filters: []string{"definitionKey=welcome"}},
		{Name: "clicks", Types: []string{"EngagementEvents.EmailClick"}, Paused: true},
	}}
	if auth != onramp.SignatureOnly {
		c.Client = "mc-ens"
	}
	if auth == onramp.PasswordGrant {
		c.User = "robot"
	}
	return c
}

func grants() map[string]onramp.Grant {
	return map[string]onramp.Grant{
		"client credentials": onramp.ClientCredentials, "password": onramp.PasswordGrant, "signature only": onramp.SignatureOnly,
	}
}

const sends = "subscription sends of onramp-events [TransactionalSendEvents.EmailSent TransactionalSendEvents.EmailBounced] [definitionKey=welcome] active"

// complete is the state when all of events is set up.
func complete(auth onramp.Grant) []string {
	callback := func(scheme string) string {
		return `callback onramp-events GATEWAY/ens/events max 500 scheme "` + scheme + `" verified, stored as "events" with key true scheme "` + scheme + `" max 500 verified true at GATEWAY/ens/events`
	}
	state := []string{"", "subscription clicks of onramp-events [EngagementEvents.EmailClick] [] paused", sends}
	switch auth {
	case onramp.ClientCredentials:
		state[0] = callback("client_credentials:mc-ens")
		state = append(state, `scheme client_credentials mc-ens secret-one - - at GATEWAY/oauth2/token, stored as "client_credentials:mc-ens"`)
	case onramp.PasswordGrant:
		state[0] = callback("password:mc-ens:robot")
		state = append(state, `scheme password mc-ens secret-one robot password-one at GATEWAY/oauth2/token, stored as "password:mc-ens:robot"`)
	default:
		state[0] = callback("")
	}
	slices.Sort(state)
	return state
}

func apply(ctx context.Context, s *setup.Setup) error {
	_, err := s.Apply(ctx, false)
	return err
}

func prune(ctx context.Context, s *setup.Setup) error {
	_, err := s.Apply(ctx, true)
	return err
}

// must sets up what is configured.
func (w *world) must(work func(context.Context, *setup.Setup) error) {
	w.t.Helper()
	if _, err := w.live(0, work); err != nil {
		w.t.Fatal(err)
	}
	w.cloud.changes()
}

func (w *world) wantState(want []string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.state()); diff != "" {
		w.t.Errorf("what there is:\n%s", diff)
	}
}

// follows plans and applies, and wants the plan to change nothing, to be what is
// done, and to have these steps that are not kept, and the calls.
func (w *world) follows(withPrune bool, steps, calls []string) {
	w.t.Helper()
	s, before := w.setup(), w.state()
	plan, err := s.Plan(w.t.Context(), withPrune)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wantState(before)
	if calls := w.cloud.changes(); len(calls) > 0 {
		w.t.Errorf("the plan made the calls %q", calls)
	}
	done, err := s.Apply(w.t.Context(), withPrune)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(plan, done); diff != "" {
		w.t.Errorf("planned and done differ:\n%s", diff)
	}
	if diff := cmp.Diff(steps, changing(done)); diff != "" {
		w.t.Errorf("steps:\n%s", diff)
	}
	if diff := cmp.Diff(calls, w.cloud.changes()); diff != "" {
		w.t.Errorf("calls:\n%s", diff)
	}
}

func changing(steps []setup.Step) []string {
	var list []string
	for _, st := range steps {
		if !st.Kept {
			list = append(list, st.String())
		}
	}
	return list
}

// settled wants a setup that changes nothing and a status without a flaw.
func (w *world) settled() {
	w.t.Helper()
	w.cloud.changes()
	done, err := w.setup().Apply(w.t.Context(), false)
	if err != nil {
		w.t.Fatal(err)
	}
	if steps, calls := changing(done), w.cloud.changes(); len(steps)+len(calls) > 0 {
		w.t.Errorf("the next setup took the steps %q with the calls %q", steps, calls)
	}
	status, err := w.setup().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range status.Callbacks {
		if len(c.Wrong) > 0 {
			w.t.Errorf("status of callback %s: %+v", c.Name, c.Wrong)
		}
	}
}

// From nothing to verified and subscribed in one go; the second one changes nothing.
func TestSetup(t *testing.T) {
	t.Parallel()
	for name, auth := range grants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(auth))
			steps := []string{"create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"}
			calls := []string{"POST ens-callbacks", "POST ens-verify", "POST ens-subscriptions", "POST ens-subscriptions", "PUT ens-subscriptions"}
			switch auth {
			case onramp.ClientCredentials:
				steps, calls = slices.Insert(steps, 0, "create scheme client_credentials:mc-ens"), slices.Insert(calls, 0, "POST ens-authentications")
			case onramp.PasswordGrant:
				steps, calls = slices.Insert(steps, 0, "create scheme password:mc-ens:robot"), slices.Insert(calls, 0, "POST ens-authentications")
			}
			w.follows(false, steps, calls)
			w.wantState(complete(auth))
			w.follows(false, nil, nil)
			w.settled()
		})
	}
}

// The plan says what will be, and what is.
func TestSetupStepDetails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.ClientCredentials))
	base := w.gateway.URL
	plan, err := w.setup().Plan(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	scheme := setup.Step{Kind: setup.Create, Object: setup.Scheme, Name: "client_credentials:mc-ens", Detail: "client_credentials of client mc-ens from " + base + "/oauth2/token"}
	sent := setup.Step{Kind: setup.Create, Object: setup.Subscription, Name: "sends", Detail: "of callback events: TransactionalSendEvents.EmailSent, TransactionalSendEvents.EmailBounced, where definitionKey=welcome"}
	clicks := setup.Step{Kind: setup.Create, Object: setup.Subscription, Name: "clicks", Detail: "of callback events: EngagementEvents.EmailClick"}
	want := []setup.Step{
		scheme,
		{Kind: setup.Create, Object: setup.Callback, Name: "events", Detail: base + "/ens/events, at most 500 events in a call, authenticates with scheme client_credentials:mc-ens"},
		{Kind: setup.Verify, Object: setup.Callback, Name: "events", Detail: "with the key from the probe"},
		sent, clicks,
		{Kind: setup.Pause, Object: setup.Subscription, Name: "clicks", Detail: "of callback events: EngagementEvents.EmailClick; events are dropped while it is paused"},
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("before:\n%s", diff)
	}
	w.must(apply)
	if plan, err = w.setup().Plan(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	kept := func(st setup.Step) setup.Step {
		st.Kind, st.Kept = setup.Keep, true
		return st
	}
	want = []setup.Step{kept(scheme), {Kind: setup.Keep, Object: setup.Callback, Name: "events", Detail: base + "/ens/events", Kept: true}, kept(sent), kept(clicks)}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("after:\n%s", diff)
	}
}

// scenario is a change that a setup makes in a Marketing Cloud that is set up.
type scenario struct {
	from   []onramp.Callback // set up before; none: events with client credentials
	change func(w *world)    // of the configuration, or behind our back
	prune  bool
	steps  []string
	calls  []string
	want   []string // what there is then; nil: not compared
}

const schemeLine = `scheme client_credentials mc-ens secret-one - - at GATEWAY/oauth2/token, stored as "client_credentials:mc-ens"`

func callbackLine(name, scheme string) string {
	return `callback onramp-` + name + ` GATEWAY/ens/` + name + ` max 500 scheme "` + scheme + `" verified, stored as "` + name + `" with key true scheme "` + scheme + `" max 500 verified true at GATEWAY/ens/` + name
}

func other(auth onramp.Grant) onramp.Callback {
	c := events(auth)
	c.Name, c.Subscriptions = "other", []onramp.Subscription{{Name: "opens", Types: []string{"EngagementEvents.EmailOpen"}}}
	return c
}

func scenarios() map[string]scenario {
	plain := events(onramp.ClientCredentials)
	both := []onramp.Callback{plain, other(onramp.PasswordGrant)}
	state := complete(onramp.ClientCredentials)
	swap := func(from, to string) []string {
		swapped := slices.Clone(state)
		for i := range swapped {
			swapped[i] = strings.ReplaceAll(swapped[i], from, to)
		}
		slices.Sort(swapped)
		return swapped
	}
	leftScheme := `scheme password mc-ens secret-one robot password-one at GATEWAY/oauth2/token, stored as "password:mc-ens:robot"`
	opens := "subscription opens of onramp-other [EngagementEvents.EmailOpen] [] active"
	set := func(callbacks ...onramp.Callback) func(*world) { return func(w *world) { w.callbacks = callbacks } }
	edit := func(change func(c *onramp.Callback)) func(*world) {
		return func(w *world) {
			c := w.callbacks[0]
			c.Subscriptions = slices.Clone(c.Subscriptions)
			change(&c)
			w.callbacks = []onramp.Callback{c}
		}
	}
	return map[string]scenario{
		"secret rotated": {
			change: func(w *world) {
				w.clients = []onramp.TokenClient{{ID: "mc-ens", Secrets: []onramp.Secret{"secret-two", "secret-one"}}}
			},
			steps: []string{"update scheme client_credentials:mc-ens"}, calls: []string{"PUT ens-authentications"}, want: swap("secret-one", "secret-two"),
		},
		"client stored in the database": {
			change: func(w *world) {
				w.clients, w.stored = nil, []onramp.TokenClient{{ID: "mc-ens", Secrets: []onramp.Secret{"secret-three"}}}
			},
			steps: []string{"update scheme client_credentials:mc-ens"}, calls: []string{"PUT ens-authentications"}, want: swap("secret-one", "secret-three"),
		},
		"password rotated": {
			from: []onramp.Callback{events(onramp.PasswordGrant)},
			change: func(w *world) {
				w.users = []onramp.TokenUser{{Name: "robot", Passwords: []onramp.Secret{"password-two"}}}
			},
			steps: []string{"update scheme password:mc-ens:robot"}, calls: []string{"PUT ens-authentications"},
			want: func() []string {
				l := complete(onramp.PasswordGrant)
				for i := range l {
					l[i] = strings.ReplaceAll(l[i], "password-one", "password-two")
				}
				return l
			}(),
		},
		"scheme changed by somebody": {
			change: func(w *world) { (*w.cloud.schemes[0])["authEndpoint"] = w.gateway.URL + "/elsewhere" },
			steps:  []string{"update scheme client_credentials:mc-ens"}, calls: []string{"PUT ens-authentications"}, want: state,
		},
		"batch size": {
			change: edit(func(c *onramp.Callback) { c.MaxBatch = 0 }),
			steps:  []string{"update callback events"}, calls: []string{"PUT ens-callbacks"}, want: swap("max 500", "max 1000"),
		},
		"another grant": {
			change: set(events(onramp.PasswordGrant)),
			steps:  []string{"create scheme password:mc-ens:robot", "update callback events"}, calls: []string{"POST ens-authentications", "PUT ens-callbacks"},
			want: sorted(append(complete(onramp.PasswordGrant), schemeLine)),
		},
		"another grant, pruned": {
			change: set(events(onramp.PasswordGrant)), prune: true,
			steps: []string{"create scheme password:mc-ens:robot", "update callback events", "delete scheme client_credentials:mc-ens"},
			calls: []string{"POST ens-authentications", "PUT ens-callbacks", "DELETE ens-authentications"}, want: complete(onramp.PasswordGrant),
		},
		"from signature to a token": {
			from: []onramp.Callback{events(onramp.SignatureOnly)}, change: set(plain),
			steps: []string{"create scheme client_credentials:mc-ens", "update callback events"}, calls: []string{"POST ens-authentications", "PUT ens-callbacks"}, want: state,
		},
		"from a token to the signature": {
			change: set(events(onramp.SignatureOnly)), prune: true,
			steps: []string{
				"delete subscription sends", "delete subscription clicks", "delete callback events", "create callback events", "verify callback events",
				"create subscription sends", "create subscription clicks", "pause subscription clicks", "delete scheme client_credentials:mc-ens",
			},
			calls: []string{
				"DELETE ens-subscriptions", "DELETE ens-subscriptions", "DELETE ens-callbacks", "POST ens-callbacks", "POST ens-verify",
				"POST ens-subscriptions", "POST ens-subscriptions", "PUT ens-subscriptions", "DELETE ens-authentications",
			},
			want: complete(onramp.SignatureOnly),
		},
		"subscription resumed, and other filters": {
			change: edit(func(c *onramp.Callback) { c.Subscriptions[0].Filters, c.Subscriptions[1].Paused = nil, false }),
			steps:  []string{"update subscription sends", "resume subscription clicks"}, calls: []string{"PUT ens-subscriptions", "PUT ens-subscriptions"},
			want: func() []string {
				l := swap("[definitionKey=welcome]", "[]")
				for i := range l {
					l[i] = strings.ReplaceAll(l[i], "paused", "active")
				}
				return l
			}(),
		},
		"types in another order": {
			change: edit(func(c *onramp.Callback) {
				c.Subscriptions[0].Types = []string{"TransactionalSendEvents.EmailBounced", "TransactionalSendEvents.EmailSent"}
			}),
			want: state,
		},
		"other types, and paused": {
			change: edit(func(c *onramp.Callback) {
				c.Subscriptions[0].Types, c.Subscriptions[0].Paused = []string{"TransactionalSendEvents.EmailSent"}, true
			}),
			steps: []string{"update subscription sends"}, calls: []string{"PUT ens-subscriptions"},
			want: swap(sends, "subscription sends of onramp-events [TransactionalSendEvents.EmailSent] [definitionKey=welcome] paused"),
		},
		"paused by Marketing Cloud": {
			change: func(w *world) {
				(*w.cloud.subscriptions[0])["status"], (*w.cloud.subscriptions[0])["statusReason"] = "paused", "max retries exhausted"
			},
			steps: []string{"resume subscription sends"}, calls: []string{"PUT ens-subscriptions"}, want: state,
		},
		"no longer named": {from: both, change: set(plain), want: sorted(append([]string{opens, leftScheme, callbackLine("other", "password:mc-ens:robot")}, state...))},
		"no longer named, pruned": {
			from: both, change: set(plain), prune: true,
			steps: []string{"delete subscription opens", "delete callback other", "delete scheme password:mc-ens:robot", "forget callback other"},
			calls: []string{"DELETE ens-subscriptions", "DELETE ens-callbacks", "DELETE ens-authentications"}, want: state,
		},
		"a subscription no longer named": {change: edit(func(c *onramp.Callback) { c.Subscriptions = c.Subscriptions[:1] }), want: state},
		"a subscription no longer named, pruned": {
			change: edit(func(c *onramp.Callback) { c.Subscriptions = c.Subscriptions[:1] }), prune: true,
			steps: []string{"delete subscription clicks"}, calls: []string{"DELETE ens-subscriptions"},
			want: slices.DeleteFunc(slices.Clone(state), func(l string) bool { return strings.HasPrefix(l, "subscription clicks") }),
		},
		"callback renamed, with its subscriptions": {
			change: edit(func(c *onramp.Callback) { c.Name = "renamed" }), prune: true,
			steps: []string{
				"create callback renamed", "verify callback renamed", "delete subscription sends", "delete subscription clicks", "delete callback events",
				"create subscription sends", "create subscription clicks", "pause subscription clicks", "forget callback events",
			},
			calls: []string{
				"POST ens-callbacks", "POST ens-verify", "DELETE ens-subscriptions", "DELETE ens-subscriptions", "DELETE ens-callbacks",
				"POST ens-subscriptions", "POST ens-subscriptions", "PUT ens-subscriptions",
			},
			want: func() []string {
				l := swap("of onramp-events", "of onramp-renamed")
				i := slices.IndexFunc(l, func(s string) bool { return strings.HasPrefix(s, "callback") })
				l[i] = callbackLine("renamed", "client_credentials:mc-ens")
				return sorted(l)
			}(),
		},
		"all deleted by somebody": {
			change: func(w *world) { w.cloud.schemes, w.cloud.callbacks, w.cloud.subscriptions = nil, nil, nil }, want: state,
		},
		"callback deleted by somebody": {
			change: func(w *world) { w.cloud.callbacks, w.cloud.subscriptions = nil, nil },
			steps:  []string{"create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"},
			calls:  []string{"POST ens-callbacks", "POST ens-verify", "POST ens-subscriptions", "POST ens-subscriptions", "PUT ens-subscriptions"}, want: state,
		},
		"database lost": {
			change: func(w *world) {
				w.schemes, w.records, w.probes = map[string]onramp.Scheme{}, map[string]onramp.CallbackRecord{}, nil
			},
			steps: []string{"update scheme client_credentials:mc-ens", "regenerate signature key of callback events"},
			calls: []string{"PUT ens-authentications", "PUT ens-regenerate"}, want: state,
		},
		"address changed": {
			change: func(w *world) { w.publicURL = strings.Replace(w.gateway.URL, "127.0.0.1", "localhost", 1) },
			steps: []string{
				"update scheme client_credentials:mc-ens", "delete subscription sends", "delete subscription clicks", "delete callback events",
				"create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks",
			},
			calls: []string{
				"PUT ens-authentications", "DELETE ens-subscriptions", "DELETE ens-subscriptions", "DELETE ens-callbacks",
				"POST ens-callbacks", "POST ens-verify", "POST ens-subscriptions", "POST ens-subscriptions", "PUT ens-subscriptions",
			},
		},
	}
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

func (sc *scenario) begin(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, sc.from...)
	if sc.from == nil {
		w.callbacks = []onramp.Callback{events(onramp.ClientCredentials)}
	}
	w.must(apply)
	sc.change(w)
	return w
}

// What has changed is changed in Marketing Cloud, and nothing else is; what is
// done is what was planned.
func TestSetupChanges(t *testing.T) {
	t.Parallel()
	for name, sc := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := sc.begin(t)
			if name == "all deleted by somebody" {
				w.must(apply) // the plan can't know that the scheme is gone, see TestSetupSchemeGone
			} else {
				w.follows(sc.prune, sc.steps, sc.calls)
			}
			if sc.want != nil {
				w.wantState(sc.want)
			}
			w.follows(sc.prune, nil, nil)
		})
	}
}

// A gateway killed at any point, before or after any effect on either side, is set
// up all the same by the next one, and then there is nothing left to do.
func TestSetupKilled(t *testing.T) {
	t.Parallel()
	all := map[string]scenario{}
	for name, auth := range grants() {
		for _, silent := range []bool{false, true} {
			title := "from nothing, " + name
			if silent {
				title += ", schemes of callbacks are not shown"
			}
			all[title] = scenario{from: []onramp.Callback{events(auth)}, want: complete(auth), change: func(w *world) {
				w.cloud.schemes, w.cloud.callbacks, w.cloud.subscriptions, w.cloud.silent = nil, nil, nil, silent
				w.schemes, w.records, w.probes = map[string]onramp.Scheme{}, map[string]onramp.CallbackRecord{}, nil
			}}
		}
	}
	for name, sc := range scenarios() {
		all[name] = sc
	}
	for name, sc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := apply
			if sc.prune {
				work = prune
			}
			for end := 1; ; end++ {
				w := sc.begin(t)
				died, err := w.live(end, work)
				if !died {
					if err != nil {
						t.Fatal(err)
					}
					if end == 1 {
						t.Fatal("passes no point at all")
					}
					return
				}
				if err == nil {
					t.Errorf("killed at point %d, yet without an error", end)
				}
				if _, err := w.live(0, work); err != nil {
					t.Errorf("after the kill at point %d: %v", end, err)
				}
				if sc.want != nil {
					if diff := cmp.Diff(sc.want, w.state()); diff != "" {
						t.Errorf("after the kill at point %d:\n%s", end, diff)
					}
				}
				w.cloud.changes()
				if _, err := w.live(0, work); err != nil || len(w.cloud.calls) > 0 {
					t.Errorf("after the kill at point %d and a setup the next one made the calls %q: %v", end, w.cloud.calls, err)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// However short the lives are, they get there.
func TestSetupKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, auth := range grants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for length := 8; length <= 16; length++ {
				w := newWorld(t, events(auth))
				for lives := 1; ; lives++ {
					if died, err := w.live(length, apply); !died && err != nil {
						t.Fatal(err)
					} else if !died {
						break
					}
					if lives == 50 {
						t.Fatalf("after %d lives of %d points: %q", lives, length, w.state())
					}
				}
				w.wantState(complete(auth))
				w.settled()
			}
		})
	}
}

// Where Marketing Cloud does not list schemes they are submitted again when in
// doubt, but not each time.
func TestSetupSchemesNotListed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 501, 596} {
		w := newWorld(t, events(onramp.PasswordGrant))
		w.cloud.lists = status
		w.must(apply)
		w.wantState(complete(onramp.PasswordGrant))
		w.settled()
	}
}

// A scheme that no longer exists, which only its update says, is recreated.
func TestSetupSchemeGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.ClientCredentials))
	w.must(apply)
	w.cloud.lists, w.cloud.schemes, w.cloud.callbacks, w.cloud.subscriptions = 404, nil, nil, nil
	done, err := w.setup().Apply(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"create scheme client_credentials:mc-ens", "create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"}
	if diff := cmp.Diff(want, changing(done)); diff != "" {
		t.Error(diff)
	}
	w.wantState(complete(onramp.ClientCredentials))
	w.settled()
}

// No scheme that is found by its token endpoint is taken over twice, whichever
// callback it was created for.
func TestSetupTakesOverSeveralSchemes(t *testing.T) {
	t.Parallel()
	one, two := events(onramp.ClientCredentials), other(onramp.ClientCredentials)
	two.Client = "another"
	w := newWorld(t, one, two)
	w.clients = append(w.clients, onramp.TokenClient{ID: "another", Secrets: []onramp.Secret{"secret-five"}})
	w.must(apply)
	want := w.state()
	w.schemes, w.records = map[string]onramp.Scheme{}, map[string]onramp.CallbackRecord{}
	w.must(prune)
	w.wantState(want)
	w.settled()
}

// What other systems have in the account is not touched.
func TestSetupLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.ClientCredentials))
	theirs := &object{"callbackId": "theirs", "callbackName": "theirs", "url": "https://other.example/ens/events", "maxBatchSize": 100, "authId": "their-scheme", "status": "verified"}
	scheme := &object{"authId": "their-scheme", "authType": "oauth2", "grantType": "client_credentials", "authEndpoint": "https://other.example/token"}
	// ours by its token endpoint, but another system uses it
	lent := &object{"authId": "lent", "authType": "oauth2", "grantType": "client_credentials", "authEndpoint": w.gateway.URL + "/oauth2/token"}
	borrower := &object{"callbackId": "borrower", "callbackName": "borrower", "url": "https://third.example/", "maxBatchSize": 100, "authId": "lent", "status": "verified"}
	w.cloud.callbacks, w.cloud.schemes = []*object{theirs, borrower}, []*object{scheme, lent}
	w.cloud.subscriptions = []*object{{"subscriptionId": "s", "subscriptionName": "theirs", "callbackId": "theirs", "eventCategoryTypes": []string{"EngagementEvents.EmailOpen"}, "status": "active"}}
	before := w.state()
	w.must(prune)
	w.must(prune)
	w.wantState(sorted(slices.Concat(complete(onramp.ClientCredentials), before)))
	w.must(func(ctx context.Context, s *setup.Setup) error {
		_, err := s.Remove(ctx, nil)
		return err
	})
	w.wantState(before)
}

// A callback whose verification key is gone is recreated, once.
func TestSetupRecreatesUnverified(t *testing.T) {
	t.Parallel()
	recreated := []string{"delete callback events", "create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"}
	for name, row := range map[string]struct {
		change func(w *world)
		want   []string
	}{
		"key has run out":  {func(w *world) { w.now = w.now.Add(4*time.Hour + time.Second) }, recreated},
		"probe never seen": {func(w *world) { w.probes = nil }, recreated},
		"key rejected":     {func(w *world) { w.probes[0].VerificationKey = "a stranger's" }, recreated},
		"key still good": {
			func(*world) {}, []string{"verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"},
		},
		"verified by hand": {
			func(w *world) { (*w.cloud.callbacks[0])["status"] = "verified" },
			[]string{"create subscription sends", "create subscription clicks", "pause subscription clicks"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(onramp.ClientCredentials))
			w.cloud.refuse = func(r *http.Request) int {
				if strings.HasSuffix(r.URL.Path, "/ens-verify") {
					return 500
				}
				return 0
			}
			if err := apply(t.Context(), w.setup()); err == nil || !strings.Contains(err.Error(), "verify callback events: ") {
				t.Fatalf("error %v", err)
			}
			w.cloud.refuse = nil
			row.change(w)
			plan, err := w.setup().Plan(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			done, err := w.setup().Apply(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plan, done); diff != "" && name != "key rejected" { // which only the vendor knows
				t.Errorf("planned and done differ:\n%s", diff)
			}
			for i, st := range done {
				if slices.Contains(done[:i], st) {
					t.Errorf("done twice: %s", st)
				}
			}
			if diff := cmp.Diff(row.want, changing(done)); diff != "" {
				t.Error(diff)
			}
			w.wantState(complete(onramp.ClientCredentials))
			w.settled()
		})
	}
}

// A failed probe leaves nothing behind but the scheme, says what helps, and does
// not stand in the way afterwards.
func TestSetupProbeFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.PasswordGrant))
	w.hook = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) } // not exactly 200
	done, err := w.setup().Apply(t.Context(), false)
	failed, ok := errors.AsType[*setup.Error](err)
	if !ok || failed.Step != "create callback events" || !strings.Contains(failed.Cause, "Could not verify callback url") || !strings.Contains(failed.Hint, "public.url") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"create scheme password:mc-ens:robot", "delete callback events"}, changing(done)); diff != "" {
		t.Error(diff)
	}
	if len(w.cloud.callbacks) != 0 {
		t.Errorf("left behind: %v", w.state())
	}
	w.hook = nil
	w.must(apply)
	w.wantState(complete(onramp.PasswordGrant))
}

// Something else answers the probe instead of the gateway.
func TestSetupProbeIntercepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.hook = func(http.ResponseWriter, *http.Request) {}
	for range 2 { // the second time it is recreated, with the same result
		_, err := w.setup().Apply(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "verify callback events: the verification key never arrived here, although Marketing Cloud says that it probed the address; ") {
			t.Errorf("error %v", err)
		}
	}
	w.hook = nil
	w.must(apply)
	w.wantState(complete(onramp.SignatureOnly))
}

// A key that is always rejected is not tried for ever.
func TestSetupKeyRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.cloud.refuse = func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/ens-verify") {
			return 404
		}
		return 0
	}
	want := []string{"create callback events"}
	for range 2 {
		done, err := w.setup().Apply(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "verify callback events: verify callback: 404 Not Found") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(want, changing(done)); diff != "" {
			t.Error(diff)
		}
		want = []string{"delete callback events", "create callback events"}
	}
}

// The old signature key stays valid beside the new one.
func TestSetupKeepsOldKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.must(apply)
	old := w.records["events"].SignatureKeys[0]
	w.cloud.callbacks, w.cloud.subscriptions = nil, nil
	w.must(apply)
	keys := w.records["events"].SignatureKeys
	if len(keys) != 2 || keys[0] == old || keys[1] != old {
		t.Errorf("%d keys, or not the new one and the old one", len(keys))
	}
}

// An error has the step at which it stopped, its cause and what helps.
func TestSetupErrors(t *testing.T) {
	t.Parallel()
	refuse := func(path string, status int) func(*world) {
		return func(w *world) {
			w.cloud.refuse = func(r *http.Request) int {
				if strings.Contains(r.URL.Path, path) {
					return status
				}
				return 0
			}
		}
	}
	for name, row := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"no callbacks":   {func(w *world) { w.callbacks = nil }, "no callbacks are configured: add one under ens.callbacks"},
		"no address":     {func(w *world) { w.publicURL = "" }, "public.url is not set"},
		"no such client": {func(w *world) { w.clients = nil }, `callback events names the token client "mc-ens", which has no secret`},
		"no client": {func(w *world) {
			w.clients, w.callbacks[0].Client = nil, ""
		}, `callback events needs a token client: make one with onramp keys new client --save`},
		"which client": {func(w *world) {
			w.callbacks[0].Client = ""
			w.stored = []onramp.TokenClient{{ID: "another", Secrets: []onramp.Secret{"secret-two"}}}
		}, `callback events names no token client, and there are 2: under client, name the one that Marketing Cloud is to use`},
		"no such user":    {func(w *world) { w.users = nil }, `callback events names the user "robot", which has no password in the configuration`},
		"no permission":   {refuse("", 403), "read the actual state from Marketing Cloud: list authentication schemes: 403 Forbidden: code 20000: refused by the test; give the installed package the scopes event_notification_callback_create"},
		"wrong account":   {refuse("", 401), "; check marketing_cloud.client_id"},
		"out of order":    {refuse("subscriptions", 500), "; try again later: it continues where it stopped"},
		"known elsewhere": {refuse("subscriptions", 304), "another business unit"},
		"endpoint away":   {func(w *world) { w.clients[0].Secrets[0] = "secret-four"; w.publicURL += "/nowhere" }, "create scheme password:mc-ens:robot: create authentication scheme: 400 Bad Request: code 10000: no token from the authEndpoint; Marketing Cloud fetches a token"},
		"name taken": {func(w *world) {
			w.cloud.callbacks = []*object{{"callbackId": "theirs", "callbackName": "theirs", "url": "https://other.example/"}}
			w.cloud.subscriptions = []*object{{"subscriptionId": "s", "subscriptionName": "sends", "callbackId": "theirs"}}
		}, "create subscription sends: create subscription: 400 Bad Request: code 10000: the name is taken; its name must be unique in the account"},
		"store broken": {func(w *world) { w.broken = errors.New("disk gone") }, "list stored schemes: disk gone"},
		"extra subscriptions in the way": {func(w *world) {
			w.must(apply)
			w.callbacks = []onramp.Callback{events(onramp.SignatureOnly)}
			w.callbacks[0].Subscriptions = w.callbacks[0].Subscriptions[:1]
		}, "callback events must be deleted and recreated, since an update can't remove its authentication scheme; but it has subscriptions that are not in the configuration (such as clicks)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(onramp.PasswordGrant))
			row.change(w)
			_, err := w.setup().Apply(t.Context(), false)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret-") || strings.Contains(err.Error(), "password-")) {
				t.Errorf("shows a secret: %v", err)
			}
		})
	}
}

// A callback that names no token client gets the only one that is stored.
func TestSetupOnlyClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.ClientCredentials))
	w.clients, w.stored, w.callbacks[0].Client = nil, w.clients, ""
	w.must(apply)
	for _, scheme := range w.cloud.schemes {
		if (*scheme)["_clientId"] != "mc-ens" {
			t.Errorf("the scheme is %v", *scheme)
		}
	}
}

// One at a time.
func TestSetupBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	begun, release := make(chan struct{}), make(chan struct{})
	w.hook = func(http.ResponseWriter, *http.Request) { close(begun); <-release }
	s, ended := w.setup(), make(chan error)
	go func() { ended <- apply(t.Context(), s) }()
	<-begun
	_, applied := s.Apply(t.Context(), false)
	_, planned := s.Plan(t.Context(), false)
	_, removed := s.Remove(t.Context(), nil)
	for _, err := range []error{applied, planned, removed} {
		if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != onramp.Conflict {
			t.Errorf("error %v, want a conflict", err)
		}
	}
	if _, err := s.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	close(release)
	if err := <-ended; err == nil { // nobody has stored the probe
		t.Error("verified without a key")
	}
}
