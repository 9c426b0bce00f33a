package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

const (
	lookStates   = 500       // registrations whose states are derived together
	clockSetBack = time.Hour // that the clock may have been set back by
)

// looking is how far is looked for the rows of a page.
type looking struct {
	longest time.Duration // then a page ends early, with a cursor
	joined  int           // rows of one query that needs other tables to decide about each
	alone   int           // rows of one query that does not
	fresh   int64         // seqs of one reading of what is fresh: most of them may be delivered already or another destination's
}

var usualLooking = looking{longest: 400 * time.Millisecond, joined: 2000, alone: 50_000, fresh: 100_000}

// look goes down a table, from the newest row that may be on a page to the oldest.
type look[T any] struct {
	below, end int64 // seqs: rows from end on that are below the other
	limit      int
	longest    time.Duration
	// portion finds, among the next rows below a seq, those that match, the newest first and
	// at most so many, and says how far down it has looked.
	portion func(ctx context.Context, below int64, most int) (found []T, reached int64, err error)
	seq     func(*T) int64
	size    func(*T) int
}

// page fills a page. next is where the next one begins, 0 at the end; short says that
// it is not full, since to look further would have taken too long.
func (l *look[T]) page(ctx context.Context) (page []T, next int64, short bool, err error) {
	size := 0
	for begun := time.Now(); l.below > l.end; {
		found, reached, err := l.portion(ctx, l.below, l.limit-len(page))
		if err != nil {
			return nil, 0, false, err
		}
		for _, one := range found {
			size += l.size(&one)
			if page = append(page, one); len(page) == l.limit || size >= pageBytes {
				return page, l.seq(&one), false, nil
			}
		}
		if l.below = reached; time.Since(begun) >= l.longest && l.below > l.end {
			return page, l.below, true, nil
		}
	}
	return page, 0, false, nil
}

// chosen is the condition of a query and its arguments.
type chosen struct {
	text string
	args []any
}

// and adds a condition, whose parameters are written as ?.
func (c *chosen) and(condition string, args ...any) {
	if c.text != "" {
		c.text += " AND "
	}
	for _, arg := range args {
		c.args = append(c.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(c.args)), 1)
	}
	c.text += condition
}

// within adds that rows are received from one time on and before another one.
func (c *chosen) within(receivedAt string, since, until time.Time) {
	if !since.IsZero() {
		c.and(receivedAt+" >= ?", micros(since))
	}
	if !until.IsZero() {
		c.and(receivedAt+" < ?", micros(until))
	}
}

// portion is the condition with the range of a portion in front.
func (c *chosen) portion(seq string, from, below int64) chosen {
	with := chosen{c.text, c.args[:len(c.args):len(c.args)]}
	with.and(seq+" >= ?", from)
	with.and(seq+" < ?", below)
	return with
}

// portionFrom is the lowest seq of the next n rows below a seq.
func (s *Store) portionFrom(ctx context.Context, table string, below int64, n int) (int64, error) {
	var top int64
	err := s.readers.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM `+table+` WHERE seq < $1`, below).Scan(&top)
	return max(top-int64(n)+1, 1), err
}

// period says between which seqs of a table the rows are that were received in a time.
// They were received in the order of their seqs, but for a clock that was set back, by no more
// than clockSetBack.
func (s *Store) period(ctx context.Context, table string, since, until time.Time) (end, below int64, err error) {
	end, below = 1, 1<<63-1
	if !since.IsZero() {
		if end, err = s.lastBelow(ctx, table, "received_at", micros(since.Add(-clockSetBack))); err != nil {
			return 0, 0, err
		}
		end++
	}
	if !until.IsZero() {
		below, err = s.lastBelow(ctx, table, "received_at", micros(until.Add(clockSetBack)))
		below++
	}
	return end, below, err
}

// lastBelow finds a seq of a table up to which a column, which ascends with it, is below a
// value, and after which it is not.
func (s *Store) lastBelow(ctx context.Context, table, column string, value int64) (int64, error) {
	var low, high int64
	if err := s.readers.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM `+table).Scan(&high); err != nil {
		return 0, err
	}
	for low < high {
		middle := low + (high-low+1)/2
		var seq, found int64
		err := s.readers.QueryRowContext(ctx, `SELECT seq, `+column+` FROM `+table+` WHERE seq <= $1 ORDER BY seq DESC LIMIT 1`, middle).Scan(&seq, &found)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			low = middle
		case err != nil:
			return 0, err
		case found < value:
			low = middle
		default:
			high = seq - 1
		}
	}
	return low, nil
}

const (
	lookedToRegistration = `SELECT received_at FROM registration WHERE seq >= $1 ORDER BY seq LIMIT 1`
	lookedToEvent        = `SELECT received_at FROM event WHERE seq >= $1 ORDER BY seq LIMIT 1`
	lookedToDelivery     = `SELECT COALESCE(e.received_at, r.received_at)` + fromDeliveries + `WHERE d.seq >= $1 ORDER BY d.seq LIMIT 1`
)

// lookPage fills a page, and says of a short one when the oldest row was received that was
// looked at.
func lookPage[T any](ctx context.Context, s *Store, l *look[T], lookedTo string) (page []T, next string, looked time.Time, err error) {
	l.longest = s.looking.longest
	page, below, short, err := l.page(ctx)
	if below > 0 {
		next = strconv.FormatInt(below, 10)
	}
	if !short || err != nil {
		return page, next, looked, err
	}
	var at sql.NullInt64
	err = s.readers.QueryRowContext(ctx, lookedTo, below).Scan(&at)
	return page, next, fromNull(at), err
}

// named finds what a filter names, 0 when it names none. The error of one that there is not
// names those that there are, also those that only stored rows still know.
func (n *names) named(kind, name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	all := map[string]map[string]int{"form": n.forms, "destination": n.destinations, "callback": n.callbacks}[kind]
	if id, known := all[name]; known {
		return id, nil
	}
	message := "there is no " + kind + " " + strconv.Quote(name)
	if len(all) > 0 {
		message += ": use " + strings.Join(slices.Sorted(maps.Keys(all)), ", ")
	}
	return 0, &onramp.Error{Kind: onramp.Malformed, Message: message}
}

// namedBy finds the form and the destination that a filter names.
func (n *names) namedBy(f onramp.Filter) (form, destination int, err error) {
	if form, err = n.named("form", f.Form); err == nil {
		destination, err = n.named("destination", f.Destination)
	}
	return form, destination, err
}
