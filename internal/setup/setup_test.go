package setup_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

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

// A wrong key for the callback's own id, whoever sent it, doesn't hide the right one.
func TestSetupTriesAllKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.hook = func(rw http.ResponseWriter, r *http.Request) {
		var sent struct{ CallbackID, VerificationKey string }
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, key := range []string{"wrong", sent.VerificationKey, "also wrong"} {
			w.probes = append(w.probes, onramp.Probe{Callback: "events", CallbackID: strings.ToUpper(sent.CallbackID), VerificationKey: onramp.Secret(key), ReceivedAt: w.now})
		}
	}
	w.must(apply)
	w.settled()
}
