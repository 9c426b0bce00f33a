// Package setting says which keys onramp.yaml has and what each one means. It is the only list
// of them: package config takes no others, and docs/reference/configuration.md is made
// from it. Use Sections to go through all, or one of the sections by its name.
package setting

import (
	"slices"
	"strings"
)

// Key is one key.
type Key struct {
	Name    string // in its section
	Default string // as it would stand in the file; "" when there is none, or it takes words to say
	Without string // what holds without the key, when Default doesn't say it
	Meaning string // in Markdown, with links from docs/reference
	Several bool   // it is a list or has names in it, and so no variable
	Restart bool   // a reload leaves it as it was at the start
}

// Section is keys that stand in one place of the file.
type Section struct {
	Title string // heading in the reference
	Path  string // of the place: "" for the top, "forms.NAME", "forms.NAME.fields[]"
	About string // a sentence before the keys, in Markdown; may be ""
	Keys  []Key
}

// Names are the keys of a section.
func (s Section) Names() []string {
	names := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		names[i] = k.Name
	}
	return names
}

// IsSingle says that the section's keys that have a single value can be set by a variable,
// since it is in no list and not a form, and belongs to the gateway as a whole.
func (s Section) IsSingle() bool {
	return !strings.Contains(s.Path, "NAME") && !strings.Contains(s.Path, "[]")
}

// In gives the path of a key of the section.
func (s Section) In(key string) string { return strings.TrimPrefix(s.Path+"."+key, ".") }

// Variable is the name of the setting with a path in the environment.
func Variable(path string) string {
	return "ONRAMP_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// NeedsRestart says that a reload leaves the setting with a path as it was.
func NeedsRestart(path string) bool {
	return slices.ContainsFunc(Sections(), func(s Section) bool {
		return slices.ContainsFunc(s.Keys, func(k Key) bool { return s.In(k.Name) == path && k.Restart })
	})
}

// Sections are all keys, in the order of the reference.
func Sections() []Section {
	return []Section{
		Top(), Public(), PublicTLS(), ACME(), Storage(), Egress(), Admin(), AdminToken(), AdminTLS(), MarketingCloud(), Delivery(), SMTP(), Log(), Consent(), Tracing(), Privacy(), Watch(), Retention(),
		Screen(), ScreenLimits(), ScreenCaptcha(), ScreenIdentical(), ScreenHook(),
		Form(), FormRetention(), DoubleOptIn(), ConfirmationMessage(), ConfirmationJourney(), ConfirmationLimits(), Page(), Colors(), DarkColors(), Field(), FormConsent(), Rule(), Step(), DataExtension(), Journey(), Message(), When(),
		OAuth(), Client(), User(), ENS(), Callback(), Subscription(),
		Sink(), Webhook(), Kafka(), NATS(), File(),
	}
}
