package config_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/retention"
	"onramp/internal/screen"
)

// compared makes cmp look at what a configuration says.
func compared() cmp.Options {
	return cmp.Options{
		cmpopts.IgnoreUnexported(onramp.Form{}),
		cmp.Comparer(func(a, b *time.Location) bool { return (a == nil) == (b == nil) && a.String() == b.String() }),
		cmp.Comparer(func(a, b *onramp.Pattern) bool {
			return a == nil && b == nil || a != nil && b != nil && a.String() == b.String()
		}),
	}
}

// pattern compiles a pattern that is known to be right.
func pattern(source string) *onramp.Pattern {
	p, err := onramp.NewPattern(source)
	if err != nil {
		panic(err)
	}
	return p
}

// problems gives what is wrong with a configuration; nil when nothing is.
func problems(t *testing.T, err error) []config.Problem {
	t.Helper()
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("got the error %T %v, want a *config.Error", err, err)
	}
	return e.Problems
}

const example = `
database: onramp.db                     # or postgres://…
public:  { listen: ":8080", url: https://signup.example.com }
admin:   { listen: "127.0.0.1:8081", token: "${file:TOKEN}" }
marketing_cloud:
  subdomain: mc563885gzs27c5t9-63k636ttgm   # one DNS label; or auth_url for the sandbox
  client_id: "${env:SFMC_CLIENT_ID}"
  client_secret: "${env:SFMC_CLIENT_SECRET}"
  account_id: "510000001"                   # MID
forms:
  registration:
    subscriber_key: email
    fields:
      - { name: email,      column: EmailAddress, type: email,   required: true }
      - { name: first_name, column: FirstName,    type: text, max: 100 }
      - { name: last_name,  column: LastName,     type: text, max: 100 }
      - { name: opt_in,     column: OptInStatus,  type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
      - { column: Source,                from: constant, value: Website Registration }
      - { column: IPAddress,             from: ip }
      - { column: UserAgent,             from: user_agent, max: 255 }
      - { column: PageURL,               from: page_url,   max: 500 }
    route:
      - data_extension: { key: Web_Registrations, key_column: SubscriberKey, mode: auto }   # all columns, keyed by the subscriber key
      - journey: { event_definition_key: APIEvent-…, establish_contact_key: true }   # Path B; leave out for Path A only
ens:
  callbacks:
    events:
      auth: client_credentials            # or password, or none (signature only)
      subscribe: [TransactionalSendEvents.EmailSent, TransactionalSendEvents.EmailBounced]
sinks: []
alerts: []
`

// exampleForm is what example and the template describe.
func exampleForm() onramp.Form {
	return onramp.Form{
		Name:          "registration",
		SubscriberKey: onramp.KeyStrategy{From: onramp.KeyEmail, Field: 0},
		Fields: []onramp.Field{
			{Name: "email", Label: "Email", Column: "EmailAddress", Type: onramp.Email, Required: true, Max: 254},
			{Name: "first_name", Label: "First name", Column: "FirstName", Max: 100},
			{Name: "last_name", Label: "Last name", Column: "LastName", Max: 100},
			{Name: "opt_in", Label: "Opt in", Column: "OptInStatus", Type: onramp.Boolean, Default: &onramp.Scalar{Kind: onramp.False}},
			{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
			{Column: "Source", From: onramp.FromConstant, Constant: &onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}},
			{Column: "IPAddress", From: onramp.FromIP},
			{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
			{Column: "PageURL", From: onramp.FromPageURL, Max: 500},
		},
		Route: []onramp.Destination{
			{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}},
			{Kind: onramp.Journey, Key: "APIEvent-…", KeyColumns: []string{"SubscriberKey"}, EstablishContactKey: true},
		},
	}
}

func exampleEnviron() []string {
	return []string{"SFMC_CLIENT_ID=client", "SFMC_CLIENT_SECRET=s3cret"}
}

