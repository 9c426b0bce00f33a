package store

import (
	"context"
	"database/sql"
	"strconv"

	"onramp/internal/onramp"
	"onramp/internal/retention"
)

// agedEvent is an event that retention looks at.
type agedEvent struct {
	seq, at, hash, received int64
	person, send            sql.NullInt64
	deliveries              []agedDelivery // to sinks
	changes                 bool           // it has changed a row of a registration that is stored
}

// nextEventsToRetain are the events that are to be looked at next. Those that are not
// indexed yet stay: the index would get a key of an event that is gone.
func (s *Store) nextEventsToRetain(ctx context.Context, p *retention.Policies) (w walk, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT event_seq FROM retained_event WHERE look_at <= $1 ORDER BY look_at, event_seq LIMIT $2`, micros(s.now()), retainTogether)
	if w.seqs, err = collect(rows, err, scanSeq); err != nil || len(w.seqs) > 0 {
		w.more = true
		return w, err
	}
	if w, err = s.walkOn(ctx, retention.Events, "event", p.Events); err != nil {
		return w, err
	}
	value, err := findMeta(ctx, s.readers, indexedTo)
	indexed, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	for n := len(w.seqs); n > 0 && w.seqs[n-1] > indexed; n = len(w.seqs) {
		w.seqs, w.more = w.seqs[:n-1], false
		if w.to = 0; n > 1 {
			w.to = w.seqs[n-2]
		}
	}
	return w, err
}

func (s *Store) retainEvents(ctx context.Context, p *retention.Policies) (slice retention.Slice, err error) {
	if p.Events == 0 {
		return slice, nil
	}
	next, err := s.nextEventsToRetain(ctx, p)
	if err != nil || len(next.seqs) == 0 {
		return slice, err
	}
	err = s.writer.write(ctx, &op{rows: 4 * len(next.seqs), run: func(t *tx) error {
		return t.overwriting(func() (err error) {
			if slice.Removed, err = t.retainEvents(next.seqs, p); err != nil || next.to == 0 {
				return err
			}
			return t.exec(saveMeta, retentionPosition(retention.Events), strconv.FormatInt(next.to, 10))
		})
	}})
	slice.More = next.more
	return slice, err
}

// retainEvents removes those of the given events that are kept no longer, and notes when to
// look again at the others.
func (t *tx) retainEvents(seqs []int64, p *retention.Policies) (removed int64, err error) {
	all, err := t.readAgedEvents(seqs)
	if err != nil {
		return 0, err
	}
	var gone []*agedEvent
	var kept []any
	for _, e := range all {
		until := t.keepEventUntil(e, p)
		if until <= micros(t.now) {
			gone = append(gone, e)
			continue
		}
		kept = append(kept, e.seq, until)
	}
	if err := t.insert(t.store.writer.retainedEvents, kept); err != nil {
		return 0, err
	}
	return int64(len(gone)), t.removeEvents(gone)
}

// keepEventUntil says until when an event is kept, or when to look again. What it has
// changed belongs to the registration, too, and goes with that.
func (t *tx) keepEventUntil(e *agedEvent, p *retention.Policies) int64 {
	until := e.received + p.Events.Microseconds()
	if e.changes {
		until = max(until, micros(t.now.Add(retainAgain)))
	}
	if e.seq >= t.store.writer.eventSeq {
		until = max(until, micros(t.now.Add(retainSoon))) // the numbering goes on after the newest
	}
	for _, d := range e.deliveries {
		if d.state == onramp.DeliveryDelivered || d.state == onramp.DeliverySkipped {
			d.settled = sql.NullInt64{Valid: true} // sent on: the event's own time decides
		}
		ofSink := p.Policy
		ofSink.Delivered = p.Events
		until = max(until, t.keepDelivery(&aged{registrationRow: registrationRow{receivedAt: e.received}}, d, ofSink))
		if d.seq >= t.store.writer.deliverySeq {
			until = max(until, micros(t.now.Add(retainSoon)))
		}
	}
	return until
}

func (t *tx) readAgedEvents(seqs []int64) (all []*agedEvent, err error) {
	texts := &t.store.writer.retention
	bySeq := map[int64]*agedEvent{}
	err = t.eachOf(&texts.events, seqs, nil, func(scan func(...any) error) error {
		e := &agedEvent{}
		err := scan(&e.seq, &e.at, &e.hash, &e.received, &e.person, &e.send)
		all, bySeq[e.seq] = append(all, e), e
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, t.eachOf(&texts.eventDeliveries, seqs, nil, func(scan func(...any) error) error {
		var event, registration int64
		var d agedDelivery
		err := scan(&event, &registration, &d.seq, &d.destination, &d.state, &d.settled)
		switch e := bySeq[event]; {
		case e == nil:
		case registration != 0:
			e.changes = true
		default:
			e.deliveries = append(e.deliveries, d)
		}
		return err
	})
}

// removeEvents removes events with all that belongs to them.
func (t *tx) removeEvents(all []*agedEvent) error {
	if len(all) == 0 {
		return nil
	}
	var seqs, deliveries []int64
	for _, e := range all {
		seqs = append(seqs, e.seq)
		for _, d := range e.deliveries {
			deliveries = append(deliveries, d.seq)
			t.moveDelivery(d.destination, d.state, onramp.DeliveryRemoved)
		}
		for _, key := range []sql.NullInt64{e.person, e.send} {
			if !key.Valid {
				continue
			}
			if err := t.exec(`DELETE FROM event_key WHERE hash = $1 AND event_seq = $2`, key.Int64, e.seq); err != nil {
				return err
			}
		}
		if err := t.exec(`DELETE FROM unproven WHERE at = $1 AND hash = $2`, e.at, e.hash); err != nil {
			return err
		}
		if e.send.Valid {
			if err := t.exec(`DELETE FROM unjoined WHERE send = $1 AND event_seq = $2`, e.send.Int64, e.seq); err != nil {
				return err
			}
		}
	}
	texts := &t.store.writer.retention
	if err := t.execAll(texts.removeDeliveries, deliveries); err != nil {
		return err
	}
	if err := t.execAll(texts.removeEvents, seqs); err != nil {
		return err
	}
	return t.countRemoved(map[string]int64{string(retention.Events): int64(len(all))})
}
