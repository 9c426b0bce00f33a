// Package visible tells what of a text can be seen. Use Trim first. It knows Unicode's
// properties, and no font: what some font fails to show is visible all the same.
package visible

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// blank is what shows nothing although no property says so.
var blank = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // Braille pattern blank
	},
	R32: []unicode.Range32{
		{Lo: 0x13441, Hi: 0x13442, Stride: 1}, // Egyptian hieroglyph full and half blank
		{Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}, // Khitan small script filler
		{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}, // musical symbol null notehead
	},
}

// ignorable is Default_Ignorable_Code_Point as Unicode derives it (UAX #44), which
// includes the fillers of Hangul and code points that are not assigned yet.
var ignorable = []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector}

// Is says whether a character shows anything: it is no white space, no format character
// and nothing else that is drawn as nothing. Control characters count as visible, since
// they have to be refused, not overlooked; those that are white space do not.
func Is(r rune) bool {
	if r < utf8.RuneSelf {
		return r != ' ' && (r < '\t' || r > '\r')
	}
	if unicode.In(r, unicode.White_Space, blank) {
		return false
	}
	// signs of Arabic and Kaithi that are written around digits: format characters with ink
	return !unicode.In(r, ignorable...) || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// Trim takes away what can't be seen at both ends of a text. At the end, what shapes the
// character before it stays: a variation selector (❤️), a joiner after a virama (ന്‍), the
// tags of a flag.
func Trim(s string) string {
	if s == "" || isInk(s[0]) && isInk(s[len(s)-1]) {
		return s
	}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if Is(r) {
			break
		}
		s = s[size:]
	}
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		if Is(r) || shapes(r, s[:len(s)-size]) {
			break
		}
		s = s[:len(s)-size]
	}
	return s
}

// Digit reads a decimal digit of any script (Unicode, section 4.6), and gives that of ASCII.
func Digit(r rune) (digit byte, ok bool) {
	if r < 0x80 {
		return byte(r), '0' <= r && r <= '9'
	}
	if !unicode.IsDigit(r) {
		return 0, false
	}
	first := r // the digits of a script stand side by side, from 0 to 9
	for unicode.IsDigit(first - 1) {
		first--
	}
	return byte('0' + (r-first)%10), true
}

// isInk says that a byte is a visible character of ASCII, as the ends of most texts are.
func isInk(b byte) bool { return b > ' ' && b < 0x7f }

const (
	nonJoiner, joiner = '\u200c', '\u200d'
	flag              = '\U0001f3f4' // what tags belong to
	firstTag, lastTag = '\U000e0020', '\U000e007f'
)

// shapes says whether a character that can't be seen changes how the end of the text
// before it looks.
func shapes(r rune, before string) bool {
	last, size := utf8.DecodeLastRuneInString(before)
	switch {
	case r == joiner || r == nonJoiner:
		return norm.NFC.PropertiesString(before[len(before)-size:]).CCC() == virama
	case unicode.Is(unicode.Variation_Selector, r):
		// no letter with upper and lower case has variants, nor has ASCII
		return last >= utf8.RuneSelf && last != utf8.RuneError && Is(last) && !unicode.In(last, unicode.Lu, unicode.Ll, unicode.M)
	case r == lastTag: // a flag's tags end with this one
		for last >= firstTag && last < lastTag {
			before = before[:len(before)-size]
			last, size = utf8.DecodeLastRuneInString(before)
		}
		return last == flag
	}
	return false
}

// virama is the combining class of the signs that silence a vowel.
const virama = 9
