package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/app"
	"onramp/internal/bundle"
	"onramp/internal/config"
	"onramp/internal/sandbox"
)

// TestMain lets more tests run at once than there are CPUs, unless -parallel says how
// many: most of them wait for gateways to start, to notice and to stop.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	os.Exit(m.Run())
}

// world is a gateway and a sandbox that it talks to.
type world struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	cloud   string // URL of the sandbox
	gateway *app.App
	stop    context.CancelFunc
	ended   chan error
	hangups chan os.Signal                 // for one that reloads its configuration
	load    func() (*config.Config, error) // the same

	elsewhere string // the public URL; "": that of the listener
	listen    string // the public listener's address; "": any
}

func newWorld(t *testing.T, edit func(cfg string) string) *world {
	t.Helper()
	w := newSandboxed(t)
	w.start(edit, filepath.Join(t.TempDir(), "onramp.db"))
	return w
}

// newSandboxed is a sandbox whose gateway is yet to be started.
func newSandboxed(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Activation: -1})}
	cloud := httptest.NewServer(w.sandbox)
	t.Cleanup(cloud.Close)
	w.cloud = cloud.URL
	return w
}

func (w *world) start(edit func(string) string, database string) {
	w.t.Helper()
	cfg, err := w.config(edit, database)
	if err != nil {
		w.t.Fatal(err)
	}
	recent := bundle.NewLog()
	w.gateway, err = app.Start(w.t.Context(), cfg, app.Options{
		Log: slog.New(recent), Recent: recent, Version: "test", OpenAdmin: true, OwnURL: w.elsewhere == "", Hangups: w.hangups, Load: w.load,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan error, 1)
	go func() { w.ended <- w.gateway.Run(ctx) }()
	w.t.Cleanup(w.end)
}

// config is the demo's configuration, edited.
func (w *world) config(edit func(string) string, database string) (*config.Config, error) {
	text := app.DemoConfig()
	if edit != nil {
		text = edit(text)
	}
	cfg, err := config.Parse("test", []byte(text), nil)
	if err != nil {
		return nil, err
	}
	cfg.Database, cfg.MarketingCloud.AuthURL = database, w.cloud
	cfg.Public.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if w.listen != "" {
		cfg.Public.Listen = w.listen
	}
	if w.elsewhere != "" {
		cfg.Public.URL = w.elsewhere
	}
	return cfg, nil
}

// end stops the gateway as SIGTERM does, once.
func (w *world) end() {
	w.stop()
	if w.ended == nil {
		return
	}
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
	w.ended = nil
}

// answer is what the gateway says to a registration.
type answer struct {
	Code       int
	ID, Status string
}

func (w *world) post(body string, header map[string]string) answer {
	w.t.Helper()
	a, err := w.tryPost(body, header)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) tryPost(body string, header map[string]string) (a answer, err error) {
	r, err := http.NewRequest(http.MethodPost, w.gateway.PublicURL()+"/v1/forms/registration/registrations", strings.NewReader(body))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	err = json.NewDecoder(response.Body).Decode(&a)
	a.Code = response.StatusCode
	return a, err
}

func (w *world) getJSON(url string, into any) {
	w.t.Helper()
	response, err := http.Get(url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %s %v", url, response.Status, err)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		w.t.Fatalf("GET %s: %v", url, err)
	}
}

// whats lists the words of a registration's timeline.
func (w *world) whats(id string) []string {
	w.t.Helper()
	var timeline struct {
		Items []struct{ What, Destination string }
	}
	w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+id+"/timeline", &timeline)
	var whats []string
	for _, i := range timeline.Items {
		whats = append(whats, strings.TrimSpace(i.What+" "+i.Destination))
	}
	return whats
}

const wait = "wait=30"

