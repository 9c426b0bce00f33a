package onramp

import (
	"encoding/json"
	"strings"
)

// ScalarKind is the JSON type of a submitted value.
type ScalarKind uint8

// The kinds of a Scalar. Posted is a value of a form post: text that may mean
// a number or a boolean.
const (
	Null ScalarKind = iota
	String
	Number
	True
	False
	Nested // an object or an array: no field takes one
	Posted
)

// Scalar is one submitted value. Text is the decoded text of a String or
// Posted, and the literal of a Number.
type Scalar struct {
	Kind ScalarKind
	Text string
}

// isBlank says that nothing was submitted: JSON null, or text with nothing but
// white space, which is what a browser sends for an input left empty.
func isBlank(v Scalar) bool {
	return v.Kind == Null || (v.Kind == String || v.Kind == Posted) && strings.TrimSpace(v.Text) == ""
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
