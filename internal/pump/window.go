package pump

import (
	"cmp"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// entry is a delivery in memory.
type entry struct {
	delivery  onramp.Delivery
	readyAt   time.Time // since when it may be sent
	waiting   bool      // for the step before it
	inFlight  bool
	gone      bool // out of the window
	forgotten bool // settled by an operator while it was in flight
	foundDue  bool // the store had it due while the lane took it for something else
}

// size is about what the delivery adds to the body of a request, in bytes.
func (e *entry) size() int {
	const around = 64 // names and punctuation
	return len(e.delivery.Values) + len(e.delivery.SubscriberKey) + around
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
	fresh  []*entry         // never parked, by seq; those that are gone are taken out now and then
	ready  []*entry         // may be sent now, by seq

	freshOnes, due, waiting int // how many entries are fresh, parked, and wait for the step before them
	everReady               int // how many entries have become ready, ever
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
		w.freshOnes++
	}
	if e.waiting {
		w.waiting++
	}
	w.refresh(q)
}

// hold adds a delivery that is in flight already. One that is settled is no part of
// the window, and neither is one that is there for another call.
func (w *window) hold(d onramp.Delivery) *entry {
	if d.State != onramp.DeliveryPending || w.bySeq[d.Seq] != nil {
		return &entry{delivery: d, gone: true}
	}
	w.add(d)
	e, q := w.bySeq[d.Seq], w.queues[d.OrderingKey]
	e.inFlight, q.inFlight = true, e
	w.refresh(q)
	return e
}

// remove takes an entry out, whether it is in flight or not.
func (w *window) remove(e *entry) {
	if e.gone {
		return
	}
	e.gone = true
	delete(w.bySeq, e.delivery.Seq)
	q := w.queues[e.delivery.OrderingKey]
	if q.inFlight == e {
		q.inFlight, e.inFlight = nil, false
	}
	if q.entries = removeBySeq(q.entries, e); len(q.entries) == 0 {
		delete(w.queues, e.delivery.OrderingKey)
	}
	if e.delivery.Parked() {
		w.due--
	} else {
		w.freshOnes--
		w.trimFresh()
	}
	if e.waiting {
		w.waiting--
	}
	w.refresh(q)
}

// trimFresh forgets those in front that are gone, so that the first one counts,
// and all that are gone when they are the most.
func (w *window) trimFresh() {
	for len(w.fresh) > 0 && w.fresh[0].gone {
		w.fresh[0] = nil
		w.fresh = w.fresh[1:]
	}
	if len(w.fresh) > 2*w.freshOnes+64 {
		w.fresh = slices.DeleteFunc(w.fresh, func(e *entry) bool { return e.gone })
	}
}

// start ends an entry's wait for the step before it.
func (w *window) start(e *entry) {
	if e.waiting {
		e.waiting, e.delivery.State = false, onramp.DeliveryPending
		w.waiting--
		w.refresh(w.queues[e.delivery.OrderingKey])
	}
}

// take returns the oldest entries that may be sent, within the limits of number
// and bytes (but at least one), and marks them as in flight. Those that were tried
// before go in smaller calls each time, so that one for which calls are refused
// is alone in the end.
func (w *window) take(n, bytes int) []*entry {
	var taken, passed []*entry
	rest := w.ready
	for ; len(rest) > 0 && len(taken) < n && bytes > 0; rest = rest[1:] {
		e := rest[0]
		most := max(n>>min(e.delivery.Tries, 30), 1)
		if len(taken) >= most {
			passed = append(passed, e)
			continue
		}
		taken = append(taken, e)
		n, bytes = min(n, most), bytes-e.size()
	}
	if w.ready = rest; len(passed) > 0 {
		w.ready = append(passed, rest...)
	}
	for _, e := range taken {
		e.inFlight = true
		q := w.queues[e.delivery.OrderingKey]
		q.inFlight, q.ready = e, nil
	}
	return taken
}

// land ends an entry's flight.
func (w *window) land(e *entry) {
	if e.gone {
		return
	}
	e.inFlight = false
	q := w.queues[e.delivery.OrderingKey]
	q.inFlight = nil
	w.refresh(q)
}

// refresh puts the first of a queue into the ready list, if it may be sent:
// nobody of its key is in flight, and nobody is before it. An earlier one may come
// back, retried by an operator, while a later one is ready or in flight.
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
		ready.readyAt = time.Now()
		w.everReady++
		w.ready = insertBySeq(w.ready, ready)
	}
	q.ready = ready
}

// behind lists the entries of a key that come after a seq and are not in flight.
func (w *window) behind(key, seq int64) []*entry {
	q := w.queues[key]
	if q == nil {
		return nil
	}
	var entries []*entry
	for _, e := range q.entries {
		if e.delivery.Seq > seq && !e.inFlight {
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
