package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/cli/terminal"
	"onramp/internal/config"
	"onramp/internal/onramp"
)

// passphraseEnv is the environment variable with the passphrase of backups.
const passphraseEnv = "ONRAMP_BACKUP_PASSPHRASE"

// backupFlags are those of backup and restore.
type backupFlags struct {
	app.BackupOptions
	passphraseFile string
}

func (c *command) backup() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the database of a running gateway to a file",
		Long: `Copies the SQLite database, as it is at one moment, to FILE, while the gateway goes on
accepting and delivering. Everything that was answered before the command began is in the
copy. The copy is checked, on disk, and readable by its owner only, before it gets its
name; an existing FILE is kept unless --force is given. Run it on the gateway's machine
as the gateway's user, with its configuration: it reads the database's file.

The keys of persons, with which personal data in the database is encrypted, are not in
FILE, so that someone who is erased later can't be read in it. They are saved, encrypted,
beside it as persons.key: one file for all backups of the folder, which each backup brings
up to date. Keep it with the backups, and only its newest version.

The key that encrypts secrets in the database is saved beside it, as FILE.key: keep the
two apart, since whoever has both can read everything. With --encrypt, both go into one
FILE that is encrypted with a passphrase, read from --passphrase-file, the environment
variable ` + passphraseEnv + `, or the terminal. It can also be opened with
age -d FILE | tar x. If encryption_key is set in the configuration, save that yourself.

Not in the backup: the configuration and the files that it refers to. Don't use cp on a
running gateway: what was accepted last is in another file. PostgreSQL has its own backups.`,
		Example: `  onramp backup /backup/onramp-2026-11-30.db
  onramp backup --force /backup/onramp.db
  onramp backup --encrypt --passphrase-file /run/secrets/backup /backup/onramp.age`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.passphraseFile != "" && !f.Encrypt {
				return errors.New("--passphrase-file needs --encrypt")
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: frame.Run(func(ctx context.Context, args []string) error { return c.runBackup(ctx, args[0], f) }),
	}
	c.outputFlag(cmd)
	cmd.Flags().BoolVar(&f.Encrypt, "encrypt", false, "encrypt the database and its key, with a passphrase, into one file")
	f.flags(cmd, "overwrite FILE if it exists")
	return cmd
}

func (c *command) restore() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database",
		Long: `Puts a file that onramp backup has made where the configuration says the database is,
and the key beside it: FILE.key, or the one in an encrypted FILE. The keys of persons are
those that are there already, else those in persons.key beside FILE; where both are, what
either has destroyed stays destroyed. The gateway must not be
running. The backup is checked first: that it is whole, that its key decrypts it, and that
this onramp supports its version.

An existing database is never overwritten: with --force it is moved aside, with all files
that belong to it, and the new name is printed.

The start that follows says how old the backup is. What was accepted after it was made is
missing. What it holds as still to be sent may have gone out since: rows of data extensions
go again, deliveries to journeys become unknown. See onramp status after the start.`,
		Example: `  onramp restore /backup/onramp-2026-11-30.db
  onramp restore --force --passphrase-file /run/secrets/backup /backup/onramp.age`,
		Args: cobra.ExactArgs(1),
		RunE: frame.Run(func(ctx context.Context, args []string) error { return c.runRestore(ctx, args[0], f) }),
	}
	c.outputFlag(cmd)
	f.flags(cmd, "move an existing database aside first")
	return cmd
}

func (f *backupFlags) flags(cmd *cobra.Command, force string) {
	cmd.Flags().BoolVar(&f.Force, "force", false, force)
	cmd.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "read the passphrase from this `file` (default $"+passphraseEnv+", or the terminal)")
}

func (c *command) runBackup(ctx context.Context, file string, f backupFlags) error {
	r, cfg, err := c.carryOut(ctx, app.Backup, file, f)
	if err != nil || c.output == "json" {
		return err
	}
	fmt.Fprintf(c.Stdout, "Saved %s to %s.\n", r.Contents(), r.File)
	if r.PersonsFile != "" {
		fmt.Fprintf(c.Stdout, "The keys of persons are in %s, for all backups of the folder: keep its newest version with them.\n", r.PersonsFile)
	}
	switch {
	case r.KeyFile != "":
		fmt.Fprintf(c.Stdout, "The encryption key is in %s: keep it apart from the backup.\n", r.KeyFile)
	case cfg.EncryptionKey != "":
		fmt.Fprintln(c.Stdout, "The encryption key is not in the backup, since encryption_key is set in the configuration: save that, too.")
	}
	return nil
}

func (c *command) runRestore(ctx context.Context, file string, f backupFlags) error {
	r, _, err := c.carryOut(ctx, app.Restore, file, f)
	if err != nil || c.output == "json" {
		return err
	}
	fmt.Fprintf(c.Stdout, "Restored %s to %s.\n", r.Contents(), r.File)
	if r.MadeAt != nil {
		fmt.Fprintf(c.Stdout, "The backup was made at %s, %s ago.\n", r.MadeAt.UTC().Format(time.DateTime+" UTC"), time.Since(*r.MadeAt).Round(time.Second))
	}
	if r.PersonsFile != "" {
		fmt.Fprintf(c.Stdout, "The keys of persons are from %s: whoever was erased since can't be read.\n", r.PersonsFile)
	}
	if r.MovedTo != "" {
		fmt.Fprintf(c.Stdout, "What was there before is now %s, with all that belongs to it.\n", r.MovedTo)
	}
	fmt.Fprintln(c.Stdout, "Now run onramp serve, and then onramp status: it says what may have gone out since the backup.")
	return nil
}

// carryOut backs up or restores, and prints the report if it is to be JSON.
func (c *command) carryOut(
	ctx context.Context, do func(context.Context, *config.Config, app.BackupOptions) (app.BackupReport, error), file string, f backupFlags,
) (r app.BackupReport, cfg *config.Config, err error) {
	if cfg, err = config.Load(c.configPath(), c.Environ); err != nil {
		return r, nil, err
	}
	f.File, f.Progress = file, terminal.Progress(c.Stderr, "Copied")
	f.Passphrase = func() (onramp.Secret, error) { return c.passphrase(f.passphraseFile, f.Encrypt) }
	if r, err = do(ctx, cfg, f.BackupOptions); err == nil && c.output == "json" {
		err = c.printJSON(r)
	}
	return r, cfg, err
}

// passphrase reads the passphrase of a backup: never from the arguments, which other
// users of the machine can see.
func (c *command) passphrase(file string, isNew bool) (onramp.Secret, error) {
	text := c.getenv(passphraseEnv)
	var err error
	if file != "" {
		var content []byte
		content, err = os.ReadFile(file)
		text = strings.TrimRight(string(content), "\r\n")
	} else if text == "" {
		text, err = terminal.Ask(c.Stdin, c.Stderr, "Passphrase of the backup", isNew)
	}
	if errors.Is(err, terminal.ErrNone) {
		return "", fmt.Errorf("the backup's passphrase is missing: name its file with --passphrase-file, or set %s", passphraseEnv)
	}
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	if text == "" {
		return "", errors.New("the passphrase is empty")
	}
	return onramp.Secret(text), nil
}
