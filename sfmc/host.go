package sfmc

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrHost is in the chain of an error when a token names a REST or SOAP host that is
// not Marketing Cloud's. Nothing was sent. Where this is intended (a sandbox, a
// proxy), use [WithOrigin].
var ErrHost = errors.New("not a Marketing Cloud host")

// ErrInvalid is in the chain of an error when an argument was refused before
// anything was sent: repeating the call will not help.
var ErrInvalid = errors.New("invalid argument")

const (
	vendorDomain = ".marketingcloudapis.com"
	authDomain   = ".auth" + vendorDomain
	restDomain   = ".rest" + vendorDomain
	soapDomain   = ".soap" + vendorDomain
)

// AuthURL gives the address that issues tokens for a tenant:
// https://SUBDOMAIN.auth.marketingcloudapis.com/. The subdomain is the tenant's
// own part of the "Authentication Base URI" shown in the installed package.
//
// It must be one DNS label: 1 to 63 letters, digits and hyphens, with no hyphen
// at either end. Anything else (a dot, slash, colon, space …) is refused with
// [ErrInvalid], so that a setting cannot send the client secret to a host of
// someone else's choosing. Real subdomains have 28 characters; that is not
// checked.
func AuthURL(subdomain string) (string, error) {
	if !isLabel(subdomain) {
		return "", fmt.Errorf("subdomain %.80q: %w: want one DNS label of letters, digits and hyphens", subdomain, ErrInvalid)
	}
	return "https://" + subdomain + authDomain + "/", nil
}

// isLabel reports whether s is one label of a host name (RFC 1123, 2.1).
func isLabel(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
		default:
			return false
		}
	}
	return true
}

// instanceBase turns a token's rest_instance_url, or soap_instance_url, into the base of
// all calls to that API, ending in a slash. Older answers name the host without scheme and slash, so
// both are optional; nothing else is. No URL parser is involved: what is left
// must be a label, which excludes ports, paths, user names and look-alikes.
func instanceBase(what, instance, domain string) (string, error) {
	host := strings.ToLower(strings.TrimSpace(instance))
	host = strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/")
	if label, ok := strings.CutSuffix(host, domain); ok && isLabel(label) {
		return "https://" + host + "/", nil
	}
	return "", fmt.Errorf("%s %.200q: %w", what, instance, ErrHost)
}

// givenURL checks an address that the program's owner wrote down, and gives it
// back ending in a slash. Plain http is allowed, since sandboxes in container
// networks speak it, except to Marketing Cloud itself. The address is not
// quoted in errors when it could hold a password.
func givenURL(what, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w: not a URL", what, ErrInvalid)
	case u.User != nil:
		return nil, fmt.Errorf("%s: %w: has a user name", what, ErrInvalid)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, fmt.Errorf("%s %.200q: %w: want http:// or https:// and a host", what, raw, ErrInvalid)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%s: %w: has a query or a fragment", what, ErrInvalid)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if u.Scheme == "http" && strings.HasSuffix(host, vendorDomain) {
		return nil, fmt.Errorf("%s %.200q: %w: Marketing Cloud is reached by https only", what, raw, ErrInvalid)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	return u, nil
}
