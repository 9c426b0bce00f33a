package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"onramp/internal/onramp"
)

const deliveryColumns = `d.seq, d.registration_seq, d.step, d.destination_id, d.state, d.tries, d.ordering_key,
	d.due_at, d.settled_at, d.reason, r.id, r.form_id, r.subscriber_key, r.received_at, r.steps, r.data`

// selectDeliveries reads deliveries with what they need of their registrations.
const selectDeliveries = `SELECT ` + deliveryColumns + `, FALSE FROM delivery d JOIN registration r ON r.seq = d.registration_seq `

func (s *Store) listDeliveries(ctx context.Context, where string, args ...any) ([]onramp.Delivery, error) {
	return s.queryDeliveries(ctx, selectDeliveries+where, args...)
}

func (s *Store) queryDeliveries(ctx context.Context, query string, args ...any) ([]onramp.Delivery, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var deliveries []onramp.Delivery
	for rows.Next() {
		var d onramp.Delivery
		var due, settled sql.NullInt64
		var reason sql.NullString
		var form int
		var receivedAt int64
		err := rows.Scan(&d.Seq, &d.RegistrationSeq, &d.Step, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey,
			&due, &settled, &reason, &d.RegistrationID, &form, &d.SubscriberKey, &receivedAt, &d.Steps, (*[]byte)(&d.Values), &d.Behind)
		if err != nil {
			return nil, err
		}
		d.Form, d.Destination = s.names.formName(form), s.names.destinationName(d.DestinationID)
		d.ReceivedAt, d.DueAt, d.SettledAt, d.Reason = fromMicros(receivedAt), fromNull(due), fromNull(settled), reason.String
		deliveries = append(deliveries, d)
	}
	return deliveries, rows.Err()
}

// ReadTo returns the seq up to which every delivery of a destination is settled
// or parked: reading starts after it.
func (s *Store) ReadTo(ctx context.Context, destination int) (int64, error) {
	var seq int64
	err := s.readers.QueryRowContext(ctx, `SELECT read_to FROM destination WHERE id = $1`, destination).Scan(&seq)
	return seq, readerErr("find read mark", err)
}

// SaveReadTo moves that mark, so that a start has less to look through.
func (s *Store) SaveReadTo(ctx context.Context, destination int, seq int64) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`UPDATE destination SET read_to = $1 WHERE id = $2`, seq, destination)
	}})
}

// listFresh reads the rows in the order in which they were appended.
const listFresh = `SELECT ` + deliveryColumns + `, EXISTS (SELECT 1 FROM delivery p WHERE p.destination_id = d.destination_id
	AND p.ordering_key = d.ordering_key AND p.due_at IS NOT NULL AND p.seq < d.seq)
	FROM delivery d JOIN registration r ON r.seq = d.registration_seq
	WHERE d.seq > $1 AND d.destination_id = $2 AND d.state IN (1, 2) AND d.due_at IS NULL ORDER BY d.seq LIMIT $3`

// ListFresh returns at most n deliveries to a destination after a seq, oldest
// first: those to be sent and those that wait for the step before them. to is
// where the next reading goes on.
func (s *Store) ListFresh(ctx context.Context, destination int, after int64, n int) (deliveries []onramp.Delivery, to int64, err error) {
	newest := s.newest() // before the reading: what is committed later is read later
	if newest <= after {
		return nil, after, nil
	}
	deliveries, err = s.queryDeliveries(ctx, listFresh, after, destination, n)
	if err != nil {
		return nil, after, readerErr("list fresh deliveries", err)
	}
	if len(deliveries) == n {
		return deliveries, deliveries[n-1].Seq, nil
	}
	if len(deliveries) > 0 {
		newest = max(newest, deliveries[len(deliveries)-1].Seq)
	}
	return deliveries, newest, nil
}

const listDue = `WHERE d.destination_id = $1 AND d.due_at <= $2 AND d.state = 2 AND d.seq <= $3 ORDER BY d.due_at, d.seq LIMIT $4`

