package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"onramp/internal/store/snapshot"
)

// largestCheck is the size, in bytes, up to which a file is checked at the start,
// before anything is written: a few seconds' worth. A larger file is checked in
// the background: events let files grow to any size, and nobody should be turned
// away for a minute at each start.
const largestCheck = 1 << 30

// check reads the whole file, or leaves that to checkInBackground: otherwise a page
// that the disk has corrupted would be found weeks later, in the middle of the work.
func (s *Store) check(ctx context.Context, db *sql.DB) error {
	if s.file == "" {
		return nil // the server looks after its own
	}
	if info, err := os.Stat(s.file); err == nil && info.Size() > s.largestCheck {
		s.checkLater = true
		return nil
	}
	return snapshot.Check(ctx, db)
}

// checkInBackground checks the file while everything else goes on, and reports
// damage to Damaged.
func (s *Store) checkInBackground(ctx context.Context) {
	if !s.checkLater {
		return
	}
	if err := snapshot.Check(ctx, s.readers); err != nil && ctx.Err() == nil {
		if !errors.Is(err, snapshot.ErrDamaged) { // SQLite itself may fail on the damage
			err = fmt.Errorf("%w: %w", snapshot.ErrDamaged, err)
		}
		s.damaged <- fmt.Errorf("%s: %w; %s", s.file, err, s.wayOut())
	}
}

// Damaged yields an error when a file that was too large to be checked at the
// start turns out to be damaged. The process should then end: the error says what
// can be done.
func (s *Store) Damaged() <-chan error { return s.damaged }
