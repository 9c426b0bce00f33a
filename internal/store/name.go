package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"

	"onramp/internal/onramp"
)

// names maps the names of forms and destinations to the small integers that
// the large tables hold instead.
type names struct {
	mu           sync.RWMutex
	forms        map[string]int
	formNames    map[int]string
	destinations map[string]int
	destNames    map[int]string
	callbacks    map[string]int
	callbackBy   map[int]string

	upserting map[int]bool // destinations whose rows are written over; see onramp.Destination.Upserts
	shadowed  map[int]bool // of these, those that stand before a journey in a route
	several   map[int]bool // the same where one person may have several rows
}

func (n *names) load(ctx context.Context, q queryer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	if n.forms, n.formNames, err = listNames(ctx, q, `SELECT id, name FROM form`); err != nil {
		return err
	}
	if n.destinations, n.destNames, err = listNames(ctx, q, `SELECT id, name FROM destination`); err != nil {
		return err
	}
	n.callbacks, n.callbackBy, err = listNames(ctx, q, `SELECT id, name FROM callback`)
	return err
}

func listNames(ctx context.Context, q queryer, query string) (map[string]int, map[int]string, error) {
	rows, err := q.QueryContext(ctx, query)
	type named struct {
		id   int
		name string
	}
	all, err := collect(rows, err, func(rows *sql.Rows) (n named, err error) {
		err = rows.Scan(&n.id, &n.name)
		return n, err
	})
	byName, byID := map[string]int{}, map[int]string{}
	for _, n := range all {
		byName[n.name], byID[n.id] = n.id, n.name
	}
	return byName, byID, err
}

func (n *names) form(name string) (int, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.forms[name]
	return id, ok
}

func (n *names) formName(id int) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.formNames[id]
}

func (n *names) destination(name string) (int, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.destinations[name]
	return id, ok
}

func (n *names) destinationName(id int) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.destNames[id]
}

func (n *names) callback(name string) (int, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.callbacks[name]
	return id, ok
}

func (n *names) callbackName(id int) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.callbackBy[id]
}

// learn notes what a form says about the destinations of its route.
func (n *names) learn(f *onramp.Form) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.upserting == nil {
		n.upserting, n.shadowed, n.several = map[int]bool{}, map[int]bool{}, map[int]bool{}
	}
	for i, d := range f.Route {
		if !d.Upserts() {
			continue
		}
		if f.SeveralRows(d) {
			n.several[d.ID] = true
		}
		n.upserting[d.ID] = true
		if slices.ContainsFunc(f.Route[i:], func(later onramp.Destination) bool { return later.Kind == onramp.Journey }) {
			n.shadowed[d.ID] = true
		}
	}
}

// upserts says whether the deliveries to a destination write over each other.
func (n *names) upserts(destination int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.upserting[destination]
}

// severalRows says whether one person may have several rows in a destination.
func (n *names) severalRows(destination int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.several[destination]
}

// beforeJourney says whether that is so and a journey's event may write the same rows.
func (n *names) beforeJourney(destination int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.shadowed[destination]
}

// RegisterCallbacks makes the names of callbacks known to the database, so that
// events can be stored for them. Calling it again changes nothing.
func (s *Store) RegisterCallbacks(ctx context.Context, names []string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, name := range names {
			if err := t.exec(`INSERT INTO callback (id, name) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM callback), $1) ON CONFLICT (name) DO NOTHING`, name); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("register callbacks: %w", err)
	}
	return readerErr("load names", s.names.load(ctx, s.readers))
}

// ListSignedWith returns what SaveSignedWith has kept, by callback.
func (s *Store) ListSignedWith(ctx context.Context) (map[string]string, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT name, signed_with FROM callback WHERE signed_with IS NOT NULL`)
	signed := map[string]string{}
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var name, with string
		err = rows.Scan(&name, &with)
		signed[name] = with
		return none, err
	})
	return signed, readerErr("list how callbacks are signed", err)
}

// SaveSignedWith keeps by which signature key the batches of a callback are signed, as
// a digest. The callback must have been registered.
func (s *Store) SaveSignedWith(ctx context.Context, callback, digest string) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`UPDATE callback SET signed_with = $1 WHERE name = $2`, digest, callback)
	}})
}

// RegisterSinks makes the sinks' destinations known to the database and returns
// them with their ids filled in. Calling it again changes nothing.
func (s *Store) RegisterSinks(ctx context.Context, sinks []onramp.Destination) ([]onramp.Destination, error) {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, d := range sinks {
			if err := t.registerDestination(d); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("register sinks: %w", err)
	}
	if err := s.names.load(ctx, s.readers); err != nil {
		return nil, readerErr("load names", err)
	}
	registered := append([]onramp.Destination(nil), sinks...)
	for i := range registered {
		registered[i].ID, _ = s.names.destination(registered[i].Name())
	}
	return registered, nil
}

// registerDestination makes a destination known. A new one has nothing behind
// it: it reads from the newest delivery on.
func (t *tx) registerDestination(d onramp.Destination) error {
	return t.exec(`INSERT INTO destination (id, name, read_to) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM destination), $1, $2)
		ON CONFLICT (name) DO NOTHING`, d.Name(), t.deliverySeq)
}

// RegisterForms makes the forms and their destinations known to the database
// and returns the forms with the ids of their destinations and the database's
// secret filled in. Calling it again changes nothing.
func (s *Store) RegisterForms(ctx context.Context, forms []onramp.Form) ([]*onramp.Form, error) {
	secret, err := s.keySecret(ctx, forms)
	if err != nil {
		return nil, err
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, f := range forms {
			if err := t.exec(`INSERT INTO form (id, name) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM form), $1) ON CONFLICT (name) DO NOTHING`, f.Name); err != nil {
				return err
			}
			if err := t.registerConsent(&f); err != nil {
				return err
			}
			for _, d := range f.Destinations() {
				if err := t.registerDestination(d); err != nil {
					return err
				}
			}
		}
		return nil
	}})
	if err != nil {
		return nil, wrapUnlessKnown("register forms", err)
	}
	if err := s.names.load(ctx, s.readers); err != nil {
		return nil, readerErr("load names", err)
	}
	registered := make([]*onramp.Form, len(forms))
	for i, f := range forms {
		f.Route = append([]onramp.Destination(nil), f.Route...)
		for j := range f.Route {
			f.Route[j].ID, _ = s.names.destination(f.Route[j].Name())
		}
		if f.DoubleOptIn != nil {
			own := *f.DoubleOptIn
			own.Confirmation.ID, _ = s.names.destination(own.Confirmation.Name())
			f.DoubleOptIn = &own
		}
		s.names.learn(&f)
		registered[i] = onramp.NewForm(f, secret)
	}
	return registered, nil
}