// ListDue returns at most n parked deliveries to a destination that are due,
// the longest overdue first. None is after the seq to, up to which fresh ones
// were read: one of those may be an elder of its key.
func (s *Store) ListDue(ctx context.Context, destination int, to int64, now time.Time, n int) ([]onramp.Delivery, error) {
	deliveries, err := s.listDeliveries(ctx, listDue, destination, micros(now), to, n)
	return deliveries, readerErr("list due deliveries", err)
}

const nextDue = `SELECT MIN(due_at) FROM delivery WHERE destination_id = $1 AND due_at > $2 AND due_at IS NOT NULL`

// NextDue returns when the next parked delivery to a destination becomes due
// after a time; zero when none does by itself.
func (s *Store) NextDue(ctx context.Context, destination int, after time.Time) (time.Time, error) {
	var due sql.NullInt64
	err := s.readers.QueryRowContext(ctx, nextDue, destination, micros(after)).Scan(&due)
	if err != nil || !due.Valid || due.Int64 == micros(onramp.Never) {
		return time.Time{}, readerErr("find next due time", err)
	}
	return fromMicros(due.Int64), nil
}

// Park moves those deliveries into the retry set that have an elder with the
// same destination and key in it, which wakes them, and those that wait for the
// step before them, which wakes them, too. It returns their seqs; the others are
// free to be sent.
func (s *Store) Park(ctx context.Context, seqs []int64) (map[int64]bool, error) {
	var parked map[int64]bool
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		parked = map[int64]bool{}
		for _, seq := range seqs {
			moved, err := t.park(seq)
			if err != nil {
				return err
			}
			if moved {
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

func (t *tx) park(seq int64) (moved bool, err error) {
	var destination int
	var key int64
	var state onramp.DeliveryState
	moved, err = t.find(`UPDATE delivery SET due_at = $1
		WHERE seq = $2 AND due_at IS NULL AND (state = 1 OR state = 2 AND `+parkedElder+`) RETURNING destination_id, ordering_key, state`,
		[]any{micros(onramp.Never), seq}, &destination, &key, &state)
	if moved && err == nil && state == onramp.DeliveryWaiting {
		err = t.holdYounger(destination, key, seq)
	}
	return moved, err
}

var errNoDelivery = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such delivery"}

// FindDelivery returns a delivery with its attempts, or an error of kind
// NotFound.
func (s *Store) FindDelivery(ctx context.Context, id string) (onramp.Delivery, error) {
	registration, step, ok := onramp.ParseDeliveryID(id)
	if !ok {
		return onramp.Delivery{}, errNoDelivery
	}
	found, err := s.listDeliveries(ctx, `WHERE r.id = $1 AND d.seq = r.delivery_seq + $2 AND $2 < r.steps`, registration, step-1)
	if err != nil {
		return onramp.Delivery{}, readerErr("find delivery", err)
	}
	if len(found) == 0 {
		return onramp.Delivery{}, errNoDelivery
	}
	d := found[0]
	d.Attempts, err = s.listAttempts(ctx, d.Seq)
	return d, readerErr("list attempts", err)
}

func (s *Store) listAttempts(ctx context.Context, delivery int64) ([]onramp.Attempt, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT number, started_at, took, verdict, status, code, detail, mend, request, answer
		FROM attempt WHERE delivery_seq = $1 ORDER BY number`, delivery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var attempts []onramp.Attempt
	for rows.Next() {
		var a onramp.Attempt
		var started, took int64
		err := rows.Scan(&a.Number, &started, &took, &a.Verdict, &a.Status, &a.Code, &a.Detail, &a.Mend, &a.Request, &a.Answer)
		if err != nil {
			return nil, err
		}
		a.StartedAt, a.Took = fromMicros(started), time.Duration(took)*time.Microsecond
		attempts = append(attempts, a)
	}
	return attempts, rows.Err()
}

// RetryDelivery makes a dead, held or parked delivery due at once, whatever the
// reason for its state. Its tries start anew. The error is of kind NotFound, or
// Conflict when there is nothing to retry.
func (s *Store) RetryDelivery(ctx context.Context, id string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.retry(id) }})
	return wrapUnlessKnown("retry delivery", err)
}

func (t *tx) retry(id string) error {
	d, err := t.findDelivery(id)
	if err != nil {
		return err
	}
	dead := d.State == onramp.DeliveryDead || d.State == onramp.DeliveryHeld
	if !dead && !(d.State == onramp.DeliveryPending && d.Parked()) {
		return &onramp.Error{Kind: onramp.Conflict, Message: "only a delivery that is dead, held or waiting for its retry can be retried; this one is " + d.State.String()}
	}
	err = t.exec(`UPDATE delivery SET state = $1, tries = 0, settled_at = NULL, reason = NULL, due_at = CASE
			WHEN `+parkedElder+` THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END WHERE seq = $4`,
		uint8(onramp.DeliveryPending), micros(onramp.Never), micros(t.now), d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryPending)
	t.moveRegistration(standing(&d), stateAt(d.Step, 0))
	woken := map[int]wakeUp{d.DestinationID: dueUp}
	if dead {
		if err := t.holdYounger(d.DestinationID, d.OrderingKey, d.Seq); err != nil {
			return err
		}
		if _, err := t.moveLaterSteps(&d, onramp.DeliveryOutOfReach, onramp.DeliveryWaiting, onramp.Never, woken); err != nil {
			return err
		}
	}
	t.wakeAfter(woken)
	return nil
}

// DiscardDelivery gives a delivery up for good. The error is of kind NotFound,
// or Conflict when it is settled already or waits for the step before it.
func (s *Store) DiscardDelivery(ctx context.Context, id, reason string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.discard(id, reason) }})
	return wrapUnlessKnown("discard delivery", err)
}

func (t *tx) discard(id, reason string) error {
	d, err := t.findDelivery(id)
	if err != nil {
		return err
	}
	switch d.State {
	case onramp.DeliveryDead, onramp.DeliveryHeld, onramp.DeliveryPending:
	default:
		return &onramp.Error{Kind: onramp.Conflict, Message: "a delivery that is " + d.State.String() + " can't be discarded"}
	}
	err = t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3 WHERE seq = $4`,
		uint8(onramp.DeliveryDiscarded), micros(t.now), storable(reason), d.Seq)
	if err != nil {
		return err
	}
	woken := map[int]wakeUp{}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryDiscarded)
	t.moveRegistration(standing(&d), onramp.RegistrationFailed)
	t.store.watchers.settled(t, d.RegistrationID, onramp.RegistrationFailed)
	if _, err := t.moveLaterSteps(&d, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken); err != nil {
		return err
	}
	if d.Parked() {
		if err := t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken); err != nil {
			return err
		}
	}
	t.wakeAfter(woken)
	return nil
}

