package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"

	"onramp/internal/onramp"
)

// tallyKey names one count: deliveries of a destination by state, or, with
// destination 0, registrations by state.
type tallyKey struct {
	destination int
	state       uint8
}

// eventTally counts the events that came to a callback.
type eventTally struct {
	stored   int64
	repeated int64 // which were stored before
}

// tallies are the counts of everything by state, and of events by the id of their
// callback. They are written in the transaction that changes what they count, so
// that a status costs nothing however much is stored.
type tallies struct {
	mu     sync.Mutex
	n      map[tallyKey]int64
	events map[int]eventTally
}

func (a *tallies) load(ctx context.Context, q queryer) error {
	rows, err := q.QueryContext(ctx, `SELECT destination_id, state, n FROM tally`)
	type tally struct {
		tallyKey
		n int64
	}
	all, err := collect(rows, err, func(rows *sql.Rows) (t tally, err error) {
		err = rows.Scan(&t.destination, &t.state, &t.n)
		return t, err
	})
	if err != nil {
		return err
	}
	events, err := listEventTallies(ctx, q)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n, a.events = map[tallyKey]int64{}, events
	for _, t := range all {
		a.n[t.tallyKey] = t.n
	}
	return nil
}

func listEventTallies(ctx context.Context, q queryer) (map[int]eventTally, error) {
	rows, err := q.QueryContext(ctx, `SELECT callback_id, stored, repeated FROM event_tally`)
	type tally struct {
		callback int
		eventTally
	}
	all, err := collect(rows, err, func(rows *sql.Rows) (t tally, err error) {
		err = rows.Scan(&t.callback, &t.stored, &t.repeated)
		return t, err
	})
	events := map[int]eventTally{}
	for _, t := range all {
		events[t.callback] = t.eventTally
	}
	return events, err
}

// count gives one count, as of the last commit.
func (a *tallies) count(k tallyKey) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n[k]
}

// apply takes in what a committed transaction has counted.
func (a *tallies) apply(t *tx) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == nil {
		return // the lease is taken before they are loaded
	}
	for k, n := range t.tally {
		a.n[k] += n
	}
	for callback, n := range t.eventTally {
		a.events[callback] = a.events[callback].plus(n)
	}
}

func (a eventTally) plus(b eventTally) eventTally {
	return eventTally{a.stored + b.stored, a.repeated + b.repeated}
}

func (t *tx) saveTallies() error {
	for k, n := range t.tally {
		if n == 0 {
			continue
		}
		err := t.exec(`INSERT INTO tally (destination_id, state, n) VALUES ($1, $2, $3)
			ON CONFLICT (destination_id, state) DO UPDATE SET n = tally.n + excluded.n`, k.destination, k.state, n)
		if err != nil {
			return err
		}
	}
	for callback, n := range t.eventTally {
		err := t.exec(`INSERT INTO event_tally (callback_id, stored, repeated) VALUES ($1, $2, $3)
			ON CONFLICT (callback_id) DO UPDATE SET stored = event_tally.stored + excluded.stored,
				repeated = event_tally.repeated + excluded.repeated`, callback, n.stored, n.repeated)
		if err != nil {
			return err
		}
	}
	return nil
}

// countEvents counts events that came to a callback.
func (t *tx) countEvents(callback int, stored, repeated int64) {
	if t.eventTally == nil {
		t.eventTally = map[int]eventTally{}
	}
	t.eventTally[callback] = t.eventTally[callback].plus(eventTally{stored, repeated})
}

// moveDelivery counts a delivery's change of state; 0 stands for nowhere.
func (t *tx) moveDelivery(destination int, from, to onramp.DeliveryState) {
	if from != 0 {
		t.tally[tallyKey{destination, uint8(from)}]--
	}
	if to != 0 {
		t.tally[tallyKey{destination, uint8(to)}]++
	}
}

// moveRegistration counts a registration's change of state; 0 stands for nowhere.
func (t *tx) moveRegistration(from, to onramp.RegistrationState) {
	if from != 0 {
		t.tally[tallyKey{0, uint8(from)}]--
	}
	if to != 0 {
		t.tally[tallyKey{0, uint8(to)}]++
	}
}

// moveRegistrationOf counts the change of a registration's state that follows from a
// delivery's, and notifies its watchers. What events have brought doesn't change it, and
// neither does what is sent again.
func (t *tx) moveRegistrationOf(d *onramp.Delivery, from, to onramp.RegistrationState) {
	if d.Event != nil || d.Run != 0 {
		return
	}
	t.moveRegistration(from, to)
	if to == onramp.RegistrationDelivered || to == onramp.RegistrationFailed {
		t.store.watchers.settled(t, d.RegistrationID, to)
	}
}

// Count returns the counts as of the last commit.
func (s *Store) Count() onramp.Counts {
	s.tallies.mu.Lock()
	n, events := maps.Clone(s.tallies.n), maps.Clone(s.tallies.events)
	s.tallies.mu.Unlock()
	c := onramp.Counts{
		Registrations: map[onramp.RegistrationState]int64{}, Deliveries: map[string]map[onramp.DeliveryState]int64{},
		Events: map[string]int64{}, Repeated: map[string]int64{},
	}
	for callback, n := range events {
		name := s.names.callbackName(callback)
		c.Events[name], c.Repeated[name] = n.stored, n.repeated
	}
	delete(n, commits)
	for k, n := range n {
		if k.destination == 0 {
			c.Registrations[onramp.RegistrationState(k.state)] = n
			continue
		}
		name := s.names.destinationName(k.destination)
		if c.Deliveries[name] == nil {
			c.Deliveries[name] = map[onramp.DeliveryState]int64{}
		}
		c.Deliveries[name][onramp.DeliveryState(k.state)] = n
	}
	return c
}

// Destinations lists the names of all destinations that ever were, sorted.
func (s *Store) Destinations() []string {
	s.names.mu.RLock()
	defer s.names.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.names.destinations))
}
