package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
)

// Conditions in every way to write them; values are those that the field would store.
func TestConditions(t *testing.T) {
	t.Parallel()
	text := func(s string) onramp.Scalar { return onramp.Scalar{Kind: onramp.String, Text: s} }
	is := onramp.Scalar{Kind: onramp.True}
	for when, want := range map[string]onramp.Condition{
		"opt_in":                                    {{Field: 1, Values: []onramp.Scalar{is}}},
		"{ field: opt_in, is: true }":               {{Field: 1, Values: []onramp.Scalar{is}}},
		"{ field: opt_in, is: false }":              {{Field: 1, Values: []onramp.Scalar{{Kind: onramp.False}}}},
		"{ field: country, in: [ DE, AT] }":         {{Field: 2, Values: []onramp.Scalar{text("DE"), text("AT")}}},
		"{ field: country, not_in: [\" AT \"] }":    {{Field: 2, Values: []onramp.Scalar{text("AT")}, Not: true}},
		"{ field: country, is: \"${env:COUNTRY}\"}": {{Field: 2, Values: []onramp.Scalar{text("DE")}}},
		"{ field: age, in: [18, \"${env:AGE}\"] }":  {{Field: 3, Values: []onramp.Scalar{{Kind: onramp.Number, Text: "18"}, {Kind: onramp.Number, Text: "21"}}}},
		"{ field: locale, in: [de-de] }":            {{Field: 4, Values: []onramp.Scalar{text("de-DE")}}},
		"[opt_in, { field: country, is: DE }]":      {{Field: 1, Values: []onramp.Scalar{is}}, {Field: 2, Values: []onramp.Scalar{text("DE")}}},
		"":                                          nil,
	} {
		for _, step := range []string{
			"{ message: { definition_key: m }, when: " + when + " }", "{ message: { definition_key: m, when: " + when + " } }",
		} {
			c, err := config.Parse("test", []byte(`marketing_cloud: { subdomain: mc0, client_id: a, client_secret: b, account_id: "1" }
forms:
  f:
    fields:
      - { name: email, column: Email, type: email, required: true }
      - { name: opt_in, column: OptIn, type: boolean }
      - { name: country, column: Country, type: choice, choices: [DE, AT] }
      - { name: age, column: Age, type: integer }
      - { name: locale, column: Locale, type: locale }
    route: [ { data_extension: { key: D } }, `+step+` ]
`), []string{"COUNTRY=DE", "AGE=21"})
			if err != nil {
				t.Errorf("%s: %v", step, err)
				continue
			}
			all := []onramp.Condition{nil, want}
			if want == nil {
				all = nil
			}
			if diff := cmp.Diff(all, c.Forms[0].When); diff != "" {
				t.Errorf("%s: %s", step, diff)
			}
		}
	}
}
