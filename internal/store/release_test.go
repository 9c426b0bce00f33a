package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/store"
)

// The fourth step moves the counts of events out of the table in which a callback
// stood in place of a state, and those of registrations to the state's new number.
func TestMoveTallies(t *testing.T) {
	t.Parallel()
	for _, e := range []engine{sqliteEngine, pgEngine} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.newURL(t)
			db, err := sql.Open(e.driver, url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := store.MigrateTo(t.Context(), db, e.driver, 3); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				`INSERT INTO callback (id, name) VALUES (1, 'events'), (7, 'other'), (9, 'silent')`,
				`INSERT INTO destination (id, name, read_to) VALUES (1, 'journey:y', 0)`,
				`INSERT INTO tally (destination_id, state, n) VALUES (-1, 1, 20), (-2, 1, 3), (-1, 7, 5), (-2, 9, 8), (0, 1, 4), (0, 2, 6), (1, 7, 2)`,
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second start finds it done
				s, err := store.Open(t.Context(), store.Config{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				want := onramp.Counts{
					Registrations: map[onramp.RegistrationState]int64{onramp.RegistrationUnknown: 4, onramp.RegistrationQueued: 6},
					Deliveries:    map[string]map[onramp.DeliveryState]int64{"journey:y": {onramp.DeliveryDiscarded: 2}},
					Events:        map[string]int64{"events": 20, "other": 5, "silent": 0},
					Repeated:      map[string]int64{"events": 3, "other": 0, "silent": 8},
				}
				if diff := cmp.Diff(want, s.Count()); diff != "" {
					t.Error(diff)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var left int
			if err := db.QueryRow(`SELECT COUNT(*) FROM tally WHERE destination_id < 0`).Scan(&left); err != nil || left > 0 {
				t.Errorf("%d counts of events are left in tally, %v", left, err)
			}
		})
	}
}

// released opens a copy of the database that a release has left, see
// testdata/releases, with its key and its forms. Registrations are named by their
// subscriber keys and a number, as the release's program named them.
func released(t *testing.T, release string) *world {
	t.Helper()
	path := filepath.Join("testdata", "releases", release)
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := keyset.Open(onramp.Secret(key))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, engine{release, "sqlite", func(t testing.TB) string {
		content, err := os.ReadFile(path + ".sqlite")
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "onramp.db")
		if err := os.WriteFile(copied, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return copied
	}, cipher})
	w.clock.advance(time.Hour) // it was left two minutes after the clock's start
	w.reopen()
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
	rows, err := w.db.Query(`SELECT id, subscriber_key FROM registration ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	of := map[string]int{}
	for rows.Next() {
		var id, key string
		if err := rows.Scan(&id, &key); err != nil {
			t.Fatal(err)
		}
		of[key]++
		name := fmt.Sprint(key, of[key])
		w.ids[name], w.names[id] = id, name
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return w
}

// What a release has stored means the same to the newest code.
func TestReleased(t *testing.T) {
	t.Parallel()
	w := released(t, "7d0a386")
	const rows, journey = "data_extension:Web_Registrations", "journey:APIEvent-sandbox-welcome"
	counts := w.s.Count()
	want := onramp.Counts{
		// its two held registrations are unknown ones now
		Registrations: map[onramp.RegistrationState]int64{
			onramp.RegistrationQueued: 9, onramp.RegistrationDelivering: 3, onramp.RegistrationDelivered: 4,
			onramp.RegistrationFailed: 6, onramp.RegistrationUnknown: 2,
		},
		Deliveries: map[string]map[onramp.DeliveryState]int64{
			rows:       {pending: 9, delivered: 6, dead: 2, onramp.DeliveryDiscarded: 1},
			journey:    {onramp.DeliveryWaiting: 8, pending: 4, delivered: 4, dead: 2, onramp.DeliveryDiscarded: 1, unknown: 2, onramp.DeliveryOutOfReach: 3},
			"sink:crm": {pending: 2, delivered: 1, dead: 1},
		},
		Events: map[string]int64{"events": 7, "other": 1}, Repeated: map[string]int64{"events": 2, "other": 1},
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
	w.checkCounts() // from the rows
	w.wantReleasedLists()
	w.wantReleasedDetails()
	w.wantReleasedKeys()
	w.wantReleasedSecrets()
}

// wantReleasedLists checks what an operator's lists show.
func (w *world) wantReleasedLists() {
	w.t.Helper()
	ctx := w.t.Context()
	for state, want := range map[string]string{
		"unknown": "gus1.1 fay1.2", "held": "", "dead": "crm lea1.1 eve1.1 dan1.1 cem1.1", "discarded": "ivo1.1 hal1.1",
	} {
		page, next, _, err := w.s.ListDeliveries(ctx, onramp.Filter{State: state})
		if err != nil || next != "" {
			w.t.Fatal(next, err)
		}
		var got []string
		for _, d := range page {
			if d.RegistrationID == "" {
				got = append(got, strings.TrimPrefix(d.Destination, "sink:"))
			} else {
				got = append(got, fmt.Sprint(w.names[d.RegistrationID], ".", d.Step))
			}
		}
		if got := strings.Join(got, " "); got != want {
			w.t.Errorf("%s deliveries are %s, want %s", state, got, want)
		}
	}
	for state, want := range map[string]string{"unknown": "gus1 fay1", "held": "", "delivering": "kim1 jan1 ida1", "delivered": "mia1 bob1 abe1 ana1"} {
		page, _, _, err := w.s.ListRegistrations(ctx, onramp.Filter{State: state})
		if err != nil {
			w.t.Fatal(err)
		}
		var got []string
		for _, r := range page {
			got = append(got, w.names[r.ID])
		}
		if got := strings.Join(got, " "); got != want {
			w.t.Errorf("%s registrations are %s, want %s", state, got, want)
		}
	}
	groups, err := w.s.ListCauses(ctx, onramp.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		got = append(got, fmt.Sprintf("%d %s at %s: %s", g.Count, g.State, g.Destination, g.Reason))
	}
	want := []string{
		"2 dead at data_extension:Web_Registrations: no such column 1; add the column to the data extension",
		"2 unknown at journey:APIEvent-sandbox-welcome: no answer; look in the journey whether it has entered",
		"2 dead at journey:APIEvent-sandbox-welcome: no such column 22; add the column to the data extension",
		"1 dead at sink:crm: answered; mend it",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
}

// wantReleasedDetails checks attempts, edits and events.
func (w *world) wantReleasedDetails() {
	w.t.Helper()
	ctx := w.t.Context()
	var got []string
	for _, a := range append(w.find("bob1.1").Attempts, w.find("ana1.2").Attempts...) {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %d %s %s %s %s", a.Number, a.Verdict, a.Status, a.Detail, a.Hint, a.Request, a.Answer)))
	}
	want := []string{
		"1 retry 503 Service Unavailable nothing to do; it is tried again POST /hub/v1/dataevents busy",
		"2 throttled 0 answered", "3 delivered 0 answered", "1 delivered 200 row stored",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
	edited := w.find("lea1.1")
	if len(edited.Edits) != 1 || !strings.Contains(string(edited.Edits[0].Values), "lea@example.org") || !strings.Contains(string(edited.Values), "lea1@example.com") {
		w.t.Errorf("%s was edited: %+v", edited.Values, edited.Edits)
	}
	items, err := w.s.Timeline(ctx, w.ids["ana1"])
	if err != nil {
		w.t.Fatal(err)
	}
	got = nil
	for _, i := range items {
		got = append(got, i.What)
	}
	if want := "accepted attempt attempt event event delivered delivered"; strings.Join(got, " ") != want {
		w.t.Errorf("the timeline is %v, want %s", got, want)
	}
	unjoined, err := w.s.ListUnjoined(ctx)
	if err != nil || len(unjoined) != 1 || unjoined[0].Send != "5.77.9" {
		w.t.Errorf("unjoined are %+v, %v", unjoined, err)
	}
	again := w.events(nil, sent("bob", 2, "m2"), sent("bob", 20, "m2"))
	if n, err := w.s.SaveEvents(ctx, "events", again); err != nil || n != 1 {
		w.t.Errorf("%d of one repeated event and a new one were stored, %v", n, err)
	}
}

// wantReleasedKeys repeats requests with their idempotency keys, one of which was
// still in memory when the release ended.
func (w *world) wantReleasedKeys() {
	w.t.Helper()
	for i, number := range []string{"first", "second"} {
		for body, same := range map[string]bool{number + " body": true, "another body": false} {
			r := w.registration("registration", "nia")
			accepted, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.NewIdempotencyKey("registration", number+" key", []byte(body)), false)
			if !same {
				wantKind(w.t, number+" key with another body", err, onramp.Invalid)
				continue
			}
			if want := fmt.Sprint("nia", i+1); err != nil || !accepted.Repeated || w.names[accepted.Registration.ID] != want {
				w.t.Errorf("the %s key stands for %+v, %v; want %s", number, accepted, err, want)
			}
		}
	}
}

// wantReleasedSecrets checks what was encrypted, and the token, which was not.
func (w *world) wantReleasedSecrets() {
	w.t.Helper()
	ctx := w.t.Context()
	schemes, err1 := w.s.ListSchemes(ctx)
	records, err2 := w.s.ListCallbackRecords(ctx)
	probes, err3 := w.s.ListProbes(ctx, "events")
	keys, err4 := w.s.ListSigningKeys(ctx)
	clients, err5 := w.s.ListTokenClients(ctx)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	got := []string{
		schemes[0].AuthID, records[0].SignatureKeys[1].Reveal(), probes[0].VerificationKey.Reveal(), string(keys[0].Seed), clients[0].Secrets[0].Reveal(),
	}
	want := []string{"a1", "a2V5IDE=", "v", "a seed of 32 bytes, for tests 32", "new secret of a client"}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
	w.wantToken(`{"access_token":"clear","expires_at":"2026-01-05T12:20:00Z"}`)
	w.saveToken("a new token")
	w.wantNoClearToken()
	w.reopen()
	w.wantToken("a new token")
}

// What a release has left to send is sent, in the order of each key, together
// with what an operator has retried and what comes in now.
func TestReleasedPending(t *testing.T) {
	t.Parallel()
	w := released(t, "7d0a386")
	w.save("registration", "ida5")
	w.retry("fay1.2")
	if r, err := w.s.RetryDeliveries(t.Context(), onramp.Filter{State: "unknown"}, false, nil); err != nil || r.Count != 1 {
		t.Errorf("%d unknown deliveries were retried, %v; want the other one", r.Count, err)
	}
	if r, err := w.s.RetryDeliveries(t.Context(), onramp.Filter{}, false, nil); err != nil || r.Count != 5 {
		t.Errorf("%d dead deliveries were retried, %v", r.Count, err)
	}
	got := w.deliverAll()
	want := map[string]string{
		"1 ana": "ana1.1", "1 cem": "cem1.1", "1 lea": "lea1.1", "1 nia": "nia1.1 nia2.1", "1 joe": "joe1.1 joe2.1",
		"1 ida": "ida1.1 ida2.1 ida3.1 ida4.1 ida5.1",
		"2 ida": "ida1.2 ida2.2 ida3.2 ida4.2 ida5.2",
		"2 nia": "nia1.2 nia2.2", "2 joe": "joe1.2 joe2.2 joe3.1", "2 jan": "jan1.1 jan2.1", "2 kim": "kim1.2",
		"2 cem": "cem1.2", "2 lea": "lea1.2", "2 fay": "fay1.2", "2 gus": "gus1.1", "2 dan": "dan1.1", "2 eve": "eve1.1",
		"3 bob": "event", "3 cem": "event", "3 dan": "event",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for id, deliveries := range w.registrations() {
		for _, d := range deliveries {
			if d.State != delivered && !strings.HasPrefix(w.names[id], "hal") && w.names[id] != "ivo1" {
				t.Errorf("%s.%d is %s", w.names[id], d.Step, d.State)
			}
		}
	}
}

// deliverAll delivers what there is to deliver as the pump does: the oldest of
// each key first, and the next when that is settled. It tells the order in which
// each destination, by its number, got those of a key.
func (w *world) deliverAll() map[string]string {
	w.t.Helper()
	ctx := context.Background()
	order := map[string]string{}
	for more := true; more; {
		more = false
		w.clock.advance(time.Minute)
		for destination := range w.s.Destinations() {
			for _, d := range w.next(ctx, destination+1) {
				w.settleRead(d, delivered, 0)
				more = true
				name := "event"
				if d.RegistrationID != "" {
					name = fmt.Sprint(w.names[d.RegistrationID], ".", d.Step)
				}
				key := fmt.Sprint(destination+1, " ", d.SubscriberKey)
				order[key] = strings.TrimSpace(order[key] + " " + name)
			}
		}
	}
	return order
}

// next lists the deliveries to a destination that may be sent now.
func (w *world) next(ctx context.Context, destination int) []onramp.Delivery {
	w.t.Helper()
	readTo, _, err := w.s.Resume(ctx, onramp.Destination{ID: destination})
	if err != nil {
		w.t.Fatal(err)
	}
	found, to, _, err := w.s.ListFresh(ctx, destination, readTo, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	due, _, err := w.s.ListDue(ctx, destination, to, w.clock.now(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	found = append(found, due...)
	slices.SortFunc(found, func(a, b onramp.Delivery) int { return int(a.Seq - b.Seq) })
	var next []onramp.Delivery
	taken := map[int64]bool{}
	for _, d := range found {
		if !d.Behind && !taken[d.OrderingKey] && d.State == pending {
			next = append(next, d)
		}
		taken[d.OrderingKey] = true
	}
	return next
}
