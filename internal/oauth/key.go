package oauth

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

const (
	settleFor = 2 * time.Minute // until a new key signs: by then every node has read it
	overlap   = time.Hour       // how long a key is kept after the last token it signed has expired
)

// signingKey is a key as it is used.
type signingKey struct {
	id        string
	private   ed25519.PrivateKey
	public    ed25519.PublicKey
	createdAt time.Time
	proofs    sync.Map // the id of each proof
}

// keyring is all keys, the oldest first.
type keyring []*signingKey

func newKeyring(keys []onramp.SigningKey) (keyring, error) {
	ring := make(keyring, 0, len(keys))
	for _, k := range keys {
		if len(k.Seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("signing key %s: its seed has %d bytes instead of %d", k.ID, len(k.Seed), ed25519.SeedSize)
		}
		private := ed25519.NewKeyFromSeed(k.Seed)
		ring = append(ring, &signingKey{id: k.ID, private: private, public: private.Public().(ed25519.PublicKey), createdAt: k.CreatedAt})
	}
	slices.SortFunc(ring, func(a, b *signingKey) int {
		return cmp.Or(a.createdAt.Compare(b.createdAt), cmp.Compare(a.id, b.id))
	})
	return ring, nil
}

func newSigningKey(now time.Time) onramp.SigningKey {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return onramp.SigningKey{ID: onramp.NewID(now), Seed: seed, CreatedAt: now.UTC()}
}

// find returns the key of an id, or nil.
func (k keyring) find(id string) *signingKey {
	for _, key := range k {
		if key.id == id {
			return key
		}
	}
	return nil
}

// signer returns the newest key that has settled. When none has, as after the
// very first start of several nodes, it is the oldest: the others have read that
// one most likely. It is nil only when there is no key.
func (k keyring) signer(now time.Time) *signingKey {
	for _, key := range slices.Backward(k) {
		if now.Sub(key.createdAt) >= settleFor {
			return key
		}
	}
	if len(k) == 0 {
		return nil
	}
	return k[0]
}

// isDue says whether a new key is to be made.
func (k keyring) isDue(now time.Time, rotateAfter time.Duration) bool {
	return len(k) == 0 || now.Sub(k[len(k)-1].createdAt) >= rotateAfter
}

// outlived lists the keys whose last token has expired a while ago. A key signs
// until its successor has settled, however late that was made: a node may have
// been off for months.
func (k keyring) outlived(now time.Time, lifetime time.Duration) []string {
	var ids []string
	for i := range len(k) - 1 {
		if now.Sub(k[i+1].createdAt) > settleFor+lifetime+overlap {
			ids = append(ids, k[i].id)
		}
	}
	return ids
}
