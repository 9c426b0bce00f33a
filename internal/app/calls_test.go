package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
	"onramp/internal/keyset"
	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
)

// kindOfRoute is what each of the sandbox's routes that the tests call is counted as.
var kindOfRoute = map[string]budget.Kind{
	"POST /v2/token":                              budget.Token,
	"POST /hub/v1/dataevents/{id}/rowset":         budget.Rows,
	"PUT /data/v1/async/dataextensions/{id}/rows": budget.AsyncRows,
	"POST /interaction/v1/events":                 budget.Journey,
	"POST /interaction/v1/async/events":           budget.Journey,
}

// sandboxCalls are the calls that the sandbox has counted, by kind.
func (w *world) sandboxCalls() (byKind map[budget.Kind]int64, total int64) {
	byKind = map[budget.Kind]int64{}
	for route, n := range w.sandbox.State().Calls {
		kind := kindOfRoute[route]
		switch {
		case strings.Contains(route, "/platform/v1/ens-"):
			kind = budget.ENS
		case strings.HasPrefix(route, "GET /data/v1/async/"):
			kind = budget.AsyncPoll
		case strings.HasPrefix(route, "GET "), route == "POST /Service.asmx":
			kind = budget.Read
		case kind == "":
			w.t.Errorf("%s was called, and the test does not know it", route)
		}
		byKind[kind] += int64(n)
		total += int64(n)
	}
	return byKind, total
}

// wantCalls compares the counts of status with the sandbox's, once what runs in the
// background has come to its end.
func (w *world) wantCalls(when string) {
	w.t.Helper()
	var diff string
	defer func() { // await may end the test
		if diff != "" {
			w.t.Error(when, diff)
		}
	}()
	await(w.t, "agreement of both counts "+when, func() bool {
		u := w.status().Calls
		byKind, total := w.sandboxCalls()
		diff = cmp.Diff(byKind, u.Year) + cmp.Diff(byKind, u.Today) + cmp.Diff(total, u.Used)
		return diff == ""
	})
}

// Every call is counted that the sandbox counts: tokens, set-up, checks, rows by both
// routes, failed ones too. A restart goes on counting.
func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	key, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "onramp.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, file := newSandboxed(t), database(t)
			keyed := func(cfg string) string { return "encryption_key: '" + key.Reveal() + "'\n" + cfg }
			w.start(keyed, file)
			w.awaitChecks()
			if err := w.sandbox.Fault(sandbox.Fault{Match: "/hub/v1/", Status: 500, Count: 2}); err != nil {
				t.Fatal(err)
			}
			w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait})
			if err := w.gateway.SetUpEvents(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.wantCalls("after set-up")
			w.end()
			w.start(func(cfg string) string {
				return keyed(strings.Replace(withoutEvents(cfg), "mode: auto", "mode: async", 1))
			}, file)
			w.awaitChecks()
			w.post(`{"email":"bob@example.org"}`, map[string]string{"Prefer": wait})
			w.wantCalls("after the restart")
			if kinds := w.status().Calls.Year; kinds[budget.AsyncRows] == 0 || kinds[budget.AsyncPoll] == 0 || kinds[budget.ENS] == 0 || kinds[budget.Rows] < 3 {
				t.Errorf("calls %v, want some of each kind", kinds)
			}
		})
	}
}

// contractOf makes a configuration with so many calls for a year that has just begun.
func contractOf(calls int, edits ...string) func(string) string {
	start := time.Now().UTC().AddDate(0, 0, -1)
	if start.Month() == time.February && start.Day() == 29 {
		start = start.AddDate(0, 0, -1)
	}
	contract := fmt.Sprintf("marketing_cloud:\n  calls_per_year: %d\n  contract_start: %s\n", calls, start.Format("01-02"))
	return func(cfg string) string {
		cfg = strings.Replace(withoutEvents(cfg), "marketing_cloud:\n", contract, 1)
		return strings.NewReplacer(edits...).Replace(cfg)
	}
}

// When the year's calls run short, registrations share calls: as few are made as can
// carry them, all are delivered, and status says why they wait.
func TestCallsRunShort(t *testing.T) {
	t.Parallel()
	const registrations = 100
	w := newSandboxed(t)
	w.start(contractOf(300, "mode: auto", "mode: sync", "establish_contact_key: true }", "establish_contact_key: true, batch: 50 }"), filepath.Join(t.TempDir(), "onramp.db"))
	w.awaitChecks()
	before, _ := w.sandboxCalls()
	for i := range registrations {
		if a := w.post(fmt.Sprintf(`{"email":"user%d@example.org"}`, i), map[string]string{"Prefer": "wait=0"}); a.Code != http.StatusAccepted {
			t.Fatalf("answered %+v", a)
		}
	}
	await(t, "all are delivered", func() bool { return w.status().Registrations["delivered"] == registrations })
	after, _ := w.sandboxCalls()
	got := map[budget.Kind]int64{}
	for kind, n := range after {
		if n != before[kind] {
			got[kind] = n - before[kind]
		}
	}
	if diff := cmp.Diff(map[budget.Kind]int64{budget.Rows: 2, budget.Journey: 2}, got); diff != "" {
		t.Errorf("calls for %d registrations: %s", registrations, diff)
	}
	if n := len(w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows); n != registrations {
		t.Errorf("%d rows", n)
	}
	u := w.status().Calls
	if u.State != "saving calls" || u.Wait != 300 || !strings.Contains(u.Reason, "at the pace of the last seven days the calls of the contract's year are used up on ") ||
		!strings.Contains(u.Reason, "deliveries wait up to 5 min to share a call") {
		t.Errorf("status says %+v", u)
	}
}

// Each threshold of the year's calls alerts once, also when the gateway is restarted.
func TestCallAlerts(t *testing.T) {
	t.Parallel()
	alerts := make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var alert struct{ Title string }
		_ = json.NewDecoder(r.Body).Decode(&alert)
		alerts <- alert.Title
	}))
	t.Cleanup(chat.Close)
	w := newSandboxed(t)
	database := filepath.Join(t.TempDir(), "onramp.db")
	edit := func(cfg string) string { // each registration is one call
		cfg = contractOf(40, "mode: auto", "mode: sync, batch: 1")(cfg)
		return `alerts: ["generic+` + chat.URL + `/"]` + "\n" + strings.Replace(cfg, "      - journey: {", "#", 1)
	}
	var got []string
	for _, percent := range []int64{50, 75, 90} {
		w.start(edit, database)
		w.awaitChecks()
		for n := 0; w.status().Calls.Percent < percent; n++ {
			w.post(fmt.Sprintf(`{"email":"user%d.%d@example.org"}`, percent, n), map[string]string{"Prefer": wait})
		}
		got = append(got, <-alerts)
		w.end()
	}
	w.start(edit, database)
	w.awaitChecks()
	w.post(`{"email":"user@example.org"}`, map[string]string{"Prefer": wait})
	w.end()
	close(alerts)
	for title := range alerts {
		got = append(got, title)
	}
	const title = "% of the calls to Marketing Cloud used"
	if diff := cmp.Diff([]string{"onramp: 50" + title, "onramp: 75" + title, "onramp: 90" + title}, got); diff != "" {
		t.Error(diff)
	}
}
