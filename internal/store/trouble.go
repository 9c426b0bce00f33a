package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"onramp/internal/store/dbfile"
)

const (
	waitTrouble = 2 * time.Second // for a write, until that is trouble
	probeEvery  = time.Second
	quiet       = 5 * time.Second // without a write, until Ping tries one
)

// heartbeat tells what the writer is doing, and how long that takes, for those who
// must not wait for it.
type heartbeat struct {
	started time.Time    // what the times below count from
	began   atomic.Int64 // when its group of writes did, in nanoseconds; 0: there is none
	ended   atomic.Int64 // when the last one ended
	usual   atomic.Int64 // nanoseconds that a group takes
	step    atomic.Uint32
}

// The steps in which the writer may have to wait.
const (
	atConnect = iota
	atBegin
	atStatement
	atCommit
)

var steps = [...]string{
	atConnect:   "connect",
	atBegin:     "begin",
	atStatement: "a statement, which may wait for a lock",
	atCommit:    "commit, which waits for the disk, and for the standby if the database is replicated synchronously",
}

func (h *heartbeat) begin() {
	h.step.Store(atConnect)
	h.began.Store(int64(time.Since(h.started)))
}

func (h *heartbeat) end() {
	took := h.age()
	h.ended.Store(int64(time.Since(h.started)))
	h.began.Store(0)
	usual := time.Duration(h.usual.Load())
	h.usual.Store(int64(usual + (took-usual)/4)) // one that was slow says little
}

// age is how long the group has been written; 0: there is none.
func (h *heartbeat) age() time.Duration {
	began := h.began.Load()
	if began == 0 {
		return 0
	}
	return time.Since(h.started) - time.Duration(began)
}

// idle is for how long nothing has been written.
func (h *heartbeat) idle() time.Duration {
	if h.began.Load() != 0 {
		return 0
	}
	return time.Since(h.started) - time.Duration(h.ended.Load())
}

// Trouble returns why the last commit failed, or for what a write has been waiting
// for too long; nil if all is well. Until it is nil again nothing can be accepted or
// settled. It answers at once.
func (s *Store) Trouble() error {
	if gone := s.goneFile(); gone != nil {
		select {
		case <-s.Gone():
			return gone
		default:
			return nil // its content is being saved: in a moment there is more to say
		}
	}
	heartbeat := &s.writer.heartbeat
	if age := heartbeat.age(); age > waitTrouble {
		return fmt.Errorf("a write has been waiting for %v: %s", age.Round(time.Second), steps[heartbeat.step.Load()])
	}
	if err := s.writer.trouble.Load(); err != nil {
		return dbfile.Explain(*err)
	}
	return nil
}

// probe finds out when trouble is over, also when nobody writes any more because of it.
func (s *Store) probe(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.lease.lost:
			return
		case <-ctx.Done():
			return
		}
		if s.Trouble() == nil {
			continue
		}
		_ = s.tryWrite(ctx) // its error is the next trouble
	}
}

func (s *Store) tryWrite(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, "probe", t.now.UTC().Format(time.RFC3339)) }})
}
