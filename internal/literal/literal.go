// Package literal reads numbers and times as people and programs write them, and gives
// them back in the one form that is stored. It knows no fields and no messages for
// people: see Integer, Decimal and Time. Whatever a text says, reading it takes time
// and memory in proportion to its length.
package literal

import (
	"strings"

	"onramp/internal/visible"
)

// fold gives the ASCII form of the characters that input methods and word processors
// put in the place of digits and signs: full-width ones and digits of other scripts,
// and the minus and blanks of typesetting. What can't be seen around the text goes.
func fold(s string) string {
	s = visible.Trim(s)
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

func foldRune(r rune) rune {
	if digit, ok := visible.Digit(r); ok {
		return rune(digit)
	}
	switch {
	case r >= '！' && r <= '～': // the full-width forms stand in the order of ASCII
		return r - '！' + '!'
	case r == '−':
		return '-'
	case r == '٫': // the decimal point between Arabic digits
		return '.'
	case r == '\u00a0' || r == '\u202f' || r == '\u2009' || r == '\u3000':
		return ' '
	case r == '’':
		return '\''
	}
	return r
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
