package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"errors"
	"fmt"

	"onramp/internal/onramp"
)

// keptConsent is the kind of the secret behind the links of double opt-in and the hashes of
// persons. There is one, with this name.
const (
	keptConsent = "consent key"
	consentName = "1"
)

// ConsentKey gives the secret behind the links of double opt-in and the hashes of persons. Where
// there is none it makes one, if create says so, else it is "". Of several processes that
// make one, one wins. Without a cipher, or with one that can't decrypt it, it is an error.
func (s *Store) ConsentKey(ctx context.Context, create bool) (onramp.Secret, error) {
	if s.cipher == nil && !create {
		return "", nil
	}
	kept, err := s.listConsentKeys(ctx)
	if err == nil && len(kept) == 0 && create {
		if err = s.makeConsentKey(ctx); err == nil {
			kept, err = s.listConsentKeys(ctx)
		}
		if err == nil && len(kept) == 0 {
			err = errors.New(hintKey) // there is one, under another key
		}
	}
	if err != nil {
		return "", fmt.Errorf("the key behind the links of double opt-in can't be read: %w", err)
	}
	if len(kept) == 0 {
		return "", nil
	}
	return kept[0], nil
}

func (s *Store) listConsentKeys(ctx context.Context) ([]onramp.Secret, error) {
	if s.cipher == nil {
		return nil, errNoCipher
	}
	return listKept[onramp.Secret](ctx, s, keptConsent)
}

func (s *Store) makeConsentKey(ctx context.Context) error {
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(onramp.Secret(rand.Text() + rand.Text())); err != nil {
		return err
	}
	text, err := s.cipher.Encrypt(plain.Bytes(), keptAs(keptConsent, consentName))
	if err != nil {
		return err
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`INSERT INTO kept (kind, name, kept_at, data) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name) DO NOTHING`,
			keptConsent, consentName, micros(t.now), text)
	}})
}
