package pump

import (
	"time"

	"onramp/internal/onramp"
)

// worthJob is how many synchronous calls cost as much as an asynchronous one while calls
// are saved: the rows, the question for their status, and often for their results.
const worthJob = 3

// saving is how long a call may wait to be filled because calls are rare; 0: they
// aren't, or the destination is none of Marketing Cloud's.
func (l *lane) saving() time.Duration {
	if l.destination.Kind == onramp.SinkDestination {
		return 0
	}
	return l.pump.cfg.Saving()
}

// saveFor is how long the next call still waits to be filled while calls are saved; 0 or
// less: it goes now. The time counts from when a delivery was queued, not from when it
// could go: neither the later steps of a route nor one person's queue wait anew.
func (l *lane) saveFor(now time.Time) time.Duration {
	longest := l.saving()
	if longest == 0 || l.isFull() {
		return 0
	}
	var waited time.Duration
	for _, e := range l.window.ready {
		waited = max(waited, now.Sub(e.delivery.QueuedAt()), now.Sub(e.readyAt)) // should the clock be set back
	}
	return longest - waited
}

// isFull says that a call gains nothing by waiting: it is full, or what is to fill it
// can't come into memory, or it is of those that have had their wait and failed.
func (l *lane) isFull() bool {
	bytes := 0
	for _, e := range l.window.ready {
		bytes += e.size()
	}
	return len(l.window.ready) >= l.mostIn(l.destination.MayBeAsync()) || bytes >= l.destination.MostBytes() || !l.room() ||
		l.window.ready[0].tried()
}

// spare makes a pause that has begun longer while calls are saved: each probe is a call.
func (l *lane) spare(before, now time.Time) {
	if wait := l.saving(); wait > 0 && l.pace.paused() && l.pace.until.After(before) {
		l.pace.until = now.Add(max(wait, l.pace.until.Sub(now)))
	}
}