// The published example is a whole configuration.
func TestExample(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t0ken-of-the-operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Database: "onramp.db",
		Public:   config.Public{Listen: ":8080", URL: "https://signup.example.com", ClientIPHeader: "X-Forwarded-For"},
		Egress:   config.Egress{Private: true},
		Storage:  config.Storage{PerAddress: 2e6, Total: 256e6, Reserve: config.Space{Percent: 2}},
		Admin:    config.Admin{Listen: "127.0.0.1:8081", Token: "t0ken-of-the-operator"},
		MarketingCloud: config.MarketingCloud{
			Subdomain: "mc563885gzs27c5t9-63k636ttgm", ClientID: "client", ClientSecret: "s3cret", AccountID: "510000001",
		},
		OAuth:    config.OAuth{TokenLifetime: 20 * time.Minute},
		Delivery: config.Delivery{GiveUpAfter: 72 * time.Hour, Senders: 16, Timeout: 30 * time.Second, LongestCall: 2 * time.Minute},
		Drain:    25 * time.Second,
		Log:      config.Log{Level: "info", Format: "json"},
		Privacy:  config.Privacy{Encrypt: true},
		Screen:   screen.Default(), Watch: config.Watch{Oldest: 15 * time.Minute, DiskFree: config.Space{Percent: 5}, Events: time.Hour, Canary: config.Canary{Timeout: 10 * time.Minute}, Sample: 24 * time.Hour, Schema: time.Hour, Usual: true, Confirmations: 10},
		Forms: []onramp.Form{exampleForm()},
		Callbacks: []onramp.Callback{{
			Name: "events", MaxBatch: 1000,
			Subscriptions: []onramp.Subscription{{
				Name: "onramp-events", Types: []string{"TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailBounced"},
			}},
		}},
	}
	got, err := config.Parse("onramp.yaml", []byte(strings.Replace(example, "TOKEN", token, 1)), exampleEnviron())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compared()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

