package onramp

import "log/slog"

// Secret is a text that must not be printed by accident: every usual way of
// printing it says "redacted".
type Secret string

const redacted = "redacted"

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String says "redacted".
func (s Secret) String() string { return redacted }

// GoString says "redacted", for %#v.
func (s Secret) GoString() string { return redacted }

// LogValue says "redacted", for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText says "redacted", for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
