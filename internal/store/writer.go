package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"onramp/internal/chain"
)

// maxGroup bounds how many writes share a commit, and so how long one waits.
const maxGroup = 256

// maxRows bounds what large writes put into one commit.
const maxRows = 512

// op is one write that waits for its group: either a registration, of which a
// group inserts all at once, or anything else as a function.
type op struct {
	acceptance *acceptance
	run        func(*tx) error // may run twice: it must set its results each time
	aside      func()          // instead of run: writes nothing, and needs no commit
	rows       int             // about how many it writes; 0: few
	done       chan error
	state      atomic.Int32 // opWaiting, opTaken or opWithdrawn
}

// writer is the only one who writes to the database. It commits groups.
type writer struct {
	store   *Store
	db      *sql.DB
	session *session
	commits atomic.Int64
	trouble atomic.Pointer[error] // of the last commit; nil: it was on disk

	heartbeat heartbeat

	registrationSeq int64 // of the newest committed registration
	deliverySeq     int64
	callSeq         int64
	eventSeq        int64

	closing sync.RWMutex // held for reading while something is queued
	closed  bool
	running bool // run was started
	unsure  bool // a commit failed, yet may be on disk: the memory must be read again
	queue   chan *op
	done    chan struct{}

	patience patience // of registrations

	registrations, deliveries, holds                          insertion
	confirmations, lookUps, unproven                          insertion
	events, eventDeliveries                                   insertion
	resentDeliveries, resentRegistrations, eventKeys, persons insertion
	settlements                                               settlements
	movable                                                   together
	retained, retainedEvents                                  insertion
	imported, importRefusals                                  insertion
	retention                                                 retentionTexts
	consentPersons                                            insertion

	heads   [chainLogs]chain.Head // where the chains end, as of the last commit
	entries [chainLogs]insertion
}

var errClosed = errors.New("the store is closed")

func newWriter(db *sql.DB, s *Store) *writer {
	return &writer{
		store: s, db: db, queue: make(chan *op, 4*maxGroup), done: make(chan struct{}), heartbeat: heartbeat{started: time.Now()}, patience: patience{within: s.acceptWithin},
		registrations: newInsertion(s.dialect, insertRegistration, 12, ""),
		deliveries:    newInsertion(s.dialect, insertDelivery, 8, ""),
		holds:         newInsertion(s.dialect, insertHold, 6, ""), confirmations: newInsertion(s.dialect, insertConfirmation, 12, ""),
		events:      newInsertion(s.dialect, insertEvent, 10, "ON CONFLICT (at, hash) DO NOTHING"),
		settlements: newSettlements(s.dialect),
		movable:     newMovable(s.dialect),
		retention:   newRetentionTexts(s.dialect),

		eventDeliveries:     newInsertion(s.dialect, insertEventDelivery, 10, ""),
		resentDeliveries:    newInsertion(s.dialect, insertResentDelivery, 12, ""),
		resentRegistrations: newInsertion(s.dialect, insertResentRegistration, 11, ""),
		unproven:            newInsertion(s.dialect, `INSERT INTO unproven (at, hash, event_seq)`, 3, "ON CONFLICT DO NOTHING"),
		entries:             [chainLogs]insertion{insertEntries(s.dialect, consentLog), insertEntries(s.dialect, auditLog)},
		eventKeys:           newInsertion(s.dialect, `INSERT INTO event_key (hash, event_seq)`, 2, "ON CONFLICT DO NOTHING"),
		consentPersons:      newInsertion(s.dialect, `INSERT INTO consent_person (hash, entry_seq)`, 2, "ON CONFLICT DO NOTHING"),
		lookUps:             newLookUpInsertion(s.dialect),
		persons:             newInsertion(s.dialect, `INSERT INTO person (hash, registration_seq)`, 2, "ON CONFLICT DO NOTHING"),
		imported:            newInsertion(s.dialect, `INSERT INTO imported (registration_seq, import_id, original_at, silent)`, 4, ""),
		importRefusals:      newInsertion(s.dialect, `INSERT INTO import_refusal (import_id, line, field, reason)`, 4, "ON CONFLICT DO NOTHING"),
		retained: newInsertion(s.dialect, `INSERT INTO retained (registration_seq, ordering_key, look_at)`, 3,
			"ON CONFLICT (registration_seq, ordering_key) DO UPDATE SET look_at = excluded.look_at"),
		retainedEvents: newInsertion(s.dialect, `INSERT INTO retained_event (event_seq, look_at)`, 2,
			"ON CONFLICT (event_seq) DO UPDATE SET look_at = excluded.look_at"),
	}
}

