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

// blockSize is how many events are held in one piece: where they are many, neither to
// take in more nor to forget some copies those that stay.
const blockSize = 4096

// Tail is the newest events in the order of their seqs. The zero value holds all from
// the seq 0 on. It is safe for concurrent use.
type Tail struct {
	mu     sync.RWMutex
	from   int64
	blocks []block // none is empty; the last one has room for more, up to its capacity
}

// block holds events whose seqs are less than 1<<32 apart.
type block struct {
	base   int64
	events []mark
}

// mark is an event, in half of the memory: of the hashes it has the lower halves.
type mark struct{ after, person, send uint32 }

func (b *block) seq(i int) int64 { return b.base + int64(b.events[i].after) }

func (b *block) takes(e Event) bool {
	return len(b.events) < cap(b.events) && e.Seq-b.base < 1<<32
}

func (b *block) add(e Event) {
	b.events = append(b.events, mark{uint32(e.Seq - b.base), uint32(e.Person), uint32(e.Send)})
}

// Begin has the tail hold the events from a seq on, and none yet.
func (t *Tail) Begin(from int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.blocks = from, nil
}

// Add takes events in, which are newer than all before.
func (t *Tail) Add(events []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blocks = fill(t.blocks, events)
}

// fill puts events behind others.
func fill(blocks []block, events []Event) []block {
	for _, e := range events {
		if n := len(blocks); n == 0 || !blocks[n-1].takes(e) {
			blocks = append(blocks, block{e.Seq, make([]mark, 0, blockSize)})
		}
		blocks[len(blocks)-1].add(e)
	}
	return blocks
}

// Older takes in events from before those that a tail has, in their order.
type Older struct{ blocks []block }

// Add takes events in.
func (o *Older) Add(events []Event) { o.blocks = fill(o.blocks, events) }

// Precede has the tail hold all events from a seq on: those that are older than its own
// are given.
func (t *Tail) Precede(from int64, older Older) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.blocks = from, append(older.blocks, t.blocks...)
}

// DropTo forgets the events up to a seq: the index has them.
func (t *Tail) DropTo(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = max(t.from, seq+1)
	t.blocks = slices.DeleteFunc(t.blocks, func(b block) bool { return b.seq(len(b.events)-1) <= seq })
}

// Find returns the seqs of the events with a hash, oldest first, and the seq from which
// on it knows them. One in some billions has another hash: who reads the events sees it.
// It looks at each event, which takes a millisecond for a million.
func (t *Tail) Find(hash int64) (seqs []int64, from int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	half := uint32(hash)
	for b := range t.blocks {
		events := t.blocks[b].events
		for i := range events {
			if e := &events[i]; e.person != half && e.send != half {
				continue
			}
			if seq := t.blocks[b].seq(i); seq >= t.from {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs, t.from
}
