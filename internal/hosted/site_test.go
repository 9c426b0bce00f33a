package hosted_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"onramp/internal/api"
	"onramp/internal/hosted"
	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
)

// site is the public listener as the program has it, over a real store.
type site struct {
	http.Handler
	store *store.Store
}

var receivedAt = time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)

func newSite(t *testing.T) *site {
	t.Helper()
	kept, byName := storetest.Open(t, forms())
	server := &web.Server{Log: slog.New(slog.DiscardHandler), Part: "public"}
	pages, err := hosted.New(byName, server)
	if err != nil {
		t.Fatal(err)
	}
	server.Failed = pages.Failed
	mux := http.NewServeMux()
	sites := &api.Public{Forms: byName, Store: kept, Server: server, Now: func() time.Time { return receivedAt }}
	if err := sites.Routes(mux); err != nil {
		t.Fatal(err)
	}
	pages.Routes(mux)
	server.Unmatched(mux)
	return &site{web.Harden(web.ClientIP(nil)(mux)), kept}
}

// forms are the demo's "registration" and "survey", with every type and with
// labels that must not become HTML.
func forms() []onramp.Form {
	yes, no := onramp.Scalar{Kind: onramp.True}, onramp.Scalar{Kind: onramp.False}
	source, age := onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}, onramp.Scalar{Kind: onramp.Number, Text: "18"}
	blue, note := onramp.Scalar{Kind: onramp.String, Text: "<blue>"}, onramp.Scalar{Kind: onramp.String, Text: `"><script>`}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumn: "SubscriberKey"}
	return []onramp.Form{
		{
			Name: "registration", Title: "Register",
			Fields: []onramp.Field{
				{Name: "email", Label: "E-mail address", Column: "EmailAddress", Type: onramp.Email, Required: true},
				{Name: "first_name", Label: "First name", Column: "FirstName", Max: 100},
				{Name: "last_name", Label: "Last name", Column: "LastName", Max: 100},
				{Name: "opt_in", Label: "Yes, send me news", Column: "OptInStatus", Type: onramp.Boolean, Default: &no},
				{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
				{Column: "Source", From: onramp.FromConstant, Constant: &source},
				{Column: "IPAddress", From: onramp.FromIP},
				{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
				{Column: "PageURL", From: onramp.FromPageURL, Max: 500},
			},
			Route: []onramp.Destination{row},
		},
		{
			Name: "our-survey_2026", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{
				{Name: "über", Label: `<b>über</b> "alles" & mehr`, Column: "Note", Max: 20, Default: &note},
				{Name: "code", Column: "Code", Max: 8, Pattern: pattern(`[A-Z]{2}"[0-9]+`), Required: true},
				{Name: "mail", Column: "Mail", Type: onramp.Email, Max: 100},
				{Name: "agreed", Column: "Agreed", Type: onramp.Boolean, Required: true},
				{Name: "news", Column: "News", Type: onramp.Boolean, Default: &yes},
				{Name: "age", Column: "Age", Type: onramp.Integer, Default: &age},
				{Name: "amount", Column: "Amount", Type: onramp.Decimal},
				{Name: "born", Column: "Born", Type: onramp.Date},
				{Name: "phone", Column: "Phone", Type: onramp.Phone},
				{Name: "locale", Column: "Locale", Type: onramp.Locale},
				{Name: "size", Column: "Size", Type: onramp.Choice, Choices: []string{"small", "extra  large"}, Required: true},
				{Name: "color", Column: "Color", Type: onramp.Choice, Choices: []string{"red", "<blue>"}, Default: &blue},
				{Column: "IP", From: onramp.FromIP},
			},
			Route: []onramp.Destination{row},
		},
	}
}

// asBrowser are the headers that a browser sends with a plain form post.
var asBrowser = http.Header{
	"Accept":       {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	"Content-Type": {"application/x-www-form-urlencoded"},
}

// answer is all that a browser sees.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func do(t *testing.T, h http.Handler, method, target, body string, header http.Header) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	content, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{w.Code, w.Header(), string(content)}
}

// pageHeader is what every page brings.
func pageHeader(more ...string) http.Header {
	h := http.Header{
		"Content-Type":            {"text/html; charset=utf-8"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'self'; form-action *; base-uri 'none'; frame-ancestors 'self'"},
		"Referrer-Policy":         {"same-origin"},
		"Cache-Control":           {"no-store"},
		"X-Content-Type-Options":  {"nosniff"},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// stored are all registrations, newest first.
func (s *site) stored(t *testing.T) []onramp.Registration {
	t.Helper()
	all, _, err := s.store.ListRegistrations(t.Context(), onramp.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// pattern compiles a pattern that is known to be right.
func pattern(source string) *onramp.Pattern {
	p, err := onramp.NewPattern(source)
	if err != nil {
		panic(err)
	}
	return p
}
