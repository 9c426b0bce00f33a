package store

import (
	"context"
	"database/sql"
	"time"

	"onramp/internal/onramp"
)

const (
	expiredTogether = 50             // registrations that are erased by one transaction
	countsKept      = 26 * time.Hour // longer than any limit counts back
	hoursKept       = 7 * 24 * time.Hour
)

// ExpireConfirmations erases what was not confirmed in time, and returns how many
// registrations those were. It also forgets what no limit counts any more.
func (s *Store) ExpireConfirmations(ctx context.Context) (expired int, err error) {
	for {
		n := 0
		err := s.writer.write(ctx, &op{rows: expiredTogether, run: func(t *tx) (err error) {
			n, err = t.expireConfirmations()
			return err
		}})
		if expired += n; err != nil || n < expiredTogether {
			return expired, wrapUnlessKnown("expire confirmations", err)
		}
	}
}

func (t *tx) expireConfirmations() (int, error) {
	var expired []int64
	err := t.each(`SELECT registration_seq FROM hold WHERE until_at <= $1 AND reason = $2 ORDER BY until_at LIMIT $3`,
		[]any{micros(t.now), uint8(onramp.HoldConfirmation), expiredTogether}, func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			expired = append(expired, seq)
			return err
		})
	if err != nil {
		return 0, err
	}
	woken := map[int]wakeUp{}
	for _, seq := range expired {
		if err := t.expire(seq, woken); err != nil {
			return 0, err
		}
	}
	t.wakeAfter(woken)
	for query, kept := range map[string]time.Duration{
		`DELETE FROM confirmation_count WHERE at < $1`: countsKept, `DELETE FROM confirmation_hour WHERE at < $1`: hoursKept,
		`DELETE FROM confirmation_limit WHERE last_at < $1`: hoursKept,
	} {
		if err := t.exec(query, micros(t.now.Add(-kept))); err != nil {
			return 0, err
		}
	}
	return len(expired), nil
}

// expire erases a registration that was not confirmed, and those of the same person in whose
// place it had come. Of its person only a withdrawal is known from then on.
func (t *tx) expire(registration int64, woken map[int]wakeUp) error {
	var person string
	if _, err := t.find(`SELECT person FROM opt_in WHERE registration_seq = $1`, []any{registration}, &person); err != nil {
		return err
	}
	d, held, err := t.firstStep(registration)
	if err != nil {
		return err
	}
	if held {
		if err := t.moveHeld(&d, onramp.DeliveryErased, "it was not confirmed in time"); err != nil {
			return err
		}
		t.moveRegistrationOf(&d, onramp.RegistrationHeld, onramp.RegistrationErased)
	}
	asked := []int64{registration}
	if person != "" {
		if asked, err = t.listAsked(person); err != nil {
			return err
		}
	}
	for _, seq := range asked {
		if err := t.eraseConfirmations(seq, woken); err != nil {
			return err
		}
		if err := t.blank(seq); err != nil {
			return err
		}
	}
	if err := t.exec(`UPDATE opt_in SET person = '', remind_at = NULL WHERE person = $1 AND confirmed_at IS NULL`, person); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM consent_state WHERE person = $1 AND confirmed_at IS NULL AND withdrawn_at IS NULL`, person); err != nil {
		return err
	}
	return t.exec(`UPDATE consent_state SET held_seq = NULL WHERE person = $1`, person)
}

// eraseConfirmations erases the confirmations of a registration that are still to be sent.
func (t *tx) eraseConfirmations(registration int64, woken map[int]wakeUp) error {
	sent, err := t.listConfirmations(registration)
	for i := range sent {
		if err == nil && (sent[i].State == onramp.DeliveryPending || failed(sent[i].State)) {
			err = t.settleConfirmation(&sent[i], onramp.DeliveryErased, "", woken)
		}
	}
	return err
}

// blankDiscarded removes what a registration holds in whose place a newer one has come.
func (t *tx) blankDiscarded(registration int64) error {
	var state onramp.DeliveryState
	_, err := t.find(`SELECT d.state FROM registration r JOIN delivery d ON d.seq = r.delivery_seq WHERE r.seq = $1`, []any{registration}, &state)
	if err != nil || state != onramp.DeliveryDiscarded {
		return err
	}
	return t.blank(registration)
}

// blank removes the personal data of a registration: what it holds and held, its key, and
// what was sent and answered. Its deliveries stay as they are.
func (t *tx) blank(registration int64) error {
	var row registrationRow
	found, err := t.find(`SELECT `+registrationColumns+` FROM registration r WHERE r.seq = $1`, []any{registration}, row.into()...)
	if err != nil || !found {
		return err
	}
	row.open(t.store)
	for _, hash := range t.store.hashing.lookUpHashes(row.subscriberKey, valuesOf(row.data, row.byField)) {
		if err := t.exec(`DELETE FROM look_up WHERE hash = $1 AND registration_seq = $2`, hash, registration); err != nil {
			return err
		}
	}
	first, steps := row.deliverySeq, int64(row.steps)
	const all = `((seq >= $1 AND seq < $2) OR (steps IS NOT NULL AND registration_seq = $3))`
	for _, statement := range []struct {
		text string
		args []any
	}{
		{`UPDATE registration SET data = '{}', subscriber_key = '', by_field = 1 WHERE seq = $1`, []any{registration}},
		{`DELETE FROM edit WHERE registration_seq = $1`, []any{registration}},
		{`DELETE FROM person WHERE hash = $1 AND registration_seq = $2`, []any{t.store.hashing.orderingKey(row.subscriberKey), registration}},
		{`UPDATE attempt SET request = '', answer = '' WHERE delivery_seq IN (SELECT seq FROM delivery WHERE ` + all + `)`, []any{first, first + steps, registration}},
		{`UPDATE delivery SET ordering_key = 0 WHERE due_at IS NULL AND ` + all, []any{first, first + steps, registration}},
	} {
		if err := t.exec(statement.text, statement.args...); err != nil {
			return err
		}
	}
	return nil
}

// ListReminders lists at most n registrations of some forms whose persons are to be reminded by now, each
// with the language in which they were asked and the time when it expires.
func (s *Store) ListReminders(ctx context.Context, forms []string, n int) ([]onramp.Registration, error) {
	var ids []int64
	for _, name := range forms {
		if id, ok := s.names.form(name); ok {
			ids = append(ids, int64(id))
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT o.language, h.until_at, `+registrationColumns+`
		FROM opt_in o JOIN registration r ON r.seq = o.registration_seq JOIN hold h ON h.registration_seq = r.seq
		WHERE o.remind_at <= $1 AND r.form_id IN (`+numberList(ids)+`) ORDER BY o.remind_at LIMIT $2`, micros(s.now()), n)
	found, err := collect(rows, err, func(rows *sql.Rows) (onramp.Registration, error) {
		var row registrationRow
		var language string
		var until sql.NullInt64
		err := rows.Scan(append([]any{&language, &until}, row.into()...)...)
		r := row.registration(s)
		r.Hold.Until, r.Visitor.Languages = fromNull(until), language
		return r, err
	})
	return found, readerErr("list reminders", err)
}
