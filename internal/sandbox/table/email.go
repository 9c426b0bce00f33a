package table

import "strings"

// ValidEmail checks an address as the vendor's help does (005226498): one @, no blank
// and no multibyte character, a local part of 1 to 100 characters with full stops
// anywhere, a top-level domain of two letters or more, 254 in all.
func ValidEmail(s string) bool {
	local, domain, _ := strings.Cut(s, "@")
	return len(s) <= 254 && validLocalPart(local) && validDomain(domain)
}

// validLocalPart checks what stands before the @.
func validLocalPart(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) < 0 {
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

// validLabel checks a part of a domain: letters and digits, and hyphens between them.
func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && !isLetter(c) && !isDigit(c) {
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
	for i := range len(s) {
		if !isLetter(s[i]) {
			return false
		}
	}
	return len(s) >= 2
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
