package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"onramp/internal/onramp"
)

// hold is the step for registrations that are stored and not yet to be sent: their
// deliveries are held, too, so that no cursor stops at them. What is released goes through
// the retry set, since the cursor has passed it.
var hold = []string{
	`CREATE TABLE hold (registration_seq {{integer key}}, reason INTEGER NOT NULL, detail TEXT NOT NULL, held_at BIGINT NOT NULL, until_at BIGINT)`,
	`CREATE INDEX hold_until ON hold (until_at) WHERE until_at IS NOT NULL`,
}

const insertHold = `INSERT INTO hold (registration_seq, reason, detail, held_at, until_at, suspicion)`

// holdRow is how the hold of a registration is stored.
func (t *tx) holdRow(r *onramp.Registration) ([]any, error) {
	detail, err := t.store.protectOrDrop(t.store.leafOf(r.SubscriberKey), storable(r.Hold.Detail), placeOfHold(r.Seq))
	return []any{r.Seq, int64(r.Hold.Reason), detail, micros(t.now), nullTime(r.Hold.Until), suspicionOf(&r.Hold)}, err
}

// suspicionOf is what a registration is suspected of, as it is counted and found.
func suspicionOf(h *onramp.Hold) any {
	if h.Reason != onramp.HoldSuspicion {
		return nil
	}
	if code := onramp.SuspicionOf(h.Detail); isCode(code) {
		return code
	}
	return otherSuspicion // what is not one may be personal, and this is stored in clear
}

// findHold reads why a registration is held.
func (s *Store) findHold(ctx context.Context, seq int64) (h onramp.Hold, err error) {
	var since int64
	var detail []byte
	var until sql.NullInt64
	err = s.readers.QueryRowContext(ctx, `SELECT reason, detail, held_at, until_at FROM hold WHERE registration_seq = $1`, seq).
		Scan(&h.Reason, &detail, &since, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return onramp.Hold{}, nil
	}
	h.Detail = s.revealOrDrop(detail, placeOfHold(seq))
	h.Since, h.Until = fromMicros(since), fromNull(until)
	return h, err
}

var errNotHeld = &onramp.Error{Kind: onramp.Conflict, Message: "this registration is not held"}

// ReleaseRegistration has a held registration sent. With values it takes them from then on
// instead of its own: what its confirmation has filled in. The error is of kind NotFound, or
// Conflict when it is not held.
//
// One that a newer delivery of its person has overtaken is left alone, with an error of kind
// Conflict, unless overwrite says that it may write over the newer one.
func (s *Store) ReleaseRegistration(ctx context.Context, id string, values json.RawMessage, overwrite bool) error {
	r, err := s.findHeld(ctx, id)
	if err != nil {
		return err
	}
	first := r.Deliveries[0].Seq
	retries, end, err := s.beginRetries(ctx, []int64{first}, overwrite)
	if err != nil {
		return err
	}
	defer end()
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		d, err := t.findHeld(first)
		if err != nil {
			return err
		}
		if retries.decide(t, first) != 0 {
			return &onramp.Error{Kind: onramp.Conflict, Message: superseded}
		}
		if values != nil {
			if err := t.saveValues(r.Seq, r.ID, r.SubscriberKey, values); err != nil {
				return err
			}
		}
		woken := map[int]wakeUp{}
		if err := t.release(&d, woken); err != nil {
			return err
		}
		t.wakeAfter(woken)
		return nil
	}})
	return wrapUnlessKnown("release registration", err)
}

// saveValues gives a registration other values, and perhaps another subscriber key.
func (t *tx) saveValues(seq int64, id, subscriberKey string, values json.RawMessage) error {
	key, data, err := t.store.protectValues(t.store.leafOf(subscriberKey), subscriberKey, string(values), placeOfRegistration(id))
	if err != nil {
		return err
	}
	if err := t.exec(`UPDATE registration SET subscriber_key = $1, data = $2, by_field = 1 WHERE seq = $3`, key, data, seq); err != nil {
		return err
	}
	for _, hash := range t.store.hashing.lookUpHashes(subscriberKey, values) {
		if err := t.exec(`INSERT INTO look_up (hash, registration_seq) VALUES ($1, $2) ON CONFLICT DO NOTHING`, hash, seq); err != nil {
			return err
		}
	}
	return nil
}

