package config_test

import (
	"fmt"
	"strings"

	"onramp/internal/config"
)

const (
	shortHint    = "is too short: it needs at least 8 characters"
	visibleHint  = "can contain only printable ASCII characters"
	sameHint     = "is the same as the current one: set it to the previous one, or remove the key"
	emptyHint    = "is empty: set a value or remove the key"
	twiceHint    = "is listed twice: remove one"
	callableHint = "must be an https URL without port, user or query: Marketing Cloud calls callbacks only on port 443"
	webhookHint  = "must be whsec_ followed by 24 to 64 bytes in base64; onramp keys new webhook creates one"
	controlHint  = "must not contain control characters"
	typeHint     = "must be Category.Type, such as TransactionalSendEvents.EmailSent"
	sentHint     = "is missing: list the event types to receive, such as TransactionalSendEvents.EmailSent"
	patternHint  = "must be Category.Type, or a pattern such as TransactionalSendEvents.* or *Unsubscribe"
)

func wrongOAuth() []wrong {
	return []wrong{
		{"token lifetime is short", shortAccount + "oauth: { token_lifetime: 59s, lifetime: 1h }", nil, []config.Problem{
			{2, "oauth.lifetime", "unknown key; use token_lifetime, clients or users"},
			{2, "oauth.token_lifetime", "must be from 1m to 24h"},
		}},
		{"token lifetime is long", shortAccount + "oauth:", []string{"ONRAMP_OAUTH_TOKEN_LIFETIME=25h"}, []config.Problem{
			{0, "ONRAMP_OAUTH_TOKEN_LIFETIME", "must be from 1m to 24h"},
		}},
		{"token lifetime is none", shortAccount + "oauth: { token_lifetime: 20 }", nil, []config.Problem{{2, "oauth.token_lifetime", durationHint}}},
		{"no lists", shortAccount + "oauth: { clients: { id: a }, users: me }", nil, []config.Problem{
			{2, "oauth.clients", "must be a list, not a map"},
			{2, "oauth.users", "must be a list, not a single value"},
		}},
		{"clients", shortAccount + `oauth:
  clients:
    - { id: a, secret: 12345678 }
    - { id: a, secret: 1234567, previous_secret: 12345678 }
    - { id: "b:c", secret: "12345678é" }
    - { id: "bä", secret: 12345678, previous_secret: 12345678 }
    - { secret: "", previous_secret: "" }
    - { id: "", previous_secret: 12345678 }
    - { id: [a], secret: "${env:NOT_SET}", previous_secret: 1234567 }
    - { name: c, password: d }
    - e
    -`, nil, []config.Problem{
			{5, "oauth.clients[1].secret", shortHint},
			{5, "oauth.clients[1].id", "the client on line 4 already has this id"},
			{6, "oauth.clients[2].id", visibleHint + ", and no colon"},
			{6, "oauth.clients[2].secret", visibleHint},
			{7, "oauth.clients[3].id", visibleHint + ", and no colon"},
			{7, "oauth.clients[3].previous_secret", sameHint},
			{8, "oauth.clients[4].id", "is missing: onramp keys new client creates an id and a secret"},
			{8, "oauth.clients[4].secret", emptyHint},
			{8, "oauth.clients[4].previous_secret", emptyHint},
			{9, "oauth.clients[5].id", "is missing: onramp keys new client creates an id and a secret"},
			{9, "oauth.clients[5].secret", "is missing: onramp keys new client creates one"},
			{10, "oauth.clients[6].id", "must be a single value, not a list"},
			{10, "oauth.clients[6].secret", "the environment variable NOT_SET is not set"},
			{10, "oauth.clients[6].previous_secret", shortHint},
			{11, "oauth.clients[7].name", "unknown key; use id, secret or previous_secret"},
			{11, "oauth.clients[7].password", "unknown key; use id, secret or previous_secret"},
			{11, "oauth.clients[7].id", "is missing: onramp keys new client creates an id and a secret"},
			{11, "oauth.clients[7].secret", "is missing: onramp keys new client creates one"},
			{12, "oauth.clients[8]", "must be a map of keys and values, not a single value"},
			{13, "oauth.clients[9]", "is empty: fill it in or remove the line"},
		}},
		{"users", shortAccount + `oauth:
  users:
    - { name: a, password: ééééééé }
    - { name: a, password: "\t12345678", previous_password: 12345678 }
    - { name: "a\nb", password: 12345678, previous_password: 12345678 }
    - { previous_password: 1 }`, nil, []config.Problem{
			{4, "oauth.users[0].password", shortHint},
			{5, "oauth.users[1].password", controlHint},
			{5, "oauth.users[1].name", "the user on line 4 already has this name"},
			{6, "oauth.users[2].previous_password", sameHint},
			{6, "oauth.users[2].name", controlHint},
			{7, "oauth.users[3].name", "is missing: set it to the user name that Marketing Cloud is to use"},
			{7, "oauth.users[3].password", "is missing: onramp keys new password creates one"},
			{7, "oauth.users[3].previous_password", shortHint},
		}},
	}
}

