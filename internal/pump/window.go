package pump

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// mostOfKey is how many deliveries of one ordering key are in memory when it is full:
// one that is sent, and the next ones. All others of the key are passed by.
const mostOfKey = 4

// entry is a delivery in memory.
type entry struct {
	delivery  onramp.Delivery
	turn      turn
	readyAt   time.Time // since when it may be sent
	since     time.Time // since when nothing but the destination keeps it waiting
	most      int       // that share its call, after it was in one that failed; 0: as many as a call carries
	again     bool      // it was passed by at first
	returned  bool      // it was in a call that the destination refused for its own sake
	barred    bool      // it goes as the probe of a bar only
	skip      string    // why it is not sent; "": it is
	listed    bool      // it is in the window's list of those to be skipped
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

func (e *entry) tried() bool { return e.returned || e.most > 0 || e.delivery.Tries > 0 }

// goesWith says whether two may share a call: neither may break it for the other.
func (e *entry) goesWith(other *entry) bool {
	return e.delivery.Tries == other.delivery.Tries && e.most == other.most && e.returned == other.returned
}

// kind tells apart what has its own share of the memory, so that many of one kind
// keep out none of another.
type kind int

const (
	fresh   kind = iota // read by the cursor
	again               // passed by at first, and read by its seq
	waiting             // for the step before it
	due                 // parked
	kinds
)

func (e *entry) kind() kind {
	switch {
	case e.waiting:
		return waiting
	case e.delivery.Parked():
		return due
	case e.again:
		return again
	}
	return fresh
}

// turn is a place among those that may be sent. It goes by when a delivery could
// have gone, not by its age: one that had to wait for others of its key is behind
// whatever was accepted meanwhile, however long its key's queue is.
type turn struct {
	newest int64 // seq up to which deliveries had been read
	count  int
}

func (t turn) compare(other turn) int {
	return cmp.Or(cmp.Compare(t.newest, other.newest), cmp.Compare(t.count, other.count))
}

// queue holds the deliveries of one ordering key, oldest first.
type queue struct {
	key      int64
	entries  []*entry
	inFlight *entry
	ready    *entry  // the one that is in the window's ready list
	passed   []int64 // those passed by, known by their seqs only
	leftFrom int64   // those passed by from here on are not known at all; 0: all are
	wanted   bool    // it is in the window's wanted list
	counted  kind    // of its first entry, as the window has counted it; kinds: not at all
}

// nextPassed is the seq of the oldest that was passed by: nobody after it may go.
func (q *queue) nextPassed() int64 {
	switch {
	case len(q.passed) > 0:
		return q.passed[0]
	case q.leftFrom > 0:
		return q.leftFrom
	}
	return math.MaxInt64
}

// wants says that passed ones should be read: after the one that is sent, or may be,
// no other one follows in memory.
func (q *queue) wants() bool {
	return len(q.passed) > 0 && (len(q.entries) < 2 || q.entries[1].delivery.Seq > q.passed[0])
}

// window is the part of a destination's deliveries that is in memory.
type window struct {
	bySeq  map[int64]*entry
	queues map[int64]*queue                      // by ordering key
	fresh  []*entry                              // never parked, by seq; those that are gone are taken out now and then
	ready  []*entry                              // may be sent now, by their turns
	toSkip []*entry                              // whose turn has come, or had, and which are not sent
	skips  func(d *onramp.Delivery) (why string) // nil: all are sent

	size    int           // keys that it holds, of each kind
	failed  map[int64]int // of those that were in calls that failed, how many may share their next one
	passing passing
	wanted  []*queue   // whose passed ones should be read, the longest wanting first
	newest  int64      // seq up to which deliveries were read
	entries [kinds]int // how many
	keys    [kinds]int // how many keys have a first entry of that kind
	bytes   [kinds]int // of memory, about

	freshOnes int // how many entries were never parked
	everReady int // how many entries have become ready, ever
}

func newWindow(size int) *window {
	return &window{failed: map[int64]int{}, size: size, bySeq: map[int64]*entry{}, queues: map[int64]*queue{}, passing: newPassing(passedFactor * size)}
}

// share is how many of one key may be in memory: more than a few while there is room,
// so that a short queue is not passed by and read again.
func (w *window) share(k kind) int { return max((w.size-w.entries[k])/64, mostOfKey) }

// offer takes a fresh delivery that the cursor has found, or passes it by when
// enough of its key is in memory.
func (w *window) offer(d onramp.Delivery) (taken bool) {
	if d.Seq <= w.newest && w.bySeq[d.Seq] != nil {
		return false // it is read again
	}
	w.newest = max(w.newest, d.Seq)
	q := w.queues[d.OrderingKey]
	if q == nil || len(q.entries) < w.share(fresh) && q.nextPassed() == math.MaxInt64 {
		w.add(d, false)
		return true
	}
	w.passing.pass(q, d.Seq)
	return false
}

// add takes a delivery into memory.
func (w *window) add(d onramp.Delivery, again bool) {
	if w.bySeq[d.Seq] != nil {
		return
	}
	e := &entry{delivery: d, waiting: d.State == onramp.DeliveryWaiting, again: again, most: w.failed[d.Seq]}
	if w.skips != nil {
		e.skip = w.skips(&e.delivery)
	}
	w.bySeq[d.Seq] = e
	q := w.queues[d.OrderingKey]
	if q == nil {
		q = &queue{key: d.OrderingKey, counted: kinds}
		w.queues[d.OrderingKey] = q
	}
	if len(q.entries) == 0 && e.kind() == fresh {
		e.since, e.turn = d.QueuedAt(), turn{newest: d.Seq}
	}
	q.entries = insertBySeq(q.entries, e)
	if !d.Parked() {
		w.fresh = insertBySeq(w.fresh, e)
		w.freshOnes++
	}
	w.count(e, 1)
	w.refresh(q)
}

// hold adds a delivery that is in flight already. One that is settled is no part of
// the window, and neither is one that is there for another call.
func (w *window) hold(d onramp.Delivery) *entry {
	if d.State != onramp.DeliveryPending || w.bySeq[d.Seq] != nil {
		return &entry{delivery: d, gone: true}
	}
	w.add(d, false)
	e, q := w.bySeq[d.Seq], w.queues[d.OrderingKey]
	e.inFlight, q.inFlight = true, e
	w.refresh(q)
	return e
}

// count adds an entry to the counts of its kind, or takes it out.
func (w *window) count(e *entry, n int) {
	const around = 512 // what else an entry is
	w.entries[e.kind()] += n
	w.bytes[e.kind()] += n * (e.size() + around)
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
	q.entries = removeBySeq(q.entries, e)
	if !e.delivery.Parked() {
		w.freshOnes--
		w.trimFresh()
	}
	w.count(e, -1)
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
		w.count(e, -1)
		e.waiting, e.delivery.State = false, onramp.DeliveryPending
		w.count(e, 1)
		w.refresh(w.queues[e.delivery.OrderingKey])
	}
}

