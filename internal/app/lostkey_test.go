package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onramp/internal/app"
	"onramp/internal/config"
	"onramp/internal/keyset"
)

// TestLostKey loses the encryption key: no new one takes its place, the start says what
// to do, and what that removes is only what can't be read.
func TestLostKey(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	path := filepath.Join(t.TempDir(), "onramp.db")
	w.start(nil, path)
	setUp := func() {
		t.Helper()
		response, err := http.Post(w.gateway.AdminURL()+"/api/ens/setup", "application/json", strings.NewReader(`{"prune":true}`)) // each start has another URL here
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if answer, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", response.Status, answer)
		}
	}
	setUp()
	w.end()

	cfg, err := config.Parse("test", []byte(app.DemoConfig()), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Database = path
	reset := func(callbacks []string, remove bool) (kinds []string) {
		t.Helper()
		lost, err := app.ResetKeys(t.Context(), cfg, callbacks, remove)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range lost {
			if !slices.Contains(kinds, one.Kind) {
				kinds = append(kinds, one.Kind)
			}
			if one.Lost == "" {
				t.Errorf("%s: it isn't said what is lost", one.Kind)
			}
		}
		return kinds
	}
	if lost := reset(nil, true); lost != nil {
		t.Errorf("with its key the database has lost %q", lost)
	}
	if err := os.Remove(path + ".key"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = app.Start(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), Version: "test", OwnURL: true})
		if err == nil || !strings.Contains(err.Error(), path+".key is missing") || !strings.Contains(err.Error(), "onramp keys reset") {
			t.Errorf("without its key it starts, or says %v", err)
		}
		if _, err := os.Stat(path + ".key"); err == nil {
			t.Error("a new key was made for secrets of another")
		}
	}
	text, err := keyset.New() // as of someone who helps himself
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".key", []byte(text.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	const all = "access token callback chain key key secret probe scheme signing key keys of persons"
	if lost := strings.Join(reset(nil, false), " "); lost != all {
		t.Errorf("all that is lost is %q, want %q", lost, all)
	}
	if lost := strings.Join(reset([]string{"other"}, true), " "); lost != "access token chain key scheme signing key" {
		t.Errorf("removed for another callback: %q", lost)
	}
	if lost := strings.Join(reset(nil, false), " "); lost != "callback key secret probe keys of persons" {
		t.Errorf("after that %q is lost", lost)
	}
	reset([]string{"events"}, true)
	if _, err = app.Start(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), Version: "test", OwnURL: true}); err == nil || !strings.Contains(err.Error(), "onramp keys reset") {
		t.Errorf("without the keys of persons it starts, or says %v", err)
	}
	if lost := strings.Join(reset(nil, true), " "); lost != "key secret keys of persons" {
		t.Errorf("without its callback %q is lost", lost)
	}
	w.start(nil, path)
	setUp()
	if a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait}); a.Status != "delivered" {
		t.Errorf("a registration is %s", a.Status)
	}
	w.end()
	if lost := reset(nil, false); lost != nil {
		t.Errorf("in the end %q is lost", lost)
	}
}
