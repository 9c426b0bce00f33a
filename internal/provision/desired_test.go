package provision_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/provision"
	"onramp/sfmc/metadata"
)

// Every field has a column that takes whatever the form accepts.
func TestDesired(t *testing.T) {
	t.Parallel()
	form := forms(t, `
  everything:
    subscriber_key: field:customer
    fields:
      - { name: mail,     column: Mail,     type: email, required: true }
      - { name: mail2,    column: Mail2,    type: email, max: 100 }
      - { name: free,     column: Free }
      - { name: short,    column: Short,    max: 20, required: true }
      - { name: customer, column: Customer, max: 300, required: true }
      - { name: flag,     column: Flag,     type: boolean, default: true }
      - { name: whole,    column: Whole,    type: integer }
      - { name: amount,   column: Amount,   type: decimal }
      - { name: day,      column: Day,      type: date }
      - { name: phone,    column: Phone,    type: phone }
      - { name: lang,     column: Lang,     type: locale }
      - { name: one,      column: One,      type: choice, choices: [a, "😀😀😀", bb] }
      - { name: some,     column: Some,     type: choices, choices: [a, bb, ccc], separator: " - " }
      - { name: brand,    column: Brand,    max: 10, required: true }
      - { column: At,       from: received_at }
      - { column: Address,  from: ip }
      - { column: Browser,  from: user_agent, max: 255 }
      - { column: Page,     from: page_url }
      - { column: Id,       from: uuid }
      - { column: Form,     from: form }
      - { column: Campaign, from: utm_campaign, max: 60 }
      - { column: Text,     from: constant, value: Website }
      - { column: Yes,      from: constant, value: true }
      - { column: Seven,    from: constant, value: 7 }
      - { column: Half,     from: constant, value: 0.5 }
    route:
      - data_extension: { key: Everything, key_column: [SubscriberKey, brand] }
    on_event:
      - { type: EngagementEvents.EmailUnsubscribe, column: flag, value: false }
      - { type: EngagementEvents.EmailUnsubscribe, column: Gone, value: true }
      - { type: EngagementEvents.EmailUnsubscribe, column: Why, value: unsubscribed }
`)[0]
	want := metadata.DataExtension{
		Key: "Everything", Name: "Everything", Description: "Registrations of the form everything",
		Sendable: true, SendableField: "SubscriberKey", SubscriberField: "_SubscriberKey",
		Fields: []metadata.Field{
			{Name: "SubscriberKey", Type: "Text", Length: 254, PrimaryKey: true, Required: true},
			{Name: "Mail", Type: "EmailAddress", Length: 254, Required: true},
			{Name: "Mail2", Type: "EmailAddress", Length: 100},
			{Name: "Free", Type: "Text", Length: 4000},
			{Name: "Short", Type: "Text", Length: 20, Required: true},
			{Name: "Customer", Type: "Text", Length: 300, Required: true},
			{Name: "Flag", Type: "Boolean"},
			{Name: "Whole", Type: "Number"},
			{Name: "Amount", Type: "Decimal", Length: 29, Scale: 9},
			{Name: "Day", Type: "Date"},
			{Name: "Phone", Type: "Phone"},
			{Name: "Lang", Type: "Text", Length: 12},
			{Name: "One", Type: "Text", Length: 6},
			{Name: "Some", Type: "Text", Length: 12},
			{Name: "Brand", Type: "Text", Length: 10, PrimaryKey: true, Required: true},
			{Name: "At", Type: "Date"},
			{Name: "Address", Type: "Text", Length: 45},
			{Name: "Browser", Type: "Text", Length: 255},
			{Name: "Page", Type: "Text", Length: 4000},
			{Name: "Id", Type: "Text", Length: 36},
			{Name: "Form", Type: "Text", Length: 10},
			{Name: "Campaign", Type: "Text", Length: 60},
			{Name: "Text", Type: "Text", Length: 7},
			{Name: "Yes", Type: "Boolean"},
			{Name: "Seven", Type: "Number"},
			{Name: "Half", Type: "Decimal", Length: 29, Scale: 9},
			{Name: "Gone", Type: "Boolean"},
			{Name: "Why", Type: "Text", Length: 12},
		},
	}
	for i := range want.Fields {
		want.Fields[i].Ordinal = i
	}
	if diff := cmp.Diff(want, provision.Desired(&form, form.Route[0])); diff != "" {
		t.Error(diff)
	}
}

