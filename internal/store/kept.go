package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// Cipher encrypts what someone who can read the database must not be able to read.
// about ties a text to its place: under another one it can't be decrypted.
type Cipher interface {
	Encrypt(plain []byte, about string) (string, error)
	Decrypt(text, about string) ([]byte, error)
}

// The kinds of what is kept encrypted.
const (
	keptScheme   = "scheme"
	keptCallback = "callback"
	keptProbe    = "probe"
	keptKey      = "signing key"
	keptClient   = "token client"
)

// hintKey is what an operator can do when the key does not fit.
const hintKey = "it was encrypted with another encryption key, or is damaged: restore that key; if it is lost, " +
	"onramp keys reset shows what is lost with it, and what brings it back"

var errNoCipher = errors.New("the database was opened without an encryption key")

// hints say, by kind, how something that can't be read any more is replaced. None
// has the operator touch the table: the other rows in it are good.
var hints = map[string]string{
	keptScheme:   "run onramp ens setup, which replaces it",
	keptCallback: "run onramp ens setup, which gets a new signature key for it",
	keptProbe:    "nothing to do: it is deleted with the first probe that comes after five hours",
	keptKey:      "nothing to do: access tokens are signed with another key",
	keptClient:   "give the client a new secret with onramp keys new client --save --client ID, then run onramp ens setup",

	keptConsent: "remove it with onramp keys reset: another one is made, links that were sent work no longer, and everybody is asked to confirm again",

	keptCertificate: "nothing to do: another one is asked for",
	keptScreenKey:   "nothing to do: another one is made at the next start",
	keptChainKey:    "nothing to do: another one is made; what this one has signed of the consent and audit logs can't be checked any more",
}

// keep stores a value under its name, in place of what was there. A name that the
// database would have to change is refused: the text is encrypted for this one.
func (s *Store) keep(ctx context.Context, kind, name string, value any, more ...func(*tx) error) error {
	if s.cipher == nil {
		return errNoCipher
	}
	if storable(name) != name {
		return fmt.Errorf("keep %s: the name %q can't be stored", kind, name)
	}
	// not as JSON, in which a Secret says "redacted"
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(value); err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	text, err := s.cipher.Encrypt(plain.Bytes(), keptAs(kind, name))
	if err != nil {
		return fmt.Errorf("encrypt %s: %w", kind, err)
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		err := t.exec(`INSERT INTO kept (kind, name, kept_at, data) VALUES ($1, $2, $3, $4)
			ON CONFLICT (kind, name) DO UPDATE SET kept_at = excluded.kept_at, data = excluded.data`, kind, name, micros(t.now), text)
		if err != nil {
			return err
		}
		for _, f := range more {
			if err := f(t); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("keep %s: %w", kind, err)
	}
	return nil
}

func (s *Store) drop(ctx context.Context, kind, name string) error {
	if storable(name) != name {
		return nil // nothing is kept under such a name
	}
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`DELETE FROM kept WHERE kind = $1 AND name = $2`, kind, name)
	}})
	if err != nil {
		return fmt.Errorf("drop %s: %w", kind, err)
	}
	return nil
}

