package keyset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
// first.
func create(path string) error {
	text, err := New()
	if err != nil {
		return err
	}
	err = durable.CreateFile(path, []byte(text.Reveal()+"\n"), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
