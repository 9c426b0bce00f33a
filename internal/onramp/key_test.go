package onramp_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// One person has several rows where they submit a part of the key.
func TestSeveralRows(t *testing.T) {
	t.Parallel()
	fields := []onramp.Field{
		{Name: "email", Column: "Email", Type: onramp.Email},
		{Name: "brand", Column: "Brand"},
		{Column: "Source", From: onramp.FromConstant},
		{Column: "Id", From: onramp.FromUUID},
	}
	byEmail, byBrand := onramp.KeyStrategy{From: onramp.KeyEmail}, onramp.KeyStrategy{From: onramp.KeyField, Field: 1}
	for name, c := range map[string]struct {
		by   onramp.KeyStrategy
		keys []string
		want bool
	}{
		"the subscriber key":      {byEmail, []string{"Key"}, false},
		"its own field":           {byEmail, []string{"EMAIL"}, false},
		"another field":           {byBrand, []string{"Email"}, true},
		"a field beside it":       {byEmail, []string{"Key", "Brand"}, true},
		"its own field, beside":   {byBrand, []string{"Key", "Brand"}, false},
		"a constant beside it":    {byEmail, []string{"Key", "Source"}, false},
		"an id for each":          {byEmail, []string{"Key", "Id"}, true},
		"a UUID of another field": {onramp.KeyStrategy{From: onramp.KeyUUID}, []string{"Email"}, true},
		"none":                    {byEmail, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onramp.NewForm(onramp.Form{Fields: fields, SubscriberKey: c.by}, "")
			if got := f.SeveralRows(onramp.Destination{KeyColumns: c.keys}); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestTakeColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		columns, names, taken, rest string
	}{
		{`{"A":1,"b":"x,}\"","C":null}`, `["B","c"]`, `{"B":"x,}\"","c":null}`, `{"A":1}`},
		{`{"A":1}`, `["A"]`, `{"A":1}`, `{}`},
		{`{"A":1}`, `["B"]`, `{}`, `{"A":1}`},
		{`{"\u0041\"":true}`, `["a\""]`, `{"a\"":true}`, `{}`},
		{`{}`, `["A"]`, `{}`, `{}`},
		{`[]`, `["A"]`, `null`, `[]`},
	} {
		var names []string
		if err := json.Unmarshal([]byte(c.names), &names); err != nil {
			t.Fatal(err)
		}
		taken, rest := onramp.TakeColumns(json.RawMessage(c.columns), names)
		text, err := json.Marshal(taken)
		if diff := cmp.Diff([]string{c.taken, c.rest}, []string{string(text), string(rest)}); diff != "" || err != nil {
			t.Error(c.columns, diff, err)
		}
	}
}
