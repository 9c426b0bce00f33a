package api

import (
	"net/http"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

var errKey = web.Malformed("send one Idempotency-Key header of 1 to 255 characters")

// takeKey finds the key of a submission, and returns the inputs without it. The header
// counts before the field that the form names for it, and that before the hosted form's own.
func takeKey(r *http.Request, form *onramp.Form, inputs []onramp.Input) (onramp.GivenKey, []onramp.Input, error) {
	key, inputs, err := form.TakeKey(inputs)
	values := r.Header.Values("Idempotency-Key")
	if err != nil || len(values) == 0 {
		return key, inputs, err
	}
	raw := strings.TrimSpace(values[0])
	key = onramp.GivenKey{Text: raw, Raw: raw}
	if text, ok := structuredString(raw); ok {
		key.Text = text
	}
	if len(values) > 1 || key.Text == "" || len(key.Text) > onramp.MaxKey {
		return key, inputs, errKey
	}
	return key, inputs, nil
}

// structuredString reads a String Item (RFC 9651, 4.2.5) with or without parameters, as
// the IETF draft of the header has the key; most clients send it without the quotes. ok is
// false for anything else.
func structuredString(raw string) (text string, ok bool) {
	if !strings.HasPrefix(raw, `"`) {
		return "", false
	}
	out := make([]byte, 0, len(raw))
	for i := 1; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '"':
			rest := strings.TrimLeft(raw[i+1:], " ")
			return string(out), rest == "" || rest[0] == ';'
		case c == '\\' && i+1 < len(raw) && (raw[i+1] == '"' || raw[i+1] == '\\'):
			i++
			c = raw[i]
		case c < ' ' || c > '~' || c == '\\':
			return "", false
		}
		out = append(out, c)
	}
	return "", false
}
