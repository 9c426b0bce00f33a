package backup

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"

	"onramp/internal/onramp"
)

// The names in the archive.
const (
	databaseName = "onramp.db"
	keyName      = databaseName + keyEnding
)

// header begins each file that age has encrypted.
const header = "age-encryption.org/"

// mostKey is more than any key needs.
const mostKey = 64 << 10

// pack writes the encrypted archive of a database and its key.
func pack(to io.Writer, database *temporary, key, passphrase onramp.Secret) error {
	recipient, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return err
	}
	encrypted, err := age.Encrypt(to, recipient)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(encrypted)
	if key != "" {
		if err := addFile(archive, keyName, int64(len(key)), strings.NewReader(key.Reveal())); err != nil {
			return err
		}
	}
	size := database.size()
	if err := addFile(archive, databaseName, size, io.NewSectionReader(database, 0, size)); err != nil {
		return err
	}
	return errors.Join(archive.Close(), encrypted.Close())
}

func addFile(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: time.Now()}); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}

// isEncrypted looks at the beginning of a backup.
func isEncrypted(file *bufio.Reader) bool {
	begins, _ := file.Peek(len(header)) // a shorter file is none
	return string(begins) == header
}

// unpack writes the database of an encrypted archive to a file, and returns its key,
// "" if it has none.
func unpack(from io.Reader, database io.Writer, passphrase onramp.Secret) (key onramp.Secret, err error) {
	identity, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return "", err
	}
	plain, err := age.Decrypt(from, identity)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return "", errors.New("the passphrase is wrong")
	}
	if err != nil {
		return "", damaged(err)
	}
	archive, found := tar.NewReader(plain), false
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", damaged(err)
		}
		switch h.Name {
		case keyName:
			text, err := io.ReadAll(io.LimitReader(archive, mostKey))
			if err != nil {
				return "", damaged(err)
			}
			key = onramp.Secret(text)
		case databaseName:
			if _, err := io.Copy(database, archive); err != nil {
				return "", damaged(err)
			}
			found = true
		}
	}
	// what was cut off shows only at the end
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return "", damaged(err)
	}
	if !found {
		return "", errors.New("the backup holds no database")
	}
	return key, nil
}

func damaged(err error) error { return fmt.Errorf("the backup is damaged: %w", err) }
