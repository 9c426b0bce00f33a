package ens_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

const again = "run onramp ens setup"

// status reads it without the ids, which are the sandbox's to give.
func (w *world) status() onramp.SetupStatus {
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

func wrong(findings ...string) []onramp.Finding {
	var list []onramp.Finding
	for _, f := range findings {
		list = append(list, onramp.Finding{What: f, Hint: again})
	}
	return list
}

func TestStatus(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 9, 59, 0, 0, time.UTC)
	sent := onramp.SubscriptionStatus{
		Name: "sends", State: onramp.StateActive, Filters: []string{"definitionKey=welcome"},
		Types: []string{"TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailBounced"},
	}
	clicks := onramp.SubscriptionStatus{Name: "clicks", State: onramp.StatePaused, Types: []string{"EngagementEvents.EmailClick"}}
	as := func(s onramp.SubscriptionStatus, state onramp.SetupState) onramp.SubscriptionStatus {
		s.State = state
		return s
	}
	// good is the status of a callback that is set up
	good := func(change func(s *onramp.SetupStatus, c *onramp.CallbackStatus)) onramp.SetupStatus {
		s := onramp.SetupStatus{
			Schemes: []onramp.SchemeStatus{{Name: "client_credentials:mc-ens", AuthID: "id", State: onramp.StatePresent}},
			Callbacks: []onramp.CallbackStatus{{
				Name: "events", URL: "GATEWAY/ens/events", CallbackID: "id", State: onramp.StateVerified, Scheme: "client_credentials:mc-ens",
				Subscriptions: []onramp.SubscriptionStatus{sent, clicks},
			}},
		}
		change(&s, &s.Callbacks[0])
		return s
	}
	for name, row := range map[string]struct {
		bare   bool // nothing is set up
		change func(w *world)
		want   onramp.SetupStatus
	}{
		"set up": {
			change: func(w *world) {
				w.events["events"], w.refused = at, map[string]int64{"content type": 2}
			},
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.LastEvent, c.Refused = at, map[string]int64{"content type": 2}
			}),
		},
		"nothing": {
			bare: true, change: func(*world) {},
			want: good(func(s *onramp.SetupStatus, c *onramp.CallbackStatus) {
				s.Schemes[0].AuthID, s.Schemes[0].State, s.Schemes[0].Wrong = "", onramp.StateMissing, wrong("it is not in Marketing Cloud")
				c.CallbackID, c.State = "", onramp.StateMissing
				c.Subscriptions = []onramp.SubscriptionStatus{as(sent, onramp.StateMissing), as(clicks, onramp.StateMissing)}
				c.Wrong = wrong("it is not in Marketing Cloud", "subscription sends is not in Marketing Cloud", "subscription clicks is not in Marketing Cloud")
			}),
		},
		"unverified": {
			change: func(w *world) { (*w.cloud.callbacks[0])["status"] = "unverified" },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.State, c.Wrong = onramp.StateUnverified, wrong("it is not verified, so it can have no subscriptions")
			}),
		},
		"unverified for too long": {
			change: func(w *world) { (*w.cloud.callbacks[0])["status"], w.probes = "unverified", nil },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.State = onramp.StateUnverified
				c.Wrong = wrong("it must be deleted and made again, since it is not verified, and the key that would verify it never came, was used, or has run out")
			}),
		},
		"key unknown": {
			change: func(w *world) { delete(w.records, "events") },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.Wrong = wrong("its signature key is not known here")
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
			want: good(func(s *onramp.SetupStatus, c *onramp.CallbackStatus) {
				s.Schemes[0].State, s.Schemes[0].Wrong = onramp.StateDiffers, wrong("its secrets or its token endpoint are not those of the configuration")
				c.Subscriptions[0].State = onramp.StateDiffers
				c.Wrong = wrong("it is to be otherwise: at most 100 events in a call", "subscription sends has other types or filters than configured",
					"subscription sends is paused (none), and events are dropped", "subscription clicks is paused (paused in the configuration of Onramp), and events are dropped")
			}),
		},
		"active, though to be paused": {
			change: func(w *world) { w.callbacks[0].Subscriptions[0].Paused = true },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.Wrong = wrong("subscription sends is active, though it is to be paused")
			}),
		},
		"wrong signatures": {
			change: func(w *world) { w.refused = map[string]int64{"wrong signature": 3} },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.Refused = map[string]int64{"wrong signature": 3}
				c.Wrong = []onramp.Finding{{
					What: "3 calls came with a wrong signature since the start",
					Hint: "if they are Marketing Cloud's, its key was made anew elsewhere: onramp ens remove events, then onramp ens setup",
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
			want: good(func(s *onramp.SetupStatus, c *onramp.CallbackStatus) {
				named := func(what string) []onramp.Finding {
					return []onramp.Finding{{What: what, Hint: "name it there, or run onramp ens setup --prune"}}
				}
				s.Schemes = append(s.Schemes, onramp.SchemeStatus{Name: "password:mc-ens:robot", AuthID: "id", State: onramp.StateExtra, Wrong: named("the configuration does not name it")})
				c.Subscriptions[1].State = onramp.StateExtra
				c.Wrong = named("the configuration does not name subscription clicks")
				s.Callbacks = append(s.Callbacks, onramp.CallbackStatus{
					Name: "other", URL: "GATEWAY/ens/other", CallbackID: "id", State: onramp.StateExtra, Wrong: named("the configuration does not name it"),
					Subscriptions: []onramp.SubscriptionStatus{{Name: "opens", State: onramp.StateExtra, Types: []string{"EngagementEvents.EmailOpen"}}},
				})
			}),
		},
		"client without a secret": {
			change: func(w *world) { w.clients = nil },
			want: good(func(s *onramp.SetupStatus, c *onramp.CallbackStatus) {
				s.Schemes[0].State, s.Schemes[0].Wrong = onramp.StateDiffers, wrong("its secrets or its token endpoint are not those of the configuration")
				c.Wrong = []onramp.Finding{{What: `callback events names the token client "mc-ens", which has no secret: neither the configuration nor the database has one`, Hint: "give it one"}}
			}),
		},
		"at its former address": {
			change: func(w *world) { (*w.cloud.callbacks[0])["url"] = "https://former.example/ens/events" },
			want: good(func(_ *onramp.SetupStatus, c *onramp.CallbackStatus) {
				c.CallbackID, c.State = "", onramp.StateMissing
				c.Subscriptions = []onramp.SubscriptionStatus{as(sent, onramp.StateMissing), as(clicks, onramp.StateMissing)}
				c.Wrong = wrong("Marketing Cloud still has one at https://former.example/ens/events", "it is not in Marketing Cloud",
					"subscription sends is not in Marketing Cloud", "subscription clicks is not in Marketing Cloud")
			}),
		},
		"unreachable": {
			change: func(w *world) { w.events["events"] = at; w.cloud.server.Close() },
			want: good(func(s *onramp.SetupStatus, c *onramp.CallbackStatus) {
				s.Unreachable, s.Schemes[0].State, c.State, c.LastEvent = "why", onramp.StateUnknown, onramp.StateUnknown, at
				c.Subscriptions = []onramp.SubscriptionStatus{as(sent, onramp.StateUnknown), as(clicks, onramp.StateUnknown)}
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
