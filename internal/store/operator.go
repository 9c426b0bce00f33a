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
	"onramp/internal/store/personal"
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
	seqs, err := collect(rows, err, scanSeq)
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
		if d.State == onramp.DeliverySkipped {
			return &onramp.Error{Kind: onramp.Conflict, Message: "this step was skipped, since " + d.Reason +
				": send the registration again, and the step is sent if its condition holds then"}
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
	if err := t.makeDue(d, woken); err != nil {
		return err
	}
	t.moveRegistrationOf(d, standing(d), stateAt(d.Step, 0))
	if !failed(d.State) {
		return nil // it was in the retry set already, and its later steps with it
	}
	return t.takeLaterAlong(d, onramp.DeliveryOutOfReach, woken)
}

// makeDue puts a delivery into the retry set: it is due at once, or after those of its key
// that are there already.
func (t *tx) makeDue(d *onramp.Delivery, woken map[int]wakeUp) error {
	err := t.exec(`UPDATE delivery SET state = $1, tries = 0, settled_at = NULL, reason = NULL, cause = NULL, due_at = CASE
			WHEN `+behindParked+` THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END WHERE seq = $4`,
		uint8(onramp.DeliveryPending), micros(onramp.Never), micros(t.now), d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryPending)
	woken[d.DestinationID] |= dueUp
	return nil
}

// takeLaterAlong has what is in the retry set wait for a delivery that has just come there,
// and the later steps of its route, which are in the given state, wait with it.
func (t *tx) takeLaterAlong(d *onramp.Delivery, from onramp.DeliveryState, woken map[int]wakeUp) error {
	if err := t.waitBehind(d.DestinationID, d.OrderingKey, d.Seq); err != nil {
		return err
	}
	_, err := t.moveLaterSteps(d, from, onramp.DeliveryWaiting, onramp.Never, woken)
	return err
}

// DiscardDelivery gives a delivery up for good, and with it the later steps of its
// route, which wait for it. To repeat it with the same reason
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
		if _, err := t.discard(&d, reason, woken); err != nil {
			return err
		}
		t.wakeAfter(woken)
		return nil
	}})
	return wrapUnlessKnown("discard delivery", err)
}

