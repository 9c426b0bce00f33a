package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store/personal"
)

// withoutErased takes out of events what they tell of persons who were erased, so that a late
// one brings nobody back: it stays known by its identity, and goes to no sink. Who has
// registered again since is a new person, and so are the events.
func (s *Store) withoutErased(ctx context.Context, events []onramp.Event) ([]onramp.Event, error) {
	if s.vault == nil || s.vault.State().Erased() == 0 {
		return events, nil
	}
	rest := make([]onramp.Event, len(events))
	for i := range events {
		rest[i] = events[i]
		if !s.WasErased(personOfEvent(&events[i])) {
			continue
		}
		back, err := s.hasReturned(ctx, events[i].SubscriberKey)
		if err != nil {
			return nil, err
		}
		if !back {
			rest[i] = blankEvent(&events[i])
		}
	}
	return rest, nil
}

// hasReturned says whether a person who was erased has registered again.
func (s *Store) hasReturned(ctx context.Context, subscriberKey string) (bool, error) {
	if subscriberKey == "" {
		return false, nil
	}
	found, _, err := s.findOf(ctx, subscriberKey, chosen{}, math.MaxInt64, lookUpTogether) // erased ones have no key any more
	return len(found) > 0, err
}

// blankEvent is what is kept of an event about nobody who may be known.
func blankEvent(e *onramp.Event) onramp.Event {
	body, _ := json.Marshal(map[string]string{"eventCategoryType": e.Type}) // a text can always be written
	return onramp.Event{
		ID: e.ID, Identity: e.Identity, Callback: e.Callback, Type: e.Type, At: e.At, ReceivedAt: e.ReceivedAt, Body: body, Unproven: e.Unproven,
	}
}

// ErasedAt is when a person was last erased, by subscriber key or address; zero if never.
func (s *Store) ErasedAt(ctx context.Context, person string) (time.Time, error) {
	if !s.WasErased(person) {
		return time.Time{}, nil
	}
	var at int64
	err := s.readers.QueryRowContext(ctx, `SELECT erased_at FROM tombstone WHERE digest = $1`, s.vault.State().Tombstone(personal.Fold(person)).Digest).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return s.now(), nil // a restored database doesn't know when; its keys know that
	}
	return fromMicros(at), readerErr("find when a person was erased", err)
}
