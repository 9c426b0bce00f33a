package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// lease is the right of this process to deliver. On SQLite it lasts as long as the
// process: the lock has decided. On PostgreSQL it has to be renewed, and only the
// database's clock says when it ends.
type lease struct {
	asked atomic.Pointer[time.Time] // when the last claim or renewal that succeeded was about to be sent
	lost  chan struct{}
	lose  func() // closes lost
	stop  func() // ends the renewal, and waits

	seen   leaseRow // another's
	seenAt time.Time
}

// leaseRow is the lease as it stands in the database; all partitions have the same.
type leaseRow struct {
	owner          string
	epoch, expires int64
}

func newLease() lease {
	lost := make(chan struct{})
	return lease{lost: lost, lose: sync.OnceFunc(func() { close(lost) }), stop: func() {}}
}

// takeLease makes this process the owner of all partitions. On PostgreSQL it waits
// until the lease of a process that was killed has expired, and gives up if that is
// renewed.
func (s *Store) takeLease(ctx context.Context) error {
	for begin := time.Now(); ; {
		owned, err := s.claimPartitions(ctx)
		if err != nil {
			return fmt.Errorf("take lease: %w", err)
		}
		if owned {
			return nil
		}
		if time.Since(begin) > 2*s.waits.lease {
			return fmt.Errorf("another onramp (%s) is running with this database; only one process at a time can deliver from it", s.lease.seen.owner)
		}
		select {
		case <-time.After(s.waits.lease / 15):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leaseClock names the epoch from which on the lease's end is by the database's
// clock. An older onramp took it from its own, and leaves no such mark.
const leaseClock = "lease_clock"

// claimPartitions takes over every partition under a new epoch, or none.
func (s *Store) claimPartitions(ctx context.Context) (owned bool, err error) {
	find := `SELECT owner, epoch, expires_at, ` + s.dialect.now + `, COALESCE((SELECT value FROM meta WHERE name = $1), '')
		FROM lease WHERE partition_id = 0`
	claim := `UPDATE lease SET owner = $1, epoch = $2, expires_at = ` + s.dialect.now + ` + $3 WHERE epoch = $4 AND expires_at = $5`
	var taken int64
	var seen leaseRow
	asked := time.Now()
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		var now int64
		var clock string
		if _, err := t.find(find, []any{leaseClock}, &seen.owner, &seen.epoch, &seen.expires, &now, &clock); err != nil {
			return err
		}
		if taken = 0; !s.isFree(seen, now, clock == strconv.FormatInt(seen.epoch, 10)) {
			return nil
		}
		// whoever claims or renews it at this moment has changed the row before this update gets to it
		var err error
		taken, err = t.update(claim, s.owner, seen.epoch+1, s.waits.lease.Microseconds(), seen.epoch, seen.expires)
		if err == nil && taken > 0 && taken < partitions {
			err = errors.New("only some of the partitions are free")
		}
		if err != nil || taken == 0 {
			return err
		}
		return t.exec(saveMeta, leaseClock, strconv.FormatInt(seen.epoch+1, 10))
	}})
	if err != nil || taken == 0 {
		return false, err
	}
	s.epoch = seen.epoch + 1
	s.lease.asked.Store(&asked)
	return true, nil
}

// isFree says whether a lease can be taken over: it was given back, or it has
// expired by the clock that set it. Where that was another clock than the
// database's, only time tells: it was not renewed for a life while we looked on.
func (s *Store) isFree(l leaseRow, now int64, byDatabase bool) bool {
	switch {
	case s.waits.lease == 0, l.expires == 0, l.owner == s.owner, byDatabase && l.expires <= now:
		return true // ours it is when the answer to a claim was lost
	case l != s.lease.seen:
		s.lease.seen, s.lease.seenAt = l, time.Now()
	}
	return time.Since(s.lease.seenAt) > s.waits.lease
}

// startRenewal keeps the lease renewed until Close.
func (s *Store) startRenewal() {
	if s.waits.lease == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.waits.lease / 15)
		defer tick.Stop()
		for !s.isLost() {
			select {
			case <-tick.C:
				s.renewLease(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	s.lease.stop = func() {
		stop()
		<-ended
	}
}

// renewLease renews the lease when a third of its life is over. It has a connection
// of its own, so as not to queue behind other writes.
func (s *Store) renewLease(ctx context.Context) {
	if s.sinceRenewal() < s.waits.lease/3 {
		return
	}
	asked := time.Now()
	mine, err := s.setLease(ctx, s.dialect.now+" + $3", s.waits.lease.Microseconds())
	switch {
	case err != nil: // the next try comes soon
	case mine:
		s.lease.asked.Store(&asked)
	default:
		s.lease.lose()
	}
}

// sinceRenewal is the time since the last renewal was about to be sent, by the clock
// that says more: one stands still while a machine sleeps, the other can be set.
func (s *Store) sinceRenewal() time.Duration {
	now, asked := time.Now(), *s.lease.asked.Load()
	return max(now.Sub(asked), now.Round(0).Sub(asked.Round(0)))
}

// setLease sets the end of the lease, if it is still this process's.
func (s *Store) setLease(ctx context.Context, end string, arguments ...any) (mine bool, err error) {
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	result, err := s.renewals.ExecContext(ctx, `UPDATE lease SET expires_at = `+end+` WHERE owner = $1 AND epoch = $2`,
		append([]any{s.owner, s.epoch}, arguments...)...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == partitions, err
}

// releaseLease gives the lease back, once nothing is written any more.
func (s *Store) releaseLease() {
	s.lease.stop()
	if s.waits.lease == 0 || s.epoch == 0 || s.isLost() {
		return
	}
	// if this fails it expires by itself
	_, _ = s.setLease(context.Background(), "0")
}

var errLost = errors.New("another process has taken over the lease")

// fence keeps a node that has lost its lease from writing at all: the numbers that
// it would give to new rows are already taken.
func (t *tx) fence() error {
	text, epoch := t.store.dialect.fence, t.store.epoch
	if text == "" || epoch == 0 {
		return nil
	}
	var setting string
	found, err := t.find(text, []any{epoch}, &setting)
	if err == nil && !found {
		t.store.lease.lose()
		err = errLost
	}
	return err
}

// Lost is closed when another process has taken over the partitions. Nothing can
// be settled any more: stop and start again.
func (s *Store) Lost() <-chan struct{} { return s.lease.lost }

func (s *Store) isLost() bool {
	select {
	case <-s.lease.lost:
		return true
	default:
		return false
	}
}

var errMayBeOthers = errors.New("the lease was not renewed in time: another process may be delivering")

// Fence returns a function that returns an error while another process may have the
// lease, as far as this one can know. Ask it right before something is sent: a
// process can be stopped at any moment, for any time. It is nil on SQLite, where
// nobody else ever has the lease.
func (s *Store) Fence() func() error {
	life := s.waits.lease
	if life == 0 {
		return nil
	}
	return func() error {
		if s.isLost() || s.sinceRenewal() > life-life/5 {
			return errMayBeOthers
		}
		return nil
	}
}
