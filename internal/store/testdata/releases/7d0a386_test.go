package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/store"
)

// TestMakeRelease makes the database of this release, see README.md beside it.
// Registrations are named by their subscriber key and a number.
func TestMakeRelease(t *testing.T) {
	path := os.Getenv("RELEASE")
	cipher, err := keyset.OpenFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, e: sqliteEngine, url: path, clock: &clock{at: begin}, cipher: cipher, forms: map[string]*onramp.Form{},
		ids: map[string]string{}, names: map[string]string{},
	}
	if w.s, err = store.Open(t.Context(), store.Config{URL: path, Now: w.clock.now, Cipher: cipher}); err != nil {
		t.Fatal(err)
	}
	if w.db, err = sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)"); err != nil {
		t.Fatal(err)
	}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations"}
	journey := onramp.Destination{Kind: onramp.Journey, Key: "APIEvent-sandbox-welcome"}
	registered, err := w.s.RegisterForms(t.Context(), []onramp.Form{
		{Name: "registration", Route: []onramp.Destination{row, journey}}, {Name: "newsletter", Route: []onramp.Destination{journey}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range registered {
		w.forms[f.Name] = f
	}
	w.makeSettled()
	w.makeFailed()
	w.makeEdited()
	w.makeEvents()
	w.makePending()
	w.makeKept()
	for _, d := range w.forms["registration"].Route {
		w.must(w.s.SaveReadTo(context.Background(), d.ID, w.readTo(d.ID)))
	}
	for name, counts := range w.s.Count().Deliveries {
		t.Log(name, counts)
	}
	t.Log(w.s.Count().Registrations, w.s.Count().Events, w.s.Count().Repeated, w.clock.now())
	w.must(w.s.Close())
	w.must(w.db.Close())
	if w.db, err = sql.Open("sqlite", path+"?_pragma=journal_mode(delete)"); err != nil {
		t.Fatal(err)
	}
	w.exec("VACUUM")
	w.must(w.db.Close())
}

func (w *world) must(errs ...error) {
	w.t.Helper()
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
}

// makeSettled makes deliveries that a call delivered together, and one that was
// delivered alone, at its third attempt.
func (w *world) makeSettled() {
	w.submit("registration", "ana1", "abe1")
	w.call([]onramp.Delivery{w.find("ana1.1"), w.find("abe1.1")})
	w.call([]onramp.Delivery{w.find("ana1.2"), w.find("abe1.2")})
	w.clock.advance(time.Minute)
	w.submit("registration", "bob1")
	busy := onramp.Outcome{
		Status: 503, Detail: "Service Unavailable", Mend: "nothing to do; it is tried again", Request: "POST /hub/v1/dataevents", Answer: "busy",
	}
	s := w.settlement(w.find("bob1.1"), pending, time.Second)
	s.Attempt.Outcome = busy
	s.Attempt.Verdict = onramp.Retry
	_, err := w.s.Settle(context.Background(), []onramp.Settlement{s})
	w.must(err)
	w.clock.advance(time.Minute)
	w.settle("bob1.1", pending, 0) // throttled
	w.settle("bob1.1", delivered, 0)
	w.settle("bob1.2", delivered, 0)
}

var (
	noColumn = onramp.Outcome{
		Status: 400, Code: 10006, Detail: "no such column 1", Mend: "add the column to the data extension",
		Request: `[{"keys":{"SubscriberKey":"x"}}]`, Answer: `{"message":"no such column 1","errorcode":10006}`,
	}
	noAnswer = onramp.Outcome{Detail: "no answer", Mend: "look in the journey whether it has entered"}
)

// makeFailed makes those that nothing happens to by itself.
func (w *world) makeFailed() {
	w.submit("registration", "cem1", "fay1", "hal1")
	w.submit("newsletter", "dan1", "eve1", "gus1", "ivo1")
	w.fail("cem1.1", dead, noColumn) // its second step is out of reach
	again := noColumn
	again.Detail = "no such column 22"
	w.fail("dan1.1", dead, again)
	w.fail("eve1.1", dead, again)
	w.settle("fay1.1", delivered, 0)
	w.fail("fay1.2", held, noAnswer)
	w.fail("gus1.1", held, noAnswer)
	w.discard("hal1.1")
	w.fail("ivo1.1", dead, again)
	w.discard("ivo1.1")
}

// makeEdited makes one that was edited and stayed dead, and one that was edited,
// retried and delivered.
func (w *world) makeEdited() {
	w.submit("registration", "lea1", "mia1")
	for _, name := range []string{"lea1", "mia1"} {
		w.fail(name+".1", dead, noColumn)
		d := w.find(name + ".1")
		edit := onramp.Edit{Fields: []string{"email"}, SubscriberKey: d.SubscriberKey, Values: d.Values}
		w.must(w.s.EditDelivery(context.Background(), w.id(name+".1"), edit,
			onramp.Registration{SubscriberKey: d.SubscriberKey, Values: []byte(`{"EmailAddress":"` + name + `@example.com"}`)}))
	}
	w.retry("mia1.1")
	w.settle("mia1.1", delivered, 0)
	w.settle("mia1.2", delivered, 0)
}

// makeEvents makes events of two callbacks, with deliveries to a sink and one to
// a row.
func (w *world) makeEvents() {
	ctx := context.Background()
	sink := w.withEvents()
	first := w.id("ana1.2") // the key of a message is the name of its delivery
	sent1, sent2, sent3, sent4 := sent("ana", 1, first), sent("bob", 2, "m2"), sent("cem", 3, "m3"), sent("dan", 4, "m4")
	w.receive([]int{sink}, sent1, sent2)
	w.receive([]int{sink}, sent1, sent3, sent4, sent4)
	w.receive(nil, opened(1, 100), opened(77, 200), `"no event at all"`)
	other := w.events(nil, sent("zoe", 9, "m9"), sent("zoe", 9, "m9"))
	_, err := w.s.SaveEvents(ctx, "other", other)
	w.must(err)
	fresh, _, err := w.s.ListFresh(ctx, sink, 0, 10)
	w.must(err)
	w.settleRead(fresh[0], delivered, 0)
	w.settleRead(fresh[1], dead, 0)
	w.settleRead(fresh[2], pending, time.Minute) // the fourth stays as it is
	events, err := w.s.ListEventsAfter(ctx, 0, 100)
	w.must(err)
	r, found, err := w.s.FindRegistrationOf(ctx, "ana", "registration", &events[0])
	if err != nil || !found {
		w.t.Fatal(found, err)
	}
	change := onramp.RowChange{
		Event: events[0].Seq, RegistrationSeq: r.Seq, SubscriberKey: "ana",
		Destination: w.forms["registration"].Route[0].ID, Values: json.RawMessage(`{"OptInStatus":false}`),
	}
	var unjoined []onramp.Event
	for _, e := range events {
		if e.Send == "5.77.9" {
			unjoined = append(unjoined, e)
		}
	}
	w.must(w.s.SaveRuling(ctx, onramp.Ruling{To: events[len(events)-1].Seq, Changes: []onramp.RowChange{change}, Unjoined: unjoined}))
	if _, err := w.s.Timeline(ctx, r.ID); err != nil { // indexes the events
		w.t.Fatal(err)
	}
}

// makePending makes those that are to be sent: parked with a time, parked behind
// one of their key, and fresh. Two came with idempotency keys, of which one has
// been moved to its table.
func (w *world) makePending() {
	w.submit("registration", "ida1", "ida2", "ida3")
	w.settle("ida1.1", pending, 30*time.Minute)
	w.park("ida2.1", "ida3.1")
	w.submit("newsletter", "jan1", "jan2")
	w.settle("jan1.1", pending, 20*time.Minute)
	w.park("jan2.1")
	w.submitKeyed("registration", "nia1", onramp.NewIdempotencyKey("registration", "first key", []byte("first body")))
	w.must(w.s.Freeze(context.Background()))
	w.submit("registration", "kim1") // takes the key along
	w.settle("kim1.1", delivered, 0)
	w.submitKeyed("registration", "nia2", onramp.NewIdempotencyKey("registration", "second key", []byte("second body")))
	w.submit("registration", "joe1", "ida4", "joe2")
	w.submit("newsletter", "joe3")
}

// submit stores registrations that tell their names.
func (w *world) submit(form string, names ...string) {
	for _, name := range names {
		w.submitKeyed(form, name, onramp.IdempotencyKey{})
	}
}

func (w *world) submitKeyed(form, name string, key onramp.IdempotencyKey) {
	r := w.registration(form, name[:3])
	r.Values = fmt.Appendf(nil, `{"EmailAddress":"%s@example.org","FirstName":"%s","OptInStatus":true,"RegistrationTimestamp":"2026-01-05T12:00:00Z"}`, name[:3], name)
	_, err := w.s.SaveRegistration(context.Background(), &r, key, false)
	w.must(err)
	w.ids[name], w.names[r.ID] = r.ID, name
}

// makeKept makes what is kept encrypted, and the token, which this release keeps
// in clear text.
func (w *world) makeKept() {
	ctx := context.Background()
	w.must(
		w.s.SaveScheme(ctx, onramp.Scheme{Name: "client_credentials:demo-ens", AuthID: "a1", Digest: "d"}),
		w.s.SaveCallbackRecord(ctx, onramp.CallbackRecord{
			Name: "events", CallbackID: "c1", URL: "https://signup.example.com/v1/ens/events", SignatureKeys: []onramp.Secret{"a2V5IDI=", "a2V5IDE="},
			AuthID: "a1", MaxBatch: 1000, Verified: true, CreatedAt: begin,
		}),
		w.s.SaveProbe(ctx, onramp.Probe{Callback: "events", CallbackID: "c1", VerificationKey: "v", ReceivedAt: begin}),
		w.s.SaveSigningKey(ctx, onramp.SigningKey{ID: "k1", Seed: []byte("a seed of 32 bytes, for tests 32"), CreatedAt: begin}),
		w.s.SaveTokenClient(ctx, onramp.TokenClient{ID: "added", Secrets: []onramp.Secret{"new secret of a client", "old secret of a client"}}),
		w.s.SaveToken(ctx, []byte(`{"access_token":"clear","expires_at":"2026-01-05T12:20:00Z"}`)),
	)
}

// readTo is the seq up to which a destination has nothing that only a cursor
// finds.
func (w *world) readTo(destination int) (seq int64) {
	row := w.db.QueryRow(fmt.Sprintf(`SELECT COALESCE(MIN(seq) - 1, 0) FROM delivery
		WHERE destination_id = %d AND state IN (1, 2) AND due_at IS NULL`, destination))
	w.must(row.Scan(&seq))
	return seq
}
