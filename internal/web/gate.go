package web

import (
	"cmp"
	"crypto/tls"
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
	tls     *tls.Config // nil: without TLS
	trusted atomic.Pointer[[]netip.Prefix]
	log     *refusalLog
	bodies  bodyBudget

	turns    atomic.Uint64
	draining atomic.Bool
	readEnd  atomic.Pointer[time.Time] // when the last byte is read; nil: not stopping
	closed   chan struct{}
	close    sync.Once

	mu      sync.Mutex
	conns   map[*conn]struct{}
	streams int // places that streams have beside those of the connections
	shares  map[netip.Addr]int
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
	c := &conn{Conn: accepted, socket: accepted, gate: g, address: g.shareOf(accepted), turn: g.turns.Add(1)}
	if g.tls != nil {
		c.secure(g.tls)
	}
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
	if !g.hasRoom(c) {
		return false
	}
	g.conns[c] = struct{}{}
	g.share(c, 1)
	return true
}

// hasRoom says whether a connection can have one more place. It needs mu.
func (g *gate) hasRoom(c *conn) bool {
	return len(g.conns)+g.streams < g.limits.Connections && (!c.address.IsValid() || g.shares[c.address] < g.limits.PerAddress)
}

// share counts places of an address. It needs mu.
func (g *gate) share(c *conn, more int) {
	if !c.address.IsValid() {
		return
	}
	if g.shares[c.address] += more; g.shares[c.address] == 0 {
		delete(g.shares, c.address)
	}
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.conns[c]; !there {
		return
	}
	delete(g.conns, c)
	if c.streams > 0 { // whose handlers run on
		g.streams++
		return
	}
	g.share(c, -1)
}

// enterStream takes a place for a stream. The first of a connection has the place of the
// connection itself.
func (g *gate) enterStream(c *conn) bool {
	if g.tryStream(c) {
		return true
	}
	if c.address.IsValid() {
		g.makeRoom(c.address, g.limits.PerAddress)
	}
	g.makeRoom(netip.Addr{}, g.limits.Connections)
	return g.tryStream(c)
}

func (g *gate) tryStream(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, there := g.conns[c]
	switch {
	case c.streams == 0 && there:
	case !g.hasRoom(c):
		return false
	default:
		g.streams++
		g.share(c, 1)
	}
	c.streams++
	return true
}

func (g *gate) leaveStream(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.streams--
	if _, there := g.conns[c]; c.streams == 0 && there {
		return
	}
	g.streams--
	g.share(c, -1)
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
	if g.taken(address) < places {
		return
	}
	for _, c := range g.all() {
		if address.IsValid() && c.address != address {
			continue
		}
		if turn, ok := c.quietSince(); ok {
			candidates = append(candidates, candidate{c, turn})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	for _, c := range candidates[:min(len(candidates), 1+places/64)] {
		c.giveWay()
	}
}

// taken is how many places an address has, or all have.
func (g *gate) taken(address netip.Addr) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if address.IsValid() {
		return g.shares[address]
	}
	return len(g.conns) + g.streams
}

func (g *gate) all() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.conns))
}

// shareOf returns the network whose share a connection takes. Trusted proxies bring
// many people: theirs is invalid.
func (g *gate) shareOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || g.limits.PerAddress >= g.limits.Connections {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if slices.ContainsFunc(*g.trusted.Load(), func(p netip.Prefix) bool { return p.Contains(address) }) {
		return netip.Addr{}
	}
	return Network(address)
}