// shortPublic is what callbacks need of the rest, in one line.
const shortPublic = "public: { url: https://h.example }\n"

// subscribed completes a callback of which something else is wrong.
const subscribed = "subscribe: [EngagementEvents.EmailOpen]"

func wrongCallbacks() []wrong {
	const callback = "ens.callbacks.a"
	const nameHint = "a callback name must start with a lower-case letter or a digit, and contain only these, _ and -, at most 63 characters"
	const head = shortAccount + shortPublic + "ens:\n  callbacks:\n" // what follows begins in line 5
	const formHint = "is the short form for a single subscription: it can't be used together with subscriptions"
	list := []wrong{
		{"unknown keys", shortAccount + shortPublic + "ens: { callback: {}, callbacks: [a] }", nil, []config.Problem{
			{3, "ens.callback", "unknown key; did you mean callbacks?"},
			{3, "ens.callbacks", "must be a map of keys and values, not a list"},
		}},
		{"no map", shortAccount + "ens: on", nil, []config.Problem{{2, "ens", "must be a map of keys and values, not a single value"}}},
		{"names and keys", head + `    Events: { ` + subscribed + ` }
    "": { ` + subscribed + ` }
    a: { url: x, ` + subscribed + ` }
    a: { ` + subscribed + ` }
    b:
    c: { }
    d: x`, nil, []config.Problem{
			{5, "ens.callbacks.Events", nameHint},
			{6, `ens.callbacks[""]`, nameHint},
			{7, callback + ".url", "unknown key; use auth, client, user, max_batch, unsigned, subscribe, filters, paused or subscriptions"},
			{8, callback, "is set twice, first on line 7"},
			{9, "ens.callbacks.b.subscribe", sentHint},
			{10, "ens.callbacks.c.subscribe", sentHint},
			{11, "ens.callbacks.d", "must be a map of keys and values, not a single value"},
		}},
		{"authentication", head + `    a: { auth: client_credential, user: x, ` + subscribed + ` }
    b: { auth: none, client: x, user: y, ` + subscribed + ` }
    c: { user: y, ` + subscribed + ` }
    d: { auth: password, ` + subscribed + ` }
    e: { auth: password, user: y, client: "a:b", ` + subscribed + ` }
    f: { auth: password, user: [y], client: "", max_batch: 99, ` + subscribed + ` }
    g: { auth: [none], max_batch: 1001, ` + subscribed + ` }
    h: { auth: none, max_batch: "100", ` + subscribed + ` }
    i: { auth: none, unsigned: refuse, ` + subscribed + ` }
    j: { unsigned: never, ` + subscribed + ` }`, nil, []config.Problem{
			{5, callback + ".auth", `"client_credential" is not known; did you mean client_credentials?`},
			{6, "ens.callbacks.b.client", "has no effect with auth: none; remove it"},
			{6, "ens.callbacks.b.user", "has no effect with auth: none; remove it"},
			{7, "ens.callbacks.c.user", "has no effect with auth: client_credentials; remove it"},
			{8, "ens.callbacks.d.user", "is missing: auth: password needs a user; add one to oauth.users"},
			{9, "ens.callbacks.e.client", visibleHint + ", and no colon"},
			{9, "ens.callbacks.e.user", "no user in oauth.users has this name"},
			{10, "ens.callbacks.f.client", "is empty: set it to the id of a token client, or remove the key"},
			{10, "ens.callbacks.f.user", "must be a single value, not a list"},
			{10, "ens.callbacks.f.max_batch", "must be a whole number from 100 to 1000, without quotes"},
			{11, "ens.callbacks.g.auth", "must be a single value, not a list"},
			{11, "ens.callbacks.g.max_batch", "must be a whole number from 100 to 1000, without quotes"},
			{12, "ens.callbacks.h.max_batch", "must be a whole number from 100 to 1000, without quotes"},
			{13, "ens.callbacks.i.unsigned", "has no effect with auth: none, where every batch must be signed; remove it"},
			{14, "ens.callbacks.j.unsigned", `"never" is not known; use auto, allow or refuse`},
		}},
		{"which client and user", head + `    a: { auth: password, ` + subscribed + ` }
    b: { client: other, ` + subscribed + ` }
oauth:
  clients: [ { id: a, secret: 12345678 }, { id: b, secret: 12345678 } ]
  users: [ { name: a, password: 12345678 }, { name: b, password: 12345678 }, { name: c, password: 12345678 } ]`, nil, []config.Problem{
			{5, callback + ".client", "is missing, but oauth.clients has 2 entries: set it to the id of one"},
			{5, callback + ".user", "is missing, but oauth.users has 3 entries: set it to the name of one"},
		}},
		{"no follow-on about clients and users", head + `    a: { auth: password, ` + subscribed + ` }
    b: { auth: password, user: c, ` + subscribed + ` }
oauth: { client: [ { id: a, secret: 12345678 } ] }`, nil, []config.Problem{
			{7, "oauth.client", "unknown key; did you mean clients?"},
		}},
		{"short and long form", head + `    a: { subscribe: [], filters: [a=b], paused: x, subscriptions: [] }
    b: { subscriptions: { name: a } }
    c: { subscriptions: [ ~, x ] }
    d: { subscribe: EngagementEvents.EmailOpen }
    e: { subscribe: [ ~, [a] ] }`, nil, []config.Problem{
			{5, callback + ".subscribe", formHint},
			{5, callback + ".filters", formHint},
			{5, callback + ".paused", formHint},
			{5, callback + ".subscriptions", "a callback needs at least one subscription"},
			{6, "ens.callbacks.b.subscriptions", "must be a list, not a map"},
			{7, "ens.callbacks.c.subscriptions[0]", "is empty: fill it in or remove the line"},
			{7, "ens.callbacks.c.subscriptions[1]", "must be a map of keys and values, not a single value"},
			{8, "ens.callbacks.d.subscribe", "must be a list, not a single value"},
			{9, "ens.callbacks.e.subscribe[0]", "is empty: fill it in or remove the line"},
			{9, "ens.callbacks.e.subscribe[1]", "must be a single value, not a list"},
		}},
		{"subscriptions", head + `    a:
      subscriptions:
        - { name: Sends, types: [EngagementEvents.EmailOpen], filters: x, paused: "true" }
        - { name: sends, types: [] }
        - { types: [EngagementEvents.EmailOpen], callback: a }
        - { name: onramp-b, types: ~ }
    b: { ` + subscribed + ` }
    c: { subscriptions: [ { name: SENDS, ` + strings.Replace(subscribed, "subscribe", "types", 1) + ` } ] }`, nil, []config.Problem{
			{7, callback + ".subscriptions[0].filters", "must be a list, not a single value"},
			{7, callback + ".subscriptions[0].paused", "must be true or false, without quotes"},
			{8, callback + ".subscriptions[1].name", "the subscription on line 7 already has this name"},
			{8, callback + ".subscriptions[1].types", sentHint},
			{9, callback + ".subscriptions[2].callback", "unknown key; use name, types, filters or paused"},
			{9, callback + ".subscriptions[2].name", "is missing: set a name that is unique in the account"},
			{10, callback + ".subscriptions[3].types", sentHint},
			{11, "ens.callbacks.b", "the subscription on line 10 already has this name"},
			{12, "ens.callbacks.c.subscriptions[0].name", "the subscription on line 7 already has this name"},
		}},
		{"too many subscriptions", head + "    a:\n      subscriptions:\n" + manySubscriptions(201), nil, []config.Problem{
			{6, callback + ".subscriptions", "a callback can have at most 200 subscriptions, but this one has 201"},
		}},
		{"no URL and no key", shortAccount + "\ndatabase: postgresql://db/x\nens:\n  callbacks: { a: { " + subscribed + " } }", nil, []config.Problem{
			{1, "public.url", "is missing: Marketing Cloud needs it to call the callbacks of ens, such as https://signup.example.com"},
			{1, "encryption_key", "is missing: with PostgreSQL, callbacks need a key that all processes share; onramp keys new encryption creates one"},
		}},
		{"wrong URL", shortAccount + "public:\n  url: signup.example.com\nens: { callbacks: { a: { " + subscribed + " } } }", nil, []config.Problem{
			{3, "public.url", urlHint},
		}},
		{"unknown account", "marketing_cloud: { client_id: a, client_secret: b }\npublic:\n  url: http://signup.example.com\nens: { callbacks: { a: { " + subscribed + " } } }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", "is missing: set it to your tenant subdomain (or set auth_url for the sandbox)"},
		}},
		{"URL from the environment", shortAccount + shortPublic + "ens: { callbacks: { a: { " + subscribed + " } } }", []string{"ONRAMP_PUBLIC_URL=http://h"}, []config.Problem{
			{0, "ONRAMP_PUBLIC_URL", callableHint},
		}},
	}
	for _, url := range []string{
		"http://h.example", "https://h.example:443", "https://h.example:", "https://h.example:8443/x", "https://h.example?a=b",
		"https://h.example?", "https://h.example#a", "https://u@h.example", "https://[::1]",
	} {
		list = append(list, wrong{"callbacks under " + url, shortAccount + "public:\n  url: \"" + url + "\"\nens: { callbacks: { a: { " + subscribed + " } } }", nil, []config.Problem{
			{3, "public.url", callableHint},
		}})
	}
	return list
}