// listKept reads all values of a kind, oldest first. One that can't be read is left
// out, see ListUnreadable; but if nothing at all can be, the key is another one, and
// that is an error.
func listKept[T any](ctx context.Context, s *Store, kind string) ([]T, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT name, data FROM kept WHERE kind = $1 ORDER BY kept_at, name`, kind)
	found, err := collect(rows, err, func(rows *sql.Rows) (r keptRow, err error) {
		err = rows.Scan(&r.name, &r.text)
		return r, err
	})
	if err != nil {
		return nil, readerErr("list "+kind, err)
	}
	var all []T
	var unreadable error
	for _, r := range found {
		value, err := openKept[T](s.cipher, kind, r)
		if err != nil {
			unreadable = cmp.Or(unreadable, fmt.Errorf("%w; %s", err, hintKey))
			continue
		}
		all = append(all, value)
	}
	if unreadable != nil && len(all) == 0 {
		if fits, err := s.keyFits(ctx); err != nil || !fits {
			return nil, cmp.Or(err, unreadable)
		}
	}
	return all, nil
}

type keptRow struct{ name, text string }

// keyFits says whether the key opens anything that is kept, but for the access token,
// certificates and the keys of chains, which are replaced under any key.
func (s *Store) keyFits(ctx context.Context) (bool, error) {
	kept, err := s.listAllKept(ctx)
	if err != nil || s.cipher == nil {
		return false, err
	}
	return slices.ContainsFunc(kept, func(k keptOfKind) bool {
		_, err := s.cipher.Decrypt(k.text, keptAs(k.kind, k.name))
		return err == nil && !slices.Contains([]string{keptToken, keptCertificate, keptChainKey, keptScreenKey}, k.kind)
	}), nil
}

type keptOfKind struct {
	kind string
	keptRow
}

func (s *Store) listAllKept(ctx context.Context) ([]keptOfKind, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT kind, name, data FROM kept ORDER BY kind, name`)
	kept, err := collect(rows, err, func(rows *sql.Rows) (k keptOfKind, err error) {
		err = rows.Scan(&k.kind, &k.name, &k.text)
		return k, err
	})
	return kept, readerErr("list what is kept", err)
}

// ListUnreadable lists what is kept and can't be read, such as a row that was
// damaged or encrypted with another key. Lists leave it out.
func (s *Store) ListUnreadable(ctx context.Context) ([]onramp.Unreadable, error) {
	kept, err := s.listAllKept(ctx)
	var unreadable []onramp.Unreadable
	for _, k := range kept {
		if err := s.tryKept(k); err != nil {
			unreadable = append(unreadable, onramp.Unreadable{Kind: k.kind, Name: k.name, Err: err, Hint: hints[k.kind]})
		}
	}
	return unreadable, err
}

// tryKept reads a row as its kind is read.
func (s *Store) tryKept(k keptOfKind) (err error) {
	switch k.kind {
	case keptScheme:
		_, err = openKept[onramp.Scheme](s.cipher, k.kind, k.keptRow)
	case keptCallback:
		_, err = openKept[onramp.CallbackRecord](s.cipher, k.kind, k.keptRow)
	case keptProbe:
		_, err = openKept[onramp.Probe](s.cipher, k.kind, k.keptRow)
	case keptKey, keptChainKey:
		_, err = openKept[onramp.SigningKey](s.cipher, k.kind, k.keptRow)
	case keptClient:
		_, err = openKept[onramp.TokenClient](s.cipher, k.kind, k.keptRow)
	case keptConsent:
		_, err = openKept[onramp.Secret](s.cipher, k.kind, k.keptRow)
	case keptCertificate, keptScreenKey:
		_, err = openKept[[]byte](s.cipher, k.kind, k.keptRow)
	}
	return err
}

// openKept decrypts a value of a kind.
func openKept[T any](cipher Cipher, kind string, r keptRow) (value T, err error) {
	if cipher == nil {
		return value, errNoCipher
	}
	plain, err := cipher.Decrypt(r.text, keptAs(kind, r.name))
	if err != nil {
		return value, fmt.Errorf("decrypt %s %q: %w", kind, r.name, err)
	}
	if err := gob.NewDecoder(bytes.NewReader(plain)).Decode(&value); err != nil {
		return value, fmt.Errorf("read %s %q: %w", kind, r.name, err)
	}
	return value, nil
}

// keptAs is the associated data of a kept text, which can't be decrypted under
// another name.
func keptAs(kind, name string) string { return "kept/" + kind + "/" + name }

// ListSchemes returns the authentication schemes that Onramp has made.
func (s *Store) ListSchemes(ctx context.Context) ([]onramp.Scheme, error) {
	return listKept[onramp.Scheme](ctx, s, keptScheme)
}

// SaveScheme keeps a scheme under its name.
func (s *Store) SaveScheme(ctx context.Context, scheme onramp.Scheme) error {
	return s.keep(ctx, keptScheme, scheme.Name, scheme)
}

