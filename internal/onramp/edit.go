package onramp

import (
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
	errNotYours   = errors.New("is filled in by Onramp and can't be set")
	errNotConsent = errors.New("is the person's consent, which nobody else can give or take back; see onramp consent withdraw")
	errNoKey      = errors.New("is the subscriber key and can't be empty")
)

// Edit gives fields of a registration other values, checked and normalised as
// Accept does it; an empty one stands for nothing submitted. Other values stay
// as they are, also those of fields that the form no longer has. The subscriber key
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
	submitted, problems := f.assign(inputs, nil)
	f.explainFilledIn(problems)
	problems = f.refuseConsent(submitted, problems)
	values, rest, err := f.assignValid(r.Values)
	if err != nil {
		return Registration{}, fmt.Errorf("read values of registration %s: %w", r.ID, err)
	}
	var key string
	var keyField *Field // that the key comes from, if it is among the changes
	for i := range f.Fields {
		field := &f.Fields[i]
		text := textOf(values[i])
		if submitted[i] != nil {
			value, present, err := field.change(submitted[i])
			if err != nil {
				problems = append(problems, newFieldError(field.Name, err))
				continue
			}
			if text, values[i] = value.Text, nil; present {
				values[i] = appendScalar(nil, value)
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
		problems = append(problems, newFieldError(keyField.Name, errNoKey))
	}
	if len(problems) > 0 {
		return Registration{}, invalid(problems)
	}
	if keyField != nil {
		r.SubscriberKey = key
	}
	r.Values = f.joinKept(values, rest)
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
			problems[i] = newFieldError(problems[i].Field, errNotYours)
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

// assignValid is assignKept for an object that may be damaged.
func (f *Form) assignValid(object json.RawMessage) (values []json.RawMessage, rest []member, err error) {
	if !json.Valid(object) {
		return nil, nil, errNoObject
	}
	return f.assignKept(object)
}

// textOf is the content of a value; "" when there is none.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}

// joinKept makes the object that assignKept has taken apart.
func (f *Form) joinKept(values []json.RawMessage, rest []member) json.RawMessage {
	object := append(make([]byte, 0, 512), '{')
	for i, value := range values {
		if value != nil {
			object = append(append(append(append(object, f.keys[i]...), ':'), value...), ',')
		}
	}
	for _, m := range rest {
		object = append(append(append(appendText(object, m.name), ':'), m.value...), ',')
	}
	return closeObject(object)
}

// refuseConsent takes a change of the consent out of what an operator wants.
func (f *Form) refuseConsent(submitted []*Scalar, problems []FieldError) []FieldError {
	if f.Consent == nil || submitted[f.Consent.Field] == nil {
		return problems
	}
	submitted[f.Consent.Field] = nil
	return append(problems, newFieldError(f.Fields[f.Consent.Field].Name, errNotConsent))
}
