package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
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

// keep stores a value under its name, in place of what was there.
func (s *Store) keep(ctx context.Context, kind, name string, value any, more ...func(*tx) error) error {
	if s.cipher == nil {
		return errNoCipher
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
			ON CONFLICT (kind, name) DO UPDATE SET kept_at = excluded.kept_at, data = excluded.data`, kind, storable(name), micros(t.now), text)
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
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`DELETE FROM kept WHERE kind = $1 AND name = $2`, kind, storable(name))
	}})
	if err != nil {
		return fmt.Errorf("drop %s: %w", kind, err)
	}
	return nil
}

// listKept reads all values of a kind, oldest first.
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
	for _, r := range found {
		value, err := openKept[T](s.cipher, kind, r, hintKey)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

type keptRow struct{ name, text string }

// openKept decrypts a value of a kind. hint says what becomes of it when the key
// does not fit.
func openKept[T any](cipher Cipher, kind string, r keptRow, hint string) (value T, err error) {
	if cipher == nil {
		return value, errNoCipher
	}
	plain, err := cipher.Decrypt(r.text, keptAs(kind, r.name))
	if err != nil {
		return value, fmt.Errorf("decrypt %s %q: %w; %s", kind, r.name, err, hint)
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
	mostProbes = 200           // anyone can send one
)

// SaveProbe keeps a probe. Of many only the newest are kept, and none for longer
// than it can be used.
func (s *Store) SaveProbe(ctx context.Context, p onramp.Probe) error {
	return s.keep(ctx, keptProbe, p.Callback+"/"+p.CallbackID, p, func(t *tx) error {
		return t.exec(`DELETE FROM kept WHERE kind = $1 AND (kept_at < $2 OR kept_at <
			(SELECT MIN(k.kept_at) FROM (SELECT kept_at FROM kept WHERE kind = $1 ORDER BY kept_at DESC LIMIT $3) k))`,
			keptProbe, micros(t.now.Add(-probeLife)), mostProbes)
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