func manySubscriptions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "        - { name: s%d, types: [EngagementEvents.EmailOpen] }\n", i)
	}
	return b.String()
}

func wrongTypesOfEvents() []wrong {
	const head = shortAccount + shortPublic + "ens:\n  callbacks:\n    a:\n" // what follows begins in line 6
	const callback = "ens.callbacks.a"
	const starHint = "patterns are not supported by Marketing Cloud: list each type, such as "
	return []wrong{
		{"types", head + `      subscribe:
        - EmailSent
        - transactionalsendevents.emailsent
        - TransactionalSendEvents.SMSSent
        - TransactionalSendEvent.EmailSent
        - TransactionalSendEvents.EmailSend
        - TransactionalSendEvents.EmailOpen
        - SendEvent.SomethingNew
        - sendevents.SomethingNew
        - EngagementEvents.*
        - "*"
        - NewEvents.*
        - SomethingNew
        - Some thing.New
        - A.B.C
        - ""
        - "${env:TYPE}"
        - EngagementEvents.EmailOpen
        - EngagementEvents.EmailOpen
        - EngagementEvents.AVeryLongNameWhichNobodyWouldEverGiveToAType
        - EmailOpenn
      filters: [nonsense=1]`, []string{"TYPE=SendEvents.OttNotSend"}, []config.Problem{
			{7, callback + ".subscribe[0]", `"EmailSent" is not known; did you mean TransactionalSendEvents.EmailSent?`},
			{8, callback + ".subscribe[1]", `"transactionalsendevents.emailsent" is not known; did you mean TransactionalSendEvents.EmailSent?`},
			{9, callback + ".subscribe[2]", `"TransactionalSendEvents.SMSSent" is not known; did you mean TransactionalSendEvents.SmsSent?`},
			{10, callback + ".subscribe[3]", `"TransactionalSendEvent.EmailSent" is not known; did you mean TransactionalSendEvents.EmailSent?`},
			{11, callback + ".subscribe[4]", `"TransactionalSendEvents.EmailSend" is not known; did you mean TransactionalSendEvents.EmailSent?`},
			{12, callback + ".subscribe[5]", `"TransactionalSendEvents.EmailOpen" is not known; did you mean EngagementEvents.EmailOpen?`},
			{13, callback + ".subscribe[6]", `"SendEvent.SomethingNew" is not known; did you mean SendEvents.…?`},
			{14, callback + ".subscribe[7]", `"sendevents.SomethingNew" is not known; did you mean SendEvents.…?`},
			{15, callback + ".subscribe[8]", starHint + "EngagementEvents.EmailOpen"},
			{16, callback + ".subscribe[9]", starHint + "TransactionalSendEvents.EmailSent"},
			{17, callback + ".subscribe[10]", starHint + "TransactionalSendEvents.EmailSent"},
			{18, callback + ".subscribe[11]", `"SomethingNew" ` + typeHint},
			{19, callback + ".subscribe[12]", `"Some thing.New" ` + typeHint},
			{20, callback + ".subscribe[13]", `"A.B.C" ` + typeHint},
			{21, callback + ".subscribe[14]", `"" ` + typeHint},
			{22, callback + ".subscribe[15]", "the value of ${env:TYPE} is not known; did you mean SendEvents.OttNotSent?"},
			{24, callback + ".subscribe[17]", twiceHint},
			{26, callback + ".subscribe[19]", `"EmailOpenn" ` + typeHint},
		}},
		{"filters", shortAccount + shortPublic + `ens:
  callbacks:
    a:
      subscribe: [TransactionalSendEvents.EmailSent, TransactionalSendEvents.EmailBounced]
      filters: [definitionKey, definitionKey=, =x, "definitionKey:x", definitionkey=x, statusCode=1, bounceCode=HARD, bounceCode=HARD, { a: b }, "${env:FILTER}"]
    b:
      subscribe: [EngagementEvents.EmailOpen]
      filters: [definitionKey=x, a]
    c: { subscribe: [TransactionalSendEvents.EmailSend, EngagementEvents.EmailOpen], filters: [definitionKey=x] }`, []string{"FILTER=a=b"}, []config.Problem{
			{7, callback + ".filters[8]", "must be a single value, not a map"},
			{7, callback + ".filters[0]", `"definitionKey" must be name=value, such as definitionKey=welcome`},
			{7, callback + ".filters[1]", `"definitionKey=" must be name=value, such as definitionKey=welcome`},
			{7, callback + ".filters[2]", `"=x" must be name=value, such as definitionKey=welcome`},
			{7, callback + ".filters[3]", `"definitionKey:x" must be name=value, such as definitionKey=welcome`},
			{7, callback + ".filters[4]", `"definitionkey" is not a filter for these events; did you mean definitionKey?`},
			{7, callback + ".filters[5]", `"statusCode" is not a filter for these events; use definitionKey, bounceCode or smtpReason`},
			{7, callback + ".filters[7]", twiceHint},
			{7, callback + ".filters[9]", "the value of ${env:FILTER} is not a filter for these events; use definitionKey, bounceCode or smtpReason"},
			{10, "ens.callbacks.b.filters[0]", "these events can't be filtered: remove the filter"},
			{10, "ens.callbacks.b.filters[1]", `"a" must be name=value, such as definitionKey=welcome`},
			{11, "ens.callbacks.c.subscribe[0]", `"TransactionalSendEvents.EmailSend" is not known; did you mean TransactionalSendEvents.EmailSent?`},
		}},
		{"patterns", shortAccount + `sinks:
  - name: a
    file: { path: a }
    types:
      - EmailSent
      - EngagementEvents.EmailOpened
      - engagementevents.emailopen
      - EngagementEvent.*
      - "*.Emial"
      - SendEvents.Unheard
      - Send Events.*
      - Sent
      - ""
      - "*"
      - "*"`, nil, []config.Problem{
			{6, "sinks[0].types[0]", `"EmailSent" is not known; did you mean TransactionalSendEvents.EmailSent?`},
			{7, "sinks[0].types[1]", `"EngagementEvents.EmailOpened" is not known; did you mean EngagementEvents.EmailOpen?`},
			{9, "sinks[0].types[3]", `"EngagementEvent.*" is not known; did you mean EngagementEvents.…?`},
			{12, "sinks[0].types[6]", `"Send Events.*" ` + patternHint},
			{13, "sinks[0].types[7]", `"Sent" ` + patternHint},
			{14, "sinks[0].types[8]", `"" ` + patternHint},
			{16, "sinks[0].types[10]", twiceHint},
		}},
	}
}

