package app_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

// TestRestoredBackup puts a backup in the place of the database from which journey
// entries have gone out since: none of them goes out again by itself.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	path := filepath.Join(t.TempDir(), "onramp.db")
	w.start(nil, path)
	fault := func(faults ...sandbox.Fault) {
		if err := w.sandbox.SetFaults(faults); err != nil {
			t.Fatal(err)
		}
	}
	fault(sandbox.Fault{Match: "/interaction/", Status: http.StatusServiceUnavailable})
	ids := w.accept(3)
	w.await("entries to be tried", func() bool { return w.sandbox.State().Calls["POST /interaction/v1/events"] >= 3 })
	backup := filepath.Join(t.TempDir(), "backup.db")
	copyDatabase(t, path, backup)
	fault()
	entries := func() int { return len(w.sandbox.State().Journeys[sandbox.WelcomeEventKey].Contacts) }
	w.await("three entries", func() bool { return entries() == 3 && w.status().Deliveries["delivered"] == 6 })
	w.end()

	if err := os.WriteFile(path, read(t, backup), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(nil, path)
	s := w.status()
	if s.Deliveries["unknown"] != 3 || s.Registrations["unknown"] != 3 {
		t.Errorf("deliveries %v, registrations %v; want 3 of each unknown", s.Deliveries, s.Registrations)
	}
	notice := strings.Join(s.Notices, "\n")
	for _, part := range []string{"overwritten with a backup", "3 deliveries", "onramp deliveries retry --state unknown"} {
		if !strings.Contains(notice, part) {
			t.Errorf("status says %q, want %q in it", notice, part)
		}
	}
	if whats := w.whats(ids[0]); whats[len(whats)-1] != "unknown journey:"+sandbox.WelcomeEventKey {
		t.Errorf("the timeline ends with %q", whats)
	}
	if a := w.post(`{"email":"new@example.org"}`, map[string]string{"Prefer": wait}); a.Status != "delivered" {
		t.Errorf("a new registration is %s", a.Status)
	}
	if n := entries(); n != 4 {
		t.Errorf("%d entries, want three from before and a new one", n)
	}
	response, err := http.Post(w.gateway.AdminURL()+"/api/deliveries/retry", "application/json", strings.NewReader(`{"state":"unknown","all":true}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	w.await("what an operator sends again", func() bool { return entries() == 7 })
}

// copyDatabase makes a backup of a database that is in use.
func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+from)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`VACUUM INTO $1`, to); err != nil {
		t.Fatal(err)
	}
}

// await waits until something holds.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	for limit := time.After(90 * time.Second); !holds(); {
		select {
		case <-limit:
			w.t.Fatalf("not seen in time: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
