package backup

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"onramp/internal/durable"
	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/personkey"
	"onramp/internal/store/personal"
	"onramp/internal/store/snapshot"
)

// The keys of persons are in no backup of the database, so that whoever is erased later can't
// be read in it. They are one file for all backups of a folder, snapshot.PersonsCopy: each
// backup brings it up to date, and takes nothing back that it has destroyed.

// persons is what lies in a file of keys of persons.
type persons struct {
	state *personkey.State
	text  string // as it is in the file
}

// readPersons reads the keys of persons that a database with an id needs. The error is
// [fs.ErrNotExist] when there is no such file.
func readPersons(path string, key onramp.Secret, id string) (p persons, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	keys, err := keyset.Open(key)
	if err != nil {
		return p, err
	}
	p.text = strings.TrimSpace(string(content))
	if p.state, err = personal.ReadState(keys, p.text); err != nil {
		return p, fmt.Errorf("%s was encrypted with another key, or is damaged: %w", path, err)
	}
	if p.state.ID() != id {
		return p, fmt.Errorf("%s belongs to another database", path)
	}
	return p, nil
}

// mergePersons is what is left of both states: what either has destroyed is destroyed.
func mergePersons(one, other persons, key onramp.Secret) (persons, error) {
	keys, err := keyset.Open(key)
	if err != nil {
		return persons{}, err
	}
	merged := persons{state: one.state.Clone()}
	if err := merged.state.Merge(other.state); err != nil {
		return persons{}, err
	}
	merged.text, err = personal.WriteState(keys, merged.state)
	return merged, err
}

func (p *persons) write(path string) error {
	if err := durable.ReplaceFile(path, []byte(p.text+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the keys of persons: %w", err)
	}
	return nil
}

// savePersons brings the copy beside a backup up to date, and returns its name; "" when the
// backup needs none.
func (o *Options) savePersons(key onramp.Secret, s snapshot.Summary) (string, error) {
	if s.Persons == "" {
		return "", nil
	}
	key = cmp.Or(o.EncryptionKey, key)
	own, err := readPersons(o.found+snapshot.PersonsEnding, key, s.Persons)
	if err != nil {
		return "", fmt.Errorf("the keys of persons, without which no backup can be read: %w", err)
	}
	path := filepath.Join(filepath.Dir(o.File), snapshot.PersonsCopy)
	copied, err := readPersons(path, key, s.Persons)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, own.write(path)
	case err != nil:
		return "", fmt.Errorf("%w; it is needed for the backups that are there: choose another folder for this one", err)
	}
	merged, err := mergePersons(own, copied, key)
	if err != nil {
		return "", err
	}
	return path, merged.write(path)
}

// chosenPersons are the keys of persons for a database that is restored, and where they
// were found.
type chosenPersons struct {
	*persons
	from []string
}

// choosePersons takes the keys that lie beside the database, which are at least as new as
// those beside the backup, and of these, whatever they have destroyed.
func (o *Options) choosePersons(database string, key onramp.Secret, s snapshot.Summary) (c chosenPersons, err error) {
	if s.Persons == "" {
		return c, nil
	}
	key = cmp.Or(o.EncryptionKey, key)
	beside, copied := database+snapshot.PersonsEnding, filepath.Join(filepath.Dir(o.File), snapshot.PersonsCopy)
	for _, path := range []string{beside, copied} {
		p, err := readPersons(path, key, s.Persons)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && path == beside && o.Force:
			continue // another database's: it is moved aside with it
		case err != nil:
			return c, err
		case c.persons != nil:
			if p, err = mergePersons(*c.persons, p, key); err != nil {
				return c, err
			}
		}
		c.persons, c.from = &p, append(c.from, path)
	}
	if c.persons == nil {
		return c, fmt.Errorf("the keys of persons are missing: neither %s nor %s is there, and without them nothing that the backup holds of persons can be read. "+
			"Put the newest copy of %s beside the backup", beside, copied, snapshot.PersonsCopy)
	}
	return c, nil
}

// place puts the chosen keys beside the database, and gives others that are there, of
// another database, the name aside.
func (c *chosenPersons) place(database, aside string) error {
	path := database + snapshot.PersonsEnding
	if c.persons == nil || !slices.Contains(c.from, path) {
		err := os.Rename(path, aside+snapshot.PersonsEnding)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move the other keys of persons away: %w", err)
		}
	}
	if c.persons == nil {
		return nil
	}
	return c.write(path)
}
