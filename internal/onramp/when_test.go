package onramp_test

import (
	"testing"

	"onramp/internal/onramp"
)

// For whom a step is, by what is stored of them: also by an older version, or before the
// form had the field.
func TestSkips(t *testing.T) {
	t.Parallel()
	text := func(texts ...string) (values []onramp.Scalar) {
		for _, s := range texts {
			values = append(values, onramp.Scalar{Kind: onramp.String, Text: s})
		}
		return values
	}
	number := func(s string) []onramp.Scalar { return []onramp.Scalar{{Kind: onramp.Number, Text: s}} }
	is, not := []onramp.Scalar{{Kind: onramp.True}}, []onramp.Scalar{{Kind: onramp.False}}
	fields := []onramp.Field{
		{Name: "opt_in", Column: "OptIn", Type: onramp.Boolean},
		{Name: "country", Column: "Country"},
		{Name: "age", Column: "Age", Type: onramp.Decimal},
		{Name: "news", Column: "News", Type: onramp.Boolean, Default: &onramp.Scalar{Kind: onramp.True}},
		{Name: "topics", Column: "Topics", Type: onramp.Choices, Choices: []string{"News", "Jobs"}, Separator: "; "},
	}
	const optIn, country, age, news, topics = 0, 1, 2, 3, 4
	for name, c := range map[string]struct {
		when   onramp.Condition
		values string
		want   string
	}{
		"true":                    {onramp.Condition{{Field: optIn, Values: is}}, `{"opt_in":true}`, ""},
		"false":                   {onramp.Condition{{Field: optIn, Values: is}}, `{"opt_in":false}`, "opt_in is not true"},
		"nothing":                 {onramp.Condition{{Field: optIn, Values: is}}, `{}`, "opt_in is not true"},
		"false is wanted":         {onramp.Condition{{Field: optIn, Values: not}}, `{"opt_in":false}`, ""},
		"nothing is not false":    {onramp.Condition{{Field: optIn, Values: not}}, `{}`, "opt_in is not false"},
		"text is no boolean":      {onramp.Condition{{Field: optIn, Values: is}}, `{"opt_in":"true"}`, "opt_in is not true"},
		"by column":               {onramp.Condition{{Field: optIn, Values: is}}, `{"column:OPTIN":true}`, ""},
		"a default":               {onramp.Condition{{Field: news, Values: is}}, `{}`, ""},
		"in":                      {onramp.Condition{{Field: country, Values: text("DE", "AT")}}, `{"country":"AT"}`, ""},
		"in, escaped":             {onramp.Condition{{Field: country, Values: text("Ö\"")}}, `{"country":"\u00d6\""}`, ""},
		"not one of":              {onramp.Condition{{Field: country, Values: text("DE", "AT")}}, `{"country":"at"}`, "country is not one of DE, AT"},
		"is not":                  {onramp.Condition{{Field: country, Values: text("DE")}}, `{"country":"AT"}`, "country is not DE"},
		"one of the excluded":     {onramp.Condition{{Field: country, Values: text("DE", "AT"), Not: true}}, `{"country":"AT"}`, "country is one of DE, AT"},
		"not excluded":            {onramp.Condition{{Field: country, Values: text("DE"), Not: true}}, `{"country":"AT"}`, ""},
		"nothing is not excluded": {onramp.Condition{{Field: country, Values: text("DE"), Not: true}}, `{}`, ""},
		"a long list":             {onramp.Condition{{Field: country, Values: text("A", "B", "C", "D", "E", "F", "G")}}, `{}`, "country is not one of A, B, C, D, E, …"},
		"a number":                {onramp.Condition{{Field: age, Values: number("18")}}, `{"age":18.0}`, ""},
		"another number":          {onramp.Condition{{Field: age, Values: number("18")}}, `{"age":18.01}`, "age is not 18"},
		"one of several":          {onramp.Condition{{Field: topics, Values: text("Jobs")}}, `{"topics":"News; Jobs"}`, ""},
		"none of several":         {onramp.Condition{{Field: topics, Values: text("New")}}, `{"topics":"News; Jobs"}`, "topics is not New"},
		"all":                     {onramp.Condition{{Field: optIn, Values: is}, {Field: country, Values: text("DE")}}, `{"opt_in":true,"country":"DE"}`, ""},
		"not all":                 {onramp.Condition{{Field: optIn, Values: is}, {Field: country, Values: text("DE")}}, `{"opt_in":true}`, "country is not DE"},
		"not readable":            {onramp.Condition{{Field: optIn, Values: is}}, `[]`, ""},
		"for everybody":           {nil, `{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onramp.NewForm(onramp.Form{
				Name: "f", Fields: fields, Route: []onramp.Destination{{ID: 4}, {ID: 5}}, When: []onramp.Condition{nil, c.when},
			}, "")
			d := onramp.Delivery{DestinationID: 5, Values: []byte(c.values)}
			if got := f.SkipsDelivery(&d); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			event, again, other, gone := d, d, d, d
			event.Event, again.Resend, other.DestinationID, gone.DestinationID = &onramp.Event{}, true, 4, 6
			for i, one := range []*onramp.Delivery{&event, &again, &other, &gone} {
				if got := f.SkipsDelivery(one); got != "" {
					t.Errorf("%d: %q", i, got)
				}
			}
		})
	}
}
