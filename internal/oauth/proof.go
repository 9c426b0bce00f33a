package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// proof is what a token was issued for: the client's secret and, with the password
// grant, the user's password. The token is good as long as both are.
type proof struct {
	client, user     string // user is "" without the password grant
	secret, password digest
}

// id stands for the proof in a token. It is made with the key that signs the token:
// whoever sees the token learns nothing about a secret, not even by guessing. The key
// keeps it: only what has passed is asked for, so there are few.
func (p proof) id(key *signingKey) string {
	if known, ok := key.proofs.Load(p); ok {
		return known.(string)
	}
	mac := hmac.New(sha256.New, key.private.Seed())
	for _, part := range [][]byte{[]byte("grant_id"), []byte(p.client), p.secret[:], []byte(p.user), p.password[:]} {
		mac.Write(binary.AppendUvarint(nil, uint64(len(part))))
		mac.Write(part)
	}
	id := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
	key.proofs.Store(p, id)
	return id
}

// holds says whether the secrets of a proof are still valid.
func (s *Server) holds(p proof) bool {
	client := s.shared.Load().clients[p.client]
	if client == nil || !client.holds(p.secret) {
		return false
	}
	return p.user == "" || s.users[p.user] != nil && s.users[p.user].holds(p.password)
}

// findProof finds the proof of a token among the secrets that are valid now.
func (s *Server) findProof(c *claims, key *signingKey) (proof, bool) {
	client := s.shared.Load().clients[c.ClientID]
	if client == nil {
		return proof{}, false
	}
	found := proof{client: c.ClientID}
	passwords := []digest{{}}
	if c.Subject != c.ClientID {
		user := s.users[c.Subject]
		if user == nil {
			return proof{}, false
		}
		found.user, passwords = c.Subject, user.digests
	}
	for _, found.secret = range client.digests {
		for _, found.password = range passwords {
			if hmac.Equal([]byte(found.id(key)), []byte(c.GrantID)) {
				return found, true
			}
		}
	}
	return proof{}, false
}