// take returns the entries whose turn it is, or the newest ones, within the limits of
// number and bytes (but at least one), and marks them as in flight.
//
// Those that were tried equally often go together, and in smaller calls each time,
// so that one for which calls are refused is alone in the end.
func (w *window) take(n, bytes int, newest bool) []*entry {
	var taken []*entry
	seen := 0
	for ; seen < len(w.ready) && len(taken) < n && bytes > 0; seen++ {
		e := w.ready[seen]
		if newest {
			e = w.ready[len(w.ready)-1-seen]
		}
		if newest && e.tried() || len(taken) > 0 && !e.goesWith(taken[0]) {
			continue
		}
		if len(taken) == 0 {
			if n = halved(n, e.delivery.Tries); e.most > 0 {
				n = min(n, e.most)
			}
		}
		taken = append(taken, e)
		bytes -= e.size()
		w.fly(e)
	}
	if newest {
		rest := w.ready[len(w.ready)-seen:]
		w.ready = append(w.ready[:len(w.ready)-seen], slices.DeleteFunc(rest, isInFlight)...)
		if len(taken) == 0 { // all were tried before
			return w.take(n, bytes, false)
		}
		return taken
	}
	passed := slices.DeleteFunc(slices.Clone(w.ready[:seen]), isInFlight)
	w.ready = w.ready[seen-len(passed):]
	copy(w.ready, passed)
	return taken
}

