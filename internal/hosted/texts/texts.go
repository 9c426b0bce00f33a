// Package texts is what the hosted form says beside what the configuration gives it, in
// the languages that are built in: one file for each.
//
// Use In first. A text may have placeholders, {title} and the like, for Fill.
package texts

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

var builtIn = map[string]map[string]string{
	"en": english, "de": german, "fr": french, "es": spanish, "it": italian,
	"nl": dutch, "pt": portuguese, "pl": polish, "ja": japanese,
}

// English is the language that is spoken where none is set.
const English = "en"

// Languages lists the languages that are built in.
func Languages() []string { return slices.Sorted(maps.Keys(builtIn)) }

// Keys lists the names of all texts.
func Keys() []string { return slices.Sorted(maps.Keys(english)) }

// ForDoubleOptIn says whether a text is only for forms with double opt-in.
func ForDoubleOptIn(key string) bool {
	return key == "thanks_confirm" || strings.HasPrefix(key, "confirm_") || strings.HasPrefix(key, "mail_")
}

// In gives the texts of a language by key: for de-AT, which has none of its own, those
// of de. nil: it is not built in.
func In(tag language.Tag) map[string]string {
	if own := builtIn[tag.String()]; own != nil {
		return own
	}
	base, _ := tag.Base()
	return builtIn[base.String()]
}

// IsRightToLeft says whether a language is written from right to left.
func IsRightToLeft(tag language.Tag) bool {
	script, _ := tag.Script()
	return slices.Contains([]string{"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}, script.String())
}

// Fill puts values for the placeholders of a text: pairs of a name and its value.
func Fill(text string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+pairs[i]+"}", pairs[i+1])
	}
	return text
}
