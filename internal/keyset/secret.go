package keyset

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"onramp/internal/onramp"
)

// secretSize is the number of random bytes in a secret: nobody guesses 256
// bits.
const secretSize = 32

// NewSecret makes a secret for tokens, passwords and OAuth2 clients: 43
// characters of A-Z, a-z, 0-9, _ and -, which no header, form, URL or shell
// changes.
func NewSecret() onramp.Secret {
	return onramp.Secret(base64.RawURLEncoding.EncodeToString(randomBytes()))
}

// NewClientID makes the id of an OAuth2 client: onramp- and 16 random lower-case
// letters and digits, which no form, YAML or shell changes.
func NewClientID() string { return "onramp-" + strings.ToLower(rand.Text()[:16]) }

// NewWebhookSecret makes a secret that signs webhooks: whsec_ and base64, as
// Standard Webhooks has it (https://www.standardwebhooks.com, "Symmetric").
func NewWebhookSecret() onramp.Secret {
	return onramp.Secret("whsec_" + base64.StdEncoding.EncodeToString(randomBytes()))
}

func randomBytes() []byte {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // it never fails: since Go 1.24 it ends the program instead
	return b
}
