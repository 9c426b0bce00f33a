package setup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

const again = "run onramp ens setup"

// status reads it without the ids, which are the sandbox's to give.
func (w *world) status() setup.Status {
	w.t.Helper()
	s, err := w.setup().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range s.Schemes {
		if s.Schemes[i].AuthID != "" {
			s.Schemes[i].AuthID = "id"
		}
	}
	for i := range s.Callbacks {
		s.Callbacks[i].URL = strings.Replace(s.Callbacks[i].URL, w.gateway.URL, "GATEWAY", 1)
		if s.Callbacks[i].CallbackID != "" {
			s.Callbacks[i].CallbackID = "id"
		}
		for j := range s.Callbacks[i].Subscriptions {
			if len(s.Callbacks[i].Subscriptions[j].Filters) == 0 {
				s.Callbacks[i].Subscriptions[j].Filters = nil
			}
		}
	}
	return s
}

func wrong(findings ...string) []setup.Finding {
	var list []setup.Finding
	for _, f := range findings {
		list = append(list, setup.Finding{What: f, Hint: again})
	}
	return list
}

func TestStatus(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 9, 59, 0, 0, time.UTC)
	sent := setup.SubscriptionStatus{
		Name: "sends", State: setup.StateActive, Filters: []string{"definitionKey=welcome"},
		Types: []string{"TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailBounced"},
	}
	clicks := setup.SubscriptionStatus{Name: "clicks", State: setup.StatePaused, Types: []string{"EngagementEvents.EmailClick"}}
	as := func(s setup.SubscriptionStatus, state setup.State) setup.SubscriptionStatus {
		s.State = state
		return s
	}
	// good is the status of a callback that is set up
	good := func(change func(s *setup.Status, c *setup.CallbackStatus)) setup.Status {
		s := setup.Status{
			Schemes: []setup.SchemeStatus{{Name: "client_credentials:mc-ens", AuthID: "id", State: setup.StatePresent}},
			Callbacks: []setup.CallbackStatus{{
				Name: "events", URL: "GATEWAY/ens/events", CallbackID: "id", State: setup.StateVerified, Scheme: "client_credentials:mc-ens",
				Subscriptions: []setup.SubscriptionStatus{sent, clicks},
			}},
		}
		change(&s, &s.Callbacks[0])
		return s
	}
	for name, row := range map[string]struct {
		bare   bool // nothing is set up
		change func(w *world)
		want   setup.Status
	}{
		"set up": {
			change: func(w *world) {
				w.events["events"], w.refused = at, map[onramp.Refusal]int64{"content type": 2}
			},
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.LastEvent, c.Refused = &at, map[onramp.Refusal]int64{"content type": 2}
			}),
		},
		"nothing": {
			bare: true, change: func(*world) {},
			want: good(func(s *setup.Status, c *setup.CallbackStatus) {
				s.Schemes[0].AuthID, s.Schemes[0].State, s.Schemes[0].Wrong = "", setup.StateMissing, wrong("it is not in Marketing Cloud")
				c.CallbackID, c.State = "", setup.StateMissing
				c.Subscriptions = []setup.SubscriptionStatus{as(sent, setup.StateMissing), as(clicks, setup.StateMissing)}
				c.Wrong = wrong("it is not in Marketing Cloud", "subscription sends is not in Marketing Cloud", "subscription clicks is not in Marketing Cloud")
			}),
		},
		"unverified": {
			change: func(w *world) { (*w.cloud.callbacks[0])["status"] = "unverified" },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.State, c.Wrong = setup.StateUnverified, wrong("it is not verified, so it can have no subscriptions")
			}),
		},
		"unverified for too long": {
			change: func(w *world) { (*w.cloud.callbacks[0])["status"], w.probes = "unverified", nil },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.State = setup.StateUnverified
				c.Wrong = wrong("it must be deleted and recreated, since it is not verified, and its verification key never arrived, was used, or has expired")
			}),
		},
		"key unknown": {
			change: func(w *world) { delete(w.records, "events") },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.Wrong = wrong("its signature key is not stored here")
			}),
		},
		"differs": {
			change: func(w *world) {
				w.callbacks[0].MaxBatch = 100
				w.clients[0].Secrets = []onramp.Secret{"secret-two"}
				w.callbacks[0].Subscriptions[1].Paused = false
				w.callbacks[0].Subscriptions[0].Filters = nil
				(*w.cloud.subscriptions[0])["status"] = "paused"
			},
			want: good(func(s *setup.Status, c *setup.CallbackStatus) {
				s.Schemes[0].State, s.Schemes[0].Wrong = setup.StateDiffers, wrong("its secrets or its token endpoint differ from the configuration")
				c.Subscriptions[0].State = setup.StateDiffers
				c.Wrong = wrong("it is not as configured: at most 100 events in a call", "subscription sends has other types or filters than configured",
					"subscription sends is paused (none), so its events are dropped", "subscription clicks is paused (paused in the configuration of Onramp), so its events are dropped")
			}),
		},
		"active, but configured as paused": {
			change: func(w *world) { w.callbacks[0].Subscriptions[0].Paused = true },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.Wrong = wrong("subscription sends is active, but configured as paused")
			}),
		},
		"something can't be read": {
			change: func(w *world) {
				w.spoiled = []onramp.Unreadable{{Kind: "token client", Name: "mc", Err: errors.New("x"), Hint: "give it a new secret"}}
			},
			want: good(func(s *setup.Status, _ *setup.CallbackStatus) {
				s.Wrong = []setup.Finding{{What: "the stored token client mc can't be read", Hint: "give it a new secret"}}
			}),
		},
		"no signatures": {
			change: func(w *world) { w.refused = map[onramp.Refusal]int64{"no signature": 2} },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.Refused = map[onramp.Refusal]int64{"no signature": 2}
				c.Wrong = []setup.Finding{{
					What: "2 batches came with a token but without a signature since the start, and were refused",
					Hint: "if they come from Marketing Cloud, which has signed its batches before, set ens.callbacks.events.unsigned: allow; otherwise the client's secret or a token has leaked: give the client a new secret",
				}}
			}),
		},
		"wrong signatures": {
			change: func(w *world) { w.refused = map[onramp.Refusal]int64{"wrong signature": 3} },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.Refused = map[onramp.Refusal]int64{"wrong signature": 3}
				c.Wrong = []setup.Finding{{
					What: "3 calls had a wrong signature since the start",
					Hint: "if they come from Marketing Cloud, its signature key was regenerated elsewhere: run onramp ens remove events, then onramp ens setup",
				}}
			}),
		},
		"more than configured": {
			change: func(w *world) {
				w.callbacks = []onramp.Callback{w.callbacks[0], other(onramp.PasswordGrant)}
				w.must(apply)
				w.callbacks = []onramp.Callback{w.callbacks[0]}
				w.callbacks[0].Subscriptions = w.callbacks[0].Subscriptions[:1]
			},
			want: good(func(s *setup.Status, c *setup.CallbackStatus) {
				missing := func(what string) []setup.Finding {
					return []setup.Finding{{What: what, Hint: "add it there, or run onramp ens setup --prune"}}
				}
				s.Schemes = append(s.Schemes, setup.SchemeStatus{Name: "password:mc-ens:robot", AuthID: "id", State: setup.StateExtra, Wrong: missing("it is not in the configuration")})
				c.Subscriptions[1].State = setup.StateExtra
				c.Wrong = missing("subscription clicks is not in the configuration")
				s.Callbacks = append(s.Callbacks, setup.CallbackStatus{
					Name: "other", URL: "GATEWAY/ens/other", CallbackID: "id", State: setup.StateExtra, Wrong: missing("it is not in the configuration"),
					Subscriptions: []setup.SubscriptionStatus{{Name: "opens", State: setup.StateExtra, Types: []string{"EngagementEvents.EmailOpen"}}},
				})
			}),
		},
		"client without a secret": {
			change: func(w *world) { w.clients = nil },
			want: good(func(s *setup.Status, c *setup.CallbackStatus) {
				s.Schemes[0].State, s.Schemes[0].Wrong = setup.StateDiffers, wrong("its secrets or its token endpoint differ from the configuration")
				c.Wrong = []setup.Finding{{What: `callback events names the token client "mc-ens", which has no secret in the configuration or the database`, Hint: "set its client and user to ones that have a secret; onramp keys new creates one"}}
			}),
		},
		"at its former address": {
			change: func(w *world) { (*w.cloud.callbacks[0])["url"] = "https://former.example/ens/events" },
			want: good(func(_ *setup.Status, c *setup.CallbackStatus) {
				c.CallbackID, c.State = "", setup.StateMissing
				c.Subscriptions = []setup.SubscriptionStatus{as(sent, setup.StateMissing), as(clicks, setup.StateMissing)}
				c.Wrong = wrong("Marketing Cloud still has a callback at https://former.example/ens/events", "it is not in Marketing Cloud",
					"subscription sends is not in Marketing Cloud", "subscription clicks is not in Marketing Cloud")
			}),
		},
		"unreachable": {
			change: func(w *world) { w.events["events"] = at; w.cloud.server.Close() },
			want: good(func(s *setup.Status, c *setup.CallbackStatus) {
				s.Unreachable, s.Schemes[0].State, c.State, c.LastEvent = "why", setup.StateUnknown, setup.StateUnknown, &at
				c.Subscriptions = []setup.SubscriptionStatus{as(sent, setup.StateUnknown), as(clicks, setup.StateUnknown)}
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(onramp.ClientCredentials))
			if !row.bare {
				w.must(apply)
			}
			row.change(w)
			got := w.status()
			if got.Unreachable != "" {
				got.Unreachable = "why"
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			if calls := w.cloud.changes(); len(calls) > 0 {
				t.Errorf("the status made the calls %q", calls)
			}
		})
	}
}

// Without the database there is no status.
func TestStatusStoreBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.broken = errors.New("disk gone")
	if _, err := w.setup().Status(t.Context()); !errors.Is(err, w.broken) {
		t.Errorf("error %v", err)
	}
}
