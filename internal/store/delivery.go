package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store/personal"
)

const deliveryColumns = `d.seq, d.registration_seq, d.step, d.destination_id, d.state, d.tries, d.ordering_key,
	d.due_at, d.settled_at, d.reason, d.cause, r.id, r.form_id, r.subscriber_key, r.received_at, COALESCE(d.steps, r.steps),
	CASE WHEN d.steps IS NULL THEN d.seq ELSE r.delivery_seq + r.steps - 1 END, d.data, r.by_field, d.run_id, d.resent_at, e.seq, e.at, e.hash, e.callback_id, e.received_at, e.type, e.body,
	r.data, r.trace, e.trace`

// fromDeliveries joins deliveries with their registrations and events: each has one
// or the other, or both.
const fromDeliveries = ` FROM delivery d LEFT JOIN registration r ON r.seq = d.registration_seq LEFT JOIN event e ON e.seq = d.event_seq `

// selectDeliveries reads deliveries with what they need of their registrations
// and events.
var selectDeliveries = numbered(`SELECT ` + deliveryColumns + `, FALSE, CASE WHEN d.state = {{pending}} AND d.due_at IS NOT NULL THEN ` +
	firstFailure + ` END` + fromDeliveries)

// firstFailure is when the first try of a delivery began that failed and may be
// repeated.
const firstFailure = `(SELECT MIN(a.started_at) FROM attempt a WHERE a.delivery_seq = d.seq AND a.verdict = {{verdict retry}})`

func (s *Store) listDeliveries(ctx context.Context, where string, args ...any) ([]onramp.Delivery, error) {
	return s.queryDeliveries(ctx, selectDeliveries+where, args...)
}

// pageDeliveries lists deliveries as collectPage does.
func (s *Store) pageDeliveries(ctx context.Context, where string, args ...any) (page []onramp.Delivery, more bool, err error) {
	rows, err := s.readers.QueryContext(ctx, selectDeliveries+where, args...)
	return collectPage(rows, err, s.scanDelivery, deliverySize)
}

func (s *Store) pagePrepared(ctx context.Context, text string, args ...any) (page []onramp.Delivery, more bool, err error) {
	rows, err := s.queries.Query(ctx, text, args...)
	return collectPage(rows, err, s.scanDelivery, deliverySize)
}

func deliverySize(d *onramp.Delivery) int { return len(d.Values) }

func (s *Store) queryDeliveries(ctx context.Context, query string, args ...any) ([]onramp.Delivery, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	return collect(rows, err, s.scanDelivery)
}

func (s *Store) scanDelivery(rows *sql.Rows) (d onramp.Delivery, err error) {
	var due, settled, receivedAt, firstFailure, run, resentAt sql.NullInt64
	var cause, id, subscriberKey, trace, eventTrace sql.NullString
	var form, steps, byField sql.NullInt64
	var e eventRow
	var row, data, reason []byte
	err = rows.Scan(&d.Seq, &d.RegistrationSeq, &d.Step, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey,
		&due, &settled, &reason, &cause, &id, &form, &subscriberKey, &receivedAt, &steps, &d.Age, &data, &byField,
		&run, &resentAt, &e.seq, &e.at, &e.hash, &e.callback, &e.receivedAt, &e.eventType, &e.body, &row, &trace, &eventTrace, &d.Behind, &firstFailure)
	if err != nil {
		return d, err
	}
	r := registrationRow{id: id.String, subscriberKey: subscriberKey.String, data: row, byField: int(byField.Int64)}
	if id.Valid {
		r.open(s)
	}
	d.Form, d.Destination = s.names.formName(int(form.Int64)), s.names.destinationName(d.DestinationID)
	d.RegistrationID, d.SubscriberKey, d.Steps, d.PersonKey, d.Unreadable = id.String, r.subscriberKey, int(steps.Int64), uint64(r.leaf), r.lost
	d.ReceivedAt, d.DueAt, d.SettledAt, d.FirstFailure = fromNull(receivedAt), fromNull(due), fromNull(settled), fromNull(firstFailure)
	d.Reason, d.Cause, d.Trace = s.revealOrDrop(reason, placeOfDelivery(d.Seq, "reason")), cause.String, onramp.Trace(trace.String)
	s.readValues(&d, &r, data)
	if e.seq.Valid {
		event := e.event(s)
		event.Trace = onramp.Trace(eventTrace.String)
		d.Event, d.Step, d.Steps, d.ReceivedAt = &event, 1, 1, event.ReceivedAt
		if data == nil {
			d.Values = event.Body // what goes on to a sink is the event as it came
		}
		if d.RegistrationID == "" {
			d.SubscriberKey, d.Trace, d.PersonKey, d.Unreadable = event.SubscriberKey, event.Trace, uint64(e.leaf), e.lost
		}
		if data != nil && r.opened {
			d.Of = &onramp.Registration{ID: d.RegistrationID, Form: d.Form, ReceivedAt: fromNull(receivedAt), Values: valuesOf(r.data, r.byField)}
		}
	}
	if !e.seq.Valid && data != nil {
		d.Confirmation = &onramp.Confirmation{}
		err = json.Unmarshal(d.Values, d.Confirmation)
		d.Values = valuesOf(r.data, r.byField)
	}
	noteUnreadable(&d)
	if d.Run, d.ResentAt = run.Int64, fromNull(resentAt); run.Valid && e.seq.Valid {
		d.ReceivedAt = d.ResentAt
	}
	return d, err
}

