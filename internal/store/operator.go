package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// RetryDelivery makes a dead, unknown or parked delivery due at once, whatever the
// reason for its state. Its tries are counted from 0 again. The error is of kind
// NotFound, or Conflict when there is nothing to retry.
//
// One that a newer delivery of its key has overtaken is left alone, with an error
// of kind Conflict, unless overwrite says that it may write over the newer one.
func (s *Store) RetryDelivery(ctx context.Context, id string, overwrite bool) error {
	where, arguments, ok := byDeliveryID(id)
	if !ok {
		return errNoDelivery
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT d.seq FROM delivery d LEFT JOIN registration r ON r.seq = d.registration_seq `+where, arguments...)
	seqs, err := collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		err = rows.Scan(&seq)
		return seq, err
	})
	if err != nil {
		return readerErr("find delivery", err)
	}
	if len(seqs) == 0 {
		return errNoDelivery
	}
	retries, end, err := s.beginRetries(ctx, seqs, overwrite)
	if err != nil {
		return err
	}
	defer end()
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		d, err := t.findDelivery(id)
		if err != nil {
			return err
		}
		if !failed(d.State) && !(d.State == onramp.DeliveryPending && d.Parked()) {
			return &onramp.Error{Kind: onramp.Conflict, Message: "only a delivery that is dead or unknown, or pending after a failed attempt, can be retried; this one is " + d.State.String()}
		}
		if failed(d.State) && retries.decide(t, d.Seq) != 0 {
			return &onramp.Error{Kind: onramp.Conflict, Message: superseded}
		}
		woken := map[int]wakeUp{}
		if err := t.retry(&d, woken); err != nil {
			return err
		}
		t.wakeAfter(woken)
		return nil
	}})
	return wrapUnlessKnown("retry delivery", err)
}

// failed says that nothing more happens to a delivery by itself, and that an
// operator can have it sent.
func failed(s onramp.DeliveryState) bool {
	return s == onramp.DeliveryDead || s == onramp.DeliveryUnknown
}

func (t *tx) retry(d *onramp.Delivery, woken map[int]wakeUp) error {
	err := t.exec(`UPDATE delivery SET state = $1, tries = 0, settled_at = NULL, reason = NULL, cause = NULL, due_at = CASE
			WHEN `+behindParked+` THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END WHERE seq = $4`,
		uint8(onramp.DeliveryPending), micros(onramp.Never), micros(t.now), d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryPending)
	t.moveRegistrationOf(d, standing(d), stateAt(d.Step, 0))
	woken[d.DestinationID] |= dueUp
	if !failed(d.State) {
		return nil // it was in the retry set already, and its later steps with it
	}
	if err := t.waitBehind(d.DestinationID, d.OrderingKey, d.Seq); err != nil {
		return err
	}
	_, err = t.moveLaterSteps(d, onramp.DeliveryOutOfReach, onramp.DeliveryWaiting, onramp.Never, woken)
	return err
}

// DiscardDelivery gives a delivery up for good. To repeat it with the same reason
// changes nothing: the first answer may have been lost. The error is of kind
// NotFound, or Conflict when the delivery is settled already or waits for the step
// before it.
func (s *Store) DiscardDelivery(ctx context.Context, id, reason string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		d, err := t.findDelivery(id)
		if err != nil {
			return err
		}
		if d.State == onramp.DeliveryDiscarded && d.Reason == storable(reason) {
			return nil
		}
		if !failed(d.State) && d.State != onramp.DeliveryPending {
			return &onramp.Error{Kind: onramp.Conflict, Message: "a delivery that is " + d.State.String() + " can't be discarded"}
		}
		woken := map[int]wakeUp{}
		if err := t.discard(&d, reason, woken); err != nil {
			return err
		}
		t.wakeAfter(woken)
		return nil
	}})
	return wrapUnlessKnown("discard delivery", err)
}

func (t *tx) discard(d *onramp.Delivery, reason string, woken map[int]wakeUp) error {
	err := t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = NULL WHERE seq = $4`,
		uint8(onramp.DeliveryDiscarded), micros(t.now), storable(reason), d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryDiscarded)
	t.moveRegistrationOf(d, standing(d), onramp.RegistrationFailed)
	if _, err := t.moveLaterSteps(d, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken); err != nil {
		return err
	}
	if d.Parked() {
		return t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return nil
}

// portion is how many deliveries of a bulk are changed by one transaction, so
// that nothing else waits long.
const portion = 200

// RetryDeliveries does for all dead deliveries of a cause or form, or all unknown
// ones, what RetryDelivery does for one, oldest first, and returns for how many.
// Each one that was dead when it began is taken once, whatever comes of it
// meanwhile. It stops when ctx ends; what was retried until then stays so. left is
// how many were left alone because newer ones have overtaken them.
func (s *Store) RetryDeliveries(ctx context.Context, f onramp.Filter, overwrite bool) (n, left int64, err error) {
	seqs, err := s.listFailed(ctx, f)
	for part := range slices.Chunk(seqs, lookedUpTogether) {
		if err != nil {
			break
		}
		var retried, kept int64
		retried, kept, err = s.retryPart(ctx, part, f, overwrite)
		n, left = n+retried, left+kept
	}
	return n, left, wrapUnlessKnown("retry deliveries", err)
}

// lookedUpTogether is for how many deliveries it is looked up together what has
// overtaken them.
const lookedUpTogether = 5000

func (s *Store) retryPart(ctx context.Context, seqs []int64, f onramp.Filter, overwrite bool) (n, left int64, err error) {
	retries, end, err := s.beginRetries(ctx, seqs, overwrite)
	if err != nil {
		return 0, 0, err
	}
	defer end()
	overtaken := map[int64]bool{}
	n, err = s.changePortions(ctx, f, seqs, func(t *tx, d *onramp.Delivery, woken map[int]wakeUp) error {
		if overtaken[d.Seq] = retries.decide(t, d.Seq) != 0; overtaken[d.Seq] {
			return errLeftAlone
		}
		return t.retry(d, woken)
	})
	for _, is := range overtaken {
		if is {
			left++
		}
	}
	return n, left, err
}

// errLeftAlone says that a delivery was not to be changed.
var errLeftAlone = errors.New("left alone")

// DiscardDeliveries does the same with DiscardDelivery.
func (s *Store) DiscardDeliveries(ctx context.Context, f onramp.Filter, reason string) (n int64, err error) {
	seqs, err := s.listFailed(ctx, f)
	if err == nil {
		n, err = s.changePortions(ctx, f, seqs, func(t *tx, d *onramp.Delivery, woken map[int]wakeUp) error {
			return t.discard(d, reason, woken)
		})
	}
	return n, wrapUnlessKnown("discard deliveries", err)
}

func (s *Store) changePortions(
	ctx context.Context, f onramp.Filter, seqs []int64, change func(*tx, *onramp.Delivery, map[int]wakeUp) error,
) (n int64, err error) {
	for seqs := range slices.Chunk(seqs, portion) {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var changed int64
		err := s.writer.write(ctx, &op{run: func(t *tx) error {
			changed = 0
			woken := map[int]wakeUp{}
			for _, seq := range seqs {
				d, still, err := t.findFailed(seq, f)
				if err == nil && still {
					err = change(t, &d, woken)
				}
				switch {
				case errors.Is(err, errLeftAlone):
				case err != nil:
					return err
				case still:
					changed++
				}
			}
			t.wakeAfter(woken)
			return nil
		}})
		if err != nil {
			return n, err
		}
		n += changed
	}
	return n, nil
}

// failedWhere is the condition for the dead and unknown deliveries that a filter
// lets through, in the words of the partial index that holds them.
func (s *Store) failedWhere(f onramp.Filter) (where string, arguments []any, err error) {
	where = `d.seq > 0 AND ` + inFailedIndex
	switch state, _ := onramp.ParseDeliveryState(f.State); {
	case f.State == "":
		where += numbered(` AND d.state IN ({{dead}}, {{unknown}})`)
	case failed(state):
		where += ` AND d.state = ` + number(state)
	default:
		return "", nil, &onramp.Error{Kind: onramp.Malformed, Message: "the state must be dead or unknown"}
	}
	if f.Cause != "" {
		arguments = append(arguments, storable(f.Cause))
		where += fmt.Sprintf(` AND d.cause = $%d`, len(arguments))
	}
	if f.Form != "" {
		arguments = append(arguments, formArgument(f.Form, &s.names))
		// one look for each: a join might read all registrations
		where += fmt.Sprintf(` AND (SELECT r.form_id FROM registration r WHERE r.seq = d.registration_seq) = $%d`, len(arguments))
	}
	return where, arguments, nil
}

// listFailed lists the seqs of dead or unknown deliveries, oldest first.
func (s *Store) listFailed(ctx context.Context, f onramp.Filter) ([]int64, error) {
	f.State = cmp.Or(f.State, onramp.DeliveryDead.String())
	where, arguments, err := s.failedWhere(f)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, listFailed+where+` ORDER BY d.seq`, arguments...)
	seqs, err := collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		err = rows.Scan(&seq)
		return seq, err
	})
	return seqs, readerErr("list failed deliveries", err)
}