const everyKey = `
database: postgres://onramp@db/onramp
encryption_key: "${env:KEYS}"
public:
  listen: 0.0.0.0:80
  url: https://signup.example.com
  trusted_proxies: [10.0.0.0/8, 192.0.2.1, "2001:db8::/32"]
  max_connections: 16
  client_ip_header: forwarded
admin: { listen: "[::1]:9000" }
marketing_cloud: { auth_url: "http://127.0.0.1:8090", client_id: 0012, client_secret: 1e3 }
delivery: { give_up_after: 90m, senders: 256, timeout: 1m30s, longest_call: 4m }
drain_timeout: 5s
log: { level: debug, format: text }
tracing: { endpoint: "https://otlp.example.com/otlp", sample: 0.25, trust_parent: true, headers: { X-Api-Key: "${env:CLIENT}" } }
egress: { private: false, allow: [169.254.10.20, "fd00::/8"] }
storage: { per_address: 500kB, total: off, exempt: [192.0.2.10], disk_reserve: 2GiB }
privacy: { encrypt: false }
watch: { oldest: 1h, disk_free: 500MB, events: off, canary: 2h, canary_form: first, canary_email: Ops@example.com, canary_timeout: 5m, sample: off, schema: 30m, confirmations: 2.5%, usual: false }
oauth:
  token_lifetime: 1m
  clients:
    - { id: "mc ens/1~", secret: "${env:CLIENT}", previous_secret: "the:one before " }
    - { id: 0012, secret: 12345678 }
  users:
    - { name: "Jürgen: ENS", password: "ünïcödé1", previous_password: "${env:CLIENT}" }
alerts:
  - slack://hook:T00000000-B00000000-123456789012345678901234@webhook
  - "${env:ALERT}"
  - generic+https://alerts.example.com/x?template=json
forms:
  second:
    subscriber_key: uuid
    on_existing: skip
    fields:
      - { name: n, column: N, type: integer, default: -7 }
      - { name: mail, column: Mail, type: email, required: true }
      - { name: other, column: Other, type: email, required: true }
    route:
      - journey: { event_definition_key: e, establish_contact_key: false, key_column: "", on_unknown: retry, batch: 100 }
      - data_extension: { key: skip }
      - data_extension: { key: skip2, mode: async, async_method: post, batch: 30000 }
      - data_extension: { key: own, on_existing: update, mode: async, async_method: put, batch: 0 }
      - data_extension: { key: new, on_existing: new, async_method: post, batch: 500 }
      - message: { definition_key: welcome }
      - message: { definition_key: other, to: OTHER, batch: 500 }
  first:
    title: Join us
    success_url: /f/second?thanks
    idempotency_field: submission_id
    once_per: 24h
    unknown_fields: ignore
    decimal_comma: true
    time_zone: Europe/Berlin
    origins: [https://WWW.example.com, "http://localhost:3000", "http://[::1]:*", "https://BÜCHER.example:*", "*"]
    allowed_headers: [X-Api-Version]
    subscriber_key: field:member_no
    fields:
      - &member { name: member_no, column: Member, required: true, pattern: "[A-Z]{2}|x", max: 4000 }
      - { name: plan, column: Plan, type: choice, choices: [1, yes, true, " big "], default: big, label: Your plan }
      - { name: rate, column: Rate, type: decimal, default: 12.50 }
      - { name: topics, column: Topics, type: choices, choices: [a, b], separator: "|", default: b | a }
      - { name: day, column: Day, type: date, default: 2026-06-23 }
      - { name: news, column: News, type: boolean, default: "${env:NEWS}" }
      - { column: One, from: constant, value: 1 }
      - { column: Two, from: constant, value: true }
      - { column: Three, from: constant, value: "true" }
      - { column: Id, from: uuid, value: ~ }
      - { column: Form, from: form, max: 10 }
    route: [{ data_extension: { key: k, key_column: Key, mode: sync } }]
    on_event:
      - { type: EngagementEvents.EmailUnsubscribe, column: NEWS, value: false }
      - { type: transactionalsendevents.emailbounced, where: { bounceCode: HARD, smtpReason: 5.1, mid: 12 }, column: Plan, value: "yes" }
      - { type: "*", where: {}, column: news, value: "${env:NEWS}" }
      - { type: "*Push*Sent", column: Rate, value: 12.50 }
      - { type: NewEvents.New, column: Day, value: 2026-06-23 }
      - { type: NewEvents.*, column: Unknown, value: 1e3 }
      - { type: EngagementEvents*, column: Unknown, value: "a <b> & \"c\"" }
      - { type: EngagementEvents.EmailO*, column: Unknown, value: "" }
      - { type: EngagementEvents.EmailOpen, column: one, value: true }
  third:
    subscriber_key: field:member_no
    country: NO
    fields:
      - *member
      - { name: mobile, column: Mobile, type: phone, default: "22 12 34 56" }
      - { name: note, column: Note, multiline: true, default: "a\r\nb" }
    route: [{ data_extension: { key: k, key_column: Key, mode: sync } }]
ens:
  callbacks:
    signed:
      auth: none
      subscriptions:
        - { name: a b, types: [TransactionalSendEvents.EmailNotSent, EngagementEvents.EmailOpen], filters: [statusCode=2.*, "definitionKey=a=b"], paused: true }
        - { name: c, types: [EngagementEvents.Brandnew], filters: [anything=goes] }
    0legacy: { auth: password, client: mc ens/1~, max_batch: 100, unsigned: allow, subscribe: [SendEvents.AutomationInstanceErrored], filters: [automationName=x], paused: true }
    kept: { client: only-in-the-database, max_batch: 999, unsigned: refuse, subscribe: [OtherEvents.EmailArrived] }
sinks:
  - { name: log, file: { path: events.jsonl } }
  - name: crm
    types: [TransactionalSendEvents.*, "*", engagementevents.emailunsubscribe, NewEvents.New]
    batch: 10000
    webhook:
      url: http://crm.example.com:8080/events?x=1
      secret: whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX
      previous_secret: "${env:WEBHOOK}"
      headers: { X-Api-Key: "${env:CLIENT}", Authorization: Bearer x }
  - { name: lake, kafka: { brokers: ["k1:9093", "[::1]:9092"], topic: sfmc-events, tls: true, ca_file: /ca.pem, sasl: plain, user: u, password: p } }
  - { name: lake2, kafka: { brokers: ["k1:1"], topic: a, tls: false, ca_file: "", sasl: "", user: "", password: "" } }
  - { name: bus, nats: { url: "nats://n", subject: "sfmc.{type}", credentials_file: "", user: "", password: "", token: "", ca_file: "" } }
  - { name: bus2, nats: { urls: ["tls://n:4222", "nats://m"], subject: "s-{type}.x", user: u, password: p, ca_file: /ca.pem } }
  - { name: bus3, nats: { url: nats://n, subject: s, token: t } }
  - { name: bus4, nats: { url: nats://n, subject: s, credentials_file: /c } }
`

