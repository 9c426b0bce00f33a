// Package keyset encrypts what the gateway keeps on disk and must be able to
// read again, such as the signature keys of callbacks, and makes the secrets
// that operators need.
//
// Use New once and keep its result as a secret, apart from the database; Open it
// in each process. With a database in a file, OpenFile does both. The keys are
// those of XAES-256-GCM (https://c2sp.org/XAES-256-GCM), so that no number of
// encryptions wears one out. A keyset is the text of Tink's JSON keyset, in
// base64.
package keyset

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	tink "github.com/tink-crypto/tink-go/v2/keyset"
	cipher "github.com/tink-crypto/tink-go/v2/tink"

	"onramp/internal/onramp"
)

// Keyset is one or more keys: the primary one encrypts, and each decrypts what
// it has encrypted. It can be used by several goroutines at once.
type Keyset struct {
	aead cipher.AEAD
}

// The errors say nothing of what was given: it may be a secret in the wrong
// place.
var (
	errNotKeyset  = errors.New("this is not an encryption key: onramp keys new encryption creates one")
	errNotDecoded = errors.New("it is damaged, or was encrypted with another key or for another record")
)

// New makes a keyset with one key. The text is one line of some 300 characters
// of base64.
func New() (onramp.Secret, error) {
	handle, err := tink.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("create encryption key: %w", err)
	}
	return write(handle)
}

// Open reads a keyset as New gives it, or Tink's JSON keyset itself. White
// space around it doesn't count. The error never quotes the text.
func Open(text onramp.Secret) (*Keyset, error) {
	handle, err := read(text)
	if err != nil {
		return nil, err
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, errNotKeyset // such as a keyset for signing
	}
	return &Keyset{a}, nil
}

// Rotate adds a new primary key to a keyset. What the other keys have
// encrypted can be decrypted as before, but only with the new text: every
// process must have it before one of them encrypts with it.
func Rotate(text onramp.Secret) (onramp.Secret, error) {
	if _, err := Open(text); err != nil {
		return "", err
	}
	handle, err := read(text)
	if err != nil {
		return "", err
	}
	manager := tink.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.XAES256GCM192BitNonceKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return "", fmt.Errorf("add encryption key: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return "", fmt.Errorf("add encryption key: %w", err)
	}
	return write(handle)
}

// Encrypt gives base64 of what only Decrypt with the same about can read. about
// is not secret; it says what the text is and where it belongs, such as
// "kept/callback/events", so that nobody can put one text in another's place.
func (k *Keyset) Encrypt(plain []byte, about string) (string, error) {
	sealed, err := k.aead.Encrypt(plain, []byte(about))
	if err != nil {
		return "", fmt.Errorf("encrypt %s: %w", about, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Decrypt is the reverse of Encrypt.
func (k *Keyset) Decrypt(text, about string) ([]byte, error) {
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", about, errNotDecoded)
	}
	plain, err := k.aead.Decrypt(sealed, []byte(about))
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", about, errNotDecoded)
	}
	return plain, nil
}

// read gives the keys of a text.
func read(text onramp.Secret) (*tink.Handle, error) {
	plain := strings.TrimSpace(text.Reveal())
	if !strings.HasPrefix(plain, "{") {
		decoded, err := base64.StdEncoding.Strict().DecodeString(plain)
		if err != nil {
			return nil, errNotKeyset
		}
		plain = string(decoded)
	}
	handle, err := insecurecleartextkeyset.Read(tink.NewJSONReader(strings.NewReader(plain)))
	if err != nil {
		return nil, errNotKeyset // the library's message could quote the text
	}
	return handle, nil
}

func write(handle *tink.Handle) (onramp.Secret, error) {
	var plain bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, tink.NewJSONWriter(&plain)); err != nil {
		return "", fmt.Errorf("write encryption key: %w", err)
	}
	var text bytes.Buffer // without the spaces that the library puts in at random
	if err := json.Compact(&text, plain.Bytes()); err != nil {
		return "", fmt.Errorf("write encryption key: %w", err)
	}
	return onramp.Secret(base64.StdEncoding.EncodeToString(text.Bytes())), nil
}