// readValues decrypts what a delivery brings: its own data, or that of its registration.
func (s *Store) readValues(d *onramp.Delivery, r *registrationRow, data []byte) {
	if data == nil {
		if r.opened {
			d.Values = valuesOf(r.data, r.byField)
		}
		return
	}
	values, _, err := s.reveal(data, placeOfDelivery(d.Seq, "data"))
	if d.Values = values; err != nil {
		d.Values, d.Unreadable = []byte(noValues), cmp.Or(d.Unreadable, err)
	}
}

// noteUnreadable has a delivery say that it can't be read.
func noteUnreadable(d *onramp.Delivery) {
	if errors.Is(d.Unreadable, personal.ErrErased) {
		d.State = onramp.DeliveryErased
	} else if d.Unreadable != nil {
		d.Reason = cmp.Or(d.Reason, withheld(d.Unreadable))
	}
}

const (
	// whatIsFresh are the columns of a delivery, and whether an earlier one of its
	// key is in the retry set.
	whatIsFresh = `SELECT ` + deliveryColumns + `, EXISTS (SELECT 1 FROM delivery p WHERE p.destination_id = d.destination_id
	AND p.ordering_key = d.ordering_key AND p.due_at IS NOT NULL AND p.seq < d.seq), NULL` + fromDeliveries
	isFresh = `d.state IN ({{waiting}}, {{pending}}) AND d.due_at IS NULL ORDER BY d.seq`
)

// listFresh reads the rows in the order in which they were appended.
var listFresh = numbered(whatIsFresh + `
	WHERE d.seq > $1 AND d.seq <= $2 AND d.destination_id = $3 AND ` + isFresh + ` LIMIT $4 + 0`)

// ListFresh returns at most n deliveries to a destination after a seq, oldest
// first, fewer when they are large: those to be sent and those that wait for the step
// before them. The next call continues after to, at once if there may be more.
func (s *Store) ListFresh(ctx context.Context, destination int, after int64, n int) (found []onramp.Delivery, to int64, more bool, err error) {
	if gone := s.goneFile(); gone != nil {
		return nil, after, false, unavailable(gone) // what is sent from now on couldn't be settled
	}
	newest := s.newest() // before the query: what is committed after this is for the next call
	if newest <= after {
		return nil, after, false, nil
	}
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	to = min(newest, after+s.looking.fresh)
	rows, err := s.queries.Query(ctx, listFresh, after, to, destination, n)
	if found, more, err = collectPage(rows, err, s.scanDelivery, deliverySize); err != nil {
		return nil, after, true, readerErr("list fresh deliveries", because(ctx, err))
	}
	if more || len(found) == n {
		to = found[len(found)-1].Seq
	}
	if found, err = s.leaveUnreadable(ctx, found); err != nil {
		return nil, after, true, err
	}
	return found, to, to < newest, nil
}

// newListed makes the statement that reads fresh deliveries by their seqs.
func newListed(d dialect) together {
	return newTogether(d, whatIsFresh+` WHERE d.seq IN (`, `) AND `+isFresh)
}

// ListFreshOf returns those of the given seqs, which ascend, that are still as
// ListFresh would return them, oldest first. It ends early when they are large: to is
// the last seq that it has looked at.
func (s *Store) ListFreshOf(ctx context.Context, seqs []int64) (found []onramp.Delivery, to int64, err error) {
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	for size := 0; len(seqs) > 0 && size < pageBytes; {
		text, length := s.listed.fit(len(seqs))
		part := seqs[:min(length, len(seqs))]
		rows, err := s.readers.QueryContext(ctx, text, s.listed.arguments(length, part, nil, nil)...)
		page, more, err := collectPage(rows, err, s.scanDelivery, deliverySize)
		if err != nil {
			return nil, 0, readerErr("list fresh deliveries by their seqs", because(ctx, err))
		}
		if len(page) > 0 {
			to = page[len(page)-1].Seq
		}
		for i := range page {
			size += deliverySize(&page[i])
		}
		if page, err = s.leaveUnreadable(ctx, page); err != nil {
			return nil, 0, err
		}
		found = append(found, page...)
		if more {
			return found, to, nil
		}
		seqs, to = seqs[len(part):], part[len(part)-1]
	}
	return found, to, nil
}

