package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"onramp/internal/onramp"
)

func isListenAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func isAbsoluteURL(s string) bool {
	_, ok := onramp.ParseWebURL(s)
	return ok
}

// isSuccessURL takes a path too, but not //host, which is another site.
func isSuccessURL(s string) bool {
	if !strings.HasPrefix(s, "/") {
		return isAbsoluteURL(s)
	}
	_, err := url.Parse(s)
	return err == nil && !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, `/\`)
}

// parseOrigin gives an origin as browsers write it, in lower case.
func parseOrigin(s string) (string, bool) {
	s = strings.ToLower(s)
	if s == "*" {
		return s, true
	}
	u, ok := onramp.ParseWebURL(s)
	if !ok || s != u.Scheme+"://"+u.Host {
		return "", false
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err == nil {
		s = strings.Replace(s, u.Hostname(), host, 1)
	}
	return strings.TrimSuffix(s, map[string]string{"http": ":80", "https": ":443"}[u.Scheme]), true
}

// proxies reads the addresses of proxies whose X-Forwarded-For is trusted.
func (r *reader) proxies(v value) []string {
	var list []string
	for _, s := range r.texts(v) {
		_, prefixErr := netip.ParsePrefix(s.text)
		_, addrErr := netip.ParseAddr(s.text)
		if prefixErr != nil && addrErr != nil {
			r.report(s.position, "%s must be an IP address or a CIDR prefix, such as 10.0.0.0/8", s.quoted())
			continue
		}
		list = append(list, s.text)
	}
	return list
}

// origins reads the sites whose pages may submit a form; nil when the key is left
// out: an empty list leaves only the hosted form.
func (r *reader) origins(v value) []string {
	if !v.isSet() {
		return nil
	}
	list := []string{}
	for _, s := range r.texts(v) {
		origin, ok := parseOrigin(s.text)
		if !ok {
			r.report(s.position, "%s must be an origin without a path, such as https://www.example.com, or *", s.quoted())
			continue
		}
		list = append(list, origin)
	}
	return list
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,19}(\+https?)?$`)

// alerts reads the URLs that alerts are sent to. Package alert knows the services
// and what their URLs need. No message repeats a URL, since it holds credentials.
func (r *reader) alerts(v value) []onramp.Secret {
	urls := r.unique(r.texts(v), func(s scalar) string {
		service, rest, _ := strings.Cut(s.text, "://")
		_, err := url.Parse(s.text)
		switch {
		case s.text == "":
			return "is empty: set a value or remove the line"
		case !scheme.MatchString(service) || rest == "":
			return "must be the URL of a service, such as slack://…, smtp://…, teams://…, pagerduty://… or generic+https://…"
		case err != nil:
			return "the " + service + " URL is not valid: percent-encode special characters in names and passwords, such as %40 for @"
		}
		return ""
	})
	var list []onramp.Secret
	for _, u := range urls {
		list = append(list, onramp.Secret(u))
	}
	return list
}
