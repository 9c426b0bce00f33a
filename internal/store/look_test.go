package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// crowd fills the tables with many registrations of a second each, all delivered
// but for some old ones: 1,001 to 1,100 have failed in their second step, 1,101 to 1,200
// wait for a retry, 1,201 to 1,210 are unknown. Each has an event of one type, but for
// the first hundred.
func (w *world) crowd(n int) {
	w.t.Helper()
	w.withEvents()
	w.reset()
	number := `WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ` + fmt.Sprint(n) + `) `
	received := fmt.Sprint(begin.UnixMicro()) + ` + CAST(i AS BIGINT) * 1000000`
	for _, statement := range []string{
		`INSERT INTO registration (seq, id, form_id, subscriber_key, received_at, data, delivery_seq, steps) ` + number +
			`SELECT i, 'id' || i, 1, 'key' || i, ` + received + `, '{}', 2 * i - 1, 2 FROM number`,
		`INSERT INTO delivery (seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries) ` + number +
			`SELECT 2 * i - 1, i, 1, 1, 0, i, CASE WHEN i > 1200 AND i <= 1210 THEN 9 ELSE 5 END, 1 FROM number`,
		`INSERT INTO delivery (seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, due_at) ` + number +
			`SELECT 2 * i, i, 2, 2, 0, i, CASE WHEN i > 1000 AND i <= 1100 THEN 6 WHEN i > 1100 AND i <= 1200 THEN 2 WHEN i > 1200 AND i <= 1210 THEN 10 ELSE 5 END, 1,
			CASE WHEN i > 1100 AND i <= 1200 THEN 1 ELSE NULL END FROM number`,
		`INSERT INTO event (seq, at, hash, callback_id, received_at, type, body) ` + number +
			`SELECT i, i, i, 1, ` + received + `, CASE WHEN i <= 100 THEN 'A.Rare' ELSE 'A.Usual' END,
			CASE WHEN i <= 100 THEN '{"eventCategoryType":"A.Rare"}' ELSE '{"eventCategoryType":"A.Usual"}' END FROM number`,
		fmt.Sprintf(`INSERT INTO tally (destination_id, state, n) VALUES (0, 3, 100), (0, 4, %d), (0, 5, 100), (0, 7, 10), (1, 5, %d), (1, 9, 10), (2, 2, 100), (2, 5, %d), (2, 6, 100), (2, 10, 10)`,
			n-210, n-10, n-210),
		fmt.Sprintf(`INSERT INTO event_tally (callback_id, stored, repeated) VALUES (1, %d, 0)`, n),
	} {
		if _, err := w.db.Exec(statement); err != nil {
			w.t.Fatalf("%v in %s", err, statement)
		}
	}
	w.reopen()
}

// found follows the cursors of a list until it has a full page or the end, as the command
// line does, and counts its calls; it wants to be told how far each short one has looked.
func found[T any](t *testing.T, limit int, list func(cursor string, limit int) (page []T, next string, looked time.Time, err error)) (items, calls int) {
	t.Helper()
	var before time.Time
	for cursor := ""; ; calls++ {
		page, next, looked, err := list(cursor, limit-items)
		if err != nil {
			t.Fatal(err)
		}
		items += len(page)
		if items == limit || next == "" {
			if !looked.IsZero() {
				t.Errorf("the last page says that it has looked back to %v", looked)
			}
			return items, calls + 1
		}
		if looked.IsZero() || !before.IsZero() && !looked.Before(before) {
			t.Fatalf("a short page says that it has looked back to %v, and the one before it to %v", looked, before)
		}
		cursor, before = next, looked
	}
}

