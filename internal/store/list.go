package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

func limit(f onramp.Filter) int {
	if f.Limit <= 0 {
		return 50
	}
	return min(f.Limit, 500)
}

// before is the seq below which the page begins.
func before(f onramp.Filter) (int64, error) {
	if f.Cursor == "" {
		return 1<<63 - 1, nil
	}
	seq, err := strconv.ParseInt(f.Cursor, 10, 64)
	if err != nil || seq <= 0 {
		return 0, &onramp.Error{Kind: onramp.Malformed, Message: "invalid cursor: use the value of next from the previous page"}
	}
	return seq, nil
}

// ListRegistrations returns registrations with their states, newest first, and
// the cursor of the next page, empty at the end. A page may hold less than the
// limit though more follow, when they are large, or when much had to be looked
// through: then looked is when the oldest was received that it has looked at.
func (s *Store) ListRegistrations(ctx context.Context, f onramp.Filter) (page []onramp.Registration, next string, looked time.Time, err error) {
	l := look[onramp.Registration]{
		limit: limit(f), seq: func(r *onramp.Registration) int64 { return r.Seq }, size: func(r *onramp.Registration) int { return len(r.Values) },
	}
	if l.below, err = before(f); err != nil {
		return nil, "", looked, err
	}
	where, err := s.chosenRegistrations(f)
	if err != nil {
		return nil, "", looked, err
	}
	l.portion = func(ctx context.Context, below int64, most int) ([]onramp.Registration, int64, error) {
		return s.newestRegistrations(ctx, where, f.Query, below, most)
	}
	whole, err := s.isWhole(ctx, f.Query)
	if err != nil {
		return nil, "", looked, err
	}
	if f.State != "" {
		state, known := onramp.ParseRegistrationState(f.State)
		if !known {
			return nil, "", looked, invalidState(f.State, onramp.RegistrationStates())
		}
		if s.Count().Registrations[state] == 0 {
			return nil, "", looked, nil
		}
		l.portion = func(ctx context.Context, below int64, _ int) ([]onramp.Registration, int64, error) {
			return s.registrationsIn(ctx, state, where, f.Query, below)
		}
	}
	if whole {
		l.portion = func(ctx context.Context, below int64, _ int) ([]onramp.Registration, int64, error) {
			return s.registrationsOf(ctx, f, where, below)
		}
	}
	end, below, err := s.period(ctx, "registration", f.Since, f.Until)
	if err == nil {
		l.end, l.below = end, min(l.below, below)
		page, next, looked, err = lookPage(ctx, s, &l, lookedToRegistration)
	}
	return page, next, looked, readerErr("list registrations", err)
}

// chosenRegistrations is the condition of a filter, but for the state.
func (s *Store) chosenRegistrations(f onramp.Filter) (where chosen, err error) {
	form, destination, err := s.names.namedBy(f)
	if err != nil {
		return where, err
	}
	if form != 0 {
		where.and(`r.form_id = ?`, form)
	}
	if destination != 0 {
		where.and(`EXISTS (SELECT 1 FROM delivery d WHERE d.seq >= r.delivery_seq AND d.seq < r.delivery_seq + r.steps AND d.destination_id = ?)`, destination)
	}
	where.within("r.received_at", f.Since, f.Until)
	return where, nil
}

// newestRegistrations are the portion of a list without a state.
func (s *Store) newestRegistrations(ctx context.Context, where chosen, query string, below int64, most int) ([]onramp.Registration, int64, error) {
	from, err := s.portionFrom(ctx, "registration", below, s.looking.joined)
	if err != nil {
		return nil, 0, err
	}
	where = where.portion("r.seq", from, below)
	limit := most
	if query != "" {
		limit = s.looking.joined // what contains the text is only known when it is read
	}
	found, more, err := s.pageRegistrations(ctx, where.text+` ORDER BY r.seq DESC LIMIT `+strconv.Itoa(limit), where.args)
	if more || len(found) == limit {
		from = found[len(found)-1].seq
	}
	if found = matching(found, query); len(found) > most {
		found, from = found[:most], found[most-1].seq
	}
	if err != nil {
		return nil, 0, err
	}
	registrations, err := s.withStates(ctx, found)
	return registrations, from, err
}

// pageRegistrations lists registrations as collectPage does.
func (s *Store) pageRegistrations(ctx context.Context, where string, args []any) (page []registrationRow, more bool, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+registrationColumns+` FROM registration r WHERE `+where, args...)
	return collectPage(rows, err, func(rows *sql.Rows) (row registrationRow, err error) {
		err = rows.Scan(row.into()...)
		row.open(s)
		return row, err
	}, func(row *registrationRow) int { return len(row.data) })
}