// TestPaths shows the three routes of the specification, section 5.4.
func TestPaths(t *testing.T) {
	t.Parallel()
	const (
		dataExtension = "      - data_extension: { key: Web_Registrations, key_column: SubscriberKey, mode: auto }\n"
		journey       = "      - journey: { event_definition_key: APIEvent-sandbox-welcome, establish_contact_key: true }\n"
	)
	for _, row := range []struct {
		name   string
		remove string
		calls  map[string]int
		whats  []string
	}{
		{
			"path A", journey,
			map[string]int{"POST /v2/token": 1, "POST /hub/v1/dataevents/{id}/rowset": 1},
			[]string{"accepted", "attempt data_extension:Web_Registrations", "delivered data_extension:Web_Registrations"},
		},
		{
			"path B", dataExtension,
			map[string]int{"POST /v2/token": 1, "POST /interaction/v1/events": 1},
			[]string{"accepted", "attempt journey:APIEvent-sandbox-welcome", "delivered journey:APIEvent-sandbox-welcome"},
		},
		{
			"both", "",
			map[string]int{"POST /v2/token": 1, "POST /hub/v1/dataevents/{id}/rowset": 1, "POST /interaction/v1/events": 1},
			[]string{
				"accepted", "attempt data_extension:Web_Registrations", "delivered data_extension:Web_Registrations",
				"attempt journey:APIEvent-sandbox-welcome", "delivered journey:APIEvent-sandbox-welcome",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg string) string {
				cfg, _, _ = strings.Cut(cfg, "    on_event:") // which needs the data extension
				return strings.Replace(cfg, row.remove, "", 1)
			})
			a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait})
			if diff := cmp.Diff(answer{http.StatusCreated, a.ID, "delivered"}, a); diff != "" {
				t.Error(diff)
			}
			state := w.sandbox.State()
			if diff := cmp.Diff(row.calls, changing(state.Calls)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(row.whats, w.whats(a.ID)); diff != "" {
				t.Error(diff)
			}
			if n := len(state.DataExtensions[sandbox.RegistrationsKey].Rows); n != 1 {
				t.Errorf("%d rows in the data extension, want 1: both paths write it", n)
			}
			if n := len(state.Journeys[sandbox.WelcomeEventKey].Contacts); n != row.calls["POST /interaction/v1/events"] {
				t.Errorf("%d contacts in the journey", n)
			}
		})
	}
}