// What the key column holds, and which column the send relationship begins at.
func TestDesiredKey(t *testing.T) {
	t.Parallel()
	const fields = `
    fields:
      - { name: mail, column: Mail, type: email, required: true }
      - { name: no,   column: No,   max: 300, required: true }
`
	type key struct {
		Field   metadata.Field
		Sending string
	}
	for name, row := range map[string]struct {
		form string
		want key
	}{
		"email":              {"subscriber_key: email" + fields + "    route: [ data_extension: { key: K, key_column: Id } ]", key{metadata.Field{Name: "Id", Type: "Text", Length: 254, PrimaryKey: true, Required: true}, "Id"}},
		"uuid":               {"subscriber_key: uuid" + fields + "    route: [ data_extension: { key: K, key_column: Id } ]", key{metadata.Field{Name: "Id", Type: "Text", Length: 36, PrimaryKey: true, Required: true}, "Id"}},
		"field":              {"subscriber_key: field:no" + fields + "    route: [ data_extension: { key: K, key_column: Id } ]", key{metadata.Field{Name: "Id", Type: "Text", Length: 254, PrimaryKey: true, Required: true}, "Id"}},
		"the field's own":    {"subscriber_key: field:no" + fields + "    route: [ data_extension: { key: K, key_column: No } ]", key{metadata.Field{Name: "No", Type: "Text", Length: 254, PrimaryKey: true, Required: true, Ordinal: 1}, "No"}},
		"the email's own":    {"subscriber_key: email" + fields + "    route: [ data_extension: { key: K, key_column: Mail } ]", key{metadata.Field{Name: "Mail", Type: "EmailAddress", Length: 254, PrimaryKey: true, Required: true}, "Mail"}},
		"a row of its own":   {"subscriber_key: email" + fields + "    route: [ data_extension: { key: K, key_column: Id, on_existing: new } ]", key{metadata.Field{Name: "Id", Type: "Text", Length: 36, PrimaryKey: true, Required: true}, "Mail"}},
		"uuid, in no column": {"subscriber_key: uuid" + fields + "    route: [ data_extension: { key: K, key_column: Id, on_existing: new } ]", key{metadata.Field{Name: "Id", Type: "Text", Length: 36, PrimaryKey: true, Required: true}, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := forms(t, "  f:\n    "+row.form+"\n")[0]
			d := provision.Desired(&form, form.Route[0])
			got := key{Sending: d.SendableField}
			for _, f := range d.Fields {
				if f.PrimaryKey {
					got.Field = f
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" || d.Sendable != (got.Sending != "") {
				t.Error(diff, d.Sendable)
			}
		})
	}
}

// A journey writes to the data extension of the form's route, or to one of its own.
func TestDesiredOfJourney(t *testing.T) {
	t.Parallel()
	form := forms(t, registration)[0]
	row, entry := provision.Desired(&form, form.Route[0]), provision.Desired(&form, form.Route[1])
	if diff := cmp.Diff(row, entry); diff != "" {
		t.Error(diff)
	}
	form.Route = []onramp.Destination{form.Route[1]}
	if got := provision.Desired(&form, form.Route[0]); got.Key != "onramp_registration" || len(got.Fields) != len(row.Fields) {
		t.Error(got)
	}
}

// The longest values that the form accepts fit.
func TestLongest(t *testing.T) {
	t.Parallel()
	parsed := forms(t, `
  longest:
    subscriber_key: field:no
    fields:
      - { name: no,     column: No,     max: 300, required: true }
      - { name: mail,   column: Mail,   type: email }
      - { name: mail2,  column: Mail2,  type: email, max: 300 }
      - { name: free,   column: Free }
      - { name: emoji,  column: Emoji,  max: 10 }
      - { name: phone,  column: Phone,  type: phone }
      - { name: lang,   column: Lang,   type: locale }
      - { name: one,    column: One,    type: choice, choices: [a, "😀😀😀", bb] }
      - { name: some,   column: Some,   type: choices, choices: [a, bb, "ccc😀"], separator: " - " }
      - { name: whole,  column: Whole,  type: integer }
      - { name: day,    column: Day,    type: date }
      - { column: At,       from: received_at }
      - { column: Address,  from: ip }
      - { column: Browser,  from: user_agent, max: 255 }
      - { column: Page,     from: page_url }
      - { column: Id,       from: uuid }
      - { column: Form,     from: form }
      - { column: Text,     from: constant, value: Website 😀 }
    route:
      - data_extension: { key: Longest }
`)[0]
	form := onramp.NewForm(parsed, "secret")
	long := strings.Repeat("x", 5000)
	values := map[string]string{
		"no": long[:254], "free": long[:4000], "emoji": "😀😀😀😀😀", "phone": "+49 30 12345678901", "lang": "zho-Hant-TW", "one": "😀😀😀", "some": "ccc😀 - a - bb", "whole": "-2147483648",
		"mail":  long[:64] + "@" + strings.Repeat(long[:60]+".", 3) + "exampl",
		"mail2": long[:64] + "@" + strings.Repeat(long[:60]+".", 3) + "ab",
		"day":   "2026-06-23T14:52:45.123456+02:00",
	}
	s := onramp.Submission{ReceivedAt: time.Now(), IP: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", UserAgent: long, PageURL: "https://example.org/" + long}
	for name, value := range values {
		s.Inputs = append(s.Inputs, onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Posted, Text: value}})
	}
	r, err := form.Accept(s)
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := form.Columns(&r)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]any{"SubscriberKey": r.SubscriberKey}
	if err := json.Unmarshal(raw, &columns); err != nil {
		t.Fatal(err)
	}
	for _, f := range provision.Desired(form, form.Route[0]).Fields {
		text, _ := columns[f.Name].(string)
		n := len(utf16.Encode([]rune(text)))
		if f.Type == metadata.Text || f.Type == metadata.EmailAddress {
			if n > f.Length || n == 0 {
				t.Errorf("%s: %d characters in %d", f.Name, n, f.Length)
			}
		}
		if columns[f.Name] == nil {
			t.Errorf("%s has no value", f.Name)
		}
	}
}
