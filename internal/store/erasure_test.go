package store_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
)

// erase erases a person as erasure.Desk does, as far as it is stored here.
func (w *world) erase(s erasure.Subject) (r erasure.Run, found erasure.Found) {
	w.t.Helper()
	ctx := context.Background()
	found, err := w.s.FindSubject(ctx, s, func(r *onramp.Registration) bool { return onramp.SamePerson(r.SubscriberKey, s.SubscriberKey+s.Email) }, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r = erasure.Run{ID: onramp.NewID(w.clock.now()), Kind: erasure.Erase, State: erasure.Running, BeganAt: w.clock.now()}
	if _, err := w.s.BeginErasure(ctx, &r, &found, []byte(`{"contacts":["ana"]}`)); err != nil {
		w.t.Fatal(err)
	}
	for more := true; more; {
		if _, more, err = w.s.ErasePortion(ctx, r.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return r, found
}

func eventOf(key, kind string, at time.Time) onramp.Event {
	body, _ := json.Marshal(map[string]any{
		"eventCategoryType": "TransactionalSendEvents." + kind, "timestampUTC": at.UnixMilli(),
		"composite": map[string]string{"jobId": "1", "batchId": "2", "subscriberId": "3", "subscriberKey": key}, "info": map[string]string{"to": key + "@example.org"},
	})
	e := onramp.ReadEvent(body)
	e.ReceivedAt = at
	return e
}

// Nothing of an erased person is left, also what was still to be sent; others are as before;
// a late event brings nothing back, and who registers again is somebody new.
func TestErasure(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.save("both", "ana1", "bob1", "ana2")
		w.settle("ana1.1", delivered, 0)
		w.settle("bob1.1", delivered, 0)
		if err := w.s.RegisterCallbacks(ctx, []string{"events"}); err != nil {
			t.Fatal(err)
		}
		save := func(events ...onramp.Event) {
			t.Helper()
			if _, err := w.s.SaveEvents(ctx, "events", events); err != nil {
				t.Fatal(err)
			}
		}
		at := w.clock.now()
		save(eventOf("ana", "EmailSent", at), eventOf("bob", "EmailSent", at))
		r, found := w.erase(erasure.Subject{SubscriberKey: "ANA"})
		if found.Registrations != 2 || found.Deliveries != 4 || found.Events != 1 || found.OnTheirWay != 3 {
			t.Errorf("found %+v", found)
		}
		targets, err := w.s.FindTargets(ctx, r.ID)
		if err != nil || string(targets) != `{"contacts":["ana"]}` {
			t.Errorf("targets %s, %v", targets, err)
		}
		save(eventOf("ana", "EmailBounced", at.Add(time.Second)))
		counts := w.s.Count()
		want := map[onramp.RegistrationState]int64{onramp.RegistrationErased: 2, onramp.RegistrationDelivering: 1}
		if diff := cmp.Diff(want, nonzero(counts.Registrations)); diff != "" {
			t.Error(diff)
		}
		for _, name := range []string{"ana1", "ana2"} {
			one, err := w.s.FindRegistration(ctx, w.ids[name])
			if err != nil || one.State != onramp.RegistrationErased || one.SubscriberKey != "" || string(one.Values) != "{}" {
				t.Errorf("%s: %+v, %v", name, one, err)
			}
		}
		page, _, _, err := w.s.ListEvents(ctx, onramp.EventFilter{})
		var bodies []string
		for _, e := range page {
			bodies = append(bodies, e.Type+" "+e.SubscriberKey)
		}
		if diff := cmp.Diff([]string{"TransactionalSendEvents.EmailBounced ", "TransactionalSendEvents.EmailSent bob", "TransactionalSendEvents.EmailSent "}, bodies); diff != "" || err != nil {
			t.Error(diff, err)
		}
		fresh, _, _, err := w.s.ListFresh(ctx, w.destination("x"), 0, 10)
		if err != nil || len(fresh) > 0 {
			t.Errorf("still to be sent: %+v, %v", fresh, err)
		}
		if b := w.find("bob1.2"); b.SubscriberKey != "bob" {
			t.Errorf("bob is %+v", b)
		}
		if erased, err := w.s.ErasedAt(ctx, "Ana"); err != nil || !erased.Equal(w.clock.now()) {
			t.Error(erased, err)
		}

		w.save("both", "ana3")
		save(eventOf("ana", "EmailSent", at.Add(time.Minute)))
		page, _, _, err = w.s.ListEvents(ctx, onramp.EventFilter{Limit: 1})
		if err != nil || len(page) != 1 || !strings.Contains(string(page[0].Body), "ana@example.org") {
			t.Errorf("an event of who has come back: %+v, %v", page, err)
		}

		now := w.clock.now()
		r.State, r.EndedAt = erasure.Done, &now
		if err := w.s.SaveErasure(ctx, &r); err != nil {
			t.Fatal(err)
		}
		if targets, err = w.s.FindTargets(ctx, r.ID); err != nil || strings.Contains(string(targets), "ana") {
			t.Errorf("targets after the end: %s, %v", targets, err)
		}
		kept, err := w.s.FindErasure(ctx, r.ID)
		if err != nil || kept.State != erasure.Done {
			t.Error(kept, err)
		}
		if open, err := w.s.ListErasures(ctx, true); len(open) > 0 || err != nil {
			t.Error(open, err)
		}
	})
}
