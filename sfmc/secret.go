package sfmc

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// redacted is what a secret shows of itself.
const redacted = "redacted"

// Secret is text that must not be printed: a client secret, a password, an access
// token or a key of a callback.
// However it is formatted, logged or marshalled (fmt, slog, encoding/json,
// encoding/xml) it says "redacted"; [Secret.Reveal] gives the text. Unmarshalling
// reads it as an ordinary string.
//
// Two gaps are those packages': fmt does not call methods of unexported struct
// fields, so keep a Secret in an exported field of a struct that is not itself in
// an unexported one, or in a closure; and encoding/json writes keys of maps as
// they are. The types of this package keep theirs out of reach of fmt.
type Secret string

// Reveal gives the text itself, for the one place that sends or stores it.
func (s Secret) Reveal() string { return string(s) }

// String returns "redacted", also for an empty secret.
func (s Secret) String() string { return redacted }

// GoString returns "redacted", for printers that honour [fmt.GoStringer].
func (s Secret) GoString() string { return redacted }

// Format writes "redacted" for every verb; with String alone, fmt would show
// the text for a verb that does not fit, such as %d.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "redacted" as the value that slog records.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "redacted"; encoding/json and encoding/xml use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "redacted" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// isLong reports whether the secret may be cut out of texts. Very short ones are let
// be: a real one is long, and cutting out "a" would leave nothing to read.
func (s Secret) isLong() bool { return len(s) >= 4 }

// cut cuts the secret out of a text.
func (s Secret) cut(text string) string {
	if !s.isLong() {
		return text
	}
	return strings.ReplaceAll(text, string(s), redacted)
}

// cutJSON cuts the secret out of a body, also where letters of it are escaped as in
// a JSON string: Marketing Cloud writes = as \u003d, and keys in base64 end in it.
func (s Secret) cutJSON(body []byte) []byte {
	if !s.isLong() {
		return body
	}
	var out []byte
	kept, last := 0, bytes.LastIndexByte(body, '\\') // of body: in out, and where there is nothing escaped after
	for i := 0; i <= last; i++ {
		if body[i] != '\\' && body[i] != s[0] {
			continue
		}
		if n := s.spelling(body[i:]); n > 0 {
			out = append(append(out, body[kept:i]...), redacted...)
			kept, i = i+n, i+n-1
		}
	}
	if kept > 0 {
		body = append(out, body[kept:]...)
	}
	return bytes.ReplaceAll(body, []byte(s), []byte(redacted))
}

// spelling returns how many bytes at the beginning of a JSON string's inside spell the
// secret; 0 if they do not.
func (s Secret) spelling(text []byte) int {
	n := 0
	for _, r := range string(s) {
		spelled := letter(text[n:], r)
		if spelled == 0 {
			return 0
		}
		n += spelled
	}
	return n
}

// letter returns how many bytes at the beginning of a JSON string's inside spell r: as
// it stands, as \u and its number, or behind a backslash; 0 if they do not.
func letter(text []byte, r rune) int {
	if len(text) == 0 || text[0] != '\\' {
		if size := utf8.RuneLen(r); len(text) >= size && string(text[:size]) == string(r) {
			return size
		}
		return 0
	}
	if len(text) < 2 || text[1] != 'u' {
		if len(text) >= 2 && rune(text[1]) == r && strings.ContainsRune(`"\/`, r) {
			return 2
		}
		return 0
	}
	n := 0
	for _, unit := range utf16.AppendRune(nil, r) {
		if len(text) < n+6 || !bytes.EqualFold(text[n:n+6], fmt.Appendf(nil, `\u%04x`, unit)) {
			return 0
		}
		n += 6
	}
	return n
}
