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
	acceptWithin time.Duration
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	file    string // of SQLite
	now     func() time.Time
	owner   string
	cipher  Cipher
	readers *sql.DB
	fresh   *sql.Stmt // listFresh, which runs after every commit: parsing it costs more than running it
	writer  *writer
	lock    unlocker
	release func() // ends the renewal of the lease and gives it back

	stopRenewal func()
	stopWork    func() // ends the work in the background, and waits
	indexing    sync.Mutex

	largestCheck int64 // bytes
	checkLater   bool
	damaged      chan error
	freeze       freeze
	acceptWithin time.Duration

	epoch       int64
	names       names
	tallies     tallies
	watchers    watchers
	idempotency *idempotency

	mu        sync.Mutex
	wake      map[int]wakeChannels // by destination
	lastSeq   int64                // of the newest committed delivery
	lastEvent int64                // seq of the newest committed event
	events    chan struct{}        // yields a value when there may be new ones
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
		largestCheck: cmp.Or(cfg.largestCheck, largestCheck), acceptWithin: cmp.Or(cfg.acceptWithin, acceptWithin), damaged: make(chan error, 1),
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
	// only now: until we took the lease its previous owner went on writing
	if err := s.load(ctx, s.readers); err != nil {
		return err
	}
	if s.dialect.lease > 0 {
		s.renewLease()
	}
	if s.fresh, err = s.readers.PrepareContext(ctx, listFresh); err != nil {
		return err
	}
	s.startBackground()
	return nil
}

// startBackground starts the work that goes on in the background until Close.
func (s *Store) startBackground() {
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { s.indexWhenIdle(ctx) })
	work.Go(func() { s.checkInBackground(ctx) })
	s.stopWork = func() {
		stop()
		work.Wait()
	}
}

// load reads what is kept in memory.
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

// Close finishes the writes that were handed to the store and closes the database.
// It is safe to call twice.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		if s.stopWork != nil {
			s.stopWork()
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

// Commits returns the number of transactions committed since Open; on SQLite each
// of them is one fsync of the write-ahead log.
func (s *Store) Commits() int64 { return s.writer.commits.Load() }

// Trouble returns why the last commit failed, or nil if it is on disk. Until it is
// nil again nothing can be accepted or settled.
func (s *Store) Trouble() error {
	if err := s.writer.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// File returns the name of the SQLite file, "" on PostgreSQL.
func (s *Store) File() string { return s.file }

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.readers.PingContext(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// unavailable is the error that callers get while the database can't be written.
func unavailable(err error) *onramp.Error {
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
