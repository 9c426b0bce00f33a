package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/phone"
	"onramp/internal/setting"
)

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// checkName checks a name that stands in URLs or names a queue.
func (r *reader) checkName(at position, name, whose string) {
	if !plainName.MatchString(name) {
		r.report(at, "a %s name must start with a lower-case letter or a digit, and contain only these, _ and -, at most 63 characters", whose)
	}
}

// forms reads the forms, in the order of the file, and sorts them by name.
func (r *reader) forms(v value) []onramp.Form {
	entries, ok := r.entries(v)
	if ok && len(entries) == 0 {
		r.report(v.position, "no form is defined: add at least one (onramp init writes an example)")
	}
	for _, e := range entries {
		r.formNames = append(r.formNames, e.name)
	}
	var forms []onramp.Form
	for _, e := range entries {
		forms = append(forms, r.form(e))
	}
	slices.SortFunc(forms, func(a, b onramp.Form) int { return cmp.Compare(a.Name, b.Name) })
	return forms
}

func (r *reader) form(v value) onramp.Form {
	r.checkName(v.position, v.name, "form")
	keys, ok := r.mapping(v, setting.Form().Names()...)
	if !ok {
		return onramp.Form{}
	}
	r.asks = keys["double_opt_in"].node != nil
	f := onramp.Form{Name: v.name, Page: r.page(keys["page"]), Origins: r.origins(keys["origins"]), AllowedHeaders: r.allowedHeaders(keys)}
	f.Title, f.Titles = r.said(keys["title"])
	if s, ok := r.scalar(keys["success_url"]); ok {
		if f.SuccessURL = s.text; !isSuccessURL(s.text) {
			r.report(s.position, "must be an absolute http or https URL or a path that starts with /")
		} else {
			r.checkSuccessURL(s)
		}
	}
	f.IgnoreUnknown = r.unknownFields(keys["unknown_fields"])
	set := r.fields(keys["fields"], r.locale(keys))
	f.Fields = set.fields
	r.checkCountry(keys["country"], set)
	f.SubscriberKey = r.subscriberKey(keys["subscriber_key"], set)
	before := len(r.problems)
	f.Route, f.When = r.route(keys, set, f.SubscriberKey)
	routed := len(r.problems) == before
	r.once(&f, keys, set)
	f.Consent = r.consent(keys["consent"], set)
	r.checkConsentSources(set, f.Consent)
	f.DoubleOptIn = r.doubleOptIn(keys["double_opt_in"], set)
	r.retention(f.Name, keys["retention"])
	f.OnEvent = r.rules(keys["on_event"], set, f.Route, routed)
	return f
}

// subscriberKey reads the strategy. When a field could not be read it doesn't
// complain about a field that isn't there: that may be the one.
func (r *reader) subscriberKey(v value, set fieldSet) onramp.KeyStrategy {
	s, ok := r.scalar(v)
	if !ok {
		if v.isSet() {
			return onramp.KeyStrategy{}
		}
		s = scalar{position: v.position, text: "email"}
	}
	field, isField := strings.CutPrefix(s.text, "field:")
	switch {
	case s.text == "email":
		return r.emailKey(s, set)
	case s.text == "uuid":
		return onramp.KeyStrategy{From: onramp.KeyUUID}
	case isField:
		return r.fieldKey(s, field, set)
	}
	r.report(s.position, "%s is not known; use email, uuid or field:NAME", s.quoted())
	return onramp.KeyStrategy{}
}

func (r *reader) emailKey(s scalar, set fieldSet) onramp.KeyStrategy {
	// the first one: it is the one that the form takes the key from
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool {
		return f.From == onramp.Submitted && f.Type == onramp.Email
	})
	switch {
	case at >= 0 && !set.fields[at].Required && set.clear[at]:
		r.report(set.positions[at].key("required"), "this email address is the subscriber key: add required: true")
	case at < 0 && set.complete():
		r.report(s.position, "email needs a field with type: email; add one, or use uuid or field:NAME")
	}
	return onramp.KeyStrategy{From: onramp.KeyEmail, Field: max(at, 0)}
}

func (r *reader) fieldKey(s scalar, name string, set fieldSet) onramp.KeyStrategy {
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return name != "" && f.Name == name })
	switch {
	case at < 0:
		if set.complete() || name == "" {
			r.report(s.position, "no field has this name: use field:NAME with the name of one of the form's fields")
		}
		return onramp.KeyStrategy{From: onramp.KeyField}
	case !hasText(set.fields[at].Type):
		r.report(s.position, "a field of type %s can't be the subscriber key: use one that holds text", set.fields[at].Type)
	case !set.fields[at].Required && set.clear[at]:
		r.report(set.positions[at].key("required"), "this field is the subscriber key: add required: true")
	}
	return onramp.KeyStrategy{From: onramp.KeyField, Field: at}
}

// country reads whose phone numbers come without a country code.
func (r *reader) country(v value) string {
	s, ok := r.scalar(v)
	if ok && !phone.IsCountry(s.text) {
		r.report(s.position, "%s is not a country code; use two capital letters (ISO 3166), such as DE or US", s.quoted())
		return ""
	}
	return s.text
}

func (r *reader) checkCountry(v value, set fieldSet) {
	if set.country != "" && set.complete() && !slices.ContainsFunc(set.fields, func(f onramp.Field) bool { return f.Type == onramp.Phone }) {
		r.report(v.position, "has no effect, since no field of this form has type: phone; remove it")
	}
}
