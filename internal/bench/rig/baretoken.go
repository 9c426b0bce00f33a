package rig

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// accessClaims are those of Onramp's tokens (RFC 9068, 2.2).
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope,omitempty"`
}

const (
	bareKeyID    = "019a4c1e-7b52-7d03-9c41-5f2a8be06d17"
	bareLifetime = 20 * time.Minute
)

// newBareToken makes the handler that the token endpoint is compared with: it looks
// at nothing, and answers with a JWT that has the header, the claims and the length
// of Onramp's, signed by the same library.
func newBareToken(issuer string) (http.Handler, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "body not readable", http.StatusBadRequest)
			return
		}
		now := time.Now().Truncate(time.Second)
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, accessClaims{
			RegisteredClaims: jwt.RegisteredClaims{
				Issuer: issuer, Subject: tokenClient, Audience: jwt.ClaimStrings{"onramp-ens"},
				IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(bareLifetime)), ID: rand.Text(),
			},
			ClientID: tokenClient, Scope: "ens",
		})
		token.Header["typ"], token.Header["kid"] = "at+jwt", bareKeyID
		signed, err := token.SignedString(private)
		if err != nil {
			http.Error(w, "not signed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// A client that has gone needs no answer, and nobody waits for the error.
		_ = json.NewEncoder(w).Encode(struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
			ExpiresIn   int64  `json:"expires_in"`
			Scope       string `json:"scope"`
		}{signed, "Bearer", int64(bareLifetime.Seconds()), "ens"})
	}), nil
}
