package sfmc

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// redacted is what a secret shows of itself.
const redacted = "redacted"

// Secret is text that must not be printed: a client secret or an access token.
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

// isLong tells whether the secret may be cut out of texts. Very short ones are let
// be: a real one is long, and cutting out "a" would leave nothing to read.
func (s Secret) isLong() bool { return len(s) >= 4 }

// cut cuts the secret out of a text.
func (s Secret) cut(text string) string {
	if !s.isLong() {
		return text
	}
	return strings.ReplaceAll(text, string(s), redacted)
}
