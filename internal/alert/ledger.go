package alert

import (
	"slices"
	"strings"
	"time"
)

const (
	againAfter = time.Hour       // there is one alert for each cause in this time
	calmAfter  = 5 * time.Minute // what is away for so long is over
)

// ledger is what was sent, by cause.
type ledger map[string]*incident

// incident is a condition from its beginning to its end.
type incident struct {
	Condition           // as it stood last
	since     time.Time // when it began
	goneAt    time.Time // when it was last seen to end; zero: it lasts
	open      bool      // there was an alert, so that its end needs one, too
	sentAt    time.Time // when the last alert of its cause was sent, in this incident or one before
	returns   int       // how often it came back since
}

// compare notes what is now, and gives the alerts to send, the beginnings before
// the ends.
func (l ledger) compare(now time.Time, is []Condition) []message {
	var send []message
	seen := map[string]bool{}
	for _, c := range is {
		seen[c.Cause] = true
		send = append(send, l.lasts(now, c)...)
	}
	var ends []message
	for cause, s := range l {
		if seen[cause] {
			continue
		}
		if s.goneAt.IsZero() {
			s.goneAt = now
		}
		if s.open && now.Sub(s.goneAt) >= calmAfter {
			s.open = false
			ends = append(ends, s.message(over, now))
		}
		if !s.open && now.Sub(s.sentAt) >= againAfter {
			delete(l, cause)
		}
	}
	slices.SortFunc(ends, func(a, b message) int { return strings.Compare(a.Cause, b.Cause) })
	return append(send, ends...)
}

// lasts notes a condition, and gives an alert if it is new, or once an hour.
func (l ledger) lasts(now time.Time, c Condition) []message {
	s := l[c.Cause]
	stage := still
	switch {
	case s == nil:
		s = &incident{since: now}
		l[c.Cause] = s
		stage = begun
	case !s.goneAt.IsZero():
		s.returns++
		if !s.open {
			s.since = now
		}
		s.goneAt = time.Time{}
	}
	s.Condition = c
	if !c.Since.IsZero() && c.Since.Before(s.since) {
		s.since = c.Since
	}
	if stage != begun && now.Sub(s.sentAt) < againAfter {
		return nil
	}
	if stage != begun && !s.open {
		stage = again
	}
	m := s.message(stage, now)
	s.open, s.sentAt, s.returns = true, now, 0
	return []message{m}
}

func (s *incident) message(stage stage, now time.Time) message {
	m := message{Condition: s.Condition, stage: stage, since: s.since, until: now, returns: s.returns}
	if stage == over {
		m.until = s.goneAt
	}
	return m
}
