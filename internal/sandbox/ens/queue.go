package ens

import (
	"bytes"
	"container/heap"
	"context"
	"slices"
	"time"
)

const (
	// maxFlying is the most requests to one callback at a time. Undocumented.
	maxFlying = 4
	// maxQueued is the most events that wait for one callback; more are dropped.
	// It bounds the memory.
	maxQueued = 200_000
)

// queue is what is on its way to one callback. The host's lock guards it.
type queue struct {
	waiting []queued // not yet in a batch, in order
	batches batches  // waiting to be sent, or sent again
	flying  map[*batch]context.CancelFunc
	count   int // events in all three

	duplicates, reorders int // how often these faults have struck

	failures       int       // batches in a row that the callback did not take, for RetriesLegacy
	failedAt       time.Time // the last of them
	suspensions    int       // in a row
	suspendedUntil time.Time

	taken, takenEvents, failed, dropped int // batches, events; requests; events
	last                                delivery
}

// queued is an event that waits for a batch.
type queued struct {
	at   time.Time
	body []byte
}

// batch is a request's worth of events.
type batch struct {
	body     []byte
	events   int
	due      time.Time
	seq      int       // in order of making
	first    time.Time // when it was deferred for the first time; zero until then
	redone   int       // how often it was sent again after that
	repeated bool      // a copy of what the callback has taken
	tried    bool      // FaultStaleToken was looked at
}

// batches is a heap: the earliest first, and of those at one time the one that
// was made first.
type batches []*batch

func (bs batches) Len() int      { return len(bs) }
func (bs batches) Swap(i, j int) { bs[i], bs[j] = bs[j], bs[i] }
func (bs batches) Less(i, j int) bool {
	if bs[i].due.Equal(bs[j].due) {
		return bs[i].seq < bs[j].seq
	}
	return bs[i].due.Before(bs[j].due)
}
func (bs *batches) Push(x any) { *bs = append(*bs, x.(*batch)) }
func (bs *batches) Pop() any {
	list := *bs
	last := list[len(list)-1]
	list[len(list)-1] = nil
	*bs = list[:len(list)-1]
	return last
}

// deferred counts the batches that wait to be sent again.
func (q *queue) deferred() int {
	n := 0
	for _, b := range q.batches {
		if !b.first.IsZero() {
			n++
		}
	}
	return n
}

// drop forgets all that waits.
func (q *queue) drop() {
	flying := 0
	for b := range q.flying {
		flying += b.events
	}
	q.dropped += q.count - flying
	q.waiting, q.batches, q.count = nil, nil, flying
}

// push adds an event, unless there are too many.
func (q *queue) push(e queued) {
	if q.count >= maxQueued {
		q.dropped++
		return
	}
	q.waiting = append(q.waiting, e)
	q.count++
}

// gather makes batches of the events that have waited for the window, and of as
// many as a batch holds. It needs the host's lock.
func (w *world) gather(q *queue, cb *callback, now time.Time) {
	window := w.sender.settings.window()
	_, most := w.terms(cb, now)
	for len(q.waiting) > 0 {
		n := min(len(q.waiting), most)
		if n < most && now.Before(q.waiting[0].at.Add(window)) {
			return
		}
		if w.host.Fault(FaultBareEvent, now, cb.url, q.waiting[0].body) {
			q.add(w, &batch{body: q.waiting[0].body, events: 1, due: now})
			q.waiting = q.waiting[1:]
			continue
		}
		bodies := make([][]byte, n)
		for i, e := range q.waiting[:n] {
			bodies[i] = e.body
		}
		q.waiting = q.waiting[n:]
		b := &batch{body: array(bodies), events: n, due: now}
		if w.host.Fault(FaultReorder, now, cb.url, b.body) {
			slices.Reverse(bodies)
			b.body = array(bodies)
			if q.reorders%2 == 0 {
				b.due = now.Add(reorderDelay)
			}
			q.reorders++
		}
		q.add(w, b)
	}
	q.waiting = nil // lets go of the memory
}

// array joins JSON values.
func array(bodies [][]byte) []byte {
	b := append([]byte{'['}, bytes.Join(bodies, []byte{','})...)
	return append(b, ']')
}

// add puts a batch where it waits.
func (q *queue) add(w *world, b *batch) {
	w.sender.made++
	b.seq = w.sender.made
	heap.Push(&q.batches, b)
}

// next takes the next batch that is due, or returns nil.
func (q *queue) next(now time.Time) *batch {
	if len(q.batches) == 0 || q.batches[0].due.After(now) {
		return nil
	}
	b, _ := heap.Pop(&q.batches).(*batch)
	return b
}

// wake is when the next work is due; zero: not before something happens.
func (q *queue) wake(window time.Duration) time.Time {
	var at time.Time
	if len(q.waiting) > 0 {
		at = q.waiting[0].at.Add(window)
	}
	if len(q.batches) > 0 && len(q.flying) < maxFlying {
		at = sooner(at, q.batches[0].due)
	}
	return at
}

// sooner is the earlier of two times; zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
