package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// TestReleasedDatabase shows that a gateway delivers what an older one has left in
// its database, in the order of each person, and leaves alone what an operator has
// to decide. See internal/store/testdata/releases.
func TestReleasedDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for from, to := range map[string]string{"7d0a386.sqlite": "onramp.db", "7d0a386.key": "onramp.db.key"} {
		content, err := os.ReadFile(filepath.Join("../store/testdata/releases", from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newSandboxed(t)
	sink := filepath.Join(folder, "events.jsonl")
	w.start(func(cfg string) string { return cfg + "sinks: [{ name: crm, file: { path: " + sink + " } }]\n" }, filepath.Join(folder, "onramp.db"))
	var status struct {
		Registrations map[string]int64
	}
	w.until("everything is delivered", func() bool {
		status.Registrations = nil
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Registrations["queued"]+status.Registrations["delivering"] == 0
	})
	if diff := cmp.Diff(map[string]int64{"delivered": 16, "failed": 6, "unknown": 2}, nonZero(status.Registrations)); diff != "" {
		t.Error(diff)
	}
	entered := map[string]string{}
	for _, c := range w.sandbox.State().Journeys[sandbox.WelcomeEventKey].Contacts {
		name, _ := c.Data["FirstName"].(string)
		entered[c.ContactKey] = strings.TrimSpace(entered[c.ContactKey] + " " + name)
	}
	want := map[string]string{
		"ida": "ida1 ida2 ida3 ida4", "jan": "jan1 jan2", "joe": "joe1 joe2 joe3", "kim": "kim1", "nia": "nia1 nia2",
	}
	if diff := cmp.Diff(want, entered); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"ida4"}, w.columns("ida", "FirstName")); diff != "" {
		t.Error(diff)
	}
	w.until("the events have gone on", func() bool {
		lines, err := os.ReadFile(sink)
		return err == nil && strings.Count(string(lines), "\n") == 2
	})
	a := w.post(`{"email":"new@example.org"}`, map[string]string{"Prefer": wait})
	if a.Status != "delivered" {
		t.Errorf("a new registration: %+v", a)
	}
}

func nonZero(counts map[string]int64) map[string]int64 {
	for name, n := range counts {
		if n == 0 {
			delete(counts, name)
		}
	}
	return counts
}