// discard takes along the later steps of the route, which would wait for ever, and returns how
// many those are.
func (t *tx) discard(d *onramp.Delivery, reason string, woken map[int]wakeUp) (taken int64, err error) {
	stored, err := t.protectReason(d, reason)
	if err != nil {
		return 0, err
	}
	err = t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = NULL WHERE seq = $4`,
		uint8(onramp.DeliveryDiscarded), micros(t.now), stored, d.Seq)
	if err != nil {
		return 0, err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryDiscarded)
	t.moveRegistrationOf(d, standing(d), onramp.RegistrationFailed)
	for _, state := range []onramp.DeliveryState{onramp.DeliveryWaiting, onramp.DeliveryOutOfReach} {
		later, err := t.moveLaterSteps(d, state, onramp.DeliveryDiscarded, time.Time{}, woken)
		if err != nil {
			return 0, err
		}
		for _, l := range later {
			l.PersonKey, l.RegistrationID, l.SubscriberKey = d.PersonKey, d.RegistrationID, d.SubscriberKey
			stored, err := t.protectReason(&l, reason)
			if err != nil {
				return 0, err
			}
			if err := t.exec(`UPDATE delivery SET settled_at = $1, reason = $2 WHERE seq = $3`, micros(t.now), stored, l.Seq); err != nil {
				return 0, err
			}
		}
		taken += int64(len(later))
	}
	if d.Parked() {
		err = t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return taken, err
}

// portion is how many deliveries of a bulk are changed by one transaction, so
// that nothing else waits long.
const portion = 200

// errLeftAlone says that a delivery was not to be changed.
var errLeftAlone = errors.New("left alone")

// DiscardDeliveries does the same with DiscardDelivery. later is how many steps that waited
// for one of the n it has taken along.
func (s *Store) DiscardDeliveries(ctx context.Context, f onramp.Filter, reason string) (n, later int64, err error) {
	seqs, err := s.listFailed(ctx, f)
	taken := map[int64]int64{} // by the delivery: a write can be carried out twice
	if err == nil {
		n, err = s.changePortions(ctx, f, seqs, func(t *tx, d *onramp.Delivery, woken map[int]wakeUp) error {
			steps, err := t.discard(d, reason, woken)
			taken[d.Seq] = steps
			return err
		})
	}
	for _, steps := range taken {
		later += steps
	}
	return n, later, wrapUnlessKnown("discard deliveries", err)
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

// chosenFailed is the condition for the dead and unknown deliveries that a filter
// lets through, in the words of the partial index that holds them.
func (s *Store) chosenFailed(f onramp.Filter) (where chosen, err error) {
	where.and(`d.seq > 0`)
	where.and(inFailedIndex)
	switch state, _ := onramp.ParseDeliveryState(f.State); {
	case f.State == "":
		where.and(numbered(`d.state IN ({{dead}}, {{unknown}})`))
	case failed(state):
		where.and(`d.state = ?`, uint8(state))
	default:
		return where, &onramp.Error{Kind: onramp.Malformed, Message: "the state must be dead or unknown"}
	}
	form, destination, err := s.names.namedBy(f)
	if err != nil {
		return where, err
	}
	if f.Cause != "" {
		where.and(`d.cause = ?`, storable(f.Cause))
	}
	if destination != 0 {
		where.and(`d.destination_id = ?`, destination)
	}
	// one look for each: a join might read all registrations
	if form != 0 {
		where.and(`(SELECT r.form_id FROM registration r WHERE r.seq = d.registration_seq) = ?`, form)
	}
	where.within(`COALESCE((SELECT e.received_at FROM event e WHERE e.seq = d.event_seq),
		(SELECT r.received_at FROM registration r WHERE r.seq = d.registration_seq))`, f.Since, f.Until)
	return where, nil
}

// listFailed lists the seqs of dead or unknown deliveries, oldest first.
func (s *Store) listFailed(ctx context.Context, f onramp.Filter) ([]int64, error) {
	f.State = cmp.Or(f.State, onramp.DeliveryDead.String())
	where, err := s.chosenFailed(f)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, listFailed+where.text+` ORDER BY d.seq`, where.args...)
	seqs, err := collect(rows, err, scanSeq)
	return seqs, readerErr("list failed deliveries", err)
}

const listFailed = `SELECT d.seq FROM delivery d WHERE `

const (
	listCauses = `SELECT g.destination_id, g.cause, g.state, g.n, g.newest, newest.reason, first.id, oldest.step, oldest.run_id, firstof.at, firstof.hash,
			last.id, newest.step, newest.run_id, lastof.at, lastof.hash
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
	where, err := s.chosenFailed(f)
	if err != nil {
		return nil, err
	}
	groups, err := s.queryCauses(ctx, listCauses+where.text+ofCauses, where.args)
	return groups, readerErr("list causes", err)
}

func (s *Store) queryCauses(ctx context.Context, query string, arguments []any) ([]onramp.CauseGroup, error) {
	rows, err := s.readers.QueryContext(ctx, query, arguments...)
	return collect(rows, err, func(rows *sql.Rows) (g onramp.CauseGroup, err error) {
		var destination int
		var oldest, newest deliveryName
		var seq int64
		var reason []byte
		err = rows.Scan(&destination, &g.Cause, &g.State, &g.Count, &seq, &reason, &oldest.registration, &oldest.step, &oldest.run, &oldest.at, &oldest.hash,
			&newest.registration, &newest.step, &newest.run, &newest.at, &newest.hash)
		g.Destination, g.Reason = s.names.destinationName(destination), s.revealOrDrop(reason, placeOfDelivery(seq, "reason"))
		g.Oldest, g.Newest = oldest.id(destination), newest.id(destination)
		return g, err
	})
}

// deliveryName is what the public name of a delivery is made of.
type deliveryName struct {
	registration sql.NullString
	step         int
	run          sql.NullInt64
	at, hash     sql.NullInt64 // of its event
}

