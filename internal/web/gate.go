package web

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// gate is a TCP listener that limits its connections. When there are too many it
// closes those that have been quiet for longest, or else the new one.
type gate struct {
	net.Listener
	limits  Limits
	trusted []netip.Prefix
	log     *refusalLog
	bodies  bodyBudget

	turns    atomic.Uint64
	draining atomic.Bool
	readEnd  atomic.Pointer[time.Time] // when the last byte is read; nil: not stopping
	closed   chan struct{}
	close    sync.Once

	mu     sync.Mutex
	conns  map[*conn]struct{}
	shares map[netip.Addr]int
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, closed: make(chan struct{}), conns: map[*conn]struct{}{}, shares: map[netip.Addr]int{}}
}

// Accept returns the next connection that there is room for. Without a free file
// descriptor it makes room and waits for one.
func (g *gate) Accept() (net.Conn, error) {
	for delay := 5 * time.Millisecond; ; {
		accepted, err := g.Listener.Accept()
		switch {
		case err == nil:
			if c := g.admit(accepted); c != nil {
				return c, nil
			}
		case isShortage(err):
			g.log.refused(0, "no_file_descriptor")
			g.makeRoom(netip.Addr{}, 0)
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-g.closed:
			}
			timer.Stop()
			delay = min(2*delay, time.Second)
		case g.draining.Load():
			return nil, net.ErrClosed // and not the time-out, which net/http would try again after
		default:
			return nil, err
		}
	}
}

// isShortage says whether a connection could not be accepted for a lack of
// something that comes back.
func isShortage(err error) bool {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}

// Close ends Accept. It is safe to call it twice.
func (g *gate) Close() (err error) {
	g.close.Do(func() {
		close(g.closed)
		err = g.Listener.Close()
	})
	return err
}

// admit gives a new connection its place, or closes it and returns nil.
func (g *gate) admit(accepted net.Conn) *conn {
	c := &conn{Conn: accepted, gate: g, address: g.shareOf(accepted), turn: g.turns.Add(1)}
	if g.enter(c) {
		return c
	}
	if c.address.IsValid() {
		g.makeRoom(c.address, g.limits.PerAddress)
	}
	g.makeRoom(netip.Addr{}, g.limits.Connections)
	if g.enter(c) {
		return c
	}
	g.log.refused(0, "too_many_connections")
	_ = accepted.Close() // it was never used
	return nil
}

// enter takes a place, if there is one.
func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) >= g.limits.Connections || c.address.IsValid() && g.shares[c.address] >= g.limits.PerAddress {
		return false
	}
	g.conns[c] = struct{}{}
	if c.address.IsValid() {
		g.shares[c.address]++
	}
	return true
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.conns[c]; !there {
		return
	}
	delete(g.conns, c)
	if !c.address.IsValid() {
		return
	}
	if g.shares[c.address]--; g.shares[c.address] == 0 {
		delete(g.shares, c.address)
	}
}

// makeRoom closes some of the connections that have been quiet for longest, of
// one address or of all, if these have all the places there are. It closes a few
// at a time, so that looking for them costs little.
func (g *gate) makeRoom(address netip.Addr, places int) {
	type candidate struct {
		*conn
		turn uint64
	}
	var candidates []candidate
	taken := 0
	for _, c := range g.all() {
		if address.IsValid() && c.address != address {
			continue
		}
		taken++
		if turn, ok := c.quietSince(); ok {
			candidates = append(candidates, candidate{c, turn})
		}
	}
	if taken < places {
		return
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	for _, c := range candidates[:min(len(candidates), 1+places/64)] {
		c.giveWay()
	}
}

func (g *gate) all() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.conns))
}

// shareOf returns the address whose share a connection takes, for IPv6 its /64,
// which is what a subscriber has. Trusted proxies bring many people: theirs is invalid.
func (g *gate) shareOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || g.limits.PerAddress >= g.limits.Connections {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if slices.ContainsFunc(g.trusted, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return netip.Addr{}
	}
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return address
}
