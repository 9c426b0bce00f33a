// Package snapshot copies a SQLite database as it is at one moment, beside a gateway
// that goes on writing to it, and reads what such a copy holds.
package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"onramp/internal/store/dbfile"
)

// The secret behind subscriber keys, in the table meta: what shows which encryption
// key a database belongs to.
const (
	KeySecret   = "key_secret_encrypted"
	KeySecretAs = "meta/key_secret" // associated data
)

// Persons names, in the table meta, the state of the keys that personal data are encrypted
// with; see package personkey. The state itself is a file beside the database, which no backup
// of the database contains: whoever was erased since must not be readable in it.
const (
	Persons       = "persons"
	PersonsEnding = ".persons"    // of the file, after the name of the database
	PersonsCopy   = "persons.key" // the newest copy, one for all backups of a folder
)

// ErrDamaged is in the chain of an error about a file whose pages do not fit together.
var ErrDamaged = errors.New("the database file is damaged")

// Source is a database to copy.
type Source struct {
	Path   string
	Closed bool // nobody has it open, or will meanwhile, and no write-ahead log lies beside it
}

// pages are copied at a time: 8 MB.
const pages = 2000

// CopyTo copies the database to an existing empty file.
//
// It uses SQLite's online backup, inside one read transaction, which is the moment
// that is copied. Neither that nor VACUUM INTO makes a writer wait in WAL mode, but as
// long as either reads, the write-ahead log can't begin anew, and grows. The backup
// copies pages as they are, where VACUUM INTO builds every index again: it is over
// sooner and takes less of the processor from the gateway.
func (s Source) CopyTo(ctx context.Context, to string, progress func(done float64)) (err error) {
	// a reader creates nothing, and never moves the log into the file, whoever closes last
	access := "?mode=ro&_pragma=busy_timeout(10000)"
	if s.Closed {
		access += "&immutable=1" // without files beside it
	}
	db, err := sql.Open("sqlite", dbfile.URI(s.Path)+access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return explain(s.Path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return explain(s.Path, err)
	}
	var tables int // the transaction begins with the first read
	if err := conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return explain(s.Path, err)
	}
	err = conn.Raw(func(c any) error {
		return dbfile.Copy(c, to, pages, func(left, all int) error {
			progress(1 - float64(left)/float64(max(all, 1)))
			return ctx.Err()
		})
	})
	_, endErr := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	return explain(s.Path+" to "+filepath.Dir(to), errors.Join(err, endErr))
}

// Mark has a copy say that it is a backup, and when it was made: see
// [dbfile.MetaBackup].
func Mark(ctx context.Context, path, made string) (err error) {
	db, err := sql.Open("sqlite", dbfile.URI(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, dbfile.MetaBackup, made)
	return explain(path, err)
}

// Summary is what a copy holds.
type Summary struct {
	Registrations int64
	Newest        time.Time // when the newest was accepted; zero: there is none
	Commits       int64     // see [dbfile.Note]
	Version       int       // of its tables
	Made          string    // see [dbfile.MetaBackup]; "": it is not marked
	KeySecret     string    // encrypted; "": it isn't, or there is none
	Persons       string    // the id of the keys of persons that it needs; "": it needs none
}

// Read checks the pages of a copy that nobody has open, and says what is in it.
func Read(ctx context.Context, path string) (_ Summary, err error) {
	db, err := sql.Open("sqlite", dbfile.URI(path)+"?mode=ro&immutable=1")
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := Check(ctx, db); err != nil {
		return Summary{}, explain(path, err)
	}
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'meta' OR name = 'tally' OR name = 'goose_db_version'`).Scan(&tables); err != nil {
		return Summary{}, explain(path, err)
	}
	if tables < 3 {
		return Summary{}, fmt.Errorf("%s is not a database of Onramp", path)
	}
	var s Summary
	var newest sql.NullInt64
	// state 255 counts the commits without a registration
	err = db.QueryRowContext(ctx, `SELECT (SELECT COALESCE(SUM(n), 0) FROM tally WHERE destination_id = 0 AND state <> 255),
		(SELECT COALESCE(SUM(n), 0) FROM tally WHERE destination_id = 0 AND state = 255) + (SELECT COALESCE(MAX(seq), 0) FROM registration),
		(SELECT received_at FROM registration ORDER BY seq DESC LIMIT 1),
		(SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version),
		COALESCE((SELECT value FROM meta WHERE name = $1), ''), COALESCE((SELECT value FROM meta WHERE name = $2), ''),
		COALESCE((SELECT value FROM meta WHERE name = $3), '')`,
		dbfile.MetaBackup, KeySecret, Persons).Scan(&s.Registrations, &s.Commits, &newest, &s.Version, &s.Made, &s.KeySecret, &s.Persons)
	if newest.Valid {
		s.Newest = time.UnixMicro(newest.Int64).UTC()
	}
	return s, explain(path, err)
}

// Check reads all pages of a database, and returns what is wrong with the first one.
func Check(ctx context.Context, db *sql.DB) error {
	var finding string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		line, _, _ := strings.Cut(strings.TrimPrefix(finding, "*** in database main ***\n"), "\n")
		return fmt.Errorf("%w: %s", ErrDamaged, line)
	}
	return nil
}

// explain says what an error of SQLite means.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB) {
		return fmt.Errorf("%s: the file is damaged or not a SQLite database: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, dbfile.Explain(err))
}