// DeleteScheme forgets a scheme, if there is one.
func (s *Store) DeleteScheme(ctx context.Context, name string) error {
	return s.drop(ctx, keptScheme, name)
}

// ListCallbackRecords returns what is known of the callbacks that Onramp has made.
func (s *Store) ListCallbackRecords(ctx context.Context) ([]onramp.CallbackRecord, error) {
	return listKept[onramp.CallbackRecord](ctx, s, keptCallback)
}

// SaveCallbackRecord keeps a callback's record under its name.
func (s *Store) SaveCallbackRecord(ctx context.Context, r onramp.CallbackRecord) error {
	return s.keep(ctx, keptCallback, r.Name, r)
}

// DeleteCallbackRecord forgets a callback's record, if there is one.
func (s *Store) DeleteCallbackRecord(ctx context.Context, name string) error {
	return s.drop(ctx, keptCallback, name)
}

const (
	probeLife  = 5 * time.Hour // Marketing Cloud's keys live four
	mostProbes = 50            // of a callback
)

// SaveProbe keeps a probe beside the others of its callback, also one with the same
// id and another key. Of many only the newest are kept, and none for longer than it
// can be used: whoever saves one knows where it came from.
func (s *Store) SaveProbe(ctx context.Context, p onramp.Probe) error {
	if !onramp.ValidID(p.CallbackID) || !onramp.ValidID(p.VerificationKey.Reveal()) {
		return &onramp.Error{Kind: onramp.Invalid, Message: "the id or key of the probe can't be one"}
	}
	of := p.Callback + "/"
	digest := sha256.Sum256([]byte(p.VerificationKey.Reveal()))
	return s.keep(ctx, keptProbe, fmt.Sprintf("%s%s/%x", of, p.CallbackID, digest[:4]), p, func(t *tx) error {
		return t.exec(`DELETE FROM kept WHERE kind = $1 AND (kept_at < $2 OR SUBSTR(name, 1, $3) = $4 AND kept_at <
			(SELECT MIN(k.kept_at) FROM (SELECT kept_at FROM kept WHERE kind = $1 AND SUBSTR(name, 1, $3) = $4
				ORDER BY kept_at DESC LIMIT $5) k))`,
			keptProbe, micros(t.now.Add(-probeLife)), len(of), of, mostProbes)
	})
}

// ListProbes returns the probes of a callback, the newest first.
func (s *Store) ListProbes(ctx context.Context, callback string) ([]onramp.Probe, error) {
	all, err := listKept[onramp.Probe](ctx, s, keptProbe)
	var probes []onramp.Probe
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Callback == callback {
			probes = append(probes, all[i])
		}
	}
	return probes, err
}

// ListSigningKeys returns the keys for access tokens, the oldest first.
func (s *Store) ListSigningKeys(ctx context.Context) ([]onramp.SigningKey, error) {
	return listKept[onramp.SigningKey](ctx, s, keptKey)
}

// SaveSigningKey keeps a key under its id.
func (s *Store) SaveSigningKey(ctx context.Context, key onramp.SigningKey) error {
	return s.keep(ctx, keptKey, key.ID, key)
}

// DeleteSigningKey forgets a key.
func (s *Store) DeleteSigningKey(ctx context.Context, id string) error {
	return s.drop(ctx, keptKey, id)
}

// ListTokenClients returns the clients that operators have added.
func (s *Store) ListTokenClients(ctx context.Context) ([]onramp.TokenClient, error) {
	return listKept[onramp.TokenClient](ctx, s, keptClient)
}

// SaveTokenClient keeps a client under its id.
func (s *Store) SaveTokenClient(ctx context.Context, c onramp.TokenClient) error {
	return s.keep(ctx, keptClient, c.ID, c)
}

// DeleteTokenClient forgets a client, if there is one.
func (s *Store) DeleteTokenClient(ctx context.Context, id string) error {
	return s.drop(ctx, keptClient, id)
}
