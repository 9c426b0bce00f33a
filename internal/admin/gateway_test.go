package admin_test

import (
	"path/filepath"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// gateway is a real store with the forms "registration" (of the contract) and
// "open".
type gateway struct {
	store *store.Store
	forms map[string]*onramp.Form
}

var receivedAt = time.Date(2026, 6, 23, 14, 52, 45, 123456000, time.UTC)

func newGateway(t *testing.T) *gateway {
	t.Helper()
	kept, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "onramp.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	registered, err := kept.RegisterForms(t.Context(), forms())
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{store: kept, forms: map[string]*onramp.Form{}}
	for _, f := range registered {
		g.forms[f.Name] = f
	}
	return g
}

func forms() []onramp.Form {
	no, source := onramp.Scalar{Kind: onramp.False}, onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumn: "SubscriberKey"}
	return []onramp.Form{
		{
			Name: "registration",
			Fields: []onramp.Field{
				{Name: "email", Label: "E-mail address", Column: "EmailAddress", Type: onramp.Email, Required: true, Max: 254},
				{Name: "first_name", Column: "FirstName", Max: 100},
				{Name: "last_name", Column: "LastName", Max: 100},
				{Name: "opt_in", Column: "OptInStatus", Type: onramp.Boolean, Default: &no},
				{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
				{Column: "Source", From: onramp.FromConstant, Constant: &source},
				{Column: "IPAddress", From: onramp.FromIP},
				{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
				{Column: "PageURL", From: onramp.FromPageURL, Max: 500},
			},
			Route: []onramp.Destination{row, {Kind: onramp.Journey, Key: "APIEvent-welcome", EstablishContactKey: true}},
		},
		{
			Name: "open", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{{Name: "note", Column: "Note"}},
			Route:  []onramp.Destination{row},
		},
	}
}

// accept stores a registration with one value and returns its id.
func (g *gateway) accept(t *testing.T, form, field, value string) string {
	t.Helper()
	r, err := g.forms[form].Accept(onramp.Submission{
		Inputs:     []onramp.Input{{Name: field, Value: onramp.Scalar{Kind: onramp.String, Text: value}}},
		ReceivedAt: receivedAt, IP: "192.0.2.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.store.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// registrations are all that are stored, the newest first.
func (g *gateway) registrations(t *testing.T) []onramp.Registration {
	t.Helper()
	page, _, err := g.store.ListRegistrations(t.Context(), onramp.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// settle brings a registration to its end, as the pump would: every step gets
// the state, or those after the first one that is not delivered stay.
func settle(t *testing.T, s *store.Store, id string, steps ...onramp.DeliveryState) {
	t.Helper()
	for i, state := range steps {
		d, err := s.FindDelivery(t.Context(), onramp.DeliveryID(id, i+1))
		if err != nil {
			t.Fatal(err)
		}
		settleOne(t, s, &d, state)
	}
}

func settleOne(t *testing.T, s *store.Store, d *onramp.Delivery, state onramp.DeliveryState) {
	t.Helper()
	at := receivedAt.Add(time.Duration(d.Step) * time.Minute)
	settlement := onramp.Settlement{
		Delivery: d, State: state, Tries: d.Tries + 1, At: at,
		Attempt: &onramp.Attempt{StartedAt: at.Add(-time.Second), Took: 1500 * time.Microsecond, Outcome: outcomes[state]},
	}
	if state == onramp.DeliveryPending {
		settlement.DueAt = at.Add(time.Hour)
	}
	if _, err := s.Settle(t.Context(), []onramp.Settlement{settlement}); err != nil {
		t.Fatal(err)
	}
}

var outcomes = map[onramp.DeliveryState]onramp.Outcome{
	onramp.DeliveryDelivered: {Verdict: onramp.Delivered, Status: 200, Detail: "written"},
	onramp.DeliveryDead:      {Verdict: onramp.Rejected, Status: 400, Code: 10006, Detail: "refused", Hint: "correct the column", Request: "[{}]", Answer: "{}"},
	onramp.DeliveryUnknown:   {Verdict: onramp.Unknown, Detail: "no answer", Hint: "look whether it has arrived", Request: "[{}]"},
	onramp.DeliveryPending:   {Verdict: onramp.Retry, Status: 503, Detail: "try again", Request: "[{}]"},
}
