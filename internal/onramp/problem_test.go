package onramp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// Each mistake of a visitor has a code, by which a page says it in the visitor's language.
func TestFieldErrorCodes(t *testing.T) {
	t.Parallel()
	five, err := onramp.NewPattern("[0-9]{5}")
	if err != nil {
		t.Fatal(err)
	}
	form := onramp.NewForm(onramp.Form{
		Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Fields: []onramp.Field{
			{Name: "needed", Required: true},
			{Name: "mail", Type: onramp.Email},
			{Name: "short", Max: 2},
			{Name: "yes", Type: onramp.Boolean},
			{Name: "whole", Type: onramp.Integer},
			{Name: "amount", Type: onramp.Decimal},
			{Name: "day", Type: onramp.Date},
			{Name: "year", Type: onramp.Date},
			{Name: "phone", Type: onramp.Phone},
			{Name: "locale", Type: onramp.Locale},
			{Name: "pick", Type: onramp.Choice, Choices: []string{"a"}},
			{Name: "code", Pattern: five},
			{Name: "text"},
			{Name: "bell"},
			{Name: "twice"},
		},
	}, "secret")
	_, err = form.Accept(submission(
		input("mail", posted("x")), input("short", posted("xxx")), input("yes", posted("x")), input("whole", posted("x")),
		input("amount", posted("x")), input("day", posted("x")), input("year", posted("0001-01-01")), input("phone", posted("x")), input("locale", posted("x_x_x")),
		input("pick", posted("x")), input("code", posted("x")), input("text", number("1")), input("bell", posted("a\ab")),
		input("twice", posted("x")), input("twice", posted("x")), input("nobody", posted("x")),
	))
	got := map[string]string{}
	for _, e := range fieldErrors(err) {
		got[e.Field] = e.Code
	}
	want := map[string]string{
		"needed": "required", "mail": "email", "short": "too_long", "yes": "boolean", "whole": "integer", "amount": "decimal", "day": "date", "year": "date",
		"phone": "phone", "locale": "locale", "pick": "choice", "code": "pattern", "text": "text", "bell": "text", "twice": "doubled", "nobody": "unknown",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}
