package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/operator"
	"onramp/internal/sandbox"
)

// newValuesWorld has a form with numbers, a time and choices, and what settings say more.
func newValuesWorld(t *testing.T, settings string) *world {
	t.Helper()
	w := newSandboxed(t)
	w.account(tables(func(columns []sandbox.Column) []sandbox.Column {
		return append(columns, sandbox.Column{Name: "Age", Type: "Number", Nullable: true},
			sandbox.Column{Name: "Amount", Type: "Decimal", Length: 29, Scale: 10, Nullable: true},
			sandbox.Column{Name: "At", Type: "Date", Nullable: true}, sandbox.Column{Name: "Topics", Type: "Text", Length: 40, Nullable: true})
	}, ""))
	w.start(func(cfg string) string {
		return strings.Replace(cfg, "    fields:\n", settings+`    fields:
      - { name: age,    column: Age,    type: integer }
      - { name: amount, column: Amount, type: decimal }
      - { name: at,     column: At,     type: date }
      - { name: topics, column: Topics, type: choices, choices: [News, Events, "Art & <more>"] }
`, 1)
	}, t.TempDir()+"/onramp.db")
	return w
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// valueCase is a body without its address, and the row that comes of it, without what
// every row has; nil: it is refused.
type valueCase struct {
	contentType, body string
	want              map[string]any
}

func (w *world) runValues(cases []valueCase) {
	w.t.Helper()
	for i, c := range cases {
		email := fmt.Sprintf("visitor%d@example.org", i)
		body := "email=" + url.QueryEscape(email) + "&" + c.body
		if c.contentType == asJSON {
			body = fmt.Sprintf(`{"email":%q,%s}`, email, c.body)
		}
		code := w.send(c.contentType, body)
		var row map[string]any
		for _, r := range w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows {
			if r["SubscriberKey"] == email {
				row = maps.Clone(r)
			}
		}
		if c.want == nil {
			if code != http.StatusUnprocessableEntity || row != nil {
				w.t.Errorf("%s: answered %d, and the row is %v", c.body, code, row)
			}
			continue
		}
		want := map[string]any{
			"SubscriberKey": email, "EmailAddress": email, "OptInStatus": false, "Source": "Website Registration", "IPAddress": "127.0.0.1", "UserAgent": "test",
		}
		maps.Copy(want, c.want)
		delete(row, "RegistrationTimestamp")
		if diff := cmp.Diff(want, row); diff != "" || code != http.StatusCreated {
			w.t.Errorf("%s: answered %d, row (-want +got):\n%s", c.body, code, diff)
		}
	}
}

// send posts a registration and gives the status of the answer.
func (w *world) send(contentType, body string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.gateway.PublicURL()+"/v1/forms/registration/registrations", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {contentType}, "Prefer": {wait}, "User-Agent": {"test"}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		w.t.Error(err)
	}
	return response.StatusCode
}

func one(column string, value any) map[string]any { return map[string]any{column: value} }

// What people, browsers and programs send, and the whole row that it becomes.
func TestStoredValues(t *testing.T) {
	t.Parallel()
	for name, cases := range map[string][]valueCase{
		"integers": {
			{asJSON, `"age":42.0`, one("Age", json.Number("42"))},
			{asJSON, `"age":1e2`, one("Age", json.Number("100"))},
			{asJSON, `"age":4200e-2`, one("Age", json.Number("42"))},
			{asJSON, `"age":"42"`, one("Age", json.Number("42"))},
			{asForm, "age=+042+", one("Age", json.Number("42"))},
			{asForm, "age=%EF%BC%94%EF%BC%92", one("Age", json.Number("42"))},
			{asJSON, `"age":1e999999999`, nil},
			{asJSON, `"age":42.5`, nil},
			{asJSON, `"age":true`, nil},
		},
		"decimals": {
			{asJSON, `"amount":1e-7`, one("Amount", json.Number("0.0000001"))},
			{asJSON, `"amount":1.5E+3`, one("Amount", json.Number("1500"))},
			{asJSON, `"amount":"12.50"`, one("Amount", json.Number("12.50"))},
			{asForm, "amount=.5", one("Amount", json.Number("0.5"))},
			{asForm, "amount=-5.", one("Amount", json.Number("-5"))},
			{asForm, "amount=1e-999999999", one("Amount", json.Number("0"))},
			{asForm, "amount=12,50", nil},
			{asJSON, `"amount":1e999999999`, nil},
			{asJSON, `"amount":[1]`, nil},
		},
		"dates": {
			{asJSON, `"at":"2026-06-23T14:52:45+0200"`, one("At", "2026-06-23T12:52:45Z")},
			{asJSON, `"at":"2026-06-23 14:52:45Z"`, one("At", "2026-06-23T14:52:45Z")},
			{asJSON, `"at":"2026-06-23t14:52:45z"`, one("At", "2026-06-23T14:52:45Z")},
			{asForm, "at=2026-06-23T14:52Z", one("At", "2026-06-23T14:52:00Z")},
			{asForm, "at=2016-12-31T23:59:60Z", one("At", "2016-12-31T23:59:59Z")},
			{asForm, "at=2026-06-23", one("At", "2026-06-23")},
			{asJSON, `"at":"2026-06-23T14:52:45+25:00"`, nil},
			{asForm, "at=2026-06-23T14:52", nil},
		},
		"boxes": {
			{asForm, "opt_in=0&opt_in=1", one("OptInStatus", true)},        // Rails, ticked
			{asForm, "opt_in=0", one("OptInStatus", false)},                // Rails, not ticked
			{asForm, "opt_in=true&opt_in=false", one("OptInStatus", true)}, // ASP.NET, ticked
			{asForm, "opt_in=false", one("OptInStatus", false)},            // ASP.NET, not ticked
			{asForm, "opt_in=&opt_in=on", one("OptInStatus", true)},        // a hidden field without a value
			{asForm, "opt_in%5B%5D=yes", one("OptInStatus", true)},         // Contact Form 7
			{asJSON, `"opt_in":["0","1"]`, one("OptInStatus", true)},       // a script's collection of the same
			{asJSON, `"opt_in":"on"`, one("OptInStatus", true)},            //
			{asJSON, `"opt_in":"true"`, one("OptInStatus", true)},          //
			{asJSON, `"opt_in":"0"`, one("OptInStatus", false)},            //
			{asJSON, `"opt_in":""`, one("OptInStatus", false)},             // nothing: the default
			{asForm, "opt_in=0&opt_in=perhaps", nil},                       //
			{asJSON, `"opt_in":true,"opt_in":false`, nil},                  //
			{asJSON, `"opt_in":{"a":true}`, nil},                           //
			{asForm, "opt_in=0&opt_in=0", one("OptInStatus", false)},       //
		},
		"choices": {
			{asForm, "topics=News&topics=Events", one("Topics", "News, Events")},
			{asForm, "topics%5B%5D=Events&topics%5B%5D=News", one("Topics", "Events, News")},
			{asForm, "topics%5B0%5D=News&topics%5B1%5D=Art+%26+%3Cmore%3E", one("Topics", "News, Art & <more>")},
			{asForm, "topics=&topics=News&topics=News", one("Topics", "News")},
			{asForm, "topics=", map[string]any{}},
			{asJSON, `"topics":["News","Events"]`, one("Topics", "News, Events")},
			{asJSON, `"topics":"News"`, one("Topics", "News")},
			{asJSON, `"topics[]":["News","Events"]`, one("Topics", "News, Events")},
			{asJSON, `"topics":[]`, map[string]any{}},
			{asForm, "topics=News&topics=Sports", nil},
			{asJSON, `"topics":["News",["Events"]]`, nil},
			{asJSON, `"topics":[1]`, nil},
		},
		"unknown": {
			{asForm, "utf8=%E2%9C%93&authenticity_token=x&commit=Send&_wpcf7=12&image.x=3&image.y=4&first_name.dir=ltr&g-recaptcha-response=x&frist_name=Ana", map[string]any{}},
			{asForm, "address%5Bstreet%5D=x&a]=1&[=2&=3", map[string]any{}},
			{asJSON, `"frist_name":"Ana"`, nil},
			{asJSON, `"utf8":"x"`, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newValuesWorld(t, "").runValues(cases)
		})
	}
}

