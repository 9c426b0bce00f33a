package app_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/operator"
	"onramp/internal/sandbox"
)

// reloading is a world whose configuration changes while it runs.
type reloading struct {
	*world
	edit     atomic.Pointer[func(string) string]
	loaded   atomic.Int64
	database string
}

func newReloading(t *testing.T, edit func(string) string) *reloading {
	t.Helper()
	r := &reloading{world: newSandboxed(t), database: filepath.Join(t.TempDir(), "onramp.db")}
	r.hangups = make(chan os.Signal, 1)
	r.load = func() (*config.Config, error) {
		r.loaded.Add(1)
		return r.config(*r.edit.Load(), r.database)
	}
	r.start(edit, r.database)
	return r
}

// hangUp has the gateway load another configuration.
func (r *reloading) hangUp(edit func(string) string) {
	r.edit.Store(&edit)
	select {
	case r.hangups <- syscall.SIGHUP:
	default: // as the operating system does with a signal that is pending
	}
}

// reload does so, waits for the end, and returns what the status says of it.
func (r *reloading) reload(edit func(string) string) (c operator.Configuration) {
	r.t.Helper()
	before := *r.status().Configuration
	r.hangUp(edit)
	r.until("a reload", func() bool {
		c = *r.status().Configuration
		return c.LoadedAt != before.LoadedAt || c.Refused != nil && (before.Refused == nil || *c.Refused != *before.Refused)
	})
	return c
}

const (
	extensionStep = "      - data_extension: { key: Web_Registrations, key_column: SubscriberKey, mode: auto }\n"
	journeyStep   = "      - journey: { event_definition_key: APIEvent-sandbox-welcome, establish_contact_key: true }\n"
)

func without(step string) func(string) string {
	return func(cfg string) string {
		cfg, _, _ = strings.Cut(cfg, "    on_event:") // which needs the data extension
		return strings.Replace(cfg, step, "", 1)
	}
}

// A sink that is added gets the events from then on, by the tokens and the callback that
// Marketing Cloud has already; one that is removed keeps nothing from the others.
func TestReloadSinks(t *testing.T) {
	t.Parallel()
	r := newReloading(t, nil)
	if err := r.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens := r.sandbox.State().Totals.Tokens
	dir := t.TempDir()
	sinks := func(names ...string) func(string) string {
		return func(cfg string) string {
			cfg += "sinks:\n"
			for _, name := range names {
				cfg += fmt.Sprintf("  - { name: %s, types: [\"*.EmailSent\"], file: { path: %q } }\n", name, filepath.Join(dir, name))
			}
			return cfg
		}
	}
	r.reload(sinks("first"))
	r.post(`{"email":"ana@example.org"}`, nil)
	r.until("a line in the first file", func() bool { return len(lines(t, filepath.Join(dir, "first"))) == 1 })
	r.reload(sinks("second"))
	r.post(`{"email":"bob@example.org"}`, nil)
	r.until("a line in the second file", func() bool { return len(lines(t, filepath.Join(dir, "second"))) == 1 })
	if n := len(lines(t, filepath.Join(dir, "first"))); n != 1 {
		t.Errorf("the first file has %d lines", n)
	}
	if n := r.sandbox.State().Totals.Tokens; n != tokens {
		t.Errorf("%d tokens were requested for it", n-tokens)
	}
}

