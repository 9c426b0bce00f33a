package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// errDamaged is in the chain of the error of Open when the file's pages do not
// fit together.
var errDamaged = errors.New("the database file is damaged")

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
