package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The headers in which proxies pass on the visitor's address, for ClientIP.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded" // RFC 7239
	XRealIP       = "X-Real-IP"
)

type addressKey struct{}

// ClientIP returns a middleware that finds the visitor's address: that of the peer, or,
// if the peer is one of the trusted proxies, what these say in a header; "" is
// X-Forwarded-For. The header is read from its end, where the proxies add to it: the
// first address that is none of theirs is the visitor's. When there is none, or what
// stands there is no address, it is the last one that is known.
func ClientIP(trusted []netip.Prefix, header string) func(http.Handler) http.Handler {
	f := finder{trusted, http.CanonicalHeaderKey(header), parseAddress}
	switch header {
	case "":
		f.header = XForwardedFor
	case Forwarded:
		f.parse = parseForwarded
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), addressKey{}, f.find(r))))
		})
	}
}

// IP returns the address that ClientIP has found, "" if the peer has none.
func IP(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(netip.Addr)
	if !address.IsValid() {
		return ""
	}
	return address.String()
}

// finder finds visitors' addresses.
type finder struct {
	trusted []netip.Prefix
	header  string
	parse   func(element string) netip.Addr // invalid: it is none
}

func (f *finder) find(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	known := plainAddress(peer.Addr())
	if !f.isTrusted(known) {
		return known
	}
	for _, line := range slices.Backward(r.Header[f.header]) {
		for line != "" {
			var element string
			line, element = f.cutLast(line)
			if element = strings.Trim(element, " \t"); element == "" {
				continue // RFC 9110, 5.6.1: a list may have empty elements
			}
			address := f.parse(element)
			if !address.IsValid() {
				return known
			}
			if known = address; !f.isTrusted(known) {
				return known
			}
		}
	}
	return known
}

func (f *finder) isTrusted(address netip.Addr) bool {
	return slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}

// cutLast cuts the last element off a list. Seen from the end, nothing that a stranger
// has put before it, such as a quotation mark, makes a difference.
func (f *finder) cutLast(list string) (before, last string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !isEscaped(list, i):
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return "", list
}

// isEscaped says whether a backslash stands before a character that is not itself escaped.
func isEscaped(text string, at int) bool {
	slashes := at - len(strings.TrimRight(text[:at], `\`))
	return slashes%2 == 1
}

// parseForwarded reads an element of Forwarded, such as for="[2001:db8::1]:8080";proto=https.
func parseForwarded(element string) netip.Addr {
	var node string
	for element != "" {
		var parameter string
		parameter, element = cutParameter(element)
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.Trim(name, " \t"), "for") {
			continue
		}
		if node != "" {
			return netip.Addr{} // which of the two?
		}
		node = strings.Trim(value, " \t")
	}
	return parseAddress(node)
}

// cutParameter cuts the first parameter off an element.
func cutParameter(element string) (first, rest string) {
	quoted := false
	for i := range len(element) {
		switch {
		case element[i] == '"' && !isEscaped(element, i):
			quoted = !quoted
		case element[i] == ';' && !quoted:
			return element[:i], element[i+1:]
		}
	}
	return element, ""
}

// parseAddress reads an address as proxies write it: also in quotation marks, in
// brackets, with a port or a zone.
func parseAddress(text string) netip.Addr {
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = strings.Trim(text[1:len(text)-1], " \t")
	}
	host := text
	if rest, bracketed := strings.CutPrefix(text, "["); bracketed {
		var port string
		host, port, bracketed = strings.Cut(rest, "]")
		if !bracketed || port != "" && port[0] != ':' {
			return netip.Addr{}
		}
	} else if before, _, has := strings.Cut(text, ":"); has && strings.Count(text, ":") == 1 {
		host = before
	}
	host, _, _ = strings.Cut(host, "%")
	address, _ := netip.ParseAddr(host)
	return plainAddress(address)
}

// plainAddress leaves out what only matters on the machine that has the address.
func plainAddress(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
