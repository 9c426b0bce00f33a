package onramp

import (
	"encoding/json"
	"fmt"
	"strings"
)

// OnceInput is the input in which the hosted form and the embed send a text of their own,
// so that a form which is sent several times is one registration.
const OnceInput = "_once"

// MaxKey is the longest key, in bytes.
const MaxKey = 255

// GivenKey is a key as a submission brought it. The zero value stands for none.
type GivenKey struct {
	Text string
	Raw  string // as it stood in the header; empty: it came in the body
	// PerContent says that with another content it is another key, not a mistake.
	PerContent bool
	inField    bool // of the form, which has normalised it
}

// TakeKey finds the key that a body holds, in the field that the form names for it or in
// OnceInput, and returns the inputs without what is no field of the form.
func (f *Form) TakeKey(inputs []Input) (key GivenKey, rest []Input, err error) {
	first := 0
	for first < len(inputs) && !f.holdsKey(inputs[first].Name) {
		first++
	}
	if first == len(inputs) { // as usual
		return key, inputs, nil
	}
	rest = append(make([]Input, 0, len(inputs)), inputs[:first]...)
	for _, in := range inputs[first:] {
		_, isField := f.byName[in.Name]
		if isField || !f.holdsKey(in.Name) {
			rest = append(rest, in)
		}
		switch {
		case in.Name == f.IdempotencyField && isField:
			if !isBlank(in.Value) {
				key = GivenKey{Text: in.Value.Text, inField: true} // Accept says whether it is valid
			}
		case in.Name == f.IdempotencyField:
			if key, err = key.sent(&in); err != nil {
				return key, rest, err
			}
		case in.Name == OnceInput && !isField && key.Text == "" && in.Value.Text != "":
			key = GivenKey{Text: in.Value.Text, PerContent: true}
		}
	}
	return key, rest, nil
}

func (f *Form) holdsKey(name string) bool {
	return name == OnceInput || name == f.IdempotencyField && name != ""
}

// sent is the key after one more input of the body that holds one.
func (k GivenKey) sent(in *Input) (GivenKey, error) {
	text := strings.TrimSpace(in.Value.Text)
	isText := in.Value.Kind == String || in.Value.Kind == Posted || in.Value.Kind == Number
	switch {
	case isBlank(in.Value): // a hidden input that no script has filled
		return k, nil
	case !isText || len(text) > MaxKey:
		return k, invalid([]FieldError{newFieldError(in.Name, errKey)})
	case k.Text != "" && !k.PerContent:
		return k, invalid([]FieldError{newFieldError(in.Name, errDoubled)})
	}
	return GivenKey{Text: text}, nil
}

// keyText is the text of a key; of one in a field of the form, what the form made of it.
func (f *Form) keyText(k GivenKey, values json.RawMessage) string {
	text := k.Text
	if k.inField {
		name := f.keys[f.byName[f.IdempotencyField]]
		_ = eachMember(values, func(member, value []byte) {
			if string(member) == name && json.Unmarshal(value, &text) != nil {
				text = string(value) // a number
			}
		})
	}
	return text
}

var errKey = problem("text", fmt.Sprintf("must be text of at most %d characters", MaxKey))
