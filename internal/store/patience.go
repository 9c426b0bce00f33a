package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// patience bounds a wait. All who begin to wait at about the same time share one
// timer: one for each would cost every registration a microsecond.
type patience struct {
	within time.Duration

	newest atomic.Pointer[patienceEnd]
	mu     sync.Mutex
}

// patienceEnd is the end of the waits that begin before a time.
type patienceEnd struct {
	before time.Time
	passed chan struct{}
}

// end returns a channel that is closed when a wait that begins now has lasted long
// enough, or up to a sixteenth earlier.
func (p *patience) end() <-chan struct{} {
	now := time.Now()
	if e := p.newest.Load(); e != nil && now.Before(e.before) {
		return e.passed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.newest.Load(); e != nil && now.Before(e.before) {
		return e.passed
	}
	e := &patienceEnd{now.Add(p.within / 16), make(chan struct{})}
	time.AfterFunc(p.within, func() { close(e.passed) })
	p.newest.Store(e)
	return e.passed
}
