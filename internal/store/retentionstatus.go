package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"onramp/internal/retention"
)

// MarkRetained notes that everything has been looked at.
func (s *Store) MarkRetained(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(saveMeta, retentionDone, strconv.FormatInt(micros(t.now), 10))
	}})
}

// RetainedAt is when everything had been looked at the last time; zero: never.
func (s *Store) RetainedAt(ctx context.Context) (time.Time, error) {
	value, err := findMeta(ctx, s.readers, retentionDone)
	if err != nil || value == "" {
		return time.Time{}, readerErr("find when retention was done", err)
	}
	at, err := strconv.ParseInt(value, 10, 64)
	return fromMicros(at), err
}

// ListRemoved tells how much was removed, ever, by what it was.
func (s *Store) ListRemoved(ctx context.Context) (map[string]retention.Removed, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT what, n, last_at FROM removed`)
	removed := map[string]retention.Removed{}
	_, err = collect(rows, err, func(rows *sql.Rows) (r retention.Removed, err error) {
		var what string
		var at int64
		err = rows.Scan(&what, &r.Count, &at)
		r.LastAt = fromMicros(at)
		removed[what] = r
		return r, err
	})
	return removed, readerErr("list what was removed", err)
}

// OldestKept is when the oldest was received of what is stored: registrations, by the oldest
// of all and by what is dead, unknown, discarded or held, and events.
func (s *Store) OldestKept(ctx context.Context) (map[string]time.Time, error) {
	failed := func(state string) string {
		return numbered(`SELECT r.received_at FROM delivery d JOIN registration r ON r.seq = d.registration_seq
			WHERE d.seq = (SELECT MIN(seq) FROM delivery WHERE ` + inFailedIndex + ` AND state = ` + state + `)`)
	}
	oldest := map[string]time.Time{}
	for what, query := range map[string]string{
		"delivered": `SELECT received_at FROM registration ORDER BY seq LIMIT 1`,
		"dead":      failed(`{{dead}}`), "unknown": failed(`{{unknown}}`), "discarded": failed(`{{discarded}}`),
		"held":     numbered(`SELECT held_at FROM hold WHERE reason = {{suspicion}} ORDER BY held_at LIMIT 1`),
		"events":   `SELECT received_at FROM event ORDER BY seq LIMIT 1`,
		"attempts": `SELECT started_at FROM attempt WHERE (request <> '' OR answer <> '') ORDER BY started_at LIMIT 1`,
	} {
		var at int64
		switch err := s.readers.QueryRowContext(ctx, query).Scan(&at); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, readerErr("find the oldest that is kept", err)
		default:
			oldest[what] = fromMicros(at)
		}
	}
	return oldest, nil
}