// findDelivery reads what a change by an operator's hand needs, as it is now.
func (t *tx) findDelivery(id string) (onramp.Delivery, error) {
	registration, step, ok := onramp.ParseDeliveryID(id)
	if !ok {
		return onramp.Delivery{}, errNoDelivery
	}
	d := onramp.Delivery{RegistrationID: registration, Step: step}
	var due sql.NullInt64
	found, err := t.find(`SELECT d.seq, r.steps, d.destination_id, d.state, d.tries, d.ordering_key, d.due_at
		FROM delivery d JOIN registration r ON r.seq = d.registration_seq
		WHERE r.id = $1 AND d.seq = r.delivery_seq + $2 AND $2 < r.steps`,
		[]any{registration, step - 1}, &d.Seq, &d.Steps, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey, &due)
	if err == nil && !found {
		err = errNoDelivery
	}
	d.DueAt = fromNull(due)
	return d, err
}

// standing is the state of a registration whose current step is d.
func standing(d *onramp.Delivery) onramp.RegistrationState {
	switch d.State {
	case onramp.DeliveryDead:
		return onramp.RegistrationFailed
	case onramp.DeliveryHeld:
		return onramp.RegistrationHeld
	}
	return stateAt(d.Step, d.Tries)
}

func wrapUnlessKnown(step string, err error) error {
	if _, known := errors.AsType[*onramp.Error](err); known || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", step, err)
}
