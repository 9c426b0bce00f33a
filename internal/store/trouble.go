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
)

// heartbeat tells what the writer is doing, for those who must not wait for it.
type heartbeat struct{ now atomic.Pointer[beat] }

type beat struct {
	since time.Time // when its group of writes began
	step  string
}

func (h *heartbeat) begin() { h.now.Store(&beat{time.Now(), "connect"}) }
func (h *heartbeat) end()   { h.now.Store(nil) }

// at names the step in which the writer may have to wait.
func (h *heartbeat) at(step string) {
	if b := h.now.Load(); b != nil {
		h.now.Store(&beat{b.since, step})
	}
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
	if b := s.writer.heartbeat.now.Load(); b != nil {
		if age := time.Since(b.since); age > waitTrouble {
			return fmt.Errorf("a write has been waiting for %v: %s", age.Round(time.Second), b.step)
		}
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
		// its error is the next trouble
		_ = s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, "probe", t.now.UTC().Format(time.RFC3339)) }})
	}
}
