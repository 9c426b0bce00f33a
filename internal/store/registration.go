package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"onramp/internal/onramp"
	"onramp/internal/personkey"
	"onramp/internal/store/personal"
)

// acceptance is a registration on its way into the database.
type acceptance struct {
	registration *onramp.Registration
	key          onramp.IdempotencyKey
	watch        bool

	// what is stored of it, as it was made with the keys of persons
	subscriberKey string
	data          any
	keys          *personkey.State
	lookUps       []int64 // hashes

	earlierSeq int64 // of the registration that the key belongs to already
	earlier    *onramp.Registration
	refusal    error
	outcome    <-chan onramp.RegistrationState
}

const insertRegistration = `INSERT INTO registration
	(seq, id, form_id, subscriber_key, received_at, data, delivery_seq, steps, by_field, idempotency_hash, body_hash, trace)`

const insertDelivery = `INSERT INTO delivery
	(seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries)`

// SaveRegistration stores a registration and one delivery for each step of its
// route, or none of it, and returns once that is on disk.
//
// A key that was used before (for at least a day) stores nothing: with the
// same body the earlier registration comes back, with another one an error of
// kind Invalid. Nor does what key.Once has stood for less than key.Within ago.
// With watch the settled state can be waited for.
//
// It waits ten seconds at most, however many wait before it. The error is then of
// kind Unavailable, and its message says whether the registration may be stored
// all the same: only when its commit had begun.
func (s *Store) SaveRegistration(ctx context.Context, r *onramp.Registration, key onramp.IdempotencyKey, watch bool) (onramp.Accepted, error) {
	a := &acceptance{registration: r, key: s.hashing.idempotency(key), watch: watch}
	if err := a.protect(s); err != nil {
		return onramp.Accepted{}, err
	}
	if err := s.writer.write(ctx, &op{acceptance: a}); errors.Is(err, errUncertain) {
		return onramp.Accepted{}, mayBeStored(err, key)
	} else if err != nil {
		return onramp.Accepted{}, err
	}
	if a.refusal != nil {
		return onramp.Accepted{}, a.refusal
	}
	if a.earlier != nil {
		return onramp.Accepted{Registration: *a.earlier, Repeated: true, Outcome: a.outcome}, nil
	}
	return onramp.Accepted{Registration: *r, Outcome: a.outcome}, nil
}

// protect encrypts what is stored of a registration. It is done before the registration
// queues, on the processor of whoever brings it.
func (a *acceptance) protect(s *Store) (err error) {
	r := a.registration
	if s.vault != nil {
		a.keys = s.vault.State()
	}
	a.lookUps = s.hashing.lookUpHashes(r.SubscriberKey, r.Values)
	a.subscriberKey, a.data, err = s.protectValues(s.leafOf(r.SubscriberKey), r.SubscriberKey, string(r.Values), placeOfRegistration(r.ID))
	return err
}

// protectAnew does so once more if the keys have changed since: the person may have been
// erased. They don't change while the writer is at work.
func (a *acceptance) protectAnew(s *Store) error {
	if s.vault == nil || a.keys == s.vault.State() {
		return nil
	}
	return a.protect(s)
}

// saveRegistrations inserts all registrations of a group.
func (t *tx) saveRegistrations(group []*op) error {
	fresh, repeats, noted, err := t.sortOut(group)
	if err != nil || len(fresh)+len(repeats) == 0 {
		return err
	}
	// int64 throughout: of any other integer database/sql makes one by reflection
	rows := acceptedRows{
		registrations: make([]any, 0, len(fresh)*t.store.writer.registrations.columns), deliveries: make([]any, 0, len(fresh)*16),
	}
	woken := map[int]wakeUp{}
	for _, a := range fresh {
		save := func() error { return t.accept(a, &rows, woken) }
		if r := a.registration; r.OptIn != nil && r.Hold.Reason != onramp.HoldSuspicion {
			save = func() error { return t.saveOptIn(a, woken) }
		}
		if err := save(); err != nil {
			return err
		}
	}
	if err := t.insertAccepted(&rows); err != nil {
		return err
	}
	if err := t.countHeld(fresh); err != nil {
		return err
	}
	if err := t.insertConsents(fresh); err != nil {
		return err
	}
	for _, a := range repeats {
		if err := t.findEarlier(a); err != nil {
			return err
		}
	}
	if err := t.advanceIdempotency(fresh, noted); err != nil {
		return err
	}
	t.watchAll(fresh)
	t.wakeAfter(woken)
	t.noteLookUps(fresh)
	return nil
}

// acceptedRows are the rows of registrations that are to be inserted.
type acceptedRows struct{ registrations, deliveries, holds []any }

func (t *tx) insertAccepted(rows *acceptedRows) error {
	if err := t.insert(t.store.writer.registrations, rows.registrations); err != nil {
		return err
	}
	if err := t.insert(t.store.writer.deliveries, rows.deliveries); err != nil {
		return err
	}
	return t.insert(t.store.writer.holds, rows.holds)
}

