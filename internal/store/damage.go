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

// largestCheck is the size, in bytes, up to which a file is checked at the start,
// before anything is written: a few seconds' worth. A larger file is checked in
// the background: events let files grow to any size, and nobody should be turned
// away for a minute at each start.
const largestCheck = 1 << 30

// check checks the file, or leaves that to checkInBackground.
func (s *Store) check(ctx context.Context, db *sql.DB) error {
	if s.file != "" {
		if info, err := os.Stat(s.file); err == nil && info.Size() > s.largestCheck {
			s.checkLater = true
			return nil
		}
	}
	return checkPages(ctx, db, s.dialect)
}

// checkInBackground checks the file while everything else goes on, and reports
// damage to Damaged.
func (s *Store) checkInBackground(ctx context.Context) {
	if !s.checkLater {
		return
	}
	if err := checkPages(ctx, s.readers, s.dialect); err != nil && ctx.Err() == nil {
		if !errors.Is(err, errDamaged) { // SQLite itself may fail on the damage
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		s.damaged <- fmt.Errorf("%s: %w; %s", s.file, err, s.wayOut())
	}
}

// Damaged yields an error when a file that was too large to be checked at the
// start turns out to be damaged. The process should then end: the error says what
// can be done.
func (s *Store) Damaged() <-chan error { return s.damaged }

// checkPages reads the whole file: otherwise a page that the disk has corrupted
// would be found weeks later, in the middle of the work.
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
