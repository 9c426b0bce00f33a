// Package storetest gives tests of other packages a real store, and brings what is
// in it to an end as the pump would.
package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// ReceivedAt is when the registrations of a test were accepted.
var ReceivedAt = time.Date(2026, 6, 23, 14, 52, 45, 123456000, time.UTC)

// Open opens an empty SQLite store with forms, and gives the forms by their names.
// The store is closed when the test has ended.
func Open(t *testing.T, forms []onramp.Form) (*store.Store, map[string]*onramp.Form) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "onramp.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	registered, err := s.RegisterForms(t.Context(), forms)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*onramp.Form{}
	for _, f := range registered {
		byName[f.Name] = f
	}
	return s, byName
}

// SettleSteps brings a registration to its end: every step gets the state, or those
// after the first one that is not delivered stay.
func SettleSteps(t *testing.T, s *store.Store, id string, steps ...onramp.DeliveryState) {
	t.Helper()
	for i, state := range steps {
		d, err := s.FindDelivery(t.Context(), onramp.DeliveryID(id, i+1))
		if err != nil {
			t.Fatal(err)
		}
		Settle(t, s, &d, state)
	}
}

// Settle settles a delivery with the outcome of its state, a minute for each step
// after ReceivedAt; what is pending is due an hour later.
func Settle(t *testing.T, s *store.Store, d *onramp.Delivery, state onramp.DeliveryState) {
	t.Helper()
	at := ReceivedAt.Add(time.Duration(d.Step) * time.Minute)
	settlement := onramp.Settlement{
		Delivery: d, State: state, Tries: d.Tries + 1, At: at,
		Attempt: &onramp.Attempt{StartedAt: at.Add(-time.Second), Took: 1500 * time.Microsecond, Outcome: Outcome(state)},
	}
	if state == onramp.DeliveryPending {
		settlement.DueAt = at.Add(time.Hour)
	}
	if _, err := s.Settle(t.Context(), []onramp.Settlement{settlement}); err != nil {
		t.Fatal(err)
	}
}

// Outcome is what leads to a state: one of delivered, dead, unknown and pending.
func Outcome(state onramp.DeliveryState) onramp.Outcome {
	return map[onramp.DeliveryState]onramp.Outcome{
		onramp.DeliveryDelivered: {Verdict: onramp.Delivered, Status: 200, Detail: "written"},
		onramp.DeliveryDead:      {Verdict: onramp.Rejected, Status: 400, Code: 10006, Detail: "refused", Hint: "correct the column", Request: "[{}]", Answer: "{}"},
		onramp.DeliveryUnknown:   {Verdict: onramp.Unknown, Detail: "no answer", Hint: "look whether it has arrived", Request: "[{}]"},
		onramp.DeliveryPending:   {Verdict: onramp.Retry, Status: 503, Detail: "try again", Request: "[{}]"},
	}[state]
}
