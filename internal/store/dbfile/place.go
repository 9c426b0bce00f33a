package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onramp/internal/durable"
)

// MetaBackup is the name of what only a backup says of itself: when it was made, in
// RFC 3339, or MadeElsewhere. The first start of a gateway with it takes it away.
const MetaBackup = "backup_made_at"

// MadeElsewhere stands for the time of a backup that onramp backup has not made.
const MadeElsewhere = "elsewhere"

// restoredFrom says how old a backup is.
func restoredFrom(made string) string {
	at, err := time.Parse(time.RFC3339Nano, made)
	if err != nil {
		return "it was restored from a file that onramp backup had not made"
	}
	return fmt.Sprintf("it was restored from a backup that was made at %s, %s before this start", at.UTC().Format(time.DateTime+" UTC"), age(time.Since(at)))
}

// age is a duration for people: in the largest unit of which there are two.
func age(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}} {
		if n := d / unit.long; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return "a moment"
}

// Lock takes the locks of a database that is to be copied or replaced, or of the place
// for one: it creates no file. The error is [ErrInUse] while a gateway has it.
func Lock(path string) (*File, error) {
	f, err := lockName(path)
	if err != nil {
		return nil, err
	}
	_, err = os.Lstat(f.Path)
	if err == nil {
		err = f.hold(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Content lists what there is of a database that must not be overwritten: the file
// itself, its write-ahead log, and what was saved when the file went away.
func (f *File) Content() ([]string, error) {
	content, err := f.saved()
	for _, path := range []string{f.Path + sides[0], f.Path} {
		if _, err := os.Lstat(path); err == nil {
			content = append([]string{path}, content...)
		}
	}
	return content, err
}

// HasLog says that a write-ahead log lies beside the database: whoever had it open has
// not closed it.
func (f *File) HasLog() bool {
	info, err := os.Lstat(f.Path + sides[0])
	return err == nil && info.Size() > 0
}

// MoveTo renames the database together with all files that belong to it, as far as
// there are any.
func (f *File) MoveTo(path string) (moved bool, err error) {
	// the database first: a log without it does no harm at a start, for the note tells whose it is
	for _, ending := range append(append([]string{""}, sides...), ".state") {
		err := os.Rename(f.Path+ending, path+ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return moved, fmt.Errorf("move %s away: %w", f.Path+ending, err)
		}
		moved = true
	}
	return moved, durable.SyncFolder(filepath.Dir(f.Path))
}

var errElsewhere = errors.New("run this where the gateway runs, with the same path")

// Live finds the database that another process has open, for reading beside it. It
// returns its path without symbolic links, and how many commits it has had at least.
// Through a path under which the process's write-ahead log doesn't lie, SQLite would
// read an older state without a word.
func Live(path string) (resolved string, commits int64, err error) {
	f := &File{}
	if f.Path, err = resolve(path); err != nil {
		return "", 0, fmt.Errorf("database %s: %w", path, err)
	}
	note := f.readNote()
	if note == nil {
		return "", 0, fmt.Errorf("there is no %s.state of the gateway that has the database open: %w", f.Path, errElsewhere)
	}
	if note.State != Running {
		return "", 0, fmt.Errorf("database %s is just being opened or closed, or went away under the gateway (see onramp status); try again", path)
	}
	for file, own := range map[string]uint64{f.Path: note.Inode, f.Path + sides[0]: note.WAL} {
		info, err := os.Lstat(file)
		if err != nil {
			return "", 0, fmt.Errorf("file of the running gateway: %w", err)
		}
		if inode(info) != own {
			return "", 0, fmt.Errorf("%s is not the file that the running gateway has open: %w", file, errElsewhere)
		}
	}
	return f.Path, note.Commits, nil
}