// loadSeqs finds where the numbering goes on. It never goes back: what reads by a
// cursor may have passed a number that is not on disk.
func (w *writer) loadSeqs(ctx context.Context, q queryer) error {
	var registration, delivery, call, event int64
	err := q.QueryRowContext(ctx, `SELECT COALESCE((SELECT MAX(seq) FROM registration), 0), COALESCE((SELECT MAX(seq) FROM delivery), 0),
		COALESCE((SELECT MAX(seq) FROM call), 0), COALESCE((SELECT MAX(seq) FROM event), 0)`).Scan(
		&registration, &delivery, &call, &event)
	if err == nil {
		w.registrationSeq, w.deliverySeq = max(w.registrationSeq, registration), max(w.deliverySeq, delivery)
		w.callSeq, w.eventSeq = max(w.callSeq, call), max(w.eventSeq, event)
		w.store.advanceTo(w.deliverySeq)
		w.store.tail.Begin(w.eventSeq + 1)
		w.store.beginLookUps(w.registrationSeq)
		w.store.eventsCame(w.eventSeq)
		err = w.loadHeads(ctx, q)
	}
	return err
}

// close lets the writer finish what is queued.
func (w *writer) close() {
	w.closing.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.closing.Unlock()
	if w.running {
		<-w.done
	}
	w.endSession()
}

func (w *writer) start() {
	w.running = true
	go w.run()
}

func (w *writer) run() {
	defer close(w.done)
	group := make([]*op, 0, maxGroup)
	for first := range w.queue {
		if !first.take() || first.isAside() {
			continue
		}
		if first.acceptance != nil {
			// let others come who are about to hand one over: a larger group shares the cost of the commit
			runtime.Gosched()
		}
		group = w.collect(append(group[:0], first))
		w.heartbeat.begin()
		w.commit(group)
		w.heartbeat.end()
	}
}

// isAside says that an op writes nothing, and has been carried out.
func (o *op) isAside() bool {
	if o.aside != nil {
		o.aside()
		o.done <- nil
	}
	return o.aside != nil
}

// collect takes along what has queued up while the last group was committed.
func (w *writer) collect(group []*op) []*op {
	for rows := group[0].rows; len(group) < maxGroup && rows < maxRows; {
		select {
		case o, ok := <-w.queue:
			if !ok {
				return group
			}
			if o.take() && !o.isAside() {
				group = append(group, o)
				rows += o.rows
			}
		default:
			return group
		}
	}
	return group
}

// commit writes a group and answers each of its members. A member that is refused
// does not fail the group: the others are written again without it.
func (w *writer) commit(group []*op) {
	for len(group) > 0 {
		t, refused, err := w.attempt(group)
		if errors.Is(err, errSomeone) && len(group) > 1 {
			for _, o := range group {
				w.commit([]*op{o})
			}
			return
		}
		if refused == nil {
			if err == nil {
				w.trouble.Store(nil)
				t.applied(w.store)
			} else {
				w.trouble.Store(&err)
			}
			for _, o := range group {
				o.done <- err
			}
			return
		}
		refused.done <- err
		rest := group[:0]
		for _, o := range group {
			if o != refused {
				rest = append(rest, o)
			}
		}
		group = rest
	}
}

// errSomeone marks the error of a group in which one member is at fault, and
// which one is not known.
var errSomeone = errors.New("a write was refused")

// attempt runs the group in one transaction. It returns the op that failed by
// itself, or an error that concerns all.
func (w *writer) attempt(group []*op) (t *tx, refused *op, err error) {
	// a write must not be cut short by one caller who leaves
	ctx, cancel := limited(context.Background(), w.store.waits.write)
	defer cancel()
	if err := w.store.intactRecently(); err != nil {
		return nil, nil, unavailable(err)
	}
	if err := w.ensureSession(ctx); err != nil {
		return nil, nil, unavailable(err)
	}
	t = &tx{
		ctx: ctx, session: w.session, store: w.store, now: w.store.now(),
		registrationSeq: w.registrationSeq, deliverySeq: w.deliverySeq, callSeq: w.callSeq, eventSeq: w.eventSeq, heads: w.heads, tally: map[tallyKey]int64{},
	}
	if err := t.begin(); err != nil {
		w.endSession()
		return nil, nil, unavailable(fmt.Errorf("begin: %w", err))
	}
	w.heartbeat.step.Store(atStatement)
	if refused, err = t.carryOut(group); err != nil {
		w.rollback()
		switch {
		case t.broken || errors.Is(err, errLost):
			if gone := w.store.intact(); gone != nil { // that is why
				err = gone
			}
			return nil, nil, unavailable(err)
		case refused == nil:
			return nil, nil, fmt.Errorf("%w: %w", errSomeone, err)
		}
		return nil, refused, err
	}
	begun := time.Now()
	if err := t.commit(); err != nil {
		w.unsure = true
		w.rollback()
		signal(w.store.unsure)
		return nil, nil, unavailable(fmt.Errorf("commit: %w", errors.Join(errUncertain, err)))
	}
	if err := w.store.intact(); err != nil { // what went into a file that has lost its name by now is not to be answered
		return nil, nil, unavailable(err)
	}
	w.commits.Add(1)
	w.store.committed(len(group), time.Since(begun))
	if w.store.own != nil {
		w.store.own.Committed(w.store.progress(t))
	}
	w.registrationSeq, w.deliverySeq, w.callSeq, w.eventSeq = t.registrationSeq, t.deliverySeq, t.callSeq, t.eventSeq
	w.heads = t.heads
	return t, nil, nil
}