const listFailed = `SELECT d.seq FROM delivery d WHERE `

const (
	listCauses = `SELECT g.destination_id, g.cause, g.state, g.n, newest.reason, first.id, oldest.step, firstof.at, firstof.hash,
			last.id, newest.step, lastof.at, lastof.hash
		FROM (SELECT d.destination_id, COALESCE(d.cause, '') AS cause, d.state, COUNT(*) AS n, MIN(d.seq) AS oldest, MAX(d.seq) AS newest
			FROM delivery d WHERE `
	ofCauses = ` GROUP BY d.destination_id, d.state, COALESCE(d.cause, '') ORDER BY n DESC, newest DESC LIMIT 500) g
		JOIN delivery oldest ON oldest.seq = g.oldest LEFT JOIN registration first ON first.seq = oldest.registration_seq
		LEFT JOIN event firstof ON firstof.seq = oldest.event_seq
		JOIN delivery newest ON newest.seq = g.newest LEFT JOIN registration last ON last.seq = newest.registration_seq
		LEFT JOIN event lastof ON lastof.seq = newest.event_seq
		ORDER BY g.n DESC, g.newest DESC`
)

// ListCauses groups the dead and unknown deliveries by destination, state and
// cause, the most numerous group first, at most 500 of them. Those that failed
// before there were causes have the cause "".
func (s *Store) ListCauses(ctx context.Context, f onramp.Filter) ([]onramp.CauseGroup, error) {
	where, arguments, err := s.failedWhere(f)
	if err != nil {
		return nil, err
	}
	groups, err := s.queryCauses(ctx, listCauses+where+ofCauses, arguments)
	return groups, readerErr("list causes", err)
}

