package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/check"
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
	"onramp/internal/web/webtest"
	"onramp/sfmc"
)

const checkConfig = `
database: DATABASE
public: { listen: "PUBLIC" }
admin: { listen: "ADMIN", token: operator-of-the-test }
marketing_cloud: { auth_url: "CLOUD", client_id: sandbox-client, client_secret: "${env:SECRET}", account_id: "510000001" }
forms:
  registration:
    fields:
      - { name: email,      column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName,    type: text, max: 100 }
      - { name: last_name,  column: LastName,     type: text, max: 100 }
      - { name: opt_in,     column: OptInStatus,  type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
      - { column: Source,                from: constant, value: Website Registration }
      - { column: IPAddress,             from: ip }
      - { column: UserAgent,             from: user_agent, max: 255 }
      - { column: PageURL,               from: page_url,   max: 500 }
    route:
      - data_extension: { key: Web_Registrations }
      - journey: { event_definition_key: APIEvent-sandbox-welcome }
      - message: { definition_key: welcome }
`

// checked is an account in the sandbox, and a configuration to check against it.
type checked struct {
	t       *testing.T
	dir     string
	admin   string // address of the gateway's admin API
	public  string // and of the other listener
	cloud   *sandbox.Sandbox
	url     string
	config  string
	environ []string
	mode    os.FileMode // of the configuration
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	w := &checked{t: t, dir: t.TempDir(), admin: webtest.FreeAddress(t), public: webtest.FreeAddress(t), cloud: sandbox.New(sandbox.Config{Activation: -1, Hosts: []string{"example.com"}}), environ: []string{"SECRET=sandbox-secret"}, mode: 0o600}
	t.Cleanup(w.cloud.Reset)
	w.serve(w.cloud)
	w.config = checkConfig
	return w
}

// serve has the account answer by a handler, such as one before the sandbox.
func (w *checked) serve(h http.Handler) {
	server := httptest.NewServer(h)
	w.t.Cleanup(server.Close)
	w.url = server.URL
}

// edit changes the configuration.
func (w *checked) edit(old, wanted string) {
	w.t.Helper()
	if !strings.Contains(w.config, old) {
		w.t.Fatalf("the configuration has no %q", old)
	}
	w.config = strings.ReplaceAll(w.config, old, wanted)
}

// control changes the sandbox, such as by "PUT account".
func (w *checked) control(request, body string) {
	w.t.Helper()
	method, what, _ := strings.Cut(request, " ")
	if answer := webtest.Do(w.t.Context(), w.cloud, method+" /_sandbox/"+what, body, "Content-Type: application/json"); answer.Status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", request, body, answer.Status, answer.Body)
	}
}

// write writes the configuration and returns the name of its file.
func (w *checked) write() string {
	w.t.Helper()
	file := filepath.Join(w.dir, "onramp.yaml")
	text := strings.NewReplacer("DATABASE", filepath.Join(w.dir, "onramp.db"), "ADMIN", w.admin, "PUBLIC", w.public, "DIR", w.dir, "CLOUD", w.url).Replace(w.config)
	w.do(os.WriteFile(file, []byte(text), 0o600))
	w.do(os.Chmod(file, w.mode))
	return file
}

// do ends the test with an error.
func (w *checked) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func replace(text, pattern, with string) string {
	return regexp.MustCompile(pattern).ReplaceAllString(text, with)
}

// check runs onramp check and gives its report.
func (w *checked) check(args ...string) check.Report {
	w.t.Helper()
	got := w.says(append([]string{"--output", "json"}, args...)...)
	var report check.Report
	if err := json.Unmarshal([]byte(got.Out), &report); err != nil || got.Errors != "" {
		w.t.Fatalf("%v: %+v", err, got)
	}
	if want := map[check.Level]int{check.OK: 0, check.Warning: 1, check.Failure: 2}[report.Level]; got.Status != want {
		w.t.Errorf("the exit status is %d with the level %s", got.Status, report.Level)
	}
	return report
}

func (w *checked) says(args ...string) said {
	w.t.Helper()
	return onrampSaysIn(w.t.Context(), w.environ, append([]string{"check", "--config", w.write()}, args...)...)
}

