package dbfile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"onramp/internal/durable"
)

// save copies all that a connection sees of the database to a new file beside it,
// and has that on disk. The connection reads from the file that it has open,
// whatever now bears its name.
func (f *File) save(conn *sql.Conn) (path string, err error) {
	path = f.Beside("rescued")
	partial := path + ".partial"
	made, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	err = conn.Raw(func(c any) error { return Copy(c, partial, -1, func(int, int) error { return nil }) })
	if err == nil {
		err = made.Sync()
	}
	if err = errors.Join(err, made.Close()); err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(partial))
	}
	return path, durable.SyncFolder(filepath.Dir(path))
}

// Copy copies all that a connection sees of its database to another file, so many
// pages at a time, or all at once with -1. After each part, copied gets how many pages
// are left; its error ends it.
func Copy(conn any, to string, pages int32, copied func(left, all int) error) (err error) {
	source, ok := conn.(interface {
		NewBackup(string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the connection can't copy its database")
	}
	backup, err := source.NewBackup(URI(to))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backup.Finish()) }()
	for more := true; more; {
		if more, err = backup.Step(pages); err != nil {
			return err
		}
		if err := copied(backup.Remaining(), backup.PageCount()); err != nil {
			return err
		}
	}
	return nil
}

// URI names a file as SQLite wants it.
func URI(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath()
}

// Guard makes connections only while the file is the one that was opened: SQLite
// opens by name, and would take a stranger's file for ours.
func (f *File) Guard(dsn string) (driver.Connector, error) {
	inner, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", f.Path, err)
	}
	return guarded{inner, f.Intact}, nil
}

type guarded struct {
	driver.Connector
	check func() error
}

// Connect opens a connection. One that was opened while the file was replaced is
// not closed: that would write to what it has opened.
func (g guarded) Connect(ctx context.Context) (driver.Conn, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	conn, err := g.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	return conn, nil
}
