package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"onramp/internal/postgres"
)

// waits are the longest waits for a server. A connection can be lost without
// either side being told; so each wait ends early enough for the work to go on
// within one life of the lease after the network is back. They are zero for a file.
type waits struct {
	lease   time.Duration // life of the lease
	connect time.Duration
	read    time.Duration // of the pump, which does nothing else meanwhile; and a renewal of the lease
	begin   time.Duration // of a transaction
	write   time.Duration // the whole of it, with its commit
	idle    time.Duration // the server's, between two statements of a transaction
	lock    time.Duration // the server's, for a lock
	check   time.Duration // whether a connection from the pool still works
}

const (
	usualLease = 15 * time.Second
	waitQuery  = 30 * time.Second // the server's, for any query
)

func waitsWithin(lease time.Duration) waits {
	return waits{
		lease: lease, connect: lease / 3, read: lease / 3, begin: lease / 5, write: lease * 2 / 3, idle: lease / 3, lock: lease / 2, check: lease / 15,
	}
}

// limited gives a wait its limit; the error of because names it.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer from the database within %v", limit))
}

// because is the reason why ctx has ended, if that is behind an error.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

func (s *Store) connectPostgres(rawURL string) (*sql.DB, error) {
	w := s.waits
	database, err := postgres.Parse(rawURL, postgres.Limits{Connect: w.connect, Check: w.check, Lock: w.lock, Idle: w.idle, Unacked: w.write})
	if err != nil {
		return nil, err
	}
	s.dialect.fence = strings.ReplaceAll(s.dialect.fence, "{{durability}}", database.Durability())
	s.migrating = database.Pool(0, nil)
	s.readers = database.Pool(waitQuery, nil)
	s.readers.SetMaxOpenConns(8)
	s.readers.SetMaxIdleConns(4)
	s.renewals = database.Pool(w.read, nil)
	s.renewals.SetMaxOpenConns(1)
	writer := database.Pool(w.write, func() { s.warned.Store(true) })
	writer.SetMaxOpenConns(1)
	return writer, nil
}

// begin waits for nobody: no answer means that the connection is lost.
func (t *tx) begin() error {
	t.store.writer.heartbeat.step.Store(atBegin)
	whole := t.ctx
	defer func() { t.ctx = whole }()
	var cancel context.CancelFunc
	t.ctx, cancel = limited(whole, t.store.waits.begin)
	defer cancel()
	return t.exec(t.store.dialect.begin)
}

// errUnreplicated is the error of a commit for which the server has stopped to wait
// for its standby: it may be undone by a failover.
var errUnreplicated = errors.New("the transaction may not have reached the standby")

func (t *tx) commit() error {
	t.store.writer.heartbeat.step.Store(atCommit)
	t.store.warned.Store(false)
	err := t.store.commit(func() error { return t.exec("COMMIT") })
	if err == nil && t.store.warned.Load() {
		err = errUnreplicated
	}
	return err
}
