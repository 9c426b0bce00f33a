package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/personkey"
	"onramp/internal/store/eventtail"
)

// portionOfEvents is how many events one write stores, so that registrations
// which arrive meanwhile need not wait for a whole batch.
const portionOfEvents = 250

const (
	insertEvent         = `INSERT INTO event (seq, at, hash, callback_id, received_at, type, person, send, body, trace)`
	insertEventDelivery = `INSERT INTO delivery
	(seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, event_seq, data)`
	insertResentDelivery = `INSERT INTO delivery
	(seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, event_seq, data, run_id, resent_at)`
)

// SaveEvents stores the events of a batch that are not known yet, each with its
// deliveries to sinks, and returns how many those were, once they are on disk.
// The callback must have been registered. When it fails a part may be stored: to
// store the batch again does no harm.
func (s *Store) SaveEvents(ctx context.Context, callback string, events []onramp.Event) (stored int, err error) {
	id, ok := s.names.callback(callback)
	if !ok {
		return 0, fmt.Errorf("callback %q was not registered", callback)
	}
	if deadline, limited := ctx.Deadline(); limited && s.writer.expectedWait() > time.Until(deadline) {
		return 0, unavailable(errOverloaded)
	}
	if events, err = s.withoutErased(ctx, events); err != nil {
		return 0, err
	}
	var ops []*op
	defer func() {
		for _, o := range ops {
			o.withdraw() // those that are left, if it ends early
		}
	}()
	counts := make([]int, (len(events)+portionOfEvents-1)/portionOfEvents)
	for portion := range slices.Chunk(events, portionOfEvents) {
		count := &counts[len(ops)]
		sealed, err := s.protectEvents(portion)
		if err != nil {
			return 0, err
		}
		o := &op{rows: len(portion), done: make(chan error, 1), run: func(t *tx) (err error) {
			*count, err = t.saveEvents(id, portion, sealed)
			return err
		}}
		if err := s.writer.enqueue(ctx, o, nil); err != nil {
			return 0, err
		}
		ops = append(ops, o)
	}
	for i, o := range ops {
		if err := o.wait(ctx, nil); err != nil {
			return 0, fmt.Errorf("save events: %w", err)
		}
		stored += counts[i]
	}
	return stored, nil
}

// protectedEvents are what is stored of the bodies of events, as they were made with the keys
// of persons.
type protectedEvents struct {
	bodies []any
	keys   *personkey.State
}