// wrong gives the findings that are not well, in lines, and what could not be checked.
func wrong(r check.Report) string {
	var b strings.Builder
	for _, f := range r.Checks {
		if f.Level == check.OK {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s: %s\n\t%s: %s\n", f.Level, f.Name, f.Object, f.Message, f.Who, f.Mend)
		if f.Menu != "" {
			b.WriteString("\t" + f.Menu + "\n")
		}
	}
	if len(r.Skipped) > 0 {
		b.WriteString("not checked: " + strings.Join(r.Skipped, ", ") + "\n")
	}
	return b.String()
}

// tableColumns is a data extension's columns for PUT /_sandbox/account, with some of them changed or
// taken away (""), and others behind them.
func tableColumns(changed map[string]string, more ...string) string {
	all := []string{}
	for _, c := range [][2]string{
		{"SubscriberKey", `"type":"Text","length":254,"primary_key":true`},
		{"EmailAddress", `"type":"EmailAddress","length":254`},
		{"FirstName", `"type":"Text","length":100,"nullable":true`},
		{"LastName", `"type":"Text","length":100,"nullable":true`},
		{"OptInStatus", `"type":"Boolean","default":false`},
		{"RegistrationTimestamp", `"type":"Date"`},
		{"Source", `"type":"Text","length":50,"nullable":true`},
		{"IPAddress", `"type":"Text","length":45,"nullable":true`},
		{"UserAgent", `"type":"Text","length":255,"nullable":true`},
		{"PageURL", `"type":"Text","length":500,"nullable":true`},
	} {
		text := c[1]
		if other, ok := changed[c[0]]; ok {
			text = other
		}
		if text != "" {
			all = append(all, `{"name":"`+c[0]+`",`+text+`}`)
		}
	}
	return `"columns":[` + strings.Join(append(all, more...), ",") + `]`
}

func extension(setting string) string {
	return `{"data_extensions":{"Web_Registrations":{` + setting + `}}}`
}

// Each fault is found, with what to do about it, and nothing else is.
func TestCheck(t *testing.T) {
	t.Parallel()
	account := func(body string) func(w *checked) { return func(w *checked) { w.control("PUT account", body) } }
	config := func(old, wanted string) func(w *checked) { return func(w *checked) { w.edit(old, wanted) } }
	for _, c := range checkCases(account, config) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			c.plant(w)
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), strings.ReplaceAll(wrong(w.check()), w.dir, "DIR")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// clockAhead puts the account's clock ahead.
func clockAhead(by time.Duration) func(w *checked) {
	return func(w *checked) {
		w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			w.cloud.ServeHTTP(rw, r)
		}))
	}
}

// All that can stand together is found in one run, in less than five seconds though each
// call takes 300 ms.
func TestCheckAllAtOnce(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	clockAhead(time.Minute)(w)
	w.config += eventConfig
	w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "http://PUBLIC" }`)
	w.revoke("email_send", "event_notification_callback_create")
	w.control("PUT account", extension(`"sendable":{"column":""},"retention":{"days":30,"rows":false},`+tableColumns(map[string]string{
		"SubscriberKey": `"type":"Text","length":254`, "EmailAddress": `"type":"Text","length":80`, "FirstName": `"type":"Number","nullable":true`, "LastName": "",
		"Source": `"type":"Text","length":10`,
	}, `{"name":"Country","type":"Text","length":2}`)))
	w.control("PUT account", `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}},"message_definitions":{"welcome":{"status":"Inactive"}}}`)
	w.control("PUT faults", `[{"delay_ms":300}]`)
	begun := time.Now()
	r := w.check()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	var got []string
	for _, f := range r.Checks {
		if f.Level != check.OK {
			got = append(got, string(f.Level)+" "+f.Name+" "+f.Object)
		}
	}
	want := []string{
		"warning clock ",
		"failure scopes email_send", "failure scopes event_notification_callback_create",
		"failure data-extension Web_Registrations", // primary key
		"failure data-extension Web_Registrations, column EmailAddress",
		"failure data-extension Web_Registrations, column FirstName",
		"failure data-extension Web_Registrations, column LastName",
		"failure data-extension Web_Registrations, column Source",
		"failure data-extension Web_Registrations, column Country",
		"failure data-extension Web_Registrations",          // not sendable
		"warning data-extension Web_Registrations",          // retention
		"failure event-definition APIEvent-sandbox-welcome", // draft
		"failure message welcome",
		"failure ens callback events",
		"warning public-url http://" + w.public,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const eventConfig = `
