package pump

import (
	"context"
	"time"

	"onramp/internal/onramp"
)

// A delivery whose step is not for its person is not sent: it is settled as skipped, in
// its turn among those of its key. That needs nothing of the destination, so it is done
// also while that is throttled or blocked; while an operator has paused it, nothing is
// decided, since that is the time to correct a condition.

// skipTogether is how many are settled by one write.
const skipTogether = 256

// listSkip notes that the turn of an entry has come that is to be skipped.
func (w *window) listSkip(e *entry) {
	if !e.listed {
		e.listed = true
		w.toSkip = append(w.toSkip, e)
	}
}

// takeSkips takes those to be skipped whose turn it is, and marks them as in flight.
func (w *window) takeSkips() []*entry {
	n := min(len(w.toSkip), skipTogether)
	var taken []*entry
	for _, e := range w.toSkip[:n] {
		e.listed = false
		q := w.queues[e.delivery.OrderingKey]
		isFirst := !e.gone && !e.waiting && q.inFlight == nil && q.entries[0] == e && e.delivery.Seq < q.nextPassed()
		if isFirst { // else it is listed again when its turn comes
			w.fly(e)
			taken = append(taken, e)
		}
	}
	w.toSkip = w.toSkip[n:]
	return taken
}

// skip settles those that are not sent.
func (l *lane) skip(work context.Context) {
	if l.stopped || len(l.toPark) > 0 {
		return
	}
	for len(l.window.toSkip) > 0 {
		if taken := l.window.takeSkips(); len(taken) > 0 {
			l.skipping++
			r := &result{call: &call{entries: taken, skips: true}, settlements: skips(taken)}
			l.senders.Go(func() { l.settleSkips(work, r) })
		}
	}
}

func skips(entries []*entry) []onramp.Settlement {
	now := time.Now()
	settlements := make([]onramp.Settlement, len(entries))
	for i, e := range entries {
		d := e.delivery
		settlements[i] = onramp.Settlement{Delivery: &d, State: onramp.DeliverySkipped, Tries: d.Tries, At: now, Reason: e.skip}
	}
	return settlements
}

// settleSkips waits until what is skipped is on disk.
func (l *lane) settleSkips(work context.Context, r *result) {
	r.abandoned = !l.settle(work, r.settlements)
	l.tell(message{result: r})
}
