package oauth_test

import (
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

const benchSecret = "a-secret-that-is-too-long-to-be-guessed"

// post sends token requests to a handler, one after the other.
func post(b *testing.B, h http.Handler) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("mc", benchSecret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	s, err := oauth.New(b.Context(), oauth.Config{
		Issuer: issuer, Clients: []onramp.TokenClient{{ID: "mc", Secrets: []onramp.Secret{benchSecret}}},
	}, &keeper{})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Routes(mux, &web.Server{Log: slog.New(slog.DiscardHandler), Part: "public"})
	post(b, mux)
}

// BenchmarkBareToken is what BenchmarkToken is measured by: a handler that signs
// the same JWT and checks nothing.
func BenchmarkBareToken(b *testing.B) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": issuer, "sub": "mc", "aud": "onramp-ens", "client_id": "mc", "scope": "ens",
			"iat": now.Unix(), "exp": now.Add(20 * time.Minute).Unix(), "jti": "MFRGGZDFMZTWQ2LKNNWG23TPOA",
		})
		token.Header["typ"], token.Header["kid"] = "at+jwt", "0198c0de-0000-7000-8000-000000000000"
		signed, err := token.SignedString(private)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": signed, "token_type": "Bearer", "expires_in": 1200, "scope": "ens"})
	})
	post(b, mux)
}

// BenchmarkCheck is what ENS costs us with every batch.
func BenchmarkCheck(b *testing.B) {
	n := newNode(b, oauth.Config{}, &keeper{})
	header := "Bearer " + n.mustToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.server.Check(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
}
