package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"onramp/internal/onramp"
)

// findAsked reads whether a person was asked to confirm a registration, in which language, and
// when they did.
func (s *Store) findAsked(ctx context.Context, r *onramp.Registration) error {
	var confirmed sql.NullInt64
	err := s.readers.QueryRowContext(ctx, `SELECT confirmed_at, language FROM opt_in WHERE registration_seq = $1`, r.Seq).Scan(&confirmed, &r.Visitor.Languages)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	r.Asked, r.ConfirmedAt = true, fromNull(confirmed)
	return err
}

// optInRow is what the link of a registration leads to.
type optInRow struct {
	person      string
	confirmedAt time.Time // when the link was used
	consent     onramp.Consent
	id          string    // of the registration that waits; "": none does
	until       time.Time // when it expires
}

const selectOptIn = `SELECT o.person, o.confirmed_at, c.confirmed_at, c.withdrawn_at, c.held_seq, COALESCE(w.id, ''), h.until_at
	FROM registration r JOIN opt_in o ON o.registration_seq = r.seq LEFT JOIN consent_state c ON c.person = o.person
	LEFT JOIN registration w ON w.seq = c.held_seq LEFT JOIN hold h ON h.registration_seq = c.held_seq AND h.reason = 1
	WHERE r.id = $1`

func (r *optInRow) scan(scan func(...any) error) error {
	var used, confirmed, withdrawn, held, until sql.NullInt64
	err := scan(&r.person, &used, &confirmed, &withdrawn, &held, &r.id, &until)
	r.confirmedAt, r.until = fromNull(used), fromNull(until)
	r.consent = onramp.Consent{ConfirmedAt: fromNull(confirmed), WithdrawnAt: fromNull(withdrawn), Held: held.Int64}
	return err
}

// leadsTo says what a link of the registration leads to: one that was used confirms
// nothing that came after it.
func (r *optInRow) leadsTo(now time.Time) onramp.ConfirmResult {
	switch {
	case !r.confirmedAt.IsZero() && r.consent.Stands():
		return onramp.LinkConfirmed
	case r.confirmedAt.IsZero() && r.consent.Held != 0 && now.Before(r.until):
		return onramp.LinkWaits
	}
	return onramp.LinkGone
}

// FindLink says what the link of a registration leads to, and which registration waits
// behind it: that one, or a newer one of the same person. One that there isn't is gone.
func (s *Store) FindLink(ctx context.Context, id string) (result onramp.ConfirmResult, waits string, err error) {
	row, found, err := s.findOptIn(ctx, id)
	if err != nil || !found {
		return onramp.LinkGone, "", err
	}
	if result = row.leadsTo(s.now()); result == onramp.LinkWaits {
		waits = row.id
	}
	return result, waits, nil
}