// A reload has what is in flight finish, and sends nothing twice: not a call whose
// answer takes its time, and not an asynchronous request, whose outcome nobody waits
// for meanwhile.
func TestReloadInFlight(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, mode string
		fault      sandbox.Fault
		calls      map[string]int
	}{
		{
			"a slow call", "sync",
			sandbox.Fault{Match: "/hub/", DelayMS: 1500, Count: 1},
			map[string]int{"POST /v2/token": 1, "POST /hub/v1/dataevents/{id}/rowset": 1},
		},
		{
			"an asynchronous request", "async",
			sandbox.Fault{Name: sandbox.FaultJobTime, DelayMS: 3000, Count: 1},
			map[string]int{"POST /v2/token": 1, "PUT /data/v1/async/dataextensions/{id}/rows": 1},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			edit := func(cfg string) string {
				return strings.Replace(without(journeyStep)(cfg), "mode: auto", "mode: "+row.mode, 1)
			}
			r := newReloading(t, edit)
			if err := r.sandbox.Fault(row.fault); err != nil {
				t.Fatal(err)
			}
			a := r.post(`{"email":"ana@example.org"}`, nil)
			r.until("a call", func() bool { return len(changing(r.sandbox.State().Calls)) == 2 })
			begun := time.Now()
			r.reload(edit)
			if took := time.Since(begun); row.mode == "async" && took > 2*time.Second {
				t.Errorf("the reload took %v", took)
			}
			r.until("a delivery", func() bool { return r.status().Registrations["delivered"] == 1 })
			if diff := cmp.Diff(row.calls, changing(r.sandbox.State().Calls)); diff != "" {
				t.Error(diff)
			}
			if rows := r.sandbox.State().Totals.Rows[sandbox.RegistrationsKey]; rows != 1 || a.ID == "" {
				t.Errorf("%d rows", rows)
			}
		})
	}
}

// A registration that began before a reload and ends after it takes the route of now:
// nobody delivers to the one before.
func TestReloadDuringRequest(t *testing.T) {
	t.Parallel()
	r := newReloading(t, without(journeyStep))
	body, write := io.Pipe()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Post(r.gateway.PublicURL()+"/v1/forms/registration/registrations", "application/json", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		response.Body.Close()
		answered <- response.Status
	}()
	if _, err := io.WriteString(write, `{"email":`); err != nil {
		t.Fatal(err)
	}
	r.reload(without(extensionStep))
	if _, err := io.WriteString(write, `"ana@example.org"}`); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if got := <-answered; got != "202 Accepted" {
		t.Fatal(got)
	}
	r.until("an entry of the journey", func() bool { return r.sandbox.State().Totals.Contacts[sandbox.WelcomeEventKey] == 1 })
}

// What a destination has stopped for, and since when, stays; so do the counts.
func TestReloadStillBlocked(t *testing.T) {
	t.Parallel()
	wrong := func(secret string) func(string) string {
		return func(cfg string) string {
			return strings.Replace(without(journeyStep)(cfg), sandbox.ClientSecret, secret, 1)
		}
	}
	r := newReloading(t, wrong("wrong"))
	r.post(`{"email":"ana@example.org"}`, nil)
	var before operator.DestinationStatus
	blocked := func() bool {
		before = r.status().Destinations[0]
		return before.State == "blocked"
	}
	r.until("blocked", blocked)
	since := *before.Since
	r.reload(wrong("wrong, too"))
	r.until("blocked again", blocked)
	if !before.Since.Equal(since) {
		t.Errorf("blocked since %v, before the reload since %v", before.Since, since)
	}
	r.reload(wrong(sandbox.ClientSecret))
	r.until("a delivery", func() bool { return r.status().Registrations["delivered"] == 1 })
}

// While the store can't be written a reload is refused, and why stands in the status.
func TestReloadInTrouble(t *testing.T) {
	t.Parallel()
	r := newReloading(t, nil)
	if err := os.Remove(r.database); err != nil {
		t.Fatal(err)
	}
	r.awaitNotice()
	c := r.reload(without(journeyStep))
	if c.Refused == nil || !strings.Contains(c.Refused.Reason, "the database can't be written: ") {
		t.Errorf("refused: %+v", c.Refused)
	}
	var forms struct {
		Properties map[string]any
	}
	r.getJSON(r.gateway.PublicURL()+"/v1/forms/registration", &forms)
	if len(forms.Properties) == 0 {
		t.Error("the form is gone")
	}
}

