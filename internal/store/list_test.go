package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// pages reads a list to its end and counts its pages.
func pages(t *testing.T, list func(cursor string) (n int, next string, err error)) (total, count int) {
	t.Helper()
	for cursor := ""; ; count++ {
		n, next, err := list(cursor)
		if err != nil {
			t.Fatal(err)
		}
		if total += n; next == "" {
			return total, count + 1
		}
		cursor = next
	}
}

func TestListRegistrations(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "bob1", "100%1", "a_b1", `a\b1`)
		w.save("one", "cem1", "ana2", "Dan1")
		w.settle("bob1.1", delivered, 0)
		w.settle("cem1.1", delivered, 0)
		w.settle("ana2.1", dead, 0)
		w.settle("ana1.1", unknown, 0)
		for _, c := range []struct {
			filter onramp.Filter
			want   string
		}{
			{onramp.Filter{}, `Dan1:queued ana2:failed cem1:delivered a\b1:queued a_b1:queued 100%1:queued bob1:delivering ana1:unknown`},
			{onramp.Filter{Limit: 2}, "Dan1:queued ana2:failed then 7"},
			{onramp.Filter{Limit: 2, Cursor: "7"}, `cem1:delivered a\b1:queued then 5`},
			{onramp.Filter{Cursor: "1"}, ""},
			{onramp.Filter{State: "queued", Limit: 3}, `Dan1:queued a\b1:queued a_b1:queued then 4`},
			{onramp.Filter{State: "queued", Limit: 3, Cursor: "4"}, "100%1:queued"},
			{onramp.Filter{State: "failed"}, "ana2:failed"},
			{onramp.Filter{State: "unknown"}, "ana1:unknown"},
			{onramp.Filter{State: "erased"}, ""},
			{onramp.Filter{Form: "one"}, "Dan1:queued ana2:failed cem1:delivered"},
			{onramp.Filter{Destination: "data_extension:x"}, `a\b1:queued a_b1:queued 100%1:queued bob1:delivering ana1:unknown`},
			{onramp.Filter{Destination: "data_extension:x", State: "unknown"}, "ana1:unknown"},
			{onramp.Filter{State: "delivered"}, "cem1:delivered"},
			{onramp.Filter{State: "delivering"}, "bob1:delivering"},
			{onramp.Filter{Query: "ANA"}, "ana2:failed ana1:unknown"},
			{onramp.Filter{Query: "ana", Form: "one"}, "ana2:failed"},
			{onramp.Filter{Query: "dan"}, "Dan1:queued"},
			{onramp.Filter{Query: "%"}, "100%1:queued"},
			{onramp.Filter{Query: "a_b"}, "a_b1:queued"},
			{onramp.Filter{Query: `\`}, `a\b1:queued`},
			{onramp.Filter{Query: "cem@example.org"}, "cem1:delivered"},
			{onramp.Filter{Query: "' OR 1=1 --"}, ""},
		} {
			page, next, _, err := w.s.ListRegistrations(t.Context(), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, r := range page {
				texts = append(texts, w.names[r.ID]+":"+r.State.String())
			}
			if next != "" {
				texts = append(texts, "then "+next)
			}
			if got := strings.Join(texts, " "); got != c.want {
				t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
			}
		}
	})
}

func TestListDeliveries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "bob1", "cem1")
		w.save("one", "ana2", "dan1", "eve1")
		w.settle("bob1.1", dead, 0)
		w.settle("dan1.1", unknown, 0)
		w.settle("ana1.1", delivered, 0)
		w.discard("eve1.1")
		for _, c := range []struct {
			filter onramp.Filter
			want   string
		}{
			{onramp.Filter{}, "eve1.1 dan1.1 ana2.1 cem1.2 cem1.1 bob1.2 bob1.1 ana1.2 ana1.1"},
			{onramp.Filter{Limit: 4}, "eve1.1 dan1.1 ana2.1 cem1.2 then 6"},
			{onramp.Filter{Limit: 4, Cursor: "6"}, "cem1.1 bob1.2 bob1.1 ana1.2 then 2"},
			{onramp.Filter{State: "pending"}, "ana2.1 cem1.1 ana1.2"},
			{onramp.Filter{State: "sending"}, "ana2.1 cem1.1 ana1.2"},
			{onramp.Filter{State: "waiting"}, "cem1.2 bob1.2"},
			{onramp.Filter{State: "delivered"}, "ana1.1"},
			{onramp.Filter{State: "dead"}, "bob1.1"},
			{onramp.Filter{State: "unknown"}, "dan1.1"},
			{onramp.Filter{State: "discarded"}, "eve1.1"},
			{onramp.Filter{State: "submitted"}, "ana2.1 cem1.1 ana1.2"},
			{onramp.Filter{Form: "one", State: "unknown"}, "dan1.1"},
			{onramp.Filter{Form: "both", State: "unknown"}, ""},
			{onramp.Filter{Query: "ana", State: "pending"}, "ana2.1 ana1.2"},
			{onramp.Filter{Destination: "data_extension:x"}, "cem1.1 bob1.1 ana1.1"},
			{onramp.Filter{Destination: "journey:y", State: "pending"}, "ana2.1 ana1.2"},
			{onramp.Filter{Destination: "data_extension:x", State: "unknown"}, ""},
			{onramp.Filter{Form: "both", State: "dead"}, "bob1.1"},
			{onramp.Filter{State: "held"}, ""},
		} {
			page, next, _, err := w.s.ListDeliveries(t.Context(), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			got := w.deliveryNames(page)
			if next != "" {
				got += " then " + next
			}
			if got != c.want {
				t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
			}
		}
	})
}

func TestListErrors(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, f := range []onramp.Filter{{State: "none"}, {Form: "none"}, {Destination: "none"}, {Cursor: "x"}, {Cursor: "0"}, {Cursor: "-1"}, {Cursor: "99999999999999999999"}} {
			_, _, _, err := w.s.ListRegistrations(t.Context(), f)
			wantKind(t, fmt.Sprintf("registrations %+v", f), err, onramp.Malformed)
			_, _, _, err = w.s.ListDeliveries(t.Context(), f)
			wantKind(t, fmt.Sprintf("deliveries %+v", f), err, onramp.Malformed)
		}
	})
}

// Lists of more than one portion neither lose nor repeat a row.
func TestLongLists(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const n = 2300 // more than a portion
		for range n / 100 {
			w.saveMany("both", 100)
		}
		for _, name := range []string{"k5.1", "k2299.1"} {
			w.settle(name, dead, 0)
		}
		for _, c := range []struct {
			filter        onramp.Filter
			registrations int
			deliveries    int
		}{
			{onramp.Filter{Limit: 500}, n, 2 * n},
			{onramp.Filter{Limit: 1000}, n, 2 * n}, // means 500
			{onramp.Filter{Limit: 7, State: "failed"}, 2, -1},
			{onramp.Filter{Limit: 1, State: "dead"}, -1, 2},
			{onramp.Filter{State: "waiting", Limit: 500}, -1, n},
			{onramp.Filter{Query: "k2299", Limit: 500}, 1, 2},
			{onramp.Filter{Form: "one"}, 0, 0},
			{onramp.Filter{State: "queued", Limit: 500}, n - 2, -1},
			{onramp.Filter{Destination: "journey:y", Limit: 500}, n, n},
		} {
			f := c.filter
			if c.registrations >= 0 {
				seen := map[string]bool{}
				total, _ := pages(t, func(cursor string) (int, string, error) {
					f.Cursor = cursor
					page, next, _, err := w.s.ListRegistrations(t.Context(), f)
					for _, r := range page {
						seen[r.ID] = true
					}
					return len(page), next, err
				})
				if total != c.registrations || len(seen) != total {
					t.Errorf("%+v: %d registrations, %d different; want %d", c.filter, total, len(seen), c.registrations)
				}
			}
			if c.deliveries >= 0 {
				seen := map[string]bool{}
				total, _ := pages(t, func(cursor string) (int, string, error) {
					f.Cursor = cursor
					page, next, _, err := w.s.ListDeliveries(t.Context(), f)
					for i := range page {
						seen[page[i].ID()] = true
					}
					return len(page), next, err
				})
				if total != c.deliveries || len(seen) != total {
					t.Errorf("%+v: %d deliveries, %d different; want %d", c.filter, total, len(seen), c.deliveries)
				}
			}
		}
	})
}

// saveMany saves registrations k0, k1, … at once, each with a key of its own.
func (w *world) saveMany(form string, n int) {
	w.t.Helper()
	writes := make([]func() error, n)
	for i := range writes {
		name := fmt.Sprint("k", len(w.ids))
		r := w.registration(form, name)
		w.ids[name], w.names[r.ID] = r.ID, name
		writes[i] = func() error {
			_, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false)
			return err
		}
	}
	for _, err := range w.s.Together(w.t.Context(), writes...) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestTimeline(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		w.clock.advance(10 * time.Second)
		w.settle("ana.1", pending, time.Minute)
		w.clock.advance(time.Minute)
		w.settle("ana.1", delivered, 0)
		w.clock.advance(time.Minute)
		w.settle("ana.2", dead, 0)
		w.clock.advance(time.Minute)
		w.discard("ana.2")
		got, err := w.s.Timeline(t.Context(), w.ids["ana"])
		if err != nil {
			t.Fatal(err)
		}
		at := func(d time.Duration) time.Time { return begin.Add(d) }
		x, y := "data_extension:x", "journey:y"
		want := []onramp.TimelineItem{
			{At: at(0), What: "accepted", Detail: "form both"},
			{At: at(9 * time.Second), What: "attempt", Destination: x, Detail: "attempt 1"},
			{At: at(10 * time.Second), What: "retry", Destination: x, Detail: "answered"},
			{At: at(69 * time.Second), What: "attempt", Destination: x, Detail: "attempt 2"},
			{At: at(70 * time.Second), What: "delivered", Destination: x, Detail: "answered"},
			{At: at(129 * time.Second), What: "attempt", Destination: y, Detail: "attempt 1"},
			{At: at(130 * time.Second), What: "rejected", Destination: y, Detail: "answered; correct it"},
			{At: at(190 * time.Second), What: "discarded", Destination: y, Detail: "a test"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOldest(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		check := func(when, want string) {
			t.Helper()
			at, err := w.s.Oldest(t.Context(), "journey:y")
			if err != nil {
				t.Fatal(err)
			}
			got := "none"
			if !at.IsZero() {
				got = at.Sub(begin).String()
			}
			if got != want {
				t.Errorf("%s the oldest is %s, want %s", when, got, want)
			}
		}
		check("at first", "none")
		for _, name := range []string{"ana", "bob", "cem"} {
			w.clock.advance(time.Minute)
			w.save("one", name)
		}
		check("when all are fresh", "1m0s")
		w.settle("ana.1", pending, time.Hour)
		check("when the oldest is parked", "1m0s")
		w.settle("ana.1", dead, 0)
		check("when the oldest is dead", "2m0s")
		w.settle("cem.1", pending, time.Hour)
		check("when a later one is parked", "2m0s")
		w.settle("bob.1", delivered, 0)
		check("when only a parked one is left", "3m0s")
		if at, err := w.s.Oldest(t.Context(), "none"); err != nil || !at.IsZero() {
			t.Errorf("of no destination: %v, %v", at, err)
		}
	})
}

// What an event has changed in the row of a registration means nothing for the
// registration's state in a list.
func TestListRegistrationWithEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		w.save("one", "ana1")
		w.settle("ana1.1", delivered, 0)
		w.receive(nil, sent("ana", 1, "m"))
		change := onramp.RowChange{Event: 1, RegistrationSeq: 1, SubscriberKey: "ana", Destination: w.destination("x"), Values: []byte("{}")}
		if err := w.s.SaveRuling(t.Context(), onramp.Ruling{To: 1, Changes: []onramp.RowChange{change}}); err != nil {
			t.Fatal(err)
		}
		w.save("one", "bob1")
		page, _, _, err := w.s.ListRegistrations(t.Context(), onramp.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range page {
			got = append(got, w.names[r.ID]+":"+r.State.String())
		}
		if diff := cmp.Diff([]string{"bob1:queued", "ana1:delivered"}, got); diff != "" {
			t.Error(diff)
		}
	})
}
