package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
)

// gateway is the public listener over a real store, with the forms
// "registration" (of the contract), "survey" (every type, allowed from one
// origin) and "open" (allowed from anywhere).
type gateway struct {
	http.Handler
	store *store.Store
	forms map[string]*onramp.Form
}

var receivedAt = storetest.ReceivedAt

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{}
	g.store, g.forms = storetest.Open(t, forms())
	g.Handler = publicHandler(t, &api.Public{Forms: g.forms, Store: g.store})
	return g
}

// publicHandler completes the API and puts around it what the program does.
func publicHandler(t *testing.T, p *api.Public) http.Handler {
	t.Helper()
	if p.Server == nil {
		p.Server = &web.Server{Log: slog.New(slog.DiscardHandler), Part: "public"}
	}
	if p.Now == nil {
		p.Now = func() time.Time { return receivedAt.In(time.FixedZone("", 7200)).Add(789) }
	}
	p.BaseURL, p.Version = "https://signup.example.com", "v1.2.3"
	mux := http.NewServeMux()
	if err := p.Routes(mux); err != nil {
		t.Fatal(err)
	}
	p.Server.Unmatched(mux)
	return web.Harden(web.ClientIP(nil, "")(mux))
}

func forms() []onramp.Form {
	no, yes := onramp.Scalar{Kind: onramp.False}, onramp.Scalar{Kind: onramp.True}
	source, count := onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}, onramp.Scalar{Kind: onramp.Number, Text: "12345678901234567890.50"}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}
	return []onramp.Form{
		{
			Name: "registration", Title: "Register",
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
			Name: "survey", SuccessURL: "https://www.example.com/thanks?from=survey", Origins: []string{"https://www.example.com"},
			SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{
				{Name: "note", Label: "Your note", Column: "Note", Max: 4, Pattern: pattern(`[a-z]+`)},
				{Name: "mail", Column: "Mail", Type: onramp.Email},
				{Name: "agreed", Column: "Agreed", Type: onramp.Boolean, Default: &yes},
				{Name: "age", Column: "Age", Type: onramp.Integer},
				{Name: "amount", Column: "Amount", Type: onramp.Decimal, Default: &count},
				{Name: "born", Column: "Born", Type: onramp.Date},
				{Name: "phone", Column: "Phone", Type: onramp.Phone},
				{Name: "locale", Column: "Locale", Type: onramp.Locale},
				{Name: "color", Column: "Color", Type: onramp.Choice, Choices: []string{"red", "<blue>"}, Required: true},
			},
			Route: []onramp.Destination{row},
		},
		{
			Name: "open", Origins: []string{"*"}, SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{{Name: "note", Column: "Note"}},
			Route:  []onramp.Destination{row},
		},
	}
}

type answer = webtest.Answer

// do sends a request from 192.0.2.1; headers are given as "Name: value".
func do(h http.Handler, method, target, body string, headers ...string) answer {
	return webtest.Do(context.Background(), h, method+" "+target, body, headers...)
}

// invalid is the answer that names fields: pairs of a field and what is wrong.
func invalid(pairs ...string) answer {
	return webtest.Problem(422, "some fields are not valid", webtest.FieldErrors(pairs...), vary)
}

// vary is on every answer of a route that other origins may use.
const vary = "Vary: Origin"

// checkNothingStored sees to it that a refused request has left no trace.
func (g *gateway) checkNothingStored(t *testing.T) {
	t.Helper()
	counts := g.store.Count()
	for state, n := range counts.Registrations {
		if n != 0 {
			t.Errorf("%d registrations are %s", n, state)
		}
	}
	for destination, states := range counts.Deliveries {
		for state, n := range states {
			if n != 0 {
				t.Errorf("%d deliveries to %s are %s", n, destination, state)
			}
		}
	}
}

// registrations are all that are stored, oldest first.
func (g *gateway) registrations(t *testing.T) []onramp.Registration {
	t.Helper()
	page, _, _, err := g.store.ListRegistrations(t.Context(), onramp.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(page) / 2 {
		page[i], page[len(page)-1-i] = page[len(page)-1-i], page[i]
	}
	for i := range page {
		if page[i].Values, _, err = g.forms[page[i].Form].Columns(&page[i]); err != nil {
			t.Fatal(err)
		}
	}
	return page
}

// pattern compiles a pattern that is known to be right.
func pattern(source string) *onramp.Pattern {
	p, err := onramp.NewPattern(source)
	if err != nil {
		panic(err)
	}
	return p
}
