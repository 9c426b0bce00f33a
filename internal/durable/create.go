package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateFile makes a file, unless there is one: that stays as it is, and the error is
// [fs.ErrExist]. The name appears with all of the content at once, as a link to a file
// that is complete, which unlike a rename replaces nothing. All of it is on disk when
// CreateFile returns, also where another process was first.
func CreateFile(path string, content []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	unnamed, err := writeTemporary(folder, content, mode)
	if err != nil {
		return err
	}
	err = os.Link(unnamed, path)
	if removeErr := os.Remove(unnamed); err == nil {
		err = removeErr
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(err, SyncFolder(folder))
}

// ReplaceFile gives a file another content, or makes it: at every moment the name stands for
// all of the one or all of the other, and for the new one, on disk, when ReplaceFile returns.
func ReplaceFile(path string, content []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	unnamed, err := writeTemporary(folder, content, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(unnamed, path); err != nil {
		return errors.Join(err, os.Remove(unnamed))
	}
	return SyncFolder(folder)
}

// writeTemporary writes a file and has it on disk.
func writeTemporary(folder string, content []byte, mode fs.FileMode) (path string, err error) {
	f, err := os.CreateTemp(folder, ".onramp-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error says more
		}
	}()
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return f.Name(), err
}
