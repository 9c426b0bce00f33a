package pump

import (
	"context"
	"time"

	"onramp/internal/onramp"
)

// ahead is how many deliveries beyond the cursor may be sent before the position
// is saved again: so many that this happens together with the read mark.
const ahead = 8192

// begin finds where to start reading, and takes up the asynchronous requests that
// the process before this one has made.
func (l *lane) begin(work context.Context) error {
	if l.begun {
		return nil
	}
	readTo, jobs, err := l.pump.journal.Resume(work, l.destination)
	if err != nil {
		return err
	}
	l.begun, l.cursor, l.readTo = true, readTo, readTo
	for _, j := range jobs { // also where the mode has been changed to sync since
		l.resume(work, j)
	}
	return nil
}

// resume waits for the outcome of a request that was made before a restart. Its
// deliveries count as in flight, so that nothing overtakes them.
func (l *lane) resume(work context.Context, j onramp.Job) {
	c := &call{async: true, resumes: j.RequestID, requests: []string{j.RequestID}}
	for _, d := range j.Deliveries {
		c.entries = append(c.entries, l.window.hold(d))
	}
	l.start(work, c, onramp.DeliverySubmitted)
}

// savePosition saves now and then how far everything is settled or parked, so that
// there is less to read after a restart.
func (l *lane) savePosition(work context.Context) error {
	now := time.Now()
	if now.Sub(l.markSavedAt) < markEvery {
		return nil
	}
	l.markSavedAt = now
	readTo, sentTo := max(l.settledTo(), l.readTo), l.sentTo
	if l.cursor+ahead/2 > sentTo && sentTo > 0 {
		sentTo = l.cursor + ahead
	}
	if readTo == l.readTo && sentTo == l.sentTo {
		return nil
	}
	return l.save(work, readTo, sentTo)
}

// settledTo is the seq up to which everything is settled or parked.
func (l *lane) settledTo() int64 {
	to := l.window.readTo(l.cursor)
	if l.bars.from > 0 {
		to = min(to, l.bars.from-1)
	}
	return to
}

// allowSending has it on disk that what is in the window may have been sent, should
// the process be killed.
func (l *lane) allowSending(work context.Context) error {
	if l.maySend() || len(l.window.ready) == 0 && len(l.bars.byShape) == 0 {
		return nil
	}
	return l.save(work, l.readTo, l.cursor+ahead)
}

func (l *lane) maySend() bool { return l.begun && l.cursor <= l.sentTo }

func (l *lane) save(work context.Context, readTo, sentTo int64) error {
	err := l.pump.journal.SavePosition(work, l.destination.ID, readTo, sentTo)
	if err == nil {
		l.readTo, l.sentTo = readTo, sentTo
	}
	return err
}

// end saves the position for the next start, and that nothing is in flight any more.
// After calls that were abandoned that is not known.
func (l *lane) end(work context.Context) {
	if l.begun && !l.abandoned {
		// losing it costs time and a few rows sent once more, not deliveries
		_ = l.save(work, max(l.settledTo(), l.readTo), 0)
	}
}
