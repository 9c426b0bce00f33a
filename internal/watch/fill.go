package watch

import (
	"fmt"
	"strings"

	"onramp/internal/onramp"
)

// fill makes what a canary submits to a form: what a visitor would have to, with the mark in
// the email addresses, or where there are none in a text. The error says why a form can't
// have a canary. This is the one place that knows what a form wants of a visitor.
func fill(form *onramp.Form, address, mark string) (map[string]any, error) {
	at := marked(form)
	if len(at) == 0 {
		return nil, fmt.Errorf("it has no field of type email, and no text that may hold %d characters", len(mark))
	}
	if err := ownRow(form, at); err != nil {
		return nil, err
	}
	values := map[string]any{}
	for i := range form.Fields {
		f := &form.Fields[i]
		if f.From != onramp.Submitted {
			continue
		}
		var tries []any
		switch {
		case at[i] && f.Type == onramp.Email:
			tries = []any{address}
		case at[i]:
			tries = []any{mark}
		default:
			tries = candidates(f)
		}
		value, fits := firstFitting(f, tries)
		switch {
		case fits:
			values[f.Name] = value
		case f.Required && f.Default == nil || at[i]:
			return nil, fmt.Errorf("no value is known that its field %s takes", f.Name)
		}
	}
	return values, nil
}

// Probe is what a form wants of a visitor, for one row that is nobody's and can be told by its
// mark: in the email addresses, which begin with a name, or in a text. The error says why
// the form can have none.
func Probe(form *onramp.Form, name string) ([]onramp.Input, error) {
	mark := newMark(newSecret())
	values, err := fill(form, name+"-"+mark+"@example.com", mark)
	if err != nil {
		return nil, err
	}
	var inputs []onramp.Input
	for i := range form.Fields {
		if value, filled := values[form.Fields[i].Name]; filled {
			inputs = append(inputs, onramp.Input{Name: form.Fields[i].Name, Value: scalarOf(value)})
		}
	}
	return inputs, nil
}

// marked are the fields that hold the mark, by their index.
func marked(form *onramp.Form) map[int]bool {
	at := map[int]bool{}
	text := func(f *onramp.Field) bool {
		return f.From == onramp.Submitted && f.Type == onramp.Text && f.Pattern == nil && (f.Max == 0 || f.Max >= len(markPrefix)+markRandom+markProof)
	}
	for i := range form.Fields {
		if f := &form.Fields[i]; f.From == onramp.Submitted && f.Type == onramp.Email {
			at[i] = true
		}
	}
	if key := form.SubscriberKey; key.From == onramp.KeyField && text(&form.Fields[key.Field]) {
		at[key.Field] = true
	}
	for i := range form.Fields {
		if len(at) == 0 && text(&form.Fields[i]) {
			at[i] = true
		}
	}
	return at
}

// ownRow refuses a form where a canary could write over somebody's row, since its key would
// not have the mark.
func ownRow(form *onramp.Form, at map[int]bool) error {
	key := form.SubscriberKey
	ofPerson := key.From != onramp.KeyField || at[key.Field]
	for _, to := range form.Route {
		own := to.OnExisting == onramp.CreateNew
		for _, column := range to.KeyColumns {
			if !form.Fills(column) {
				own = own || ofPerson
			}
			for i := range at {
				own = own || strings.EqualFold(form.Fields[i].Column, column)
			}
		}
		if to.Kind == onramp.DataExtension && !own {
			return fmt.Errorf("its row in %s could be somebody's: the key is made of fields that a canary can't mark", to.Key)
		}
	}
	if !ofPerson {
		return fmt.Errorf("its subscriber key could be somebody's: the field %s can't hold the mark", form.Fields[key.Field].Name)
	}
	return nil
}

const canaryText = "Onramp canary"

// candidates are what may be submitted for a field, the likeliest first; none when the
// field can be left out and nothing is gained by more.
func candidates(f *onramp.Field) []any {
	switch f.Type {
	case onramp.Boolean:
		if f.MustBeTrue() {
			return []any{true}
		}
		if f.Required {
			return []any{false}
		}
		return nil // not ticked
	case onramp.Integer, onramp.Decimal:
		return []any{1}
	case onramp.Date:
		return []any{"2000-01-01"}
	case onramp.Phone:
		return []any{"+44 20 7946 0018", "+1 202 555 0123", "+49 30 123456"}
	case onramp.Locale:
		return []any{"en-US"}
	case onramp.Choice, onramp.Choices:
		if len(f.Choices) > 0 {
			return []any{f.Choices[0]}
		}
	}
	return []any{canaryText, "Canary", "canary", "C", "CA", "AB", "A1", "1", "12", "123", "1234", "12345", "00000", "2000-01-01"}
}

// firstFitting is the first value that a field takes.
func firstFitting(f *onramp.Field, tries []any) (value any, ok bool) {
	for _, try := range tries {
		if _, err := f.Parse(scalarOf(try)); err == nil {
			return try, true
		}
	}
	return nil, false
}

// scalarOf is a value as it is submitted: a text, a number or a boolean.
func scalarOf(value any) onramp.Scalar {
	switch v := value.(type) {
	case bool:
		if v {
			return onramp.Scalar{Kind: onramp.True}
		}
		return onramp.Scalar{Kind: onramp.False}
	case int:
		return onramp.Scalar{Kind: onramp.Number, Text: fmt.Sprint(v)}
	}
	return onramp.Scalar{Kind: onramp.String, Text: fmt.Sprint(value)}
}
