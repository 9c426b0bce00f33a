// Package eventtail finds, in memory, the newest events of a person or a send: those
// that are not in the database's index yet. The index is filled in large sorted parts
// a little after the events; nobody who looks for events waits for that.
package eventtail

import (
	"slices"
	"sync"
)

// Event is what an event can be found by.
type Event struct {
	Seq          int64
	Person, Send int64 // hashes; 0: it has none
}

// Tail is the newest events in the order of their seqs. The zero value holds all from
// the seq 0 on. It is safe for concurrent use.
type Tail struct {
	mu     sync.RWMutex
	from   int64
	events []Event
}

// Begin has the tail hold the events from a seq on, and none yet.
func (t *Tail) Begin(from int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.events = from, nil
}

// Add takes events in, which are newer than all before.
func (t *Tail) Add(events []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, events...)
}

// Precede takes in all events from a seq on that are older than those there are.
func (t *Tail) Precede(from int64, events []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.events = from, append(events, t.events...)
}

// DropTo forgets the events up to a seq: the index has them.
func (t *Tail) DropTo(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, _ := slices.BinarySearchFunc(t.events, seq+1, func(e Event, seq int64) int { return int(e.Seq - seq) })
	t.events = slices.Clone(t.events[n:]) // so that the memory of the others is free
	t.from = max(t.from, seq+1)
}

// Find returns the seqs of the events with a hash, oldest first, and the seq from which
// on it knows them. It looks at each event, which takes a millisecond for a million.
func (t *Tail) Find(hash int64) (seqs []int64, from int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range t.events {
		if e := &t.events[i]; e.Person == hash || e.Send == hash {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs, t.from
}
