package web

import "net"

// Lack has a listener accept its connections from another one.
func (l *Listener) Lack(wrap func(net.Listener) net.Listener) {
	l.gate.Listener = wrap(l.gate.Listener)
}

// Counted is how much of the room for bodies is taken.
func (l *Listener) Counted() int64 {
	l.gate.bodies.mu.Lock()
	defer l.gate.bodies.mu.Unlock()
	return l.gate.bodies.used
}
