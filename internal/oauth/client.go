package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"

	"onramp/internal/onramp"
)

// unguessable is the length from which a secret counts as too long to be
// guessed: 20 random letters and digits are more than 100 bits.
const unguessable = 20

// digest stands for a secret.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// account is a client or a user with the digests of its valid secrets. SHA-256
// will do for random secrets; a slow password hash would use up the two seconds
// that Marketing Cloud waits.
type account struct {
	id        string
	digests   []digest
	guessable bool // one of the secrets is short
}

// newAccount leaves empty secrets out: they would let in callers that send none.
func newAccount(id string, secrets []onramp.Secret) *account {
	a := &account{id: id}
	for _, s := range secrets {
		if s == "" {
			continue
		}
		a.digests = append(a.digests, digestOf(s.Reveal()))
		a.guessable = a.guessable || len(s) < unguessable
	}
	return a
}

// newNobody makes an account that no secret opens.
func newNobody() *account {
	a := newAccount("", []onramp.Secret{onramp.Secret(rand.Text()), onramp.Secret(rand.Text())})
	a.guessable = true
	return a
}

// has says whether the secret is one of the account's. How long it takes says
// nothing about the secrets.
func (a *account) holds(d digest) bool {
	found := 0
	for i := range a.digests {
		found |= subtle.ConstantTimeCompare(d[:], a.digests[i][:])
	}
	return found == 1
}

// clientsOf makes accounts of the kept clients and those of the configuration,
// which win.
func clientsOf(kept, configured []onramp.TokenClient) map[string]*account {
	clients := make(map[string]*account, len(kept)+len(configured))
	for _, from := range [][]onramp.TokenClient{kept, configured} {
		for _, c := range from {
			clients[c.ID] = newAccount(c.ID, c.Secrets)
		}
	}
	return clients
}

func usersOf(configured []onramp.TokenUser) map[string]*account {
	users := make(map[string]*account, len(configured))
	for _, u := range configured {
		users[u.Name] = newAccount(u.Name, u.Passwords)
	}
	return users
}
