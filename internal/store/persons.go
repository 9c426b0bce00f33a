package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"onramp/internal/durable"
	"onramp/internal/personkey"
	"onramp/internal/store/personal"
	"onramp/internal/store/snapshot"
)

// persons is the step for keys of persons. Beside PostgreSQL there is no file for their
// state: it is a row of person_keys, which dumps of the database should leave out. With SQLite
// the table stays empty.
var persons = []string{
	`CREATE TABLE person_keys (id INTEGER PRIMARY KEY, state TEXT NOT NULL, changed_at BIGINT NOT NULL)`,
	// who was erased, and how often; digest is that of personkey.Tombstone
	`CREATE TABLE tombstone (digest TEXT PRIMARY KEY, times BIGINT NOT NULL, erased_at BIGINT NOT NULL)`,
	// registrations by hashes of subscriber keys and addresses; filled a little after them
	`CREATE TABLE look_up (hash BIGINT NOT NULL, registration_seq BIGINT NOT NULL, PRIMARY KEY (hash, registration_seq)) {{without rowid}}`,
}

// hintPersons is what an operator can do without the state of the keys.
const hintPersons = "without it nothing that the database holds of persons can be read. Put the newest copy there: the one beside the database, or " +
	snapshot.PersonsCopy + " beside its backups. If it is lost, run onramp keys reset, which gives these data up"

// openPersons gets the keys of persons, and makes them when there are none yet.
func (s *Store) openPersons(ctx context.Context) error {
	if err := s.openHashing(ctx); err != nil {
		return err
	}
	id, err := findMeta(ctx, s.readers, snapshot.Persons)
	if err != nil {
		return fmt.Errorf("find the keys of persons: %w", err)
	}
	if s.keyless || s.cipher == nil && id == "" {
		return nil
	}
	if s.cipher == nil {
		return errors.New("the database holds personal data that only its encryption key can decrypt: set encryption_key, or restore the key file from a backup; if it is lost, run onramp keys reset, which gives these data up")
	}
	state, err := s.loadPersons(ctx, id)
	if err != nil || state == nil {
		return err
	}
	s.vault = personal.NewVault(state, s.own == nil)
	return s.bury(ctx)
}

func (s *Store) openHashing(ctx context.Context) error {
	sealed, err := findMeta(ctx, s.readers, hashSecret)
	if err != nil || sealed == "" || s.keyless {
		return err
	}
	if s.cipher == nil {
		return fmt.Errorf("the secret of hashes: %w", errNoCipher)
	}
	secret, err := s.cipher.Decrypt(sealed, hashSecretAs)
	if err != nil {
		return fmt.Errorf("%w; %s", err, hintKey)
	}
	s.hashing, err = newHashing(secret)
	return err
}

// loadPersons reads the state of the keys. A new one is made unless the database has been
// told to store clear texts, and never had any other.
func (s *Store) loadPersons(ctx context.Context, id string) (*personkey.State, error) {
	sealed, err := s.readPersons(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case sealed != "":
	case id != "":
		return nil, fmt.Errorf("%s is missing: %s", s.personsAt(), hintPersons)
	case s.clear:
		return nil, nil
	default:
		state := personkey.NewState()
		if err := s.writePersons(ctx, state); err != nil {
			return nil, err
		}
		return state, s.notePersons(ctx, state)
	}
	state, err := personal.ReadState(s.cipher, sealed)
	switch {
	case err != nil && id == "":
		return nil, fmt.Errorf("%s belongs to another database or another encryption key: move it away: %w", s.personsAt(), err)
	case err != nil:
		return nil, fmt.Errorf("%s can't be read: %w; %s", s.personsAt(), err, hintPersons)
	case id == "":
		return state, s.notePersons(ctx, state) // left by a kill, or beside a backup from before there were any
	case id != state.ID():
		return nil, fmt.Errorf("%s belongs to another database: %s", s.personsAt(), hintPersons)
	}
	return state, nil
}

// notePersons has the database say whose keys it needs.
func (s *Store) notePersons(ctx context.Context, state *personkey.State) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, snapshot.Persons, state.ID()) }})
}

// personsAt says where the state is.
func (s *Store) personsAt() string {
	if s.own == nil {
		return "the state of persons' keys, in the table person_keys,"
	}
	return s.file + snapshot.PersonsEnding
}

// readPersons returns "" when there is no state.
func (s *Store) readPersons(ctx context.Context) (sealed string, err error) {
	if s.own == nil {
		err = s.readers.QueryRowContext(ctx, `SELECT state FROM person_keys WHERE id = 1`).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return sealed, readerErr("read the keys of persons", err)
	}
	content, err := os.ReadFile(s.personsAt())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// reloadPersons reads the state again after a commit that may be on disk or not. In a file it
// is what was written.
func (s *Store) reloadPersons(ctx context.Context, q queryer) error {
	if s.own != nil || s.vault == nil {
		return nil
	}
	var sealed string
	if err := q.QueryRowContext(ctx, `SELECT state FROM person_keys WHERE id = 1`).Scan(&sealed); err != nil {
		return fmt.Errorf("read the keys of persons: %w", err)
	}
	state, err := personal.ReadState(s.cipher, sealed)
	if err == nil {
		s.vault.SetState(state)
	}
	return err
}

// writePersons has the state on disk.
func (s *Store) writePersons(ctx context.Context, state *personkey.State) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.writePersons(state) }})
}

