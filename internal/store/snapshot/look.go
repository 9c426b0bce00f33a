package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Content is what a database holds, at a glance.
type Content struct {
	Version   int       // of its tables
	First     time.Time // when the oldest registration was accepted; zero: there is none
	Newest    time.Time // when the newest was; likewise
	LastEvent time.Time // when the newest event came; zero: none did
	KeySecret string    // encrypted; "": it isn't, or there is none
}

// Look reads a database that a gateway may have open, without its locks, and writes
// nothing. The error is [os.ErrNotExist] when there is no file.
func Look(ctx context.Context, path string) (_ Content, err error) {
	db, err := openBeside(path)
	if err != nil {
		return Content{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'meta' OR name = 'registration' OR name = 'goose_db_version'`).Scan(&tables); err != nil {
		return Content{}, explain(path, err)
	}
	if tables < 3 {
		return Content{}, fmt.Errorf("%s is not a database of Onramp", path)
	}
	var c Content
	var first, newest, event sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT (SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version),
		(SELECT received_at FROM registration ORDER BY seq LIMIT 1), (SELECT received_at FROM registration ORDER BY seq DESC LIMIT 1),
		(SELECT received_at FROM event ORDER BY seq DESC LIMIT 1),
		COALESCE((SELECT value FROM meta WHERE name = $1), '')`, KeySecret).Scan(&c.Version, &first, &newest, &event, &c.KeySecret)
	c.First, c.Newest, c.LastEvent = moment(first), moment(newest), moment(event)
	return c, explain(path, err)
}

func moment(micros sql.NullInt64) time.Time {
	if !micros.Valid {
		return time.Time{}
	}
	return time.UnixMicro(micros.Int64).UTC()
}