var (
	listDue = numbered(selectDeliveries + `WHERE d.destination_id = $1 AND d.due_at <= $2 AND d.state = {{pending}} AND d.seq <= $3
		ORDER BY d.due_at, d.seq LIMIT $4 + 0`)
	listStray = numbered(selectDeliveries + `WHERE d.destination_id = $1 AND d.due_at > $2 AND d.due_at < $5 AND d.state = {{pending}} AND d.seq <= $3
		ORDER BY d.due_at, d.seq LIMIT $4 + 0`)
)

// ListDue returns at most n parked deliveries to a destination that are due,
// the longest overdue first, fewer when they are large, and when to look again: now if there may be more,
// otherwise when the next one becomes due, zero if none does by itself. It returns
// none after the seq to, up to which fresh ones were read: a fresh one that was not
// read yet may come before it.
//
// A delivery whose due time is further away than any retry can be counts as due,
// too: the clock was ahead when it was parked, and has been set back.
//
// First come those that were delivered and are to be sent once more.
func (s *Store) ListDue(ctx context.Context, destination int, to int64, now time.Time, n int) (due []onramp.Delivery, next time.Time, err error) {
	if gone := s.goneFile(); gone != nil {
		return nil, now, unavailable(gone)
	}
	if err := s.endLateCalls(ctx, destination, now); err != nil {
		return nil, now, err
	}
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	more := false
	for _, list := range []func(n int) ([]onramp.Delivery, bool, error){
		func(n int) ([]onramp.Delivery, bool, error) { return s.listResends(ctx, destination, now, n) },
		func(n int) ([]onramp.Delivery, bool, error) {
			return s.pagePrepared(ctx, listDue, destination, micros(now), to, n)
		},
		func(n int) ([]onramp.Delivery, bool, error) {
			return s.pagePrepared(ctx, listStray, destination, micros(now.Add(onramp.LongestRetry)), to, n, micros(onramp.Never))
		},
	} {
		var found []onramp.Delivery
		if found, more, err = list(n - len(due)); err != nil {
			return nil, now, readerErr("list due deliveries", because(ctx, err))
		}
		if found, err = s.leaveUnreadable(ctx, found); err != nil {
			return nil, now, err
		}
		if due = append(due, found...); more || len(due) == n {
			return due, now, nil
		}
	}
	next, err = s.nextDue(ctx, destination, now)
	return due, next, err
}

const nextDue = `SELECT MIN(due_at) FROM (SELECT MIN(due_at) AS due_at FROM delivery WHERE destination_id = $1 AND due_at > $2 AND due_at IS NOT NULL
	UNION ALL SELECT MIN(until_at) FROM late_call WHERE destination_id = $1 AND until_at > $2
	UNION ALL SELECT MIN(due_at) FROM resend WHERE destination_id = $1 AND due_at > $2) AS next`

// soon is when to look again for deliveries whose due time a wrong clock has set.
const soon = time.Minute

// nextDue finds when the next parked delivery to a destination becomes due after a
// time.
func (s *Store) nextDue(ctx context.Context, destination int, after time.Time) (time.Time, error) {
	var due sql.NullInt64
	next, err := s.queries.Statement(ctx, nextDue)
	if err == nil {
		err = next.QueryRowContext(ctx, destination, micros(after)).Scan(&due)
	}
	if err != nil || !due.Valid || due.Int64 == micros(onramp.Never) {
		return time.Time{}, readerErr("find next due time", because(ctx, err))
	}
	if next := fromMicros(due.Int64); next.Sub(after) <= onramp.LongestRetry {
		return next, nil
	}
	return after.Add(soon), nil
}