func TestStoredValuesWithSettings(t *testing.T) {
	t.Parallel()
	w := newValuesWorld(t, "    decimal_comma: true\n    time_zone: Europe/Berlin\n    unknown_fields: ignore\n")
	w.runValues([]valueCase{
		{asForm, "amount=12,50", one("Amount", json.Number("12.50"))},
		{asForm, "amount=12.50", one("Amount", json.Number("12.50"))},
		{asForm, "amount=1.234,5&age=42,0", map[string]any{"Amount": json.Number("1234.5"), "Age": json.Number("42")}},
		{asJSON, `"amount":"12,50"`, one("Amount", json.Number("12.50"))},
		{asForm, "amount=1.234", nil},
		{asForm, "at=2026-06-23T14:52", one("At", "2026-06-23T12:52:00Z")},
		{asForm, "at=2026-10-25+02:30", one("At", "2026-10-25T00:30:00Z")},
		{asForm, "at=2026-03-29+02:30", one("At", "2026-03-29T01:30:00Z")},
		{asJSON, `"at":"2026-06-23T14:52:45-0500"`, one("At", "2026-06-23T19:52:45Z")},
		{asJSON, `"frist_name":"Ana","x":{"y":1}`, map[string]any{}},
	})
}

// An operator sees what was ignored, and which of it looks like a field.
func TestIgnoredFields(t *testing.T) {
	t.Parallel()
	w := newValuesWorld(t, "")
	for i := range 3 {
		w.send(asForm, fmt.Sprintf("email=a%d@example.org&frist_name=Ana&utf8=x&age.dir=ltr&button=Send", i))
	}
	w.send(asForm, "e-mail=a@example.org&button=Send") // refused, and counted
	var s operator.Status
	w.getJSON(w.gateway.AdminURL()+"/api/status", &s)
	want := []operator.FormStatus{{Name: "registration", Ignored: []operator.IgnoredField{
		{Field: "frist_name", Count: 3, DidYouMean: "first_name"},
		{Field: "e-mail", Count: 1, DidYouMean: "email"},
		{Field: "button", Count: 4},
		{Field: "age.dir", Count: 3},
		{Field: "utf8", Count: 3},
	}}}
	if diff := cmp.Diff(want, s.Forms); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
	for i := range 300 {
		w.send(asForm, fmt.Sprintf("email=b@example.org&frist_name=Ana&junk%d=x&%s=y", i, strings.Repeat("long", 100)))
	}
	w.getJSON(w.gateway.AdminURL()+"/api/status", &s)
	if got := s.Forms[0]; len(got.Ignored) != 50 || got.Others < 250 || got.Ignored[0] != (operator.IgnoredField{Field: "frist_name", Count: 303, DidYouMean: "first_name"}) {
		t.Errorf("after many names: %+v", got)
	}
	for _, field := range s.Forms[0].Ignored {
		if len(field.Field) > 100 {
			t.Errorf("a name of %d bytes is kept", len(field.Field))
		}
	}
}
