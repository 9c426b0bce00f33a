package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
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
	lease       time.Duration // how long a lease lasts unless renewed; 0: as long as the process
	fence       string        // begins a transaction by proving the epoch, and keeps it until the end
	check       string        // says "ok" when the file is whole
	eraseMeta   []string      // empties the table meta, and overwrites what it held
	emptyLog    string        // writes the write-ahead log into the file and empties it
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
	check:       "PRAGMA quick_check(1)",
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
	lease:       15 * time.Second,
	fence:       "SELECT 1 FROM lease WHERE partition_id = 0 AND epoch = $1 FOR SHARE",
	eraseMeta:   []string{"TRUNCATE TABLE meta"}, // a new file in place of the old one
}

// IsShared says whether a database's URL is that of a server, which several
// processes can reach, and not the path of a file.
func IsShared(rawURL string) bool {
	return strings.HasPrefix(rawURL, "postgres://") || strings.HasPrefix(rawURL, "postgresql://")
}

// connect opens the database that the URL names: the writer's pool is returned,
// the readers' pool is kept.
func (s *Store) connect(rawURL string) (*sql.DB, error) {
	if IsShared(rawURL) {
		s.dialect = postgresDialect
		return s.connectPostgres(rawURL)
	}
	s.dialect, s.file = sqliteDialect, rawURL
	return s.connectSQLite(rawURL)
}

func (s *Store) connectSQLite(path string) (*sql.DB, error) {
	if path == "" {
		return nil, errors.New("database: the file name is missing")
	}
	lock := flock.New(path + ".lock")
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("database %s: %w; its folder must exist and be writable", path, err)
	}
	if !locked {
		return nil, fmt.Errorf("database %s is in use by another onramp; stop that process, or use another file", path)
	}
	s.lock = lock
	// the file holds personal data: create it for its owner only, before SQLite would
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), lock.Unlock())
	}
	if err := file.Close(); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	writer, err := sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate", "_pragma=wal_autocheckpoint(1000)", "_pragma=cache_size(-4000)", "_pragma=temp_store(memory)"))
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	writer.SetMaxOpenConns(1)
	s.readers, err = sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(on)", "_pragma=cache_size(-1000)"))
	if err != nil {
		return nil, errors.Join(err, writer.Close(), lock.Unlock())
	}
	s.readers.SetMaxOpenConns(4)
	s.readers.SetMaxIdleConns(4)
	return writer, nil
}

// sqliteDSN puts the settings where every pooled connection gets them.
func sqliteDSN(path string, more ...string) string {
	settings := append([]string{
		"_pragma=busy_timeout(10000)",
		"_pragma=journal_mode(wal)",
		"_pragma=synchronous(full)",
	}, more...)
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath() + "?" + strings.Join(settings, "&")
}

func (s *Store) connectPostgres(rawURL string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, errors.New("database: invalid PostgreSQL URL; the format is postgres://user:password@host:5432/name")
	}
	// an answer promises that the data are on disk, whatever the server's default is
	cfg.RuntimeParams["synchronous_commit"] = "on"
	cfg.RuntimeParams["application_name"] = "onramp"
	s.readers = stdlib.OpenDB(*cfg)
	s.readers.SetMaxOpenConns(8)
	writer := stdlib.OpenDB(*cfg)
	writer.SetMaxOpenConns(1)
	return writer, nil
}

// explain adds what an operator can do about an error at the start.
func (s *Store) explain(err error) error {
	wayOut := "nothing was changed; do not start it again: " + s.wayOut()
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("%s: %w; %s", s.file, err, wayOut)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%s: the database file is damaged or not a SQLite database: %w; %s", s.file, err, wayOut)
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("the disk is full: %w; free some space and start again", err)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
			return fmt.Errorf("the database file can't be written: %w; check its owner and permissions, and that the disk is mounted for writing", err)
		}
	}
	return fmt.Errorf("open database: %w", err)
}

// wayOut says what an operator can do with a damaged file.
func (s *Store) wayOut() string {
	return fmt.Sprintf("move %s and its -wal file away together and restore a backup, "+
		`or recover what is readable: sqlite3 %s ".recover" | sqlite3 recovered.db`, s.file, s.file)
}

func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// queryer is what reads: a pool or a connection.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
