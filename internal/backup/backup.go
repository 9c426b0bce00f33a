// Package backup saves the SQLite database of a gateway, running or stopped, to a
// file, together with its encryption key, and puts such a backup back. Both happen
// under temporary names: a file with the final name is complete, checked and on disk.
//
// An encrypted backup is a tar of the two, encrypted by age with a passphrase: age
// and tar can open it without Onramp.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onramp/internal/durable"
	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/store/dbfile"
	"onramp/internal/store/snapshot"
)

// Options say what to save or restore.
type Options struct {
	Database      string        // path
	EncryptionKey onramp.Secret // of the configuration; "": it is in the file DATABASE.key, if there is one
	File          string        // the backup
	Encrypt       bool          // with a passphrase
	Passphrase    func() (onramp.Secret, error)
	Force         bool // overwrite FILE; or move the existing database aside
	NewestVersion int  // of the tables that may be restored
	Progress      func(done float64)

	found string // the path of the database without symbolic links
}

// Report is what was saved or restored.
type Report struct {
	File          string     `json:"file"`
	KeyFile       string     `json:"key_file,omitempty"`     // "": the key is in FILE or in the configuration, or there is none
	PersonsFile   string     `json:"persons_file,omitempty"` // the keys of persons, of all backups of the folder; restored, where they came from
	Encrypted     bool       `json:"encrypted"`
	MadeAt        *time.Time `json:"made_at,omitempty"`
	Registrations int64      `json:"registrations"`
	Newest        *time.Time `json:"newest,omitempty"` // when the newest of them was accepted
	Bytes         int64      `json:"bytes"`            // of the database
	MovedTo       string     `json:"moved_to,omitempty"`
}

// Contents says in words how much there is.
func (r *Report) Contents() string {
	noun, newest := "registrations", ""
	if r.Registrations == 1 {
		noun = "registration"
	}
	if r.Newest != nil {
		newest = ", the newest of " + r.Newest.UTC().Format(time.DateTime+" UTC")
	}
	return fmt.Sprintf("%d %s%s (%.1f MB)", r.Registrations, noun, newest, float64(r.Bytes)/1e6)
}

// keyEnding is what the file of the encryption key has after the name of the database
// or of the backup.
const keyEnding = ".key"

// Save makes a backup.
func Save(ctx context.Context, o Options) (_ Report, err error) {
	if err := o.checkTarget(); err != nil {
		return Report{}, err
	}
	var passphrase onramp.Secret
	folder := filepath.Dir(o.File)
	if o.Encrypt {
		if passphrase, err = o.Passphrase(); err != nil {
			return Report{}, err
		}
		folder = filepath.Dir(o.Database) // what is not encrypted stays on this disk
	}
	staged, err := newTemporary(folder)
	if err != nil {
		return Report{}, fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, staged.remove()) }()
	made := time.Now().UTC()
	commits, err := o.copyDatabase(ctx, staged.path, made)
	if err != nil {
		return Report{}, err
	}
	summary, err := snapshot.Read(ctx, staged.path)
	if err != nil {
		return Report{}, fmt.Errorf("check the backup: %w", err)
	}
	if summary.Commits < commits {
		return Report{}, fmt.Errorf("the copy lacks at least %d commits that the database has: it can't be read whole from here", commits-summary.Commits)
	}
	key, err := o.findKey(summary)
	if err != nil {
		return Report{}, err
	}
	if err := staged.sync(); err != nil {
		return Report{}, fmt.Errorf("backup: %w", err)
	}
	personsFile, err := o.savePersons(key, summary) // first: where a backup is, its keys are
	if err != nil {
		return Report{}, err
	}
	r := report(o.File, summary, staged.size())
	r.MadeAt, r.Encrypted, r.PersonsFile = &made, o.Encrypt, personsFile
	if o.Encrypt {
		err = o.placeEncrypted(staged, key, passphrase)
	} else {
		if key != "" {
			r.KeyFile = o.File + keyEnding
		}
		err = o.place(staged, key)
	}
	if err == nil {
		o.leaveNote(made)
	}
	return r, err
}

func report(file string, s snapshot.Summary, size int64) Report {
	r := Report{File: file, Registrations: s.Registrations, Bytes: size}
	if !s.Newest.IsZero() {
		r.Newest = &s.Newest
	}
	return r
}

