package store

import (
	"context"
	"database/sql"
	"errors"
)

// What is kept in meta over a restart.
const (
	sentAlerts = "alerts"
	watchState = "watch"
)

// LoadAlerts returns what SaveAlerts was last given, nil if there is nothing.
func (s *Store) LoadAlerts(ctx context.Context) ([]byte, error) {
	return s.loadMeta(ctx, sentAlerts)
}

// SaveAlerts keeps which alerts were sent over a restart.
func (s *Store) SaveAlerts(ctx context.Context, data []byte) error {
	return s.saveMeta(ctx, sentAlerts, data)
}

// LoadWatch returns what SaveWatch was last given, nil if there is nothing.
func (s *Store) LoadWatch(ctx context.Context) ([]byte, error) { return s.loadMeta(ctx, watchState) }

// SaveWatch keeps what the watch over arrival knows over a restart.
func (s *Store) SaveWatch(ctx context.Context, data []byte) error {
	return s.saveMeta(ctx, watchState, data)
}

func (s *Store) loadMeta(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := s.readers.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, name).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, readerErr("load "+name, err)
}

func (s *Store) saveMeta(ctx context.Context, name string, data []byte) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, name, string(data)) }})
}