// matching are those of some registrations that contain a text.
func matching(found []registrationRow, query string) []registrationRow {
	if query == "" {
		return found
	}
	return slices.DeleteFunc(found, func(r registrationRow) bool {
		return r.lost != nil || !matches(query, r.subscriberKey, string(r.data))
	})
}

// registrationsOf are the portion of a list of the registrations of one person.
func (s *Store) registrationsOf(ctx context.Context, f onramp.Filter, where chosen, below int64) ([]onramp.Registration, int64, error) {
	found, reached, err := s.findOf(ctx, f.Query, where, below, lookUpTogether)
	if err != nil {
		return nil, 0, err
	}
	registrations, err := s.withStates(ctx, found)
	return slices.DeleteFunc(registrations, func(r onramp.Registration) bool { return f.State != "" && r.State.String() != f.State }), reached, err
}

// standsAt is the condition for the delivery that gives a registration its state; others of
// its deliveries may fulfil it, too.
var standsAt = map[onramp.RegistrationState]string{
	onramp.RegistrationHeld:       numbered(`d.state = {{held}}`),
	onramp.RegistrationQueued:     numbered(`d.state = {{pending}} AND d.step = 1 AND d.tries = 0`),
	onramp.RegistrationDelivering: numbered(`d.state = {{pending}} AND (d.step > 1 OR d.tries > 0)`),
	onramp.RegistrationDelivered:  numbered(`(d.state = {{delivered}} OR d.state = {{skipped}})`),
	onramp.RegistrationUnknown:    numbered(`d.state = {{unknown}}`),
	onramp.RegistrationFailed:     numbered(`(d.state = {{dead}} OR d.state = {{discarded}})`),
	onramp.RegistrationErased:     numbered(`d.state = {{erased}}`),
}

// registrationsIn are the portion of a list of those in a state: they are found by their
// deliveries, since most registrations are in another one.
func (s *Store) registrationsIn(ctx context.Context, state onramp.RegistrationState, where chosen, query string, below int64) ([]onramp.Registration, int64, error) {
	var seqs []int64
	var reached int64
	var err error
	if state == onramp.RegistrationFailed || state == onramp.RegistrationUnknown {
		seqs, reached, err = s.failedRegistrations(ctx, state, below)
	} else {
		seqs, reached, err = s.registrationsAt(ctx, standsAt[state], below)
	}
	if err != nil || len(seqs) == 0 {
		return nil, reached, err
	}
	where = where.portion("r.seq", reached, below)
	found, more, err := s.pageRegistrations(ctx, where.text+` AND r.seq IN (`+numberList(seqs)+`) ORDER BY r.seq DESC`, where.args)
	if err != nil {
		return nil, 0, err
	}
	if more {
		reached = found[len(found)-1].seq
	}
	registrations, err := s.withStates(ctx, matching(found, query))
	return slices.DeleteFunc(registrations, func(r onramp.Registration) bool { return r.State != state }), reached, err
}

// registrationsAt finds the registrations below a seq that have a delivery which fulfils
// a condition, and says how far down it has looked.
func (s *Store) registrationsAt(ctx context.Context, condition string, below int64) (seqs []int64, reached int64, err error) {
	if reached, err = s.portionFrom(ctx, "registration", below, s.looking.alone/2); err != nil {
		return nil, 0, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT d.registration_seq FROM delivery d
		WHERE d.seq >= (SELECT delivery_seq FROM registration WHERE seq >= $1 ORDER BY seq LIMIT 1)
		AND d.seq < (SELECT delivery_seq + steps FROM registration WHERE seq < $2 ORDER BY seq DESC LIMIT 1)
		AND d.event_seq IS NULL AND d.steps IS NULL AND `+condition+` ORDER BY d.seq DESC LIMIT `+strconv.Itoa(lookStates), reached, below)
	seqs, err = collect(rows, err, scanSeq)
	if len(seqs) == lookStates {
		reached = seqs[len(seqs)-1]
	}
	return slices.Compact(seqs), reached, err
}

func scanSeq(rows *sql.Rows) (seq int64, err error) {
	err = rows.Scan(&seq)
	return seq, err
}

// failedRegistrations does so for those that have failed, or whose answer was lost: there is
// an index of their deliveries.
func (s *Store) failedRegistrations(ctx context.Context, state onramp.RegistrationState, below int64) (seqs []int64, reached int64, err error) {
	var end sql.NullInt64
	err = s.readers.QueryRowContext(ctx, `SELECT delivery_seq + steps FROM registration WHERE seq < $1 ORDER BY seq DESC LIMIT 1`, below).Scan(&end)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 1, nil
	}
	if err != nil {
		return nil, 0, err
	}
	failed, from, err := s.failedBelow(ctx, end.Int64, lookStates)
	if err != nil || len(failed) == 0 {
		return nil, 1, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT d.registration_seq FROM delivery d
		WHERE d.seq IN (`+numberList(failed)+`) AND d.event_seq IS NULL AND d.steps IS NULL AND `+standsAt[state]+` ORDER BY d.seq DESC`)
	if seqs, err = collect(rows, err, scanSeq); err != nil || from <= 1 {
		return slices.Compact(seqs), 1, err
	}
	// the registration to which the last one belongs is for the next portion, as a whole
	reached, err = s.lastBelow(ctx, "registration", "delivery_seq", from+1)
	return slices.Compact(seqs), reached + 1, err
}