oauth:
  clients: [{ id: mc-ens, secret: secret-of-the-test }]
ens:
  callbacks:
    events:
      auth: client_credentials
      subscribe: [TransactionalSendEvents.EmailSent, TransactionalSendEvents.EmailBounced]
`

// The Event Notification Service is checked beside a gateway that runs, and without one.
func TestCheckEvents(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	w.config += eventConfig
	w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "http://PUBLIC" }`)
	w.edit("${env:SECRET}", "sandbox-secret")
	const missing = `failure ens callback events: it is not in Marketing Cloud: no events arrive
	operator: start onramp serve, then run onramp ens setup
`
	expect := func(want string, args ...string) {
		t.Helper()
		if diff := cmp.Diff(want, strings.ReplaceAll(wrong(w.check(args...)), w.public, "PUBLIC")); diff != "" {
			t.Error(diff)
		}
	}
	expect(missing + `warning public-url http://PUBLIC: nothing answers: connect: connection refused, as seen from this machine
	operator: start onramp serve, then check again: none is running here
`)
	account := w.account()
	g := startGateway(t, w.write())
	expect(missing)

	if got := onrampSays(t.Context(), "ens", "setup", "--config", w.write()); got.Status != 0 {
		t.Fatal(got)
	}
	expect("")
	callbacks, err := account.ListCallbacks(t.Context())
	if err != nil || len(callbacks) != 1 {
		t.Fatal(callbacks, err)
	}
	subscriptions, err := account.ListSubscriptions(t.Context(), callbacks[0].CallbackID)
	if err != nil || len(subscriptions) != 1 {
		t.Fatal(subscriptions, err)
	}
	const paused = `failure ens callback events: subscription onramp-events is paused (tested), so its events are dropped
	operator: run onramp ens setup
`
	change := subscriptions[0]
	change.Status, change.StatusReason = "paused", "tested"
	if _, err := account.UpdateSubscription(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	expect(paused, "--only", "ens,quiet")
	w.unverify(account, callbacks[0])
	const unverified = `failure ens callback events: it is not verified: no events arrive
	operator: start onramp serve, then run onramp ens setup
`
	expect(unverified)
	g.kill()
	expect(unverified, "--only", "ens", "--only", "quiet")
	startGateway(t, w.write())
	if got := onrampSays(t.Context(), "ens", "setup", "--config", w.write()); got.Status != 0 {
		t.Fatal(got)
	}
	expect("")
}

// unverify replaces a callback by one that was never verified.
func (w *checked) unverify(account *sfmc.Client, c sfmc.Callback) {
	w.t.Helper()
	subscriptions, err := account.ListSubscriptions(w.t.Context(), c.CallbackID)
	for _, s := range subscriptions {
		err = errors.Join(err, account.DeleteSubscription(w.t.Context(), s.SubscriptionID))
	}
	err = errors.Join(err, account.DeleteCallback(w.t.Context(), c.CallbackID))
	_, createErr := account.CreateCallback(w.t.Context(), sfmc.Callback{CallbackName: c.CallbackName, URL: c.URL, MaxBatchSize: c.MaxBatchSize, AuthID: c.AuthID})
	if err = errors.Join(err, createErr); err != nil {
		w.t.Fatal(err)
	}
}

// account is a client of the account.
func (w *checked) account() *sfmc.Client {
	w.t.Helper()
	tokens, err := sfmc.NewTokenRequester(w.url, sfmc.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, AccountID: sandbox.AccountID})
	if err != nil {
		w.t.Fatal(err)
	}
	return sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(w.url))
}

// revoke takes scopes from the package.
func (w *checked) revoke(scopes ...string) {
	w.t.Helper()
	left := slices.DeleteFunc(account.Scopes(), func(s string) bool { return slices.Contains(scopes, s) })
	text, _ := json.Marshal(left)
	w.control("PUT account", `{"package":{"scopes":`+string(text)+`}}`)
}

// otherUnit has the account give out tokens for another business unit than was asked for.
func otherUnit(w *checked) {
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/platform/v1/tokenContext" {
			_, _ = io.WriteString(rw, `{"enterprise":{"id":1},"organization":{"id":510000099},"user":{"id":3}}`)
			return
		}
		w.cloud.ServeHTTP(rw, r)
	}))
}
