package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
	"onramp/internal/store/personal"
)

// personOfErasure is whose key encrypts what Marketing Cloud must be told during a run: it is
// destroyed when the run ends.
func personOfErasure(id string) string { return "erasure\x00" + id }

func placeOfErasure(id string) string { return "erasure/" + id + "/targets" }

// holdings is what is stored of one person.
type holdings struct {
	registrations map[int64]registrationRow
	events        map[int64]onramp.Event
	keys          []string // subscriber keys
	sends         map[string]bool
}

// FindSubject tells what is stored of a person: see erasure.Store. each may be nil.
func (s *Store) FindSubject(
	ctx context.Context, subject erasure.Subject, owns func(*onramp.Registration) bool, each func(onramp.Delivery) error,
) (found erasure.Found, err error) {
	h, err := s.findHoldings(ctx, subject.Email+subject.SubscriberKey, owns)
	if err != nil {
		return found, wrapUnlessKnown("find what is stored of a person", err)
	}
	found.Registrations, found.Events = int64(len(h.registrations)), int64(len(h.events))
	found.SubscriberKeys, found.Sends = h.keys, slices.Sorted(maps.Keys(h.sends))
	if subject.Email != "" {
		found.Addresses = []string{subject.Email}
	}
	for _, seq := range slices.Sorted(maps.Keys(h.registrations)) {
		row := h.registrations[seq]
		found.IDs = append(found.IDs, row.id)
		if err := s.countOf(ctx, &row, &found, each); err != nil {
			return found, err
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(h.events)) {
		e := h.events[seq]
		found.EventIDs = append(found.EventIDs, e.ID)
	}
	found.Persons = s.personsOf(h, subject)
	found.Work, err = json.Marshal(s.workOf(h))
	return found, err
}

// findHoldings follows a person by an address or a subscriber key, and then by the subscriber
// keys of what it has found.
func (s *Store) findHoldings(ctx context.Context, text string, owns func(*onramp.Registration) bool) (*holdings, error) {
	h := &holdings{registrations: map[int64]registrationRow{}, events: map[int64]onramp.Event{}, sends: map[string]bool{}}
	own := func(r *onramp.Registration) bool { return owns(r) || h.hasKey(r.SubscriberKey) }
	for texts := []string{text}; len(texts) > 0; texts = texts[1:] {
		known := len(h.keys)
		if err := s.addRegistrations(ctx, h, texts[0], own); err != nil {
			return nil, err
		}
		texts = append(texts, slices.DeleteFunc(slices.Clone(h.keys[known:]), func(key string) bool { return onramp.SamePerson(key, text) })...)
	}
	return h, s.addEvents(ctx, h, append(slices.Clone(h.keys), text))
}

func (h *holdings) hasKey(key string) bool {
	return slices.ContainsFunc(h.keys, func(one string) bool { return onramp.SamePerson(one, key) })
}

func (s *Store) addRegistrations(ctx context.Context, h *holdings, text string, own func(*onramp.Registration) bool) error {
	for below := int64(math.MaxInt64); below > 1; {
		rows, reached, err := s.findOf(ctx, text, chosen{}, below, lookUpTogether)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if r := row.registration(s); !own(&r) {
				continue
			}
			h.registrations[row.seq] = row
			if row.subscriberKey != "" && !h.hasKey(row.subscriberKey) {
				h.keys = append(h.keys, row.subscriberKey)
			}
		}
		below = reached
	}
	return nil
}

// addEvents adds the events about a person: by subscriber key, by the messages that the
// registrations have sent, and engagement by its send.
func (s *Store) addEvents(ctx context.Context, h *holdings, keys []string) error {
	isOf := func(e *onramp.Event) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return onramp.SamePerson(e.SubscriberKey, key) })
	}
	for _, key := range keys {
		if err := s.addEventsBy(ctx, h, onramp.SubscriberPerson(key), isOf); err != nil {
			return err
		}
	}
	for _, row := range h.registrations {
		ours := func(e *onramp.Event) bool { id, sent := e.Registration(); return sent && id == row.id }
		if err := s.addEventsBy(ctx, h, onramp.MessagePerson(row.id), ours); err != nil {
			return err
		}
	}
	for send := range maps.Clone(h.sends) {
		engaged := func(e *onramp.Event) bool { return e.Send == send && (e.SubscriberKey == "" || isOf(e)) }
		if err := s.addEventsBy(ctx, h, onramp.SendKey(send), engaged); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) addEventsBy(ctx context.Context, h *holdings, key int64, isOf func(*onramp.Event) bool) error {
	for after := int64(0); ; {
		page, err := s.eventsByKey(ctx, s.hashing.event(key), ` AND e.seq > $2`, mostEvents, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if e := &page[i]; isOf(e) {
				h.events[e.Seq] = *e
				if e.Send != "" {
					h.sends[e.Send] = true
				}
			}
		}
		after = page[len(page)-1].Seq
	}
}

