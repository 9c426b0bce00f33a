package setup_test

import (
	"slices"
	"strings"
	"testing"

	"onramp/internal/onramp"
)

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
