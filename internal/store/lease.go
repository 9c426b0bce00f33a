package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// takeLease makes this process the owner of all partitions. On SQLite the lock
// file has settled who that is. On PostgreSQL it waits for the lease of a
// process that was killed to run out, and gives up when it is renewed meanwhile.
func (s *Store) takeLease(ctx context.Context) error {
	for begin := s.now(); ; {
		owned, err := s.claimPartitions(ctx)
		if err != nil {
			return fmt.Errorf("take lease: %w", err)
		}
		if owned {
			break
		}
		if s.now().Sub(begin) > 2*s.dialect.lease {
			return errors.New("another onramp owns this database and is alive; one process at a time can deliver from it")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if s.dialect.lease > 0 {
		s.renewLease()
	}
	return nil
}

// claimPartitions takes over every partition under a new epoch, or none.
func (s *Store) claimPartitions(ctx context.Context) (owned bool, err error) {
	var epoch int64
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		owned = false
		var taken int
		if _, err := t.find(`SELECT COUNT(*), COALESCE(MAX(epoch), 0) FROM lease WHERE expires_at <= $1`, []any{micros(t.now)}, &taken, &epoch); err != nil {
			return err
		}
		if owned = taken == partitions; !owned {
			return nil
		}
		epoch++
		return t.exec(`UPDATE lease SET owner = $1, epoch = $2, expires_at = $3`, s.owner, epoch, s.leaseEnd(t.now))
	}})
	s.epoch = epoch
	return owned, err
}

// leaseEnd is when a lease that is taken or renewed now runs out. One that ends
// with the process is never valid for another.
func (s *Store) leaseEnd(now time.Time) int64 {
	if s.dialect.lease == 0 {
		return 0
	}
	return micros(now.Add(s.dialect.lease))
}

// renewLease keeps the lease until Close, which gives it back.
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
			if err == nil && !renewed {
				close(s.lost)
				return
			}
		}
	}()
	s.release = func() {
		stop()
		<-ended
		// if this fails the lease just runs out
		_, _ = s.setLease(context.Background(), func(time.Time) int64 { return 0 })
	}
}

func (s *Store) setLease(ctx context.Context, end func(now time.Time) int64) (mine bool, err error) {
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		n, err := t.update(`UPDATE lease SET expires_at = $1 WHERE owner = $2 AND epoch = $3`, end(t.now), s.owner, s.epoch)
		mine = n == partitions
		return err
	}})
	return mine, err
}

// Lost is closed when another process has taken the partitions over. Nothing
// can be settled any more: stop and start again.
func (s *Store) Lost() <-chan struct{} { return s.lost }
