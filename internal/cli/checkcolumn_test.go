package cli_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Columns of every type are compared with what the form sends, and provision has them as
// check wants them.
func TestCheckColumns(t *testing.T) {
	t.Parallel()
	const menu = "\tContact Builder → Data Extensions → Web_Registrations → Fields\n"
	for _, c := range []struct{ name, field, column, want string }{
		{"number", `{ name: n, column: C, type: integer }`, `"type":"Number"`, ""},
		{"integer in a decimal", `{ name: n, column: C, type: integer }`, `"type":"Decimal","length":18,"scale":2`, ""},
		{"integer in a small decimal", `{ name: n, column: C, type: integer }`, `"type":"Decimal","length":6,"scale":2`, `
warning data-extension Web_Registrations, column C: it has room for 4 digits before the point and 2 behind it, but the form registration may send more (field n): such a row is refused, or its number rounded
	developer: have the website send no more digits, or ask the admin to delete the column and create it again with more
` + menu},
		{"decimal", `{ name: n, column: C, type: decimal }`, `"type":"Decimal","length":18,"scale":9`, ""},
		{"decimal of cents", `{ name: n, column: C, type: decimal }`, `"type":"Decimal","length":18,"scale":2`, ""},
		{"decimal without a scale", `{ name: n, column: C, type: decimal }`, `"type":"Decimal","length":18`, `
warning data-extension Web_Registrations, column C: it has room for 18 digits before the point and 0 behind it, but the form registration may send more (field n): such a row is refused, or its number rounded
	developer: have the website send no more digits, or ask the admin to delete the column and create it again with more
` + menu},
		{"decimal in a number", `{ name: n, column: C, type: decimal }`, `"type":"Number"`, `
failure data-extension Web_Registrations, column C: its type is Number, but the form registration sends values for a column of the type Decimal (field n)
	admin: a column's type can't be changed: delete it and create it again with the type Decimal, or have the operator change the form's type
` + menu},
		{"constant that fits", `{ column: C, from: constant, value: 12.50 }`, `"type":"Decimal","length":4,"scale":2`, ""},
		{"constant with a longer scale", `{ column: C, from: constant, value: 12.125 }`, `"type":"Decimal","length":18,"scale":2`, `
failure data-extension Web_Registrations, column C: it has room for 16 digits before the point and 2 behind it, but the form registration sends more (from: constant): each row is refused, or its number rounded
	operator: give the value fewer digits, or ask the admin to delete the column and create it again with more
` + menu},
		{"constant in a number", `{ column: C, from: constant, value: 0.5 }`, `"type":"Number"`, `
failure data-extension Web_Registrations, column C: its type is Number, but the form registration sends values for a column of the type Decimal (from: constant)
	admin: a column's type can't be changed: delete it and create it again with the type Decimal, or have the operator change the form's type
` + menu},
		{"phone", `{ name: n, column: C, type: phone }`, `"type":"Phone","length":50`, ""},
		{"phone in a text", `{ name: n, column: C, type: phone }`, `"type":"Text","length":16`, ""},
		{"phone in a short column", `{ name: n, column: C, type: phone }`, `"type":"Phone","length":10`, `
failure data-extension Web_Registrations, column C: its length is 10, but the form registration sends up to 16 characters (field n): longer values are refused with their row
	admin: delete it and create it again with the type Text and the length 16
` + menu},
		{"locale", `{ name: n, column: C, type: locale, max: 5 }`, `"type":"Locale","length":5`, ""},
		{"locale in a text", `{ name: n, column: C, type: locale }`, `"type":"Text","length":12`, ""},
		{"any locale", `{ name: n, column: C, type: locale }`, `"type":"Locale","length":5`, `
warning data-extension Web_Registrations, column C: its length is 5, but the form registration sends up to 12 characters (field n): longer values are refused with their row
	admin: delete it and create it again with the type Text and the length 12, or have the operator set max: 5 for field n
` + menu},
		{"choices", `{ name: n, column: C, type: choices, choices: [a, bb], separator: "; " }`, `"type":"Text","length":5`, ""},
		{"address that is cut", `{ column: C, from: ip, max: 15 }`, `"type":"Text","length":15`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			w.edit("    route:", "      - "+c.field+"\n    route:")
			w.edit("      - journey: { event_definition_key: APIEvent-sandbox-welcome }\n", "")
			w.control("PUT account", extension(tableColumns(nil, `{"name":"C","nullable":true,`+c.column+`}`)))
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), wrong(w.check("--only", "data-extension"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A subscriber key that is longer than any that Marketing Cloud has is the form's fault.
func TestCheckLongKey(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	w.edit("    fields:\n", "    subscriber_key: field:customer\n    fields:\n      - { name: customer, column: Customer, max: 300, required: true }\n")
	w.edit("      - journey: { event_definition_key: APIEvent-sandbox-welcome }\n", "")
	w.control("PUT account", extension(tableColumns(nil, `{"name":"Customer","type":"Text","length":300}`)))
	const want = `failure data-extension Web_Registrations, column SubscriberKey: its length is 254, but the form registration sends up to 300 characters (field customer): longer values are refused with their row
	operator: set max: 254 for field customer: a subscriber key has no more characters
`
	if diff := cmp.Diff(want, wrong(w.check("--only", "data-extension"))); diff != "" {
		t.Error(diff)
	}
}