func (n *deliveryName) id(destination int) string {
	d := onramp.Delivery{RegistrationID: n.registration.String, Step: n.step, DestinationID: destination, Run: n.run.Int64}
	if n.at.Valid {
		d.Event = &onramp.Event{ID: onramp.NewEventID(onramp.EventIdentity{At: n.at.Int64, Hash: n.hash.Int64})}
	}
	return d.ID()
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
	var row registrationRow
	found, err := t.find(`SELECT `+registrationColumns+` FROM registration r WHERE r.seq = $1`, []any{d.RegistrationSeq}, row.into()...)
	if err != nil {
		return err
	}
	row.open(t.store)
	if row.lost != nil {
		return &onramp.Error{Kind: onramp.Conflict, Message: withheld(row.lost)}
	}
	key, values := row.subscriberKey, string(valuesOf(row.data, row.byField))
	if key == r.SubscriberKey && values == string(r.Values) {
		return nil // also when an earlier call, whose answer was lost, has changed it
	}
	if !found || key != edit.SubscriberKey || values != string(edit.Values) {
		return &onramp.Error{Kind: onramp.Conflict, Message: "the registration has changed since it was read: read it again"}
	}
	if err := t.saveEdit(&row, edit.Fields, values); err != nil {
		return err
	}
	if err := t.saveValues(row.seq, row.id, r.SubscriberKey, r.Values); err != nil || key == r.SubscriberKey {
		return err
	}
	// neither it nor a later step is in the retry set, nor in the pump's memory:
	// nobody waits for it under the old key, and under the new one a retry finds its place
	order := t.store.hashing.orderingKey(r.SubscriberKey)
	if err := t.exec(`INSERT INTO person (hash, registration_seq) VALUES ($1, $2) ON CONFLICT DO NOTHING`, order, d.RegistrationSeq); err != nil {
		return err
	}
	return t.exec(`UPDATE delivery SET ordering_key = $1, partition_id = $2 WHERE seq >= $3 AND seq <= $4`,
		order, uint64(order)%partitions, d.Seq, d.Seq+int64(d.Steps-d.Step))
}

// saveEdit keeps what a registration holds before an edit.
func (t *tx) saveEdit(r *registrationRow, fields []string, values string) error {
	names, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	var number int
	if _, err := t.find(`SELECT COALESCE(MAX(number), 0) + 1 FROM edit WHERE registration_seq = $1`, []any{r.seq}, &number); err != nil {
		return err
	}
	key, data, err := t.store.protectValues(t.store.leafOf(r.subscriberKey), r.subscriberKey, values, placeOfEdit(r.seq, number))
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO edit (registration_seq, number, edited_at, fields, subscriber_key, data) VALUES ($1, $2, $3, $4, $5, $6)`,
		r.seq, number, micros(t.now), string(names), key, data)
}

// listEdits reads what a registration held before its edits, oldest first.
func (s *Store) listEdits(ctx context.Context, registration int64) ([]onramp.Edit, error) {
	rows, err := s.readers.QueryContext(ctx, listEdits, registration)
	return collect(rows, err, func(rows *sql.Rows) (e onramp.Edit, err error) {
		var at int64
		var number int
		var key string
		var fields, data []byte
		if err := rows.Scan(&number, &at, &fields, &key, &data); err != nil {
			return e, err
		}
		e.At = fromMicros(at)
		if e.SubscriberKey, e.Values, _, err = s.revealValues(key, data, placeOfEdit(registration, number)); err != nil {
			e.Values = []byte(noValues)
		}
		return e, json.Unmarshal(fields, &e.Fields)
	})
}

const listEdits = `SELECT number, edited_at, fields, subscriber_key, data FROM edit WHERE registration_seq = $1 ORDER BY number`

// change, whose last column is the beginning of what is encrypted, is what a change by an operator's hand needs to know of a delivery, as
// it is now.
const change = `SELECT COALESCE(r.id, ''), d.registration_seq, d.step, d.seq, COALESCE(d.steps, r.steps, 1), d.destination_id, d.state, d.tries,
	d.ordering_key, d.due_at, d.reason, d.event_seq, COALESCE(d.run_id, 0),
	COALESCE(SUBSTR(r.data, 1, 48), (SELECT SUBSTR(e.body, 1, 48) FROM event e WHERE e.seq = d.event_seq)) FROM delivery d LEFT JOIN registration r ON r.seq = d.registration_seq `

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
	var reason, head []byte
	found, err = t.find(change+where, arguments,
		&d.RegistrationID, &d.RegistrationSeq, &d.Step, &d.Seq, &d.Steps, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey, &due, &reason, &event, &d.Run, &head)
	d.Reason, d.PersonKey = t.store.revealOrDrop(reason, placeOfDelivery(d.Seq, "reason")), uint64(personal.LeafOf(head))
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
