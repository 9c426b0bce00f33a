package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
)

// errDamaged is in the chain of the error of Open when the file's pages do not
// fit together.
var errDamaged = errors.New("the database file is damaged")

// largestCheck is the size of a file, in bytes, that is looked through before
// anything else is done: some seconds' worth. A larger one is looked through
// beside the work: Marketing Cloud's events make files of any size, and nobody
// should be turned away for a minute at each start.
const largestCheck = 1 << 30

// check looks through the file, or has it done later.
func (s *Store) check(ctx context.Context, db *sql.DB) error {
	if s.file != "" {
		if info, err := os.Stat(s.file); err == nil && info.Size() > s.largestCheck {
			s.checkLater = true
			return nil
		}
	}
	return checkPages(ctx, db, s.dialect)
}

// checkBeside looks through the file while everything else goes on, and says what
// it finds to Damaged.
func (s *Store) checkBeside(ctx context.Context) {
	if !s.checkLater {
		return
	}
	if err := checkPages(ctx, s.readers, s.dialect); err != nil && ctx.Err() == nil {
		if !errors.Is(err, errDamaged) { // SQLite may stumble over it, too
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		s.damaged <- fmt.Errorf("%s: %w; %s", s.file, err, s.wayOut())
	}
}

// Damaged yields an error when a file that was too large to be looked through at
// the start turns out to be damaged. The process should end then: the error says
// what can be done.
func (s *Store) Damaged() <-chan error { return s.damaged }

// checkPages looks through the whole file before anything is written: a page that
// a disk has spoilt would else be found weeks later, in the middle of the work.
func checkPages(ctx context.Context, db *sql.DB, d dialect) error {
	if d.check == "" {
		return nil // the server looks after its own
	}
	var finding string
	if err := db.QueryRowContext(ctx, d.check).Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		line, _, _ := strings.Cut(strings.TrimPrefix(finding, "*** in database main ***\n"), "\n")
		return fmt.Errorf("%w: %s", errDamaged, line)
	}
	return nil
}
