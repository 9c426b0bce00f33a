package oauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onramp/internal/onramp"
)

const (
	tokenType = "at+jwt"     // RFC 9068, 2.1
	audience  = "onramp-ens" // the callbacks are all that tokens are for
)

// claims are those of RFC 9068, 2.2. The subject is the user with the password
// grant, else the client.
type claims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope,omitempty"`
	GrantID  string `json:"grant_id,omitempty"` // of the proof, see there
}

// sign makes an access token.
func (s *Server) sign(b onramp.Bearer, by proof) (string, error) {
	now := s.cfg.Now().Truncate(time.Second)
	key := s.shared.Load().keys.signer(now)
	if key == nil {
		return "", errors.New("sign access token: there is no key")
	}
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.cfg.Issuer, Subject: b.Client, Audience: jwt.ClaimStrings{audience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.cfg.Lifetime)),
			ID: rand.Text(),
		},
		ClientID: b.Client, Scope: b.Scope, GrantID: by.id(key),
	}
	if b.User != "" {
		c.Subject = b.User
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	token.Header["typ"], token.Header["kid"] = tokenType, key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}
