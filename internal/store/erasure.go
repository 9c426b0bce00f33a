package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
)

// erasures is the step for runs that remove a person. work is what is to be emptied, by seqs,
// and position how much of it is; targets is what Marketing Cloud must be told, encrypted
// with a key of the run's own.
var erasures = []string{
	`CREATE TABLE erasure (id TEXT PRIMARY KEY, began_at BIGINT NOT NULL, ended_at BIGINT, late_until BIGINT NOT NULL,
		run TEXT NOT NULL, work TEXT NOT NULL, position BIGINT NOT NULL, targets TEXT NOT NULL)`,
}

// work is what is to be emptied of a person.
type work struct {
	Registrations []int64  `json:"registrations"`
	Events        []int64  `json:"events"`
	LookUps       []int64  `json:"look_ups"` // hashes by which look_up has them
	Persons       []int64  `json:"persons"`  // the same of person
	Digests       []string `json:"digests"`  // the same of column_set
}

func (w *work) size() int64 { return int64(len(w.Registrations) + len(w.Events)) }

const (
	erasedTogether  = 50               // registrations or events emptied by one write
	longestAsyncJob = 30 * time.Minute // until what Marketing Cloud has queued is surely written
)

// ErasePortion empties a portion of what is stored of the person of a run: see
// erasure.Store.
func (s *Store) ErasePortion(ctx context.Context, id string) (removed erasure.Removed, more bool, err error) {
	w, position, err := s.findWork(ctx, id)
	if err != nil {
		return removed, false, err
	}
	end := min(position+erasedTogether, w.size())
	err = s.writer.write(ctx, &op{rows: erasedTogether, run: func(t *tx) error {
		removed = erasure.Removed{}
		woken := map[int]wakeUp{}
		for i := position; i < end; i++ {
			if err := t.eraseNext(w, i, &removed, woken); err != nil {
				return err
			}
		}
		if end == w.size() {
			for _, digest := range w.Digests {
				if err := t.exec(`DELETE FROM column_set WHERE person = $1`, digest); err != nil {
					return err
				}
			}
		}
		t.wakeAfter(woken)
		return t.exec(`UPDATE erasure SET position = $1 WHERE id = $2`, end, id)
	}})
	return removed, end < w.size(), wrapUnlessKnown("erase what is stored", err)
}

func (s *Store) findWork(ctx context.Context, id string) (w *work, position int64, err error) {
	var text string
	err = s.readers.QueryRowContext(ctx, `SELECT work, position FROM erasure WHERE id = $1`, id).Scan(&text, &position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, errNoErasure
	}
	w = new(work)
	if err == nil {
		err = json.Unmarshal([]byte(text), w)
	}
	return w, position, readerErr("find what is to be erased", err)
}

// eraseNext empties the registration or event at a position.
func (t *tx) eraseNext(w *work, position int64, removed *erasure.Removed, woken map[int]wakeUp) error {
	if position < int64(len(w.Registrations)) {
		return t.eraseRegistration(w, w.Registrations[position], removed, woken)
	}
	return t.eraseEvent(w.Events[position-int64(len(w.Registrations))], removed, woken)
}

const deliveriesOfRegistration = `WHERE d.registration_seq = $1 AND (d.seq >= r.delivery_seq AND d.seq < r.delivery_seq + r.steps)`

// eraseRegistration empties a registration, its deliveries and their attempts.
func (t *tx) eraseRegistration(w *work, seq int64, removed *erasure.Removed, woken map[int]wakeUp) error {
	route, err := t.listChanges(deliveriesOfRegistration+` ORDER BY d.seq`, seq)
	if err != nil || len(route) == 0 {
		return err
	}
	again, err := t.listChanges(`WHERE d.steps IS NOT NULL AND d.registration_seq = $1`, seq)
	if err != nil {
		return err
	}
	before := stateOf(route)
	for _, d := range append(slices.Clone(route), again...) {
		if err := t.eraseDelivery(&d, removed, woken); err != nil {
			return err
		}
	}
	if before != onramp.RegistrationErased {
		t.moveRegistration(before, onramp.RegistrationErased)
		t.store.watchers.settled(t, route[0].RegistrationID, onramp.RegistrationErased)
		removed.Registrations++
	}
	return t.emptyRegistration(w, seq)
}

// emptyRegistration removes what is stored of a registration beside its deliveries.
func (t *tx) emptyRegistration(w *work, seq int64) error {
	for _, statement := range []string{
		`UPDATE registration SET data = '{}', by_field = 1, subscriber_key = '', trace = NULL, idempotency_hash = NULL, body_hash = NULL WHERE seq = $1`,
		`DELETE FROM edit WHERE registration_seq = $1`,
		`DELETE FROM hold WHERE registration_seq = $1`,
		`DELETE FROM unchanged WHERE registration_seq = $1`,
		`DELETE FROM consent_state WHERE person = (SELECT person FROM opt_in WHERE registration_seq = $1)`,
		`UPDATE opt_in SET person = '', remind_at = NULL WHERE registration_seq = $1`,
	} {
		if err := t.exec(statement, seq); err != nil {
			return err
		}
	}
	for _, hash := range w.LookUps {
		if err := t.exec(`DELETE FROM look_up WHERE hash = $1 AND registration_seq = $2`, hash, seq); err != nil {
			return err
		}
	}
	for _, hash := range w.Persons {
		if err := t.exec(`DELETE FROM person WHERE hash = $1 AND registration_seq = $2`, hash, seq); err != nil {
			return err
		}
	}
	return nil
}