// TestStoredRow compares what stands in the data extension with section 4.2 of
// the specification, column by column.
func TestStoredRow(t *testing.T) {
	t.Parallel()
	const userAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
	for _, row := range []struct{ name, contentType, body string }{
		{"JSON", "application/json", `{"email":"user@example.com","first_name":"Jane","last_name":"Doe","opt_in":true}`},
		{"form post of a browser", "application/x-www-form-urlencoded", "email=user%40example.com&first_name=Jane&last_name=Doe&opt_in=true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg string) string {
				return strings.Replace(cfg, `public: { listen: "127.0.0.1:8080", `, `public: { listen: "127.0.0.1:8080", trusted_proxies: [127.0.0.1], `, 1)
			})
			before := time.Now().UTC().Truncate(time.Second)
			a := w.post(row.body, map[string]string{
				"Content-Type": row.contentType, "Prefer": wait, "User-Agent": userAgent,
				"Referer": "https://example.com/register", "X-Forwarded-For": "192.168.1.1",
			})
			if a.Code != http.StatusCreated {
				t.Fatalf("answered %+v", a)
			}
			rows := w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows
			if len(rows) != 1 {
				t.Fatalf("%d rows, want 1", len(rows))
			}
			text, _ := rows[0]["RegistrationTimestamp"].(string)
			at, err := time.Parse("2006-01-02T15:04:05Z", text)
			if err != nil || at.Before(before) || at.After(time.Now()) {
				t.Errorf("RegistrationTimestamp is %q (%v), want now in ISO 8601 UTC", text, err)
			}
			delete(rows[0], "RegistrationTimestamp")
			want := map[string]any{
				"SubscriberKey": "user@example.com", "EmailAddress": "user@example.com", "FirstName": "Jane", "LastName": "Doe",
				"OptInStatus": true, "Source": "Website Registration", "IPAddress": "192.168.1.1", "UserAgent": userAgent,
				"PageURL": "https://example.com/register",
			}
			if diff := cmp.Diff(want, rows[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTokenCost shows that a token that is of no use any more costs one request,
// not one for each registration.
func TestTokenCost(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		prepare func(s *sandbox.Sandbox) error
		fresh   bool // no token was fetched before
	}{
		{"expired", func(s *sandbox.Sandbox) error { return s.Advance(21 * time.Minute) }, false},
		{"revoked", func(s *sandbox.Sandbox) error { return s.Fault(sandbox.Fault{Name: sandbox.FaultRevokeTokens}) }, false},
		{"slow token endpoint", func(s *sandbox.Sandbox) error { return s.Fault(sandbox.Fault{Match: "/v2/token", DelayMS: 300}) }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			want := 1
			if !row.fresh {
				w.post(`{"email":"first@example.org"}`, map[string]string{"Prefer": wait})
				want = 2
			}
			if err := row.prepare(w.sandbox); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for i := range 200 {
				all.Go(func() {
					a, err := w.tryPost(fmt.Sprintf(`{"email":"user%d@example.org"}`, i), map[string]string{"Prefer": wait})
					if err != nil || a.Code != http.StatusCreated {
						t.Errorf("answered %+v, %v", a, err)
					}
				})
			}
			all.Wait()
			if got := w.sandbox.State().Calls["POST /v2/token"]; got != want {
				t.Errorf("%d token requests, want %d", got, want)
			}
		})
	}
}

// TestTokenSurvivesRestart shows that a restart asks for no new token.
func TestTokenSurvivesRestart(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "onramp.db")
	w := newSandboxed(t)
	for i := range 3 {
		w.start(nil, database)
		w.post(fmt.Sprintf(`{"email":"user%d@example.org"}`, i), map[string]string{"Prefer": wait})
		w.end()
	}
	if got := w.sandbox.State().Calls["POST /v2/token"]; got != 1 {
		t.Errorf("%d token requests over three starts, want 1", got)
	}
}

// withoutEvents is the demo's configuration without what calls the gateway.
func withoutEvents(cfg string) string {
	before, rest, _ := strings.Cut(cfg, "oauth:")
	_, forms, _ := strings.Cut(rest, "forms:")
	forms, _, _ = strings.Cut(forms, "    on_event:")
	return before + "forms:" + forms
}

// A file database keeps the access token encrypted, with a key file of its own
// beside it. Where nothing else needs the key, a file that is gone or broken costs a token,
// and not the start.
func TestTokenKey(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "onramp.db")
	w := newSandboxed(t)
	for i, step := range []struct {
		name   string
		before func() error
		tokens int64 // requested until then
	}{
		{"first start", func() error { return nil }, 1},
		{"restart", func() error { return nil }, 1},
		{"key file is gone", func() error { return os.Remove(database + ".key") }, 2},
		{"restart without a key", func() error { return nil }, 3}, // a new one would not decrypt what is there
		{"key file is broken", func() error { return os.WriteFile(database+".key", []byte("broken"), 0o600) }, 4},
		{"still broken", func() error { return nil }, 5},
	} {
		if err := step.before(); err != nil {
			t.Fatal(err)
		}
		w.start(func(text string) string { return withoutEvents(text) + "\nprivacy: { encrypt: false }\n" }, database)
		a := w.post(fmt.Sprintf(`{"email":"user%d@example.org"}`, i), map[string]string{"Prefer": wait})
		w.end()
		if got := int64(w.sandbox.State().Calls["POST /v2/token"]); a.Status != "delivered" || got != step.tokens {
			t.Errorf("%s: %+v after %d token requests, want %d", step.name, a, got, step.tokens)
		}
	}
	key, err := os.ReadFile(database + ".key")
	if err != nil || string(key) != "broken" {
		t.Errorf("a file that is no key was replaced by %q, %v", key, err)
	}
}

