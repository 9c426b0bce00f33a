package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"onramp/internal/budget"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// readback reads delivered rows of data extensions again, and finds the columns that
// Marketing Cloud has not stored: it passes over those that it does not know, and says
// nothing. A column is looked at once, with the first row that has it; one that was
// not stored again and again, so that its mend is noticed.
type readback struct {
	client  *sfmc.Client
	timeout time.Duration
	calls   *budget.Meter // rows are not read while calls are saved
	log     *slog.Logger
	rows    chan sentRow // those that come while one is looked at are not waited for

	known map[string]*rowsOf // by the name of the destination; belongs to run

	waiting atomic.Int32 // rows to be looked at

	mu   sync.Mutex
	over map[person]bool // the rows to be looked at: whether a call may have written over it since
	// the newest events of journeys of the last while, by ordering key: what they bring may
	// be written into a row later, also a newer one
	fired, firedBefore map[int64]firedEvent
	turned             time.Time // when fired began

	lost map[string]map[string]string // by name of the destination and column, what to do
}

// sentRow is a row that was delivered.
type sentRow struct {
	to     onramp.Destination
	keys   map[string]any
	values json.RawMessage
	person person
	age    int64
}

// person is the ordering key of a row at its data extension: a newer one of it is not
// sent before this one was delivered.
type person struct{ destination, key int64 }

func personOf(d *onramp.Delivery) person { return person{int64(d.DestinationID), d.OrderingKey} }

// firedEvent is the event of a journey that was sent.
type firedEvent struct {
	age int64
	at  time.Time
}

// rowsOf is what is known of one data extension.
type rowsOf struct {
	stored map[string]bool // columns
	never  bool            // it can't be read
	next   time.Time       // not before it is read again
}

const (
	waitingRows = 16
	readAgain   = 10 * time.Second // after a look that found something, or failed
)

func newReadback(client *sfmc.Client, cfg Config) *readback {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &readback{
		client: client, timeout: cfg.Timeout, calls: cfg.Calls, log: log, rows: make(chan sentRow, waitingRows),
		known: map[string]*rowsOf{}, lost: map[string]map[string]string{}, over: map[person]bool{},
	}
}

// ReadBack reads delivered rows back until ctx ends. What it finds Warnings tells. When
// it is called again, after a change of the configuration, it begins anew.
func (s *Sender) ReadBack(ctx context.Context) {
	s.readback.begin()
	s.gone.forget()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.readback.rows:
			s.readback.look(ctx, r, time.Now())
		}
	}
}

func (b *readback) begin() {
	b.known = map[string]*rowsOf{}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.lost)
}

// Warnings are the columns of a destination that were sent and not stored, each with
// what to do. They hold no values.
func (s *Sender) Warnings(destination string) []string {
	b := s.readback
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, column := range slices.Sorted(maps.Keys(b.lost[destination])) {
		all = append(all, "column "+column+" "+b.lost[destination][column])
	}
	return all
}

// offer hands over the first row of a call that was stored. It does not wait.
func (b *readback) offer(c onramp.Call, outcomes []onramp.Outcome) {
	if c.Destination.Kind != onramp.DataExtension || b.calls.Saving().Wait > 0 {
		return
	}
	for i := range outcomes {
		if outcomes[i].Verdict == onramp.Delivered {
			d := &c.Deliveries[i]
			p := personOf(d)
			if !b.watch(p) {
				return
			}
			// of its own, so that it does not hold the body of the call
			r := sentRow{c.Destination, rowKeys(c.Destination, d), slices.Clone(d.Values), p, d.Age}
			select {
			case b.rows <- r:
			default:
				b.unwatch(p)
			}
			return
		}
	}
}

// longestEvent is how long the event of a journey may take until it writes a row.
const longestEvent = 2 * time.Minute

const mostFired = 10_000 // events in each half

// noteEvents notes the events of a call to a journey.
func (b *readback) noteEvents(c *onramp.Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.fired == nil || now.Sub(b.turned) > longestEvent || len(b.fired) > mostFired {
		b.fired, b.firedBefore, b.turned = map[int64]firedEvent{}, b.fired, now
	}
	for i := range c.Deliveries {
		b.fired[c.Deliveries[i].OrderingKey] = firedEvent{c.Deliveries[i].Age, now}
	}
}

// mayBeWrittenLate says whether the event of an earlier registration of the person may
// write over a row.
func (b *readback) mayBeWrittenLate(p person, rowAge int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fired := range []map[int64]firedEvent{b.fired, b.firedBefore} {
		if e, ok := fired[p.key]; ok && e.age < rowAge && time.Since(e.at) <= longestEvent {
			return true
		}
	}
	return false
}

