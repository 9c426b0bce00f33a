package pump

import (
	"cmp"
	"slices"

	"onramp/internal/onramp"
)

// entry is a delivery in memory.
type entry struct {
	delivery  onramp.Delivery
	waiting   bool // for the step before it
	inFlight  bool
	probe     bool // sent to find out whether the destination works again
	forgotten bool // settled by an operator's hand while it was in flight
	foundDue  bool // the store had it due while the lane took it for something else
}

// queue holds the entries of one ordering key, oldest first.
type queue struct {
	entries  []*entry
	inFlight *entry
	ready    *entry // the one that is in the window's ready list
}

// window is the part of a destination's deliveries that is in memory.
type window struct {
	bySeq  map[int64]*entry
	queues map[int64]*queue // by ordering key
	fresh  []*entry         // never parked, by seq
	ready  []*entry         // may be sent now, by seq

	due, waiting int // how many entries are parked, and how many wait for the step before them
}

func newWindow() *window {
	return &window{bySeq: map[int64]*entry{}, queues: map[int64]*queue{}}
}

func (w *window) add(d onramp.Delivery) {
	if w.bySeq[d.Seq] != nil {
		return
	}
	e := &entry{delivery: d, waiting: d.State == onramp.DeliveryWaiting}
	w.bySeq[d.Seq] = e
	if w.queues[d.OrderingKey] == nil {
		w.queues[d.OrderingKey] = &queue{}
	}
	q := w.queues[d.OrderingKey]
	q.entries = insertBySeq(q.entries, e)
	if d.Parked() {
		w.due++
	} else {
		w.fresh = insertBySeq(w.fresh, e)
	}
	if e.waiting {
		w.waiting++
	}
	w.refresh(q)
}

func (w *window) remove(e *entry) {
	if w.bySeq[e.delivery.Seq] != e {
		return
	}
	delete(w.bySeq, e.delivery.Seq)
	q := w.queues[e.delivery.OrderingKey]
	if q.entries = removeBySeq(q.entries, e); len(q.entries) == 0 {
		delete(w.queues, e.delivery.OrderingKey)
	}
	if e.delivery.Parked() {
		w.due--
	} else {
		w.fresh = removeBySeq(w.fresh, e)
	}
	if e.waiting {
		w.waiting--
	}
	w.refresh(q)
}

// start ends an entry's wait for the step before it.
func (w *window) start(e *entry) {
	if e.waiting {
		e.waiting, e.delivery.State = false, onramp.DeliveryPending
		w.waiting--
		w.refresh(w.queues[e.delivery.OrderingKey])
	}
}

// take returns the oldest entry that may be sent and marks it as in flight; nil
// when there is none.
func (w *window) take() *entry {
	if len(w.ready) == 0 {
		return nil
	}
	e := w.ready[0]
	e.inFlight = true
	q := w.queues[e.delivery.OrderingKey]
	q.inFlight = e
	w.refresh(q)
	return e
}

// land ends an entry's flight.
func (w *window) land(e *entry) {
	e.inFlight = false
	q := w.queues[e.delivery.OrderingKey]
	q.inFlight = nil
	w.refresh(q)
}

// refresh puts the first of a queue into the ready list, if it may be sent:
// nobody of its key is in flight, and nobody is before it. An elder may come
// late, revived by an operator, while a younger one is ready or in flight.
func (w *window) refresh(q *queue) {
	var ready *entry
	if q.inFlight == nil && len(q.entries) > 0 && !q.entries[0].waiting {
		ready = q.entries[0]
	}
	if ready == q.ready {
		return
	}
	if q.ready != nil {
		w.ready = removeBySeq(w.ready, q.ready)
	}
	if ready != nil {
		w.ready = insertBySeq(w.ready, ready)
	}
	q.ready = ready
}

// behind lists the entries of a key that come after an elder and are not in
// flight.
func (w *window) behind(key, elder int64) []*entry {
	q := w.queues[key]
	if q == nil {
		return nil
	}
	var entries []*entry
	for _, e := range q.entries {
		if e.delivery.Seq > elder && !e.inFlight {
			entries = append(entries, e)
		}
	}
	return entries
}

// readTo is the seq up to which every fresh delivery has left the window, given
// how far the cursor has come.
func (w *window) readTo(cursor int64) int64 {
	if len(w.fresh) > 0 {
		return min(cursor, w.fresh[0].delivery.Seq-1)
	}
	return cursor
}

func bySeq(e *entry, seq int64) int { return cmp.Compare(e.delivery.Seq, seq) }

func insertBySeq(entries []*entry, e *entry) []*entry {
	at, _ := slices.BinarySearchFunc(entries, e.delivery.Seq, bySeq)
	return slices.Insert(entries, at, e)
}

func removeBySeq(entries []*entry, e *entry) []*entry {
	at, found := slices.BinarySearchFunc(entries, e.delivery.Seq, bySeq)
	if !found {
		return entries
	}
	return slices.Delete(entries, at, at+1)
}
