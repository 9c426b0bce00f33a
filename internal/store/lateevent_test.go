package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// A change is stored unless the person has registered, or a newer event has set the
// column, after its event happened: whatever came in between, and in whatever order.
func TestLateChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		ctx := t.Context()
		w.save("both", "ana1")
		w.receive(nil, sent("ana", 1, "x"), sent("ana", 2, "x"), sent("ana", 3, "x"), sent("ana", 4, "x"), sent("ana", 5, "x"), sent("ana", 6, "x"), sent("bob", 7, "x"))
		events, err := w.s.ListEventsAfter(ctx, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.s.FindRegistration(ctx, w.ids["ana1"])
		if err != nil {
			t.Fatal(err)
		}
		x := w.destination("x")
		rule := func(event int, after time.Duration, values string) {
			t.Helper()
			err := w.s.SaveRuling(ctx, onramp.Ruling{To: int64(event), Changes: []onramp.RowChange{{
				Event: events[event-1].Seq, RegistrationSeq: r.Seq, SubscriberKey: "ANA", Destination: x, Values: []byte(values),
				At: begin.Add(after), Forms: []string{"both", "none such"},
			}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		rule(1, -time.Minute, `{"OptIn":false}`)
		rule(2, -4*time.Second, `{"OptIn":false}`) // within the grace of the vendor's clock
		rule(3, time.Hour, `{"OptIn":1,"Valid":1}`)
		rule(4, 2*time.Hour, `{"OptIn":2}`)
		rule(5, time.Hour+time.Minute, `{"OptIn":3,"Valid":3}`)
		w.clock.advance(3 * time.Hour)
		w.save("one", "ana2") // to another destination
		rule(6, 150*time.Minute, `{"OptIn":4}`)
		w.save("both", "ana3", "bob1")
		rule(7, 150*time.Minute, `{"OptIn":5}`)

		fresh, _, _, err := w.s.ListFresh(ctx, x, 0, 20)
		if err != nil {
			t.Fatal(err)
		}
		var changes []string
		for _, d := range fresh {
			if d.Event != nil {
				changes = append(changes, string(d.Values))
			}
		}
		if diff := cmp.Diff([]string{`{"OptIn":false}`, `{"OptIn":1,"Valid":1}`, `{"OptIn":2}`, `{"Valid":3}`, `{"OptIn":4}`}, changes); diff != "" {
			t.Error(diff)
		}
		items, err := w.s.Timeline(ctx, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		var late []string
		for _, item := range items {
			if item.What == "skipped" {
				late = append(late, item.Destination+" "+item.Detail)
			}
		}
		want := []string{
			"data_extension:x the event happened at 2026-01-05T11:59:00Z, before the registration of 2026-01-05T12:00:00Z",
			"data_extension:x OptIn was set by an event of 2026-01-05T14:00:00Z, and this one happened at 2026-01-05T13:01:00Z",
		}
		if diff := cmp.Diff(want, late); diff != "" {
			t.Error(diff)
		}
	})
}

// Persons are told apart by their keys: a hash in the index that another person's key
// has, too, joins nobody.
func TestSameHash(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		ctx := t.Context()
		w.save("both", "ana1", "bob1")
		w.clock.advance(time.Minute)
		w.receive(nil, sent("ana", 1, "x"), sent("bob", 2, "x"))
		events, err := w.s.ListEventsAfter(ctx, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		find := func(key string) string {
			r, _, err := w.s.FindRegistrationOf(ctx, key, "both", &events[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.names[r.ID]
		}
		if find("Ana") != "ana1" || find("bob") != "bob1" {
			t.Fatal(find("Ana"), find("bob"))
		}
		if _, err := w.s.Timeline(ctx, w.ids["ana1"]); err != nil { // also fills the index
			t.Fatal(err)
		}
		// as if the hashes of bob were those of ana
		for _, statement := range []string{
			`INSERT INTO person (hash, registration_seq) SELECT a.hash, b.registration_seq FROM person a, person b WHERE a.registration_seq = 1 AND b.registration_seq = 2`,
			`INSERT INTO event_key (hash, event_seq) SELECT a.hash, b.event_seq FROM event_key a, event_key b WHERE a.event_seq = 1 AND b.event_seq = 2 ON CONFLICT DO NOTHING`,
		} {
			if _, err := w.db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if got := find("ana"); got != "ana1" {
			t.Errorf("found %s", got)
		}
		items, err := w.s.Timeline(ctx, w.ids["ana1"])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, item := range items {
			if item.What == "event" && strings.HasPrefix(item.Detail, sentType) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d events in the timeline", n)
		}
	})
}

// An event finds a registration by the key that an operator has given it, and no longer
// by the one before.
func TestFindEdited(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1")
		w.settle("ana1.1", dead, 0)
		find := func(key string) string {
			r, _, err := w.s.FindRegistrationOf(t.Context(), key, "both", &onramp.Event{ReceivedAt: w.clock.now()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.names[r.ID]
		}
		before := []string{find("ana"), find("bob")} // also fills the index
		w.edit("ana1.1", "bob")
		if diff := cmp.Diff([]string{"ana1", "", "", "ana1"}, append(before, find("ana"), find("bob"))); diff != "" {
			t.Error(diff)
		}
	})
}

// Whose send it is says an event with a signature, if there is one: a false one may have
// come before.
func TestFindProvenSend(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.withEvents()
		find := func() string {
			send, _, err := w.s.FindSend(ctx, "5.2.9")
			if err != nil {
				t.Fatal(err)
			}
			return send.SubscriberKey
		}
		unproven := w.events(nil, sent("mallory", 2, "x"))
		unproven[0].Unproven = true
		if _, err := w.s.SaveEvents(ctx, "events", unproven); err != nil {
			t.Fatal(err)
		}
		got := []string{find()}
		w.receive(nil, sent("ana", 2, "y"))
		if diff := cmp.Diff([]string{"mallory", "ana"}, append(got, find())); diff != "" {
			t.Error(diff)
		}
	})
}
