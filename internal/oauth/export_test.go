package oauth

import (
	"crypto/ed25519"

	"onramp/internal/onramp"
)

// GrantID is the claim of a token that a key has signed for a client and, unless it
// is "", a user.
func GrantID(key onramp.SigningKey, client, secret, user, password string) string {
	by := proof{client: client, user: user, secret: digestOf(secret)}
	if user != "" {
		by.password = digestOf(password)
	}
	return by.id(&signingKey{private: ed25519.NewKeyFromSeed(key.Seed)})
}
