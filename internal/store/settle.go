package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"onramp/internal/onramp"
)

// Settle records the outcomes of attempts and moves the routes on: the step after
// a delivered or skipped one can start, and the delivery that waited behind a parked one with
// the same destination and key takes its turn.
//
// A delivery that is no longer pending (because it was discarded, or taken over by
// another node) is left alone. Settle returns the deliveries that are affected
// because the step before them was settled, for callers that keep them in memory.
func (s *Store) Settle(ctx context.Context, settlements []onramp.Settlement) ([]onramp.Delivery, error) {
	var followers []onramp.Delivery
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		woken := map[int]wakeUp{}
		var rest []onramp.Settlement
		var err error
		if rest, followers, err = t.settleTogether(settlements, woken); err != nil {
			return err
		}
		for _, settlement := range rest {
			if err := t.noteLateCall(&settlement, woken); err != nil {
				return err
			}
			if settlement.Delivery.Resend {
				if err := t.settleResend(&settlement, woken); err != nil {
					return err
				}
				continue
			}
			next, err := t.settle(&settlement, woken)
			if err != nil {
				return err
			}
			followers = append(followers, next...)
		}
		t.wakeAfter(woken)
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	return followers, nil
}

// settle decides by what stands on disk, and not by the delivery as the pump has
// read it: an operator can have changed it since, and an earlier call whose answer
// was lost can have settled it.
func (t *tx) settle(s *onramp.Settlement, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	d, attempts, open, err := t.findUnsettled(s)
	if err != nil {
		return nil, err
	}
	if open {
		if s.State == onramp.DeliveryPending && s.DueAt.Equal(s.Delivery.DueAt) {
			s.DueAt = d.DueAt // it uses up no try, and stays as it is
		}
		s.Delivery = &d
		open, err = t.settleDelivery(s)
	}
	if err != nil {
		return nil, err
	}
	if !open {
		return t.listLaterSteps(s.Delivery)
	}
	if s.Attempt != nil {
		if err := t.saveAttempt(&d, attempts+1, s.Attempt); err != nil {
			return nil, err
		}
	}
	t.moveDelivery(d.DestinationID, onramp.DeliveryPending, s.State)
	followers, err := t.outOrder(s, woken)
	if err != nil {
		return nil, err
	}
	later, err := t.moveRoute(s, woken)
	if err != nil {
		return nil, err
	}
	followers = append(followers, later...)
	switch parks := !s.DueAt.IsZero(); {
	case parks && !d.Parked():
		err = t.waitBehind(d.DestinationID, d.OrderingKey, d.Seq)
	case !parks && d.Parked():
		err = t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return followers, err
}

const unsettled = `SELECT d.state, d.tries, d.due_at, d.ordering_key, COALESCE(a.number, 0), COALESCE(a.started_at, 0)
	FROM delivery d LEFT JOIN attempt a ON a.delivery_seq = d.seq WHERE d.seq = $1 ORDER BY a.number DESC LIMIT 1`

// findUnsettled returns a settlement's delivery as it is now, and how many attempts
// are kept of it. It is not open when it is no longer pending, or when this very
// attempt is the last of those.
func (t *tx) findUnsettled(s *onramp.Settlement) (d onramp.Delivery, attempts int, open bool, err error) {
	d = *s.Delivery
	var due sql.NullInt64
	var started int64
	found, err := t.find(unsettled, []any{d.Seq}, &d.State, &d.Tries, &due, &d.OrderingKey, &attempts, &started)
	d.DueAt = fromNull(due)
	known := attempts > 0 && s.Attempt != nil && started == micros(s.Attempt.StartedAt)
	return d, attempts, found && d.State == onramp.DeliveryPending && !known, err
}

// settleDelivery writes a delivery's new state, but only under the epoch of our
// lease: a node that has lost its lease changes nothing.
func (t *tx) settleDelivery(s *onramp.Settlement) (changed bool, err error) {
	settledAt := s.At
	var reason any
	var cause sql.NullString
	switch {
	case s.State == onramp.DeliveryPending:
		settledAt = s.Delivery.SettledAt
	case s.State == onramp.DeliverySkipped:
		reason = storable(s.Reason)
	case s.State != onramp.DeliveryDelivered && s.Attempt != nil:
		if reason, err = t.protectReason(s.Delivery, s.Attempt.Reason()); err != nil {
			return false, err
		}
		cause = sql.NullString{String: s.Attempt.Cause(), Valid: true}
	}
	n, err := t.update(`UPDATE delivery SET state = $1, tries = $2, settled_at = $3, reason = $4, cause = $5, due_at = CASE
			WHEN CAST($6 AS BIGINT) IS NULL THEN NULL WHEN `+behindParked+` THEN CAST($7 AS BIGINT) ELSE CAST($6 AS BIGINT) END
		WHERE seq = $8 AND `+underLease("$9"),
		uint8(s.State), s.Tries, nullTime(settledAt), reason, cause, nullTime(s.DueAt), micros(onramp.Never), s.Delivery.Seq, t.store.epoch)
	return n > 0, err
}

// underLease is true of a delivery whose partition is leased under the epoch in
// the given parameter.
func underLease(epoch string) string {
	return `EXISTS (SELECT 1 FROM lease WHERE lease.partition_id = delivery.partition_id AND epoch = ` + epoch + `)`
}

// protectReason is what is stored of a reason that may quote what someone typed.
func (t *tx) protectReason(d *onramp.Delivery, reason string) (any, error) {
	return t.store.protectOrDrop(t.store.leafOfDelivery(d), storable(reason), placeOfDelivery(d.Seq, "reason"))
}

func (t *tx) saveAttempt(d *onramp.Delivery, number int, a *onramp.Attempt) error {
	leaf := t.store.leafOfDelivery(d)
	protect := func(text, column string) (any, error) {
		return t.store.protectOrDrop(leaf, storable(text), placeOfAttempt(d.Seq, number, column))
	}
	detail, err := protect(a.Detail, "detail")
	if err != nil {
		return err
	}
	request, err := protect(a.Request, "request")
	if err != nil {
		return err
	}
	answer, err := protect(a.Answer, "answer")
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO attempt (delivery_seq, number, started_at, took, verdict, status, code, detail, hint, request, answer, not_sent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		d.Seq, number, micros(a.StartedAt), a.Took.Microseconds(), uint8(a.Verdict), a.Status, a.Code,
		detail, storable(a.Hint), request, answer, a.NotSent)
}

// storable replaces what PostgreSQL refuses in a text: an answer can hold anything.
func storable(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s // nearly always; measured: checking first is much faster
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// moveRoute brings the later steps and the count of the registration up to date.
func (t *tx) moveRoute(s *onramp.Settlement, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	d := s.Delivery
	before := stateAt(d.Step, d.Tries)
	last := d.Step == d.Steps
	switch s.State {
	case onramp.DeliveryDelivered, onramp.DeliverySkipped:
		if last {
			t.moveRegistrationOf(d, before, onramp.RegistrationDelivered)
			return nil, nil
		}
		t.moveRegistrationOf(d, before, onramp.RegistrationDelivering)
		return t.startNextStep(d, woken)
	case onramp.DeliveryPending:
		t.moveRegistrationOf(d, before, stateAt(d.Step, s.Tries))
		if !s.DueAt.IsZero() && !d.Parked() {
			return t.moveLaterSteps(d, onramp.DeliveryWaiting, onramp.DeliveryWaiting, onramp.Never, woken)
		}
		return nil, nil
	case onramp.DeliveryUnknown:
		t.moveRegistrationOf(d, before, onramp.RegistrationUnknown)
	default:
		t.moveRegistrationOf(d, before, onramp.RegistrationFailed)
	}
	return t.moveLaterSteps(d, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken)
}

// startNextStep makes the next step of the route pending. If the step before it
// was parked the cursor has long passed both, so the next step is parked, too: due
// at once, or behind an earlier delivery with its key.
func (t *tx) startNextStep(d *onramp.Delivery, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	next := onramp.Delivery{Seq: d.Seq + 1, RegistrationSeq: d.RegistrationSeq, State: onramp.DeliveryPending}
	var due sql.NullInt64
	found, err := t.find(`UPDATE delivery SET state = $1, due_at = CASE
			WHEN due_at IS NULL THEN NULL
			WHEN `+behindParked+` THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END
		WHERE seq = $4 AND state = $5 RETURNING destination_id, ordering_key, due_at`,
		[]any{uint8(onramp.DeliveryPending), micros(onramp.Never), micros(t.now), next.Seq, uint8(onramp.DeliveryWaiting)},
		&next.DestinationID, &next.OrderingKey, &due)
	if err != nil || !found {
		return nil, err
	}
	next.DueAt = fromNull(due)
	t.moveDelivery(next.DestinationID, onramp.DeliveryWaiting, onramp.DeliveryPending)
	if held, later, err := t.holdStarted(next.Seq, woken); err != nil || held {
		next.State, next.DueAt = onramp.DeliveryUnknown, time.Time{}
		return append(later, next), err
	}
	if next.Parked() {
		woken[next.DestinationID] |= dueUp
	}
	given, err := t.beginStep(&next, woken)
	return append(given, next), err
}

// behindParked is true of a delivery if an earlier one with the same destination
// and key is in the retry set.
const behindParked = `EXISTS (SELECT 1 FROM delivery p WHERE p.destination_id = delivery.destination_id
	AND p.ordering_key = delivery.ordering_key AND p.due_at IS NOT NULL AND p.seq < delivery.seq)`

// moveLaterSteps gives the steps after d another state and due time. Where one
// leaves the retry set, the next delivery of its key takes its turn.
func (t *tx) moveLaterSteps(d *onramp.Delivery, from, to onramp.DeliveryState, due time.Time, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	var moved []onramp.Delivery
	for seq := d.Seq + 1; seq <= d.Seq+int64(d.Steps-d.Step); seq++ {
		next := onramp.Delivery{Seq: seq, State: to}
		var before sql.NullInt64
		found, err := t.find(`SELECT destination_id, ordering_key, due_at FROM delivery WHERE seq = $1 AND state = $2`,
			[]any{seq, uint8(from)}, &next.DestinationID, &next.OrderingKey, &before)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if err := t.exec(`UPDATE delivery SET state = $1, due_at = $2 WHERE seq = $3`, uint8(to), nullTime(due), seq); err != nil {
			return nil, err
		}
		next.DueAt = due
		t.moveDelivery(next.DestinationID, from, to)
		switch parks := !due.IsZero(); {
		case parks && !before.Valid:
			err = t.waitBehind(next.DestinationID, next.OrderingKey, seq)
		case !parks && before.Valid:
			err = t.wakeNextOfKey(next.DestinationID, next.OrderingKey, woken)
		}
		if err != nil {
			return nil, err
		}
		moved = append(moved, next)
	}
	return moved, nil
}

// wakeNextOfKey makes the earliest parked delivery of a key due, if it was only
// waiting for the one that has left the retry set.
func (t *tx) wakeNextOfKey(destination int, key int64, woken map[int]wakeUp) error {
	n, err := t.update(`UPDATE delivery SET due_at = $1
		WHERE seq = (SELECT MIN(seq) FROM delivery WHERE destination_id = $2 AND ordering_key = $3 AND due_at IS NOT NULL)
		AND due_at = $4 AND state = $5`,
		micros(t.now), destination, key, micros(onramp.Never), uint8(onramp.DeliveryPending))
	if n > 0 {
		woken[destination] |= dueUp
	}
	return err
}

// waitBehind makes the parked deliveries of a key wait for an earlier one that has
// just been parked: only the earliest of a key has a due time of its own.
func (t *tx) waitBehind(destination int, key, seq int64) error {
	return t.exec(`UPDATE delivery SET due_at = $1
		WHERE destination_id = $2 AND ordering_key = $3 AND due_at IS NOT NULL AND due_at <> $1 AND seq > $4`,
		micros(onramp.Never), destination, key, seq)
}

// listLaterSteps returns the steps after d, except those that are still as they
// were stored at first.
func (t *tx) listLaterSteps(d *onramp.Delivery) ([]onramp.Delivery, error) {
	var later []onramp.Delivery
	for seq := d.Seq + 1; seq <= d.Seq+int64(d.Steps-d.Step); seq++ {
		next := onramp.Delivery{Seq: seq}
		var due sql.NullInt64
		found, err := t.find(`SELECT state, destination_id, ordering_key, due_at FROM delivery WHERE seq = $1 AND (state <> $2 OR due_at IS NOT NULL)`,
			[]any{seq, uint8(onramp.DeliveryWaiting)}, &next.State, &next.DestinationID, &next.OrderingKey, &due)
		if err != nil {
			return nil, err
		}
		if found {
			next.DueAt = fromNull(due)
			later = append(later, next)
		}
	}
	return later, nil
}
