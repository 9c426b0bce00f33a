package app

import (
	"context"
	"errors"
	"log/slog"

	"onramp/internal/config"
	"onramp/internal/postgres"
	"onramp/internal/store"
)

// Vacuumed is what a database file has shrunk to.
type Vacuumed struct {
	File   string `json:"file"`
	Before int64  `json:"before"` // bytes
	After  int64  `json:"after"`
}

// Vacuum writes the SQLite file of a gateway that is stopped anew, without what holds
// nothing. From then on a running gateway gives space back by itself.
func Vacuum(ctx context.Context, cfg *config.Config, log *slog.Logger) (v Vacuumed, err error) {
	if postgres.IsURL(cfg.Database) {
		return v, errors.New("PostgreSQL looks after its space itself (autovacuum); to give it back to the disk, use its own VACUUM FULL or pg_repack")
	}
	a := &App{options: Options{Log: log}}
	s, err := store.Open(ctx, store.Config{URL: cfg.Database, OpenCipher: a.openKeyset(cfg), Log: log})
	if err != nil {
		return v, err
	}
	v.File = s.File()
	v.Before, v.After, err = s.Vacuum(ctx)
	return v, errors.Join(err, s.Close())
}