// Of many signals in a row only the last configuration counts.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	r := newReloading(t, nil)
	for n := range 500 {
		r.hangUp(func(cfg string) string { return fmt.Sprintf("%s\ndelivery: { senders: %d }\n", cfg, 1+n%200) })
	}
	r.hangUp(func(cfg string) string {
		return strings.Replace(cfg, "  registration:\n", "  last:\n", 1)
	})
	r.until("the last configuration", func() bool {
		response, err := http.Get(r.gateway.PublicURL() + "/v1/forms/last")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	if n := r.loaded.Load(); n > 100 {
		t.Errorf("loaded %d times", n)
	}
}

// changing are the calls without those that only read: checks, rows that are read back, and
// columns, by SOAP.
func changing(calls map[string]int) map[string]int {
	maps.DeleteFunc(calls, func(route string, _ int) bool {
		return strings.HasPrefix(route, "GET ") || strings.HasSuffix(route, "/Service.asmx") || route == "(unknown route)"
	})
	return calls
}

// SIGTERM during a reload ends the process as at any other time.
func TestStopDuringReload(t *testing.T) {
	t.Parallel()
	edit := func(cfg string) string {
		return strings.Replace(without(journeyStep)(cfg), "mode: auto", "mode: sync", 1)
	}
	r := newReloading(t, edit)
	if err := r.sandbox.Fault(sandbox.Fault{Match: "/hub/", DelayMS: 1500, Count: 1}); err != nil {
		t.Fatal(err)
	}
	r.post(`{"email":"ana@example.org"}`, nil)
	r.until("a call", func() bool { return len(changing(r.sandbox.State().Calls)) == 2 })
	r.hangUp(func(cfg string) string { return strings.Replace(edit(cfg), "  registration:\n", "  last:\n", 1) })
	r.until("the reload", func() bool {
		response, err := http.Get(r.gateway.PublicURL() + "/v1/forms/last")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	r.end()
	r.start(edit, r.database)
	if n := r.status().Registrations["delivered"]; n != 1 {
		t.Errorf("%d delivered when it ended", n)
	}
	if n := r.sandbox.State().Calls["POST /hub/v1/dataevents/{id}/rowset"]; n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// Reloads leave nothing behind.
func TestReloadsLeak(t *testing.T) {
	t.Parallel()
	pprof.Do(t.Context(), pprof.Labels("test", t.Name()), func(context.Context) {
		dir := t.TempDir()
		edit := func(n int) func(string) string {
			return func(cfg string) string {
				cfg = strings.Replace(cfg, "demo-password", fmt.Sprintf("demo-password-%d", n), 1)
				cfg = strings.Replace(cfg, "client_id: ", fmt.Sprintf("account_id: \"51000%d\"\n  client_id: ", n), 1)
				cfg = strings.Replace(cfg, fmt.Sprintf("  account_id: %q\n", sandbox.AccountID), "", 1)
				return cfg + fmt.Sprintf("alerts: [ \"generic://127.0.0.1:1/%d\" ]\nsinks: [ { name: s%d, file: { path: %q } } ]\n", n, n%3, filepath.Join(dir, "events"))
			}
		}
		r := newReloading(t, edit(0))
		r.reload(edit(1))
		before := goroutines(t)
		for n := range 100 {
			r.reload(edit(n + 2))
		}
		r.until("as many goroutines as before", func() bool {
			http.DefaultClient.CloseIdleConnections()
			return goroutines(t) <= before+5 // connections that are just made or closed
		})
	})
}

// goroutines counts those that a test has begun.
func goroutines(t *testing.T) (n int) {
	t.Helper()
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, `"test":"`+t.Name()+`"`) {
			var same int
			if _, err := fmt.Sscanf(strings.TrimSpace(stack), "%d @", &same); err == nil {
				n += same
			}
		}
	}
	return n
}