// listChanges lists deliveries as findChange finds one.
func (t *tx) listChanges(where string, arguments ...any) (list []onramp.Delivery, err error) {
	err = t.each(change+where, arguments, func(scan func(...any) error) error {
		var d onramp.Delivery
		var due, event sql.NullInt64
		var reason, head []byte
		err := scan(&d.RegistrationID, &d.RegistrationSeq, &d.Step, &d.Seq, &d.Steps, &d.DestinationID, &d.State, &d.Tries, &d.OrderingKey, &due, &reason, &event, &d.Run, &head)
		d.DueAt = fromNull(due)
		list = append(list, d)
		return err
	})
	return list, err
}

// eraseDelivery empties a delivery and its attempts. What was to be sent is not.
func (t *tx) eraseDelivery(d *onramp.Delivery, removed *erasure.Removed, woken map[int]wakeUp) error {
	if d.State == onramp.DeliveryErased {
		return nil
	}
	err := t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = COALESCE(settled_at, $2), reason = NULL, cause = NULL, data = NULL, ordering_key = 0 WHERE seq = $3`,
		uint8(onramp.DeliveryErased), micros(t.now), d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, onramp.DeliveryErased)
	removed.Deliveries++
	if d.State == onramp.DeliveryPending || d.State == onramp.DeliveryWaiting {
		removed.Seqs = append(removed.Seqs, d.Seq)
	}
	if d.Parked() {
		if err := t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken); err != nil {
			return err
		}
	}
	n, err := t.update(`UPDATE attempt SET detail = '', request = '', answer = '' WHERE delivery_seq = $1`, d.Seq)
	if err != nil {
		return err
	}
	removed.Attempts += n
	return t.exec(`DELETE FROM resend WHERE destination_id = $1 AND ordering_key = $2 AND seq = $3`, d.DestinationID, d.OrderingKey, d.Seq)
}

// eraseEvent empties an event and its deliveries. Its identity stays, so that a repeat is
// known as one.
func (t *tx) eraseEvent(seq int64, removed *erasure.Removed, woken map[int]wakeUp) error {
	deliveries, err := t.listChanges(`WHERE d.event_seq = $1`, seq)
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if err := t.eraseDelivery(&d, removed, woken); err != nil {
			return err
		}
	}
	var eventType string
	found, err := t.find(`SELECT type FROM event WHERE seq = $1`, []any{seq}, &eventType)
	if err != nil || !found {
		return err
	}
	body, err := json.Marshal(map[string]string{"eventCategoryType": eventType})
	if err != nil {
		return fmt.Errorf("empty event: %w", err)
	}
	removed.Events++
	for _, statement := range []string{
		`DELETE FROM event_key WHERE event_seq = $1 AND hash IN (SELECT COALESCE(person, send) FROM event WHERE seq = $1 UNION SELECT COALESCE(send, person) FROM event WHERE seq = $1)`,
		`DELETE FROM unjoined WHERE event_seq = $1`,
	} {
		if err := t.exec(statement, seq); err != nil {
			return err
		}
	}
	return t.exec(`UPDATE event SET body = $1, person = NULL, send = NULL, trace = NULL WHERE seq = $2`, string(body), seq)
}

var errNoErasure = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such erasure"}

// SaveErasure keeps how far a run is: see erasure.Store.
func (s *Store) SaveErasure(ctx context.Context, r *erasure.Run) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		if r.EndedAt == nil {
			return t.exec(`UPDATE erasure SET run = $1 WHERE id = $2`, string(text), r.ID)
		}
		if t.store.vault != nil {
			if err := t.destroy([]string{personOfErasure(r.ID)}); err != nil {
				return err
			}
		}
		return t.exec(`UPDATE erasure SET run = $1, ended_at = $2, work = '{}', targets = '' WHERE id = $3`, string(text), micros(*r.EndedAt), r.ID)
	}})
	return wrapUnlessKnown("save erasure", err)
}

const selectErasures = `SELECT run, late_until FROM erasure `

// ListErasures lists runs: see erasure.Store.
func (s *Store) ListErasures(ctx context.Context, open bool) ([]erasure.Run, error) {
	rows, err := s.readers.QueryContext(ctx, selectErasures+`WHERE NOT $1 OR ended_at IS NULL ORDER BY began_at DESC, id DESC`, open)
	list, err := collect(rows, err, scanErasure)
	return list, readerErr("list erasures", err)
}

// FindErasure returns a run, or an error of kind NotFound.
func (s *Store) FindErasure(ctx context.Context, id string) (erasure.Run, error) {
	rows, err := s.readers.QueryContext(ctx, selectErasures+`WHERE id = $1`, id)
	list, err := collect(rows, err, scanErasure)
	if err == nil && len(list) == 0 {
		return erasure.Run{}, errNoErasure
	}
	if err != nil {
		return erasure.Run{}, readerErr("find erasure", err)
	}
	return list[0], nil
}

func scanErasure(rows *sql.Rows) (r erasure.Run, err error) {
	var text string
	var late int64
	if err := rows.Scan(&text, &late); err != nil {
		return r, err
	}
	err = json.Unmarshal([]byte(text), &r)
	r.Late = fromMicros(late)
	return r, err
}
