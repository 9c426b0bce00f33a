package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"onramp/internal/onramp"
)

// keyColumn is the column for the subscriber key unless the step says another.
const keyColumn = "SubscriberKey"

// keyColumns reads the columns of a row's key: one, or a list. none says whether "" may
// stand for none.
func (r *reader) keyColumns(v value, none bool) []string {
	const hint = "set it to the column that holds the subscriber key"
	switch {
	case !v.isSet():
		return []string{keyColumn}
	case v.target().Kind != yaml.SequenceNode && none:
		if column := r.text(v); column != "" {
			return []string{column}
		}
		return nil
	case v.target().Kind != yaml.SequenceNode:
		return []string{r.needed(v, hint)}
	}
	before := len(r.problems)
	var columns []string
	for _, s := range r.texts(v) {
		same := func(other string) bool { return strings.EqualFold(other, s.text) }
		switch {
		case s.text == "":
			r.report(s.position, "is empty: fill it in or remove it")
		case slices.ContainsFunc(columns, same):
			r.report(s.position, "is listed twice: remove one")
		default:
			columns = append(columns, s.text)
		}
	}
	if len(columns) == 0 && len(r.problems) == before {
		r.report(v.position, "is empty: list the columns of the primary key")
	}
	return columns
}

// checkKeyColumns reports key columns that would have no value, two values, or the same
// one.
func (r *reader) checkKeyColumns(v value, d onramp.Destination, from around) {
	receives := "subscriber key"
	if d.OnExisting == onramp.CreateNew {
		receives = "registration's id"
	}
	var unfilled []string
	for _, column := range d.KeyColumns {
		at := slices.IndexFunc(from.set.fields, func(f onramp.Field) bool { return column != "" && strings.EqualFold(f.Column, column) })
		switch {
		case at < 0:
			unfilled = append(unfilled, column)
		case !v.isSet() && (at != from.key || d.OnExisting == onramp.CreateNew):
			r.reportOnce(from.set.columns[strings.ToLower(column)], "is the key_column of %s, which receives the %s: remove the field, use another column, "+
				"or write key_column: %s in the step if this field is to fill it", d.Name(), receives, column)
		default:
			r.checkKeyField(from.set, at, d)
		}
	}
	switch {
	case !from.set.complete() || slices.Contains(d.KeyColumns, ""):
	case len(unfilled) > 1:
		r.report(v.position, "no field fills %s: only one column can receive the %s; add fields for the others", strings.Join(unfilled, " and "), receives)
	case len(unfilled) == 0 && len(d.KeyColumns) > 0 && d.OnExisting == onramp.CreateNew && v.isSet():
		r.report(v.position, "with on_existing: new one key column receives the registration's id, but fields fill all of them: add a column that no field fills")
	}
}

// checkKeyField reports a field of a key column that may have no value.
func (r *reader) checkKeyField(set fieldSet, at int, d onramp.Destination) {
	f := &set.fields[at]
	isEmpty := func(s *onramp.Scalar) bool { return s == nil || s.Kind == onramp.String && s.Text == "" }
	switch f.From {
	case onramp.Submitted:
		if set.clear[at] && !f.Required && isEmpty(f.Default) {
			r.reportOnce(set.positions[at].key("required"), "this field is in the key_column of %s, and can't be empty: add required: true, or a default", d.Name())
		}
	case onramp.FromConstant:
		if f.Constant != nil && isEmpty(f.Constant) {
			r.reportOnce(set.positions[at].key("value"), "this constant is in the key_column of %s, and can't be empty", d.Name())
		}
	case onramp.FromIP, onramp.FromUserAgent, onramp.FromPageURL:
		r.reportOnce(set.columns[strings.ToLower(f.Column)], "is in the key_column of %s, and can be empty, since it is filled in from %s: use another column", d.Name(), f.From)
	}
}

// reportOnce reports what is wrong at a place, unless the same kind of thing was reported
// there for another step.
func (r *reader) reportOnce(at position, format string, args ...any) {
	if !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Line == at.line && p.Path == at.path }) {
		r.report(at, format, args...)
	}
}
