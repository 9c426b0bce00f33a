package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

const (
	maxBody   = 256 << 10 // of a registration
	maxInputs = 1000      // names in one submission
)

var errUnsupported = &onramp.Error{
	Kind:    onramp.Unsupported,
	Message: "send application/json, application/x-www-form-urlencoded or multipart/form-data; with text/plain, or without a content type, the body must be a JSON object",
}

// ParseInputs reads the names and values of a submission from a body, in their
// order. Errors are of the kinds Malformed and Unsupported, and never quote
// the body.
func ParseInputs(contentType string, body []byte) ([]onramp.Input, error) {
	return readInputs(meantType(media.ParseType(contentType), body), body)
}

func readInputs(declared media.Type, body []byte) ([]onramp.Input, error) {
	charset, err := media.FindCharset(declared.Charset)
	switch {
	case err != nil:
		return nil, err
	case declared.IsJSON():
		return parseJSON(body, charset)
	case declared.Media == media.Form:
		return parseForm(string(body), charset)
	case declared.Media == media.Multipart:
		return parseMultipart(body, declared.Boundary, charset)
	}
	return nil, errUnsupported
}

// meantType is the content type of a body: JSON, too, where a program has sent it
// without saying so. navigator.sendBeacon says text/plain, and many a library takes
// whatever it posts for a form.
func meantType(declared media.Type, body []byte) media.Type {
	switch declared.Media {
	case "", "text/plain":
		if opening(body) == '{' || opening(body) == '[' {
			declared.Media = media.JSON
		}
	case media.Form:
		// a form would escape both characters
		if next := opening(body[bytes.IndexByte(body, '{')+1:]); opening(body) == '{' && (next == '"' || next == '}') {
			declared.Media = media.JSON
		}
	}
	return declared
}

// opening is the first byte of a text that is not white space, nor part of a byte
// order mark or of UTF-16; 0 when there is none.
func opening(text []byte) byte {
	for _, c := range text {
		if strings.IndexByte(" \t\r\n\x00\xef\xbb\xbf\xfe\xff", c) < 0 {
			return c
		}
	}
	return 0
}

// parseJSON reads a flat object. encoding/json would not do: it drops doubled
// names and replaces broken text in silence.
func parseJSON(body []byte, charset media.Charset) ([]onramp.Input, error) {
	body, err := charset.Text(body)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, web.Malformed("the body is not valid JSON")
	}
	s := scanner{body: string(body)} // names and values are parts of this one copy
	if s.skipSpace(); s.body[s.at] != '{' {
		return nil, web.Malformed("the body must be a JSON object with the form's fields")
	}
	inputs := make([]onramp.Input, 0, 8)
	for s.next() {
		if len(inputs) == maxInputs {
			return nil, errLimited
		}
		name, err := s.text()
		if err != nil {
			return nil, web.Malformed("a field name is not valid text")
		}
		s.skipSpace()
		s.at++ // the colon
		inputs = append(inputs, onramp.Input{Name: name, Value: s.value()})
	}
	return inputs, nil
}

var errLimited = web.Malformed("the body has more than " + strconv.Itoa(maxInputs) + " fields")

// scanner walks over JSON that is known to be valid.
type scanner struct {
	body string
	at   int
}

func (s *scanner) skipSpace() {
	for s.body[s.at] == ' ' || s.body[s.at] == '\n' || s.body[s.at] == '\t' || s.body[s.at] == '\r' {
		s.at++
	}
}

// next moves to the next member of the outermost object: on its name.
func (s *scanner) next() bool {
	s.skipSpace()
	s.at++ // the brace or the comma; after the last member, the closing brace
	if s.body[s.at-1] == '}' {
		return false
	}
	s.skipSpace()
	return s.body[s.at] == '"'
}

func (s *scanner) value() onramp.Scalar {
	s.skipSpace()
	begin := s.at
	switch s.body[s.at] {
	case '"':
		text, err := s.text()
		if err != nil {
			return onramp.Scalar{Kind: onramp.Broken}
		}
		return onramp.Scalar{Kind: onramp.String, Text: text}
	case '{', '[':
		s.skipNested()
		return onramp.Scalar{Kind: onramp.Nested, Text: s.body[begin:s.at]}
	case 't':
		s.at += len("true")
		return onramp.Scalar{Kind: onramp.True}
	case 'f':
		s.at += len("false")
		return onramp.Scalar{Kind: onramp.False}
	case 'n':
		s.at += len("null")
		return onramp.Scalar{Kind: onramp.Null}
	}
	for s.at < len(s.body) && strings.IndexByte("+-.0123456789eE", s.body[s.at]) >= 0 {
		s.at++
	}
	return onramp.Scalar{Kind: onramp.Number, Text: s.body[begin:s.at]}
}

// skipNested moves behind an object or array, however deep.
func (s *scanner) skipNested() {
	for depth := 0; ; s.at++ {
		switch s.body[s.at] {
		case '"':
			s.skipText()
			s.at--
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return
			}
		}
	}
}

// skipText moves behind a string and says whether it has escapes.
func (s *scanner) skipText() (escaped bool) {
	for s.at++; s.body[s.at] != '"'; s.at++ {
		if s.body[s.at] == '\\' {
			escaped = true
			s.at++
		}
	}
	s.at++
	return escaped
}

var errSurrogate = errors.New("half a surrogate pair")

// text reads a string (RFC 8259, 7).
func (s *scanner) text() (string, error) {
	begin := s.at + 1
	escaped := s.skipText()
	raw := s.body[begin : s.at-1]
	if !escaped {
		return raw, nil
	}
	return unescape(raw)
}

func unescape(raw string) (string, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hexRune(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if i+6 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
					return "", errSurrogate
				}
				if r = utf16.DecodeRune(r, hexRune(raw[i+3:])); r == utf8.RuneError {
					return "", errSurrogate
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // quote, slash, backslash
			out = append(out, raw[i])
		}
	}
	return string(out), nil
}

func hexRune(digits string) rune {
	n, err := strconv.ParseUint(digits[:4], 16, 32)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

func parseForm(body string, charset media.Charset) (inputs []onramp.Input, err error) {
	err = media.ParseForm(body, charset, func(name, value string) error {
		if len(inputs) == maxInputs {
			return errLimited
		}
		inputs = append(inputs, onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Posted, Text: value}})
		return nil
	})
	return inputs, err
}
