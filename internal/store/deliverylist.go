package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"onramp/internal/onramp"
)

// ListDeliveries returns deliveries without their attempts, newest first, and
// the rest as ListRegistrations does. "sending" and "submitted" are known to the
// pump only: here such a delivery is "pending".
func (s *Store) ListDeliveries(ctx context.Context, f onramp.Filter) (page []onramp.Delivery, next string, looked time.Time, err error) {
	l := look[onramp.Delivery]{limit: limit(f), seq: func(d *onramp.Delivery) int64 { return d.Seq }, size: deliverySize}
	if l.below, err = before(f); err != nil {
		return nil, "", looked, err
	}
	where, failed, err := s.chosenDeliveries(f)
	if err != nil {
		return nil, "", looked, err
	}
	if f.State != "" && !s.anyDelivery(f) {
		return nil, "", looked, nil
	}
	rows := s.looking.alone
	if f.Form != "" || f.Query != "" || !f.Since.IsZero() || !f.Until.IsZero() {
		rows = s.looking.joined
	}
	l.portion = func(ctx context.Context, below int64, most int) ([]onramp.Delivery, int64, error) {
		if failed {
			return s.failedDeliveries(ctx, where, f.Query, below, most)
		}
		from, err := s.portionFrom(ctx, "delivery", below, rows)
		if err != nil {
			return nil, 0, err
		}
		return s.portionOfDeliveries(ctx, where.portion("d.seq", from, below), f.Query, from, most)
	}
	if l.end, err = s.firstDelivery(ctx, f.Since); err == nil {
		page, next, looked, err = lookPage(ctx, s, &l, lookedToDelivery)
	}
	if err == nil {
		err = s.nameWaitedFor(ctx, page)
	}
	return page, next, looked, readerErr("list deliveries", err)
}

// chosenDeliveries is the condition of a filter. failed says that all that match are in the
// index of the failed deliveries.
func (s *Store) chosenDeliveries(f onramp.Filter) (where chosen, failed bool, err error) {
	form, destination, err := s.names.namedBy(f)
	if err != nil {
		return where, false, err
	}
	if f.State != "" {
		states := storedStates(f.State)
		if states == nil {
			return where, false, invalidState(f.State, onramp.DeliveryStates())
		}
		failed = states[0] == onramp.DeliveryDead || states[0] == onramp.DeliveryDiscarded || states[0] == onramp.DeliveryUnknown
		where.and(`(d.state = ? OR d.state = ?)`, uint8(states[0]), uint8(states[len(states)-1]))
	}
	if f.Cause != "" {
		where.and(`d.cause = ?`, storable(f.Cause))
		failed = true // only what has failed has a cause
	}
	if destination != 0 {
		where.and(`d.destination_id = ?`, destination)
	}
	if form != 0 {
		where.and(`r.form_id = ?`, form)
	}
	where.within("COALESCE(e.received_at, r.received_at)", f.Since, f.Until)
	return where, failed, nil
}

// storedStates are the states as which deliveries in a public state are stored; none when there is
// no such state.
func storedStates(name string) []onramp.DeliveryState {
	switch state, known := onramp.ParseDeliveryState(name); {
	case !known:
		return nil
	case state == onramp.DeliveryWaiting:
		return []onramp.DeliveryState{onramp.DeliveryWaiting, onramp.DeliveryOutOfReach}
	case state == onramp.DeliverySending || state == onramp.DeliverySubmitted:
		return []onramp.DeliveryState{onramp.DeliveryPending} // the rest is known to the pump only
	default:
		return []onramp.DeliveryState{state}
	}
}

// anyDelivery says whether there is any delivery in the state of a filter, by the counts.
func (s *Store) anyDelivery(f onramp.Filter) bool {
	for destination, counts := range s.Count().Deliveries {
		for _, state := range storedStates(f.State) {
			if counts[state] > 0 && (f.Destination == "" || f.Destination == destination) {
				return true
			}
		}
	}
	return false
}

// firstDelivery is the lowest seq of deliveries whose registration or event was received
// after a time. Those that an event has caused are stored after it, and not before.
func (s *Store) firstDelivery(ctx context.Context, since time.Time) (seq int64, err error) {
	if since.IsZero() {
		return 1, nil
	}
	end, _, err := s.period(ctx, "registration", since, time.Time{})
	if err != nil {
		return 0, err
	}
	err = s.readers.QueryRowContext(ctx, `SELECT COALESCE(MAX(delivery_seq), 1) FROM registration
		WHERE seq = (SELECT MAX(seq) FROM registration WHERE seq < $1)`, end).Scan(&seq)
	return seq, err
}

// failedDeliveries are the portion of a list of those in the index of failed deliveries.
func (s *Store) failedDeliveries(ctx context.Context, where chosen, query string, below int64, most int) ([]onramp.Delivery, int64, error) {
	seqs, from, err := s.failedBelow(ctx, below, s.looking.joined)
	if err != nil || len(seqs) == 0 {
		return nil, 1, err
	}
	where = where.portion("d.seq", from, below)
	where.and(`d.seq IN (` + numberList(seqs) + `)`)
	return s.portionOfDeliveries(ctx, where, query, from, most)
}

func (s *Store) portionOfDeliveries(ctx context.Context, where chosen, query string, from int64, most int) ([]onramp.Delivery, int64, error) {
	limit := most
	if query != "" {
		limit = s.looking.joined // what contains the text is only known when it is read
	}
	found, more, err := s.pageDeliveries(ctx, `WHERE `+where.text+` ORDER BY d.seq DESC LIMIT `+strconv.Itoa(limit), where.args...)
	if more {
		from = found[len(found)-1].Seq
	}
	if query != "" {
		found = slices.DeleteFunc(found, func(d onramp.Delivery) bool { return !contains(&d, query) })
	}
	if len(found) > most {
		found, from = found[:most], found[most-1].Seq
	}
	return found, from, err
}

// contains says whether anything that a delivery brings contains a text.
func contains(d *onramp.Delivery, query string) bool {
	if d.Unreadable != nil {
		return false
	}
	texts := []string{d.SubscriberKey, string(d.Values)}
	if d.Event != nil {
		texts = append(texts, string(d.Event.Body))
	}
	if d.Of != nil {
		texts = append(texts, string(d.Of.Values))
	}
	return matches(query, texts...)
}
