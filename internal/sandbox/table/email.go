package table

import (
	"strings"
	"unicode"
)

// ValidEmail checks an address's syntax: one @, a local part of 1 to 100 ASCII
// characters, a dotted domain that ends in letters, 254 in all.
func ValidEmail(s string) bool {
	local, domain, _ := strings.Cut(s, "@")
	return (len(s) <= 254 || codeUnits(s) <= 254) && validLocalPart(local) && validDomain(domain)
}

// validLocalPart checks what stands before the @.
func validLocalPart(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) < 0 {
			return false
		}
	}
	return true
}

// validDomain checks what stands after the @: two labels or more.
func validDomain(s string) bool {
	labels, top := 0, ""
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
		labels, top = labels+1, label
	}
	return labels >= 2 && validTopLevel(top)
}

// validLabel checks a part of a domain: letters and digits, of any script, and
// hyphens between them.
func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if r != '-' && !isLetter(r) && (r < '0' || r > '9') && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			return false
		}
	}
	return true
}

// validTopLevel checks the last label: two letters or more, or Punycode.
func validTopLevel(s string) bool {
	if len(s) > 4 && strings.EqualFold(s[:4], "xn--") {
		return true
	}
	return codeUnits(s) >= 2 && strings.IndexFunc(s, func(r rune) bool { return !isLetter(r) && !unicode.IsMark(r) }) < 0
}

// isLetter is unicode.IsLetter, quick for the letters of nearly all domains.
func isLetter(r rune) bool {
	return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= 0x80 && unicode.IsLetter(r)
}
