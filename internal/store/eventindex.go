package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"
)

const (
	indexedTo     = "events_indexed_to"
	indexTogether = 50_000                 // events whose keys are sorted together
	indexSlice    = 500                    // keys in one write, so that nothing else waits long
	indexIdle     = 500 * time.Millisecond // without new events
)

// indexEvents brings event_key up to the newest event. Its keys are random: inserted
// with its event, each would dirty a page of its own; in large sorted parts
// neighbours share one. Every query by such a key calls this first, and it also runs
// in the background, when no events come or when many have.
func (s *Store) indexEvents(ctx context.Context) error {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	for {
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
	}
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

// indexWhenIdle indexes events in the background until ctx ends. An error is not
// lost: the next query that needs the index meets it.
func (s *Store) indexWhenIdle(ctx context.Context) {
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
