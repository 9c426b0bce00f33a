package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"onramp/internal/onramp"
	"onramp/internal/store/snapshot"
)

// The secret behind subscriber keys of the strategy uuid stands in meta. It is not
// among what is kept, which an operator may lose and make anew.
const (
	clearSecret = "key_secret" // without a cipher, and in older databases
	hintSecret  = "the secret behind subscriber_key: uuid was encrypted with another encryption key: restore that key, " +
		"or a returning email address would get a new subscriber key"
)

// seal makes the secret behind subscriber keys when the database is new, and
// encrypts what an older Onramp, or one without a key, has left in clear text: that
// secret, and the access token. Of the clear text nothing stays in the file.
func (s *Store) seal(ctx context.Context) error {
	meta := map[string]string{}
	rows, err := s.readers.QueryContext(ctx, `SELECT name, value FROM meta`)
	_, err = collect(rows, err, func(rows *sql.Rows) (name string, err error) {
		var value string
		err = rows.Scan(&name, &value)
		meta[name] = value
		return name, err
	})
	if err != nil {
		return fmt.Errorf("read meta: %w", err)
	}
	before := maps.Clone(meta)
	if meta[clearSecret] == "" && meta[snapshot.KeySecret] == "" {
		meta[clearSecret] = rand.Text()
		if s.cipher != nil && !s.clear {
			if meta[hashSecret], err = s.cipher.Encrypt(newHashSecret(), hashSecretAs); err != nil {
				return fmt.Errorf("encrypt the secret of hashes: %w", err)
			}
		}
	}
	if secret := meta[clearSecret]; secret != "" && s.cipher != nil {
		if meta[snapshot.KeySecret], err = s.cipher.Encrypt([]byte(secret), snapshot.KeySecretAs); err != nil {
			return fmt.Errorf("encrypt key secret: %w", err)
		}
		delete(meta, clearSecret)
	}
	if token := meta[clearToken]; token != "" {
		if err := s.SaveToken(ctx, []byte(token)); err != nil {
			return err
		}
		delete(meta, clearToken)
	}
	if maps.Equal(before, meta) {
		return nil
	}
	return s.rewriteMeta(ctx, meta)
}

// rewriteMeta puts the whole of meta in place of what is there, and overwrites that.
// A DELETE of one row would not do: its text also stands where the row was before
// another one changed. Nobody else writes meta meanwhile: the store is being opened.
func (s *Store) rewriteMeta(ctx context.Context, meta map[string]string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, statement := range s.dialect.eraseMeta {
			if err := t.exec(statement); err != nil {
				return err
			}
		}
		for name, value := range meta {
			if err := t.exec(saveMeta, name, value); err != nil {
				return err
			}
		}
		return nil
	}})
	if err == nil && s.dialect.emptyLog != "" {
		_, err = s.readers.ExecContext(ctx, s.dialect.emptyLog)
	}
	return err
}

// keySecret returns the secret behind subscriber keys. When it can't be decrypted,
// that is an error only if one of the forms needs it.
func (s *Store) keySecret(ctx context.Context, forms []onramp.Form) (onramp.Secret, error) {
	sealed, err := findMeta(ctx, s.readers, snapshot.KeySecret)
	if err != nil || sealed == "" {
		clear, clearErr := findMeta(ctx, s.readers, clearSecret)
		return onramp.Secret(clear), readerErr("find key secret", cmp.Or(err, clearErr))
	}
	plain, err := []byte(nil), errNoCipher
	if s.cipher != nil {
		plain, err = s.cipher.Decrypt(sealed, snapshot.KeySecretAs)
	}
	if err != nil && slices.ContainsFunc(forms, func(f onramp.Form) bool { return f.SubscriberKey.From == onramp.KeyUUID || f.Consent != nil }) {
		return "", fmt.Errorf("%s: %w", hintSecret, err)
	}
	return onramp.Secret(plain), nil
}