// The few among many are found at once where an index has them, and otherwise by looking
// through the rows, in portions, each of which says how far it has looked.
func TestFewAmongMany(t *testing.T) {
	const n, joined, alone = 6000, 1000, 5000 // rows, and of a portion
	onBoth(t, func(t *testing.T, w *world) {
		w.crowd(n)
		if err := w.s.IndexLookUps(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.s.LookThrough(joined, alone)
		registrations := func(f onramp.Filter) func(string, int) ([]onramp.Registration, string, time.Time, error) {
			return func(cursor string, limit int) ([]onramp.Registration, string, time.Time, error) {
				f.Cursor, f.Limit = cursor, limit
				return w.s.ListRegistrations(t.Context(), f)
			}
		}
		deliveries := func(f onramp.Filter) func(string, int) ([]onramp.Delivery, string, time.Time, error) {
			return func(cursor string, limit int) ([]onramp.Delivery, string, time.Time, error) {
				f.Cursor, f.Limit = cursor, limit
				return w.s.ListDeliveries(t.Context(), f)
			}
		}
		events := func(f onramp.EventFilter) func(string, int) ([]onramp.Event, string, time.Time, error) {
			return func(cursor string, limit int) ([]onramp.Event, string, time.Time, error) {
				f.Cursor, f.Limit = cursor, limit
				return w.s.ListEvents(t.Context(), f)
			}
		}
		rare, old := begin.Add(1100*time.Second), begin.Add(1050*time.Second)
		type result struct {
			Items   int
			AtOnce  bool // in one portion
			Limited bool // in a number of portions that the rows give
		}
		portions := func(rows int) int { return n/rows + 3 }
		for name, row := range map[string]struct {
			list  func(limit int) (items, calls int)
			limit int
			want  result
			most  int // portions
		}{
			"failed registrations":  {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "failed"})) }, 50, result{50, true, true}, 1},
			"all that have failed":  {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "failed"})) }, 500, result{100, true, true}, 1},
			"failed before a time":  {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "failed", Until: old})) }, 500, result{49, true, true}, 1},
			"failed since":          {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "failed", Since: old})) }, 500, result{51, true, true}, 1},
			"unknown registrations": {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "unknown"})) }, 50, result{10, true, true}, 1},
			"held registrations":    {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "held"})) }, 50, result{0, true, true}, 1},
			"delivering":            {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{State: "delivering"})) }, 50, result{50, false, true}, portions(alone / 2)},
			"old registrations":     {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{Until: rare})) }, 50, result{50, false, true}, 5},
			"by text":               {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{Query: "KEY"})) }, 50, result{50, true, true}, 1},
			"by a rare text":        {func(l int) (int, int) { return found(t, l, registrations(onramp.Filter{Query: "no such"})) }, 50, result{0, false, true}, portions(joined)},
			"dead":                  {func(l int) (int, int) { return found(t, l, deliveries(onramp.Filter{State: "dead"})) }, 50, result{50, true, true}, 1},
			"dead of a form":        {func(l int) (int, int) { return found(t, l, deliveries(onramp.Filter{State: "dead", Form: "one"})) }, 50, result{0, true, true}, 1},
			"pending":               {func(l int) (int, int) { return found(t, l, deliveries(onramp.Filter{State: "pending"})) }, 50, result{50, false, true}, portions(alone / 2)},
			"pending elsewhere": {func(l int) (int, int) {
				return found(t, l, deliveries(onramp.Filter{State: "pending", Destination: "data_extension:x"}))
			}, 50, result{0, true, true}, 1},
			"waiting":    {func(l int) (int, int) { return found(t, l, deliveries(onramp.Filter{State: "waiting"})) }, 50, result{10, false, true}, portions(alone / 2)},
			"of a form":  {func(l int) (int, int) { return found(t, l, deliveries(onramp.Filter{Form: "one"})) }, 50, result{0, false, true}, portions(joined / 2)},
			"rare event": {func(l int) (int, int) { return found(t, l, events(onramp.EventFilter{Type: "a.r*"})) }, 50, result{50, false, true}, portions(joined)},
			"old events": {func(l int) (int, int) { return found(t, l, events(onramp.EventFilter{Until: old})) }, 50, result{50, false, true}, 5},
		} {
			w.s.LookFor(0) // each call looks at one portion
			items, calls := row.list(row.limit)
			if diff := cmp.Diff(row.want, result{items, calls == 1, calls <= row.most}); diff != "" {
				t.Errorf("%s, by %d portions of at most %d (-want +got):\n%s", name, calls, row.most, diff)
			}
			w.s.LookFor(time.Minute)
			if again, calls := row.list(row.limit); again != items || calls != 1 {
				t.Errorf("%s: with time enough %d items by %d calls, want %d by 1", name, again, calls, items)
			}
		}
		w.reset()
	})
}

// Times are compared exactly, also when the clock was set back by less than an hour.
func TestListPeriod(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, name := range []string{"ana1", "bob1", "cem1"} {
			w.save("one", name)
			w.clock.advance(30 * time.Minute)
		}
		w.clock.advance(-75 * time.Minute) // a quarter of an hour after the first
		w.save("one", "dan1")
		at := func(hours float64) time.Time { return begin.Add(time.Duration(hours * float64(time.Hour))) }
		for _, c := range []struct {
			since, until time.Time
			want         string
		}{
			{time.Time{}, time.Time{}, "dan1 cem1 bob1 ana1"},
			{at(0.5), time.Time{}, "cem1 bob1"},
			{at(0.25), time.Time{}, "dan1 cem1 bob1"},
			{time.Time{}, at(0.5), "dan1 ana1"},
			{at(0), at(1), "dan1 bob1 ana1"},
			{at(3), time.Time{}, ""},
			{time.Time{}, at(0), ""},
			{at(2), at(1), ""},
		} {
			f := onramp.Filter{Since: c.since, Until: c.until}
			registrations, _, _, err := w.s.ListRegistrations(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			deliveries, _, _, err := w.s.ListDeliveries(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			byRegistration, byDelivery := "", ""
			for _, r := range registrations {
				byRegistration += " " + w.names[r.ID]
			}
			for i := range deliveries {
				byDelivery += " " + w.names[deliveries[i].RegistrationID]
			}
			want := " " + c.want
			if c.want == "" {
				want = ""
			}
			if byRegistration != want || byDelivery != want {
				t.Errorf("from %v to %v: registrations%s, deliveries%s; want%s", c.since, c.until, byRegistration, byDelivery, want)
			}
		}
	})
}

// Many that have failed are found portion by portion, none twice and none not at all, also
// where what has failed is mixed with what events have brought.
func TestManyFailed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const n = 2400
		w.crowd(n)
		w.exec(`UPDATE delivery SET state = 6, due_at = NULL WHERE step = 2`)
		w.exec(`UPDATE delivery SET event_seq = 1, registration_seq = 0, step = 1 WHERE registration_seq > 400 AND registration_seq <= 1000`)
		for _, limit := range []int{97, 500} {
			seen := map[int64]int{}
			total, _ := pages(t, func(cursor string) (int, string, error) {
				page, next, _, err := w.s.ListRegistrations(t.Context(), onramp.Filter{State: "failed", Limit: limit, Cursor: cursor})
				for _, r := range page {
					seen[r.Seq]++
				}
				return len(page), next, err
			})
			if want := n - 600 - 10; total != want || len(seen) != want {
				t.Errorf("%d to a page: %d have failed, %d different; want %d", limit, total, len(seen), want)
			}
		}
		w.reset()
	})
}
