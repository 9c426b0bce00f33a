package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// marked are what someone typed, and what of it came back.
var marked = []string{"mark.address@example.org", "Marknameson", "mark answered", "mark.detail", "mark-held"}

// live has everything happen to a person that leaves something in the database: an
// acceptance, a hold, a failed attempt, an edit, an event and what it changes.
func (w *world) live(person, name string) {
	w.t.Helper()
	ctx := w.t.Context()
	for i, hold := range []onramp.Hold{{}, {Reason: onramp.HoldSuspicion, Detail: "limit: mark-held " + name}} {
		r := w.registration("both", person)
		r.Values, r.Hold = []byte(`{"email":"`+person+`","last":"`+name+`"}`), hold
		if _, err := w.s.SaveRegistration(ctx, &r, onramp.NewIdempotencyKey("both", r.ID, r.Values), false); err != nil {
			w.t.Fatal(err)
		}
		w.ids[name+string(rune('1'+i))], w.names[r.ID] = r.ID, name+string(rune('1'+i))
	}
	d := w.find(name + "1.1")
	w.clock.advance(time.Second)
	at := w.clock.now()
	_, err := w.s.Settle(ctx, []onramp.Settlement{{
		Delivery: &d, State: onramp.DeliveryDead, Tries: 1, At: at,
		Attempt: &onramp.Attempt{StartedAt: at, Outcome: onramp.Outcome{
			Verdict: onramp.Rejected, Status: 400, Detail: "mark.detail " + person, Hint: "correct it", Request: name, Answer: "mark answered " + name,
		}},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.s.FindRegistration(ctx, w.ids[name+"1"])
	if err != nil {
		w.t.Fatal(err)
	}
	edited := r
	edited.Values = []byte(`{"email":"` + person + `","last":"` + name + ` jr"}`)
	if err := w.s.EditDelivery(ctx, d.ID(), onramp.Edit{Fields: []string{"last"}, SubscriberKey: r.SubscriberKey, Values: r.Values}, edited); err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.RegisterCallbacks(ctx, []string{"events"}); err != nil {
		w.t.Fatal(err)
	}
	e := onramp.ReadEvent([]byte(`{"eventCategoryType":"TransactionalSendEvents.EmailBounced","timestampUTC":1767614400000,"definitionKey":"x","info":{"to":"` +
		person + `","name":"` + name + `"},"compositeId":"1.2.3.4.5","composite":{"jobId":"1","batchId":"2","listId":"3","subscriberId":"4","emailId":"5","subscriberKey":"` + person + `"}}`))
	e.ReceivedAt = at
	if _, err := w.s.SaveEvents(ctx, "events", []onramp.Event{e}); err != nil {
		w.t.Fatal(err)
	}
	stored, err := w.s.ListEventsAfter(ctx, 0, 100)
	if err != nil || len(stored) == 0 {
		w.t.Fatal(err)
	}
	last := stored[len(stored)-1]
	err = w.s.SaveRuling(ctx, onramp.Ruling{To: last.Seq, Changes: []onramp.RowChange{{
		Event: last.Seq, RegistrationSeq: r.Seq, SubscriberKey: person, Destination: w.destination("x"), Values: []byte(`{"Last":"` + name + `"}`),
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Nothing that someone typed, or that quotes it, stands in clear text in any file of the
// database: not in its log, and not after a kill.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := newWorld(t, engine{"sqlite", "sqlite", func(testing.TB) string { return filepath.Join(folder, "onramp.db") }, reversing{}})
	inClear := func(when string) {
		t.Helper()
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			for _, text := range append(slices.Clone(marked), "mark.address", "mark-held") {
				if bytes.Contains(bytes.ToLower(content), []byte(strings.ToLower(text))) {
					t.Errorf("%s, %s holds %s in clear text", when, filepath.Base(path), text)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.live("mark.address@example.org", "Marknameson")
	inClear("while it is open") // as a kill leaves it
	if _, err := os.Stat(w.url + "-wal"); err != nil {
		t.Error("there is no log to look at:", err)
	}
	w.reopen()
	inClear("after a restart")
	d := w.find("Marknameson1.1")
	if len(d.Attempts) != 1 || d.Attempts[0].Answer != "mark answered Marknameson" || d.Attempts[0].Request != "Marknameson" || d.Attempts[0].Detail != "mark.detail mark.address@example.org" ||
		len(d.Edits) != 1 || !strings.Contains(string(d.Edits[0].Values), `"Marknameson"`) || d.SubscriberKey != "mark.address@example.org" ||
		string(d.Values) != `{"email":"mark.address@example.org","last":"Marknameson jr"}` || !strings.HasPrefix(d.Reason, "mark.detail mark.address@example.org") {
		t.Errorf("it is read as %+v", d)
	}
	held, err := w.s.FindRegistration(t.Context(), w.ids["Marknameson2"])
	if err != nil || held.Hold.Detail != "limit: mark-held Marknameson" {
		t.Errorf("why it is held is read as %q, %v", held.Hold.Detail, err)
	}
	fresh, _, _, err := w.s.ListFresh(t.Context(), w.destination("x"), 0, 10)
	if err != nil || len(fresh) != 1 || string(fresh[0].Values) != `{"Last":"Marknameson"}` || fresh[0].Event == nil || !strings.Contains(string(fresh[0].Event.Body), "Marknameson") {
		t.Errorf("what the event changes is read as %+v, %v", fresh, err)
	}
}

// Once the key of a person is destroyed, nothing of theirs can be read, here and in a copy of
// the database from before, while everything of the others can; lists go on. Who comes back is
// a new person.
func TestDestroyPerson(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.destroys = true
		w.live("ana@example.org", "Anason")
		w.live("bea@example.org", "Beason")
		before, err := w.s.FindRegistration(ctx, w.ids["Beason1"])
		if err != nil {
			t.Fatal(err)
		}
		copied := w.copyFile()
		if w.s.WasErased("ana@example.org") {
			t.Error("she was erased before")
		}
		if err := w.s.DestroyPerson(ctx, "ANA@example.org"); err != nil {
			t.Fatal(err)
		}
		check := func(t *testing.T, w *world, when string) {
			t.Helper()
			if !w.s.WasErased("Ana@example.org") || w.s.WasErased("bea@example.org") {
				t.Error(when, "it is not known who was erased")
			}
			for _, name := range []string{"Anason1", "Anason2"} {
				r, err := w.s.FindRegistration(ctx, w.ids[name])
				if err != nil || r.State != onramp.RegistrationErased || r.SubscriberKey != "" || string(r.Values) != "{}" || r.Hold.Detail != "" {
					t.Errorf("%s %s is %+v, %v", when, name, r, err)
				}
				for _, e := range r.Edits {
					if e.SubscriberKey != "" || string(e.Values) != "{}" {
						t.Errorf("%s an edit is read as %+v", when, e)
					}
				}
			}
			d := w.find("Anason1.1")
			if d.State != onramp.DeliveryErased || d.Reason != "" || string(d.Values) != "{}" || len(d.Attempts) != 1 || d.Attempts[0].Answer+d.Attempts[0].Request+d.Attempts[0].Detail != "" {
				t.Errorf("%s the delivery is %+v", when, d)
			}
			page, _, _, err := w.s.ListRegistrations(ctx, onramp.Filter{})
			if err != nil || len(page) < 4 {
				t.Fatalf("%s the list is %v, %v", when, page, err)
			}
			events, _, _, err := w.s.ListEvents(ctx, onramp.EventFilter{})
			if err != nil || len(events) != 2 || events[1].Type != "TransactionalSendEvents.EmailBounced" || strings.Contains(string(events[1].Body), "Anason") ||
				!strings.Contains(string(events[0].Body), "Beason") {
				t.Errorf("%s the events are %+v, %v", when, events, err)
			}
			if deliveries, _, _, err := w.s.ListDeliveries(ctx, onramp.Filter{}); err != nil || len(deliveries) < 8 {
				t.Errorf("%s there are %d deliveries, %v", when, len(deliveries), err)
			}
			bea, err := w.s.FindRegistration(ctx, w.ids["Beason1"])
			if err != nil || bea.SubscriberKey != "bea@example.org" || !bytes.Equal(bea.Values, before.Values) || bea.State != before.State {
				t.Errorf("%s the other one is %+v, %v", when, bea, err)
			}
		}
		check(t, w, "at once")
		w.reopen()
		check(t, w, "after a restart")
		// what was on its way is not sent, and counts as erased
		fresh, _, _, err := w.s.ListFresh(ctx, w.destination("x"), 0, 10)
		if err != nil || len(fresh) != 1 || fresh[0].SubscriberKey != "bea@example.org" {
			t.Errorf("to be sent are %+v, %v", fresh, err)
		}
		r := w.registration("both", "ana@example.org") // she comes back
		if _, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{}, false); err != nil {
			t.Fatal(err)
		}
		if back, err := w.s.FindRegistration(ctx, r.ID); err != nil || back.SubscriberKey != "ana@example.org" || back.State != onramp.RegistrationQueued {
			t.Errorf("who comes back is %+v, %v", back, err)
		}
		if copied != "" {
			if err := w.s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, ending := range []string{"-wal", "-shm"} {
				_ = os.Remove(w.url + ending)
			}
			if err := os.Rename(copied, w.url); err != nil {
				t.Fatal(err)
			}
			w.open()
			check(t, w, "in the copy from before")
		}
	})
}

// copyFile copies the SQLite file as it is; "" on PostgreSQL.
func (w *world) copyFile() string {
	w.t.Helper()
	if w.e.driver != "sqlite" {
		return ""
	}
	copied := filepath.Join(w.t.TempDir(), "copy.db")
	w.exec(`VACUUM INTO '` + copied + `'`)
	return copied
}

// An older copy of the keys of persons takes nothing back: the database knows who was erased.
func TestOlderPersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sealedEngines[0])
	w.live("ana@example.org", "Anason")
	w.destroys = true
	older, err := os.ReadFile(w.url + ".persons")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.s.DestroyPerson(t.Context(), "ana@example.org"); err != nil {
		t.Fatal(err)
	}
	newer, err := os.ReadFile(w.url + ".persons")
	if err != nil || len(newer) <= len(older) {
		t.Errorf("the state has %d bytes, and had %d, %v", len(newer), len(older), err)
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.url+".persons", older, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	if r, err := w.s.FindRegistration(t.Context(), w.ids["Anason1"]); err != nil || r.State != onramp.RegistrationErased || string(r.Values) != "{}" {
		t.Errorf("she is read as %+v, %v", r, err)
	}
	if notices := strings.Join(w.s.Notices(), "\n"); !strings.Contains(notices, "was an older copy") {
		t.Errorf("the notices are %q", notices)
	}
}

// Without the keys of persons, or with those of another database, nothing starts, and
// nothing is lost: it says what to do.
func TestPersonsMissing(t *testing.T) {
	t.Parallel()
	w, foreign := newWorld(t, sealedEngines[0]), newWorld(t, sealedEngines[0])
	w.live("ana@example.org", "Anason")
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(w.url + ".persons")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(foreign.url + ".persons")
	if err != nil {
		t.Fatal(err)
	}
	for want, content := range map[string][]byte{"onramp.db.persons is missing": nil, "belongs to another database": theirs, "can't be read": []byte("damaged")} {
		if err := os.Remove(w.url + ".persons"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if content != nil {
			if err := os.WriteFile(w.url+".persons", content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := store.Open(t.Context(), store.Config{URL: w.url, Cipher: reversing{}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "persons.key") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := os.WriteFile(w.url+".persons", own, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	if d := w.find("Anason1.1"); !strings.Contains(string(d.Values), "Anason") {
		t.Errorf("it is read as %+v", d)
	}
}

// A database whose encryption key is lost can be opened again, without what was encrypted:
// that is not sent, and everything else goes on.
func TestPersonsLost(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana")
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), store.Config{URL: w.url, Cipher: other{}, Keyless: true})
		if err != nil {
			t.Fatal(err)
		}
		lost, err := s.ResetKept(t.Context(), nil, true)
		if err != nil || !slices.ContainsFunc(lost, func(u store.Unreadable) bool { return u.Kind == "keys of persons" && u.Lost != "" }) {
			t.Errorf("lost are %v, %v", lost, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
		fresh, _, _, err := w.s.ListFresh(t.Context(), w.destination("y"), 0, 10)
		if err != nil || len(fresh) > 0 {
			t.Errorf("to be sent are %+v, %v", fresh, err)
		}
		if d := w.find("ana.1"); d.State != dead || !strings.HasPrefix(d.Reason, "its personal data can't be read") {
			t.Errorf("the delivery is %s: %s", d.State, d.Reason)
		}
		w.save("one", "bea")
		if d := w.find("bea.1"); d.SubscriberKey != "bea" {
			t.Errorf("a new one is %+v", d)
		}
	})
}

// Texts of a database from before, and with the setting off, are read beside encrypted
// ones.
func TestClearAndEncrypted(t *testing.T) {
	onBothClear(t, func(t *testing.T, w *world) {
		w.save("one", "old")
		for i, clear := range []bool{false, true, false} {
			w.cipher, w.clear = reversing{}, clear
			w.reopen()
			if w.s.Encrypts() == clear {
				t.Error("it is not as the setting says")
			}
			w.save("one", []string{"sealed", "clear", "again"}[i])
		}
		for _, name := range []string{"old", "sealed", "clear", "again"} {
			if d := w.find(name + ".1"); d.SubscriberKey != name || string(d.Values) != `{"EmailAddress":"`+name+`@example.org"}` {
				t.Errorf("%s is read as %+v", name, d)
			}
		}
		inClear := w.countBy(`SELECT subscriber_key, COUNT(*) FROM registration GROUP BY subscriber_key`)
		if inClear["old"] != 1 || inClear["clear"] != 1 || inClear[""] != 2 {
			t.Errorf("in clear text are %v", inClear)
		}
		// a repeat of a person is in the same order, whatever was encrypted meanwhile
		w.save("one", "old2")
	})
}
