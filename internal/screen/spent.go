package screen

import (
	"sync"
	"time"

	"onramp/internal/onramp"
)

// spent remembers what may be used once, until it expires anyway. Only what was hard to
// come by enters it: a solved challenge, or an answer that a captcha service has confirmed.
type spent struct {
	mu    sync.Mutex
	all   map[uint64]spentEntry
	order []uint64     // the oldest first
	fresh []onramp.Use // not saved yet
}

type spentEntry struct {
	owner uint64
	until int64 // µs
}

// mostSpent are remembered. More within ten minutes would have cost their makers days of
// computing; then the oldest are forgotten.
const mostSpent = 1 << 16

// use spends something. It says whether that is allowed: it was not spent before, or by
// the same owner, who repeats a submission whose answer was lost. The owner 0 is nobody.
func (s *spent) use(key, owner uint64, until, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, found := s.all[key]; found && before.until > now.UnixMicro() {
		return owner != 0 && before.owner == owner
	}
	s.add(key, spentEntry{owner, until.UnixMicro()})
	if len(s.fresh) < mostSpent {
		s.fresh = append(s.fresh, onramp.Use{Kind: onramp.UseSpent, Key: key, At: now, Amount: int64(owner), Until: until})
	}
	return true
}

// has says whether something was spent by an owner.
func (s *spent) has(key, owner uint64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, found := s.all[key]
	return found && before.until > now.UnixMicro() && owner != 0 && before.owner == owner
}

func (s *spent) add(key uint64, e spentEntry) {
	if s.all == nil {
		s.all = map[uint64]spentEntry{}
	}
	if _, found := s.all[key]; !found {
		s.order = append(s.order, key)
	}
	s.all[key] = e
	for len(s.order) > mostSpent {
		delete(s.all, s.order[0])
		s.order = s.order[1:]
	}
}

// merge takes in what was spent elsewhere, or before a restart.
func (s *spent) merge(u onramp.Use, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.all[u.Key]; !found && u.Until.After(now) {
		s.add(u.Key, spentEntry{uint64(u.Amount), u.Until.UnixMicro()})
	}
}

// collect hands over what was spent since it was last called.
func (s *spent) collect() []onramp.Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh
	s.fresh = nil
	return fresh
}
