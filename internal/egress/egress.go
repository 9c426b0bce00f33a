// Package egress decides to which addresses outgoing calls may connect, so that nobody who
// answers for a name, or redirects a call, can lead it into the operator's own network.
//
// What counts is the address of the connection, at the moment it is made, and how the
// configuration names the host: as an address, as localhost, or as a name. Addresses that
// are never meant, such as the metadata service of a cloud, need [Policy.Allow].
// Use [Guard.DialContext] for connections, and [Guard.Requests] for HTTP beside it;
// [Guard.Default] puts both under the clients of libraries.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Policy is where calls may lead, beside public addresses.
type Policy struct {
	Allow []netip.Prefix // addresses that may be called in any case
	// NoPrivate refuses private addresses to names. Where the configuration has the
	// address itself, it may be called.
	NoPrivate bool
}

// Guard makes connections as its policy says. It is safe for concurrent use.
type Guard struct {
	policy   atomic.Pointer[Policy]
	resolver *net.Resolver // nil: that of the system
}

// New makes a guard.
func New(p Policy) *Guard {
	g := &Guard{}
	g.Change(p)
	return g
}

// Change sets another policy, for new connections.
func (g *Guard) Change(p Policy) { g.policy.Store(&p) }

// Error says that an address must not be called. Its text names host and address.
type Error struct {
	Host    string
	Address netip.Addr // invalid: the host itself is refused
	Reason  string
}

// Error says what to do about it.
func (e *Error) Error() string {
	if !e.Address.IsValid() {
		return fmt.Sprintf("%s must not be called: %s", e.Host, e.Reason)
	}
	return fmt.Sprintf("%s must not be called: its address %s is %s; if that is meant, add it to egress.allow", e.Host, e.Address, e.Reason)
}

const (
	connectWithin = 10 * time.Second
	keepAlive     = 30 * time.Second
)

// DialContext connects to "host:port", if the host's address may be called. Of several
// addresses it takes one that may. The error is an [*Error] when none may.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout: connectWithin, KeepAlive: keepAlive, Resolver: g.resolver,
		// after the name was resolved, right before the connection: no later answer counts
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			return g.check(host, resolved)
		},
	}
	return dialer.DialContext(ctx, network, address)
}

// check says whether a host may be called at the address of a connection, "address:port".
func (g *Guard) check(host, resolved string) error {
	to, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return &Error{Host: host, Reason: "its address can't be read"}
	}
	return g.policy.Load().check(host, to.Addr())
}

// check says whether a host may be called at an address.
func (p *Policy) check(host string, address netip.Addr) error {
	address = address.Unmap().WithZone("")
	if slices.ContainsFunc(p.Allow, func(allowed netip.Prefix) bool { return allowed.Contains(address) }) {
		return nil
	}
	for _, meant := range []netip.Addr{address, embedded(address)} {
		if reason := p.refuses(host, meant); reason != "" {
			return &Error{Host: host, Address: address, Reason: reason}
		}
	}
	return nil
}

// refuses says why an address must not be called for a host; "": it may.
func (p *Policy) refuses(host string, address netip.Addr) string {
	switch named := isName(host); {
	case !address.IsValid():
		return ""
	case isOneOf(address, metadata()):
		return "that of a cloud's metadata service"
	case address.IsLinkLocalUnicast():
		return "link-local"
	case address.IsUnspecified() || address.IsMulticast() || isOneOf(address, reserved()):
		return "no host's"
	case address.IsLoopback() && named && !isLocalhost(host):
		return "this machine's"
	case named && p.NoPrivate && (address.IsPrivate() || isOneOf(address, shared())):
		return "private"
	}
	return ""
}

// isName says that a host is no address but a name, whose address somebody else decides.
func isName(host string) bool {
	host, _, _ = strings.Cut(host, "%")
	_, err := netip.ParseAddr(host)
	return err != nil
}

// isLocalhost says that a name means this machine, wherever it is resolved (RFC 6761, 6.3).
func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Requests has a transport refuse requests whose URL has an address that must not be
// called, even where a proxy would make the connection, and what a redirect asks for on
// another host or by another scheme. Connections are left to its DialContext.
func (g *Guard) Requests(t *http.Transport) {
	proxy := t.Proxy
	t.Proxy = func(r *http.Request) (*url.URL, error) { // which a transport asks for each request
		if err := g.checkRequest(r); err != nil || proxy == nil {
			return nil, err
		}
		return proxy(r)
	}
}

func (g *Guard) checkRequest(r *http.Request) error {
	// a client sets Response on the request that a redirect has led to
	if r.Response != nil && r.Response.Request != nil {
		if from := r.Response.Request.URL; from.Scheme != r.URL.Scheme || from.Host != r.URL.Host {
			return &Error{Host: from.Host, Reason: "it redirects to another host or scheme"}
		}
	}
	if address, err := netip.ParseAddr(r.URL.Hostname()); err == nil {
		return g.policy.Load().check(r.URL.Hostname(), address)
	}
	return nil
}

// Default puts the guard under the default transport of net/http, by which libraries make
// their calls that take no client. A program does so once, before it makes any call.
func (g *Guard) Default() {
	network := http.DefaultTransport.(*http.Transport)
	network.DialContext = g.DialContext
	g.Requests(network)
}
