package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// Unreadable is something kept that can't be decrypted: its encryption key was lost
// or replaced.
type Unreadable struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Callback string `json:"callback,omitempty"` // whose it is; "": it is not one callback's alone
	Lost     string `json:"lost"`               // what is lost with it, and what brings it back
}

// losses say what is lost with each kind. What has no secret that someone else
// must know is made again by itself.
var losses = map[string]string{
	keptScheme:   "which secret Marketing Cloud has: onramp ens setup creates the scheme again",
	keptCallback: "the signature key: onramp ens setup verifies the callback again",
	keptProbe:    "nothing: Marketing Cloud sends a new one during onramp ens setup",
	keptKey:      "the validity of access tokens: Marketing Cloud requests new ones",
	keptClient:   "the client's secrets: create the client again with onramp keys new client --save, then run onramp ens setup",
	keptToken:    "nothing: a new one is requested",
}

// ResetKept lists what can't be decrypted: all of it, or, with callbacks, what is
// theirs, and what is made again by itself. With remove it removes that, and nothing
// that can be decrypted.
func (s *Store) ResetKept(ctx context.Context, callbacks []string, remove bool) ([]Unreadable, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT kind, name, data FROM kept ORDER BY kind, name`)
	type kept struct{ kind, name, text string }
	all, err := collect(rows, err, func(rows *sql.Rows) (k kept, err error) {
		err = rows.Scan(&k.kind, &k.name, &k.text)
		return k, err
	})
	if err != nil {
		return nil, readerErr("list kept", err)
	}
	found := []Unreadable{}
	for _, k := range all {
		if s.cipher != nil {
			if _, err := s.cipher.Decrypt(k.text, keptAs(k.kind, k.name)); err == nil {
				continue
			}
		}
		u := Unreadable{Kind: k.kind, Name: k.name, Lost: losses[k.kind]}
		switch k.kind {
		case keptCallback:
			u.Callback = k.name
		case keptProbe:
			u.Callback, _, _ = strings.Cut(k.name, "/")
		}
		others := u.Callback != "" && !slices.Contains(callbacks, u.Callback) || k.kind == keptClient
		if len(callbacks) == 0 || !others {
			found = append(found, u)
		}
	}
	if !remove || len(found) == 0 {
		return found, nil
	}
	return found, s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, u := range found {
			if err := t.exec(`DELETE FROM kept WHERE kind = $1 AND name = $2`, u.Kind, u.Name); err != nil {
				return err
			}
		}
		return nil
	}})
}

// openCipher gets the cipher. Of an access token alone no key is worth keeping: a new
// one is requested.
func (s *Store) openCipher(ctx context.Context, get func(hasSecrets bool) (Cipher, error)) error {
	if get == nil {
		return nil
	}
	var n int
	if err := s.readers.QueryRowContext(ctx, `SELECT COUNT(*) FROM kept WHERE kind <> $1`, keptToken).Scan(&n); err != nil {
		return err
	}
	var err error
	s.cipher, err = get(n > 0)
	return err
}