func wrongSinks() []wrong {
	const key = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
	const nameHint = "a sink name must start with a lower-case letter or a digit, and contain only these, _ and -, at most 63 characters"
	const reservedHint = "is set by Onramp itself: remove it"
	const headerHint = "a header name can contain only letters, digits, - and _; is a colon, or the space after it, missing?"
	const saslHint = "has no effect without sasl; remove it, or add sasl: scram-sha-256, scram-sha-512 or plain"
	const brokerHint = "must be host:port, such as kafka.example.com:9093"
	const natsHint = "must be a nats:// or tls:// URL, such as nats://nats.example.com:4222"
	const subjectHint = "must be a subject without wildcards and a leading $, such as sfmc.events, or sfmc.{type} with the event's type in it"
	const head = shortAccount + "sinks:\n" // what follows begins in line 3
	return []wrong{
		{"no list", shortAccount + "sinks: { name: a }", nil, []config.Problem{{2, "sinks", "must be a list, not a map"}}},
		{"names and kinds", head + `  - { name: a, file: { path: a } }
  - { name: a, file: { path: a } }
  - { name: A b, file: { path: ./a } }
  - { file: { path: "" } }
  - { name: b }
  - { name: c, webook: {} }
  - { name: d, file: { path: b }, nats: }
  - { name: e, file: c, batch: 10001 }
  - { name: f, file: { path: f, mode: a }, batch: "1", types: all }
  -
  - g`, nil, []config.Problem{
			{4, "sinks[1].name", "the sink on line 3 already has this name"},
			{4, "sinks[1].file.path", "the sink on line 3 already has this file"},
			{5, "sinks[2].name", nameHint},
			{6, "sinks[3].name", "is missing: give the sink a name"},
			{6, "sinks[3].file.path", "is missing: set it to the file that the events are appended to"},
			{7, "sinks[4]", "a sink needs a kind: webhook, kafka, nats or file"},
			{8, "sinks[5].webook", "unknown key; did you mean webhook?"},
			{9, "sinks[6].nats.url", "is missing: set it to the server's URL, such as nats://nats.example.com:4222"},
			{9, "sinks[6].nats.subject", "is missing: set it to a subject of a stream, such as sfmc.{type}"},
			{9, "sinks[6]", "a sink has exactly one kind, but this one has nats and file: split it into one sink of each"},
			{10, "sinks[7].batch", "must be a whole number from 1 to 10000, without quotes"},
			{10, "sinks[7].file", "must be a map of keys and values, not a single value"},
			{11, "sinks[8].types", "must be a list, not a single value"},
			{11, "sinks[8].batch", "must be a whole number from 1 to 10000, without quotes"},
			{11, "sinks[8].file.mode", "unknown key; use path"},
			{12, "sinks[9]", "is empty: fill it in or remove the line"},
			{13, "sinks[10]", "must be a map of keys and values, not a single value"},
		}},
		{"webhooks", head + `  - { name: a, webhook: }
  - { name: b, webhook: { url: crm.example.com, secret: hunter2 } }
  - { name: c, webhook: { url: "https://u:p@crm.example.com", secret: whsec_hunter2, previous_secret: ` + key + ` } }
  - { name: d, webhook: { url: "https://crm.example.com#x", secret: ` + key + `, previous_secret: ` + key + ` } }
  - { name: e, webhook: { url: "https://a b", secret: whsec_` + strings.Repeat("A", 88) + `, previous_secret: whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY= } }
  - { name: f, webhook: { url: [x], secret: "", previous_secret: "", method: PUT } }
  - { name: g, webhook: { url: "https://h", secret: "` + key + `\n", previous_secret: whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX== } }`, nil, []config.Problem{
			{3, "sinks[0].webhook.url", "is missing: set it to the http or https URL that receives the events"},
			{3, "sinks[0].webhook.secret", "is missing: onramp keys new webhook creates one"},
			{4, "sinks[1].webhook.url", "must be an absolute http or https URL, such as https://crm.example.com/events"},
			{4, "sinks[1].webhook.secret", webhookHint},
			{5, "sinks[2].webhook.url", "must not contain a user or a password: send them in a header, such as headers: { Authorization: … }"},
			{5, "sinks[2].webhook.secret", webhookHint},
			{6, "sinks[3].webhook.url", "must be an absolute http or https URL, such as https://crm.example.com/events"},
			{6, "sinks[3].webhook.previous_secret", sameHint},
			{7, "sinks[4].webhook.url", "must be an absolute http or https URL, such as https://crm.example.com/events"},
			{7, "sinks[4].webhook.secret", webhookHint},
			{7, "sinks[4].webhook.previous_secret", webhookHint},
			{8, "sinks[5].webhook.method", "unknown key; use url, secret, previous_secret or headers"},
			{8, "sinks[5].webhook.url", "must be a single value, not a list"},
			{8, "sinks[5].webhook.secret", emptyHint},
			{8, "sinks[5].webhook.previous_secret", emptyHint},
			{9, "sinks[6].webhook.secret", webhookHint},
			{9, "sinks[6].webhook.previous_secret", webhookHint},
		}},
		{"headers", head + `  - name: a
    webhook:
      url: https://h
      secret: ` + key + `
      headers:
        X-Key: a
        x-key: b
        Webhook-ID: a
        content-type: a
        X-Empty: ""
        X-None:
        X-Line: "a\r\nb"
        X-List: [a]
        X Key: a
        X-Key:hunter2:
        X-Key: c
  - { name: b, webhook: { url: https://h, secret: ` + key + `, headers: [X-Key] } }`, nil, []config.Problem{
			{9, "sinks[0].webhook.headers.x-key", "is set twice, first on line 8"},
			{10, "sinks[0].webhook.headers.Webhook-ID", reservedHint},
			{11, "sinks[0].webhook.headers.content-type", reservedHint},
			{12, "sinks[0].webhook.headers.X-Empty", "is empty: set a value or remove the header"},
			{13, "sinks[0].webhook.headers.X-None", "is empty: set a value or remove the header"},
			{14, "sinks[0].webhook.headers.X-Line", controlHint},
			{15, "sinks[0].webhook.headers.X-List", "must be a single value, not a list"},
			{16, "sinks[0].webhook.headers", headerHint},
			{17, "sinks[0].webhook.headers", headerHint},
			{18, "sinks[0].webhook.headers.X-Key", "is set twice, first on line 8"},
			{19, "sinks[1].webhook.headers", "must be a map of keys and values, not a list"},
		}},
		{"Kafka", head + `  - { name: a, kafka: }
  - { name: b, kafka: { brokers: [k1, "k1:0", ":9092", "http://k1:9092", "k:1", "k:1", "k:99999", ["k:1"]], topic: a b } }
  - { name: c, kafka: { brokers: "k1:9092", topic: "..", tls: "yes", ca_file: a } }
  - { name: d, kafka: { brokers: ["k:1"], topic: t, ca_file: a, user: a, password: b } }
  - { name: e, kafka: { brokers: ["k:1"], topic: t, sasl: scram-sha-265, user: a } }
  - { name: f, kafka: { brokers: ["k:1"], topic: t, sasl: plain, user: a } }
  - { name: g, kafka: { brokers: ["k:1"], topic: t, sasl: plain, password: "${env:NOT_SET}" } }
  - { name: h, kafka: { brokers: ["k:1"], topic: t, sasl: scram-sha-512, password: a } }
  - { name: i, kafka: [a] }`, nil, []config.Problem{
			{3, "sinks[0].kafka.brokers", "is missing: list at least one broker, such as kafka.example.com:9093"},
			{3, "sinks[0].kafka.topic", "is missing: set it to the topic that receives the events"},
			{4, "sinks[1].kafka.brokers[7]", "must be a single value, not a list"},
			{4, "sinks[1].kafka.brokers[0]", `"k1" ` + brokerHint},
			{4, "sinks[1].kafka.brokers[1]", `"k1:0" ` + brokerHint},
			{4, "sinks[1].kafka.brokers[2]", `":9092" ` + brokerHint},
			{4, "sinks[1].kafka.brokers[3]", `"http://k1:9092" ` + brokerHint},
			{4, "sinks[1].kafka.brokers[5]", twiceHint},
			{4, "sinks[1].kafka.brokers[6]", `"k:99999" ` + brokerHint},
			{4, "sinks[1].kafka.topic", "can contain only letters, digits, ., _ and -, at most 249 characters"},
			{5, "sinks[2].kafka.brokers", "must be a list, not a single value"},
			{5, "sinks[2].kafka.tls", "must be true or false, without quotes"},
			{5, "sinks[2].kafka.topic", "can contain only letters, digits, ., _ and -, at most 249 characters"},
			{6, "sinks[3].kafka.ca_file", "has no effect without tls: true; remove it"},
			{6, "sinks[3].kafka.user", saslHint},
			{6, "sinks[3].kafka.password", saslHint},
			{7, "sinks[4].kafka.sasl", `"scram-sha-265" is not known; did you mean scram-sha-256?`},
			{8, "sinks[5].kafka.password", "is missing: sasl: plain needs it"},
			{9, "sinks[6].kafka.password", "the environment variable NOT_SET is not set"},
			{10, "sinks[7].kafka.user", "is missing: sasl: scram-sha-512 needs it"},
			{11, "sinks[8].kafka", "must be a map of keys and values, not a list"},
		}},
		{"NATS", head + `  - { name: a, nats: { urls: [], subject: "a.*" } }
  - { name: b, nats: { url: "http://n", subject: "a.>" } }
  - { name: c, nats: { url: "nats://u:p@n", subject: "a..b" } }
  - { name: d, nats: { url: nats://n, urls: [nats://n, nats://n, "nats://"], subject: "a {type}" } }
  - { name: e, nats: { urls: [nats://n, nats://n, "nats://", [a]], subject: "{event}" } }
  - { name: f, nats: { url: nats://n, subject: a, user: u, token: t, credentials_file: c } }
  - { name: g, nats: { url: nats://n, subject: a, user: u, password: "${env:NOT_SET}", token: t } }
  - { name: h, nats: { url: nats://n, subject: a, password: p, stream: s } }
  - { name: i, nats: nats://n }
  - { name: j, nats: { url: nats://n, subject: $SYS.events } }
  - { name: k, nats: { url: nats://n, subject: "$JS.{type}" } }
  - { name: l, nats: { url: nats://n, subject: "a.$b.c$" } }`, nil, []config.Problem{
			{3, "sinks[0].nats.url", "is missing: set it to the server's URL, such as nats://nats.example.com:4222"},
			{3, "sinks[0].nats.subject", subjectHint},
			{4, "sinks[1].nats.url", natsHint},
			{4, "sinks[1].nats.subject", subjectHint},
			{5, "sinks[2].nats.url", "must not contain a user, a password or a token: use the keys user, password and token"},
			{5, "sinks[2].nats.subject", subjectHint},
			{6, "sinks[3].nats.urls", "url and urls can't both be set: remove one"},
			{6, "sinks[3].nats.subject", subjectHint},
			{7, "sinks[4].nats.urls[3]", "must be a single value, not a list"},
			{7, "sinks[4].nats.urls[1]", twiceHint},
			{7, "sinks[4].nats.urls[2]", natsHint},
			{7, "sinks[4].nats.subject", subjectHint},
			{8, "sinks[5].nats", "has credentials_file and user and token: use only one of them to log in"},
			{8, "sinks[5].nats", "has only one of user and password: set both or neither"},
			{9, "sinks[6].nats.password", "the environment variable NOT_SET is not set"},
			{10, "sinks[7].nats.stream", "unknown key; use url, urls, subject, credentials_file, user, password, token or ca_file"},
			{10, "sinks[7].nats", "has only one of user and password: set both or neither"},
			{11, "sinks[8].nats", "must be a map of keys and values, not a single value"},
			{12, "sinks[9].nats.subject", subjectHint},
			{13, "sinks[10].nats.subject", subjectHint},
		}},
	}
}

