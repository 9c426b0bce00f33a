package texts_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/language"

	"onramp/internal/hosted/texts"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// Every language has every text, with the same placeholders, and no other.
func TestLanguagesAreComplete(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt"}, texts.Languages()); diff != "" {
		t.Errorf("languages (-want +got):\n%s", diff)
	}
	english := texts.In(language.English)
	for _, name := range texts.Languages() {
		of := texts.In(language.MustParse(name))
		for key, text := range of {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has a text %q that English has not", name, key)
			}
			if text == "" {
				t.Errorf("%s says nothing for %q", name, key)
			}
		}
		for _, key := range texts.Keys() {
			want, got := placeholder.FindAllString(english[key], -1), placeholder.FindAllString(of[key], -1)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); of[key] == "" || diff != "" {
				t.Errorf("%s, %s: %q (-want +got):\n%s", name, key, of[key], diff)
			}
		}
	}
}

// What several languages say alike was forgotten in one, but for what really is the same.
func TestLanguagesDiffer(t *testing.T) {
	t.Parallel()
	for _, key := range texts.Keys() {
		said := map[string]string{}
		for _, name := range texts.Languages() {
			text := texts.In(language.MustParse(name))[key]
			if other := said[text]; other != "" && len(text) > len("Error: {title}") {
				t.Errorf("%s: %s says %q as %s does", key, name, text, other)
			}
			said[text] = name
		}
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"de": "Absenden", "de-AT": "Absenden", "pt-BR": "Enviar", "en-GB": "Send", "sv": "", "zh-Hant": ""} {
		if got := texts.In(language.MustParse(tag))["send"]; got != want {
			t.Errorf("%s: send is %q, want %q", tag, got, want)
		}
	}
}

func TestIsRightToLeft(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{"ar": true, "he": true, "fa": true, "ur": true, "ar-EG": true, "az-Arab": true, "en": false, "az": false, "ja": false} {
		if got := texts.IsRightToLeft(language.MustParse(tag)); got != want {
			t.Errorf("%s: right to left is %v, want %v", tag, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	if got, want := texts.Fill("{a}, {b} and {a}", "a", "1", "b", "2"), "1, 2 and 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
