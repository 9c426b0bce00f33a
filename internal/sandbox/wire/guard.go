package wire

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guard keeps web pages out. A developer's browser reaches the sandbox from any
// page, and the sandbox asks for no password under /_sandbox/.
type Guard struct {
	hosts []string // names that it is reached by, beside localhost and addresses; in lower case
	pages *http.CrossOriginProtection
}

// NewGuard lets calls through that are sent to localhost, an IP address or one of
// the hosts. A host that begins with *. stands for any one label in its place.
func NewGuard(hosts []string) Guard {
	own := make([]string, len(hosts))
	for i, host := range hosts {
		own[i] = strings.ToLower(host)
	}
	return Guard{own, http.NewCrossOriginProtection()}
}

// Refusal says why a call is not answered; "" when it is.
func (g Guard) Refusal(r *http.Request) string {
	if !g.knows(r.Host) {
		return "the sandbox does not answer to this host name; if it is one of yours, add it: onramp sandbox --host NAME"
	}
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	if isRead && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return "" // a link or the address bar: the page that had it sees nothing of the answer
	}
	asked := *r
	asked.Method = http.MethodPost // a page elsewhere may not read, either
	if g.pages.Check(&asked) != nil {
		return "the sandbox does not answer to pages of another origin"
	}
	return ""
}

// knows says whether a Host header can be trusted: a name could be a stranger's,
// who has it lead here for the moment (DNS rebinding), but an address can't.
func (g Guard) knows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	host = strings.ToLower(host)
	_, domain, _ := strings.Cut(host, ".")
	return err == nil || host == "localhost" || slices.Contains(g.hosts, host) || slices.Contains(g.hosts, "*."+domain)
}