func (t *tx) writePersons(state *personkey.State) error {
	sealed, err := personal.WriteState(t.store.cipher, state)
	if err != nil {
		return err
	}
	if t.store.own == nil {
		return t.exec(`INSERT INTO person_keys (id, state, changed_at) VALUES (1, $1, $2)
			ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`, sealed, micros(t.now))
	}
	if err := durable.ReplaceFile(t.store.personsAt(), []byte(sealed+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the keys of persons: %w", err)
	}
	return nil
}

// bury destroys what the database says was destroyed: its state may be an older copy.
func (s *Store) bury(ctx context.Context) error {
	rows, err := s.readers.QueryContext(ctx, `SELECT digest, times FROM tombstone`)
	stones, err := collect(rows, err, func(rows *sql.Rows) (t personkey.Tombstone, err error) {
		err = rows.Scan(&t.Digest, &t.Times)
		return t, err
	})
	if err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	state, older := s.vault.State().Clone(), 0
	for _, stone := range stones {
		destroyed, err := state.Bury(stone)
		if err != nil {
			return err
		}
		if destroyed {
			older++
		}
	}
	if older == 0 {
		return nil
	}
	if err := s.writePersons(ctx, state); err != nil {
		return err
	}
	s.vault.SetState(state)
	s.notices = append(s.notices, fmt.Sprintf("%s was an older copy, which knew nothing of %d persons who were erased since; their keys were destroyed in it again", s.personsAt(), older))
	return nil
}

// rescuePersonsWhenGone writes the keys of persons once more if their file went away with the
// database's: what was rescued of that needs them.
func (s *Store) rescuePersonsWhenGone(ctx context.Context) {
	select {
	case <-s.Gone():
	case <-ctx.Done():
		select {
		case <-s.Gone(): // both
		default:
			return
		}
	}
	if s.vault == nil {
		return
	}
	sealed, err := personal.WriteState(s.cipher, s.vault.State())
	if err == nil {
		err = durable.CreateFile(s.personsAt(), []byte(sealed+"\n"), 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		s.log.Error("the keys of persons could not be saved; what is encrypted with them is lost unless there is a copy", "file", s.personsAt(), "err", err)
	}
}

// personsLost says whether the keys of persons are needed and can't be read.
func (s *Store) personsLost(ctx context.Context) (bool, error) {
	id, err := findMeta(ctx, s.readers, snapshot.Persons)
	if err != nil || id == "" {
		return false, err
	}
	sealed, err := s.readPersons(ctx)
	if err != nil || s.cipher == nil {
		return true, err
	}
	state, err := personal.ReadState(s.cipher, sealed)
	return err != nil || state.ID() != id, nil
}

// forgetPersons has the next start make new keys of persons. A file with lost ones is kept
// under another name: its encryption key may be found again.
func (t *tx) forgetPersons() error {
	for _, statement := range []string{
		`DELETE FROM meta WHERE name = '` + snapshot.Persons + `' OR name = '` + hashSecret + `'`, `DELETE FROM person_keys`, `DELETE FROM tombstone`,
	} {
		if err := t.exec(statement); err != nil {
			return err
		}
	}
	if t.store.own == nil {
		return nil
	}
	err := os.Rename(t.store.personsAt(), t.store.personsAt()+".lost")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// DestroyPerson destroys the key that all personal data of a person are encrypted with, by
// subscriber key or address, and those of the numbers by which events name the same person. Once
// it has returned, nobody can decrypt them: not here, not in a standby, and not in a backup,
// unless its copy of the keys is older. What the database holds in clear text stays, and so do the
// rows. Someone who comes back later gets another key.
//
// What is on its way is not sent any more, but for what the pump has read already.
func (s *Store) DestroyPerson(ctx context.Context, person string) error {
	if s.vault == nil {
		return errors.New("personal data is not encrypted in this database: there is no key to destroy")
	}
	subjects, err := s.subjectsOf(ctx, person)
	if err != nil {
		return err
	}
	all := []string{personal.Fold(person)}
	for subject := range subjects {
		all = append(all, personal.Fold(personOfSubject(subject)))
	}
	// by the writer: nothing is encrypted for them between here and the commit
	err = s.writer.write(ctx, &op{run: func(t *tx) error { return t.destroy(all) }})
	return wrapUnlessKnown("destroy the key of a person", err)
}

func (t *tx) destroy(all []string) error {
	state := t.store.vault.State().Clone()
	for _, person := range all {
		state.Destroy(person)
	}
	if err := t.writePersons(state); err != nil {
		return err
	}
	if t.store.own != nil {
		t.store.vault.SetState(state) // it is on disk, whatever becomes of the commit
	} else {
		t.after = append(t.after, func() { t.store.vault.SetState(state) })
	}
	for _, person := range all {
		stone := state.Tombstone(person)
		err := t.exec(`INSERT INTO tombstone (digest, times, erased_at) VALUES ($1, $2, $3)
			ON CONFLICT (digest) DO UPDATE SET times = excluded.times, erased_at = excluded.erased_at`, stone.Digest, stone.Times, micros(t.now))
		if err != nil {
			return err
		}
	}
	return nil
}

// WasErased says whether a person's key was ever destroyed, by subscriber key or address.
func (s *Store) WasErased(person string) bool {
	return s.vault != nil && s.vault.State().WasErased(personal.Fold(person))
}
