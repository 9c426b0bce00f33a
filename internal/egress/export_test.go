package egress

import "net"

// NewResolving makes a guard that asks a name server of the test.
func NewResolving(p Policy, r *net.Resolver) *Guard {
	g := New(p)
	g.resolver = r
	return g
}

// Check says whether a host may be called at an address.
func (p *Policy) Check(host, resolved string) error {
	g := New(*p)
	return g.check(host, net.JoinHostPort(resolved, "80"))
}
