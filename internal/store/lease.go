package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// takeLease makes this process the owner of all partitions. On SQLite the lock
// file has already decided who that is. On PostgreSQL it waits until the lease of
// a process that was killed has expired, and gives up if that is renewed.
func (s *Store) takeLease(ctx context.Context) error {
	for begin := s.now(); ; {
		owned, err := s.claimPartitions(ctx)
		if err != nil {
			return fmt.Errorf("take lease: %w", err)
		}
		if owned {
			return nil
		}
		if s.now().Sub(begin) > 2*s.dialect.lease {
			return errors.New("another onramp is running with this database; only one process at a time can deliver from it")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// claimPartitions takes over every partition under a new epoch, or none.
func (s *Store) claimPartitions(ctx context.Context) (owned bool, err error) {
	var epoch, taken int64
	err = s.writer.write(ctx, &op{run: func(t *tx) (err error) {
		if _, err := t.find(`SELECT COALESCE(MAX(epoch), 0) + 1 FROM lease`, nil, &epoch); err != nil {
			return err
		}
		// another process that claims at this moment has raised the epoch before this update gets to the row
		taken, err = t.update(`UPDATE lease SET owner = $1, epoch = $2, expires_at = $3 WHERE expires_at <= $4 AND epoch < $2
			AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.expires_at > $4)`, s.owner, epoch, s.leaseEnd(t.now), micros(t.now))
		if err == nil && taken > 0 && taken < partitions {
			err = errors.New("only some of the partitions are free")
		}
		return err
	}})
	if err != nil || taken == 0 {
		return false, err
	}
	s.epoch = epoch
	return true, nil
}

// leaseEnd is when a lease that is taken or renewed now expires. One that lasts as
// long as the process has expired for every other process from the start.
func (s *Store) leaseEnd(now time.Time) int64 {
	if s.dialect.lease == 0 {
		return 0
	}
	return micros(now.Add(s.dialect.lease))
}

// renewLease renews the lease until Close, which gives it back.
func (s *Store) renewLease() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.dialect.lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			renewed, err := s.setLease(ctx, func(now time.Time) int64 { return s.leaseEnd(now) })
			if err == nil && !renewed || errors.Is(err, errLost) {
				close(s.lost)
				return
			}
		}
	}()
	s.stopRenewal = func() {
		stop()
		<-ended
	}
	s.release = func() {
		s.stopRenewal()
		ctx, cancel := context.WithTimeout(context.Background(), s.dialect.lease)
		defer cancel()
		// if this fails the lease expires by itself
		_, _ = s.setLease(ctx, func(time.Time) int64 { return 0 })
	}
}

func (s *Store) setLease(ctx context.Context, end func(now time.Time) int64) (mine bool, err error) {
	var n int64
	err = s.writer.write(ctx, &op{run: func(t *tx) (err error) {
		n, err = t.update(`UPDATE lease SET expires_at = $1 WHERE owner = $2 AND epoch = $3`, end(t.now), s.owner, s.epoch)
		return err
	}})
	if err != nil {
		return false, err
	}
	return n == partitions, nil
}

var errLost = errors.New("another process has taken over the lease")

// fence keeps a node that has lost its lease from writing at all: the numbers that
// it would give to new rows are already taken.
func (t *tx) fence() error {
	text, epoch := t.store.dialect.fence, t.store.epoch
	if text == "" || epoch == 0 {
		return nil
	}
	var one int
	found, err := t.find(text, []any{epoch}, &one)
	if err == nil && !found {
		err = errLost
	}
	return err
}

// Lost is closed when another process has taken over the partitions. Nothing can
// be settled any more: stop and start again.
func (s *Store) Lost() <-chan struct{} { return s.lost }
