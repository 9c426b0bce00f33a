package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"onramp/internal/store/dbfile"
)

func (s *Store) connectSQLite(path string) (*sql.DB, error) {
	file, err := dbfile.Open(path)
	if err != nil {
		return nil, err
	}
	s.file, s.own = file.Path, file
	if s.notices, err = file.Leftovers(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	writer, err := s.openSQLite(1, "_txlock=immediate", "_pragma=wal_autocheckpoint(1000)", "_pragma=cache_size(-4000)", "_pragma=temp_store(memory)")
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// one of them is the keeper
	if s.readers, err = s.openSQLite(5, "_pragma=query_only(on)", "_pragma=cache_size(-1000)"); err != nil {
		return nil, errors.Join(err, writer.Close(), file.Close())
	}
	return writer, nil
}

func (s *Store) openSQLite(connections int, settings ...string) (*sql.DB, error) {
	connector, err := s.own.Guard(sqliteDSN(s.file, settings...))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// sqliteDSN puts the settings where every pooled connection gets them.
func sqliteDSN(path string, more ...string) string {
	settings := append([]string{
		"_pragma=busy_timeout(10000)",
		"_pragma=auto_vacuum(incremental)", // of a new file: it must come first
		"_pragma=journal_mode(wal)",
		"_pragma=synchronous(full)",
	}, more...)
	return dbfile.URI(path) + "?" + strings.Join(settings, "&")
}

// commits is the tally of commits without a registration, which have a number of
// their own already.
var commits = tallyKey{state: 255}

func (t *tx) countCommit() {
	if t.store.own != nil && t.registrationSeq == t.store.writer.registrationSeq {
		t.tally[commits]++
	}
}

// progress goes up with each commit: it tells an older copy of the database from a
// newer one. t is a commit that is not applied yet; it may be nil.
func (s *Store) progress(t *tx) int64 {
	if t == nil {
		return s.tallies.count(commits) + s.writer.registrationSeq
	}
	return s.tallies.count(commits) + t.tally[commits] + t.registrationSeq
}

// beginRun notes that the database is in use, and doubts it if it is not the one
// that this gateway has left.
func (s *Store) beginRun(ctx context.Context) error {
	if s.isRestored {
		s.doubt = "it was started with --restored"
	}
	if s.own == nil {
		return s.saveRun(nil, 0)
	}
	keeper, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	s.keeper = keeper
	return s.own.Begin(ctx, dbfile.Meta{
		Find: func(name string) (string, error) { return findMeta(ctx, s.readers, name) },
		Save: s.saveRun, Doubted: func(why string) { s.doubt = why },
	}, func() int64 { return s.progress(nil) }, keeper)
}

func (s *Store) saveRun(texts map[string]string, userVersion uint32) error {
	begins := userVersion != 0 || texts == nil
	return s.writer.write(context.Background(), &op{run: func(t *tx) error {
		if begins && s.doubt != "" {
			if err := t.markRestored(); err != nil {
				return err
			}
		}
		for name, text := range texts {
			if err := t.exec(saveMeta, name, text); err != nil {
				return err
			}
		}
		if userVersion == 0 {
			return nil
		}
		return t.exec(`PRAGMA user_version = ` + strconv.FormatUint(uint64(userVersion), 10))
	}})
}

// intact says why nothing can be written any more; see [dbfile.File.Intact].
func (s *Store) intact() error {
	if s.own == nil {
		return nil
	}
	return s.own.Intact()
}

// intactRecently is intact for the beginning of a commit.
func (s *Store) intactRecently() error {
	if s.own == nil {
		return nil
	}
	return s.own.Recently()
}

// goneFile is what intact has found, without another look.
func (s *Store) goneFile() error {
	if s.own == nil {
		return nil
	}
	return s.own.Trouble()
}

// Gone is closed when the SQLite file went away under this process and its content
// was saved as far as possible; Trouble says what happened, and what to do.
func (s *Store) Gone() <-chan struct{} {
	if s.own == nil {
		return nil
	}
	return s.own.Told()
}

// Notices are what an operator should know about the database since the start, each
// with what to do.
func (s *Store) Notices() []string { return s.notices }
