package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"onramp/internal/store/dbfile"
)

// Inspection is what can be told of a database without reading what is in it.
type Inspection struct {
	Version   int              `json:"version"`    // of its tables
	Rows      map[string]int64 `json:"rows"`       // by table; those that took too long to count are left out
	File      int64            `json:"file_bytes"` // size
	Log       int64            `json:"log_bytes"`  // of the write-ahead log
	Pragmas   Pragmas          `json:"pragmas"`
	Integrity string           `json:"integrity"`           // "ok", what is damaged first, or that it took too long to find out
	Uncounted []string         `json:"uncounted,omitempty"` // tables
}

// Pragmas are SQLite's own figures of a database.
type Pragmas struct {
	JournalMode string `json:"journal_mode"`
	PageSize    int64  `json:"page_size"` // in bytes
	Pages       int64  `json:"page_count"`
	FreePages   int64  `json:"freelist_count"`
}

// Inspect reads a database as [Look] does, and writes nothing. It gives each of counting
// and checking at most limit, since a long read has the write-ahead log of a gateway grow.
func Inspect(ctx context.Context, path string, limit time.Duration) (_ Inspection, err error) {
	db, err := openBeside(path)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found := Inspection{Rows: map[string]int64{}, File: size(path), Log: size(path + "-wal")}
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&found.Version); err != nil {
		return found, explain(path, err)
	}
	p := &found.Pragmas
	for name, into := range map[string]any{"journal_mode": &p.JournalMode, "page_size": &p.PageSize, "page_count": &p.Pages, "freelist_count": &p.FreePages} {
		if err := db.QueryRowContext(ctx, `PRAGMA `+name).Scan(into); err != nil {
			return found, explain(path, err)
		}
	}
	if err := found.count(ctx, db, limit); err != nil {
		return found, explain(path, err)
	}
	found.check(ctx, db, limit)
	return found, nil
}

// openBeside opens a database without the locks of a gateway that may have it open.
func openBeside(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	access := "?mode=ro&_pragma=busy_timeout(5000)"
	if _, err := os.Stat(path + "-shm"); err != nil {
		access += "&immutable=1" // nobody has it open; without this, files would be made beside it
	}
	return sql.Open("sqlite", dbfile.URI(path)+access)
}

// size is that of a file, 0 when it is not there.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// count counts the rows of all tables, as far as the limit allows.
func (i *Inspection) count(ctx context.Context, db *sql.DB, limit time.Duration) error {
	names, err := tables(ctx, db)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, name := range names {
		var n int64
		err := db.QueryRowContext(limited, `SELECT COUNT(*) FROM "`+name+`"`).Scan(&n)
		switch {
		case limited.Err() != nil:
			i.Uncounted = append(i.Uncounted, name)
		case err != nil:
			return err
		default:
			i.Rows[name] = n
		}
	}
	return ctx.Err()
}

func tables(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%"%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// check says whether the pages fit together.
func (i *Inspection) check(ctx context.Context, db *sql.DB, limit time.Duration) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := Check(limited, db)
	switch {
	case err == nil:
		i.Integrity = "ok"
	case limited.Err() != nil:
		i.Integrity = fmt.Sprintf("not known: the check took longer than %v", limit)
	default:
		i.Integrity = err.Error()
	}
}
