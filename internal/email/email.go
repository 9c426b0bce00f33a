// Package email checks email addresses as Marketing Cloud does, and knows the slips that
// people make in them. Use Parse first.
package email

import (
	"strings"

	"golang.org/x/net/idna"
)

// Parse checks an address by what Marketing Cloud flags when it writes an EmailAddress
// column (help 005226498): more or fewer than one @, blanks, multibyte characters, a
// local part of more than 100 characters, more than 254 in all, a top-level domain of
// one letter or none. Full stops in a row, or right before the @, it takes, and so do
// Japanese providers. What can't be in an address that anybody has, such as brackets or
// a domain that DNS can't hold, is refused, too.
//
// The domain comes back lower-cased and in its ASCII form (RFC 5891); the local part as
// it is, since only its owner knows whether case matters.
func Parse(text string) (address string, ok bool) {
	local, domain, found := strings.Cut(text, "@")
	if !found || !isLocalPart(local) {
		return "", false
	}
	domain, err := asciiDomain(domain)
	if err != nil || !isDomain(domain) || len(local)+1+len(domain) > 254 {
		return "", false
	}
	return local + "@" + domain, true
}

// isLocalPart takes the characters of a dot-atom (RFC 5322, 3.2.3), with full stops
// anywhere.
func isLocalPart(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", rune(c)) {
			return false
		}
	}
	return true
}

func asciiDomain(domain string) (string, error) {
	for i := range len(domain) {
		if domain[i] >= 0x80 {
			return idna.Lookup.ToASCII(domain)
		}
	}
	// what is plain ASCII, the usual case, has nothing to convert
	domain = strings.ToLower(domain)
	if strings.HasPrefix(domain, "xn--") || strings.Contains(domain, ".xn--") {
		return idna.Lookup.ToASCII(domain)
	}
	return domain, nil
}

func isDomain(domain string) bool {
	labels, top := 0, ""
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return false
		}
		labels, top = labels+1, label
	}
	return labels >= 2 && len(top) >= 2 && (strings.HasPrefix(top, "xn--") || isLetters(top))
}

// isLabel checks one DNS label (RFC 1123, 2.1).
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func isLetters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Fold is the form under which a returning address is recognised.
func Fold(address string) string { return strings.ToLower(address) }
