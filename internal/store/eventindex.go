package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store/eventtail"
)

const (
	indexedTo     = "events_indexed_to"
	indexTogether = 50_000                 // events whose keys are sorted together
	indexSlice    = 500                    // keys in one write, so that nothing else waits long
	indexIdle     = 500 * time.Millisecond // without new events

	scanTogether = 10_000                 // events that one look at the table goes through
	scanFor      = 250 * time.Millisecond // longest time for all such looks
)

// byEventKey is the condition for the events of a hash.
const byEventKey = `WHERE e.seq IN (SELECT k.event_seq FROM event_key k WHERE k.hash = $1)`

// eventsByKey lists the oldest events of a hash, as far as a condition, whose
// parameters begin with $2, lets them through.
func (s *Store) eventsByKey(ctx context.Context, hash int64, condition string, most int, args ...any) ([]onramp.Event, error) {
	unindexed, err := s.unindexedEvents(ctx, hash) // first: what is indexed after this is found twice, and not never
	if err != nil {
		return nil, err
	}
	tail := condition + ` ORDER BY e.seq LIMIT ` + strconv.Itoa(most)
	found, _, err := s.pageEvents(ctx, byEventKey+tail, append([]any{hash}, args...)...)
	for part := range slices.Chunk(unindexed, scanTogether/20) {
		if err != nil || len(found) >= most {
			break
		}
		list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(part)), ", "), "[]")
		var more []onramp.Event
		more, _, err = s.pageEvents(ctx, `WHERE e.seq >= $1 AND e.seq IN (`+list+`) AND (e.person = `+strconv.FormatInt(hash, 10)+` OR e.send = `+strconv.FormatInt(hash, 10)+`)`+tail,
			append([]any{part[0]}, args...)...)
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b onramp.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	found = slices.CompactFunc(found, func(a, b onramp.Event) bool { return a.Seq == b.Seq })
	return found[:min(len(found), most)], err
}

// unindexedEvents lists the events of a hash that the index does not have yet. Those
// that came since the start are in memory; for those from before it the table is
// looked through, as far as there is time.
func (s *Store) unindexedEvents(ctx context.Context, hash int64) ([]int64, error) {
	newest, from := s.tail.Find(hash)
	value, err := findMeta(ctx, s.readers, indexedTo)
	if err != nil {
		return nil, readerErr("find index mark", err)
	}
	mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	var older []int64
	for begun := time.Now(); mark < from-1; mark += scanTogether {
		if time.Since(begun) > scanFor {
			return nil, &onramp.Error{
				Kind: onramp.Unavailable, RetryAfter: 5 * time.Second,
				Message: "events from before the start are still being indexed; please try again in a few seconds",
			}
		}
		rows, err := s.readers.QueryContext(ctx, `SELECT seq FROM event WHERE seq > $1 AND seq <= $2 AND (person = $3 OR send = $3) ORDER BY seq`,
			mark, min(mark+scanTogether, from-1), hash)
		found, err := collect(rows, err, scanSeq)
		if err != nil {
			return nil, readerErr("look through events", err)
		}
		older = append(older, found...)
	}
	return append(older, newest...), nil
}

// indexEvents brings event_key up to the newest event. Its keys are random: inserted
// with its event, each would dirty a page of its own; in large sorted parts
// neighbours share one. It runs in the background, when no events come or when many
// have; nobody waits for it.
func (s *Store) indexEvents(ctx context.Context) error {
	for ctx.Err() == nil {
		value, err := findMeta(ctx, s.readers, indexedTo)
		if err != nil {
			return readerErr("find index mark", err)
		}
		mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
		if mark >= s.newestEvent() {
			return nil
		}
		keys, to, err := s.listEventKeys(ctx, mark)
		if err != nil {
			return readerErr("list event keys", err)
		}
		if to == mark {
			return nil // the newest were repeats
		}
		if err := s.saveEventKeys(ctx, keys, to); err != nil {
			return err
		}
		s.tail.DropTo(to)
	}
	return context.Cause(ctx)
}

// eventKey is one way to find an event.
type eventKey struct{ hash, event int64 }

func (s *Store) listEventKeys(ctx context.Context, after int64) (keys []eventKey, to int64, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, person, send FROM event WHERE seq > $1 ORDER BY seq LIMIT $2`, after, indexTogether)
	type hashes struct {
		event        int64
		person, send sql.NullInt64
	}
	found, err := collect(rows, err, func(rows *sql.Rows) (h hashes, err error) {
		err = rows.Scan(&h.event, &h.person, &h.send)
		return h, err
	})
	if err != nil || len(found) == 0 {
		return nil, after, err
	}
	for _, h := range found {
		for _, hash := range []sql.NullInt64{h.person, h.send} {
			if hash.Valid {
				keys = append(keys, eventKey{hash.Int64, h.event})
			}
		}
	}
	slices.SortFunc(keys, func(a, b eventKey) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.event, b.event)) })
	return keys, found[len(found)-1].event, nil
}

// saveEventKeys inserts keys in their order, and then moves the mark. After a crash
// in between they are inserted again, which changes nothing.
func (s *Store) saveEventKeys(ctx context.Context, keys []eventKey, to int64) error {
	values := make([]any, 0, 2*indexSlice)
	for slice := range slices.Chunk(keys, indexSlice) {
		values = values[:0]
		for _, k := range slice {
			values = append(values, k.hash, k.event)
		}
		err := s.writer.write(ctx, &op{rows: len(slice) / 4, run: func(t *tx) error { return t.insert(t.store.writer.eventKeys, values) }})
		if err != nil {
			return err
		}
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, indexedTo, strconv.FormatInt(to, 10)) }})
}

// mostLoaded is how many events are read into memory at a start: some 50 MB.
const mostLoaded = 2_000_000

// loadTail reads what the events before the start are found by that are not indexed
// yet, which is much faster than to index them. After an error they are looked for in
// the table until they are.
func (s *Store) loadTail(ctx context.Context) {
	value, err := findMeta(ctx, s.readers, indexedTo)
	mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	_, from := s.tail.Find(0)
	if err != nil || from-1-mark > mostLoaded {
		return
	}
	var older eventtail.Older
	for after := mark; after < from-1; after += indexTogether {
		rows, err := s.readers.QueryContext(ctx, `SELECT seq, COALESCE(person, 0), COALESCE(send, 0) FROM event WHERE seq > $1 AND seq <= $2 ORDER BY seq`,
			after, min(after+indexTogether, from-1))
		part, err := collect(rows, err, func(rows *sql.Rows) (e eventtail.Event, err error) {
			err = rows.Scan(&e.Seq, &e.Person, &e.Send)
			return e, err
		})
		if err != nil {
			return
		}
		older.Add(part)
	}
	s.tail.Precede(mark+1, older)
}

// indexWhenIdle indexes events in the background until ctx ends. After an error it
// begins again with the next event; until then they are found without the index.
func (s *Store) indexWhenIdle(ctx context.Context) {
	s.loadTail(ctx)
	begun := s.newestEvent()
	for ctx.Err() == nil {
		select {
		case <-s.unindexed:
		case <-ctx.Done():
			return
		}
		for waiting := true; waiting; {
			select {
			case <-s.unindexed:
				waiting = s.newestEvent()-begun < indexTogether
			case <-time.After(indexIdle):
				waiting = false
			case <-ctx.Done():
				return
			}
		}
		begun = s.newestEvent()
		_ = s.indexEvents(ctx)
	}
}
