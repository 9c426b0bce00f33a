package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"

	"onramp/internal/onramp"
)

// watchers are the requests that wait for a registration to settle.
type watchers struct {
	mu      sync.Mutex
	waiting map[string][]chan onramp.RegistrationState
}

// add registers a watcher once the transaction is on disk. The channel has room
// for its one value, so that nobody has to be there to receive it.
func (w *watchers) add(t *tx, id string) <-chan onramp.RegistrationState {
	settled := make(chan onramp.RegistrationState, 1)
	t.after = append(t.after, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.waiting == nil {
			w.waiting = map[string][]chan onramp.RegistrationState{}
		}
		w.waiting[id] = append(w.waiting[id], settled)
	})
	return settled
}

func (t *tx) watchAll(fresh []*acceptance) {
	for _, a := range fresh {
		if a.watch {
			a.outcome = t.store.watchers.add(t, a.registration.ID)
		}
	}
}

// outcome is how a registration ended.
type outcome struct {
	id    string
	state onramp.RegistrationState
}

// settled notifies a registration's watchers of its outcome, once that is on disk.
func (w *watchers) settled(t *tx, id string, state onramp.RegistrationState) {
	if len(t.outcomes) == 0 {
		t.after = append(t.after, func() { w.notify(t.outcomes) })
	}
	t.outcomes = append(t.outcomes, outcome{id, state})
}

func (w *watchers) notify(outcomes []outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return
	}
	for _, o := range outcomes {
		for _, c := range w.waiting[o.id] {
			c <- o.state
		}
		delete(w.waiting, o.id)
	}
}

// reload notifies the watchers of what was settled by a commit whose answer was
// lost.
func (w *watchers) reload(ctx context.Context, q queryer) error {
	w.mu.Lock()
	ids := slices.Collect(maps.Keys(w.waiting))
	w.mu.Unlock()
	for _, id := range ids {
		rows, err := q.QueryContext(ctx, `SELECT d.step, d.state, d.tries FROM registration r
			JOIN delivery d ON d.seq >= r.delivery_seq AND d.seq < r.delivery_seq + r.steps WHERE r.id = $1 ORDER BY d.seq`, id)
		steps, err := collect(rows, err, func(rows *sql.Rows) (d onramp.Delivery, err error) {
			return d, rows.Scan(&d.Step, &d.State, &d.Tries)
		})
		if err != nil || len(steps) == 0 {
			return err
		}
		switch state := stateOf(steps); state {
		case onramp.RegistrationDelivered, onramp.RegistrationFailed:
			w.notify([]outcome{{id, state}})
		}
	}
	return nil
}

// Forget ends the watch of a request that waits no longer.
func (s *Store) Forget(id string, outcome <-chan onramp.RegistrationState) {
	w := &s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.waiting[id] {
		if c == outcome {
			w.waiting[id] = append(w.waiting[id][:i], w.waiting[id][i+1:]...)
			break
		}
	}
	if len(w.waiting[id]) == 0 {
		delete(w.waiting, id)
	}
}

// wakeUp says what there may be to read for a destination.
type wakeUp uint8

const (
	freshUp wakeUp = 1 << iota // new deliveries, behind the cursor
	dueUp                      // a parked delivery has become due out of turn
)

// wakeChannels wake the reader of a destination.
type wakeChannels struct{ fresh, due chan struct{} }

// Wake gives two channels of a destination. fresh yields a value when there may be
// new deliveries, due when a parked one may have become due earlier than ListDue has
// said.
func (s *Store) Wake(destination int) (fresh, due <-chan struct{}) {
	c := s.wakeChannels(destination)
	return c.fresh, c.due
}

func (s *Store) wakeChannels(destination int) wakeChannels {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.wake[destination]
	if !ok {
		c = wakeChannels{make(chan struct{}, 1), make(chan struct{}, 1)}
		s.wake[destination] = c
	}
	return c
}

// wakeAfter wakes the destinations' readers once the transaction is on disk.
func (t *tx) wakeAfter(woken map[int]wakeUp) {
	seq := t.deliverySeq
	t.after = append(t.after, func() {
		t.store.advanceTo(seq)
		for destination, what := range woken {
			c := t.store.wakeChannels(destination)
			if what&freshUp != 0 {
				signal(c.fresh)
			}
			if what&dueUp != 0 {
				signal(c.due)
			}
		}
	})
}

// signal makes a channel yield a value.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}

// wakeAll wakes the readers of all destinations, when it is not known which of them
// have something to read.
func (s *Store) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.wake {
		signal(c.fresh)
		signal(c.due)
	}
}

// advanceTo notes the seq of the newest committed delivery.
func (s *Store) advanceTo(seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSeq = max(s.lastSeq, seq)
}

// newest returns the seq of the newest committed delivery.
func (s *Store) newest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSeq
}

// Events yields a value when there may be new events.
func (s *Store) Events() <-chan struct{} { return s.events }

// eventsCame notes the seq of the newest committed event.
func (s *Store) eventsCame(seq int64) {
	s.mu.Lock()
	s.lastEvent = max(s.lastEvent, seq)
	s.mu.Unlock()
	signal(s.events)
	signal(s.unindexed)
}

// newestEvent returns the seq of the newest committed event.
func (s *Store) newestEvent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastEvent
}
