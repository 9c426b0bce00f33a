package app_test

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/health"
	"onramp/internal/operator"
	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
)

// While somebody else holds the database's lock, or it is away, an idle gateway is
// not ready and says why, and it is ready again by itself. It is alive all the while.
func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		begin  func(t *testing.T) (database string, cut, mend func())
		reason string
	}{
		{"a locked table", lockedTable, "lock"},
		{"PostgreSQL is gone", lostServer, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			database, cut, mend := c.begin(t)
			w.start(withoutEvents, database)
			admin := w.gateway.AdminURL()
			await(t, "it is ready", func() bool { return ready(t, admin) == "" })
			cut()
			await(t, "it is not ready", func() bool { return strings.Contains(ready(t, admin), c.reason) && ready(t, admin) != "" })
			if answer, err := http.Get(admin + "/healthz"); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("/healthz: %v, %v", answer, err)
			}
			mend()
			await(t, "it is ready again", func() bool { return ready(t, admin) == "" })
		})
	}
}

func lockedTable(t *testing.T) (database string, cut, mend func()) {
	t.Helper()
	database = pgtest.URL(t)
	other, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.SetMaxOpenConns(1)
	exec := func(statement string) func() {
		return func() {
			if _, err := other.ExecContext(t.Context(), statement); err != nil {
				t.Error(err)
			}
		}
	}
	return database, exec("BEGIN; LOCK TABLE meta"), exec("ROLLBACK")
}

func lostServer(t *testing.T) (database string, cut, mend func()) {
	t.Helper()
	p := pgtest.NewProxy(t, pgtest.URL(t))
	return p.URL(), p.Hold, p.Release
}

// awaitChecks waits until every check at the start has come out, and gives them
// without their times.
func (w *world) awaitChecks() []health.Check {
	w.t.Helper()
	var s operator.Status
	await(w.t, "the checks", func() bool {
		s = w.status()
		for _, c := range s.Checks {
			if c.State == health.CheckPending {
				return c.Name != health.CheckAccount && s.Checks[0].State == health.CheckFailed
			}
		}
		return true
	})
	for i := range s.Checks {
		s.Checks[i].Since = time.Time{}
	}
	return s.Checks
}

