package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// The statements of the readers, for the test of their plans.
var (
	ListFreshQuery   = listFresh
	ListDueQuery     = listDue
	ListStrayQuery   = listStray
	NextDueQuery     = nextDue
	ListWaitingQuery = listWaiting
	ListedQuery, _   = new(newListed(sqliteDialect)).fit(8)
	InFailedIndex    = inFailedIndex
	EventsQuery      = `SELECT ` + eventColumns + ` FROM event e ` + byEventKey + ` AND e.received_at >= $2 ORDER BY e.seq LIMIT $3`
)

// How much is read at once.
const (
	PageBytes = pageBytes
)

// MigrateTo takes the first n steps of the migrations, for a database as an older
// onramp has left it.
func MigrateTo(ctx context.Context, db *sql.DB, driver string, n int) error {
	d := sqliteDialect
	if driver == "pgx" {
		d = postgresDialect
	}
	return migrate(ctx, db, d, migrations[:n])
}

// WithFreeze has keys moved to their tables sooner.
func WithFreeze(c Config, keys int, registrations int64) Config {
	c.freeze = freeze{keys, registrations}
	return c
}

// WithLargestCheck has larger files checked in the background.
func WithLargestCheck(c Config, size int64) Config {
	c.largestCheck = size
	return c
}

// Alone has nothing go on in the background that could mend what a test looks for.
func Alone(c Config) Config {
	c.alone = true
	return c
}

// WithLease has leases of another life.
func WithLease(c Config, life time.Duration) Config {
	c.lease = life
	return c
}

// WithAcceptWithin has registrations wait for another time than the usual one.
func WithAcceptWithin(c Config, limit time.Duration) Config {
	c.acceptWithin = limit
	return c
}

// HoldUp keeps the writer from its work until it is released: the group that it is
// in has begun, and waits.
func (s *Store) HoldUp(ctx context.Context) (release func()) {
	begun, released, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.writer.write(ctx, &op{run: func(*tx) error {
			close(begun)
			<-released
			return nil
		}})
	}()
	<-begun
	return func() {
		close(released)
		<-ended
	}
}

// HoldUpNext does so in the group after the one that is held up already, in which
// the writes share its fate. It returns when they have queued.
func (s *Store) HoldUpNext(ctx context.Context, writes int) (begun <-chan struct{}, release func()) {
	started, released := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.writer.write(ctx, &op{run: func(*tx) error {
			close(started)
			<-released
			return nil
		}})
	}()
	s.Queued(ctx, writes+1)
	return started, func() { close(released) }
}

// Queued waits until so many writes wait for the writer.
func (s *Store) Queued(ctx context.Context, writes int) {
	for len(s.writer.queue) < writes && ctx.Err() == nil {
		runtime.Gosched()
	}
}

// CutOff leaves the store as a node that has lost its connection to the others:
// its lease is renewed no more, and its lock is gone. It goes on believing that
// all is its own.
func (s *Store) CutOff() error {
	s.lease.stop()
	s.lease.lose() // so that it is not given back
	if s.own == nil {
		return nil
	}
	return s.own.Unlock()
}

// Partitions is how many rows the lease table has.
const Partitions = partitions

// WriterStatements lists every statement that the writer has prepared.
func (s *Store) WriterStatements(ctx context.Context) ([]string, error) {
	var texts []string
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		texts = slices.Sorted(maps.Keys(t.session.statements))
		return nil
	}})
	return texts, err
}

// WriterExec runs a statement on the writer's connection and outside of a
// transaction.
func (s *Store) WriterExec(ctx context.Context, statement string) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		if err := t.exec("ROLLBACK"); err != nil {
			return err
		}
		if _, err := t.session.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
		return t.exec(t.store.dialect.begin)
	}})
}

// Together has writes committed as one group, and returns their errors.
func (s *Store) Together(ctx context.Context, writes ...func() error) []error {
	begun, release := make(chan struct{}), make(chan struct{})
	go func() {
		// holds the writer up until the others have queued
		_ = s.writer.write(ctx, &op{run: func(*tx) error {
			close(begun)
			<-release
			return nil
		}})
	}()
	<-begun
	errs := make([]error, len(writes))
	var writing sync.WaitGroup
	for i, write := range writes {
		writing.Go(func() { errs[i] = write() })
		for len(s.writer.queue) <= i && ctx.Err() == nil {
			runtime.Gosched()
		}
	}
	close(release)
	writing.Wait()
	return errs
}

