package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// consentEvents is where meta has how far events were looked at for double opt-in.
const consentEvents = "consent_events"

// returnedWithin is how soon after a confirmation something must come back to count.
const returnedWithin = 24 * time.Hour

type consentMark struct {
	To      int64   `json:"to"`
	Waiting []int64 `json:"waiting,omitempty"`
}

// ConsentEventsTo tells how far events were looked at for double opt-in, and which of them
// wait for their person: at first as far as there are any.
func (s *Store) ConsentEventsTo(ctx context.Context) (to int64, waiting []int64, err error) {
	value, err := findMeta(ctx, s.readers, consentEvents)
	if err == nil && value == "" {
		to = s.newestEvent()
		return to, nil, s.SaveConsentEvents(ctx, onramp.ConsentEvents{To: to})
	}
	if err != nil {
		return 0, nil, readerErr("find mark of events", err)
	}
	var mark consentMark
	err = json.Unmarshal([]byte(value), &mark)
	return mark.To, mark.Waiting, readerErr("read mark of events", err)
}

// SaveConsentEvents stores what events mean for double opt-in, and how far they were looked
// at. What was stored before, though the answer was lost, is not counted again.
func (s *Store) SaveConsentEvents(ctx context.Context, e onramp.ConsentEvents) error {
	mark, err := json.Marshal(consentMark{e.To, e.Waiting})
	if err != nil {
		return err
	}
	err = s.writer.write(ctx, &op{rows: 1 + len(e.Withdrawn) + len(e.Returned), run: func(t *tx) error {
		var before string
		if _, err := t.find(`SELECT value FROM meta WHERE name = $1`, []any{consentEvents}, &before); err != nil || before == string(mark) {
			return err
		}
		for _, w := range e.Withdrawn {
			if err := t.withdraw(w.Subscriber, 0, w.At); err != nil {
				return err
			}
		}
		for i := range e.Returned {
			if err := t.countReturned(&e.Returned[i]); err != nil {
				return err
			}
		}
		return t.exec(saveMeta, consentEvents, string(mark))
	}})
	return wrapUnlessKnown("save what events mean for double opt-in", err)
}

// countReturned counts a confirmation that came back, with those of its form and hour.
func (t *tx) countReturned(r *onramp.Returned) error {
	where, args, ok := byDeliveryID(strings.ToLower(r.DeliveryID))
	if !ok {
		return nil
	}
	var form int
	var asked sql.NullInt64
	found, err := t.find(`SELECT r.form_id, d.resent_at FROM delivery d JOIN registration r ON r.seq = d.registration_seq `+where, args, &form, &asked)
	if err != nil || !found || r.At.Sub(fromNull(asked)) > returnedWithin {
		return err
	}
	column := "complained"
	if r.Bounced {
		column = "bounced"
	}
	return t.exec(`UPDATE confirmation_hour SET `+column+` = `+column+` + 1 WHERE form_id = $1 AND at = $2`,
		form, micros(fromNull(asked).Truncate(time.Hour)))
}

// ListConfirmations tells how the confirmations of forms are doing, in the order of their names.
func (s *Store) ListConfirmations(ctx context.Context, forms []string) ([]onramp.ConfirmationStatus, error) {
	now := s.now()
	all := make([]onramp.ConfirmationStatus, len(forms))
	for i, name := range forms {
		id, _ := s.names.form(name)
		one := &all[i]
		one.Form, one.Limits = name, []onramp.LimitReached{}
		err := s.readers.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(asked), 0) AS BIGINT), CAST(COALESCE(SUM(bounced), 0) AS BIGINT),
			CAST(COALESCE(SUM(complained), 0) AS BIGINT), (SELECT COUNT(*) FROM consent_state WHERE form_id = $1 AND held_seq IS NOT NULL)
			FROM confirmation_hour WHERE form_id = $1 AND at > $2`, id, micros(now.Add(-returnedWithin))).Scan(&one.Asked, &one.Bounced, &one.Complained, &one.Waiting)
		if err != nil {
			return nil, readerErr("count confirmations", err)
		}
		rows, err := s.readers.QueryContext(ctx, `SELECT name, first_at, n FROM confirmation_limit WHERE form_id = $1 AND last_at > $2 ORDER BY name`,
			id, micros(now.Add(-limitLasts)))
		limits, err := collect(rows, err, func(rows *sql.Rows) (l onramp.LimitReached, err error) {
			var since int64
			err = rows.Scan(&l.Name, &since, &l.KeptBack)
			l.Since = fromMicros(since)
			return l, err
		})
		if err != nil {
			return nil, readerErr("list limits that are reached", err)
		}
		one.Limits = append(one.Limits, limits...)
	}
	return all, nil
}
