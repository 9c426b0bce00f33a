package onramp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// What a registration holds is kept by field, and becomes columns when it is sent,
// through the form as it is then: what waits follows a corrected configuration.

// legacyColumn begins the names of what was stored by column, before there were
// fields.
const legacyColumn = "column"

// key is the name under which a field's value is kept: its own, or, of what Onramp
// fills in, its source and column.
func (f *Field) key() string {
	if f.Name != "" {
		return f.Name
	}
	return f.From.String() + ":" + f.Column
}

// isKept says whether the field's value is stored; the others follow from the
// registration and its form.
func (f *Field) isKept() bool { return f.From != FromReceivedAt && f.From != FromForm }

// ValuesOfColumns makes a registration's values of an object by column, as they were
// stored once. What is no such object stays as it is.
func ValuesOfColumns(object json.RawMessage) json.RawMessage {
	values := append(make([]byte, 0, len(object)+128), '{')
	err := eachMember(object, func(name, value []byte) {
		values = append(append(values, `"`+legacyColumn+`:`...), name[1:]...)
		values = append(append(append(values, ':'), value...), ',')
	})
	if err != nil {
		return object
	}
	return closeObject(values)
}

// Columns makes the columns that are sent of what a registration holds, in the order
// of the form's fields: an object by column. What no field had a value for is filled
// in as far as it can be without the visitor. gone names the fields that have a value
// and are no longer in the form.
func (f *Form) Columns(r *Registration) (columns json.RawMessage, gone []string, err error) {
	values, rest, err := f.assignKept(r.Values)
	if err != nil {
		return nil, nil, err
	}
	columns = append(make([]byte, 0, len(r.Values)+256), '{')
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Column == "" {
			continue
		}
		value := values[i]
		if value == nil {
			value = field.fillIn(r)
		}
		if value != nil {
			columns = append(append(append(append(columns, f.columnNames[i]...), ':'), value...), ',')
		}
	}
	for _, m := range rest {
		source, column, _ := strings.Cut(m.name, ":")
		if source != legacyColumn {
			gone = append(gone, m.name)
			continue
		}
		columns = append(append(append(appendText(columns, column), ':'), m.value...), ',')
	}
	return closeObject(columns), gone, nil
}

// ColumnsAsStored gives the columns of what was stored by column, as they were then; ok is
// false when there is something that was stored by field.
func ColumnsAsStored(values json.RawMessage) (columns json.RawMessage, ok bool) {
	const prefix = `"` + legacyColumn + `:`
	columns, ok = append(make([]byte, 0, len(values)), '{'), true
	err := eachMember(values, func(name, value []byte) {
		column, isLegacy := bytes.CutPrefix(name, []byte(prefix))
		ok = ok && isLegacy
		columns = append(append(append(append(append(columns, '"'), column...), ':'), value...), ',')
	})
	return closeObject(columns), ok && err == nil
}

// HasField says whether visitors fill in a field of this name.
func (f *Form) HasField(name string) bool {
	_, known := f.byName[name]
	return known
}

// TextOf is the text that a registration holds in a field that visitors fill in; "": none.
func (f *Form) TextOf(r *Registration, field string) (text string) {
	at, known := f.byName[field]
	if !known {
		return ""
	}
	_ = eachMember(r.Values, func(name, value []byte) { // it is what Accept has written
		if string(name) == f.keys[at] {
			_ = json.Unmarshal(value, &text) // of what is no text, nothing
		}
	})
	return text
}

// fillIn gives what a field holds for which nothing was kept, as JSON; nil: nothing.
func (f *Field) fillIn(r *Registration) json.RawMessage {
	switch f.From {
	case FromReceivedAt, FromForm, FromConstant:
		value, present, _ := f.value(nil, &Submission{ReceivedAt: r.ReceivedAt}, r.Form)
		if present {
			return appendScalar(nil, value)
		}
	case FromUUID: // the same for each attempt
		return appendText(nil, keyedUUID(Secret(r.ID), f.Column))
	case Submitted:
		if f.Default != nil {
			return appendScalar(nil, *f.Default)
		}
	}
	return nil
}

// member is one of an object's.
type member struct {
	name  string
	value json.RawMessage
}

// assignKept gives every kept value to its field. rest is what none takes.
func (f *Form) assignKept(object json.RawMessage) (values []json.RawMessage, rest []member, err error) {
	values = make([]json.RawMessage, len(f.Fields))
	err = eachMember(object, func(name, value []byte) {
		if at, ok := f.byKey[string(name)]; ok {
			values[at] = value
			return
		}
		m := member{value: value}
		_ = json.Unmarshal(name, &m.name) // eachMember has seen that it is a text
		rest = append(rest, m)
	})
	left := rest[:0]
	for _, m := range rest {
		if at := f.adopt(m.name, values); at >= 0 {
			values[at] = m.value
		} else {
			left = append(left, m)
		}
	}
	return values, left, err
}

// adopt finds the field that takes a value which was kept under another name: what
// stands in its column, or what comes from its source, when its column was corrected.
// −1: none.
func (f *Form) adopt(name string, values []json.RawMessage) int {
	source, column, filledIn := strings.Cut(name, ":")
	if !filledIn {
		return -1
	}
	from, _ := ParseSource(source)
	for i := range f.Fields {
		field := &f.Fields[i]
		switch {
		case values[i] != nil:
		case source == legacyColumn && strings.EqualFold(field.Column, column):
			return i
		case from != Submitted && from != FromConstant && field.From == from:
			return i
		}
	}
	return -1
}

var errNoObject = errors.New("the values are no JSON object")

// eachMember hands over the members of an object that Onramp has written, as they
// stand there, names in their quotes.
func eachMember(object []byte, take func(name, value []byte)) error {
	if len(object) < 2 || object[0] != '{' {
		return errNoObject
	}
	for at := 1; at < len(object); at++ {
		if object[at] == '}' && at == len(object)-1 {
			return nil
		}
		colon := endOfValue(object, at)
		if colon >= len(object) || object[at] != '"' || object[colon] != ':' {
			return errNoObject
		}
		end := endOfValue(object, colon+1)
		if end >= len(object) || end == colon+1 {
			return errNoObject
		}
		take(object[at:colon], object[colon+1:end])
		if at = end; object[at] == '}' {
			at--
		}
	}
	return errNoObject
}

// endOfValue returns where the value that begins at a place ends.
func endOfValue(b []byte, at int) int {
	depth, quoted := 0, false
	for ; at < len(b); at++ {
		switch c := b[at]; {
		case quoted && c == '\\':
			at++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
		case depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']'):
			return at
		}
	}
	return at
}
