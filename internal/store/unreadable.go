package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"onramp/internal/store/snapshot"
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
	keptScheme:      "which secret Marketing Cloud has: onramp ens setup creates the scheme again",
	keptCallback:    "the signature key: onramp ens setup verifies the callback again",
	keptProbe:       "nothing: Marketing Cloud sends a new one during onramp ens setup",
	keptKey:         "the validity of access tokens: Marketing Cloud requests new ones",
	keptClient:      "the client's secrets: create the client again with onramp keys new client --save, then run onramp ens setup",
	keptToken:       "nothing: a new one is requested",
	keptChainKey:    "the proof of what it has signed: onramp consent verify and onramp audit verify can't check anchors from before",
	keptCertificate: "nothing: another certificate is asked for",
	keptScreenKey:   "nothing: another key is made, and pages that are open are taken for old ones",

	keptConsent: "who has confirmed and the links that were sent: they are asked again when they register",
	keptPersons: "what registrations, attempts and events hold of persons; what of them was still to be sent can't be, and becomes dead letters",

	keptSecret: "what subscriber_key: uuid is made from: people who register again get another subscriber key",
}

// keptSecret stands for the secret behind subscriber keys, which is no row of kept.
const keptSecret = "key secret"

// keptPersons stands for the keys of persons, which are no rows of kept either.
const keptPersons = "keys of persons"

// ResetKept lists what can't be decrypted: all of it, or, with callbacks, what is
// theirs, and what is made again by itself. With remove it removes that, and nothing
// that can be decrypted.
func (s *Store) ResetKept(ctx context.Context, callbacks []string, remove bool) ([]Unreadable, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT kind, name, data FROM kept
		UNION ALL SELECT $1, '', value FROM meta WHERE name = $2 ORDER BY 1, 2`, keptSecret, snapshot.KeySecret)
	all, err := collect(rows, err, func(rows *sql.Rows) (k encrypted, err error) {
		err = rows.Scan(&k.kind, &k.name, &k.text)
		return k, err
	})
	if err != nil {
		return nil, readerErr("list kept", err)
	}
	found := []Unreadable{}
	for _, k := range all {
		if s.decrypts(k) {
			continue
		}
		u := k.unreadable()
		others := u.Callback != "" && !slices.Contains(callbacks, u.Callback) || k.kind == keptClient || k.kind == keptSecret
		if len(callbacks) == 0 || !others {
			found = append(found, u)
		}
	}
	lost, err := s.personsLost(ctx)
	if err != nil {
		return nil, err
	}
	if lost && len(callbacks) == 0 {
		found = append(found, Unreadable{Kind: keptPersons, Lost: losses[keptPersons]})
	}
	if !remove || len(found) == 0 {
		return found, nil
	}
	return found, s.writer.write(ctx, &op{run: func(t *tx) error { return t.removeUnreadable(found) }})
}

// encrypted is something encrypted: a row of kept, or the key secret.
type encrypted struct{ kind, name, text string }

func (s *Store) decrypts(k encrypted) bool {
	if s.cipher == nil {
		return false
	}
	as := keptAs(k.kind, k.name)
	if k.kind == keptSecret {
		as = snapshot.KeySecretAs
	}
	_, err := s.cipher.Decrypt(k.text, as)
	return err == nil
}

func (k encrypted) unreadable() Unreadable {
	u := Unreadable{Kind: k.kind, Name: k.name, Lost: losses[k.kind]}
	switch k.kind {
	case keptCallback:
		u.Callback = k.name
	case keptProbe:
		u.Callback, _, _ = strings.Cut(k.name, "/")
	}
	return u
}

func (t *tx) removeUnreadable(found []Unreadable) error {
	for _, u := range found {
		if u.Kind == keptPersons {
			if err := t.forgetPersons(); err != nil {
				return err
			}
			continue
		}
		remove, of := `DELETE FROM kept WHERE kind = $1 AND name = $2`, []any{u.Kind, u.Name}
		if u.Kind == keptSecret {
			remove, of = `DELETE FROM meta WHERE name = $1`, []any{snapshot.KeySecret} // the next start makes a new one
		}
		if err := t.exec(remove, of...); err != nil {
			return err
		}
	}
	return nil
}

// openCipher gets the cipher. Of an access token, certificates and the screening key alone
// no key is worth keeping: new ones are requested.
func (s *Store) openCipher(ctx context.Context, get func(hasSecrets bool) (Cipher, error)) error {
	if get == nil {
		return nil
	}
	var n int
	if err := s.readers.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM kept WHERE kind NOT IN ($1, $3, $4)) + (SELECT COUNT(*) FROM meta WHERE name = $2)`,
		keptToken, snapshot.KeySecret, keptCertificate, keptScreenKey).Scan(&n); err != nil {
		return err
	}
	var err error
	s.cipher, err = get(n > 0)
	return err
}
