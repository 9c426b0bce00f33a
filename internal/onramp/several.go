package onramp

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

var errChoice = problem("choice", "must be one of the choices")

// takesSeveral says whether several values under a field's name are one of its values:
// choices, and the check box of a form that posts a hidden field with it.
func (f *Field) takesSeveral(kind ScalarKind) bool {
	return f.Type == Choices || f.Type == Boolean && kind == Posted
}

// arrayOf makes of several values what stands in JSON for them.
func arrayOf(values []Scalar) *Scalar {
	array := []byte{'['}
	for _, v := range values {
		switch v.Kind {
		case Null:
			array = append(array, "null"...)
		case Nested:
			array = append(array, "{}"...)
		default:
			array = appendScalar(array, v)
		}
		array = append(array, ',')
	}
	array[len(array)-1] = ']'
	return &Scalar{Nested, string(array)}
}

// oneOfSeveral makes one value of an array: of choices all of them; of a box's values true
// if one is, since frameworks post the hidden false before it or behind it. What is
// blank does not count.
func (f *Field) oneOfSeveral(array Scalar) (Scalar, error) {
	var elements []json.RawMessage
	if json.Unmarshal([]byte(array.Text), &elements) != nil {
		return array, nil // an object or a file: the field refuses it
	}
	var values []Scalar
	for _, element := range elements {
		if v := scalarOf(element); !isBlank(v) {
			values = append(values, v)
		}
	}
	switch {
	case len(values) == 0:
		return Scalar{}, nil
	case f.Type == Choices:
		return f.joined(values)
	}
	return anyTrue(values)
}

// scalarOf reads one element of an array.
func scalarOf(raw json.RawMessage) Scalar {
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil || strings.ContainsRune(text, utf8.RuneError) {
			return Scalar{Kind: Nested} // half a surrogate pair: no text
		}
		return Scalar{String, text}
	case '{', '[':
		return Scalar{Kind: Nested}
	case 't':
		return Scalar{Kind: True}
	case 'f':
		return Scalar{Kind: False}
	case 'n':
		return Scalar{}
	}
	return Scalar{Number, string(raw)}
}

func anyTrue(values []Scalar) (Scalar, error) {
	box := Scalar{Kind: False}
	for _, v := range values {
		one, err := parseBoolean(v)
		if err != nil {
			return one, err
		}
		if one.Kind == True {
			box = one
		}
	}
	return box, nil
}

func (f *Field) joined(values []Scalar) (Scalar, error) {
	texts := make([]string, len(values))
	for i, v := range values {
		if v.Kind != String {
			return v, errText
		}
		texts[i] = v.Text
	}
	return Scalar{String, strings.Join(texts, f.Separator)}, nil
}

// Splitter is what tells the choices in a text apart: the separator, with or without the
// blanks around it.
func (f *Field) Splitter() string {
	if splitter := strings.TrimSpace(f.Separator); splitter != "" {
		return splitter
	}
	return f.Separator
}

// parseChoices takes the choices in the form in which they are stored, one after the
// other, and drops those that come again.
func (f *Field) parseChoices(text string) (string, error) {
	var chosen []string
	for choice := range strings.SplitSeq(text, f.Splitter()) {
		if choice = strings.TrimSpace(choice); choice == "" || slices.Contains(chosen, choice) {
			continue
		}
		if !slices.Contains(f.Choices, choice) {
			return "", errChoice
		}
		chosen = append(chosen, choice)
	}
	if chosen == nil {
		return "", errChoice
	}
	return strings.Join(chosen, f.Separator), nil
}
