package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"onramp/internal/onramp"
)

// hashing makes the hashes by which the database finds what belongs together without saying
// whose it is: the order of deliveries, events of a person, idempotency keys. Whoever tries
// all likely addresses would find theirs, so the hashes depend on a secret that is made with
// the database and kept encrypted. A database from before has none, and keeps its hashes: what
// is on its way there must keep its order, and be recognised when it is repeated. The zero
// value is for these.
type hashing struct {
	secret []byte       // nil: there is none
	block  cipher.Block // under a key made of it
}

const (
	hashSecret   = "hash_secret_encrypted" // in the table meta
	hashSecretAs = "meta/hash_secret"
)

func newHashSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails: since Go 1.24 it ends the program instead
	return secret
}

func newHashing(secret []byte) (h hashing, err error) {
	if len(secret) == 0 {
		return h, nil
	}
	sum := sha256.Sum256(append([]byte("onramp hashes\x00"), secret...))
	h.secret = secret
	if h.block, err = aes.NewCipher(sum[:]); err != nil {
		return h, fmt.Errorf("use the secret of hashes: %w", err)
	}
	return h, nil
}

// What a hash is for.
const (
	ofOrder byte = iota + 1
	ofEvents
	ofIdempotency
	ofLookUp
)

// keyed makes another hash of one that anybody can make. AES takes the place of a hash
// function: what goes in has one size, and it is quicker. 0 stands for none, and stays.
func (h hashing) keyed(purpose byte, hash int64) int64 {
	if h.block == nil || hash == 0 {
		return hash
	}
	var b [aes.BlockSize]byte
	b[0] = purpose
	binary.BigEndian.PutUint64(b[8:], uint64(hash))
	h.block.Encrypt(b[:], b[:])
	if keyed := int64(binary.BigEndian.Uint64(b[:8])); keyed != 0 {
		return keyed
	}
	return 1
}

// orderingKey is that under which the deliveries of a subscriber keep their order.
func (h hashing) orderingKey(subscriberKey string) int64 {
	return h.keyed(ofOrder, onramp.OrderingKey(subscriberKey))
}

// event is the key under which events are found, made of the one that onramp gives them.
func (h hashing) event(key int64) int64 { return h.keyed(ofEvents, key) }

// sinkKey is the key under which an event keeps its order on the way to a sink.
func (h hashing) sinkKey(e *onramp.Event) int64 {
	if e.Subject == "" {
		return e.Identity.Hash // about nobody: it need not wait for any other
	}
	return h.orderingKey(e.Subject)
}

func (h hashing) idempotency(k onramp.IdempotencyKey) onramp.IdempotencyKey {
	for _, hash := range []*int64{&k.Hash, &k.Body, &k.OlderHash, &k.OlderBody, &k.Once} {
		*hash = h.keyed(ofIdempotency, *hash)
	}
	return k
}

// lookUp is the hash of an address or a subscriber key by which registrations are found.
func (h hashing) lookUp(text string) int64 {
	return h.keyed(ofLookUp, onramp.OrderingKey(text))
}

// digest stands for a person in any case: one of 256 bits needs no comparing.
func (h hashing) digest(subscriberKey string) string {
	lower := []byte(strings.ToLower(subscriberKey))
	if h.secret == nil {
		sum := sha256.Sum256(lower)
		return hex.EncodeToString(sum[:])
	}
	mac := hmac.New(sha256.New, h.secret)
	mac.Write(lower)
	return hex.EncodeToString(mac.Sum(nil))
}
