package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"onramp/internal/postgres"
	"onramp/internal/store/dbfile"
	"onramp/internal/store/snapshot"
)

// dialect holds everything in which the two databases differ.
type dialect struct {
	goose        goose.Dialect
	integerKey   string // type of a table's integer key
	withoutRowID string // table option
	begin        string // takes the write lock at once
	versioned    string // 1 where goose has left its table, else 0
	bulk         int    // most rows in one INSERT

	// placeholder is the n-th parameter of an INSERT of many rows. Everywhere
	// else it is $n, for both.
	placeholder func(n int) string
	now         string             // the database's clock; 0 where leases need none
	fence       string             // begins a transaction by proving the epoch, and keeps it until the end
	ended       string             // waits until no transaction that began with fence is under way
	eraseMeta   []string           // empties the table meta, and overwrites what it held
	snapshot    sql.IsolationLevel // of a transaction that reads as of one moment
	emptyLog    string             // writes the write-ahead log into the file and empties it
}

var sqliteDialect = dialect{
	goose:        goose.DialectSQLite3,
	integerKey:   "INTEGER PRIMARY KEY",
	withoutRowID: "WITHOUT ROWID",
	begin:        "BEGIN IMMEDIATE",
	versioned:    "SELECT COUNT(*) FROM sqlite_master WHERE name = 'goose_db_version'",
	bulk:         16,
	// measured: the driver looks up each $n by its name, which costs a third with so many
	placeholder: func(int) string { return "?" },
	now:         "0",
	eraseMeta:   []string{"PRAGMA secure_delete = ON", "DELETE FROM meta", "PRAGMA secure_delete = OFF"},
	emptyLog:    "PRAGMA wal_checkpoint(TRUNCATE)",
}

var postgresDialect = dialect{
	goose:       goose.DialectPostgres,
	integerKey:  "BIGINT PRIMARY KEY",
	begin:       "BEGIN",
	versioned:   "SELECT COUNT(to_regclass('goose_db_version'))",
	bulk:        32,
	placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
	snapshot:    sql.LevelRepeatableRead,
	now:         "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)", // the same for all rows
	// a pooler may have handed over another session than the one whose setting this was
	fence:     "SELECT set_config('synchronous_commit', '{{durability}}', TRUE) FROM lease WHERE partition_id = 0 AND epoch = $1 FOR SHARE",
	ended:     "SELECT 1 FROM lease WHERE partition_id = 0 FOR UPDATE",
	eraseMeta: []string{"TRUNCATE TABLE meta"}, // a new file in place of the old one
}

// connect opens the database that the URL names: the writer's pool is returned,
// the readers' pool is kept.
func (s *Store) connect(rawURL string) (*sql.DB, error) {
	if postgres.IsURL(rawURL) {
		s.dialect, s.waits = postgresDialect, waitsWithin(cmp.Or(s.waits.lease, usualLease))
		return s.connectPostgres(rawURL)
	}
	s.dialect, s.waits = sqliteDialect, waits{}
	return s.connectSQLite(rawURL)
}

// explain adds what an operator can do about an error at the start.
func (s *Store) explain(err error) error {
	wayOut := "nothing was changed; do not start it again: " + s.wayOut()
	if errors.Is(err, snapshot.ErrDamaged) {
		return fmt.Errorf("%s: %w; %s", s.file, err, wayOut)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%s: the database file is damaged or not a SQLite database: %w; %s", s.file, err, wayOut)
		}
		return fmt.Errorf("open database %s: %w", s.file, dbfile.Explain(err))
	}
	return fmt.Errorf("open database: %w", err)
}

// wayOut says what an operator can do with a damaged file.
func (s *Store) wayOut() string {
	return fmt.Sprintf("move %s and its -wal file away together and restore a backup, "+
		`or recover what is readable: sqlite3 %s ".recover" | sqlite3 recovered.db`, s.file, s.file)
}

// processName is unique: containers share names and process ids.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8])
}

// queryer is what reads: a pool or a connection.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
