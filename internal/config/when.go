package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"onramp/internal/onramp"
	"onramp/internal/setting"
	"onramp/internal/spelling"
)

// when reads the condition of a step: the name of a boolean field, a map with a field and
// its values, or a list of these, which must all hold.
func (r *reader) when(v value, set fieldSet) onramp.Condition {
	if !v.isSet() {
		return nil
	}
	if v.target().Kind != yaml.SequenceNode {
		return r.terms(v, set)
	}
	items, _ := r.list(v)
	if len(v.target().Content) == 0 {
		r.report(v.position, "is empty: name a field, or remove it")
	}
	var all onramp.Condition
	for _, item := range items {
		all = append(all, r.terms(item, set)...)
	}
	return all
}

// terms reads one term; none when there is a mistake in it.
func (r *reader) terms(v value, set fieldSet) onramp.Condition {
	if v.target().Kind != yaml.MappingNode {
		if v.target().Kind == yaml.SequenceNode {
			r.report(v.position, "must be the name of a field or a map, not a list")
			return nil
		}
		s, ok := r.scalar(v)
		at := r.whenField(s, ok, set)
		if at < 0 {
			return nil
		}
		if set.fields[at].Type != onramp.Boolean {
			r.report(s.position, "%s is a %s field: name its values, such as { field: %s, in: [a, b] }; only a boolean can stand alone",
				s.text, set.fields[at].Type, s.text)
			return nil
		}
		return onramp.Condition{{Field: at, Values: []onramp.Scalar{{Kind: onramp.True}}}}
	}
	keys, ok := r.mapping(v, setting.When().Names()...)
	if !ok {
		return nil
	}
	before := len(r.problems)
	name := scalar{position: keys["field"].position, text: r.needed(keys["field"], "set it to the name of a field of this form")}
	at := r.whenField(name, name.text != "", set)
	var given []string
	for _, key := range []string{"is", "in", "not_in"} {
		if keys[key].isSet() {
			given = append(given, key)
		}
	}
	if len(given) != 1 {
		if len(given) > 1 {
			r.report(v.position, "has %s: use one of them", strings.Join(given, " and "))
		} else if len(r.problems) == before {
			r.report(v.position, "says nothing about the field: add is, in or not_in, such as in: [a, b]")
		}
		return nil
	}
	if at < 0 {
		return nil
	}
	t := onramp.Term{Field: at, Not: given[0] == "not_in", Values: r.whenValues(keys[given[0]], given[0] == "is", &set.fields[at])}
	if len(t.Values) == 0 {
		return nil
	}
	return onramp.Condition{t}
}

// whenField finds the field of a term; −1: there is a mistake. When a field could not be
// read it doesn't complain about one that isn't there.
func (r *reader) whenField(name scalar, ok bool, set fieldSet) int {
	if !ok {
		return -1
	}
	var names []string
	for i := range set.fields {
		switch f := &set.fields[i]; {
		case f.Name == "":
		case f.Name == name.text && !set.clear[i]:
			return -1 // its own mistake was reported
		case f.Name == name.text:
			return i
		default:
			names = append(names, f.Name)
		}
	}
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return strings.EqualFold(f.Column, name.text) })
	switch {
	case at >= 0 && set.fields[at].From != onramp.Submitted:
		r.report(name.position, "is filled in by Onramp: a condition is about what the visitor submits")
	case at >= 0 && set.clear[at]:
		r.report(name.position, "is a column: use the name of its field, %s", set.fields[at].Name)
	case set.complete():
		r.report(name.position, "the form has no field %s; %s", name.quoted(), spelling.DidYouMean(name.text, names))
	}
	return -1
}

// whenValues reads the values of a term, which the field itself must accept.
func (r *reader) whenValues(v value, one bool, f *onramp.Field) []onramp.Scalar {
	items := []value{v}
	if !one {
		before := len(r.problems)
		if items, _ = r.list(v); len(items) == 0 && len(r.problems) == before {
			r.report(v.position, "is empty: list the values")
		}
	}
	var values []onramp.Scalar
	for _, item := range items {
		value := r.defaultValue(f, item)
		switch {
		case value == nil:
		case slices.Contains(values, *value):
			r.report(item.position, "is listed twice: remove one")
		default:
			values = append(values, *value)
		}
	}
	return values
}
