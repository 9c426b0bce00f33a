package onramp

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

var errEmail = errors.New("must be a valid email address")

// parseEmail checks an address as Marketing Cloud does when it writes an
// EmailAddress column: local part of at most 100 characters and no multibyte
// ones, 254 characters in all, one @, a real top-level domain. The domain comes
// back lower-cased and in its ASCII form (RFC 5891); the local part as it is,
// since only its owner knows whether case matters.
func parseEmail(text string) (string, error) {
	local, domain, found := strings.Cut(text, "@")
	if !found || !isLocalPart(local) {
		return "", errEmail
	}
	domain, err := asciiDomain(domain)
	if err != nil || !isDomain(domain) {
		return "", errEmail
	}
	if len(local)+1+len(domain) > 254 {
		return "", errEmail
	}
	return local + "@" + domain, nil
}

// isLocalPart takes a dot-atom (RFC 5322, 3.2.3), which is all that Marketing
// Cloud sends to.
func isLocalPart(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
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

// foldEmail is the form under which a returning address is recognised.
func foldEmail(email string) string { return strings.ToLower(email) }
