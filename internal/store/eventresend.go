package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

// clockTolerance is how far the clock may have been set back between two events
// without one of them being missed.
const clockTolerance = 24 * time.Hour

// PlanEventResend counts what a resend of events to a sink would send. It changes
// nothing.
func (s *Store) PlanEventResend(ctx context.Context, f resend.EventFilter, sink *onramp.Sink) (p resend.Plan, err error) {
	if _, known := s.names.callback(f.Callback); f.Callback != "" && !known {
		return p, &onramp.Error{
			Kind: onramp.Invalid, Message: "there is no callback of this name", Fields: []onramp.FieldError{{Field: "filter.callback", Message: "is not known"}},
		}
	}
	p.Last = s.newestEvent()
	if p.Oldest, err = s.oldestEvent(ctx); err != nil {
		return p, err
	}
	if !f.Since.IsZero() {
		if p.After, _, err = s.eventsAround(ctx, f.Since.Add(-clockTolerance), p.Last); err != nil {
			return p, err
		}
	}
	if !f.Until.IsZero() {
		if _, p.Last, err = s.eventsAround(ctx, f.Until.Add(clockTolerance), p.Last); err != nil {
			return p, err
		}
	}
	p.LeftOut = map[string]int64{}
	for after := p.After; after < p.Last; {
		var found []resendable
		if found, after, err = s.listResendable(ctx, f, sink, after, p.Last, scanTogether); err != nil {
			return p, err
		}
		for i := range found {
			switch r := &found[i]; {
			case !sink.Takes(r.Type):
				p.LeftOut[resend.Filtered]++
			case r.waits:
				p.LeftOut[resend.Waiting]++
			default:
				if p.Count++; p.Count == 1 {
					p.From = r.ReceivedAt
				}
				p.To = r.ReceivedAt
			}
		}
	}
	return p, nil
}

// ResendEvents queues the next portion of a run. waits is true when it is too early for
// that: the one before it is still to be sent.
func (s *Store) ResendEvents(ctx context.Context, run *resend.Run, f resend.EventFilter, sink *onramp.Sink) (waits bool, err error) {
	if unsent, err := s.countUnsent(ctx, run); err != nil || unsent > portionOfEvents/2 {
		return true, err
	}
	found, to, err := s.listResendable(ctx, f, sink, run.Position, run.Last, lookedThrough)
	if err != nil {
		return true, err
	}
	var filtered int64
	var seqs []int64
	for i := range found {
		if !sink.Takes(found[i].Type) {
			filtered++
			continue
		}
		if seqs = append(seqs, found[i].Seq); len(seqs) == portionOfEvents {
			to = found[i].Seq
			break
		}
	}
	var events []onramp.Event
	if len(seqs) > 0 {
		if events, err = s.listEvents(ctx, `WHERE e.seq IN (`+numberList(seqs)+`) ORDER BY e.seq`); err != nil {
			return true, readerErr("list events", err)
		}
		events = slices.DeleteFunc(events, func(e onramp.Event) bool { return string(e.Body) == noValues }) // whose person was erased
	}
	destination, _ := s.destinationOf(sink)
	return false, s.stepRun(ctx, run, to, 2*len(events), func(t *tx) (int64, map[string]int64, error) {
		waiting, err := t.resendEvents(run.ID, destination, events)
		return int64(len(events)) - waiting, map[string]int64{resend.Filtered: filtered, resend.Waiting: waiting}, err
	})
}

// resendEvents makes another delivery of each event, but of those that still have one
// to be made: these come anyway.
func (t *tx) resendEvents(run int64, destination int, events []onramp.Event) (waiting int64, err error) {
	var values []any
	woken := map[int]wakeUp{}
	for i := range events {
		e := &events[i]
		waits, err := t.find(`SELECT 1 FROM delivery d WHERE d.event_seq = $1 AND d.destination_id = $2 AND `+isToBeMade+` LIMIT 1`, []any{e.Seq, destination}, new(int))
		switch {
		case err != nil:
			return 0, err
		case waits:
			waiting++
		default:
			row := t.eventDelivery(destination, 0, t.store.hashing.sinkKey(e), e.Seq, nil, woken)
			values = append(values, append(row, run, micros(t.now))...)
		}
	}
	t.wakeAfter(woken)
	return waiting, t.insert(t.store.writer.resentDeliveries, values)
}

// isToBeMade is true of deliveries that are still to be made.
var isToBeMade = numbered(`d.state IN ({{waiting}}, {{pending}}, {{held}})`)

func (s *Store) destinationOf(sink *onramp.Sink) (id int, known bool) {
	return s.names.destination(sink.Destination().Name())
}

// resendable is an event that a filter selects. Only with a person in the filter it has
// its body, and what is read from that.
type resendable struct {
	onramp.Event
	waits bool // it is on its way to the sink
}

