package alert

import (
	"slices"
	"strings"
	"time"
)

const (
	againAfter = time.Hour       // the same cause is not told more often
	calmAfter  = 5 * time.Minute // what is away for so long is over
)

// ledger is what was told, by cause.
type ledger map[string]*spell

// spell is the time from a condition's beginning to its end.
type spell struct {
	Condition           // as it stood last
	since     time.Time // when it began
	goneAt    time.Time // when it was last seen to end; zero: it lasts
	told      bool      // its beginning was told, and so its end is to be
	toldAt    time.Time // when its cause was last told, in this spell or one before
	returns   int       // how often it came back since
}

// compare notes what is now, and gives what is to be told, the beginnings before
// the ends.
func (l ledger) compare(now time.Time, is []Condition) []message {
	var tell []message
	seen := map[string]bool{}
	for _, c := range is {
		seen[c.Cause] = true
		tell = append(tell, l.lasts(now, c)...)
	}
	var ends []message
	for cause, s := range l {
		if seen[cause] {
			continue
		}
		if s.goneAt.IsZero() {
			s.goneAt = now
		}
		if s.told && now.Sub(s.goneAt) >= calmAfter {
			s.told = false
			ends = append(ends, s.message(over, now))
		}
		if !s.told && now.Sub(s.toldAt) >= againAfter {
			delete(l, cause)
		}
	}
	slices.SortFunc(ends, func(a, b message) int { return strings.Compare(a.Cause, b.Cause) })
	return append(tell, ends...)
}

// lasts notes a condition, and tells it if it is new, or once an hour.
func (l ledger) lasts(now time.Time, c Condition) []message {
	s := l[c.Cause]
	stage := still
	switch {
	case s == nil:
		s = &spell{since: now}
		l[c.Cause] = s
		stage = begun
	case !s.goneAt.IsZero():
		s.returns++
		if !s.told {
			s.since = now
		}
		s.goneAt = time.Time{}
	}
	s.Condition = c
	if !c.Since.IsZero() && c.Since.Before(s.since) {
		s.since = c.Since
	}
	if stage != begun && now.Sub(s.toldAt) < againAfter {
		return nil
	}
	if stage != begun && !s.told {
		stage = again
	}
	m := s.message(stage, now)
	s.told, s.toldAt, s.returns = true, now, 0
	return []message{m}
}

func (s *spell) message(stage stage, now time.Time) message {
	m := message{Condition: s.Condition, stage: stage, since: s.since, until: now, returns: s.returns}
	if stage == over {
		m.until = s.goneAt
	}
	return m
}
