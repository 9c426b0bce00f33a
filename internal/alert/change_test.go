package alert_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/alert"
	"onramp/internal/onramp"
)

// A change of the configuration forgets nothing: what lasts is not alerted again, its
// end is, and new limits hold from then on. Who is no longer named gets nothing more.
func TestChange(t *testing.T) {
	t.Parallel()
	change := func(w *world, cfg alert.Config) {
		t.Helper()
		if err := w.watcher.Change(cfg); err != nil {
			t.Error(err)
		}
	}
	sent := watching(t, alert.Config{}, func(w *world) {
		w.change(func(w *world) {
			w.health = []onramp.Health{stopped(journey, "blocked", "403", "c1", time.Now())}
		})
		pass(time.Minute)
		for range 10 {
			change(w, alert.Config{Receivers: []onramp.Secret{"test"}})
			pass(time.Minute)
		}
		w.change(func(w *world) { w.health = nil })
		pass(10 * time.Minute)
		change(w, alert.Config{Receivers: []onramp.Secret{"test"}, FreePercent: 60})
		pass(time.Minute)
		if err := w.watcher.Change(alert.Config{Receivers: []onramp.Secret{"test", "nonsense"}}); err == nil {
			t.Error("a wrong receiver was taken")
		}
		change(w, alert.Config{})
		w.change(func(w *world) {
			w.health = []onramp.Health{stopped(journey, "blocked", "404", "c2", time.Now())}
		})
		pass(time.Minute)
	})
	var titles []string
	for _, s := range sent {
		titles = append(titles, s.Title)
	}
	want := []string{
		"onramp: blocked: journey:Welcome",
		"onramp: cleared: blocked: journey:Welcome, after 11m",
		"onramp: low disk space: 50 B free",
	}
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Error(diff)
	}
}
