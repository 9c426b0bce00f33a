package admin_test

import (
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
)

// gateway is a real store with the forms "registration" (of the contract) and
// "open".
type gateway struct {
	store *store.Store
	forms map[string]*onramp.Form
}

var receivedAt = storetest.ReceivedAt

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{}
	g.store, g.forms = storetest.Open(t, forms())
	return g
}

func forms() []onramp.Form {
	no, source := onramp.Scalar{Kind: onramp.False}, onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}
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
	page, _, _, err := g.store.ListRegistrations(t.Context(), onramp.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return page
}