// DiscardHeld gives a held registration up for good, with all of its route. The error is of
// kind NotFound, or Conflict when it is not held.
func (s *Store) DiscardHeld(ctx context.Context, id, reason string) error {
	r, err := s.findHeld(ctx, id)
	if err != nil {
		return err
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		d, err := t.findHeld(r.Deliveries[0].Seq)
		if err != nil {
			return err
		}
		return t.discardHeld(&d, reason)
	}})
	return wrapUnlessKnown("discard registration", err)
}

// discardHeld gives up a registration whose first step is held.
func (t *tx) discardHeld(d *onramp.Delivery, reason string) error {
	if err := t.moveHeld(d, onramp.DeliveryDiscarded, reason); err != nil {
		return err
	}
	t.moveRegistrationOf(d, onramp.RegistrationHeld, onramp.RegistrationFailed)
	return nil
}

// moveHeld settles all steps of a held registration in one state, and ends the hold.
func (t *tx) moveHeld(d *onramp.Delivery, to onramp.DeliveryState, reason string) error {
	for seq := d.Seq; seq < d.Seq+int64(d.Steps); seq++ {
		step := *d
		step.Seq = seq
		stored, err := t.protectReason(&step, reason)
		if err != nil {
			return err
		}
		var destination int
		found, err := t.find(`UPDATE delivery SET state = $1, settled_at = $2, reason = $3 WHERE seq = $4 AND state = $5 RETURNING destination_id`,
			[]any{uint8(to), micros(t.now), stored, seq, uint8(onramp.DeliveryHeld)}, &destination)
		if err != nil {
			return err
		}
		if found {
			t.moveDelivery(destination, onramp.DeliveryHeld, to)
		}
	}
	return t.endHold(d.RegistrationSeq, false)
}

// endHold ends a hold, and counts what has become of a suspect.
func (t *tx) endHold(registration int64, released bool) error {
	var suspicion sql.NullString
	found, err := t.find(`DELETE FROM hold WHERE registration_seq = $1 RETURNING suspicion`, []any{registration}, &suspicion)
	if err != nil || !found || !suspicion.Valid {
		return err
	}
	if released {
		return t.countSuspects(suspicion.String, 0, 1, 0)
	}
	return t.countSuspects(suspicion.String, 0, 0, 1)
}

// findHeld finds a registration that is held.
func (s *Store) findHeld(ctx context.Context, id string) (onramp.Registration, error) {
	r, err := s.FindRegistration(ctx, id)
	if err == nil && r.State != onramp.RegistrationHeld {
		err = errNotHeld
	}
	return r, err
}

// findHeld finds the first step of a registration, if it is still held.
func (t *tx) findHeld(seq int64) (onramp.Delivery, error) {
	d, found, err := t.findChange(`WHERE d.seq = $1`, seq)
	if err == nil && (!found || d.State != onramp.DeliveryHeld) {
		err = errNotHeld
	}
	return d, err
}

// release lets the first step of a held registration go, and the later ones after it. It is
// the one place through which all go that are released, by an operator or by their person;
// a suspect of a form with double opt-in waits for its person instead, see holdForConfirmation.
func (t *tx) release(d *onramp.Delivery, woken map[int]wakeUp) error {
	if err := t.makeDue(d, woken); err != nil {
		return err
	}
	t.moveRegistrationOf(d, onramp.RegistrationHeld, stateAt(d.Step, 0))
	if err := t.takeLaterAlong(d, onramp.DeliveryHeld, woken); err != nil {
		return err
	}
	return t.endHold(d.RegistrationSeq, true)
}

const otherSuspicion = "other"

// isCode says whether a text is a name of our own, and not what somebody has typed.
func isCode(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) < 0
}