// HoldWriter keeps the writer from going on until release is called.
func (s *Store) HoldWriter(ctx context.Context) (release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.writer.write(ctx, &op{run: func(*tx) error {
			close(begun)
			<-end
			return nil
		}})
	}()
	<-begun
	return sync.OnceFunc(func() { close(end) })
}

// ErrRefused is what Refuse is answered with.
var ErrRefused = errors.New("refused")

// Refuse is a write that fails by its own fault.
func (s *Store) Refuse(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(*tx) error { return ErrRefused }})
}

// CommitEarly has the group's commit carried out and then fail, as when the
// connection is lost between a COMMIT and its answer. SQLite only.
func (s *Store) CommitEarly(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec("COMMIT") }})
}

// WriterQuery compares what a query gives on the writer's connection.
func (s *Store) WriterQuery(ctx context.Context, query, want string) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		var got string
		if _, err := t.find(query, nil, &got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is %s, want %s", query, got, want)
		}
		return nil
	}})
}

// LookFor has pages of lists end early after another time than the usual one.
func (s *Store) LookFor(longest time.Duration) { s.looking.longest = longest }

// LookThrough has lists look through other numbers of rows at a time than the usual ones.
func (s *Store) LookThrough(joined, alone int) { s.looking.joined, s.looking.alone = joined, alone }

// LookThroughFresh has one reading of fresh deliveries look through another number of seqs
// than the usual one.
func (s *Store) LookThroughFresh(seqs int64) { s.looking.fresh = seqs }

// Freeze has the recent keys moved to their table, as after many of them.
func (s *Store) Freeze(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		i := t.store.idempotency
		i.frozen, i.recent, i.frozenTo = i.recent, map[int64]int64{}, t.registrationSeq
		i.sorted = slices.Sorted(maps.Keys(i.frozen))
		return nil
	}})
}

// Watched is how many registrations have watchers.
func (s *Store) Watched() int {
	s.watchers.mu.Lock()
	defer s.watchers.mu.Unlock()
	return len(s.watchers.waiting)
}

// Query is a statement with its parameters.
type Query struct {
	Text      string
	Arguments []any
}

// OperatorQueries are the statements that read the dead and unknown deliveries,
// with every filter and without.
func (s *Store) OperatorQueries() []Query {
	queries := []Query{{listFailedBelow, []any{1 << 40, 500}}}
	for _, f := range []onramp.Filter{{}, {State: "dead", Form: "one", Cause: "c", Destination: "journey:y", Since: time.UnixMicro(1)}} {
		where, err := s.chosenFailed(f)
		if err != nil {
			panic(err)
		}
		queries = append(queries, Query{listFailed + where.text + ` ORDER BY d.seq`, where.args}, Query{listCauses + where.text + ofCauses, where.args})
	}
	return queries
}

// Reason reads what is stored as the reason of a delivery.
func (s *Store) Reason(seq int64, stored []byte) string {
	return s.revealOrDrop(stored, placeOfDelivery(seq, "reason"))
}

// Order is the ordering key of a subscriber in this database.
func (s *Store) Order(subscriberKey string) int64 { return s.hashing.orderingKey(subscriberKey) }

// LeafOf is where the present key of a person is.
func (s *Store) LeafOf(person string) uint64 { return uint64(s.leafOf(person)) }

// IndexLookUps brings the index of registrations up to date.
func (s *Store) IndexLookUps(ctx context.Context) error { return s.indexLookUps(ctx) }

// Addresses are those that registrations with such values are found by.
func Addresses(values []byte) []string { return slices.Collect(addressesIn(values)) }

// IsAddress says whether registrations are found by a text in their values.
func IsAddress(text string) bool { return isAddress(text) }

// IndexEvents does at once what is done in the background.
func (s *Store) IndexEvents(ctx context.Context) error { return s.indexEvents(ctx) }
