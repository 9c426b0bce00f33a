// Package origin reads the origins of web pages (RFC 6454), as browsers write them, and
// the patterns that stand for several.
package origin

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Any stands for all pages.
const Any = "*"

const (
	anyName = "*." // begins a pattern for all names below one, however many labels they have
	anyPort = ":*" // ends one for all ports
)

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// Parse reads an origin or a pattern, and gives it as browsers would write it. The error
// says what it must be; what could never be a page's origin is one.
func Parse(text string) (string, error) {
	text = strings.TrimSpace(text)
	scheme, rest, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case text == Any:
		return Any, nil
	case strings.EqualFold(text, "null"):
		return "", errors.New(`can't be listed: null is what all pages send that hide their origin; use "*" to allow all`)
	case !found || defaultPorts[scheme] == "":
		return "", errors.New(`must begin with https:// or http://, such as https://www.example.com, or be "*"`)
	}
	rest = strings.TrimSuffix(rest, "/")
	if at := strings.IndexAny(rest, `@/\?#`); at >= 0 {
		return "", fmt.Errorf("must be an origin without %s, such as https://www.example.com", partNames[rest[at]])
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return "", err
	}
	if host, err = parseHost(host); err != nil {
		return "", err
	}
	if port, err = parsePort(port); err != nil {
		return "", err
	}
	if port == "" || port == defaultPorts[scheme] {
		return scheme + "://" + host, nil
	}
	return scheme + "://" + host + ":" + port, nil
}

// partNames are what an origin doesn't have, by what such a part begins or ends with.
var partNames = map[byte]string{'@': "a user name", '/': "a path", '\\': "a path", '?': "a query", '#': "a fragment"}

// splitPort splits a host from its port, "" when there is none.
func splitPort(text string) (host, port string, err error) {
	end := 0
	if strings.HasPrefix(text, "[") {
		end = strings.IndexByte(text, ']') + 1
	}
	host, port, _ = strings.Cut(text[end:], ":")
	switch {
	case strings.Contains(port, ":"):
		return "", "", errors.New("must have at most one port, and brackets around an IPv6 address, such as http://[::1]:8080")
	case end > 0 && host != "":
		return "", "", errWrongHost
	}
	return text[:end] + host, port, nil
}

func parsePort(port string) (string, error) {
	if port == "" || port == "*" {
		return port, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("must have a port from 1 to 65535, or * for any port, such as http://localhost:*")
	}
	return strconv.FormatUint(n, 10), nil
}

var (
	errWrongHost = errors.New("has no valid host name or address")
	errWildcard  = errors.New("can have * only in the place of a whole name before a domain, such as https://*.example.com, or of the port")
)

func parseHost(host string) (string, error) {
	domain, wild := strings.CutPrefix(host, anyName)
	switch {
	case host == Any:
		return "", errors.New(`can never match: to allow all sites, use "*" alone`)
	case strings.Contains(domain, "*"):
		return "", errWildcard
	case !wild && strings.HasPrefix(host, "["):
		return parseIPv6(host)
	}
	domain, isAddress, err := parseDomain(domain)
	switch {
	case err != nil:
		return "", err
	case !wild:
		return domain, nil
	case isAddress:
		return "", errWildcard
	}
	if suffix, registry := publicsuffix.PublicSuffix(domain); registry && suffix == domain {
		return "", fmt.Errorf("would allow everybody's sites below %s: name your own domain", domain)
	}
	return anyName + domain, nil
}

// parseIPv6 gives an address in brackets as the URL standard writes it: that never has
// the dots of an IPv4 address.
func parseIPv6(host string) (string, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
	switch {
	case err != nil || !a.Is6() || a.Zone() != "":
		return "", errWrongHost
	case a.Is4In6():
		b := a.As4()
		return fmt.Sprintf("[::ffff:%x:%x]", int(b[0])<<8|int(b[1]), int(b[2])<<8|int(b[3])), nil
	}
	return "[" + a.String() + "]", nil
}

// toASCII does what browsers do with a host name (URL standard, 3.3).
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))

const (
	maxDomain = 253
	maxLabel  = 63
)

// parseDomain reads a host name, or an IPv4 address, which a name is that ends in a number.
func parseDomain(text string) (domain string, isAddress bool, err error) {
	domain, err = toASCII.ToASCII(text)
	domain = strings.TrimSuffix(domain, ".")
	labels := strings.Split(domain, ".")
	if err != nil || len(domain) > maxDomain || slices.ContainsFunc(labels, isWrongLabel) {
		return "", false, errWrongHost
	}
	if _, err := strconv.ParseUint(labels[len(labels)-1], 0, 64); err != nil {
		return domain, false, nil
	}
	if a, err := netip.ParseAddr(domain); err != nil || !a.Is4() {
		return "", false, errWrongHost
	}
	return domain, true, nil
}

func isWrongLabel(label string) bool {
	return label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
}

// Allowed says whether an Origin header is that of a page that a list of what Parse has
// given stands for.
func Allowed(list []string, header string) bool {
	if slices.Contains(list, Any) {
		return true
	}
	if strings.Contains(header, "*") {
		return false
	}
	if slices.Contains(list, header) {
		return true
	}
	origin, err := Parse(header)
	if err != nil {
		return false
	}
	// browsers write it so; of others it may have capitals and the default port
	scheme, _, _ := strings.Cut(origin, "://")
	if written := strings.ToLower(header); written != origin && written != origin+":"+defaultPorts[scheme] {
		return false
	}
	return slices.ContainsFunc(list, func(allowed string) bool { return matches(allowed, origin) })
}

// matches says whether an origin is the allowed one, or one that the pattern stands for.
func matches(allowed, origin string) bool {
	if site, wild := strings.CutSuffix(allowed, anyPort); wild {
		allowed, origin = site, withoutPort(origin)
	}
	scheme, domain, wild := strings.Cut(allowed, anyName)
	if !wild {
		return allowed == origin
	}
	name, same := strings.CutPrefix(origin, scheme)
	return same && strings.HasSuffix(name, "."+domain)
}

func withoutPort(origin string) string {
	at := strings.LastIndexByte(origin, ':')
	if strings.HasPrefix(origin[at:], "://") || strings.HasSuffix(origin, "]") {
		return origin
	}
	return origin[:at]
}
