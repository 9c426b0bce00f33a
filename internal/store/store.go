// Package store keeps registrations, deliveries and attempts on disk: in
// SQLite inside the process, or in PostgreSQL. It is the only place with SQL,
// and the SQL is one text for both.
//
// Exported methods that write are one transaction each. Writes that arrive
// together share one commit, so that one fsync serves them all; none of them
// returns before that commit is on disk.
package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// Config says where the data are. Zero values mean the defaults.
type Config struct {
	URL   string           // path of a SQLite file, or postgres://…
	Now   func() time.Time // default time.Now
	Owner string           // name of this node in leases; default: host and process

	// Cipher encrypts what is kept of callbacks, clients and keys, and the access
	// token of Marketing Cloud. Without it nothing of them is kept.
	Cipher Cipher

	freeze       freeze
	largestCheck int64
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	file    string // of SQLite
	now     func() time.Time
	owner   string
	cipher  Cipher
	readers *sql.DB
	fresh   *sql.Stmt // listFresh, which runs after every commit: to parse it costs more than to run it
	writer  *writer
	lock    unlocker
	release func() // ends the renewal of the lease and gives it back

	stopRenewal func()
	stopBeside  func() // and waits
	indexing    sync.Mutex

	largestCheck int64 // bytes
	checkLater   bool
	damaged      chan error
	freeze       freeze

	epoch       int64
	names       names
	tallies     tallies
	watchers    watchers
	idempotency *idempotency

	mu        sync.Mutex
	wake      map[int]wakeChannels // by destination
	lastSeq   int64                // of the newest committed delivery
	lastEvent int64                // seq of the newest committed event
	events    chan struct{}        // rings when there may be new ones
	unindexed chan struct{}        // the same, for the index
	lost      chan struct{}
	closeOnce sync.Once
}

type unlocker interface{ Unlock() error }

// Open opens or creates the database, brings its tables up to date and takes
// the lease over all partitions. Its errors say what an operator can do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{
		now: cfg.Now, owner: cfg.Owner, cipher: cfg.Cipher, freeze: cfg.freeze.withDefaults(),
		wake: map[int]wakeChannels{}, events: make(chan struct{}, 1), unindexed: make(chan struct{}, 1), lost: make(chan struct{}),
		largestCheck: cmp.Or(cfg.largestCheck, largestCheck), damaged: make(chan error, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.owner == "" {
		s.owner = processName()
	}
	db, err := s.connect(cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx, db); err != nil {
		return nil, errors.Join(s.explain(err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, db *sql.DB) error {
	err := s.check(ctx, db)
	if err == nil {
		err = migrate(ctx, db, s.dialect, migrations)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.writer = newWriter(db, s)
	s.writer.start()
	if err := s.takeLease(ctx); err != nil {
		return err
	}
	// only now: until the lease was taken its owner before us went on writing
	if err := s.load(ctx, s.readers); err != nil {
		return err
	}
	if s.dialect.lease > 0 {
		s.renewLease()
	}
	if s.fresh, err = s.readers.PrepareContext(ctx, listFresh); err != nil {
		return err
	}
	s.startBeside()
	return nil
}

// startBeside starts what goes on beside everything else until Close.
func (s *Store) startBeside() {
	ctx, stop := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { s.indexInCalm(ctx) })
	beside.Go(func() { s.checkBeside(ctx) })
	s.stopBeside = func() {
		stop()
		beside.Wait()
	}
}

// load reads what the process keeps in memory.
func (s *Store) load(ctx context.Context, q queryer) error {
	if err := s.names.load(ctx, q); err != nil {
		return err
	}
	if err := s.tallies.load(ctx, q); err != nil {
		return err
	}
	var err error
	if s.idempotency, err = loadIdempotency(ctx, q, s.dialect, s.freeze); err != nil {
		return err
	}
	return s.writer.loadSeqs(ctx, q)
}

// Close finishes what was given to the store and closes the database. It is
// safe to call twice.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		if s.stopBeside != nil {
			s.stopBeside()
		}
		if s.release != nil {
			s.release()
		}
		if s.writer != nil {
			err = s.writer.close()
		}
		if s.fresh != nil {
			err = errors.Join(err, s.fresh.Close())
		}
		if s.readers != nil {
			err = errors.Join(err, s.readers.Close())
		}
		if s.lock != nil {
			err = errors.Join(err, s.lock.Unlock())
		}
	})
	return err
}

// Commits returns how many transactions were committed since Open; on SQLite
// each one is one fsync of the write-ahead log.
func (s *Store) Commits() int64 { return s.writer.commits.Load() }

// Trouble tells why the last commit failed, nil when it is on disk. While it
// lasts nothing can be accepted or settled.
func (s *Store) Trouble() error {
	if err := s.writer.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// File is the name of the SQLite file; "" when there is none of ours.
func (s *Store) File() string { return s.file }

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.readers.PingContext(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// unavailable is what callers get while the database can't take a write.
func unavailable(err error) error {
	return &onramp.Error{
		Kind: onramp.Unavailable, Message: "the registration could not be stored; please try again",
		RetryAfter: 5 * time.Second, Err: err,
	}
}

// readerErr wraps the error of a query.
func readerErr(step string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &onramp.Error{
		Kind: onramp.Unavailable, Message: "the database could not be read; please try again",
		RetryAfter: 5 * time.Second, Err: fmt.Errorf("%s: %w", step, err),
	}
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// nullTime is how an absent time is stored.
func nullTime(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromNull(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return fromMicros(n.Int64)
}
