package keyset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"onramp/internal/durable"
	"onramp/internal/onramp"
)

// maxFile is more than any keyset needs; a larger file is the wrong one.
const maxFile = 64 << 10

// OpenFile opens the keyset in a file, and makes the file when there is none:
// readable by its owner alone, and on disk before it returns. Processes that do
// so at once end with the same key. A file that holds something else, or
// nothing, is an error and stays as it is.
func OpenFile(path string) (*Keyset, error) {
	keys, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create the encryption key %s (or set encryption_key): %w", path, err)
		}
		return ReadFile(path)
	}
	return keys, err
}

// ReadFile is OpenFile for a file that must be there: the error is [fs.ErrNotExist]
// if it isn't.
func ReadFile(path string) (*Keyset, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the encryption key: %w", err)
	}
	k, err := Open(text)
	if err != nil {
		return nil, fmt.Errorf("the file %s is damaged or not an encryption key, and was left unchanged; restore it from a backup: %w", path, err)
	}
	return k, nil
}

func readFile(path string) (onramp.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	return onramp.Secret(data), err
}

// create makes the file with a new keyset, unless another process does so
// first. The name appears with all of the content at once: a link to a file
// that is complete, which unlike a rename replaces nothing.
func create(path string) error {
	text, err := New()
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	unnamed, err := writeTemporary(folder, text.Reveal()+"\n")
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
	// also when the other process was first: it may not have come so far
	return durable.SyncFolder(folder)
}

// writeTemporary writes a file that only its owner can read, and has it on
// disk.
func writeTemporary(folder, text string) (path string, err error) {
	f, err := os.CreateTemp(folder, ".onramp-key-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error says more
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return f.Name(), err
}