func (s *Store) queryCauses(ctx context.Context, query string, arguments []any) ([]onramp.CauseGroup, error) {
	rows, err := s.readers.QueryContext(ctx, query, arguments...)
	return collect(rows, err, func(rows *sql.Rows) (g onramp.CauseGroup, err error) {
		var destination int
		var oldest, newest deliveryName
		var reason sql.NullString
		err = rows.Scan(&destination, &g.Cause, &g.State, &g.Count, &reason, &oldest.registration, &oldest.step, &oldest.at, &oldest.hash,
			&newest.registration, &newest.step, &newest.at, &newest.hash)
		g.Destination, g.Reason = s.names.destinationName(destination), reason.String
		g.Oldest, g.Newest = oldest.id(destination), newest.id(destination)
		return g, err
	})
}

// deliveryName is what the public name of a delivery is made of.
type deliveryName struct {
	registration sql.NullString
	step         int
	at, hash     sql.NullInt64 // of its event
}

func (n *deliveryName) id(destination int) string {
	if n.at.Valid {
		return onramp.DeliveryID(onramp.NewEventID(onramp.EventIdentity{At: n.at.Int64, Hash: n.hash.Int64}), destination)
	}
	return onramp.DeliveryID(n.registration.String, n.step)
}

// EditDelivery gives the registration of a dead or unknown delivery the values and
// the subscriber key of r, and keeps in edit what it held: the values, key and
// names that the operator has seen and changed. It sends nothing.
//
// With another key this delivery and the later steps of its route keep their
// order among those of that key; what is delivered already is left alone. The
// error is of kind NotFound, or Conflict when the delivery is neither dead nor
// unknown or the registration was changed since it was read.
func (s *Store) EditDelivery(ctx context.Context, id string, edit onramp.Edit, r onramp.Registration) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.edit(id, &edit, &r) }})
	return wrapUnlessKnown("edit delivery", err)
}

