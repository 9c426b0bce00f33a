package onramp

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that must not be printed by accident: every usual way of
// printing it says "redacted".
type Secret string

const redacted = "redacted"

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String says "redacted".
func (s Secret) String() string { return redacted }

// Format says "redacted" for every verb of package fmt, also for those that
// don't fit a text and would print it as a mistake.
func (s Secret) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, redacted) }

// LogValue says "redacted", for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText says "redacted", for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
