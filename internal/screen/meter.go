package screen

import (
	"sync"
	"time"
)

// meter counts the submissions of a form, and notices when they leave what is usual.
type meter struct {
	form string

	mu        sync.Mutex
	minute    int64 // since 1970
	n, before int   // submissions in it, and in the one before
	most      int   // that a minute may have; 0: any number
	usual     int   // of that, what a minute has at most at this time of the week; -1: not known
	since     time.Time
	last      time.Time // when there were too many
	peak      int       // submissions in a minute since then
}

const (
	surgeFactor = 5  // of the usual
	surgeLeast  = 30 // submissions in a minute: fewer are no surge
	surgeOver   = 10 * time.Minute
)

// Surge is that a form gets far more submissions than usual.
type Surge struct {
	Form  string
	Since time.Time
	Peak  int  // submissions in a minute since then
	Usual *int // the most in a minute at about this time of the week; nil: not known yet
}

// note counts a submission. limit and usual say what is too many: they are asked once a
// minute.
func (m *meter) note(now time.Time, limit Rate, usual func(form string) (int, bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now, limit, usual)
	m.n++
	if rate := m.rate(now); m.most > 0 && rate > m.most {
		if m.since.IsZero() {
			m.since, m.peak = now, 0
		}
		m.last, m.peak = now, max(m.peak, rate)
	}
}

// advance goes on to the present minute.
func (m *meter) advance(now time.Time, limit Rate, usual func(form string) (int, bool)) {
	minute := now.Unix() / 60
	if minute == m.minute {
		return
	}
	m.before = m.n
	if minute != m.minute+1 {
		m.before = 0
	}
	m.minute, m.n = minute, 0
	m.most, m.usual = limit.perMinute(), -1
	if usual == nil {
		return
	}
	if most, known := usual(m.form); known {
		m.usual = most
		m.most = max(surgeFactor*most, surgeLeast)
	}
}

// rate is how many came in the last minute, as far as two counters tell.
func (m *meter) rate(now time.Time) int {
	return m.n + m.before*int(60-now.Unix()%60)/60
}

// isSurge says whether there were too many a short while ago.
func (m *meter) isSurge(now time.Time) bool { return !m.since.IsZero() && now.Sub(m.last) < surgeOver }

// level is 0 in quiet times, and rises to 3 with the rate.
func (m *meter) level(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isSurge(now) {
		return 0
	}
	switch rate := m.rate(now); {
	case rate > 16*m.most:
		return 3
	case rate > 4*m.most:
		return 2
	}
	return 1
}

// surge tells of too many; ok is false when there is nothing to tell.
func (m *meter) surge(now time.Time) (s Surge, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isSurge(now) {
		m.since = time.Time{}
		return s, false
	}
	s = Surge{Form: m.form, Since: m.since, Peak: m.peak}
	if m.usual >= 0 {
		usual := m.usual
		s.Usual = &usual
	}
	return s, true
}