// rollback ends the transaction and with it the session: whatever went wrong,
// the next group starts afresh.
func (w *writer) rollback() {
	// SQLite may have rolled back by itself, and a lost connection can't; closing settles both
	ctx, cancel := limited(context.Background(), w.store.waits.idle)
	defer cancel()
	_, _ = w.session.conn.ExecContext(ctx, "ROLLBACK")
	w.endSession()
}

func (w *writer) ensureSession(ctx context.Context) error {
	if w.session != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	w.session = &session{conn: conn, statements: map[string]*sql.Stmt{}}
	if w.unsure {
		if err := w.reload(ctx, conn); err != nil {
			w.endSession()
			return fmt.Errorf("reload: %w", err)
		}
		w.unsure = false
	}
	return nil
}

func (w *writer) endSession() {
	if w.session == nil {
		return
	}
	for _, statement := range w.session.statements {
		statement.Close()
	}
	w.session.conn.Close()
	w.session = nil
}

// session is the writer's connection with its prepared statements.
type session struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

// tx is one transaction of the writer.
type tx struct {
	ctx     context.Context
	session *session
	store   *Store
	now     time.Time
	broken  bool // the database failed, not the op

	registrationSeq, deliverySeq, callSeq, eventSeq int64

	heads [chainLogs]chain.Head

	tally map[tallyKey]int64
	after []func() // run once the commit is on disk

	eventTally map[int]eventTally // by callback

	outcomes []outcome // of registrations, for their watchers
}

// carryOut does the work of a group: registrations first, all at once.
func (t *tx) carryOut(group []*op) (refused *op, err error) {
	if err := t.fence(); err != nil {
		return nil, err
	}
	if err := t.saveRegistrations(group); err != nil {
		return nil, err
	}
	for _, o := range group {
		if o.run == nil {
			continue
		}
		if err := o.run(t); err != nil {
			return o, err
		}
	}
	t.countCommit()
	if err := t.saveHeads(); err != nil {
		return nil, err
	}
	return nil, t.saveTallies()
}

// applied makes a committed transaction known in memory.
func (t *tx) applied(s *Store) {
	s.tallies.apply(t)
	for _, f := range t.after {
		f()
	}
}

func (t *tx) statement(query string) (*sql.Stmt, error) {
	if statement, ok := t.session.statements[query]; ok {
		return statement, nil
	}
	statement, err := t.session.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, t.failed(err)
	}
	t.session.statements[query] = statement
	return statement, nil
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.update(query, args...)
	return err
}

// update runs a statement and returns how many rows it changed.
func (t *tx) update(query string, args ...any) (int64, error) {
	statement, err := t.statement(query)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, t.failed(err)
	}
	return result.RowsAffected()
}

// find runs a query for one row; found is false when there is none.
func (t *tx) find(query string, args []any, into ...any) (found bool, err error) {
	statement, err := t.statement(query)
	if err != nil {
		return false, err
	}
	err = statement.QueryRowContext(t.ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, t.failed(err)
	}
	return true, nil
}

// each runs a query and hands over its rows, one after the other.
func (t *tx) each(query string, args []any, row func(scan func(...any) error) error) error {
	statement, err := t.statement(query)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(t.ctx, args...)
	if err != nil {
		return t.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return t.failed(err)
		}
	}
	if err := rows.Err(); err != nil {
		return t.failed(err)
	}
	return nil
}

// failed notes whether an error is the database's fault, which all writes
// share, or that of the one statement's data.
func (t *tx) failed(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
			return err
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// class 22: data exception, class 23: integrity constraint violation
		if class := e.Code[:2]; class == "22" || class == "23" {
			return err
		}
	}
	t.broken = true
	return because(t.ctx, err)
}