var listResendable = `SELECT e.seq, e.at, e.hash, e.callback_id, e.received_at, e.type, CASE WHEN $7 = 1 THEN e.body ELSE NULL END, EXISTS (SELECT 1 FROM delivery d
		WHERE d.event_seq = e.seq AND d.destination_id = $6 AND ` + isToBeMade + `)
	FROM event e WHERE e.seq > $1 AND e.seq <= $2 AND e.received_at >= $3 AND e.received_at < $4 AND ($5 = 0 OR e.callback_id = $5)
	ORDER BY e.seq LIMIT $8`

// lookedThrough is how many events are looked at for one portion.
const lookedThrough = 2000

// listResendable lists the events of a filter after a seq, of n that it looks at, and
// says how far it has looked.
func (s *Store) listResendable(ctx context.Context, f resend.EventFilter, sink *onramp.Sink, after, last int64, n int) (found []resendable, to int64, err error) {
	to = min(after+scanTogether, last)
	until, callback, bodies := int64(math.MaxInt64), 0, 0
	if !f.Until.IsZero() {
		until = micros(f.Until)
	}
	if f.Callback != "" {
		callback, _ = s.names.callback(f.Callback)
	}
	if f.Person != "" {
		bodies = 1
	}
	destination, _ := s.destinationOf(sink)
	rows, err := s.readers.QueryContext(ctx, listResendable, after, to, micros(f.Since), until, callback, destination, bodies, n)
	page, more, err := collectPage(rows, err, func(rows *sql.Rows) (r resendable, err error) {
		var row eventRow
		if err := rows.Scan(append(row.into(), &r.waits)...); err != nil {
			return r, err
		}
		r.Event = row.event(s)
		r.Type = row.eventType.String
		return r, nil
	}, func(r *resendable) int { return eventSize(&r.Event) })
	if err != nil {
		return nil, 0, readerErr("list events", err)
	}
	if more || len(page) == n {
		to = page[len(page)-1].Seq
	}
	subjects, err := s.subjectsOf(ctx, f.Person)
	if err != nil {
		return nil, 0, err
	}
	for i := range page {
		if selects(f, &page[i].Event, subjects) {
			found = append(found, page[i])
		}
	}
	return found, to, nil
}

// selects is what of a filter the query leaves to be looked at. subjects are the other
// names of its person.
func selects(f resend.EventFilter, e *onramp.Event, subjects map[string]bool) bool {
	matches := func(pattern string) bool { return onramp.MatchesType(pattern, e.Type) }
	switch {
	case len(f.Types) > 0 && !slices.ContainsFunc(f.Types, matches):
		return false
	case f.Person == "":
		return true
	case e.SubscriberKey != "":
		return onramp.SamePerson(e.SubscriberKey, f.Person)
	}
	return subjects[e.Subject]
}

// mostOf is how many registrations of a person are looked at for what events call it.
const mostOf = 50

// subjectsOf finds by what events name a person that don't have its subscriber key:
// engagement has the subscriber's number, which the events of the same person's mails
// have, too.
func (s *Store) subjectsOf(ctx context.Context, person string) (map[string]bool, error) {
	if person == "" {
		return nil, nil
	}
	if err := s.indexPersons(ctx); err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT r.id FROM person p JOIN registration r ON r.seq = p.registration_seq
		WHERE p.hash = $1 ORDER BY p.registration_seq DESC LIMIT $2`, s.hashing.orderingKey(person), mostOf)
	hashes, err := collect(rows, err, func(rows *sql.Rows) (hash int64, err error) {
		var id string
		err = rows.Scan(&id)
		return s.hashing.event(onramp.MessagePerson(id)), err
	})
	if err != nil {
		return nil, readerErr("list registrations of subscriber", err)
	}
	subjects := map[string]bool{}
	for _, hash := range append(hashes, s.hashing.event(onramp.SubscriberPerson(person))) {
		events, err := s.eventsByKey(ctx, hash, "", mostEvents)
		if err != nil {
			return nil, readerErr("list events of subscriber", err)
		}
		for _, e := range events {
			if e.Subject != "" && onramp.SamePerson(e.SubscriberKey, person) {
				subjects[e.Subject] = true
			}
		}
	}
	return subjects, nil
}

// eventsAround finds about where the events of a time are: all up to low came before
// it, and all after high did not.
func (s *Store) eventsAround(ctx context.Context, at time.Time, newest int64) (low, high int64, err error) {
	for high = newest; high-low > scanTogether; {
		middle := low + (high-low)/2
		var came int64
		err := s.readers.QueryRowContext(ctx, `SELECT received_at FROM event WHERE seq >= $1 ORDER BY seq LIMIT 1`, middle).Scan(&came)
		switch {
		case errors.Is(err, sql.ErrNoRows): // the newest were repeats
			high = middle
		case err != nil:
			return 0, 0, readerErr("find events of a time", err)
		case came < micros(at):
			low = middle
		default:
			high = middle
		}
	}
	return low, high, nil
}

// oldestEvent returns when the oldest event came that is stored; zero when none is.
func (s *Store) oldestEvent(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := s.readers.QueryRowContext(ctx, `SELECT (SELECT received_at FROM event ORDER BY seq LIMIT 1)`).Scan(&at)
	return fromNull(at), readerErr("find oldest event", err)
}
