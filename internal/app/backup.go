package app

import (
	"context"
	"errors"

	"onramp/internal/backup"
	"onramp/internal/config"
	"onramp/internal/postgres"
	"onramp/internal/store"
)

// BackupOptions say what to save to which file, or to restore from it; what the
// configuration says is filled in.
type BackupOptions = backup.Options

// BackupReport is what was saved or restored.
type BackupReport = backup.Report

// Backup saves the database of a gateway, which may be running, and its key.
func Backup(ctx context.Context, cfg *config.Config, o BackupOptions) (BackupReport, error) {
	if postgres.IsURL(cfg.Database) {
		return BackupReport{}, errors.New("the database is PostgreSQL: back it up with PostgreSQL's own means, such as pg_dump, pg_basebackup with archived " +
			"write-ahead logs, or the backups of your provider. Save as well the configuration and whatever it refers to, above all encryption_key. " +
			"After you restored the database, start once with onramp serve --restored")
	}
	o.Database, o.EncryptionKey = cfg.Database, cfg.EncryptionKey
	return backup.Save(ctx, o)
}

// Restore puts a backup in the place of the database.
func Restore(ctx context.Context, cfg *config.Config, o BackupOptions) (BackupReport, error) {
	if postgres.IsURL(cfg.Database) {
		return BackupReport{}, errors.New("the database is PostgreSQL: restore it with PostgreSQL's own means, such as pg_restore, and start once with " +
			"onramp serve --restored. onramp restore is for SQLite; to go back to a SQLite backup, set database to the name of a file")
	}
	o.Database, o.EncryptionKey, o.NewestVersion = cfg.Database, cfg.EncryptionKey, store.NewestVersion()
	return backup.Restore(ctx, o)
}