var listFailedBelow = listFailed + inFailedIndex + ` AND d.seq < $1 ORDER BY d.seq DESC LIMIT $2`

// failedBelow lists dead, unknown and discarded deliveries below a seq, the newest first, and
// how far down that is: to 1 when there are no more.
func (s *Store) failedBelow(ctx context.Context, below int64, most int) (seqs []int64, from int64, err error) {
	rows, err := s.readers.QueryContext(ctx, listFailedBelow, below, most)
	if seqs, err = collect(rows, err, scanSeq); len(seqs) < most {
		return seqs, 1, err
	}
	return seqs, seqs[len(seqs)-1], err
}

// withStates derives the states of registrations.
func (s *Store) withStates(ctx context.Context, found []registrationRow) ([]onramp.Registration, error) {
	if len(found) == 0 {
		return nil, nil
	}
	var seqs []int64
	for i := range found {
		for step := range int64(found[i].steps) {
			seqs = append(seqs, found[i].deliverySeq+step)
		}
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT registration_seq, step, state, tries FROM delivery WHERE seq IN (`+numberList(seqs)+`) ORDER BY seq`)
	deliveries, err := collect(rows, err, func(rows *sql.Rows) (d onramp.Delivery, err error) {
		err = rows.Scan(&d.RegistrationSeq, &d.Step, &d.State, &d.Tries)
		return d, err
	})
	if err != nil {
		return nil, err
	}
	of := map[int64][]onramp.Delivery{}
	for _, d := range deliveries {
		of[d.RegistrationSeq] = append(of[d.RegistrationSeq], d)
	}
	registrations := make([]onramp.Registration, len(found))
	for i := range found {
		registrations[i] = found[i].registration(s)
		if !found[i].isErased() {
			registrations[i].State = stateOf(of[found[i].seq])
		}
	}
	return registrations, nil
}

// invalidState is the error of a filter with a state that is none of the valid ones.
func invalidState[T fmt.Stringer](name string, valid []T) error {
	names := make([]string, len(valid))
	for i, state := range valid {
		names[i] = state.String()
	}
	return &onramp.Error{Kind: onramp.Malformed, Message: "invalid state " + strconv.Quote(name) + ": use " + strings.Join(names, ", ")}
}

// findOldest finds the oldest of the fresh deliveries and of the parked ones.
var findOldest = numbered(`SELECT
	(SELECT COALESCE(d.resent_at, e.received_at, r.received_at)` + fromDeliveries + `
		WHERE d.destination_id = $1 AND d.seq > (SELECT read_to FROM destination WHERE id = $1)
		AND d.state IN ({{waiting}}, {{pending}}) AND d.due_at IS NULL ORDER BY d.seq LIMIT 1),
	(SELECT MIN(COALESCE(d.resent_at, e.received_at, r.received_at))` + fromDeliveries + `
		WHERE d.destination_id = $1 AND d.due_at > 0)`)

// Oldest returns when the oldest registration was accepted that is still to be
// sent to a destination; zero when there is none. What is sent again counts from then
// on.
func (s *Store) Oldest(ctx context.Context, destination string) (time.Time, error) {
	id, _ := s.names.destination(destination)
	var fresh, parked sql.NullInt64
	err := s.readers.QueryRowContext(ctx, findOldest, id).Scan(&fresh, &parked)
	if err != nil {
		return time.Time{}, readerErr("find oldest delivery", err)
	}
	oldest, other := fromNull(fresh), fromNull(parked)
	if oldest.IsZero() || !other.IsZero() && other.Before(oldest) {
		oldest = other
	}
	return oldest, nil
}

// Timeline returns everything that happened to a registration, oldest first, or an
// error of kind NotFound.
func (s *Store) Timeline(ctx context.Context, id string) ([]onramp.TimelineItem, error) {
	r, err := s.FindRegistration(ctx, id)
	if err != nil {
		return nil, err
	}
	items := append([]onramp.TimelineItem{{At: r.ReceivedAt, What: "accepted", Detail: "form " + r.Form}}, holdItems(&r)...)
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		if d.Attempts, err = s.listAttempts(ctx, d.Seq); err != nil {
			return nil, readerErr("list attempts", err)
		}
		items = append(items, deliveryItems(d)...)
	}
	events, err := s.eventItems(ctx, &r)
	if err != nil {
		return nil, readerErr("list events of registration", err)
	}
	items = append(items, events...)
	consents, err := s.consentItems(ctx, &r)
	if err != nil {
		return nil, err
	}
	items = append(items, consents...)
	slices.SortStableFunc(items, func(a, b onramp.TimelineItem) int { return a.At.Compare(b.At) })
	return items, nil
}

// eventItems are the events about a registration and what they changed in its rows.
func (s *Store) eventItems(ctx context.Context, r *onramp.Registration) ([]onramp.TimelineItem, error) {
	events, err := s.eventsOf(ctx, r)
	if err != nil {
		return nil, err
	}
	late, err := s.lateItems(ctx, r)
	if err != nil {
		return nil, err
	}
	var items []onramp.TimelineItem
	for i := range events {
		e := &events[i]
		if !e.IsWithdrawal() { // of that the consent log tells
			items = append(items, onramp.TimelineItem{At: e.HappenedAt(), What: "event", Detail: e.Detail()})
		}
		items = append(items, late[e.Seq]...)
		changes, err := s.listDeliveries(ctx, `WHERE d.event_seq = $1 AND d.registration_seq = $2 ORDER BY d.seq`, e.Seq, r.Seq)
		if err != nil {
			return nil, err
		}
		for i := range changes {
			if changes[i].Attempts, err = s.listAttempts(ctx, changes[i].Seq); err != nil {
				return nil, err
			}
			items = append(items, deliveryItems(&changes[i])...)
		}
	}
	return items, nil
}

// lateItems say, by event, why the events about a registration that came too late have
// not changed its rows.
func (s *Store) lateItems(ctx context.Context, r *onramp.Registration) (map[int64][]onramp.TimelineItem, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT event_seq, destination_id, decided_at, detail FROM unchanged WHERE registration_seq = $1
		ORDER BY event_seq, destination_id LIMIT $2`, r.Seq, mostEvents)
	late := map[int64][]onramp.TimelineItem{}
	_, err = collect(rows, err, func(rows *sql.Rows) (item onramp.TimelineItem, err error) {
		var event, at int64
		var destination int
		err = rows.Scan(&event, &destination, &at, &item.Detail)
		item.At, item.What, item.Destination = fromMicros(at), "skipped", s.names.destinationName(destination)
		late[event] = append(late[event], item)
		return item, err
	})
	return late, err
}

