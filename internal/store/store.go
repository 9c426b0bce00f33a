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
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/chain"
	"onramp/internal/onramp"
	"onramp/internal/store/dbfile"
	"onramp/internal/store/eventtail"
	"onramp/internal/store/personal"
	"onramp/internal/store/prepared"
)

// Config says where the data are. Zero values mean the defaults.
type Config struct {
	URL   string           // path of a SQLite file, or postgres://…
	Now   func() time.Time // default time.Now
	Owner string           // name of this node in leases; default: host and process

	// LongestCall is how long Marketing Cloud may take to carry out a call whose
	// answer did not come; default 2 minutes.
	LongestCall time.Duration
	// Restored says that the database is a backup, where that can't be recognised.
	Restored bool

	// Cipher encrypts what is kept of callbacks, clients and keys, and the access
	// token of Marketing Cloud. Without it nothing of them is kept.
	Cipher Cipher

	// Commit, in tests, carries out every COMMIT or does not, and says either.
	Commit func(commit func() error) error

	// Committed is told how many writes shared a COMMIT that succeeded, and how long that
	// took: with SQLite nearly all of it is the disk's fsync. It returns at once; nil: nobody is told.
	Committed func(writes int, took time.Duration)

	Log *slog.Logger // default: nowhere
	// Clear has personal data stored in clear text from now on, though there is a cipher. What
	// is encrypted stays so, and is read.
	Clear bool
	// Keyless opens a database whose keys are lost: what they have encrypted is not read.
	Keyless bool
	// OpenCipher gets the cipher once it is known whether the database has secrets
	// that were encrypted with it; nil: it is Cipher.
	OpenCipher func(hasSecrets bool) (Cipher, error)

	freeze       freeze
	largestCheck int64
	alone        bool          // nothing goes on in the background
	lease        time.Duration // of a server; default 15 s
	acceptWithin time.Duration
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect   dialect
	file      string // of SQLite
	now       func() time.Time
	owner     string
	cipher    Cipher
	log       *slog.Logger
	alone     bool                     // nothing goes on in the background
	commit    func(func() error) error // carries out a COMMIT
	committed func(writes int, took time.Duration)
	getCipher func(hasSecrets bool) (Cipher, error)

	vault          *personal.Vault // nil: nothing personal is encrypted, and never was
	clear          bool            // nothing personal is encrypted from now on
	keyless        bool
	toldUnreadable atomic.Bool
	hashing        hashing

	readers *sql.DB
	queries *prepared.Queries
	listed  together // reads fresh deliveries by their seqs
	writer  *writer
	own     *dbfile.File // nil on PostgreSQL
	keeper  *sql.Conn    // a reader that stays open

	waits     waits
	migrating *sql.DB     // without limits; of PostgreSQL, until it is open
	renewals  *sql.DB     // of PostgreSQL
	warned    atomic.Bool // the writer's session was warned
	lease     lease
	stopWork  func() // ends the work in the background, and waits

	largestCheck int64 // bytes
	checkLater   bool
	damaged      chan error
	freeze       freeze
	acceptWithin time.Duration
	looking      looking

	longestCall time.Duration
	lateTold    map[int]int64 // until when late calls of a destination are known to its readers; belongs to the writer
	recent      recent
	resends     resends
	candidates  candidates
	notices     []string // about the start
	isRestored  bool     // an operator says so
	doubt       string   // why the database may be older than what was last written; "": it isn't
	restored    restored

	epoch       int64
	names       names
	pauses      pauses
	tallies     tallies
	watchers    watchers
	idempotency *idempotency
	personKey   onramp.Secret  // behind the hashes of people in the consent log
	chainKeys   []chain.Key    // that sign where the chains end, the one in use last
	tail        eventtail.Tail // the events that are not in the index yet
	lookUps     eventtail.Tail // the same of registrations

	mu         sync.Mutex
	wake       map[int]wakeChannels // by destination
	lastSeq    int64                // of the newest committed delivery
	lastEvent  int64                // seq of the newest committed event
	events     chan struct{}        // yields a value when there may be new ones
	unindexed  chan struct{}        // the same, for the index
	remembered []lookUpKey
	lastLookUp int64         // seq of the newest committed registration
	unlooked   chan struct{} // yields a value when there may be new ones
	unsure     chan struct{} // yields a value when it is not known whether a commit is on disk
	closeOnce  sync.Once
}

