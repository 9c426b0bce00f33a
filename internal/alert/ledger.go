package alert

import (
	"slices"
	"strings"
	"time"
)

const (
	againAfter = time.Hour       // there is one alert for each cause in this time
	calmAfter  = 5 * time.Minute // what is away for so long is over, unless that is sure
)

// ledger is what was sent, by cause.
type ledger map[string]*incident

// incident is a condition from its beginning to its end. It is kept over a restart.
type incident struct {
	Condition           // as it stood last
	Began     time.Time // when it did
	GoneAt    time.Time // when it was last seen to end; zero: it lasts
	Open      bool      // there was an alert, so that its end needs one, too
	SentAt    time.Time // when the last alert of its cause was sent, in this incident or one before
	Returns   int       // how often it came back since
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
		if s.GoneAt.IsZero() {
			s.GoneAt = now
		}
		if s.Open && (s.Sure || now.Sub(s.GoneAt) >= calmAfter) {
			s.Open = false
			ends = append(ends, s.message(over, now))
		}
		if !s.Open && now.Sub(s.SentAt) >= againAfter {
			delete(l, cause)
		}
	}
	slices.SortFunc(ends, func(a, b message) int { return strings.Compare(a.Cause, b.Cause) })
	return append(send, ends...)
}

// lasts notes a condition, and gives an alert if it is new, or as often as it is to be
// repeated.
func (l ledger) lasts(now time.Time, c Condition) []message {
	s := l[c.Cause]
	stage := still
	switch {
	case s == nil:
		s = &incident{Began: now}
		l[c.Cause] = s
		stage = begun
	case !s.GoneAt.IsZero():
		s.Returns++
		if !s.Open {
			s.Began = now
		}
		s.GoneAt = time.Time{}
	}
	s.Condition = c
	if !c.Since.IsZero() && c.Since.Before(s.Began) {
		s.Began = c.Since
	}
	if stage != begun && now.Sub(s.SentAt) < max(againAfter, c.Every) {
		return nil
	}
	if stage != begun && !s.Open {
		stage = again
	}
	m := s.message(stage, now)
	s.Open, s.SentAt, s.Returns = true, now, 0
	return []message{m}
}

func (s *incident) message(stage stage, now time.Time) message {
	m := message{Condition: s.Condition, stage: stage, since: s.Began, until: now, returns: s.Returns}
	if stage == over {
		m.until = s.GoneAt
	}
	return m
}
