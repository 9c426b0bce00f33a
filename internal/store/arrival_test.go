package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Arrivals are told by form and minute, from a time on, without those that are left out;
// what came since the last look comes with the next one.
func TestListArrivals(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "old1")
		w.clock.advance(48 * time.Hour)
		since := w.clock.now()
		var after int64
		look := func(without ...string) string {
			var all []string
			to, err := w.s.ListArrivals(t.Context(), after, since, without, func(form string, first, last time.Time, n int) {
				all = append(all, fmt.Sprintf("%s %v-%v: %d", form, first.Sub(since), last.Sub(since), n))
			})
			if err != nil {
				t.Fatal(err)
			}
			after = to
			return strings.Join(all, ", ")
		}
		w.save("both", "ana1")
		w.clock.advance(20 * time.Second)
		w.save("both", "ana2")
		w.save("one", "bob1")
		w.clock.advance(5 * time.Minute)
		w.save("both", "ana3", "canary1")
		for _, want := range []string{"both 0s-20s: 2, one 20s-20s: 1, both 5m20s-5m20s: 1", ""} {
			if diff := cmp.Diff(want, look(w.ids["canary1"])); diff != "" {
				t.Error(diff)
			}
		}
		w.clock.advance(time.Minute)
		w.save("one", "canary2", "canary3", "cem1")
		if diff := cmp.Diff("one 6m20s-6m20s: 1", look(w.ids["canary2"], w.ids["canary3"])); diff != "" {
			t.Error(diff)
		}
		w.save("one", "canary4")
		if diff := cmp.Diff("", look(w.ids["canary4"])); diff != "" {
			t.Error(diff)
		}
	})
}

// A sample is of what was received since a time and is delivered; what was edited since
// is no part of it.
func TestSampleDelivered(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "old1")
		w.settle("old1.1", delivered, 0)
		w.clock.advance(48 * time.Hour)
		since := w.clock.now()
		w.save("both", "ana1", "bob1", "cem1", "dan1", "eva1")
		w.save("one", "fay1")
		for _, name := range []string{"ana1.1", "bob1.1", "dan1.1", "fay1.1"} {
			w.settle(name, delivered, 0)
		}
		w.settle("cem1.1", dead, 0)
		if _, err := w.db.Exec(`INSERT INTO edit (registration_seq, number, edited_at, fields, subscriber_key, data)
			VALUES ((SELECT seq FROM registration WHERE id = '` + w.ids["dan1"] + `'), 1, 1, '[]', '', '{}')`); err != nil {
			t.Fatal(err)
		}
		sample, err := w.s.SampleDelivered(t.Context(), "data_extension:x", since, 20)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range sample {
			newer, err := w.s.HasNewer(t.Context(), &sample[i])
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, fmt.Sprint(w.names[sample[i].RegistrationID], " ", string(sample[i].Values), " ", newer))
		}
		want := []string{`ana1 {"EmailAddress":"ana@example.org"} false`, `bob1 {"EmailAddress":"bob@example.org"} false`}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		if one, err := w.s.SampleDelivered(t.Context(), "data_extension:x", since, 1); err != nil || len(one) != 1 {
			t.Errorf("%d of one, %v", len(one), err)
		}
		w.save("both", "ana2") // not sent yet
		if newer, err := w.s.HasNewer(t.Context(), &sample[0]); err != nil || !newer {
			t.Errorf("there is a newer one: %v, %v", newer, err)
		}
	})
}

// What is kept of the watch is there after a restart, beside the alerts.
func TestKeepWatch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if data, err := w.s.LoadWatch(t.Context()); data != nil || err != nil {
			t.Fatalf("%q, %v", data, err)
		}
		for _, save := range []func() error{
			func() error { return w.s.SaveWatch(t.Context(), []byte(`{"a":1}`)) },
			func() error { return w.s.SaveAlerts(t.Context(), []byte(`{"b":2}`)) },
		} {
			if err := save(); err != nil {
				t.Fatal(err)
			}
		}
		w.reopen()
		if data, err := w.s.LoadWatch(t.Context()); string(data) != `{"a":1}` || err != nil {
			t.Errorf("%q, %v", data, err)
		}
	})
}