// Park moves deliveries into the retry set: those that come after a parked one with
// the same destination and key, and those that wait for the step before them. What
// they wait for wakes them. Park returns the seqs of all that are in the retry set
// now, whoever has moved them: an earlier call may have, though its answer was
// lost. The others can be sent.
func (s *Store) Park(ctx context.Context, seqs []int64) (map[int64]bool, error) {
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	var parked map[int64]bool
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		parked = map[int64]bool{}
		for _, seq := range seqs {
			isParked, err := t.park(seq)
			if err != nil {
				return err
			}
			if isParked {
				parked[seq] = true
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return parked, nil
}

var park = numbered(`UPDATE delivery SET due_at = COALESCE(due_at, $1)
	WHERE seq = $2 AND (due_at IS NOT NULL OR state = {{waiting}} OR state = {{pending}} AND ` + behindParked + `)
	RETURNING destination_id, ordering_key, state`)

func (t *tx) park(seq int64) (parked bool, err error) {
	var destination int
	var key int64
	var state onramp.DeliveryState
	parked, err = t.find(park, []any{micros(onramp.Never), seq}, &destination, &key, &state)
	if parked && err == nil && state == onramp.DeliveryWaiting {
		err = t.waitBehind(destination, key, seq)
	}
	return parked, err
}

var errNoDelivery = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such delivery"}

// FindDelivery returns a delivery with its attempts and edits, or an error of
// kind NotFound.
func (s *Store) FindDelivery(ctx context.Context, id string) (onramp.Delivery, error) {
	where, arguments, ok := byDeliveryID(id)
	if !ok {
		return onramp.Delivery{}, errNoDelivery
	}
	found, err := s.listDeliveries(ctx, where, arguments...)
	if err != nil {
		return onramp.Delivery{}, readerErr("find delivery", err)
	}
	if len(found) == 0 {
		return onramp.Delivery{}, errNoDelivery
	}
	if err := s.nameWaitedFor(ctx, found); err != nil {
		return found[0], readerErr("find earlier delivery", err)
	}
	d := found[0]
	if d.Event == nil {
		if d.Later, err = s.listDeliveries(ctx, `WHERE d.seq > $1 AND d.seq <= $2 ORDER BY d.seq`, d.Seq, d.Seq+int64(d.Steps-d.Step)); err != nil {
			return d, readerErr("list later steps", err)
		}
	}
	if d.Attempts, err = s.listAttempts(ctx, d.Seq); err != nil {
		return d, readerErr("list attempts", err)
	}
	d.Edits, err = s.listEdits(ctx, d.RegistrationSeq)
	return d, readerErr("list edits", err)
}

// byDeliveryID is the condition for the one delivery with a public id.
func byDeliveryID(id string) (where string, arguments []any, ok bool) {
	of, number, run, ok := onramp.ParseDeliveryID(id)
	if !ok || !onramp.ValidID(of) {
		return "", nil, false
	}
	if event, ok := onramp.ParseEventID(of); ok {
		return `WHERE d.event_seq = (SELECT seq FROM event WHERE at = $1 AND hash = $2) AND d.destination_id = $3 AND COALESCE(d.run_id, 0) = $4`,
			[]any{event.At, event.Hash, number, run}, true
	}
	if run != 0 {
		return `WHERE d.steps IS NOT NULL AND d.registration_seq = (SELECT seq FROM registration WHERE id = $1) AND d.step = $2 AND d.run_id = $3`,
			[]any{of, number, run}, true
	}
	return `WHERE d.seq = (SELECT delivery_seq FROM registration WHERE id = $1) + $2 AND $2 < r.steps`, []any{of, number - 1}, true
}

// listAttempts reads the attempts of a delivery. The one that delivered it may be
// stored as a call that delivered others, too.
var listAttempts = numbered(`SELECT number, started_at, took, verdict, status, code, detail, hint, request, answer, not_sent
	FROM attempt WHERE delivery_seq = $1
	UNION ALL SELECT (SELECT COALESCE(MAX(number), 0) + 1 FROM attempt WHERE delivery_seq = $1 AND started_at <= c.started_at),
		c.started_at, c.took, {{verdict delivered}}, c.status, 0, c.detail, '', '', '', FALSE
		FROM delivery d JOIN call c ON c.seq = d.call_seq WHERE d.seq = $1
	ORDER BY 1`)

func (s *Store) listAttempts(ctx context.Context, delivery int64) ([]onramp.Attempt, error) {
	rows, err := s.readers.QueryContext(ctx, listAttempts, delivery)
	return collect(rows, err, func(rows *sql.Rows) (a onramp.Attempt, err error) {
		var started, took int64
		var detail, request, answer []byte
		err = rows.Scan(&a.Number, &started, &took, &a.Verdict, &a.Status, &a.Code, &detail, &a.Hint, &request, &answer, &a.NotSent)
		a.Detail = s.revealOrDrop(detail, placeOfAttempt(delivery, a.Number, "detail"))
		a.Request = s.revealOrDrop(request, placeOfAttempt(delivery, a.Number, "request"))
		a.Answer = s.revealOrDrop(answer, placeOfAttempt(delivery, a.Number, "answer"))
		a.StartedAt, a.Took = fromMicros(started), time.Duration(took)*time.Microsecond
		return a, err
	})
}
