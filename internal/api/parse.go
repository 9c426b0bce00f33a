package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

const (
	maxBody   = 256 << 10 // of a registration
	maxInputs = 1000      // names in one submission
)

var errUnsupported = &onramp.Error{
	Kind:    onramp.Unsupported,
	Message: "send application/json, application/x-www-form-urlencoded or multipart/form-data, in UTF-8",
}

// isForm says whether a content type is what a browser's form sends.
func isForm(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "application/x-www-form-urlencoded" || media == "multipart/form-data"
}

// ParseInputs reads the names and values of a submission from a body, in their
// order. Errors are of the kinds Malformed and Unsupported, and never quote
// the body.
func ParseInputs(contentType string, body []byte) ([]onramp.Input, error) {
	media, parameters := "application/json", map[string]string(nil)
	if contentType != "application/json" { // the usual case needs no parsing
		var err error
		if media, parameters, err = mime.ParseMediaType(contentType); err != nil {
			return nil, errUnsupported
		}
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8":
	default:
		return nil, errUnsupported
	}
	switch media {
	case "application/json":
		return parseJSON(body)
	case "application/x-www-form-urlencoded":
		return parseForm(string(body))
	case "multipart/form-data":
		return parseMultipart(body, parameters["boundary"])
	}
	return nil, errUnsupported
}

// parseJSON reads a flat object. encoding/json would not do: it drops doubled
// names and replaces broken text in silence.
func parseJSON(body []byte) ([]onramp.Input, error) {
	if !utf8.Valid(body) {
		return nil, web.Malformed("the body is not valid UTF-8")
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
			return nil, errTooMany
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

var errTooMany = web.Malformed("the body has more than " + strconv.Itoa(maxInputs) + " fields")

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
			// half a surrogate pair is no text: hand on something that every field refuses
			return onramp.Scalar{Kind: onramp.String, Text: "\x00"}
		}
		return onramp.Scalar{Kind: onramp.String, Text: text}
	case '{', '[':
		s.skipNested()
		return onramp.Scalar{Kind: onramp.Nested}
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

// parseForm reads application/x-www-form-urlencoded (WHATWG URL, 5.1).
func parseForm(body string) ([]onramp.Input, error) {
	var inputs []onramp.Input
	for pair := range strings.SplitSeq(strings.Trim(body, "\r\n"), "&") {
		if pair == "" {
			continue
		}
		if len(inputs) == maxInputs {
			return nil, errTooMany
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, web.Malformed("the body is not valid application/x-www-form-urlencoded")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, web.Malformed("the body is not valid UTF-8")
		}
		inputs = append(inputs, onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Posted, Text: value}})
	}
	return inputs, nil
}

// parseMultipart reads multipart/form-data (RFC 7578). No field takes a file.
func parseMultipart(body []byte, boundary string) ([]onramp.Input, error) {
	if boundary == "" {
		return nil, web.Malformed("the content type has no boundary")
	}
	var inputs []onramp.Input
	for parts := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			return inputs, nil
		}
		if err != nil {
			return nil, web.Malformed("the body is not valid multipart/form-data")
		}
		if len(inputs) == maxInputs {
			return nil, errTooMany
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, web.Malformed("the body is not valid multipart/form-data")
		}
		scalar := onramp.Scalar{Kind: onramp.Posted, Text: string(value)}
		if part.FileName() != "" {
			scalar = onramp.Scalar{Kind: onramp.Nested}
		}
		if !utf8.ValidString(part.FormName()) || !utf8.ValidString(scalar.Text) {
			return nil, web.Malformed("the body is not valid UTF-8")
		}
		inputs = append(inputs, onramp.Input{Name: part.FormName(), Value: scalar})
	}
}
