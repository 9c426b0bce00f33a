package onramp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Edit is a change of a registration by an operator's hand: what it held
// before.
type Edit struct {
	At            time.Time // given by the store
	Fields        []string  // names of those that were changed
	SubscriberKey string
	Values        json.RawMessage
}

var (
	errNotYours = errors.New("is filled in by Onramp and can't be set")
	errNoKey    = errors.New("is the subscriber key and can't be empty")
)

// Edit gives fields of a registration other values, checked and normalised as
// Accept does it; an empty one stands for nothing submitted. Other columns stay
// as they are, also those that the form no longer has. The subscriber key
// follows the field that it comes from; a UUID stays.
//
// Whatever is wrong comes back at once, as an *Error of kind Invalid that names
// the fields and repeats no value.
func (f *Form) Edit(r Registration, changes map[string]string) (Registration, error) {
	if len(changes) == 0 {
		return Registration{}, &Error{Kind: Invalid, Message: "name at least one field to change"}
	}
	inputs := make([]Input, 0, len(changes))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		inputs = append(inputs, Input{name, Scalar{Posted, changes[name]}})
	}
	submitted, problems := f.assign(inputs)
	f.explainFilledIn(problems)
	columns, err := parseColumns(r.Values)
	if err != nil {
		return Registration{}, fmt.Errorf("read values of registration %s: %w", r.ID, err)
	}
	var key string
	var keyField *Field // that the key comes from, if it is among the changes
	for i := range f.Fields {
		field := &f.Fields[i]
		text := columns.text(field.Column)
		if submitted[i] != nil {
			value, present, err := field.change(submitted[i])
			if err != nil {
				problems = append(problems, FieldError{field.Name, err.Error()})
				continue
			}
			text = value.Text
			if present {
				columns = columns.set(f, i, appendScalar(nil, value))
			} else {
				columns = columns.remove(field.Column)
			}
		}
		// of several addresses the first one, as in Accept
		if from := f.SubscriberKey; from.From == KeyField && from.Field == i || from.From == KeyEmail && field.Type == Email && key == "" {
			key = text
			if submitted[i] != nil {
				keyField = field
			}
		}
	}
	if keyField != nil && key == "" && len(problems) == 0 {
		problems = append(problems, FieldError{keyField.Name, errNoKey.Error()})
	}
	if len(problems) > 0 {
		return Registration{}, invalid(problems)
	}
	if keyField != nil {
		r.SubscriberKey = key
	}
	r.Values = columns.object()
	return r, nil
}

// explainFilledIn tells who names the column of a value that nobody submits why
// that is no field.
func (f *Form) explainFilledIn(problems []FieldError) {
	for i := range problems {
		isColumn := func(field Field) bool {
			return field.From != Submitted && strings.EqualFold(field.Column, problems[i].Field)
		}
		if slices.ContainsFunc(f.Fields, isColumn) {
			problems[i].Message = errNotYours.Error()
		}
	}
}

// change is what the field holds after an edit.
func (f *Field) change(submitted *Scalar) (v Scalar, present bool, err error) {
	if f.From != Submitted {
		return v, false, errNotYours
	}
	return f.value(submitted, nil, "")
}

// columns are the members of a registration's values, in their order.
type columns []column

type column struct {
	name  string
	value json.RawMessage
}

func parseColumns(values json.RawMessage) (columns, error) {
	decoder := json.NewDecoder(bytes.NewReader(values))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var all columns
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errors.New("not JSON") // the decoder's error may quote what stands there
		}
		c := column{name: name.(string)} // in an object, what decodes before a value is its name
		if decoder.Decode(&c.value) != nil {
			return nil, errors.New("not JSON")
		}
		all = append(all, c)
	}
	return all, nil
}

// find gives the place of a column; −1: it is not there. Marketing Cloud
// compares their names without regard to case.
func (c columns) find(name string) int {
	return slices.IndexFunc(c, func(c column) bool { return strings.EqualFold(c.name, name) })
}

// text is the content of a column; "" when it is not there.
func (c columns) text(name string) string {
	at := c.find(name)
	if at < 0 {
		return ""
	}
	var text string
	if json.Unmarshal(c[at].value, &text) != nil {
		return string(c[at].value)
	}
	return text
}

func (c columns) remove(name string) columns {
	if at := c.find(name); at >= 0 {
		return slices.Delete(c, at, at+1)
	}
	return c
}

// set gives the column of a form's field a value. A new one comes before those
// of the fields that follow.
func (c columns) set(f *Form, field int, value json.RawMessage) columns {
	name := f.Fields[field].Column
	if name == "" {
		return c
	}
	at := c.find(name)
	if at >= 0 {
		c[at].value = value
		return c
	}
	at = len(c)
	for i := field + 1; i < len(f.Fields) && at == len(c); i++ {
		if next := c.find(f.Fields[i].Column); next >= 0 {
			at = next
		}
	}
	return slices.Insert(c, at, column{name, value})
}

func (c columns) object() json.RawMessage {
	object := append(make([]byte, 0, 512), '{')
	for i := range c {
		object = append(appendText(object, c[i].name), ':')
		object = append(append(object, c[i].value...), ',')
	}
	return closeObject(object)
}