func wrongRules() []wrong {
	const skipHint = "updates rows, but with on_existing: skip the rows of data_extension:K are never updated: remove one of the two"
	const valueHint = `is missing: set it to the column's new value, such as false, or "" to clear it`
	const whereHint = "a name must be one of the event's fields, such as bounceCode; is a colon, or the space after it, missing?"
	const rule = "forms.f.on_event"
	const head = "forms:\n  f:\n" + rightRoute + `    fields:
      - { name: email, column: Email, type: email, required: true }
      - { name: ok, column: Ok, type: boolean }
      - { name: plan, column: Plan, type: choice, choices: [a, b] }
      - { name: bad, column: Bad, type: nonsense }
      - { column: Source, from: constant, value: x }
    on_event:
` // what follows begins in line 12
	bad := config.Problem{
		Line: 9, Path: "forms.f.fields[3].type",
		Message: `"nonsense" is not known; use text, email, boolean, integer, decimal, date, phone, locale, choice or choices`,
	}
	return []wrong{
		{"rules", head + `      - { }
      - { type: EmailUnsubscribe, column: "", value: }
      - { type: EngagementEvents.EmailUnsubscribe, column: OK, value: "false" }
      - { type: EngagementEvents.EmailUnsubscribe, column: plan, value: c }
      - { type: EngagementEvents.EmailUnsubscribe, column: subscriberkey, value: x }
      - { type: EngagementEvents.EmailUnsubscribe, column: Bad, value: false }
      - { type: EngagementEvents.EmailUnsubscribe, column: Source, value: false }
      - { type: EngagementEvents.EmailUnsubscribe, column: New, value: 0x10 }
      - { type: EngagementEvents.EmailUnsubscribe, column: New, value: [a], colum: x }
      - { type: EngagementEvents.EmailUnsubscribe, column: New, value: "a\x01b" }
      - { type: [a], column: [a], value: { a: b } }
      - text
      -
`, nil, []config.Problem{
			bad,
			{12, rule + "[0].column", "is missing: set it to the data extension column to update"},
			{12, rule + "[0].type", "is missing: set it to the type of the events, such as EngagementEvents.EmailUnsubscribe"},
			{12, rule + "[0].value", valueHint},
			{13, rule + "[1].column", "is missing: set it to the data extension column to update"},
			{13, rule + "[1].type", `"EmailUnsubscribe" is not known; did you mean EngagementEvents.EmailUnsubscribe?`},
			{13, rule + "[1].value", valueHint},
			{14, rule + "[2].value", "is not a valid value of this field: it must be true or false"},
			{15, rule + "[3].value", "is not a valid value of this field: it must be one of the choices"},
			{16, rule + "[4].column", "is the key_column of data_extension:K, which identifies the row: use another column"},
			{19, rule + "[7].value", "must be a plain number, such as 12 or 12.5; put it in quotes if it is text"},
			{20, rule + "[8].colum", "unknown key; did you mean column?"},
			{20, rule + "[8].value", "must be a single value, not a list"},
			{21, rule + "[9].value", controlHint},
			{22, rule + "[10].column", "must be a single value, not a list"},
			{22, rule + "[10].type", "must be a single value, not a list"},
			{22, rule + "[10].value", "must be a single value, not a map"},
			{23, rule + "[11]", "must be a map of keys and values, not a single value"},
			{24, rule + "[12]", "is empty: fill it in or remove the line"},
		}},
		{"where", head + `      - type: TransactionalSendEvents.EmailBounced
        column: New
        value: 1
        where:
          bounceCode:
          smtpReason: ""
          bounce code: x
          bounceCode:hunter2:
          to: [a]
          to: b
      - { type: "*", column: New, value: 1, where: bounceCode }
`, nil, []config.Problem{
			bad,
			{16, rule + "[0].where.bounceCode", "is empty: set it to the value that the event must have"},
			{17, rule + "[0].where.smtpReason", "is empty: set it to the value that the event must have"},
			{18, rule + "[0].where", whereHint},
			{19, rule + "[0].where", whereHint},
			{20, rule + "[0].where.to", "must be a single value, not a list"},
			{21, rule + "[0].where.to", "is set twice, first on line 20"},
			{22, rule + "[1].where", "must be a map of keys and values, not a single value"},
		}},
		{"rows", `forms:
  a:
` + rightFields + `    route: [ { journey: { event_definition_key: e } } ]
    on_event: [ { type: "*", column: New, value: 1 } ]
  b:
` + rightFields + rightRoute + `    on_existing: skip
    on_event: [ { type: "*", column: New, value: 1 } ]
  c:
` + rightFields + `    route: [ { data_extension: { key: K, on_existing: skip } }, { data_extension: { key: L } } ]
    on_event: [ { type: "*", column: New, value: 1 } ]
  d:
` + rightFields + `    route: [ { data_extention: { key: M } } ]
    on_event: [ { type: "*", column: New, value: 1 } ]
  e:
` + rightFields + `    route: [ { journey: { event_definition_key: e } } ]
    on_event: []
  f:
` + rightFields + `    route: [ { data_extension: { key: O } } ]
    on_event: { type: "*" }
`, nil, []config.Problem{
			{6, "forms.a.on_event", "has no effect without a data_extension step; remove it"},
			{11, "forms.b.on_event", skipHint},
			{15, "forms.c.on_event", skipHint},
			{18, "forms.d.route[0].data_extention", "unknown key; did you mean data_extension?"},
			{27, "forms.f.on_event", "must be a list, not a map"},
		}},
	}
}
