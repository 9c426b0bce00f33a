// Package phone reads telephone numbers as people write them. Use Parse first. It knows
// how the numbers of each country are built (the metadata of Google's libphonenumber),
// not which of them are assigned.
package phone

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"onramp/internal/visible"
)

// ITU-T E.164: at most 15 digits. Fewer than 5 are no number that anyone abroad can call.
const minDigits, maxDigits = 5, 15

// Parse returns a number without its separators. With a country (ISO 3166, two letters)
// that is E.164, and numbers without a country code are of that country. Without one, a
// number is left as it was dialled, but for the 0 that is not dialled after a country
// code: +49 (0)30 123456 is +4930123456.
func Parse(text, country string) (number string, ok bool) {
	n, ok := read(text)
	if !ok || len(n.digits) > 2*maxDigits { // too long with any prefix, and not worth the work that follows
		return "", false
	}
	if country == "" {
		number = n.international()
	} else if number, ok = n.e164(regions().byID[country]); !ok {
		return "", false
	}
	digits := len(strings.TrimPrefix(number, "+"))
	return number, digits >= minDigits && digits <= maxDigits
}

// IsCountry says whether Parse knows a country.
func IsCountry(id string) bool { return regions().byID[id] != nil }

// typed is a number as it was typed, without its separators.
type typed struct {
	plus   bool
	digits string
	trunk  int // where a (0) stood in the digits; −1: nowhere
}

// read takes the separators out of a number. Not ok: it has something that no number has.
func read(text string) (n typed, ok bool) {
	if len(text) > 4 && strings.EqualFold(text[:4], "tel:") {
		text = text[4:]
	}
	n.trunk = -1
	digits := make([]byte, 0, maxDigits+1)
	opened := -1
	for _, r := range text {
		digit, isDigit := visible.Digit(r)
		switch {
		case isDigit:
			digits = append(digits, digit)
		case strings.ContainsRune("+＋﹢⁺", r) && !n.plus && len(digits) == 0:
			n.plus = true
		case strings.ContainsRune("([（［﹙⁽", r):
			opened = len(digits)
		case strings.ContainsRune(")]）］﹚⁾", r):
			if n.trunk < 0 && opened >= 0 && string(digits[opened:]) == "0" {
				n.trunk = opened
			}
		case !isSeparator(r):
			return n, false
		}
	}
	n.digits = string(digits)
	return n, n.digits != ""
}

// separators are what people put between digits, beside all blanks and dashes: points,
// slashes, and what looks like a dash.
const separators = "./·•∙⋅・･．／⁄∕−˗⁃⁻₋ーｰ─━ㅡ➖"

func isSeparator(r rune) bool {
	return r == '-' || !visible.Is(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune(separators, r)
}

// international is a number of no known country, as dialled, without the 0 that is not
// dialled after a country code.
func (n typed) international() string {
	prefix, rest := "", n.digits
	if n.plus {
		prefix = "+"
	} else if n.trunk > 0 && strings.HasPrefix(rest, "00") {
		prefix, rest = "00", rest[2:]
	}
	trunk := n.trunk - (len(n.digits) - len(rest))
	if prefix == "" || trunk <= 0 && !hasZero(rest) {
		return prefix + rest
	}
	r := regions().of(rest, nil)
	if r == nil {
		return prefix + rest
	}
	if full := r.code + r.national(rest, trunk); len(full) >= minDigits {
		rest = full
	}
	return prefix + rest
}

// hasZero says that a 0 stands where a national number begins, for some length of the
// country code: anything else needs no metadata.
func hasZero(digits string) bool { return strings.Contains(digits[:min(len(digits), 4)], "0") }

// e164 is the number in full, for somebody who dials from a country. Not ok: no number
// of its country has as many digits.
func (n typed) e164(from *region) (number string, ok bool) {
	rest := n.digits
	if !n.plus {
		rest = from.withoutIDD(rest)
	}
	if n.plus || len(rest) < len(n.digits) {
		r := regions().of(rest, from)
		if r == nil {
			return "", false
		}
		national := r.national(rest, n.trunk-(len(n.digits)-len(rest)))
		return "+" + r.code + national, slices.Contains(r.lengths, len(national))
	}
	national := from.stripped(rest)
	if without, found := strings.CutPrefix(rest, from.code); found {
		// the country code without its +, if that is what makes a number of it
		without = from.stripped(without)
		if !from.matches(rest) && from.matches(without) || len(rest) > from.longest() {
			national = without
		}
	}
	return "+" + from.code + national, slices.Contains(from.lengths, len(national))
}

// national is the national number of digits that begin with the region's country code,
// without the trunk prefix that some write there. trunk is where they have a (0).
func (r *region) national(digits string, trunk int) string {
	national := digits[len(r.code):]
	if trunk == len(r.code) {
		without := national[1:]
		// in Italy and a few more countries the 0 belongs to the number
		if r.trunk != "" || !r.matches(national) && r.matches(without) {
			national = without
		}
	}
	if r.matches(national) {
		return national
	}
	return r.stripped(national)
}

// stripped takes off the prefixes for calls within the country, as libphonenumber does:
// unless that makes a wrong number of a right one.
func (r *region) stripped(national string) string {
	for {
		shorter := r.withoutPrefix(national)
		if shorter == national || len(shorter) >= len(national) && !r.matches(shorter) {
			return national
		}
		if national = shorter; r.matches(national) {
			return national
		}
	}
}

func (r *region) withoutPrefix(national string) string {
	rules := r.rules()
	if rules.prefix == nil {
		return national
	}
	at := rules.prefix.FindStringSubmatchIndex(national)
	if at == nil {
		return national
	}
	rest := national[at[1]:]
	if r.transform != "" && at[len(at)-2] >= 0 { // the last group says whether something else takes its place
		rest = string(rules.prefix.ExpandString(nil, r.transform, national, at)) + rest
	}
	if r.matches(national) && !r.matches(rest) {
		return national
	}
	return rest
}

// withoutIDD takes off the prefix for calls abroad. No country code begins with 0.
func (r *region) withoutIDD(digits string) string {
	if idd := r.rules().idd; idd != nil {
		if at := idd.FindStringIndex(digits); at != nil && at[1] < len(digits) && digits[at[1]] != '0' {
			return digits[at[1]:]
		}
	}
	return digits
}

func (r *region) matches(national string) bool { return r.rules().number.MatchString(national) }

func (r *region) longest() int { return r.lengths[len(r.lengths)-1] }

// rules are a region's expressions.
type rules struct{ idd, prefix, number *regexp.Regexp }

func (r *region) rules() *rules {
	r.once.Do(func() {
		r.compiled.number = regexp.MustCompile("^(?:" + r.pattern + ")$")
		if r.prefix != "" {
			r.compiled.prefix = regexp.MustCompile("^(?:" + r.prefix + ")")
		}
		if r.idd != "" {
			r.compiled.idd = regexp.MustCompile("^(?:" + r.idd + ")")
		}
	})
	return &r.compiled
}