// TestDrain shows that a stop finishes what is in flight, starts nothing new,
// and loses nothing.
func TestDrain(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "onramp.db")
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Activation: -1})}
	arrived := make(chan struct{}, 100)
	release := make(chan struct{})
	cloud := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hub/") {
			arrived <- struct{}{}
			<-release
		}
		w.sandbox.ServeHTTP(rw, r)
	}))
	defer cloud.Close()
	w.cloud = cloud.URL
	onlyRows := func(cfg string) string {
		return strings.NewReplacer(
			"marketing_cloud:", "delivery: { senders: 4 }\nmarketing_cloud:", "mode: auto", "mode: sync, batch: 1",
			"      - journey: { event_definition_key: APIEvent-sandbox-welcome, establish_contact_key: true }\n", "",
		).Replace(cfg)
	}
	w.start(onlyRows, database)
	for i := range 20 {
		w.post(fmt.Sprintf(`{"email":"user%d@example.org"}`, i), nil)
	}
	for range 4 {
		<-arrived
	}
	w.stop()
	close(release) // the four in flight may finish now
	w.end()
	rows := len(w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows)
	if rows < 4 || rows == 20 {
		t.Errorf("%d rows after the drain, want those in flight and not all", rows)
	}
	w.start(onlyRows, database)
	a := w.post(`{"email":"last@example.org"}`, map[string]string{"Prefer": wait})
	if a.Status != "delivered" {
		t.Errorf("after the restart: %+v", a)
	}
	w.end()
	if rows := len(w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows); rows != 21 {
		t.Errorf("%d rows in the end, want 21", rows)
	}
	if calls := w.sandbox.State().Calls["POST /hub/v1/dataevents/{id}/rowset"]; calls != 21 {
		t.Errorf("%d calls, want 21: nothing was sent twice", calls)
	}
}

// TestDeadLetter shows a registration that Marketing Cloud refuses: kept whole
// with the reason, and delivered after an operator's retry.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	err := w.sandbox.Fault(sandbox.Fault{Match: "/hub/v1/", Status: 400, Errorcode: 10000, Message: "F: The value is bad", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait})
	if diff := cmp.Diff(answer{http.StatusAccepted, a.ID, "failed"}, a); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		"accepted", "attempt data_extension:Web_Registrations", "rejected data_extension:Web_Registrations", "dead data_extension:Web_Registrations",
	}, w.whats(a.ID)); diff != "" {
		t.Error(diff)
	}
	response, err := http.Post(w.gateway.AdminURL()+"/api/deliveries/"+a.ID+".1/retry", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("retry answered %s", response.Status)
	}
	// the next of the same person goes after it, so both are through when this one is
	w.post(`{"email":"ana@example.org","first_name":"Ana"}`, map[string]string{"Prefer": wait})
	if diff := cmp.Diff([]string{
		"accepted", "attempt data_extension:Web_Registrations", "rejected data_extension:Web_Registrations",
		"attempt data_extension:Web_Registrations", "delivered data_extension:Web_Registrations",
		"attempt journey:APIEvent-sandbox-welcome", "delivered journey:APIEvent-sandbox-welcome",
	}, w.whats(a.ID)); diff != "" {
		t.Error(diff)
	}
	var status struct {
		Accepted      int64
		Registrations map[string]int64
	}
	w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
	want := map[string]int64{"held": 0, "queued": 0, "delivering": 0, "delivered": 2, "unknown": 0, "failed": 0, "erased": 0}
	if diff := cmp.Diff(want, status.Registrations); diff != "" || status.Accepted != 2 {
		t.Errorf("accepted %d, %s", status.Accepted, diff)
	}
}
