package store

import (
	"context"
	"database/sql"
)

const (
	pagesTogether = 64  // that are given back by one write
	pagesKept     = 256 // that stay free: what comes next goes there
)

// ReleaseSpace gives pages of a SQLite file back to its disk that hold nothing any more, by
// one short write, and says whether there are more of them. On PostgreSQL there are none:
// its autovacuum looks after that.
func (s *Store) ReleaseSpace(ctx context.Context) (more bool, err error) {
	free, incremental, err := s.freePages(ctx)
	if err != nil || !incremental || free <= pagesKept {
		return false, err
	}
	err = s.writer.write(ctx, &op{rows: pagesTogether, run: func(t *tx) error {
		return t.each(`PRAGMA incremental_vacuum(64)`, nil, func(func(...any) error) error { return nil })
	}})
	return err == nil, err
}

// freePages counts the pages of a SQLite file that hold nothing; incremental says whether
// they can be given back one by one.
func (s *Store) freePages(ctx context.Context) (free int64, incremental bool, err error) {
	if s.own == nil {
		return 0, false, nil
	}
	var mode int
	err = s.readers.QueryRowContext(ctx, `SELECT freelist_count, auto_vacuum FROM pragma_freelist_count, pragma_auto_vacuum`).Scan(&free, &mode)
	return free, mode == autoVacuumIncremental, readerErr("count free pages", err)
}

const autoVacuumIncremental = 2 // SQLite's number of it

// FreeSpace tells how many bytes of a SQLite file hold nothing, and whether ReleaseSpace can
// give them back: it can't in files of older versions, until they were vacuumed.
func (s *Store) FreeSpace(ctx context.Context) (bytes int64, releasable bool, err error) {
	free, incremental, err := s.freePages(ctx)
	if err != nil || free == 0 {
		return 0, incremental || s.own == nil, err
	}
	var size int64
	err = s.readers.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&size)
	return free * size, incremental, readerErr("read the page size", err)
}

// EmptyLog writes the write-ahead log into the SQLite file and empties it, so that nothing
// that was removed is left there. While somebody reads, it does nothing: it never waits, since
// all writes would wait with it.
func (s *Store) EmptyLog(ctx context.Context) error {
	if s.own == nil {
		return nil
	}
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return readerErr("empty the log", err)
	}
	defer conn.Close()
	var busy, frames, moved int
	_, err = conn.ExecContext(ctx, `PRAGMA busy_timeout = 0`)
	if err == nil {
		err = conn.QueryRowContext(ctx, s.dialect.emptyLog).Scan(&busy, &frames, &moved)
	}
	// whatever came of it, the connection goes back to the others as it was
	if _, restoreErr := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA busy_timeout = 10000`); err == nil {
		err = restoreErr
	}
	return readerErr("empty the log", err)
}

// Vacuum writes a SQLite file anew without what holds nothing, from then on so that
// ReleaseSpace can give back its pages, and returns its size in bytes before and after.
// It needs the size of the file once more on the same disk, and nothing is stored meanwhile.
func (s *Store) Vacuum(ctx context.Context) (before, after int64, err error) {
	if before, err = s.fileSize(ctx); err != nil {
		return 0, 0, err
	}
	var failed error
	err = s.writer.write(ctx, &op{aside: func() { failed = s.writer.vacuum(ctx) }})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = s.EmptyLog(ctx)
	}
	if err == nil {
		after, err = s.fileSize(ctx)
	}
	return before, after, err
}

func (w *writer) vacuum(ctx context.Context) error {
	if err := w.ensureSession(ctx); err != nil {
		return err
	}
	for _, statement := range []string{`PRAGMA auto_vacuum = INCREMENTAL`, `PRAGMA secure_delete = ON`, `VACUUM`, `PRAGMA secure_delete = OFF`} {
		if _, err := w.session.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) fileSize(ctx context.Context) (bytes int64, err error) {
	var pages, size sql.NullInt64
	err = s.readers.QueryRowContext(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`).Scan(&pages, &size)
	return pages.Int64 * size.Int64, readerErr("read the size of the file", err)
}