// accept adds the rows of a registration.
func (t *tx) accept(a *acceptance, rows *acceptedRows, woken map[int]wakeUp) error {
	r := a.registration
	form, ok := t.store.names.form(r.Form)
	if !ok {
		return fmt.Errorf("form %q was not registered", r.Form)
	}
	key := t.store.hashing.orderingKey(r.SubscriberKey)
	keyHash, bodyHash := hashesOf(&a.key)
	rows.registrations = append(rows.registrations,
		r.Seq, r.ID, int64(form), a.subscriberKey, micros(r.ReceivedAt), a.data, t.deliverySeq+1, int64(len(r.Route)), int64(1),
		keyHash, bodyHash, nullTrace(r.Trace))
	for i, d := range r.Route {
		state := stateAtFirst(r, i)
		woken[d.ID] |= freshUp
		t.deliverySeq++
		rows.deliveries = append(rows.deliveries,
			t.deliverySeq, r.Seq, int64(i+1), int64(d.ID), int64(uint64(key)%partitions), key, int64(state), int64(0))
		t.moveDelivery(d.ID, 0, state)
	}
	if err := t.noteFollowed(r, key, t.deliverySeq-int64(len(r.Route))+1, woken); err != nil {
		return err
	}
	r.State = onramp.RegistrationQueued
	if r.Hold.Reason != 0 {
		r.State = onramp.RegistrationHeld
		hold, err := t.holdRow(r)
		if err != nil {
			return err
		}
		rows.holds = append(rows.holds, hold...)
	}
	t.moveRegistration(0, r.State)
	return nil
}

// noteLookUps has accepted registrations found before they are in the index.
func (t *tx) noteLookUps(fresh []*acceptance) {
	if len(fresh) == 0 {
		return
	}
	keys := make([]lookUpKey, 0, len(fresh))
	for _, a := range fresh {
		for _, hash := range a.lookUps {
			keys = append(keys, lookUpKey{hash, a.registration.Seq})
		}
	}
	newest := t.registrationSeq
	t.after = append(t.after, func() { t.store.registrationsCame(keys, newest) })
}

// stateAtFirst is that of a step of a registration that has just been accepted.
func stateAtFirst(r *onramp.Registration, step int) onramp.DeliveryState {
	switch {
	case r.Hold.Reason != 0:
		return onramp.DeliveryHeld
	case step == 0:
		return onramp.DeliveryPending
	}
	return onramp.DeliveryWaiting
}

// nullTrace is how a trace is stored.
func nullTrace(t onramp.Trace) any {
	if t == "" {
		return nil
	}
	return string(t)
}

// hashesOf gives what a registration keeps of its key in its own row.
func hashesOf(k *onramp.IdempotencyKey) (key, body any) {
	if k.Given() {
		key = k.Hash
	}
	if k.Given() || k.Once != 0 {
		body = k.Body
	}
	return key, body
}

// sortOut numbers the registrations that are new and separates those that are known
// by a key. noted are the keys that can't stand in a registration's own row.
func (t *tx) sortOut(group []*op) (fresh, repeats []*acceptance, noted map[int64]int64, err error) {
	known, err := t.findIdempotency(group)
	if err != nil {
		return nil, nil, nil, err
	}
	noted = map[int64]int64{}
	for _, o := range group {
		a := o.acceptance
		if a == nil {
			continue
		}
		a.earlierSeq, a.earlier, a.refusal, a.outcome = 0, nil, nil, nil
		if a.key != (onramp.IdempotencyKey{}) {
			if a.earlierSeq, err = t.earlierOf(a, known, noted, fresh); err != nil {
				return nil, nil, nil, err
			}
			if a.earlierSeq != 0 {
				repeats = append(repeats, a)
				continue
			}
		}
		if err := a.protectAnew(t.store); err != nil {
			return nil, nil, nil, err
		}
		t.registrationSeq++
		a.registration.Seq = t.registrationSeq
		fresh = append(fresh, a)
	}
	return fresh, repeats, noted, nil
}

var errOtherContent = &onramp.Error{
	Kind:    onramp.Invalid,
	Message: "this Idempotency-Key was already used for a submission with other values: use a new key, or send the same values",
}

// findEarlier reads the registration that a repeated idempotency key stands for.
func (t *tx) findEarlier(a *acceptance) error {
	var body sql.NullInt64
	var held onramp.HoldReason
	row := &registrationRow{}
	found, err := t.find(`SELECT body_hash, COALESCE((SELECT h.reason FROM hold h WHERE h.registration_seq = r.seq), 0), `+registrationColumns+
		` FROM registration r WHERE r.seq = $1`, []any{a.earlierSeq}, append([]any{&body, &held}, row.into()...)...)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("registration %d of an idempotency key is missing", a.earlierSeq)
	}
	if body.Int64 != a.key.Body && (a.key.OlderBody == 0 || body.Int64 != a.key.OlderBody) {
		a.refusal = errOtherContent
		return nil
	}
	earlier := row.registration(t.store)
	if held != 0 {
		earlier.State, earlier.Hold.Reason = onramp.RegistrationHeld, held
	}
	a.earlier = &earlier
	if a.watch {
		a.outcome = t.store.watchers.add(t, earlier.ID)
	}
	return nil
}

