package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"

	"onramp/internal/onramp"
)

const (
	ruledTo   = "events_ruled_to"    // the forms' rules have been followed for events up to here
	personsTo = "persons_indexed_to" // the registrations up to here are in person
)

// RuledTo returns up to which event the rules have been followed. A database
// that has never had rules begins with the event that comes next.
func (s *Store) RuledTo(ctx context.Context) (int64, error) {
	value, err := findMeta(ctx, s.readers, ruledTo)
	if err != nil {
		return 0, readerErr("find rule mark", err)
	}
	if value == "" {
		return s.newestEvent(), nil
	}
	seq, err := strconv.ParseInt(value, 10, 64)
	return seq, readerErr("read rule mark", err)
}

// SaveRuling stores what the rules want: the deliveries, and how far they went. A
// change that comes too late is stored as such. Whether it does is decided here, where
// no registration can come in between. What was stored
// already, though the answer was lost, is not stored again.
func (s *Store) SaveRuling(ctx context.Context, r onramp.Ruling) error {
	if len(r.Changes) > 0 {
		if err := s.indexPersons(ctx); err != nil {
			return err
		}
	}
	return s.writer.write(ctx, &op{rows: 1 + len(r.Changes), run: func(t *tx) error {
		changes, unjoined := r.Changes, r.Unjoined
		var ruled string
		if _, err := t.find(`SELECT value FROM meta WHERE name = $1`, []any{ruledTo}, &ruled); err != nil {
			return err
		}
		if to, _ := strconv.ParseInt(ruled, 10, 64); to >= r.To {
			changes, unjoined = nil, nil
		}
		woken := map[int]wakeUp{}
		if err := t.saveChanges(changes, woken); err != nil {
			return err
		}
		for _, e := range unjoined {
			if err := t.exec(`INSERT INTO unjoined (send, event_seq) VALUES ($1, $2) ON CONFLICT DO NOTHING`, t.store.hashing.event(onramp.SendKey(e.Send)), e.Seq); err != nil {
				return err
			}
		}
		for _, seq := range r.Joined {
			if err := t.exec(`DELETE FROM unjoined WHERE event_seq = $1`, seq); err != nil {
				return err
			}
		}
		t.wakeAfter(woken)
		return t.exec(saveMeta, ruledTo, strconv.FormatInt(r.To, 10))
	}})
}

// saveChanges stores the changes that are in time, and the consents that these take back.
func (t *tx) saveChanges(changes []onramp.RowChange, woken map[int]wakeUp) error {
	var values []any
	withdraws := map[int]bool{}
	for i := range changes {
		c := &changes[i]
		inTime, err := t.inTime(c)
		if err != nil {
			return err
		}
		if inTime == nil {
			continue
		}
		withdraws[i] = c.Withdraws != nil && c.Sets(inTime, c.WithdrawsBy)
		data, err := t.protectChange(c, inTime)
		if err != nil {
			return err
		}
		values = append(values, t.eventDelivery(c.Destination, c.RegistrationSeq, t.store.hashing.orderingKey(c.SubscriberKey), c.Event, data, woken)...)
	}
	if err := t.insert(t.store.writer.eventDeliveries, values); err != nil {
		return err
	}
	return t.recordWithdrawals(changes, withdraws)
}

// protectChange is what is stored of what an event changes, as the next delivery.
func (t *tx) protectChange(c *onramp.RowChange, values json.RawMessage) (any, error) {
	return t.store.protect(t.store.leafOf(c.SubscriberKey), string(values), placeOfDelivery(t.deliverySeq+1, "data"))
}

// ListEventsAfter returns at most n events after a seq, oldest first: fewer when they
// are large.
func (s *Store) ListEventsAfter(ctx context.Context, seq int64, n int) ([]onramp.Event, error) {
	events, _, err := s.pageEvents(ctx, `WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`, seq, n)
	return events, readerErr("list events", err)
}

// ListUnjoined returns the events that wait for their send, as Waiting gives them.
func (s *Store) ListUnjoined(ctx context.Context) ([]onramp.Event, error) {
	rows, err := s.readers.QueryContext(ctx, selectEvents+`WHERE e.seq IN (SELECT event_seq FROM unjoined) ORDER BY e.seq`)
	events, err := collect(rows, err, func(rows *sql.Rows) (onramp.Event, error) {
		e, err := s.scanEvent(rows)
		return e.Waiting(), err
	})
	return events, readerErr("list unjoined events", err)
}