// countOf counts the deliveries of a registration, and shows those to data extensions.
func (s *Store) countOf(ctx context.Context, row *registrationRow, found *erasure.Found, each func(onramp.Delivery) error) error {
	deliveries, err := s.listDeliveries(ctx, `WHERE d.registration_seq = $1 AND d.event_seq IS NULL AND (d.seq >= $2 AND d.seq < $3 OR d.steps IS NOT NULL)`,
		row.seq, row.deliverySeq, row.deliverySeq+int64(row.steps))
	if err != nil {
		return readerErr("list deliveries of a person", err)
	}
	for i := range deliveries {
		d := &deliveries[i]
		found.Deliveries++
		switch d.State {
		case onramp.DeliveryWaiting, onramp.DeliveryPending, onramp.DeliveryHeld:
			found.OnTheirWay++
		}
		if each != nil && onramp.KindOf(d.Destination) == onramp.DataExtension {
			if err := each(*d); err != nil {
				return err
			}
		}
	}
	return nil
}

// personsOf are those whose keys encrypt what is stored of a person.
func (s *Store) personsOf(h *holdings, subject erasure.Subject) []string {
	all := map[string]bool{personal.Fold(subject.Email + subject.SubscriberKey): true}
	for _, key := range h.keys {
		all[personal.Fold(key)] = true
	}
	for _, e := range h.events {
		all[personal.Fold(personOfEvent(&e))] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func (s *Store) workOf(h *holdings) *work {
	w := &work{Registrations: slices.Sorted(maps.Keys(h.registrations)), Events: slices.Sorted(maps.Keys(h.events))}
	lookUps := map[int64]bool{}
	for _, row := range h.registrations {
		for _, hash := range s.hashing.lookUpHashes(row.subscriberKey, valuesOf(row.data, row.byField)) {
			lookUps[hash] = true
		}
	}
	w.LookUps = slices.Sorted(maps.Keys(lookUps))
	for _, key := range h.keys {
		w.Persons = append(w.Persons, s.hashing.orderingKey(key))
		w.Digests = append(w.Digests, s.hashing.digest(key))
	}
	return w
}

// BeginErasure keeps a run, and destroys the keys of its person: see erasure.Store.
func (s *Store) BeginErasure(ctx context.Context, r *erasure.Run, found *erasure.Found, targets []byte) (late time.Time, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return late, err
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		late = fromMicros(s.lateUntil(t.now))
		var jobs int64
		if _, err := t.find(`SELECT COUNT(*) FROM job`, nil, &jobs); err != nil {
			return err
		}
		if jobs > 0 { // one may have a row of the person
			late = t.now.Add(longestAsyncJob)
		}
		sealed, err := s.protect(s.leafOf(personOfErasure(r.ID)), string(targets), placeOfErasure(r.ID))
		if err != nil {
			return err
		}
		if s.vault != nil && r.Kind == erasure.Erase {
			if err := t.destroy(found.Persons); err != nil {
				return err
			}
		}
		work := found.Work
		if r.Kind != erasure.Erase {
			work = json.RawMessage(`{}`)
		}
		return t.exec(`INSERT INTO erasure (id, began_at, late_until, run, work, position, targets) VALUES ($1, $2, $3, $4, $5, 0, $6)`,
			r.ID, micros(r.BeganAt), micros(late), string(text), string(work), sealed)
	}})
	return late, wrapUnlessKnown("begin erasure", err)
}

// FindTargets returns what BeginErasure was given.
func (s *Store) FindTargets(ctx context.Context, id string) ([]byte, error) {
	var sealed []byte
	err := s.readers.QueryRowContext(ctx, `SELECT targets FROM erasure WHERE id = $1`, id).Scan(&sealed)
	if err != nil {
		return nil, readerErr("find what Marketing Cloud must be told", err)
	}
	targets, _, err := s.reveal(sealed, placeOfErasure(id))
	if errors.Is(err, personal.ErrErased) {
		return []byte(`{}`), nil
	}
	return targets, err
}