// What isn't in the example, and the order of the forms.
func TestEveryKey(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	text := func(s string) *onramp.Scalar { return &onramp.Scalar{Kind: onramp.String, Text: s} }
	number := func(s string) *onramp.Scalar { return &onramp.Scalar{Kind: onramp.Number, Text: s} }
	isTrue := &onramp.Scalar{Kind: onramp.True}
	member := onramp.Field{
		Name: "member_no", Label: "Member no", Column: "Member", Required: true, Max: 4000,
		Pattern: pattern("[A-Z]{2}|x"),
	}
	byMember := onramp.KeyStrategy{From: onramp.KeyField, Field: 0}
	extension := []onramp.Destination{{Kind: onramp.DataExtension, Key: "k", KeyColumns: []string{"Key"}, Mode: onramp.Sync}}
	want := &config.Config{
		Database:      "postgres://onramp@db/onramp",
		EncryptionKey: "keys",
		Public: config.Public{
			Listen: "0.0.0.0:80", URL: "https://signup.example.com",
			TrustedProxies: []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}, MaxConnections: 16, ClientIPHeader: "Forwarded",
		},
		Egress:         config.Egress{Allow: []string{"169.254.10.20", "fd00::/8"}},
		Storage:        config.Storage{PerAddress: 500e3, Exempt: []string{"192.0.2.10"}, Reserve: config.Space{Bytes: 2 << 30}},
		Admin:          config.Admin{Listen: "[::1]:9000"},
		MarketingCloud: config.MarketingCloud{AuthURL: "http://127.0.0.1:8090", ClientID: "0012", ClientSecret: "1e3"},
		Delivery:       config.Delivery{GiveUpAfter: 90 * time.Minute, Senders: 256, Timeout: 90 * time.Second, LongestCall: 4 * time.Minute},
		Drain:          5 * time.Second,
		Log:            config.Log{Level: "debug", Format: "text"},
		Privacy:        config.Privacy{Encrypt: false},
		Screen:         screen.Default(), Tracing: config.Tracing{
			Endpoint: "https://otlp.example.com/otlp", Sample: 0.25, TrustParent: true, Headers: map[string]onramp.Secret{"X-Api-Key": "c1ient-secret"},
		},
		Watch: config.Watch{
			Oldest: time.Hour, DiskFree: config.Space{Bytes: 500e6}, Schema: 30 * time.Minute, Confirmations: 2.5,
			Canary: config.Canary{Every: 2 * time.Hour, Timeout: 5 * time.Minute, Form: "first", Email: "Ops@example.com"},
		},
		OAuth: config.OAuth{
			TokenLifetime: time.Minute,
			Clients: []onramp.TokenClient{
				{ID: "mc ens/1~", Secrets: []onramp.Secret{"c1ient-secret", "the:one before "}},
				{ID: "0012", Secrets: []onramp.Secret{"12345678"}},
			},
			Users: []onramp.TokenUser{{Name: "Jürgen: ENS", Passwords: []onramp.Secret{"ünïcödé1", "c1ient-secret"}}},
		},
		Callbacks: everyCallback(),
		Sinks:     everySink(),
		Alerts: []onramp.Secret{
			"slack://hook:T00000000-B00000000-123456789012345678901234@webhook", "smtp://u:p@h/?from=a@b&to=c@d", "generic+https://alerts.example.com/x?template=json",
		},
		Forms: []onramp.Form{
			{
				Name: "first", Title: "Join us", SuccessURL: "/f/second?thanks", IdempotencyField: "submission_id", OncePer: 24 * time.Hour,
				Origins:        []string{"https://www.example.com", "http://localhost:3000", "http://[::1]:*", "https://xn--bcher-kva.example:*", "*"},
				AllowedHeaders: []string{"X-Api-Version"},
				SubscriberKey:  byMember, IgnoreUnknown: new(true),
				Fields: []onramp.Field{
					member,
					{Name: "plan", Label: "Your plan", Column: "Plan", Type: onramp.Choice, Choices: []string{"1", "yes", "true", "big"}, Default: text("big")},
					{Name: "rate", Label: "Rate", Column: "Rate", Type: onramp.Decimal, Default: number("12.50"), DecimalComma: true},
					{Name: "topics", Label: "Topics", Column: "Topics", Type: onramp.Choices, Choices: []string{"a", "b"}, Separator: "|", Default: text("b|a")},
					{Name: "day", Label: "Day", Column: "Day", Type: onramp.Date, Default: text("2026-06-23"), TimeZone: berlin},
					{Name: "news", Label: "News", Column: "News", Type: onramp.Boolean, Default: isTrue},
					{Column: "One", From: onramp.FromConstant, Constant: number("1")},
					{Column: "Two", From: onramp.FromConstant, Constant: isTrue},
					{Column: "Three", From: onramp.FromConstant, Constant: text("true")},
					{Column: "Id", From: onramp.FromUUID},
					{Column: "Form", From: onramp.FromForm, Max: 10},
				},
				Route:   extension,
				OnEvent: everyRule(),
			},
			{
				Name: "second", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
				Fields: []onramp.Field{
					{Name: "n", Label: "N", Column: "N", Type: onramp.Integer, Default: number("-7")},
					{Name: "mail", Label: "Mail", Column: "Mail", Type: onramp.Email, Required: true, Max: 254},
					{Name: "other", Label: "Other", Column: "Other", Type: onramp.Email, Required: true, Max: 254},
				},
				Route: []onramp.Destination{
					{Kind: onramp.Journey, Key: "e", OnUnknown: onramp.Again, Batch: 100},
					{Kind: onramp.DataExtension, Key: "skip", KeyColumns: []string{"SubscriberKey"}, OnExisting: onramp.Skip, InsertOnly: true},
					{Kind: onramp.DataExtension, Key: "skip2", KeyColumns: []string{"SubscriberKey"}, Mode: onramp.Async, OnExisting: onramp.Skip, InsertOnly: true, Batch: 30000},
					{Kind: onramp.DataExtension, Key: "own", KeyColumns: []string{"SubscriberKey"}, Mode: onramp.Async},
					{Kind: onramp.DataExtension, Key: "new", KeyColumns: []string{"SubscriberKey"}, OnExisting: onramp.CreateNew, InsertOnly: true, Batch: 500},
					{Kind: onramp.Message, Key: "welcome", ToColumn: "Mail"},
					{Kind: onramp.Message, Key: "other", ToColumn: "Other", Batch: 500},
				},
			},
			{Name: "third", SubscriberKey: byMember, Route: extension, Fields: []onramp.Field{
				member,
				{Name: "mobile", Label: "Mobile", Column: "Mobile", Type: onramp.Phone, Country: "NO", Default: text("+4722123456")},
				{Name: "note", Label: "Note", Column: "Note", Multiline: true, Default: text("a\nb")},
			}},
		},
	}
	got, err := config.Parse("onramp.yaml", []byte(everyKey), []string{
		"NEWS=Yes", "ALERT=smtp://u:p@h/?from=a@b&to=c@d", "KEYS=keys", "CLIENT=c1ient-secret",
		"WEBHOOK=whsec_" + strings.Repeat("A", 84) + "AA==",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compared()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func everyCallback() []onramp.Callback {
	return []onramp.Callback{
		{
			Name: "0legacy", Auth: onramp.PasswordGrant, Client: "mc ens/1~", User: "Jürgen: ENS", MaxBatch: 100, Unsigned: onramp.AllowUnsigned,
			Subscriptions: []onramp.Subscription{{
				Name: "onramp-0legacy", Types: []string{"SendEvents.AutomationInstanceErrored"}, Filters: []string{"automationName=x"}, Paused: true,
			}},
		},
		{
			Name: "kept", Client: "only-in-the-database", MaxBatch: 999, Unsigned: onramp.RefuseUnsigned,
			Subscriptions: []onramp.Subscription{{Name: "onramp-kept", Types: []string{"OtherEvents.EmailArrived"}}},
		},
		{
			Name: "signed", Auth: onramp.SignatureOnly, MaxBatch: 1000,
			Subscriptions: []onramp.Subscription{
				{
					Name: "a b", Types: []string{"TransactionalSendEvents.EmailNotSent", "EngagementEvents.EmailOpen"},
					Filters: []string{"statusCode=2.*", "definitionKey=a=b"}, Paused: true,
				},
				{Name: "c", Types: []string{"EngagementEvents.Brandnew"}, Filters: []string{"anything=goes"}},
			},
		},
	}
}

func everySink() []onramp.Sink {
	return []onramp.Sink{
		{Name: "log", File: &onramp.File{Path: "events.jsonl"}},
		{
			Name: "crm", Types: []string{"TransactionalSendEvents.*", "*", "engagementevents.emailunsubscribe", "NewEvents.New"}, Batch: 10000,
			Webhook: &onramp.Webhook{
				URL: "http://crm.example.com:8080/events?x=1",
				Secrets: []onramp.Secret{
					"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", onramp.Secret("whsec_" + strings.Repeat("A", 84) + "AA=="),
				},
				Headers: map[string]onramp.Secret{"X-Api-Key": "c1ient-secret", "Authorization": "Bearer x"},
			},
		},
		{Name: "lake", Kafka: &onramp.Kafka{
			Brokers: []string{"k1:9093", "[::1]:9092"}, Topic: "sfmc-events", TLS: true, CAFile: "/ca.pem", SASL: "plain", User: "u", Password: "p",
		}},
		{Name: "lake2", Kafka: &onramp.Kafka{Brokers: []string{"k1:1"}, Topic: "a"}},
		{Name: "bus", NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "sfmc.{type}"}},
		{Name: "bus2", NATS: &onramp.NATS{URLs: []string{"tls://n:4222", "nats://m"}, Subject: "s-{type}.x", User: "u", Password: "p", CAFile: "/ca.pem"}},
		{Name: "bus3", NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "s", Token: "t"}},
		{Name: "bus4", NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "s", CredentialsFile: "/c"}},
	}
}

