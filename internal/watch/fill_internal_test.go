package watch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// What a canary submits is what the form wants, and nobody's row can be meant by it.
func TestFill(t *testing.T) {
	t.Parallel()
	mark := newMark(newSecret())
	c := Canary{}
	address := c.address(mark)
	pattern := func(s string) *onramp.Pattern {
		p, err := onramp.NewPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	email := onramp.Field{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true}
	member := onramp.Field{Name: "member", Column: "Member", Required: true}
	extension := func(keys ...string) []onramp.Destination {
		return []onramp.Destination{{Kind: onramp.DataExtension, Key: "K", KeyColumns: keys}}
	}
	byMember := onramp.KeyStrategy{From: onramp.KeyField, Field: 1}
	for name, row := range map[string]struct {
		form onramp.Form
		want map[string]any
		err  string
	}{
		"what a visitor must": {onramp.Form{Route: extension("SubscriberKey"), Fields: []onramp.Field{
			email,
			{Name: "name", Column: "Name", Max: 6},
			{Name: "terms", Column: "Terms", Type: onramp.Boolean, Required: true},
			{Name: "news", Column: "News", Type: onramp.Boolean},
			{Name: "age", Column: "Age", Type: onramp.Integer},
			{Name: "born", Column: "Born", Type: onramp.Date},
			{Name: "phone", Column: "Phone", Type: onramp.Phone, Country: "NO"},
			{Name: "locale", Column: "Locale", Type: onramp.Locale},
			{Name: "plan", Column: "Plan", Type: onramp.Choice, Choices: []string{"big", "small"}},
			{Name: "zip", Column: "Zip", Pattern: pattern("[0-9]{5}"), Required: true},
			{Name: "code", Column: "Code", Pattern: pattern("x-[a-f]{9}")},
			{Column: "At", From: onramp.FromReceivedAt},
		}}, map[string]any{
			"email": address, "name": "Canary", "terms": true, "age": 1, "born": "2000-01-01", "phone": "+44 20 7946 0018", "locale": "en-US",
			"plan": "big", "zip": "12345",
		}, ""},
		"a pattern of its own": {onramp.Form{Route: extension("SubscriberKey"), Fields: []onramp.Field{
			email, {Name: "code", Column: "Code", Pattern: pattern("x-[a-f]{9}"), Required: true},
		}}, nil, "no value is known that its field code takes"},
		"a key of a text": {
			onramp.Form{Route: extension("Member"), SubscriberKey: byMember, Fields: []onramp.Field{email, member}},
			map[string]any{"email": address, "member": mark},
			"",
		},
		"no email": {
			onramp.Form{Route: extension("SubscriberKey"), SubscriberKey: onramp.KeyStrategy{From: onramp.KeyField}, Fields: []onramp.Field{member}},
			map[string]any{"member": mark},
			"",
		},
		"a key that can't be marked": {onramp.Form{Route: extension("SubscriberKey"), SubscriberKey: byMember, Fields: []onramp.Field{
			email, {Name: "member", Column: "Member", Type: onramp.Integer, Required: true},
		}}, nil, "its row in K could be somebody's: the key is made of fields that a canary can't mark"},
		"a row by another field": {onramp.Form{Route: extension("Plan"), Fields: []onramp.Field{
			email, {Name: "plan", Column: "Plan", Type: onramp.Choice, Choices: []string{"big"}},
		}}, nil, "its row in K could be somebody's: the key is made of fields that a canary can't mark"},
		"a row by address": {onramp.Form{Route: extension("emailaddress"), Fields: []onramp.Field{email}}, map[string]any{"email": address}, ""},
		"nothing to mark": {onramp.Form{SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{
			{Name: "n", Column: "N", Max: 10},
		}}, nil, "it has no field of type email, and no text that may hold 26 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := onramp.NewForm(row.form, "secret")
			got, err := fill(form, address, mark)
			if diff := cmp.Diff(row.want, got); diff != "" || (err == nil) != (row.err == "") || err != nil && err.Error() != row.err {
				t.Fatalf("%v %s", err, diff)
			}
			if err != nil {
				return
			}
			var inputs []onramp.Input
			for name, value := range got {
				v := onramp.Scalar{Kind: onramp.True}
				switch value := value.(type) {
				case string:
					v = onramp.Scalar{Kind: onramp.String, Text: value}
				case int:
					v = onramp.Scalar{Kind: onramp.Number, Text: "1"}
				}
				inputs = append(inputs, onramp.Input{Name: name, Value: v})
			}
			if _, err := form.Accept(onramp.Submission{Inputs: inputs, ReceivedAt: time.Now()}); err != nil {
				t.Errorf("the form refuses it: %v", err)
			}
		})
	}
}

// Only who knows the secret makes marks, and they are found anywhere in a text.
func TestMarks(t *testing.T) {
	t.Parallel()
	secret := newSecret()
	mark := newMark(secret)
	own := Canary{Email: "ops+test@shop.example"}
	for text, want := range map[string]bool{
		`{"email":"` + own.address(mark) + `"}`:                   true,
		`{"island":"canary","email":"onramp+` + mark + `@x.org"}`: true,
		`{"email":"` + own.address(newMark(newSecret())) + `"}`:   false,
		mark[:len(mark)-1]:            false,
		mark[:len(mark)-1] + "0":      false,
		strings.Repeat(markPrefix, 9): false,
		"":                            false,
	} {
		if got := hasMark(secret, []byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := own.address(mark); got != "ops+test+"+mark+"@shop.example" {
		t.Errorf("the address is %s", got)
	}
	if another := newMark(secret); another == mark || !hasMark(secret, []byte(another)) {
		t.Errorf("the marks are %s and %s", mark, another)
	}
}
