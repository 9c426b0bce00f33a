package sink

import (
	"strings"
	"unicode"
)

const (
	typeInSubject = "{type}"

	// longestType bounds what an event can put into a subject: the server ends a
	// connection over a line of more than 4096 bytes.
	longestType = 256
)

// fillSubject puts a type of events into a subject. Each of its parts becomes a
// token; what must not stand in one becomes "_".
func fillSubject(subject, eventType string) string {
	if !strings.Contains(subject, typeInSubject) {
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
	return strings.ReplaceAll(subject, typeInSubject, strings.Join(tokens, "."))
}

// validSubject says whether one can publish to a subject (NATS documentation,
// "Subject-Based Messaging"). Those that begin with $ are the server's.
func validSubject(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || strings.ContainsFunc(token, func(r rune) bool {
			return r == '*' || r == '>' || unicode.IsSpace(r) || unicode.IsControl(r)
		}) {
			return false
		}
	}
	return !strings.HasPrefix(subject, "$")
}
