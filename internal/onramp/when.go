package onramp

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// Condition says for whom a step of a route is: all of its terms must hold.
type Condition []Term

// Term is about one field of the form.
type Term struct {
	Field  int // index into Form.Fields
	Values []Scalar
	Not    bool // the field must have none of the values; else, one of them
}

// Skips says why a step to a destination is not for the person of a registration, by what
// it holds; "": it is for them.
func (f *Form) Skips(destination int, r *Registration) (why string) {
	step := slices.IndexFunc(f.Route, func(d Destination) bool { return d.ID == destination })
	if step < 0 || step >= len(f.When) || len(f.When[step]) == 0 {
		return ""
	}
	values, _, err := f.assignKept(r.Values)
	if err != nil {
		return "" // whoever sends it says so
	}
	for _, t := range f.When[step] {
		value := values[t.Field]
		if value == nil {
			value = f.Fields[t.Field].fillIn(r)
		}
		isOne := slices.ContainsFunc(t.Values, func(v Scalar) bool { return f.Fields[t.Field].holds(value, v) })
		if isOne == t.Not {
			return f.Fields[t.Field].Name + t.violation()
		}
	}
	return ""
}

// SkipsDelivery does so for a delivery. What an event brought was decided by its rule, and
// what is delivered and sent once more was for the person.
func (f *Form) SkipsDelivery(d *Delivery) (why string) {
	if len(f.When) == 0 || d.Event != nil || d.Resend || d.Confirmation != nil {
		return ""
	}
	return f.Skips(d.DestinationID, &Registration{ID: d.RegistrationID, Form: d.Form, ReceivedAt: d.ReceivedAt, Values: d.Values})
}

// holds says whether a value that is kept is another one, or has it among several.
func (f *Field) holds(kept json.RawMessage, v Scalar) bool {
	var several string
	if f.Type != Choices || v.Kind != String {
		return v.equals(kept)
	}
	return json.Unmarshal(kept, &several) == nil && slices.Contains(strings.Split(several, f.Separator), v.Text)
}

// equals compares with a value that is kept, as JSON; nil: none. Numbers are compared as
// such.
func (s Scalar) equals(kept json.RawMessage) bool {
	switch s.Kind {
	case True, False:
		return string(kept) == string(appendScalar(nil, s))
	case Number:
		a, known := new(big.Rat).SetString(s.Text)
		b, isNumber := new(big.Rat).SetString(string(kept))
		return known && isNumber && a.Cmp(b) == 0
	}
	var text string
	return len(kept) > 0 && kept[0] == '"' && json.Unmarshal(kept, &text) == nil && text == s.Text
}

// mostNamed bounds the values that a reason names.
const mostNamed = 5

// violation says that a term does not hold, after its field's name. It repeats what the
// configuration says, and nothing of the person.
func (t *Term) violation() string {
	names := make([]string, 0, len(t.Values))
	for _, v := range t.Values {
		switch v.Kind {
		case True, False:
			names = append(names, string(appendScalar(nil, v)))
		default:
			names = append(names, v.Text)
		}
	}
	if len(names) > mostNamed {
		names = append(names[:mostNamed], "…")
	}
	text := " is "
	if !t.Not {
		text = " is not "
	}
	if len(names) > 1 {
		text += "one of "
	}
	return text + strings.Join(names, ", ")
}
