package bundle

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// keptLines is how many lines a Log keeps of each kind: enough to see what came before a
// failure, in some hundred kilobytes.
const keptLines = 200

// Log is a handler that keeps the newest lines in memory, of level info, and apart from
// them those from warning on: else a busy gateway's requests would push them out. Make
// it with NewLog.
type Log struct {
	kept  *kept
	added []slog.Attr // by WithAttrs
}

// kept is what all handlers that come from one Log share.
type kept struct {
	mu            sync.Mutex
	info, warning ring
}

// ring is the newest lines; the oldest is overwritten.
type ring struct {
	lines [keptLines]line
	next  int
}

// line is a record with what its handler has added. It is written out only when it is
// asked for.
type line struct {
	record slog.Record
	added  []slog.Attr
}

// NewLog makes a Log without lines.
func NewLog() *Log { return &Log{kept: new(kept)} }

// Enabled leaves out what is only for developers.
func (l *Log) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle keeps a record.
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	of := &l.kept.info
	if r.Level >= slog.LevelWarn {
		of = &l.kept.warning
	}
	one := line{r.Clone(), l.added}
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	of.lines[of.next] = one
	of.next = (of.next + 1) % keptLines
	return nil
}

// WithAttrs is as slog.Handler says.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Log{l.kept, slices.Concat(l.added, attrs)}
}

// WithGroup does not group: nobody looks a line up by its keys here.
func (l *Log) WithGroup(string) slog.Handler { return l }

// Line is a line of the log.
type Line struct {
	Time       time.Time     `json:"time"`
	Level      Plain         `json:"level"`
	Message    string        `json:"message"`
	Attributes map[Plain]any `json:"attributes"`
}

// Lines returns what is kept, the oldest line first.
func (l *Log) Lines() Lines {
	l.kept.mu.Lock()
	all := slices.Concat(l.kept.info.lines[:], l.kept.warning.lines[:])
	l.kept.mu.Unlock()
	all = slices.DeleteFunc(all, func(one line) bool { return one.record.Time.IsZero() })
	slices.SortStableFunc(all, func(a, b line) int { return a.record.Time.Compare(b.record.Time) })
	lines := make(Lines, len(all))
	for i, one := range all {
		lines[i] = one.view()
	}
	return lines
}

// view writes a line out. Keys are the program's own, see archtest; values are anybody's.
func (l line) view() Line {
	v := Line{l.record.Time, Plain(l.record.Level.String()), l.record.Message, map[Plain]any{}}
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve()
		if value.Kind() == slog.KindGroup {
			return true
		}
		v.Attributes[Plain(a.Key)] = value.Any()
		if a.Key == "code" { // anybody's number: as a text, it is masked unless it is known
			v.Attributes[Plain(a.Key)] = value.String()
		}
		return true
	}
	for _, a := range l.added {
		add(a)
	}
	l.record.Attrs(add)
	return v
}