func (s *Store) protectEvents(events []onramp.Event) (p protectedEvents, err error) {
	if s.vault != nil {
		p.keys = s.vault.State()
	}
	p.bodies = make([]any, len(events))
	for i := range events {
		e := &events[i]
		if p.bodies[i], err = s.protect(s.leafOf(personOfEvent(e)), storableJSON(e.Body), placeOfEvent(e.Identity)); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (t *tx) saveEvents(callback int, events []onramp.Event, sealed protectedEvents) (stored int, err error) {
	if t.store.vault != nil && sealed.keys != t.store.vault.State() {
		if sealed, err = t.store.protectEvents(events); err != nil { // someone was erased since
			return 0, err
		}
	}
	statement := &t.store.writer.events
	first := t.eventSeq + 1
	values := make([]any, 0, len(events)*statement.columns)
	tail := make([]eventtail.Event, len(events))
	for i := range events {
		e := &events[i]
		t.eventSeq++
		person, isAbout := e.Person()
		person = t.store.hashing.event(person)
		tail[i] = eventtail.Event{Seq: t.eventSeq, Person: person}
		if e.Send != "" {
			tail[i].Send = t.store.hashing.event(onramp.SendKey(e.Send))
		}
		values = append(values, t.eventSeq, e.Identity.At, e.Identity.Hash, callback, micros(e.ReceivedAt), storable(e.Type),
			nullKey(person, isAbout), nullKey(tail[i].Send, e.Send != ""), sealed.bodies[i], nullTrace(e.Trace))
	}
	n, err := t.insertNew(*statement, values)
	if err != nil {
		return 0, err
	}
	isNew := func(int64) bool { return true }
	if n != int64(len(events)) {
		seqs := map[int64]bool{}
		err := t.each(`SELECT seq FROM event WHERE seq >= $1`, []any{first}, func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			seqs[seq] = true
			return err
		})
		if err != nil {
			return 0, err
		}
		isNew = func(seq int64) bool { return seqs[seq] }
	}
	last := t.eventSeq
	t.after = append(t.after, func() {
		t.store.tail.Add(tail)
		t.store.eventsCame(last)
	})
	if err := t.forward(events, first, isNew); err != nil {
		return 0, err
	}
	masked, err := t.proof(events, first, isNew)
	if err != nil {
		return 0, err
	}
	t.countEvents(callback, n, int64(len(events)-len(masked))-n)
	if len(masked) > 0 {
		more, err := t.store.protectEvents(masked)
		if err != nil {
			return 0, err
		}
		if stored, err = t.saveEvents(callback, masked, more); err != nil {
			return 0, err
		}
	}
	return stored + int(n), err
}

// noteEvent makes an event known to who waits for events.
func (t *tx) noteEvent(seq, person int64) {
	t.after = append(t.after, func() {
		t.store.tail.Add([]eventtail.Event{{Seq: seq, Person: person}})
		t.store.eventsCame(seq)
	})
}

// forward makes the deliveries of new events to sinks.
func (t *tx) forward(events []onramp.Event, first int64, isNew func(seq int64) bool) error {
	var values []any
	woken := map[int]wakeUp{}
	for i := range events {
		e, seq := &events[i], first+int64(i)
		if len(e.Sinks) == 0 || !isNew(seq) {
			continue
		}
		key := t.store.hashing.sinkKey(e)
		for _, destination := range e.Sinks {
			values = append(values, t.eventDelivery(destination, 0, key, seq, nil, woken)...)
		}
	}
	if len(values) == 0 {
		return nil
	}
	if err := t.insert(t.store.writer.eventDeliveries, values); err != nil {
		return err
	}
	t.wakeAfter(woken)
	return nil
}

// eventDelivery is the row of a delivery that an event has brought.
func (t *tx) eventDelivery(destination int, registration, key, event int64, data any, woken map[int]wakeUp) []any {
	t.deliverySeq++
	woken[destination] |= freshUp
	t.moveDelivery(destination, 0, onramp.DeliveryPending)
	return []any{
		t.deliverySeq, registration, 1, destination, uint64(key) % partitions, key, uint8(onramp.DeliveryPending), 0, event, data,
	}
}

func nullKey(key int64, given bool) sql.NullInt64 { return sql.NullInt64{Int64: key, Valid: given} }

// storableJSON keeps JSON as it came, but for what PostgreSQL refuses.
func storableJSON(b []byte) string { return storable(string(b)) }

// eventRow receives what is stored of an event, also where there may be none.
type eventRow struct {
	seq, at, hash, callback, receivedAt sql.NullInt64
	eventType                           sql.NullString
	body                                []byte

	leaf personkey.Leaf
	lost error // why the body can't be read; nil: it can
}

const eventColumns = `e.seq, e.at, e.hash, e.callback_id, e.received_at, e.type, e.body`

func (r *eventRow) into() []any {
	return []any{&r.seq, &r.at, &r.hash, &r.callback, &r.receivedAt, &r.eventType, &r.body}
}

// event decrypts and reads an event. Of one that can't be read only its type is known.
func (r *eventRow) event(s *Store) onramp.Event {
	identity := onramp.EventIdentity{At: r.at.Int64, Hash: r.hash.Int64}
	body, leaf, err := s.reveal(r.body, placeOfEvent(identity))
	if r.leaf, r.lost = leaf, err; err != nil {
		s.noteUnreadable(err)
		body = []byte(noValues)
	}
	e := onramp.ReadStoredEvent(body, identity)
	if err != nil {
		e.Type = r.eventType.String
	}
	e.Seq, e.Callback, e.ReceivedAt = r.seq.Int64, s.names.callbackName(int(r.callback.Int64)), fromNull(r.receivedAt)
	return e
}

const selectEvents = `SELECT ` + eventColumns + ` FROM event e `

func (s *Store) listEvents(ctx context.Context, query string, args ...any) ([]onramp.Event, error) {
	rows, err := s.readers.QueryContext(ctx, selectEvents+query, args...)
	return collect(rows, err, s.scanEvent)
}

// pageEvents lists events as collectPage does.
func (s *Store) pageEvents(ctx context.Context, query string, args ...any) (page []onramp.Event, more bool, err error) {
	rows, err := s.readers.QueryContext(ctx, selectEvents+query, args...)
	return collectPage(rows, err, s.scanEvent, eventSize)
}

func (s *Store) scanEvent(rows *sql.Rows) (onramp.Event, error) {
	var r eventRow
	if err := rows.Scan(r.into()...); err != nil {
		return onramp.Event{}, err
	}
	return r.event(s), nil
}

func eventSize(e *onramp.Event) int { return len(e.Body) }

// ListEvents returns events, newest first, and the rest as ListRegistrations does.
func (s *Store) ListEvents(ctx context.Context, f onramp.EventFilter) (page []onramp.Event, next string, looked time.Time, err error) {
	l := look[onramp.Event]{limit: limit(onramp.Filter{Limit: f.Limit}), seq: func(e *onramp.Event) int64 { return e.Seq }, size: eventSize}
	if l.below, err = before(onramp.Filter{Cursor: f.Cursor}); err != nil {
		return nil, "", looked, err
	}
	where, err := s.chosenEvents(f)
	if err != nil {
		return nil, "", looked, err
	}
	l.portion = func(ctx context.Context, below int64, most int) ([]onramp.Event, int64, error) {
		from, err := s.portionFrom(ctx, "event", below, s.looking.joined)
		if err != nil {
			return nil, 0, err
		}
		where := where.portion("e.seq", from, below)
		limit := most
		if f.Query != "" {
			limit = s.looking.joined // what contains the text is only known when it is read
		}
		found, more, err := s.pageEvents(ctx, `WHERE `+where.text+` ORDER BY e.seq DESC LIMIT `+strconv.Itoa(limit), where.args...)
		if more || len(found) == limit {
			from = found[len(found)-1].Seq
		}
		found = slices.DeleteFunc(found, func(e onramp.Event) bool {
			return f.Type != "" && !onramp.MatchesType(f.Type, e.Type) || f.Query != "" && !matches(f.Query, string(e.Body))
		})
		if len(found) > most {
			found, from = found[:most], found[most-1].Seq
		}
		return found, from, err
	}
	end, below, err := s.period(ctx, "event", f.Since, f.Until)
	if err == nil {
		l.end, l.below = end, min(l.below, below)
		page, next, looked, err = lookPage(ctx, s, &l, lookedToEvent)
	}
	return page, next, looked, readerErr("list events", err)
}

// chosenEvents is the condition of a filter. Of the type's pattern it only lets through
// too much: what counts as the same letter the database does not decide.
func (s *Store) chosenEvents(f onramp.EventFilter) (where chosen, err error) {
	callback, err := s.names.named("callback", f.Callback)
	if err != nil {
		return where, err
	}
	destination, err := s.names.named("destination", f.Destination)
	if err != nil {
		return where, err
	}
	if callback != 0 {
		where.and(`e.callback_id = ?`, callback)
	}
	if destination != 0 {
		where.and(`EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = e.seq AND d.destination_id = ?)`, destination)
	}
	if f.Type != "" {
		where.and(`lower(e.type) LIKE ? ESCAPE '\'`, likeType(storable(f.Type)))
	}
	where.within("e.received_at", f.Since, f.Until)
	return where, nil
}

// likeType is a pattern for the types that a filter may mean: what is no ASCII stands for any text.
func likeType(pattern string) string {
	var like strings.Builder
	for _, r := range strings.ToLower(pattern) {
		switch {
		case r == '*' || r >= utf8.RuneSelf:
			like.WriteByte('%')
		case r == '%' || r == '_' || r == '\\':
			like.WriteByte('\\')
			fallthrough
		default:
			like.WriteRune(r)
		}
	}
	return like.String()
}

var errNoEvent = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such event"}

// FindEvent returns an event with its deliveries, these without their attempts,
// or an error of kind NotFound.
func (s *Store) FindEvent(ctx context.Context, id string) (onramp.Event, error) {
	identity, ok := onramp.ParseEventID(id)
	if !ok {
		return onramp.Event{}, errNoEvent
	}
	found, err := s.listEvents(ctx, `WHERE e.at = $1 AND e.hash = $2`, identity.At, identity.Hash)
	if err != nil {
		return onramp.Event{}, readerErr("find event", err)
	}
	if len(found) == 0 {
		return onramp.Event{}, errNoEvent
	}
	e := found[0]
	e.Deliveries, err = s.listDeliveries(ctx, `WHERE d.event_seq = $1 ORDER BY d.seq`, e.Seq)
	return e, readerErr("list deliveries of event", err)
}

// LastEvent returns when the newest event came to a callback; zero when none
// ever has, or none among the newest million.
func (s *Store) LastEvent(ctx context.Context, callback string) (time.Time, error) {
	id, ok := s.names.callback(callback)
	if !ok {
		return time.Time{}, nil
	}
	var at int64
	err := s.readers.QueryRowContext(ctx, `SELECT received_at FROM event
		WHERE callback_id = $1 AND seq > (SELECT COALESCE(MAX(seq), 0) - 1000000 FROM event) ORDER BY seq DESC LIMIT 1`, id).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(at), readerErr("find last event", err)
}

// mostEvents is how many events a timeline has, of each way in which events join it.
const mostEvents = 500

// eventsOf lists the events about a registration: those of its messages, those
// of its subscriber since it was accepted, and the engagement that belongs to
// either by its send.
func (s *Store) eventsOf(ctx context.Context, r *onramp.Registration) ([]onramp.Event, error) {
	ofMessages, err := s.eventsByKey(ctx, s.hashing.event(onramp.MessagePerson(r.ID)), "", mostEvents)
	if err != nil {
		return nil, err
	}
	ofSubscriber, err := s.eventsByKey(ctx, s.hashing.event(onramp.SubscriberPerson(r.SubscriberKey)), ` AND e.received_at >= $2`, mostEvents, micros(r.ReceivedAt))
	if err != nil {
		return nil, err
	}
	j := joined{known: map[int64]bool{}, sends: map[string]bool{}}
	// the index has 64 bits of a hash: the keys themselves decide
	for _, e := range ofMessages {
		if id, ours := e.Registration(); ours && id == r.ID {
			j.add(e)
		}
	}
	for _, e := range ofSubscriber {
		if onramp.SamePerson(e.SubscriberKey, r.SubscriberKey) {
			j.add(e)
		}
	}
	for send := range maps.Clone(j.sends) {
		if j.size >= timelineBytes {
			break
		}
		engaged, err := s.eventsByKey(ctx, s.hashing.event(onramp.SendKey(send)), "", mostEvents)
		if err != nil {
			return nil, err
		}
		for _, e := range engaged {
			if e.Send == send {
				j.add(e)
			}
		}
	}
	return j.events, nil
}

// timelineBytes is how large the events of a timeline are, before it takes in those of
// no further send.
const timelineBytes = 4 * pageBytes

// joined are the events of a timeline, each one once.
type joined struct {
	events []onramp.Event
	size   int
	known  map[int64]bool
	sends  map[string]bool
}

func (j *joined) add(e onramp.Event) {
	if j.known[e.Seq] {
		return
	}
	j.known[e.Seq] = true
	j.events, j.size = append(j.events, e), j.size+eventSize(&e)
	if e.Send != "" {
		j.sends[e.Send] = true
	}
}
