package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"fmt"

	"onramp/internal/onramp"
)

// keptConsent is the kind of the secret behind the links of double opt-in and the hashes of
// persons. There is one, with this name.
const (
	keptConsent = "consent key"
	consentName = "1"
)

// ConsentKey gives the secret behind the links of double opt-in and the hashes of persons. It
// makes one where there is none; of several processes that do so one wins. Without a
// cipher, or with one that can't decrypt it, it is an error.
func (s *Store) ConsentKey(ctx context.Context) (onramp.Secret, error) {
	if s.cipher == nil {
		return "", errNoCipher
	}
	kept, err := listKept[onramp.Secret](ctx, s, keptConsent)
	if err == nil && len(kept) == 0 {
		if err = s.makeConsentKey(ctx); err == nil {
			kept, err = listKept[onramp.Secret](ctx, s, keptConsent)
		}
	}
	if err == nil && len(kept) == 0 {
		err = fmt.Errorf("%s", hintKey)
	}
	if err != nil {
		return "", fmt.Errorf("the key behind the links of double opt-in can't be read: %w", err)
	}
	return kept[0], nil
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
