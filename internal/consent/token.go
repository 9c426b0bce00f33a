// Package consent has registrations confirmed by their persons: double opt-in. It makes and
// checks the links of confirmations, decides which limits keep a confirmation back, says what
// stands in one, and erases what is not confirmed in time.
//
// Use New once for each configuration: [Desk.Ask] says of a registration how it is to be
// confirmed, [Desk.Confirm] confirms it, and [Desk.Run] reminds and erases. How a person
// stands to a form is decided in the store, in the transactions that change it.
package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Token is what a link carries: nothing in it says who gets it.
type Token struct {
	Form    string
	ID      string // of the registration
	Expires time.Time
}

// ErrForged is that a token was not made here, or was changed.
var ErrForged = errors.New("the token is not one of ours")

// A token is the base64url text of: version, purpose, five bytes of the time when it
// expires, the registration's id, the form's name, and the MAC over all that.
const (
	tokenVersion   = 1
	purposeConfirm = 1
	headBytes      = 2 + 5 + idBytes
	idBytes        = 36
	macBytes       = sha256.Size
	longestToken   = 4 * (headBytes + longestForm + macBytes) / 3
	longestForm    = 63
)

var encoding = base64.RawURLEncoding.Strict()

// Keys make links and hashes. The zero value must not be used.
type Keys struct{ tokens, persons []byte }

// NewKeys makes the keys for each use of one secret.
func NewKeys(secret onramp.Secret) Keys {
	derive := func(use string) []byte { return mac([]byte(secret.Reveal()), []byte("onramp consent "+use)) }
	return Keys{tokens: derive("links"), persons: derive("persons")}
}

func mac(key []byte, message ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, m := range message {
		h.Write(m)
	}
	return h.Sum(nil)
}

// Sign makes the text of a token. The id is one that onramp.NewID has made.
func (k Keys) Sign(t Token) string {
	b := make([]byte, 8, headBytes+len(t.Form)+macBytes)
	binary.BigEndian.PutUint64(b, uint64(t.Expires.Unix()))
	b = append([]byte{tokenVersion, purposeConfirm}, b[3:]...)
	b = append(append(b, t.ID...), t.Form...)
	return encoding.EncodeToString(append(b, mac(k.tokens, b)...))
}

// Parse reads a token, also one that has expired. The error is ErrForged.
func (k Keys) Parse(text string) (Token, error) {
	if len(text) > longestToken || strings.ContainsAny(text, "\r\n") { // which the encoding passes over
		return Token{}, ErrForged
	}
	b, err := encoding.DecodeString(text)
	if err != nil || len(b) <= headBytes+macBytes {
		return Token{}, ErrForged
	}
	signed, given := b[:len(b)-macBytes], b[len(b)-macBytes:]
	if !hmac.Equal(mac(k.tokens, signed), given) || signed[0] != tokenVersion || signed[1] != purposeConfirm {
		return Token{}, ErrForged
	}
	seconds := binary.BigEndian.Uint64(append([]byte{0, 0, 0}, signed[2:7]...))
	return Token{Form: string(signed[headBytes:]), ID: string(signed[7:headBytes]), Expires: time.Unix(int64(seconds), 0).UTC()}, nil
}

// person is the keyed hash of what tells one person from another; the length of each part
// is part of it.
func (k Keys) person(parts ...string) string {
	return encoding.EncodeToString(k.hash(parts)[:18])
}

// counter is the keyed hash of what confirmations are counted by.
func (k Keys) counter(parts ...string) int64 {
	return int64(binary.BigEndian.Uint64(k.hash(parts)[:8]))
}

func (k Keys) hash(parts []string) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return mac(k.persons, b)
}

// Subscriber is the keyed hash of a subscriber key. Marketing Cloud compares them in any case.
func (k Keys) Subscriber(key string) string { return k.person("subscriber", strings.ToLower(key)) }