func everyRule() []onramp.EventRule {
	value := func(text string) json.RawMessage { return json.RawMessage(text) }
	return []onramp.EventRule{
		{Type: "EngagementEvents.EmailUnsubscribe", Column: "News", Value: value("false")},
		{
			Type: "transactionalsendevents.emailbounced", Where: map[string]string{"bounceCode": "HARD", "smtpReason": "5.1", "mid": "12"},
			Column: "Plan", Value: value(`"yes"`),
		},
		{Type: "*", Column: "News", Value: value("true")},
		{Type: "*Push*Sent", Column: "Rate", Value: value("12.50")},
		{Type: "NewEvents.New", Column: "Day", Value: value(`"2026-06-23"`)},
		{Type: "NewEvents.*", Column: "Unknown", Value: value("1e3")},
		{Type: "EngagementEvents*", Column: "Unknown", Value: value(`"a <b> & \"c\""`)},
		{Type: "EngagementEvents.EmailO*", Column: "Unknown", Value: value(`""`)},
		{Type: "EngagementEvents.EmailOpen", Column: "One", Value: value("true")},
	}
}

// shortForms is a form in one line, for tests of the rest.
const shortForms = `forms: { f: { fields: [ { name: email, column: Email, type: email, required: true } ], route: [ { data_extension: { key: K } } ] } }` + "\n"

