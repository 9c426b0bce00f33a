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
// a delivered one can start, and the delivery that waited behind a parked one with
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
		if rest, followers, err = t.settleDelivered(settlements, woken); err != nil {
			return err
		}
		for _, settlement := range rest {
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

func (t *tx) settle(s *onramp.Settlement, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	changed, err := t.settleDelivery(s)
	if err != nil {
		return nil, err
	}
	d := s.Delivery
	if !changed {
		// it may have been settled by an earlier call whose answer was lost
		return t.listLaterSteps(d)
	}
	if s.Attempt != nil {
		if err := t.saveAttempt(d.Seq, s.Attempt); err != nil {
			return nil, err
		}
	}
	t.moveDelivery(d.DestinationID, onramp.DeliveryPending, s.State)
	followers, err := t.moveRoute(s, woken)
	if err != nil {
		return nil, err
	}
	switch parks := !s.DueAt.IsZero(); {
	case parks && !d.Parked():
		err = t.waitBehind(d.DestinationID, d.OrderingKey, d.Seq)
	case !parks && d.Parked():
		err = t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return followers, err
}

// settleDelivery writes a delivery's new state, unless it is no longer pending.
func (t *tx) settleDelivery(s *onramp.Settlement) (changed bool, err error) {
	d := s.Delivery
	settledAt := s.At
	var reason, cause sql.NullString
	if s.State == onramp.DeliveryPending {
		settledAt = d.SettledAt
	} else if s.State != onramp.DeliveryDelivered && s.Attempt != nil {
		reason = sql.NullString{String: storable(s.Attempt.Reason()), Valid: true}
		cause = sql.NullString{String: s.Attempt.Cause(), Valid: true}
	}
	for {
		// only under the epoch of our lease, so that a node that has lost its lease changes nothing
		n, err := t.update(`UPDATE delivery SET state = $1, tries = $2, settled_at = $3, reason = $4, cause = $5, due_at = CASE
				WHEN CAST($6 AS BIGINT) IS NULL THEN NULL WHEN `+behindParked+` THEN CAST($7 AS BIGINT) ELSE CAST($6 AS BIGINT) END
			WHERE seq = $8 AND state = $9 AND tries = $10 AND `+underLease("$11"),
			uint8(s.State), s.Tries, nullTime(settledAt), reason, cause, nullTime(s.DueAt), micros(onramp.Never),
			d.Seq, uint8(onramp.DeliveryPending), d.Tries, t.store.epoch)
		if err != nil || n > 0 {
			return n > 0, err
		}
		// an operator may have reset the tries, which the counts depend on
		var tries int
		found, err := t.find(`SELECT tries FROM delivery WHERE seq = $1 AND state = $2`, []any{d.Seq, uint8(onramp.DeliveryPending)}, &tries)
		if err != nil || !found || tries == d.Tries {
			return false, err
		}
		now := *d
		now.Tries = tries
		d, s.Delivery = &now, &now
	}
}

// underLease is true of a delivery whose partition is leased under the epoch in
// the given parameter.
func underLease(epoch string) string {
	return `EXISTS (SELECT 1 FROM lease WHERE lease.partition_id = delivery.partition_id AND epoch = ` + epoch + `)`
}

func (t *tx) saveAttempt(delivery int64, a *onramp.Attempt) error {
	// numbered here, since throttled and blocked attempts do not count as tries
	return t.exec(`INSERT INTO attempt (delivery_seq, number, started_at, took, verdict, status, code, detail, hint, request, answer)
		VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM attempt WHERE delivery_seq = $1), $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		delivery, micros(a.StartedAt), a.Took.Microseconds(), uint8(a.Verdict), a.Status, a.Code,
		storable(a.Detail), storable(a.Hint), storable(a.Request), storable(a.Answer))
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
	case onramp.DeliveryDelivered:
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
	return []onramp.Delivery{next}, nil
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
