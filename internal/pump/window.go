package pump

import (
	"cmp"
	"slices"

	"onramp/internal/onramp"
)

// entry is a delivery in memory.
type entry struct {
	delivery onramp.Delivery
	waiting  bool // for the step before it
	inFlight bool
	probe    bool // sent to find out whether the destination works again
}

// window is the part of a destination's deliveries that is in memory: sorted,
// and with one queue for each ordering key.
type window struct {
	entries []*entry // by seq
	bySeq   map[int64]*entry
	queues  map[int64][]*entry // by ordering key, oldest first

	fresh, due, waiting int // how many entries are of that sort
}

func newWindow() *window {
	return &window{bySeq: map[int64]*entry{}, queues: map[int64][]*entry{}}
}

func (w *window) add(d onramp.Delivery) {
	if w.bySeq[d.Seq] != nil {
		return
	}
	e := &entry{delivery: d, waiting: d.State == onramp.DeliveryWaiting}
	w.bySeq[d.Seq] = e
	w.entries = insertBySeq(w.entries, e)
	w.queues[d.OrderingKey] = insertBySeq(w.queues[d.OrderingKey], e)
	w.count(e, 1)
}

func (w *window) remove(e *entry) {
	if w.bySeq[e.delivery.Seq] != e {
		return
	}
	delete(w.bySeq, e.delivery.Seq)
	w.entries = removeBySeq(w.entries, e)
	key := e.delivery.OrderingKey
	if w.queues[key] = removeBySeq(w.queues[key], e); len(w.queues[key]) == 0 {
		delete(w.queues, key)
	}
	w.count(e, -1)
}

func (w *window) count(e *entry, n int) {
	switch {
	case e.delivery.Parked():
		w.due += n
	case e.waiting:
		w.waiting += n
	default:
		w.fresh += n
	}
}

// start ends an entry's wait for the step before it.
func (w *window) start(e *entry) {
	if e.waiting {
		w.count(e, -1)
		e.waiting = false
		w.count(e, 1)
	}
}

// next returns the oldest entry that may be sent: nobody of its key is before
// it, in flight or not.
func (w *window) next() *entry {
	for _, e := range w.entries {
		if !e.waiting && !e.inFlight && w.queues[e.delivery.OrderingKey][0] == e {
			return e
		}
	}
	return nil
}

// freshBehind lists the fresh entries of a key.
func (w *window) freshBehind(key int64) []int64 {
	var seqs []int64
	for _, e := range w.queues[key] {
		if !e.delivery.Parked() && !e.inFlight {
			seqs = append(seqs, e.delivery.Seq)
		}
	}
	return seqs
}

// readTo is the seq up to which every fresh delivery has left the window, given
// how far the cursor has come.
func (w *window) readTo(cursor int64) int64 {
	for _, e := range w.entries {
		if !e.delivery.Parked() {
			return min(cursor, e.delivery.Seq-1)
		}
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