// FindSend returns the event that names the subscriber of a send, one with a
// signature if there is, or false if none has come yet.
func (s *Store) FindSend(ctx context.Context, send string) (onramp.Event, bool, error) {
	const isNamed = ` AND e.person IS NOT NULL`
	events, err := s.eventsByKey(ctx, s.hashing.event(onramp.SendKey(send)), isNamed+` AND NOT EXISTS (SELECT 1 FROM unproven u WHERE u.at = e.at AND u.hash = e.hash)`, 20)
	if err == nil && len(events) == 0 {
		events, err = s.eventsByKey(ctx, s.hashing.event(onramp.SendKey(send)), isNamed, 20)
	}
	if err != nil {
		return onramp.Event{}, false, readerErr("find send", err)
	}
	for _, e := range events {
		if e.Send == send {
			return e, true, nil
		}
	}
	return onramp.Event{}, false, nil
}

// FindRegistrationOf returns the newest registration of a subscriber in a form
// that was accepted before an event came, is not held and counts, without its deliveries; false when
// there is none. A nil counts lets any count.
func (s *Store) FindRegistrationOf(
	ctx context.Context, subscriberKey, form string, e *onramp.Event, counts func(*onramp.Registration) bool,
) (onramp.Registration, bool, error) {
	id, ok := s.names.form(form)
	if !ok {
		return onramp.Registration{}, false, nil
	}
	if err := s.indexPersons(ctx); err != nil {
		return onramp.Registration{}, false, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT `+registrationColumns+` FROM person p JOIN registration r ON r.seq = p.registration_seq
		WHERE p.hash = $1 AND r.form_id = $2 AND r.received_at <= $3
		AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.registration_seq = r.seq) ORDER BY p.registration_seq DESC LIMIT 20`,
		s.hashing.orderingKey(subscriberKey), id, micros(e.ReceivedAt))
	found, err := collect(rows, err, func(rows *sql.Rows) (row registrationRow, err error) {
		err = rows.Scan(row.into()...)
		row.open(s)
		return row, err
	})
	for i := range found {
		// those of another person may have the same hash, or an operator has changed the key since
		if !onramp.SamePerson(found[i].subscriberKey, subscriberKey) {
			continue
		}
		if r := found[i].registration(s); counts == nil || counts(&r) {
			return r, true, nil
		}
	}
	return onramp.Registration{}, false, readerErr("find registration of subscriber", err)
}

// personsTogether is how many registrations are taken into person by one write.
const personsTogether = 500

// indexPersons brings person up to the newest registration. It is only filled when
// an event needs it: written with each registration, it would cost a page for each.
func (s *Store) indexPersons(ctx context.Context) error {
	for {
		value, err := findMeta(ctx, s.readers, personsTo)
		if err != nil {
			return readerErr("find person mark", err)
		}
		mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
		found, to, err := s.listSubscribers(ctx, mark)
		if err != nil || len(found) == 0 {
			return readerErr("list subscribers", err)
		}
		slices.SortFunc(found, func(a, b subscriber) int { return cmp.Compare(a.hash, b.hash) })
		values := make([]any, 0, 2*len(found))
		for _, f := range found {
			values = append(values, f.hash, f.registration)
		}
		err = s.writer.write(ctx, &op{rows: len(found), run: func(t *tx) error {
			if err := t.insert(t.store.writer.persons, values); err != nil {
				return err
			}
			return t.exec(saveMeta, personsTo, strconv.FormatInt(to, 10))
		}})
		if err != nil {
			return err
		}
	}
}

// subscriber is a registration with the hash of its subscriber key.
type subscriber struct{ hash, registration int64 }

func (s *Store) listSubscribers(ctx context.Context, after int64) (found []subscriber, to int64, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+registrationColumns+` FROM registration r WHERE seq > $1 ORDER BY seq LIMIT $2`, after, personsTogether)
	found, err = collect(rows, err, func(rows *sql.Rows) (found subscriber, err error) {
		var row registrationRow
		err = rows.Scan(row.into()...)
		row.open(s)
		return subscriber{s.hashing.orderingKey(row.subscriberKey), row.seq}, err
	})
	if err != nil || len(found) == 0 {
		return nil, after, err
	}
	return found, found[len(found)-1].registration, nil
}
