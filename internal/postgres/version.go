package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Version connects to a server and asks for its version, such as "15.4", within the
// time of ctx. The error does not quote the URL.
func Version(ctx context.Context, rawURL string) (_ string, err error) {
	const patience = 5 * time.Second
	d, err := Parse(rawURL, Limits{Connect: patience, Check: patience, Lock: patience, Idle: patience, Unacked: patience})
	if err != nil {
		return "", err
	}
	pool := d.Pool(patience, nil)
	defer func() { err = errors.Join(err, pool.Close()) }()
	var version string
	if err := pool.QueryRowContext(ctx, `SHOW server_version`).Scan(&version); err != nil {
		return "", fmt.Errorf("the PostgreSQL server can't be used: %w", err)
	}
	return version, nil
}

// Inspection is what can be told of a database on a server without reading what is in it.
type Inspection struct {
	Server  string           `json:"server"`  // its version
	Version int              `json:"version"` // of the tables
	Rows    map[string]int64 `json:"rows"`    // by table, as the server estimates
	Size    int64            `json:"size"`    // of the database, in bytes
}

// Inspect reads the server's own figures; it counts nothing, and writes nothing.
func Inspect(ctx context.Context, rawURL string) (found Inspection, err error) {
	if found.Server, err = Version(ctx, rawURL); err != nil {
		return found, err
	}
	const patience = 5 * time.Second
	d, err := Parse(rawURL, Limits{Connect: patience, Check: patience, Lock: patience, Idle: patience, Unacked: patience})
	if err != nil {
		return found, err
	}
	pool := d.Pool(patience, nil)
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := pool.QueryRowContext(ctx, `SELECT (SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version),
		pg_database_size(current_database())`).Scan(&found.Version, &found.Size); err != nil {
		return found, fmt.Errorf("inspect the database: %w", err)
	}
	rows, err := pool.QueryContext(ctx, `SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE schemaname = current_schema()`)
	if err != nil {
		return found, fmt.Errorf("inspect the tables: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found.Rows = map[string]int64{}
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return found, fmt.Errorf("inspect the tables: %w", err)
		}
		found.Rows[name] = n
	}
	return found, rows.Err()
}
