package alert

import (
	"fmt"
	"strings"
	"time"
)

// stage is what a message says of its condition.
type stage uint8

const (
	begun stage = iota
	still       // it lasts since the last alert
	again       // it was away for so long that its end was sent
	over
)

// message is an alert: what is said of a condition.
type message struct {
	Condition
	stage        stage
	since, until time.Time // until: now, or the end
	returns      int       // how often it came back since the last alert
}

// title is one line: what, and where.
func (m message) title() string {
	switch m.stage {
	case still:
		return "onramp: still " + m.Title
	case again:
		return "onramp: again " + m.Title
	case over:
		return fmt.Sprintf("onramp: cleared: %s, after %s", m.Title, span(m.until.Sub(m.since)))
	}
	return "onramp: " + m.Title
}

// text is the rest, in lines.
func (m message) text() string {
	var b strings.Builder
	if m.stage == over {
		fmt.Fprintf(&b, "last cause: %s\nfrom: %s\nuntil: %s", m.Detail, stamp(m.since), stamp(m.until))
		return b.String()
	}
	fmt.Fprintf(&b, "cause: %s\nwaiting: %s\nsince: %s (%s)", m.Detail,
		several(m.Waiting, "delivery", "deliveries"), stamp(m.since), span(m.until.Sub(m.since)))
	if m.returns > 0 {
		fmt.Fprintf(&b, "\ncame back: %s since the last alert", several(int64(m.returns), "time", "times"))
	}
	if m.Hint != "" {
		b.WriteString("\nhint: " + m.Hint)
	}
	b.WriteString("\nrunbook: " + m.Runbook.Path() + " (" + m.Runbook.Command() + ")")
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span writes a duration by its two largest units.
func span(d time.Duration) string {
	seconds := int64(d / time.Second)
	for _, u := range []struct {
		large, small   string
		length, inside int64
	}{{"d", "h", 24 * 3600, 3600}, {"h", "m", 3600, 60}, {"m", "s", 60, 1}} {
		if n := seconds / u.length; n > 0 {
			if rest := seconds % u.length / u.inside; rest > 0 {
				return fmt.Sprintf("%d%s%d%s", n, u.large, rest, u.small)
			}
			return fmt.Sprintf("%d%s", n, u.large)
		}
	}
	return fmt.Sprintf("%ds", seconds)
}

func several(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// list writes "a, b and c", or how many there are beyond the limit.
func list(names []string, limit int) string {
	if len(names) > limit {
		names = append(names[:limit-1:limit-1], fmt.Sprintf("%d others", len(names)-limit+1))
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// size writes an amount of space.
func size(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for ; f >= 1000 && i < len(units)-1; i++ {
		f /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