// shortAccount is a Marketing Cloud account in one line.
const shortAccount = `marketing_cloud: { subdomain: mc0, client_id: a, client_secret: b }` + "\n"

// Every single value outside lists and forms has its variable, which wins.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("fr0m file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Database = "/data/o.db"
	want.Public = config.Public{Listen: ":1", URL: "http://p", MaxConnections: 120, ClientIPHeader: "X-Real-IP"}
	want.Admin = config.Admin{Listen: "0.0.0.0:2", Token: "token-of-the-operator"}
	want.MarketingCloud = config.MarketingCloud{
		AuthURL: "http://127.0.0.1:3", ClientID: "c", ClientSecret: "fr0m file", AccountID: "4",
		CallsPerYear: 6_000_000, ContractStart: config.MonthDay{Month: time.April, Day: 1},
	}
	want.Delivery = config.Delivery{GiveUpAfter: 5 * time.Hour, Senders: 6, Timeout: 7 * time.Second, LongestCall: 3 * time.Second}
	want.SMTP = config.SMTP{URL: "smtp://127.0.0.1:2525", From: "a@example.com"}
	want.Drain = 8 * time.Second
	want.Log = config.Log{Level: "warn", Format: "text"}
	want.Tracing = config.Tracing{Endpoint: "http://localhost:4318", Sample: 1, TrustParent: true}
	want.Watch = config.Watch{
		Oldest: 9 * time.Minute, DiskFree: config.Space{Percent: 2.5}, Events: 11 * time.Hour, Sample: 2 * time.Hour,
		Canary: config.Canary{Every: time.Hour, Timeout: time.Minute, Email: "ops@example.com"},
	}
	want.EncryptionKey = "keys"
	want.OAuth.TokenLifetime = 10 * time.Minute
	file := shortForms + `
marketing_cloud: { subdomain: mc0, client_id: "${env:NOT_SET}", client_secret: b, account_id: 9 }
database: other.db
log: { level: error }
`
	got, err := config.Parse("onramp.yaml", []byte(file), []string{
		"ONRAMP_DATABASE=/data/o.db", "ONRAMP_PUBLIC_LISTEN=:1", "ONRAMP_PUBLIC_URL=http://p", "ONRAMP_PUBLIC_MAX_CONNECTIONS=120", "ONRAMP_PUBLIC_CLIENT_IP_HEADER=x-real-ip",
		"ONRAMP_ADMIN_LISTEN=0.0.0.0:2", "ONRAMP_ADMIN_TOKEN=token-of-the-operator",
		"ONRAMP_TRACING_ENDPOINT=http://localhost:4318", "ONRAMP_TRACING_SAMPLE=1", "ONRAMP_TRACING_TRUST_PARENT=true",
		"ONRAMP_MARKETING_CLOUD_SUBDOMAIN=", "ONRAMP_MARKETING_CLOUD_AUTH_URL=http://127.0.0.1:3",
		"ONRAMP_MARKETING_CLOUD_CLIENT_ID=c", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET=${file:" + secret + "}",
		"ONRAMP_MARKETING_CLOUD_ACCOUNT_ID=4", "ONRAMP_MARKETING_CLOUD_CALLS_PER_YEAR=6000000", "ONRAMP_MARKETING_CLOUD_CONTRACT_START=04-01",
		"ONRAMP_DELIVERY_GIVE_UP_AFTER=5h", "ONRAMP_DELIVERY_SENDERS=6", "ONRAMP_DELIVERY_TIMEOUT=7s", "ONRAMP_DELIVERY_LONGEST_CALL=3s",
		"ONRAMP_DRAIN_TIMEOUT=8s", "ONRAMP_LOG_LEVEL=warn", "ONRAMP_LOG_FORMAT=text",
		"ONRAMP_WATCH_OLDEST=9m", "ONRAMP_WATCH_DISK_FREE=2.5 %", "ONRAMP_WATCH_EVENTS=11h",
		"ONRAMP_WATCH_CANARY=1h", "ONRAMP_WATCH_CANARY_EMAIL=ops@example.com", "ONRAMP_WATCH_CANARY_TIMEOUT=1m", "ONRAMP_WATCH_SAMPLE=2h",
		"ONRAMP_WATCH_SCHEMA=off", "ONRAMP_WATCH_CONFIRMATIONS=off", "ONRAMP_SMTP_URL=smtp://127.0.0.1:2525", "ONRAMP_SMTP_FROM=a@example.com", "ONRAMP_WATCH_USUAL=false",
		"ONRAMP_ENCRYPTION_KEY=keys", "ONRAMP_OAUTH_TOKEN_LIFETIME=10m",
		"ONRAMP_CONFIG=elsewhere.yaml", "=C:=odd", "odd",
		// those of services called onramp and onramp-admin, of a link of Docker's, of tests, and one without a value
		"ONRAMP_PORT=tcp://10.0.0.7:8080", "ONRAMP_SERVICE_HOST=10.0.0.7", "ONRAMP_SERVICE_PORT=8080", "ONRAMP_SERVICE_PORT_PUBLIC=8080",
		"ONRAMP_PORT_8080_TCP=tcp://10.0.0.7:8080", "ONRAMP_PORT_8080_TCP_ADDR=10.0.0.7", "ONRAMP_PORT_8080_TCP_PROTO=tcp", "ONRAMP_PORT_8080_TCP_PORT=8080",
		"ONRAMP_ADMIN_SERVICE_HOST=10.0.0.8", "ONRAMP_ADMIN_PORT=tcp://10.0.0.8:8081", "ONRAMP_ADMIN_PORT_8081_TCP_ADDR=10.0.0.8",
		"ONRAMP_NAME=/web/onramp", "ONRAMP_ENV_PATH=/bin", "ONRAMP_TEST_REQUIRE=postgres", "ONRAMP_PUBLIC_LISTNE=",
	})
	if err != nil {
		t.Fatal(err)
	}
	got.Forms = nil
	if diff := cmp.Diff(want, got, compared()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// The account alone can come from the environment.
func TestEnvironmentOnly(t *testing.T) {
	t.Parallel()
	want := config.MarketingCloud{Subdomain: "mc1", ClientID: "a", ClientSecret: "b"}
	for _, file := range []string{shortForms, shortForms + "marketing_cloud: { auth_url: http://127.0.0.1:8090 }"} {
		got, err := config.Parse("onramp.yaml", []byte(file), []string{
			"ONRAMP_MARKETING_CLOUD_SUBDOMAIN=mc1", "ONRAMP_MARKETING_CLOUD_CLIENT_ID=a", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET=b",
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.MarketingCloud); diff != "" {
			t.Errorf("marketing cloud (-want +got):\n%s", diff)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "o.yaml")
	_, err := config.Load(path, nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: got %v, want its path and fs.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte(shortAccount+shortForms), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, []string{"ONRAMP_LOG_LEVEL=warn"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Level != "warn" || c.MarketingCloud.Subdomain != "mc0" || len(c.Forms) != 1 {
		t.Errorf("got %+v, want the file's account and form, and the variable's level", c)
	}
	if _, err := config.Load(filepath.Dir(path), nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: got %v, want an error about reading it", err)
	}
}

// The template is a valid configuration, and explains every key.
func TestTemplate(t *testing.T) {
	t.Parallel()
	got, err := config.Parse("onramp.yaml", config.Template(""), append(exampleEnviron(), "ONRAMP_MARKETING_CLOUD_SUBDOMAIN=mc0"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.MarketingCloud = config.MarketingCloud{Subdomain: "mc0", ClientID: "client", ClientSecret: "s3cret"}
	form := exampleForm()
	form.Fields[0].Label, form.Fields[3].Label = "Email address", "Yes, send me news"
	form.Route = form.Route[:1]
	form.Origins = []string{"https://www.example.com"}
	want.Forms = []onramp.Form{form}
	want.Retention = retention.Policies{
		Policy: retention.Policy{Delivered: 30 * day, Dead: 90 * day, Unknown: 90 * day, Discarded: 30 * day, Held: 7 * day}, Events: 180 * day, Attempts: 14 * day,
	}
	if diff := cmp.Diff(want, got, compared()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	for _, key := range strings.Fields(`database public listen url trusted_proxies client_ip_header max_connections storage per_address total exempt disk_reserve egress private allow admin token marketing_cloud
		subdomain auth_url client_id client_secret account_id calls_per_year contract_start delivery give_up_after senders timeout longest_call drain_timeout
		log level format tracing endpoint sample trust_parent headers forms title success_url origins allowed_headers subscriber_key fields name label column type required max
		pattern choices separator unknown_fields decimal_comma time_zone default query from value route data_extension key key_column mode journey event_definition_key
		establish_contact_key alerts watch oldest disk_free canary canary_form canary_email canary_timeout sample schema usual on_existing async_method batch on_unknown message
		definition_key to encryption_key oauth token_lifetime clients id secret previous_secret users password
		previous_password ens callbacks auth client user max_batch subscribe filters paused subscriptions types sinks
		webhook headers kafka brokers topic tls ca_file sasl nats urls subject credentials_file file path events on_event
		retention delivered dead unknown discarded held attempts where when once_per idempotency_field country multiline
		page lang texts logo logo_text colors accent background dark stylesheet frame_ancestors input prefill choice_labels`) {
		if !regexp.MustCompile(`\b` + key + `\b`).Match(config.Template("")) {
			t.Errorf("the template doesn't explain %s", key)
		}
	}
}

// With what the template has commented out, it is valid too: the examples hold.
func TestTemplateUncommented(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t0ken-of-the-operator"), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook := "whsec_" + strings.Repeat("A", 42)
	environ := append(exampleEnviron(), "ONRAMP_MARKETING_CLOUD_SUBDOMAIN=mc0", "ALERT_URL=slack://hook:T00000000-B00000000-123456789012345678901234@webhook",
		"ENS_CLIENT_SECRET=now-and-then", "ENS_CLIENT_SECRET_BEFORE=long-ago", "ENS_PASSWORD=now-and-then", "ENS_PASSWORD_BEFORE=long-ago",
		"CRM_SECRET="+webhook+"AA", "CRM_SECRET_BEFORE="+webhook+"BA", "CRM_KEY=k", "KAFKA_PASSWORD=k", "NATS_TOKEN=t", "OTLP_KEY=k",
	)
	text := regexp.MustCompile(`(?m)^( *)# ((- |  )*([a-z_]+:( .*)?|- [{"A-Z].*))$`).ReplaceAllString(string(config.Template("")), "$1$2")
	text = regexp.MustCompile(`(?m)^ *auth_url:.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`/run/secrets/onramp-[a-z]+`).ReplaceAllLiteralString(text, token)
	got, err := config.Parse("onramp.yaml", []byte(text), environ)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(got.Callbacks) != 2 || len(got.Callbacks[1].Subscriptions[0].Types) != 6 || len(got.Sinks) != 4 || len(got.Forms[0].OnEvent) != 2 {
		t.Errorf("got %+v, %+v and %+v, want every example of the template", got.Callbacks, got.Sinks, got.Forms[0].OnEvent)
	}
	if len(got.Alerts) != 1 || len(got.Forms[0].Route) != 3 || len(got.Forms[0].Fields) != 13 || got.Forms[0].SuccessURL == "" || got.Admin.Token == "" {
		t.Errorf("got %+v, want every example of the template", got)
	}
}

// The template refers to the token that was made for it, whatever the path is.
func TestTemplateWithToken(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), `a "token": ${x} # \\`)
	if err := os.WriteFile(token, []byte("t0ken-of-the-operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse("onramp.yaml", config.Template(token), append(exampleEnviron(), "ONRAMP_MARKETING_CLOUD_SUBDOMAIN=mc0"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Admin.Token != "t0ken-of-the-operator" {
		t.Errorf("the admin token is %q", got.Admin.Token.Reveal())
	}
}

// What changes the template changes it for nobody else.
func TestTemplateIsACopy(t *testing.T) {
	t.Parallel()
	clear(config.Template(""))
	if config.Template("")[0] != '#' {
		t.Error("a caller's change is in the template")
	}
}