// Open opens or creates the database, brings its tables up to date and takes
// the lease over all partitions. Its errors say what an operator can do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{
		now: cfg.Now, owner: cfg.Owner, cipher: cfg.Cipher, getCipher: cfg.OpenCipher, isRestored: cfg.Restored, clear: cfg.Clear, keyless: cfg.Keyless, commit: cfg.Commit, committed: cfg.Committed, log: cfg.Log, alone: cfg.alone, freeze: cfg.freeze.withDefaults(),
		wake: map[int]wakeChannels{}, events: make(chan struct{}, 1), unindexed: make(chan struct{}, 1), unlooked: make(chan struct{}, 1), lease: newLease(),
		unsure:       make(chan struct{}, 1),
		largestCheck: cmp.Or(cfg.largestCheck, largestCheck), acceptWithin: cmp.Or(cfg.acceptWithin, acceptWithin), damaged: make(chan error, 1),
		longestCall: cmp.Or(cfg.LongestCall, longestCall), lateTold: map[int]int64{}, candidates: candidates{},
		waits: waits{lease: cfg.lease}, looking: usualLooking,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.owner == "" {
		s.owner = processName()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.commit == nil {
		s.commit = func(commit func() error) error { return commit() }
	}
	if s.committed == nil {
		s.committed = func(int, time.Duration) {}
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
		err = s.migrate(ctx, db)
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
	if err := s.openCipher(ctx, s.getCipher); err != nil {
		return err
	}
	if err := s.seal(ctx); err != nil {
		return err
	}
	if err := s.openPersons(ctx); err != nil {
		return err
	}
	if err := s.openChainKeys(ctx); err != nil {
		return err
	}
	if s.personKey, err = s.keySecret(ctx, nil); err != nil {
		return err
	}
	if err := s.loadRestored(ctx); err != nil {
		return err
	}
	if err := s.beginRun(ctx); err != nil {
		return err
	}
	s.startRenewal()
	s.queries, s.listed = prepared.New(s.readers), newListed(s.dialect)
	if !s.alone {
		s.startBackground()
	}
	return nil
}

// migrate brings the tables up to date, however long that takes.
func (s *Store) migrate(ctx context.Context, db *sql.DB) error {
	if s.migrating == nil {
		return migrate(ctx, db, s.dialect, migrations)
	}
	return errors.Join(migrate(ctx, s.migrating, s.dialect, migrations), s.migrating.Close())
}

// startBackground starts the work that goes on in the background until Close.
func (s *Store) startBackground() {
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { s.indexWhenIdle(ctx) })
	work.Go(func() { s.indexLookUpsWhenIdle(ctx) })
	work.Go(func() { s.checkInBackground(ctx) })
	work.Go(func() { s.keepMoving(ctx) })
	work.Go(func() { s.probe(ctx) })
	if s.own != nil {
		work.Go(func() { s.own.Watch(ctx) })
		work.Go(func() { s.rescuePersonsWhenGone(ctx) })
	}
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
	if err := s.pauses.load(ctx, q); err != nil {
		return err
	}
	if err := s.tallies.load(ctx, q); err != nil {
		return err
	}
	if err := s.loadResends(ctx, q); err != nil {
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
		gone := s.own != nil && s.own.Closing() != nil
		if s.writer != nil {
			s.writer.close()
		}
		if gone {
			err = s.own.Abandon()
			return
		}
		if s.writer != nil {
			err = s.writer.db.Close()
		}
		s.releaseLease()
		if s.queries != nil {
			err = errors.Join(err, s.queries.Close())
		}
		if s.keeper != nil {
			err = errors.Join(err, s.keeper.Close())
		}
		err = errors.Join(err, s.closePools())
		if s.own != nil {
			err = errors.Join(err, s.own.Closed())
		}
	})
	return err
}

// closePools closes all but the writer's. A connection that is lost takes a while
// to close.
func (s *Store) closePools() (err error) {
	var closing sync.WaitGroup
	var errs [3]error
	for i, pool := range []*sql.DB{s.readers, s.renewals, s.migrating} {
		if pool != nil {
			closing.Go(func() { errs[i] = pool.Close() })
		}
	}
	closing.Wait()
	return errors.Join(errs[:]...)
}

// Commits returns the number of transactions committed since Open; on SQLite each
// of them is one fsync of the write-ahead log.
func (s *Store) Commits() int64 { return s.writer.commits.Load() }

// File returns the name of the SQLite file, "" on PostgreSQL.
func (s *Store) File() string { return s.file }

// Ping checks that the database answers and, when nothing was written for a while,
// that it can be written: a full or read-only disk shows before the first visitor.
func (s *Store) Ping(ctx context.Context) error {
	if gone := s.goneFile(); gone != nil {
		return unavailable(gone)
	}
	ctx, cancel := limited(ctx, waitTrouble)
	defer cancel()
	if err := s.readers.PingContext(ctx); err != nil {
		return unavailable(because(ctx, err))
	}
	if s.writer.heartbeat.idle() < quiet {
		return nil
	}
	if err := s.tryWrite(ctx); err != nil {
		return unavailable(because(ctx, err))
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
	if _, known := errors.AsType[*onramp.Error](err); known || err == nil || errors.Is(err, context.Canceled) {
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
