package store

import (
	"context"
	"database/sql"
	"errors"
)

const sentAlerts = "alerts" // in meta

// LoadAlerts returns what SaveAlerts was last given, nil if there is nothing.
func (s *Store) LoadAlerts(ctx context.Context) ([]byte, error) {
	var data []byte
	err := s.readers.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, sentAlerts).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, readerErr("load alerts", err)
}

// SaveAlerts keeps which alerts were sent over a restart.
func (s *Store) SaveAlerts(ctx context.Context, data []byte) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, sentAlerts, string(data)) }})
}