func (t *tx) edit(id string, edit *onramp.Edit, r *onramp.Registration) error {
	d, err := t.findDelivery(id)
	if err != nil {
		return err
	}
	if !failed(d.State) {
		return &onramp.Error{Kind: onramp.Conflict, Message: "only a delivery that is dead or unknown can be edited; this one is " + d.State.String()}
	}
	if d.Event != nil {
		return &onramp.Error{Kind: onramp.Conflict, Message: "what an event brought can't be edited; retry the delivery, or discard it"}
	}
	var key, values string
	found, err := t.find(`SELECT subscriber_key, data FROM registration WHERE seq = $1`, []any{d.RegistrationSeq}, &key, &values)
	if err != nil {
		return err
	}
	if key == r.SubscriberKey && values == string(r.Values) {
		return nil // also when an earlier call, whose answer was lost, has changed it
	}
	if !found || key != edit.SubscriberKey || values != string(edit.Values) {
		return &onramp.Error{Kind: onramp.Conflict, Message: "the registration has changed since it was read: read it again"}
	}
	fields, err := json.Marshal(edit.Fields)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO edit (registration_seq, number, edited_at, fields, subscriber_key, data)
		VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM edit WHERE registration_seq = $1), $2, $3, $4, $5)`,
		d.RegistrationSeq, micros(t.now), string(fields), key, values)
	if err != nil {
		return err
	}
	err = t.exec(`UPDATE registration SET subscriber_key = $1, data = $2 WHERE seq = $3`, r.SubscriberKey, string(r.Values), d.RegistrationSeq)
	if err != nil || key == r.SubscriberKey {
		return err
	}
	// neither it nor a later step is in the retry set, nor in the pump's memory:
	// nobody waits for it under the old key, and under the new one a retry finds its place
	order := onramp.OrderingKey(r.SubscriberKey)
	if err := t.exec(`INSERT INTO person (hash, registration_seq) VALUES ($1, $2) ON CONFLICT DO NOTHING`, order, d.RegistrationSeq); err != nil {
		return err
	}
	return t.exec(`UPDATE delivery SET ordering_key = $1, partition_id = $2 WHERE seq >= $3 AND seq <= $4`,
		order, uint64(order)%partitions, d.Seq, d.Seq+int64(d.Steps-d.Step))
}

// listEdits reads what a registration held before its edits, oldest first.
func (s *Store) listEdits(ctx context.Context, registration int64) ([]onramp.Edit, error) {
	rows, err := s.readers.QueryContext(ctx, listEdits, registration)
	return collect(rows, err, func(rows *sql.Rows) (e onramp.Edit, err error) {
		var at int64
		var fields []byte
		if err := rows.Scan(&at, &fields, &e.SubscriberKey, (*[]byte)(&e.Values)); err != nil {
			return e, err
		}
		e.At = fromMicros(at)
		return e, json.Unmarshal(fields, &e.Fields)
	})
}

const listEdits = `SELECT edited_at, fields, subscriber_key, data FROM edit WHERE registration_seq = $1 ORDER BY number`

// change is what a change by an operator's hand needs to know of a delivery, as
// it is now.
const change = `SELECT COALESCE(r.id, ''), d.registration_seq, d.step, d.seq, COALESCE(r.steps, 1), d.destination_id, d.state, d.tries,
	d.ordering_key, d.due_at, COALESCE(d.reason, ''), d.event_seq FROM delivery d LEFT JOIN registration r ON r.seq = d.registration_seq `

func (t *tx) findDelivery(id string) (onramp.Delivery, error) {
	where, arguments, ok := byDeliveryID(id)
	if !ok {
		return onramp.Delivery{}, errNoDelivery
	}
	d, found, err := t.findChange(where, arguments...)
	if err == nil && !found {
		err = errNoDelivery
	}
	return d, err
}

// findFailed finds a delivery, if it is still one that a filter has let through.
func (t *tx) findFailed(seq int64, f onramp.Filter) (d onramp.Delivery, still bool, err error) {
	state, _ := onramp.ParseDeliveryState(cmp.Or(f.State, onramp.DeliveryDead.String()))
	return t.findChange(`WHERE d.seq = $1 AND d.state = $2 AND ($3 = '' OR d.cause = $3)`, seq, uint8(state), storable(f.Cause))
}

func (t *tx) findChange(where string, arguments ...any) (d onramp.Delivery, found bool, err error) {
	var due, event sql.NullInt64
	found, err = t.find(change+where, arguments,
		&d.RegistrationID, &d.RegistrationSeq, &d.Step, &d.Seq, &d.Steps, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey, &due, &d.Reason, &event)
	if d.DueAt = fromNull(due); event.Valid {
		d.Event, d.Step, d.Steps = &onramp.Event{Seq: event.Int64}, 1, 1
	}
	return d, found, err
}

// standing is the state of a registration whose current step is d.
func standing(d *onramp.Delivery) onramp.RegistrationState {
	switch d.State {
	case onramp.DeliveryDead:
		return onramp.RegistrationFailed
	case onramp.DeliveryUnknown:
		return onramp.RegistrationUnknown
	}
	return stateAt(d.Step, d.Tries)
}

func wrapUnlessKnown(step string, err error) error {
	if _, known := errors.AsType[*onramp.Error](err); known || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", step, err)
}
