package media

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"onramp/internal/onramp"
)

// Charset is an encoding of text. The zero value is UTF-8.
type Charset struct {
	name     string
	encoding encoding.Encoding // nil: UTF-8
}

var errCharset = &onramp.Error{
	Kind: onramp.Unsupported, Message: "the charset is not known; send UTF-8, or another one of the WHATWG Encoding Standard",
}

// FindCharset finds a charset by one of its labels (WHATWG Encoding, 4.2). None is
// UTF-8. The error is of kind Unsupported.
func FindCharset(label string) (Charset, error) {
	if label == "" || strings.EqualFold(label, "utf-8") {
		return Charset{}, nil
	}
	found, err := htmlindex.Get(label)
	if err != nil || found == encoding.Replacement {
		return Charset{}, errCharset
	}
	name, err := htmlindex.Name(found)
	switch {
	case err != nil:
		return Charset{}, errCharset
	case name == "utf-8":
		return Charset{}, nil
	}
	return Charset{name, found}, nil
}

// CharsetOf finds the charset that a request declares.
func CharsetOf(r *http.Request) (Charset, error) {
	return FindCharset(ParseType(r.Header.Get("Content-Type")).Charset)
}

// IsUTF8 says whether it is UTF-8.
func (c Charset) IsUTF8() bool { return c.encoding == nil }

// IsUTF16 says whether even ASCII is written in another way.
func (c Charset) IsUTF16() bool { return strings.HasPrefix(c.name, "utf-16") }

var boms = []struct{ mark, label string }{{"\xef\xbb\xbf", "utf-8"}, {"\xfe\xff", "utf-16be"}, {"\xff\xfe", "utf-16le"}}

// Text gives a whole body as UTF-8, without its byte order mark. Where a charset is
// declared the mark has the last word, as in WHATWG Encoding, 6; undeclared UTF-16 is
// refused, as RFC 8259, 8.1 has it. In UTF-8 the text is part of the body.
func (c Charset) Text(body []byte) ([]byte, error) {
	for _, bom := range boms {
		if bytes.HasPrefix(body, []byte(bom.mark)) && (bom.label == "utf-8" || !c.IsUTF8()) {
			body = body[len(bom.mark):]
			c, _ = FindCharset(bom.label) // it is known
		}
	}
	if c.IsUTF8() {
		if !utf8.Valid(body) {
			return nil, c.invalid()
		}
		return body, nil
	}
	text, err := c.encoding.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, c.invalid()
	}
	return text, nil
}

// Value gives one value of a body as UTF-8.
func (c Charset) Value(value string) (string, error) {
	if c.IsUTF8() {
		if !utf8.ValidString(value) {
			return "", c.invalid()
		}
		return value, nil
	}
	text, err := c.encoding.NewDecoder().String(value)
	// what can't be decoded becomes U+FFFD, which nobody types
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", c.invalid()
	}
	return text, nil
}

func (c Charset) invalid() error {
	if c.IsUTF8() {
		return errNotUTF8
	}
	return malformed("the body is not valid " + c.name)
}

func malformed(message string) error {
	return &onramp.Error{Kind: onramp.Malformed, Message: message}
}

var errNotUTF8 = malformed("the body is not valid UTF-8")
