package outbound_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// What is sent of a registration whose row has a key of several columns, or a field's own
// column as its key, and of a row that an event changes.
func TestKeys(t *testing.T) {
	t.Parallel()
	form := onramp.NewForm(onramp.Form{Name: "f", Fields: []onramp.Field{
		{Name: "email", Column: "Email", Type: onramp.Email, Required: true},
		{Name: "brand", Column: "Brand", Required: true},
		{Name: "vip", Column: "VIP", Type: onramp.Boolean, Default: &onramp.Scalar{Kind: onramp.False}},
	}}, "")
	const values, event = `{"email":"ana@example.org","brand":"a\"b"}`, `{"VIP":true}`
	const missing, hint = "the key column Brand has no value", "edit the field of this column, then retry the delivery"
	row := func(keys ...string) onramp.Destination {
		return onramp.Destination{Kind: onramp.DataExtension, Key: "DE1", KeyColumns: keys}
	}
	async := func(d onramp.Destination) onramp.Destination { d.Mode = onramp.Async; return d }
	ofNew := row("Id", "Brand")
	ofNew.OnExisting = onramp.CreateNew
	for name, c := range map[string]struct {
		to     onramp.Destination
		values string
		event  bool
		sent   string
		detail string
	}{
		"own":                    {row("email"), values, false, `[{"keys":{"email":"ana@example.org"},"values":{"Brand":"a\"b","VIP":false}}]`, ""},
		"composite":              {row("Key", "Brand"), values, false, `[{"keys":{"Brand":"a\"b","Key":"p1"},"values":{"Email":"ana@example.org","VIP":false}}]`, ""},
		"all of it":              {row("Email", "Brand", "Vip"), values, false, `[{"keys":{"Brand":"a\"b","Email":"ana@example.org","Vip":false},"values":{"Brand":"a\"b","Email":"ana@example.org","Vip":false}}]`, ""},
		"by the id":              {ofNew, values, false, `[{"keys":{"Brand":"a\"b","Id":"r1"},"values":{"Email":"ana@example.org","VIP":false}}]`, ""},
		"asynchronous":           {async(row("Key", "Brand")), values, false, `{"items":[{"Key":"p1","Brand":"a\"b","Email":"ana@example.org","VIP":false}]}`, ""},
		"asynchronous, own":      {async(row("EMAIL")), values, false, `{"items":[{"EMAIL":"ana@example.org","Brand":"a\"b","VIP":false}]}`, ""},
		"journey":                {onramp.Destination{Kind: onramp.Journey, Key: "E", KeyColumns: []string{"Key", "Brand"}}, values, false, `{"ContactKey":"p1","EventDefinitionKey":"E","Data":{"Key":"p1","Brand":"a\"b","Email":"ana@example.org","VIP":false}}`, ""},
		"journey without":        {onramp.Destination{Kind: onramp.Journey, Key: "E"}, values, false, `{"ContactKey":"p1","EventDefinitionKey":"E","Data":{"Email":"ana@example.org","Brand":"a\"b","VIP":false}}`, ""},
		"of an event":            {row("Key", "Brand"), values, true, `[{"keys":{"Brand":"a\"b","Key":"p1"},"values":{"VIP":true}}]`, ""},
		"of an event, own":       {row("Email"), values, true, `[{"keys":{"Email":"ana@example.org"},"values":{"VIP":true}}]`, ""},
		"of an event, usual key": {row("Key"), values, true, `[{"keys":{"Key":"p1"},"values":{"VIP":true}}]`, ""},
		"by column, as it was":   {row("Key", "Brand"), `{"column:Email":"ana@example.org","column:Brand":"b"}`, false, `[{"keys":{"Brand":"b","Key":"p1"},"values":{"Email":"ana@example.org","VIP":false}}]`, ""},
		"nothing":                {row("Key", "Brand"), `{"email":"ana@example.org"}`, false, "", missing},
		"empty":                  {row("Key", "Brand"), `{"email":"ana@example.org","brand":""}`, false, "", missing},
		"nothing, of an event":   {row("Brand"), `{"email":"ana@example.org"}`, true, "", missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent string
			a := &account{answer: func(_ *http.Request, body string) reply {
				sent = body
				return reply{status: 403}
			}}
			s, err := outbound.New(outbound.Config{
				AuthURL: "http://cloud.test", ClientID: "id", ClientSecret: "secret", AccountID: "1", Transport: a,
				Forms: func(name string) *onramp.Form { return map[string]*onramp.Form{"f": form}[name] },
			}, noKeeper{}, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			d := onramp.Delivery{RegistrationID: "r1", Form: "f", Step: 1, SubscriberKey: "p1", Values: json.RawMessage(c.values)}
			if c.event {
				d.Event, d.Of = &onramp.Event{}, &onramp.Registration{ID: "r1", Form: "f", Values: d.Values}
				d.Values = json.RawMessage(event)
			}
			got := s.Send(t.Context(), onramp.Call{Destination: c.to, Async: c.to.Mode == onramp.Async, Deliveries: []onramp.Delivery{d}})
			if sent != c.sent {
				t.Errorf("sent %s\nwant %s", sent, c.sent)
			}
			d.Form = "gone" // and with it what fills the key
			d.Values = json.RawMessage(values)
			sent = ""
			if again := s.Send(t.Context(), onramp.Call{Destination: row("Key", "Brand"), Deliveries: []onramp.Delivery{d}}); again[0].Verdict != onramp.Withheld || sent != "" {
				t.Errorf("without its form: %+v, sent %s", again, sent)
			}
			if want := []onramp.Outcome{{Verdict: onramp.Rejected, Detail: c.detail, Hint: hint, NotSent: true}}; c.detail != "" && !slices.Equal(got, want) {
				t.Error(cmp.Diff(want, got))
			}
		})
	}
}
