package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// rules reads what a form does when events come about its registrations. set
// and route are the form's; routed says that the route could be read.
func (r *reader) rules(v value, set fieldSet, route []onramp.Destination, routed bool) []onramp.EventRule {
	items, _ := r.list(v)
	var list []onramp.EventRule
	for _, item := range items {
		keys, ok := r.mapping(item, setting.Rule().Names()...)
		if !ok {
			continue
		}
		field, column := r.ruleColumn(keys["column"], set, route)
		list = append(list, onramp.EventRule{
			Type:   r.ruleType(keys["type"]),
			Where:  r.where(keys["where"]),
			Column: column,
			Value:  r.ruleValue(keys["value"], field),
		})
	}
	if len(list) > 0 {
		r.checkRows(v.position, route, routed)
	}
	return list
}

// checkRows reports rules for rows that don't exist, or that are never updated.
func (r *reader) checkRows(at position, route []onramp.Destination, routed bool) {
	isRow := func(d onramp.Destination) bool { return d.Kind == onramp.DataExtension }
	if routed && !slices.ContainsFunc(route, isRow) {
		r.report(at, "has no effect without a data_extension step; remove it")
	}
	for _, d := range route {
		if isRow(d) && d.OnExisting == onramp.Skip {
			r.report(at, "updates rows, but with on_existing: skip the rows of %s are never updated: remove one of the two", d.Name())
		}
	}
}

func (r *reader) ruleType(v value) string {
	s, ok := r.scalar(v)
	if !v.isSet() {
		r.report(v.position, "is missing: set it to the type of the events, such as EngagementEvents.EmailUnsubscribe")
	}
	if !ok {
		return ""
	}
	if err := s.eventPattern(); err != nil {
		r.report(s.position, "%v", err)
	}
	return s.text
}

var whereName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// where reads what an event must hold, by name.
func (r *reader) where(v value) map[string]string {
	entries, _ := r.entries(v)
	if len(entries) == 0 {
		return nil
	}
	conditions := make(map[string]string, len(entries))
	for _, e := range entries {
		if !whereName.MatchString(e.name) {
			// not repeated, as in mapping
			r.report(position{e.line, v.path}, "a name must be one of the event's fields, such as bounceCode; is a colon, or the space after it, missing?")
			continue
		}
		s, ok := r.scalar(e)
		if !e.isSet() || ok && s.text == "" {
			r.report(e.position, "is empty: set it to the value that the event must have")
		}
		conditions[e.name] = s.text
	}
	return conditions
}

// ruleColumn reads the column that gets the value, and finds the form's field
// for it, if there is one that a visitor fills in and that could be read. The
// column is then written as the field has it.
func (r *reader) ruleColumn(v value, set fieldSet, route []onramp.Destination) (*onramp.Field, string) {
	column := r.needed(v, "set it to the data extension column to update")
	for _, d := range route {
		isKey := func(key string) bool { return column != "" && strings.EqualFold(key, column) }
		if d.Kind == onramp.DataExtension && slices.ContainsFunc(d.KeyColumns, isKey) {
			r.report(v.position, "is the key_column of %s, which identifies the row: use another column", d.Name())
			break
		}
	}
	for i := range set.fields {
		f := &set.fields[i]
		if column == "" || !strings.EqualFold(f.Column, column) {
			continue
		}
		if f.From != onramp.Submitted || !set.clear[i] {
			return nil, f.Column
		}
		return f, f.Column
	}
	return nil, column
}

// ruleValue reads the value, which the field must accept, as JSON.
func (r *reader) ruleValue(v value, f *onramp.Field) json.RawMessage {
	var parsed *onramp.Scalar
	switch {
	case !v.isSet():
		r.report(v.position, `is missing: set it to the column's new value, such as false, or "" to clear it`)
	case f != nil:
		parsed = r.defaultValue(f, v)
	default:
		parsed = r.constant(v)
	}
	if parsed == nil {
		return nil
	}
	switch parsed.Kind {
	case onramp.True:
		return json.RawMessage("true")
	case onramp.False:
		return json.RawMessage("false")
	case onramp.Number:
		return json.RawMessage(parsed.Text)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // as a form's values are written
	_ = encoder.Encode(parsed.Text)
	return bytes.TrimSpace(text.Bytes())
}
