package onramp

import (
	"encoding/json"

	"onramp/internal/visible"
)

// ScalarKind is the JSON type of a submitted value.
type ScalarKind uint8

// The kinds of a Scalar. Posted is a value of a form post: text that may mean
// a number or a boolean. Broken is text with half of a surrogate pair, which can't
// be written in UTF-8.
const (
	Null ScalarKind = iota
	String
	Number
	True
	False
	Nested // an object, an array, or a file: few fields take an array, none the others
	Posted
	Broken
)

// Scalar is one submitted value. Text is the decoded text of a String or
// Posted, the literal of a Number, and the JSON of an array.
type Scalar struct {
	Kind ScalarKind
	Text string
}

// isBlank says that nothing was submitted: JSON null, or text in which nothing can
// be seen, such as what a browser sends for an input left empty.
func isBlank(v Scalar) bool {
	return v.Kind == Null || (v.Kind == String || v.Kind == Posted) && visible.Trim(v.Text) == ""
}

// appendScalar appends v as JSON.
func appendScalar(b []byte, v Scalar) []byte {
	switch v.Kind {
	case True:
		return append(b, "true"...)
	case False:
		return append(b, "false"...)
	case Number:
		return append(b, v.Text...)
	}
	return appendText(b, v.Text)
}

func closeObject(b []byte) json.RawMessage {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// appendText appends a JSON string. Unlike encoding/json it leaves <, > and &
// alone: what is stored is what is sent, and nobody puts it into a page unescaped.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}