func (s *Store) findOptIn(ctx context.Context, id string) (row optInRow, found bool, err error) {
	err = row.scan(s.readers.QueryRowContext(ctx, selectOptIn, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, readerErr("find what a link leads to", err)
}

// mostOvertaken is how often a confirmation begins again because a newer registration of
// the person has come meanwhile.
const mostOvertaken = 5

var errOvertaken = errors.New("a newer registration came meanwhile")

// ConfirmRegistration confirms the registration that waits behind a link, with all that
// follows from it in one transaction: what it holds from then on, which values makes of what
// it held, how its person stands to the form, and its deliveries. It writes over what was
// delivered for the person meanwhile: a confirmation is newer than that. Who confirms twice is
// told so, and nothing changes.
func (s *Store) ConfirmRegistration(
	ctx context.Context, id string, at time.Time, values func(json.RawMessage) json.RawMessage,
) (result onramp.ConfirmResult, err error) {
	for range mostOvertaken {
		row, found, err := s.findOptIn(ctx, id)
		if err != nil || !found {
			return onramp.LinkGone, err
		}
		if result := row.leadsTo(s.now()); result != onramp.LinkWaits {
			return result, nil
		}
		result, err = s.confirm(ctx, id, row.id, at, values)
		if !errors.Is(err, errOvertaken) {
			return result, wrapUnlessKnown("confirm registration", err)
		}
	}
	return onramp.LinkGone, &onramp.Error{Kind: onramp.Unavailable, Message: "the registration could not be confirmed just now", RetryAfter: time.Second}
}

// confirm confirms a registration, if it is still the one that waits behind a link.
func (s *Store) confirm(
	ctx context.Context, link, id string, at time.Time, values func(json.RawMessage) json.RawMessage,
) (result onramp.ConfirmResult, err error) {
	r, err := s.FindRegistration(ctx, id)
	if err != nil || r.State == onramp.RegistrationErased {
		return onramp.LinkGone, err
	}
	confirmed, err := s.confirmedConsent(ctx, &r, at)
	if err != nil {
		return onramp.LinkGone, err
	}
	first := r.Deliveries[0].Seq
	retries, end, err := s.beginRetries(ctx, []int64{first}, true)
	if err != nil {
		return onramp.LinkGone, err
	}
	defer end()
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		var row optInRow
		found, err := t.findRow(selectOptIn, []any{link}, row.scan)
		if err != nil {
			return err
		}
		if result = row.leadsTo(t.now); !found || result != onramp.LinkWaits {
			return nil
		}
		d, held, err := t.firstStep(row.consent.Held)
		if err != nil {
			return err
		}
		if row.consent.Held != r.Seq || !held {
			return errOvertaken
		}
		retries.decide(t, first)
		result = onramp.LinkConfirmed
		if err := t.saveValues(r.Seq, r.ID, r.SubscriberKey, values(r.Values)); err != nil {
			return err
		}
		if confirmed != nil {
			if err := t.insertConsent(confirmed); err != nil {
				return err
			}
		}
		return t.confirm(&d, row.person, at)
	}})
	return result, err
}

// findRow reads one row of a query; found is false when there is none.
func (t *tx) findRow(query string, args []any, scan func(func(...any) error) error) (found bool, err error) {
	err = t.each(query, args, func(row func(...any) error) error {
		found = true
		return scan(row)
	})
	return found, err
}

// confirm has a registration go its way, and notes that its person has confirmed.
func (t *tx) confirm(d *onramp.Delivery, person string, at time.Time) error {
	woken := map[int]wakeUp{}
	if err := t.release(d, woken); err != nil {
		return err
	}
	asked, err := t.listAsked(person)
	if err != nil {
		return err
	}
	for _, registration := range asked {
		if err := t.endConfirmations(registration, woken); err != nil {
			return err
		}
		if registration != d.RegistrationSeq {
			err = t.blankDiscarded(registration)
		}
		if err != nil {
			return err
		}
	}
	err = t.exec(`UPDATE opt_in SET confirmed_at = $1, remind_at = NULL WHERE person = $2 AND confirmed_at IS NULL`, micros(at), person)
	if err != nil {
		return err
	}
	t.wakeAfter(woken)
	return t.exec(`UPDATE consent_state SET confirmed_at = $1, held_seq = NULL WHERE person = $2`, micros(at), person)
}

// listAsked lists the registrations of a person whose links are not used yet.
func (t *tx) listAsked(person string) (seqs []int64, err error) {
	err = t.each(`SELECT registration_seq FROM opt_in WHERE person = $1 AND confirmed_at IS NULL ORDER BY registration_seq`, []any{person},
		func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			seqs = append(seqs, seq)
			return err
		})
	return seqs, err
}

