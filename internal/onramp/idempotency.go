package onramp

import (
	"crypto/sha256"
	"encoding/binary"
)

// IdempotencyKey stands for the key that a request brought and for its body.
// The zero value stands for none.
type IdempotencyKey struct {
	Hash, Body int64
}

// NewIdempotencyKey makes the key of a request. The same key may be used for
// different forms without harm.
func NewIdempotencyKey(form, key string, body []byte) IdempotencyKey {
	k := sha256.Sum256([]byte(form + "\x00" + key))
	b := sha256.Sum256(body)
	// never 0, which would mean that there is none
	return IdempotencyKey{int64(binary.BigEndian.Uint64(k[:8]) | 1), int64(binary.BigEndian.Uint64(b[:8]))}
}

// Given says whether there is a key.
func (k IdempotencyKey) Given() bool { return k.Hash != 0 }
