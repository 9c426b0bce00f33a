package onramp

import (
	"encoding/json"
	"slices"
	"strings"
)

// fieldOf finds the field for a column, as Marketing Cloud compares names: in any case.
// −1: none.
func (f *Form) fieldOf(column string) int {
	return slices.IndexFunc(f.Fields, func(field Field) bool { return strings.EqualFold(field.Column, column) })
}

// Fills says whether one of the form's fields is for a column.
func (f *Form) Fills(column string) bool { return f.fieldOf(column) >= 0 }

// SeveralRows says whether one person can have several rows in a destination by
// registering with this form: what they submit, besides the subscriber key, is part of
// the rows' key.
func (f *Form) SeveralRows(to Destination) bool {
	return slices.ContainsFunc(to.KeyColumns, func(column string) bool {
		at := f.fieldOf(column)
		if at < 0 || f.Fields[at].From == FromConstant || f.Fields[at].From == FromForm {
			return false
		}
		return f.SubscriberKey.From == KeyUUID || f.SubscriberKey.Field != at
	})
}

// TakeColumns takes columns out of an object by column. taken has what was there, under
// the names that were asked for; rest are the others.
func TakeColumns(columns json.RawMessage, names []string) (taken map[string]json.RawMessage, rest json.RawMessage) {
	taken = make(map[string]json.RawMessage, len(names))
	rest = append(make([]byte, 0, len(columns)), '{')
	err := eachMember(columns, func(name, value []byte) {
		column := textOf(name)
		at := slices.IndexFunc(names, func(wanted string) bool { return strings.EqualFold(wanted, column) })
		if at >= 0 {
			taken[names[at]] = value
			return
		}
		rest = append(append(append(append(rest, name...), ':'), value...), ',')
	})
	if err != nil {
		return nil, columns
	}
	return taken, closeObject(rest)
}
