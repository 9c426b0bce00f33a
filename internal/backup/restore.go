package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"onramp/internal/durable"
	"onramp/internal/onramp"
	"onramp/internal/store/dbfile"
	"onramp/internal/store/snapshot"
)

// Restore puts a backup in the place of the database, where no gateway may be running.
// Nothing changes there until the backup is checked. The database says from then on that
// it was restored, and the start that follows takes heed of it.
func Restore(ctx context.Context, o Options) (_ Report, err error) {
	place, err := dbfile.Lock(o.Database)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	if err := o.checkPlace(place); err != nil {
		return Report{}, err
	}
	staged, err := newTemporary(filepath.Dir(place.Path))
	if err != nil {
		return Report{}, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, staged.remove()) }()
	key, encrypted, err := o.fetch(staged)
	if err != nil {
		return Report{}, fmt.Errorf("restore %s: %w", o.File, err)
	}
	summary, err := snapshot.Read(ctx, staged.path)
	if err != nil {
		return Report{}, fmt.Errorf("%s can't be restored: %w", o.File, o.named(err, staged))
	}
	if summary.Version > o.NewestVersion {
		return Report{}, fmt.Errorf("%s can't be restored: its tables have version %d, and this onramp supports versions up to %d: use a newer onramp", o.File, summary.Version, o.NewestVersion)
	}
	if key, err = o.chooseKey(key, summary); err != nil {
		return Report{}, err
	}
	chosen, err := o.choosePersons(place.Path, key, summary)
	if err != nil {
		return Report{}, fmt.Errorf("%s can't be restored: %w", o.File, err)
	}
	if summary.Made == "" {
		if err := snapshot.Mark(ctx, staged.path, dbfile.MadeElsewhere); err != nil {
			return Report{}, err
		}
	}
	r := report(place.Path, summary, staged.size())
	r.Encrypted = encrypted
	if made, err := time.Parse(time.RFC3339Nano, summary.Made); err == nil {
		r.MadeAt = &made
	}
	if key != "" {
		r.KeyFile = o.Database + keyEnding
	}
	r.PersonsFile = strings.Join(chosen.from, " and ")
	r.MovedTo, err = o.replace(place, staged, key, &chosen)
	return r, err
}

// checkPlace refuses to put a backup where something is that would be lost.
func (o *Options) checkPlace(place *dbfile.File) error {
	backup, err := os.Stat(o.File)
	if err != nil {
		return err
	}
	for _, ending := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(o.File + ending); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s is no backup: its newest content is in %s, which onramp serve needs beside it under the name of the database", o.File, o.File+ending)
		}
	}
	content, err := place.Content()
	if err != nil {
		return err
	}
	for _, file := range content {
		if info, err := os.Stat(file); err == nil && os.SameFile(info, backup) {
			return fmt.Errorf("%s is what is there now; name a backup", o.File)
		}
	}
	if len(content) > 0 && !o.Force {
		return fmt.Errorf("there is a database already: %s; move it away, or have that done with --force, which deletes nothing", strings.Join(content, ", "))
	}
	return nil
}

// fetch copies the database of a backup to the file staged, and returns the text of
// its key, "" if there is none.
func (o *Options) fetch(staged *temporary) (key onramp.Secret, encrypted bool, err error) {
	file, err := os.Open(o.File)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from := bufio.NewReader(file)
	if !isEncrypted(from) {
		if _, err := io.Copy(staged, from); err != nil {
			return "", false, err
		}
		key, err = readKey(o.File + keyEnding)
		return key, false, err
	}
	passphrase, err := o.Passphrase()
	if err != nil {
		return "", true, err
	}
	key, err = unpack(from, staged, passphrase)
	return key, true, err
}

// named has an error speak of the backup, not of its copy.
func (o *Options) named(err error, staged *temporary) error {
	return &renamed{err, strings.ReplaceAll(err.Error(), staged.path, o.File)}
}

type renamed struct {
	error
	text string
}

func (r *renamed) Error() string { return r.text }
func (r *renamed) Unwrap() error { return r.error }

// chooseKey returns the key that must lie beside the database: none if the
// configuration has the right one, or if none is needed.
func (o *Options) chooseKey(key onramp.Secret, s snapshot.Summary) (onramp.Secret, error) {
	switch {
	case o.EncryptionKey != "" && opens(o.EncryptionKey, s):
		return "", nil
	case o.EncryptionKey != "":
		return "", fmt.Errorf("encryption_key in the configuration is not the key of this backup: set it to the one that it was made with; if that was in %s, to the content of that file", o.File+keyEnding)
	case opens(key, s):
		return key, nil
	}
	return "", fmt.Errorf("%s is missing or is not the key of this backup, without which its secrets can't be decrypted: put the key there, "+
		"or set encryption_key in the configuration if it was there", o.File+keyEnding)
}

// replace moves aside what is there, and gives the database and its key their names.
func (o *Options) replace(place *dbfile.File, staged *temporary, key onramp.Secret, chosen *chosenPersons) (movedTo string, err error) {
	aside := place.Beside("before-restore")
	moved, err := place.MoveTo(aside)
	if err == nil {
		err = o.replaceKey(key, filepath.Base(aside)+keyEnding)
	}
	if err == nil {
		err = chosen.place(place.Path, aside)
	}
	if err == nil {
		err = staged.place(place.Path, false)
	}
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(place.Path))
	}
	if !moved {
		return "", err
	}
	if err != nil {
		err = fmt.Errorf("%w; what was there before is %s, with all that belongs to it", err, aside)
	}
	return aside, err
}

// replaceKey puts the key beside the database, and gives another one that is there the
// name aside.
func (o *Options) replaceKey(key onramp.Secret, aside string) error {
	path := o.Database + keyEnding
	old, err := readKey(path)
	if err != nil || key == "" || old == key {
		return err
	}
	if old != "" {
		if err := os.Rename(path, filepath.Join(filepath.Dir(path), aside)); err != nil {
			return fmt.Errorf("move the other encryption key away: %w", err)
		}
	}
	return placeKey(key, path, false)
}