const registrationColumns = `r.seq, r.id, r.form_id, r.subscriber_key, r.received_at, r.data, r.delivery_seq, r.steps, r.by_field`

// registrationRow receives registrationColumns.
type registrationRow struct {
	seq, receivedAt, deliverySeq int64
	id, subscriberKey            string
	data                         []byte
	form, steps, byField         int

	opened bool
	leaf   personkey.Leaf
	lost   error // why subscriberKey and data can't be read; nil: they can
}

func (r *registrationRow) into() []any {
	return []any{&r.seq, &r.id, &r.form, &r.subscriberKey, &r.receivedAt, &r.data, &r.deliverySeq, &r.steps, &r.byField}
}

// open decrypts a row, once.
func (r *registrationRow) open(s *Store) {
	if r.opened {
		return
	}
	r.opened = true
	r.subscriberKey, r.data, r.leaf, r.lost = s.revealValues(r.subscriberKey, r.data, placeOfRegistration(r.id))
	if r.lost != nil {
		r.data, r.byField = []byte(noValues), 1
		s.noteUnreadable(r.lost)
	}
}

// registration is what a row holds. Of a person who was erased it has no values.
func (r *registrationRow) registration(s *Store) onramp.Registration {
	r.open(s)
	found := onramp.Registration{
		Seq: r.seq, ID: r.id, Form: s.names.formName(r.form), SubscriberKey: r.subscriberKey,
		ReceivedAt: fromMicros(r.receivedAt), Values: valuesOf(r.data, r.byField),
	}
	if r.isErased() {
		found.State = onramp.RegistrationErased
	}
	return found
}

func (r *registrationRow) isErased() bool { return errors.Is(r.lost, personal.ErrErased) }

// valuesOf gives a registration's values by field; what an older version has stored is
// by column.
func valuesOf(data []byte, byField int) json.RawMessage {
	if byField == 0 {
		return onramp.ValuesOfColumns(data)
	}
	return data
}

var errNoRegistration = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such registration"}

// FindRegistration returns a registration with its edits and deliveries, these
// without their attempts, or an error of kind NotFound.
func (s *Store) FindRegistration(ctx context.Context, id string) (onramp.Registration, error) {
	if !onramp.ValidID(id) {
		return onramp.Registration{}, errNoRegistration
	}
	row := &registrationRow{}
	err := s.readers.QueryRowContext(ctx, `SELECT `+registrationColumns+` FROM registration r WHERE r.id = $1`, id).Scan(row.into()...)
	if errors.Is(err, sql.ErrNoRows) {
		return onramp.Registration{}, errNoRegistration
	}
	if err != nil {
		return onramp.Registration{}, readerErr("find registration", err)
	}
	r := row.registration(s)
	r.Deliveries, err = s.listDeliveries(ctx,
		`WHERE d.seq >= $1 AND d.seq < $2 ORDER BY d.seq`, row.deliverySeq, row.deliverySeq+int64(row.steps))
	if !row.isErased() {
		r.State = stateOf(r.Deliveries)
	}
	if err == nil {
		var again []onramp.Delivery
		again, err = s.listDeliveries(ctx, `WHERE d.steps IS NOT NULL AND d.registration_seq = $1 ORDER BY d.seq`, r.Seq)
		r.Deliveries = append(r.Deliveries, again...)
	}
	if err == nil {
		err = s.nameWaitedFor(ctx, r.Deliveries)
	}
	if err != nil {
		return r, readerErr("list deliveries of registration", err)
	}
	if r.State == onramp.RegistrationHeld {
		if r.Hold, err = s.findHold(ctx, r.Seq); err != nil {
			return r, readerErr("find why a registration is held", err)
		}
	}
	if err := s.findAsked(ctx, &r); err != nil {
		return r, readerErr("find whether a registration is to be confirmed", err)
	}
	r.Edits, err = s.listEdits(ctx, r.Seq)
	return r, readerErr("list edits", err)
}

// stateOf derives a registration's state from its deliveries, in their order, without
// those that send it again.
func stateOf(deliveries []onramp.Delivery) onramp.RegistrationState {
	for i := range deliveries {
		d := &deliveries[i]
		switch d.State {
		case onramp.DeliveryDelivered, onramp.DeliverySkipped:
			continue
		case onramp.DeliveryErased:
			return onramp.RegistrationErased
		case onramp.DeliveryHeld:
			return onramp.RegistrationHeld
		case onramp.DeliveryUnknown:
			return onramp.RegistrationUnknown
		case onramp.DeliveryDead, onramp.DeliveryDiscarded:
			return onramp.RegistrationFailed
		}
		return stateAt(d.Step, d.Tries)
	}
	return onramp.RegistrationDelivered
}

// stateAt is the state of a registration whose current step is on its way.
func stateAt(step, tries int) onramp.RegistrationState {
	if step == 1 && tries == 0 {
		return onramp.RegistrationQueued
	}
	return onramp.RegistrationDelivering
}
