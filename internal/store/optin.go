package store

import (
	"database/sql"
	"encoding/json"
	"time"

	"onramp/internal/onramp"
)

// doubleOptIn is the step for registrations that their persons confirm. Persons stand in
// these tables as keyed hashes. A confirmation is a delivery of its registration that is no
// step of its route: step 0, with its number in run_id.
var doubleOptIn = []string{
	// how a person stands to a form; held_seq is the registration that waits to be confirmed
	`CREATE TABLE consent_state (person TEXT PRIMARY KEY, form_id INTEGER NOT NULL, subscriber TEXT NOT NULL, confirmed_at BIGINT,
		withdrawn_at BIGINT, held_seq BIGINT)`,
	`CREATE INDEX consent_state_subscriber ON consent_state (subscriber)`,
	// the registrations whose persons were asked; person is empty once its data are gone
	`CREATE TABLE opt_in (registration_seq {{integer key}}, person TEXT NOT NULL, language TEXT NOT NULL, asked INTEGER NOT NULL,
		remind_at BIGINT, confirmed_at BIGINT)`,
	`CREATE INDEX opt_in_person ON opt_in (person) WHERE person <> ''`,
	`CREATE INDEX opt_in_remind ON opt_in (remind_at) WHERE remind_at IS NOT NULL`,
	// confirmations by what they have in common and a piece of time
	`CREATE TABLE confirmation_count (hash BIGINT NOT NULL, at BIGINT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (hash, at)) {{without rowid}}`,
	`CREATE INDEX confirmation_count_at ON confirmation_count (at)`,
	// the limits that have kept confirmations back
	`CREATE TABLE confirmation_limit (form_id INTEGER NOT NULL, name TEXT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, n BIGINT NOT NULL,
		PRIMARY KEY (form_id, name)) {{without rowid}}`,
	// confirmations by form and hour, and what came back of them
	`CREATE TABLE confirmation_hour (form_id INTEGER NOT NULL, at BIGINT NOT NULL, asked BIGINT NOT NULL, bounced BIGINT NOT NULL, complained BIGINT NOT NULL,
		PRIMARY KEY (form_id, at)) {{without rowid}}`,
}

const (
	insertConfirmation = `INSERT INTO delivery
	(seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, run_id, resent_at, steps, data)`

	replaced = "a newer registration of the same person has taken its place before it was confirmed"
)

// findConsent reads how a person stands to a form.
func (t *tx) findConsent(person string) (c onramp.Consent, err error) {
	var confirmed, withdrawn, held sql.NullInt64
	_, err = t.find(`SELECT confirmed_at, withdrawn_at, held_seq FROM consent_state WHERE person = $1`, []any{person}, &confirmed, &withdrawn, &held)
	return onramp.Consent{ConfirmedAt: fromNull(confirmed), WithdrawnAt: fromNull(withdrawn), Held: held.Int64}, err
}

// saveOptIn inserts a registration whose person may have to confirm it. It is inserted by
// itself, so that the next one of the same person finds it.
func (t *tx) saveOptIn(a *acceptance, woken map[int]wakeUp) error {
	r := a.registration
	consent, err := t.findConsent(r.OptIn.Person)
	if err != nil {
		return err
	}
	r.Hold, r.Values = onramp.Hold{}, r.OptIn.Values(time.Time{}) // it may run twice
	asks := !consent.Stands()
	if asks {
		r.Hold = onramp.Hold{Reason: onramp.HoldConfirmation, Until: r.OptIn.Until}
	} else {
		r.Values = r.OptIn.Values(consent.ConfirmedAt)
	}
	if err := a.protect(t.store); err != nil {
		return err
	}
	var limit onramp.Limit
	if asks {
		if limit, err = t.countConfirmation(r.Form, r.OptIn); err != nil {
			return err
		}
		r.Hold.Detail = keptBack(limit)
	}
	var rows acceptedRows
	if err := t.accept(a, &rows, woken); err != nil {
		return err
	}
	if err := t.insertAccepted(&rows); err != nil || !asks {
		return err
	}
	if err := t.ask(r, consent.Held); err != nil || limit.Name != "" {
		return err
	}
	return t.addConfirmation(r, 1, woken)
}

// keptBack says for operators why no confirmation went out.
func keptBack(limit onramp.Limit) string {
	if limit.Name == "" {
		return ""
	}
	return "no confirmation was sent: the limit " + limit.Name + " is reached"
}