// What the configuration names is looked for at the start, without a registration,
// and what is wrong stands in the status with its mend.
func TestChecks(t *testing.T) {
	t.Parallel()
	const (
		extension = "data_extension:Web_Registrations"
		journey   = "journey:APIEvent-sandbox-welcome"
		belongs   = "the business unit is 510000001"
	)
	as := func(old, wanted string) func(string) string {
		return func(cfg string) string { return strings.Replace(withoutEvents(cfg), old, wanted, 1) }
	}
	fault := func(match string, status int) string {
		return `{"match":"` + match + `","status":` + map[int]string{401: "401", 403: "403", 500: "500"}[status] + `}`
	}
	ok := health.Check{Name: health.CheckAccount, State: health.CheckPassed, Detail: belongs}
	scopes := health.Check{Name: health.CheckScopes, State: health.CheckPassed}
	for _, c := range []struct {
		name   string
		edit   func(string) string
		faults string
		want   []health.Check
	}{
		{"all is well", withoutEvents, "", []health.Check{ok, scopes, {Name: extension, State: health.CheckPassed}, {Name: journey, State: health.CheckPassed}}},
		{"wrong keys", func(cfg string) string {
			cfg = strings.ReplaceAll(withoutEvents(cfg), "Web_Registrations", "Web_Registration")
			return strings.ReplaceAll(cfg, "APIEvent-sandbox-welcome", "APIEvent-welcome")
		}, "", []health.Check{
			ok, scopes,
			{
				Name: "data_extension:Web_Registration", State: health.CheckFailed, Detail: "404 30003: custom object data cannot be retrieved for key: Web_Registration",
				Hint: "operator: set data_extension.key to the external key (not the name) of a data extension in the business unit of marketing_cloud.account_id: it has none with the key Web_Registration; see onramp check --only data-extension",
			},
			{
				Name: "journey:APIEvent-welcome", State: health.CheckFailed, Detail: "404 30003: Event Definition not found: APIEvent-welcome",
				Hint: "operator: set event_definition_key to the key of the API event that the journey starts with (not the journey's id): the business unit has none with the key APIEvent-welcome; see onramp check --only event-definition",
			},
		}},
		{"a wrong secret", as("sandbox-secret", "another-secret"), "", []health.Check{
			{
				Name: health.CheckAccount, State: health.CheckFailed,
				Detail: "no access token: 401 invalid_client: Client authentication failed. Make sure that the client ID and client secret are valid and that the package is installed and enabled.",
				Hint:   "operator: set marketing_cloud.client_secret to the current secret of the installed package, and ask a Marketing Cloud admin whether the package is enabled; see onramp check --only credentials",
			},
			{Name: health.CheckScopes, State: health.CheckPending},
			{Name: extension, State: health.CheckPending},
			{Name: journey, State: health.CheckPending},
		}},
		{"another business unit", as(`"510000001"`, `"510000002"`), "", []health.Check{
			{
				Name: health.CheckAccount, State: health.CheckFailed, Detail: "no access token: 400 unauthorized_client: The client is not accessible for this account.",
				Hint: "Marketing Cloud admin: give the installed package access to the business unit of marketing_cloud.account_id, or have the operator set the MID of one that it has access to; see onramp check --only credentials",
			},
			{Name: health.CheckScopes, State: health.CheckPending},
			{Name: extension, State: health.CheckPending},
			{Name: journey, State: health.CheckPending},
		}},
		{"missing scopes", withoutEvents, fault("/data/v1/customobjectdata", 403) + "," + fault("/interaction/v1/eventDefinitions", 401), []health.Check{
			ok, scopes,
			{Name: extension, State: health.CheckUnchecked, Detail: "could not be checked: the scope data_extensions_read is missing"},
			{Name: journey, State: health.CheckUnchecked, Detail: "could not be checked: the scope journeys_read is missing"},
		}},
		{"a Marketing Cloud that is away", withoutEvents, fault("/data/v1/customobjectdata", 500), []health.Check{
			ok, scopes, {Name: extension, State: health.CheckAway, Detail: "500 500: Internal Server Error"}, {Name: journey, State: health.CheckPassed},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			if c.faults != "" {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.cloud+"/_sandbox/faults", strings.NewReader("["+c.faults+"]"))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Fatal(answer, err)
				}
				answer.Body.Close()
			}
			w.start(c.edit, filepath.Join(t.TempDir(), "onramp.db"))
			if diff := cmp.Diff(c.want, w.awaitChecks()); diff != "" {
				t.Error(diff)
			}
			if reason := ready(t, w.gateway.AdminURL()); reason != "" {
				t.Errorf("it is not ready: %s", reason)
			}
		})
	}
}

// A token for another business unit than the configuration's is told, by what
// Marketing Cloud says of the token.
func TestOtherBusinessUnit(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	w.through(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/platform/v1/tokenContext" {
			return false
		}
		_, _ = io.WriteString(rw, `{"enterprise":{"id":1},"organization":{"id":510000099},"user":{"id":3}}`)
		return true
	})
	w.start(withoutEvents, filepath.Join(t.TempDir(), "onramp.db"))
	want := health.Check{
		Name: health.CheckAccount, State: health.CheckFailed, Detail: "the business unit is 510000099, not 510000001",
		Hint: "operator: set marketing_cloud.account_id to the MID of the business unit with the data extensions, and ask a Marketing Cloud admin whether the installed package has access to it; see onramp check --only account",
	}
	if diff := cmp.Diff(want, w.awaitChecks()[0]); diff != "" {
		t.Error(diff)
	}
}

// through puts a handler before the sandbox that may answer in its place.
func (w *world) through(answers func(http.ResponseWriter, *http.Request) bool) {
	w.t.Helper()
	cloud := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !answers(rw, r) {
			w.sandbox.ServeHTTP(rw, r)
		}
	}))
	w.t.Cleanup(cloud.Close)
	w.cloud = cloud.URL
}