// holdItems tell why a registration is or was held, and when it was confirmed.
func holdItems(r *onramp.Registration) (items []onramp.TimelineItem) {
	switch {
	case r.Hold.Reason != 0:
		detail := r.Hold.Reason.String()
		if r.Hold.Detail != "" {
			detail += "; " + r.Hold.Detail
		}
		items = append(items, onramp.TimelineItem{At: r.Hold.Since, What: "held", Detail: detail})
	case r.Asked:
		items = append(items, onramp.TimelineItem{At: r.ReceivedAt, What: "held", Detail: onramp.HoldConfirmation.String()})
	}
	if r.State == onramp.RegistrationErased {
		for i := range r.Deliveries {
			if d := &r.Deliveries[i]; d.Step == 1 {
				items = append(items, onramp.TimelineItem{At: d.SettledAt, What: "erased", Detail: d.Reason})
			}
		}
	}
	if !r.ConfirmedAt.IsZero() && r.State != onramp.RegistrationFailed {
		items = append(items, onramp.TimelineItem{At: r.ConfirmedAt, What: "confirmed"})
	}
	return items
}

func deliveryItems(d *onramp.Delivery) []onramp.TimelineItem {
	var items []onramp.TimelineItem
	for _, a := range d.Attempts {
		detail := a.Detail
		if a.Hint != "" {
			detail += "; " + a.Hint
		}
		items = append(items,
			onramp.TimelineItem{At: a.StartedAt, What: "attempt", Destination: d.Destination, Detail: "attempt " + strconv.Itoa(a.Number)},
			onramp.TimelineItem{At: a.StartedAt.Add(a.Took), What: a.Verdict.String(), Destination: d.Destination, Detail: detail})
	}
	switch d.State {
	case onramp.DeliveryUnknown:
		if n := len(d.Attempts); n > 0 && d.Attempts[n-1].Verdict == onramp.Unknown {
			break // the attempt has said so
		}
		fallthrough
	case onramp.DeliveryDead, onramp.DeliveryDiscarded, onramp.DeliverySkipped:
		items = append(items, onramp.TimelineItem{At: d.SettledAt, What: d.State.String(), Destination: d.Destination, Detail: d.Reason})
	}
	return items
}
