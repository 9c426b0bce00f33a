package sink

import (
	"strings"
	"unicode"

	"onramp/internal/onramp"
)

// longestType bounds what an event can put into a subject: the server ends a
// connection over a line of more than 4096 bytes.
const longestType = 256

// fillSubject puts a type of events into a subject. Each of its parts becomes a
// token; what must not stand in one becomes "_".
func fillSubject(subject, eventType string) string {
	if !strings.Contains(subject, onramp.TypeInSubject) {
		return subject
	}
	tokens := strings.Split(eventType[:min(len(eventType), longestType)], ".")
	for i, token := range tokens {
		tokens[i] = strings.Map(func(r rune) rune {
			if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '_' {
				return r
			}
			return '_'
		}, token)
		if token == "" {
			tokens[i] = "_"
		}
	}
	return strings.ReplaceAll(subject, onramp.TypeInSubject, strings.Join(tokens, "."))
}