// halved is a number halved so often, rounded up.
func halved(n, times int) int {
	times = min(times, 30)
	return (n + 1<<times - 1) >> times
}

// fly marks an entry as in flight.
func (w *window) fly(e *entry) {
	e.inFlight = true
	q := w.queues[e.delivery.OrderingKey]
	q.inFlight, q.ready = e, nil
}

func isInFlight(e *entry) bool { return e.inFlight }

// takeProbe takes one entry to find out whether the destination works again. No two
// probes in a row are alike: if it is only some deliveries that it refuses, others
// are found, be they the newest, or old and few.
func (w *window) takeProbe(number int) []*entry {
	var tried, untried []*entry
	for _, e := range w.ready {
		if e.tried() {
			tried = append(tried, e)
		} else {
			untried = append(untried, e)
		}
	}
	from := untried
	if len(untried) == 0 || len(tried) > 0 && number%4 == 1 {
		from = tried
	}
	at := 0
	switch number % 4 {
	case 0, 2:
		at = len(from) - 1
	case 3:
		at = rand.IntN(len(from))
	}
	e := from[at]
	w.fly(e)
	w.ready = slices.DeleteFunc(w.ready, isInFlight)
	return []*entry{e}
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

// refresh notes what has become of a queue: it puts its first one into the ready
// list, if that may be sent, and the queue into the wanted list, if others should be
// read.
func (w *window) refresh(q *queue) {
	first := kinds
	if len(q.entries) > 0 {
		first = q.entries[0].kind()
	}
	if q.counted != kinds {
		w.keys[q.counted]--
	}
	if q.counted = first; first != kinds {
		w.keys[first]++
	}
	w.setReady(q)
	switch {
	case len(q.entries) == 0 && q.nextPassed() == math.MaxInt64:
		delete(w.queues, q.key)
	case q.wants() && !q.wanted:
		q.wanted = true
		w.wanted = append(w.wanted, q)
	}
}

// setReady puts the first of a queue into the ready list, if it may be sent:
// nobody of its key is in flight, and nobody is before it. An earlier one may come
// back, retried by an operator, while a later one is ready or in flight.
func (w *window) setReady(q *queue) {
	var ready *entry
	if q.inFlight == nil && len(q.entries) > 0 && q.entries[0].delivery.Seq < q.nextPassed() {
		switch first := q.entries[0]; {
		case first.waiting || first.barred:
		case first.skip != "":
			w.listSkip(first)
		default:
			ready = first
		}
	}
	if ready == q.ready {
		return
	}
	if q.ready != nil {
		at, _ := slices.BinarySearchFunc(w.ready, q.ready.turn, byTurn)
		w.ready = slices.Delete(w.ready, at, at+1)
	}
	if q.ready = ready; ready != nil {
		w.giveTurn(ready)
		at, _ := slices.BinarySearchFunc(w.ready, ready.turn, byTurn)
		w.ready = slices.Insert(w.ready, at, ready)
	}
}

// giveTurn gives an entry its turn, which it keeps until it is sent.
func (w *window) giveTurn(e *entry) {
	w.everReady++
	e.readyAt = time.Now()
	if e.turn.count > 0 {
		return
	}
	e.turn.count = w.everReady
	if e.turn.newest == 0 {
		e.turn.newest = max(w.newest, e.delivery.Seq)
	}
	if e.since.IsZero() {
		e.since = e.readyAt
	}
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
		cursor = min(cursor, w.fresh[0].delivery.Seq-1)
	}
	return min(cursor, w.passing.oldest()-1)
}

func byTurn(e *entry, t turn) int { return e.turn.compare(t) }

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
