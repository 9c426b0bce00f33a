package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
)

const consentForm = shortAccount + `forms:
  newsletter:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: opt_in, column: OptIn, type: boolean }
      - { column: Version, from: consent_version }
    page: { lang: [de, en] }
    consent: { field: opt_in, version: 2026-06, text: { en: I agree, de: Ja } }
    route: [ { data_extension: { key: x } } ]
`

func TestConsent(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("onramp.yaml", []byte(consentForm), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &onramp.ConsentTerms{Field: 1, Version: "2026-06", Text: "Ja", Texts: onramp.Wording{"": "Ja", "en": "I agree", "de": "Ja"}}
	if diff := cmp.Diff(want, cfg.Forms[0].Consent); diff != "" {
		t.Error(diff)
	}
	for asked, want := range map[string]string{"": "de", "en-GB, fr;q=0.5": "en", "fr": "de", "x;;": "de", "de-AT": "de"} {
		if got, _ := cfg.Forms[0].Consent.In(asked); got != want {
			t.Errorf("%q gets %s, want %s", asked, got, want)
		}
	}
}

func TestWrongConsent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"no field":      {"field: opt_in, ", "", "consent.field: is missing: name the field by which a person agrees"},
		"unknown field": {"field: opt_in", "field: optin", "consent.field: no field has this name"},
		"another type":  {"field: opt_in", "field: email", "this field is of type email: a consent needs one with type: boolean"},
		"a default":     {"type: boolean", "type: boolean, default: false", "fields[1].default: remove it: this field is a consent"},
		"no version":    {"version: 2026-06, ", "", "consent.version: is missing: name the version of the text"},
		"no text":       {", text: { en: I agree, de: Ja }", "", "consent.text: is missing: set it to what the person agrees to"},
		"no consent":    {"    consent: { field: opt_in, version: 2026-06, text: { en: I agree, de: Ja } }\n", "", "fields[2].from: has no effect, since the form has no consent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("onramp.yaml", []byte(strings.Replace(consentForm, c.from, c.to, 1)), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