// sending notes which of the rows to be looked at a call may write over: what such a
// row holds says nothing any more.
func (b *readback) sending(c *onramp.Call) {
	if c.Destination.Kind == onramp.Journey {
		b.noteEvents(c)
		return
	}
	if b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range c.Deliveries {
		p := personOf(&c.Deliveries[i])
		if _, watched := b.over[p]; watched {
			b.over[p] = true
		}
	}
}

// watch begins the watch of a person's row. It is false while an earlier one is watched.
func (b *readback) watch(p person) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, watched := b.over[p]; watched {
		return false
	}
	b.over[p] = false
	b.waiting.Add(1)
	return true
}

// unwatch ends the watch of a row, and says whether it may have been written over.
func (b *readback) unwatch(p person) (over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	over = b.over[p]
	delete(b.over, p)
	b.waiting.Add(-1)
	return over
}

// look compares a row with what is stored of it, if it has columns to be looked at.
func (b *readback) look(ctx context.Context, r sentRow, now time.Time) {
	over := sync.OnceValue(func() bool { return b.unwatch(r.person) })
	defer over()
	name := r.to.Name()
	known := b.known[name]
	if known == nil {
		known = &rowsOf{stored: map[string]bool{}}
		b.known[name] = known
	}
	sent := map[string]json.RawMessage{}
	_ = json.Unmarshal(r.values, &sent) // it was delivered
	maps.DeleteFunc(sent, func(column string, _ json.RawMessage) bool {
		return known.stored[column]
	})
	if len(sent) == 0 || known.never || now.Before(known.next) {
		return
	}
	limited, end := context.WithTimeout(ctx, b.timeout)
	defer end()
	stored, err := b.client.FindRow(limited, r.to.Key, r.keys)
	if isUnreadable(err) {
		known.never = true
		b.log.InfoContext(ctx, "columns can't be checked: grant the package data_extensions_read to have rows read back", "destination", name)
		return
	}
	known.next = now.Add(readAgain)
	if err != nil || stored == nil {
		return // a later row will do
	}
	known.next = time.Time{}
	isOver := over() || b.mayBeWrittenLate(r.person, r.age)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost[name] == nil {
		b.lost[name] = map[string]string{}
	}
	for column, value := range sent {
		what := compare(value, stored, column, r.to.OnExisting != onramp.Skip && !isOver)
		switch {
		case what != "":
			b.lost[name][column] = what
			known.next = now.Add(readAgain)
		case !isOver: // else a later row will tell
			delete(b.lost[name], column)
			known.stored[column] = true
		}
	}
}

// compare says what became of a column, or nothing if it is stored. Without values
// only that there is the column is looked at: the row may be an older one.
func compare(value json.RawMessage, stored map[string]string, column string, values bool) string {
	got, found := stored[strings.ToLower(column)]
	if !found {
		return "is not in the data extension: Marketing Cloud drops its values without a word; add it there, or correct the form's column" + SeeCheck + "data-extension"
	}
	sent := strings.Trim(string(value), `"`)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &sent)
	}
	sent, got = plain(sent), plain(got)
	switch {
	case !values || sent == "null" || sameValue(sent, got):
		return ""
	case got == "":
		return "was sent with a value and is empty: see that nothing else writes to it, and compare its type with the field's"
	case strings.HasPrefix(sent, got):
		return fmt.Sprintf("holds only the first %d characters of what was sent: make it longer, or set the field's max", utf8.RuneCountInString(got))
	}
	return "holds something else than what was sent: see that nothing else writes to it, and compare its type with the field's"
}

// plain leaves out what Marketing Cloud may change in a text.
func plain(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// sameValue compares as the vendor's formats demand: Booleans come as "True" and
// "False", numbers with other zeros, and dates in server time or as they were sent,
// to the second and in several notations.
func sameValue(sent, got string) bool {
	if strings.EqualFold(sent, got) {
		return true
	}
	if s, ok := truth[strings.ToLower(sent)]; ok {
		g, known := truth[strings.ToLower(got)]
		return known && s == g
	}
	if a, ok := new(big.Rat).SetString(sent); ok {
		b, isNumber := new(big.Rat).SetString(got)
		return isNumber && a.Cmp(b) == 0
	}
	a, isTime := moment(sent)
	b, wasTime := moment(got)
	if !isTime || !wasTime {
		return false
	}
	const zones, step = 14 * time.Hour, 15 * time.Minute // how far zones are apart, and by what
	apart := a.Sub(b).Abs()
	return apart <= zones+time.Second && (apart+time.Second)%step <= 2*time.Second
}

var truth = map[string]bool{"true": true, "false": false, "1": true, "0": false, "yes": true, "no": false}

// moment reads a date without its zone.
func moment(s string) (time.Time, bool) {
	for _, layout := range []string{
		"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "1/2/2006 3:04:05 PM", "1/2/2006",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC), true
		}
	}
	return time.Time{}, false
}