// ask notes that a registration waits for its person, in place of an earlier one.
func (t *tx) ask(r *onramp.Registration, earlier int64) error {
	o := r.OptIn
	if earlier != 0 && earlier != r.Seq {
		if err := t.discardHeldOf(earlier, replaced); err != nil {
			return err
		}
	}
	form, _ := t.store.names.form(r.Form)
	err := t.exec(`INSERT INTO consent_state (person, form_id, subscriber, held_seq) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person) DO UPDATE SET held_seq = excluded.held_seq`, o.Person, form, o.Subscriber, r.Seq)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO opt_in (registration_seq, person, language, asked, remind_at) VALUES ($1, $2, $3, 0, NULL)
		ON CONFLICT (registration_seq) DO NOTHING`, r.Seq, o.Person, o.Language)
}

// addConfirmation appends the delivery of a confirmation: the number-th of its registration.
func (t *tx) addConfirmation(r *onramp.Registration, number int64, woken map[int]wakeUp) error {
	o, to := r.OptIn, r.OptIn.Confirmation.ID
	own, err := json.Marshal(onramp.Confirmation{Language: o.Language, LinkUntil: o.LinkUntil})
	if err != nil {
		return err
	}
	key := t.store.hashing.orderingKey(r.SubscriberKey)
	t.deliverySeq++
	err = t.insert(t.store.writer.confirmations, []any{
		t.deliverySeq, r.Seq, int64(0), int64(to), int64(uint64(key) % partitions), key, int64(onramp.DeliveryPending), int64(0),
		number, micros(t.now), int64(0), string(own),
	})
	if err != nil {
		return err
	}
	t.moveDelivery(to, 0, onramp.DeliveryPending)
	woken[to] |= freshUp
	return t.exec(`UPDATE opt_in SET asked = $1, remind_at = $2 WHERE registration_seq = $3`, number, nullTime(o.RemindAt), r.Seq)
}

// discardHeldOf gives up the registration with a seq, if it is still held.
func (t *tx) discardHeldOf(registration int64, reason string) error {
	d, held, err := t.firstStep(registration)
	if err != nil || !held {
		return err
	}
	return t.discardHeld(&d, reason)
}

// firstStep reads the first step of a registration, and says whether it is held.
func (t *tx) firstStep(registration int64) (d onramp.Delivery, held bool, err error) {
	d, found, err := t.findChange(`WHERE d.seq = (SELECT delivery_seq FROM registration WHERE seq = $1)`, registration)
	return d, found && d.State == onramp.DeliveryHeld, err
}

// countConfirmation decides whether one more confirmation may go out, and counts it.
func (t *tx) countConfirmation(form string, o *onramp.OptIn) (onramp.Limit, error) {
	counts := make([]int64, len(o.Counters))
	for i, c := range o.Counters {
		_, err := t.find(`SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM confirmation_count WHERE hash = $1 AND at > $2`,
			[]any{c.Key, micros(t.now.Add(-c.Within - c.Step))}, &counts[i])
		if err != nil {
			return onramp.Limit{}, err
		}
	}
	id, _ := t.store.names.form(form)
	limit := o.Decide(counts)
	if limit.Name != "" {
		return limit, t.noteLimit(id, limit)
	}
	for _, c := range o.Counters {
		err := t.exec(`INSERT INTO confirmation_count (hash, at, n) VALUES ($1, $2, 1)
			ON CONFLICT (hash, at) DO UPDATE SET n = confirmation_count.n + 1`, c.Key, micros(t.now.Truncate(c.Step)))
		if err != nil {
			return onramp.Limit{}, err
		}
	}
	return onramp.Limit{}, t.exec(`INSERT INTO confirmation_hour (form_id, at, asked, bounced, complained) VALUES ($1, $2, 1, 0, 0)
		ON CONFLICT (form_id, at) DO UPDATE SET asked = confirmation_hour.asked + 1`, id, micros(t.now.Truncate(time.Hour)))
}

// noteLimit notes for operators that a limit has kept a confirmation back.
func (t *tx) noteLimit(form int, limit onramp.Limit) error {
	if !limit.Alarms {
		return nil
	}
	return t.exec(`INSERT INTO confirmation_limit (form_id, name, first_at, last_at, n) VALUES ($1, $2, $3, $3, 1)
		ON CONFLICT (form_id, name) DO UPDATE SET n = CASE WHEN confirmation_limit.last_at < $4 THEN 1 ELSE confirmation_limit.n + 1 END,
			first_at = CASE WHEN confirmation_limit.last_at < $4 THEN excluded.first_at ELSE confirmation_limit.first_at END,
			last_at = excluded.last_at`, form, limit.Name, micros(t.now), micros(t.now.Add(-limitLasts)))
}

// limitLasts is how long ago a limit may have kept something back to be told of.
const limitLasts = time.Hour