// endConfirmations settles the confirmations of a registration whose link was used: what
// may have arrived has, and what was not sent is not needed any more.
func (t *tx) endConfirmations(registration int64, woken map[int]wakeUp) error {
	sent, err := t.listConfirmations(registration)
	if err != nil {
		return err
	}
	for i := range sent {
		d := &sent[i]
		switch {
		case d.State == onramp.DeliveryUnknown:
			err = t.settleConfirmation(d, onramp.DeliveryDelivered, "", woken)
		case d.State == onramp.DeliveryPending && d.Tries == 0:
			err = t.settleConfirmation(d, onramp.DeliverySkipped, "the registration was confirmed before", woken)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listConfirmations reads the confirmations of a registration.
func (t *tx) listConfirmations(registration int64) (all []onramp.Delivery, err error) {
	err = t.each(`SELECT seq, destination_id, state, tries, ordering_key, due_at FROM delivery
		WHERE steps IS NOT NULL AND registration_seq = $1 AND step = 0 ORDER BY seq`, []any{registration},
		func(scan func(...any) error) error {
			var due sql.NullInt64
			d := onramp.Delivery{RegistrationSeq: registration}
			err := scan(&d.Seq, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey, &due)
			d.DueAt = fromNull(due)
			all = append(all, d)
			return err
		})
	return all, err
}

func (t *tx) settleConfirmation(d *onramp.Delivery, to onramp.DeliveryState, reason string, woken map[int]wakeUp) error {
	err := t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = NULL WHERE seq = $4`,
		uint8(to), micros(t.now), sql.NullString{String: reason, Valid: reason != ""}, d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, to)
	if d.Parked() {
		return t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return nil
}

// Withdraw notes that a subscriber has withdrawn their consent to a form, or to all when it
// is "": whoever confirmed before is asked again. A registration that waits to be confirmed goes
// on waiting. subscriber is the keyed hash of OptIn.
func (s *Store) Withdraw(ctx context.Context, subscriber, form string, at time.Time) error {
	id, known := s.names.form(form)
	if form != "" && !known {
		return nil
	}
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.withdraw(subscriber, id, at) }})
	return wrapUnlessKnown("withdraw consent", err)
}

// withdraw does so for a form, or for all: 0.
func (t *tx) withdraw(subscriber string, form int, at time.Time) error {
	return t.exec(`UPDATE consent_state SET withdrawn_at = $1 WHERE subscriber = $2 AND ($3 = 0 OR form_id = $3)
		AND (withdrawn_at IS NULL OR withdrawn_at < $1)`, micros(at), subscriber, form)
}

// SendConfirmation asks the person of a held registration once more, unless a limit keeps it
// back, which is then returned. What was held under suspicion waits for its person from
// then on. A reminder that is kept back is tried again after an hour. The error is of kind
// NotFound, or Conflict when the registration is not held.
func (s *Store) SendConfirmation(ctx context.Context, id string, o *onramp.OptIn, reminder bool) (limit onramp.Limit, err error) {
	r, err := s.findHeld(ctx, id)
	if err != nil {
		return limit, err
	}
	r.OptIn = o
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		d, held, err := t.firstStep(r.Seq)
		if err != nil {
			return err
		}
		if !held {
			return errNotHeld
		}
		limit, err = t.askAgain(&r, d.RegistrationSeq, reminder)
		return err
	}})
	return limit, wrapUnlessKnown("send confirmation", err)
}

func (t *tx) askAgain(r *onramp.Registration, registration int64, reminder bool) (onramp.Limit, error) {
	var asked int64
	known, err := t.find(`SELECT asked FROM opt_in WHERE registration_seq = $1`, []any{registration}, &asked)
	if err != nil {
		return onramp.Limit{}, err
	}
	if !known { // it was under suspicion until now
		if err := t.holdForConfirmation(r); err != nil {
			return onramp.Limit{}, err
		}
	}
	limit, err := t.countConfirmation(r.Form, r.OptIn)
	if err != nil {
		return limit, err
	}
	if limit.Name != "" {
		if reminder {
			err = t.exec(`UPDATE opt_in SET remind_at = $1 WHERE registration_seq = $2`, micros(t.now.Add(limitLasts)), registration)
		}
		return limit, err
	}
	woken := map[int]wakeUp{}
	if err := t.addConfirmation(r, asked+1, woken); err != nil {
		return limit, err
	}
	t.wakeAfter(woken)
	return limit, t.exec(`UPDATE hold SET detail = '' WHERE registration_seq = $1`, registration)
}

// holdForConfirmation has a registration that was held under suspicion wait for its person.
func (t *tx) holdForConfirmation(r *onramp.Registration) error {
	consent, err := t.findConsent(r.OptIn.Person)
	if err == nil && r.Hold.Reason == onramp.HoldSuspicion {
		err = t.countSuspects(onramp.SuspicionOf(r.Hold.Detail), 0, 1, 0)
	}
	if err != nil {
		return err
	}
	err = t.exec(`UPDATE hold SET reason = $1, detail = '', suspicion = NULL, until_at = $2 WHERE registration_seq = $3`,
		uint8(onramp.HoldConfirmation), nullTime(r.OptIn.Until), r.Seq)
	if err != nil {
		return err
	}
	return t.ask(r, consent.Held)
}
