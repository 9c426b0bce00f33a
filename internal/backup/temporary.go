package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// temporary is a file that has no final name yet, readable by its owner alone.
type temporary struct {
	*os.File
	path   string
	placed bool
}

func newTemporary(folder string) (*temporary, error) {
	f, err := os.CreateTemp(folder, ".onramp-backup-*") // mode 0600
	if err != nil {
		return nil, err
	}
	return &temporary{File: f, path: f.Name()}, nil
}

// sync has on disk what was written, also by SQLite under the same name.
func (t *temporary) sync() error { return t.Sync() }

func (t *temporary) size() int64 {
	info, err := t.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// place has the file on disk, and gives it its name. Without force it replaces
// nothing, also no file that was made meanwhile.
func (t *temporary) place(path string, force bool) error {
	if err := errors.Join(t.sync(), t.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if !force {
		err := os.Link(t.path, path)
		if errors.Is(err, fs.ErrExist) {
			return exists(path)
		}
		if err == nil {
			return nil // remove takes the other name away
		}
		// this file system has no links
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(exists(path), err)
		}
	}
	if err := os.Rename(t.path, path); err != nil {
		return err
	}
	t.placed = true
	return nil
}

// remove removes the temporary name, and what SQLite may have left beside it when it
// was interrupted.
func (t *temporary) remove() error {
	_ = t.Close() // it may be closed
	if t.placed {
		return nil
	}
	for _, ending := range []string{"-journal", "-wal", "-shm"} {
		_ = os.Remove(t.path + ending) // there is none, as a rule
	}
	return os.Remove(t.path)
}
