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
	indexSlice    = 500                    // keys that one write inserts, so that nothing else waits long
	indexCalm     = 500 * time.Millisecond // without new events; then there is time
)

// indexEvents brings event_key up to the newest event. Its keys are random, so
// that each one would dirty a page of its own if it were inserted with its event;
// in large sorted parts neighbours share one. Whoever looks for events calls this
// first, and it runs by itself when there is time or when much has come together.
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

// saveEventKeys inserts keys in their order. The mark follows the last of them:
// what an end in between has left is inserted again, which changes nothing.
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

// indexInCalm indexes what nobody has looked for, until ctx ends. Its errors are
// those of the next one who looks.
func (s *Store) indexInCalm(ctx context.Context) {
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
			case <-time.After(indexCalm):
				waiting = false
			case <-ctx.Done():
				return
			}
		}
		begun = s.newestEvent()
		_ = s.indexEvents(ctx)
	}
}
