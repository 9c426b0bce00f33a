package alert_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/alert"
	"onramp/internal/onramp"
)

// What goes out and what comes in, in the seconds in which it does.
func TestSilence(t *testing.T) {
	t.Parallel()
	hourly := alert.Config{Events: time.Hour, Callbacks: []string{"events"}}
	out := func(to onramp.Destination, count int64) func(*world) {
		return func(w *world) {
			w.health = []onramp.Health{{Destination: to, State: "running"}}
			w.deliveries[to.Name()] = n(onramp.DeliveryDelivered, count)
		}
	}
	crm := onramp.Destination{Kind: onramp.SinkDestination, Key: "crm"}
	in := func(stored, repeated int64) func(*world) {
		return func(w *world) {
			w.events, w.repeated = map[string]int64{"events": stored}, map[string]int64{"events": repeated}
		}
	}
	const quiet = "onramp: no events received"
	for _, c := range []struct {
		name   string
		cfg    alert.Config
		script func(w *world)
		want   []string
	}{
		{"a message and nothing else", hourly, func(w *world) {
			pass(10 * time.Second)
			w.change(out(email, 1))
			pass(2 * time.Hour)
		}, []string{"1h0m11s " + quiet}},
		{"a journey", hourly, func(w *world) {
			pass(10 * time.Second)
			w.change(out(journey, 1))
			pass(2 * time.Hour)
		}, []string{"1h0m11s " + quiet}},
		{"until an event comes", hourly, func(w *world) {
			pass(10 * time.Second)
			w.change(out(email, 1))
			pass(150 * time.Minute)
			w.change(in(1, 0))
			pass(3 * time.Hour)
		}, []string{"1h0m11s " + quiet, "2h0m11s onramp: still no events received", "2h35m11s onramp: cleared: no events received, after 2h30m"}},
		{"until one comes again", hourly, func(w *world) {
			w.change(in(5, 2))
			pass(10 * time.Second)
			w.change(out(email, 1))
			pass(90 * time.Minute)
			w.change(in(5, 3))
			pass(time.Hour)
		}, []string{"1h0m11s " + quiet, "1h35m11s onramp: cleared: no events received, after 1h30m"}},
		{"more messages don't restart it", hourly, func(w *world) {
			pass(10 * time.Second)
			for i := range int64(5) {
				w.change(out(email, i+1))
				pass(20 * time.Minute)
			}
		}, []string{"1h0m11s " + quiet}},
		{"an event for each message", hourly, func(w *world) {
			pass(10 * time.Second)
			for i := range int64(5) {
				w.change(out(email, i+1))
				pass(50 * time.Minute)
				w.change(in(i+1, 0))
				pass(2 * time.Hour)
			}
		}, nil},
		{"a message and an event at once", hourly, func(w *world) {
			pass(10 * time.Second)
			w.change(out(email, 1))
			w.change(in(1, 0))
			pass(2 * time.Hour)
		}, nil},
		{"no message", hourly, func(w *world) {
			w.change(in(5, 2))
			pass(10 * time.Second)
			w.change(out(extension, 9))
			w.change(out(crm, 9))
			pass(3 * time.Hour)
		}, nil},
		{"from before the start", hourly, func(w *world) {
			w.change(out(email, 9))
			pass(3 * time.Hour)
		}, nil},
		{"no callbacks", alert.Config{Events: time.Hour}, func(w *world) {
			pass(10 * time.Second)
			w.change(out(email, 1))
			pass(3 * time.Hour)
		}, nil},
		{"off", alert.Config{Callbacks: []string{"events"}}, func(w *world) {
			pass(10 * time.Second)
			w.change(out(email, 1))
			pass(3 * time.Hour)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, titles(watching(t, c.cfg, c.script))); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSilenceText(t *testing.T) {
	t.Parallel()
	got := watching(t, alert.Config{Events: time.Minute, Callbacks: []string{"events", "other"}}, func(w *world) {
		pass(10 * time.Second)
		w.change(func(w *world) { w.health = []onramp.Health{{Destination: email, State: "running"}} })
		for i := range int64(3) {
			w.change(func(w *world) { w.deliveries["message:hello"] = n(onramp.DeliveryDelivered, 2*i+1) })
			pass(30 * time.Second)
		}
	})
	want := []sentAlert{{71 * time.Second, "onramp: no events received", "cause: 5 deliveries to journeys and messages since 2000-01-01 00:00:11 UTC, " +
		"but no event has reached events and other\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:11 UTC (1m)\n" +
		"hint: run onramp ens status: check that Marketing Cloud can reach the callbacks, that they are verified, that their subscriptions are active, and that no calls were refused; see onramp check --only ens,public-url,quiet" + runbook("no-events")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}