// The status tells of the store, the disk, the token and the clock. A vendor's clock
// that differs by more than 30 s is told, and so is a token that is refused.
func TestHealth(t *testing.T) {
	t.Parallel()
	type parts struct {
		Store health.Store
		Disk  string
		Token health.Token
		Clock health.Clock
	}
	now, renewed := time.Now(), time.Now().Add(1079*time.Second)
	for _, c := range []struct {
		name  string
		edit  func(string) string
		ahead time.Duration
		want  parts
	}{
		{"all is well", withoutEvents, 0, parts{
			health.Store{State: "ok"}, "ok", health.Token{State: "ok", Since: now, ExpiresAt: renewed}, health.Clock{State: "ok", CheckedAt: now},
		}},
		{"clock", withoutEvents, -time.Hour, parts{
			health.Store{State: "ok"}, "ok", health.Token{State: "ok", Since: now, ExpiresAt: renewed}, health.Clock{State: "failed", Ahead: -3600, CheckedAt: now},
		}},
		{"token", func(cfg string) string {
			return strings.Replace(withoutEvents(cfg), "sandbox-client", "another-client", 1)
		}, 0, parts{
			health.Store{State: "ok"}, "ok", health.Token{
				State: "failed", FailedAt: now, Reason: "no access token: 401 invalid_client: Invalid client ID. Use the client ID in Marketing Cloud Installed Packages.",
				Hint: "operator: set marketing_cloud.client_id to the client ID of the installed package (Setup, Apps, Installed Packages) of the account with this subdomain; see onramp check --only credentials",
			}, health.Clock{State: "ok", CheckedAt: now},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.through(func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
				return false
			})
			w.start(c.edit, filepath.Join(t.TempDir(), "onramp.db"))
			w.awaitChecks()
			s := w.status()
			if s.Disk.Free == 0 || s.Disk.Free > s.Disk.Total {
				t.Errorf("disk %+v", s.Disk)
			}
			got := parts{s.Store, s.Disk.State, *s.Token, *s.Clock}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateApproxTime(10*time.Minute), cmpopts.EquateApprox(0, 5)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A wrong key is an alert before the first visitor comes, and a restart doesn't
// repeat it.
func TestCheckAlert(t *testing.T) {
	t.Parallel()
	alerts := make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var sent struct{ Title string }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		alerts <- sent.Title
	}))
	t.Cleanup(chat.Close)
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Activation: -1})}
	cloud := httptest.NewServer(w.sandbox)
	t.Cleanup(cloud.Close)
	w.cloud = cloud.URL
	database := filepath.Join(t.TempDir(), "onramp.db")
	edit := func(cfg string) string {
		return `alerts: ["generic+` + chat.URL + `/"]` + "\n" + strings.ReplaceAll(withoutEvents(cfg), "Web_Registrations", "Nowhere")
	}
	const first = "onramp: not as configured in Marketing Cloud: data_extension:Nowhere"
	w.start(edit, database)
	if got := <-alerts; got != first {
		t.Errorf("the alert is %q", got)
	}
	w.end()
	w.start(func(cfg string) string {
		return strings.ReplaceAll(edit(cfg), "APIEvent-sandbox-welcome", "APIEvent-x")
	}, database)
	if got := <-alerts; got != "onramp: not as configured in Marketing Cloud: journey:APIEvent-x" {
		t.Errorf("after the restart the alert is %q", got)
	}
}

// A scope that the configuration needs and the package lacks is in the status and an
// alert before the first visitor comes.
func TestMissingScope(t *testing.T) {
	t.Parallel()
	alerts := make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var sent struct{ Title string }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		alerts <- sent.Title
	}))
	t.Cleanup(chat.Close)
	scopes := &account.PackageSetting{Scopes: []string{"data_extensions_read", "data_extensions_write", "journeys_read"}}
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Account: &account.Setting{Package: scopes}})}
	cloud := httptest.NewServer(w.sandbox)
	t.Cleanup(cloud.Close)
	w.cloud = cloud.URL
	w.start(func(cfg string) string { return `alerts: ["generic+` + chat.URL + `/"]` + "\n" + withoutEvents(cfg) }, filepath.Join(t.TempDir(), "onramp.db"))
	want := health.Check{
		Name: health.CheckScopes, State: health.CheckFailed, Detail: "the installed package lacks list_and_subscribers_read",
		Hint:     "Marketing Cloud admin: give the package Contacts | List and Subscribers: Read; see onramp check --only scopes",
		Concerns: []string{"journey:APIEvent-sandbox-welcome"},
	}
	if diff := cmp.Diff(want, w.awaitChecks()[1]); diff != "" {
		t.Error(diff)
	}
	if got := <-alerts; got != "onramp: scopes missing" {
		t.Errorf("the alert is %q", got)
	}
}