// checkTarget refuses a file that exists, and one that belongs to the database
// whatever is forced.
func (o *Options) checkTarget() error {
	if filepath.Base(o.File)+keyEnding == snapshot.PersonsCopy || filepath.Base(o.File) == snapshot.PersonsCopy {
		return fmt.Errorf("%s and its key would take the name of %s, in which the keys of persons are; choose another file", o.File, snapshot.PersonsCopy)
	}
	for _, file := range []string{o.File, o.File + keyEnding} {
		info, err := os.Stat(file)
		if err != nil {
			continue // it will be known when it is written
		}
		for _, ending := range []string{"", "-wal", "-shm", ".state", ".lock", keyEnding, snapshot.PersonsEnding} {
			if own, err := os.Stat(o.Database + ending); err == nil && os.SameFile(own, info) {
				return fmt.Errorf("%s belongs to the database itself; choose another file", file)
			}
		}
		if !o.Force && (file == o.File || !o.Encrypt) {
			return exists(file)
		}
	}
	return nil
}

func exists(file string) error {
	return fmt.Errorf("%s already exists; choose another file, or overwrite it with --force", file)
}

// copyDatabase copies the database and marks the copy as a backup. It returns how many
// commits the copy must have.
func (o *Options) copyDatabase(ctx context.Context, to string, made time.Time) (commits int64, err error) {
	if _, err := os.Stat(o.Database); err != nil {
		return 0, fmt.Errorf("there is no database to back up: %w", err)
	}
	source := snapshot.Source{Path: o.Database}
	// beside a gateway that runs SQLite's own locks are enough to read; while none does, ours keep one from starting
	locked, err := dbfile.Lock(o.Database)
	switch {
	case errors.Is(err, dbfile.ErrInUse):
		if source.Path, commits, err = dbfile.Live(o.Database); err != nil {
			return 0, err
		}
	case err != nil:
		return 0, err
	default:
		defer func() { err = errors.Join(err, locked.Close()) }()
		if locked.HasLog() {
			return 0, fmt.Errorf("no gateway is running, and the last one did not close database %s; start onramp serve, which checks what it has left, and back up while it runs", o.Database)
		}
		source.Path, source.Closed = locked.Path, true
	}
	o.found = source.Path
	if err := source.CopyTo(ctx, to, o.Progress); err != nil {
		return 0, fmt.Errorf("copy the database: %w", err)
	}
	return commits, snapshot.Mark(ctx, to, made.Format(time.RFC3339Nano))
}

// findKey returns the text of the key that lies beside the database, "" if it is in
// the configuration or there is none. It must be the key of the copy.
func (o *Options) findKey(s snapshot.Summary) (onramp.Secret, error) {
	if o.EncryptionKey != "" {
		if !opens(o.EncryptionKey, s) {
			return "", errors.New("encryption_key in the configuration is not the key of this database: a backup would be of no use without that key")
		}
		return "", nil
	}
	path := o.Database + keyEnding
	text, err := readKey(path)
	if err != nil {
		return "", err
	}
	if !opens(text, s) {
		return "", fmt.Errorf("%s is missing or is not the key of this database: a backup would be of no use without that key; restore the key from a backup, "+
			"or stop the gateway and see onramp keys reset", path)
	}
	return text, nil
}

// readKey returns "" if there is no such file.
func readKey(path string) (onramp.Secret, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the encryption key: %w", err)
	}
	return onramp.Secret(text), nil
}

// opens says whether a key decrypts what a database has encrypted, if anything.
func opens(text onramp.Secret, s snapshot.Summary) bool {
	if s.KeySecret == "" {
		return true
	}
	keys, err := keyset.Open(text)
	if err != nil {
		return false
	}
	_, err = keys.Decrypt(s.KeySecret, snapshot.KeySecretAs)
	return err == nil
}

// place gives the backup and its key their names, the key first: where a backup is,
// its key is.
func (o *Options) place(staged *temporary, key onramp.Secret) error {
	if err := placeKey(key, o.File+keyEnding, o.Force); err != nil {
		return err
	}
	if err := staged.place(o.File, o.Force); err != nil {
		if key != "" && !o.Force {
			err = errors.Join(err, os.Remove(o.File+keyEnding))
		}
		return err
	}
	return durable.SyncFolder(filepath.Dir(o.File))
}

// placeKey writes the file of a key, if there is a key.
func placeKey(key onramp.Secret, path string, force bool) (err error) {
	if key == "" {
		return nil
	}
	file, err := newTemporary(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write the encryption key: %w", err)
	}
	defer func() { err = errors.Join(err, file.remove()) }()
	if _, err := file.WriteString(key.Reveal()); err != nil {
		return fmt.Errorf("write the encryption key: %w", err)
	}
	return file.place(path, force)
}

// placeEncrypted writes both into one encrypted file.
func (o *Options) placeEncrypted(staged *temporary, key, passphrase onramp.Secret) (err error) {
	packed, err := newTemporary(filepath.Dir(o.File))
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, packed.remove()) }()
	if err := pack(packed, staged, key, passphrase); err != nil {
		return fmt.Errorf("encrypt the backup: %w", err)
	}
	if err := packed.place(o.File, o.Force); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(o.File))
}
