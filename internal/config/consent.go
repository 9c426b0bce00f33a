package config

import (
	"slices"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// consent reads what a form asks to agree to. Whether a text has changed under its version only the
// store knows.
func (r *reader) consent(v value, set fieldSet) *onramp.ConsentTerms {
	if !v.isSet() {
		return nil
	}
	keys, ok := r.mapping(v, setting.FormConsent().Names()...)
	if !ok {
		return nil
	}
	c := &onramp.ConsentTerms{
		Field:   max(0, r.consentField(keys["field"], set)),
		Version: r.needed(keys["version"], "name the version of the text, such as 2026-06"),
	}
	if len(c.Version) > 100 {
		r.report(keys["version"].position, "can have at most 100 characters")
	}
	if !keys["text"].isSet() {
		r.report(keys["text"].position, "is missing: set it to what the person agrees to, as the form shows it")
	}
	c.Text, c.Texts = r.said(keys["text"])
	return c
}

// consentField reads by which field a person agrees. A missing answer must leave an earlier
// consent alone, so that the field can have no default.
func (r *reader) consentField(v value, set fieldSet) int {
	name := r.needed(v, "name the field by which a person agrees")
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return name != "" && f.Name == name })
	switch {
	case at < 0:
		if name != "" && set.complete() {
			r.report(v.position, "no field has this name: use one of the form's fields with type: boolean")
		}
		return -1
	case !set.clear[at]:
	case set.fields[at].Type != onramp.Boolean:
		r.report(v.position, "this field is of type %s: a consent needs one with type: boolean", set.fields[at].Type)
	case set.fields[at].Default != nil:
		r.report(set.positions[at].key("default"), "remove it: this field is a consent, and where it is missing an earlier consent stays as it is")
	}
	return at
}

// checkConsentSources reports fields from a consent in a form that asks for none.
func (r *reader) checkConsentSources(set fieldSet, c *onramp.ConsentTerms) {
	for i, f := range set.fields {
		switch f.From {
		case onramp.FromConsentVersion, onramp.FromConsentText, onramp.FromConsentAt:
			if c == nil {
				r.report(set.positions[i].key("from"), "has no effect, since the form has no consent: add it, or remove the field")
			}
		}
	}
}
