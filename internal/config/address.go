package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"onramp/internal/alert/service"
	"onramp/internal/onramp"
	"onramp/internal/origin"
)

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

// networks reads a list of IP addresses and CIDR prefixes.
func (r *reader) networks(v value) []string {
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
		parsed, err := origin.Parse(s.text)
		if err != nil {
			r.report(s.position, "%s %v", s.quoted(), err)
			continue
		}
		list = append(list, parsed)
	}
	return list
}

// allowedHeaders reads the request headers that scripts may send beside those that they
// always may.
func (r *reader) allowedHeaders(keys map[string]value) []string {
	v := keys["allowed_headers"]
	if v.isSet() && !keys["origins"].isSet() {
		r.report(v.position, "has no effect without origins: add them, or remove it")
	}
	return r.unique(r.texts(v), func(s scalar) string {
		name := strings.ToLower(s.text)
		switch {
		case s.text == "*":
			return ""
		case !httpguts.ValidHeaderFieldName(s.text):
			return s.quoted() + ` must be the name of a header, such as X-Api-Version, or "*"`
		case forbiddenHeader.MatchString(name):
			return s.quoted() + " can't be sent by a script: browsers set this header themselves"
		}
		return ""
	})
}

// forbiddenHeader are the headers that no script can set (Fetch standard, 2.2.2).
var forbiddenHeader = regexp.MustCompile(`^(accept-charset|accept-encoding|access-control-request-(headers|method|private-network)|` +
	`connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|via|(proxy|sec)-.*)$`)

// alerts reads the URLs that alerts are sent to. Package service knows the services
// and what their URLs need. No message repeats a URL, since it holds credentials.
func (r *reader) alerts(v value) []onramp.Secret {
	urls := r.unique(r.texts(v), func(s scalar) string {
		if s.text == "" {
			return "is empty: set a value or remove the line"
		}
		if _, err := service.Parse(onramp.Secret(s.text)); err != nil {
			return err.Error()
		}
		return ""
	})
	var list []onramp.Secret
	for _, u := range urls {
		list = append(list, onramp.Secret(u))
	}
	return list
}
