package app_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/ens"
	"onramp/internal/keyset"
	"onramp/internal/oauth"
	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/web"
	"onramp/sfmc"
)

const (
	forgedBatch = `[{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1700000000000,"info":{"subscriberKey":"ana"}}]`
	signingKey  = "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M="
)

// gate is a token endpoint, a receiver and a store as the gateway puts them
// together, with a clock that can be turned.
type gate struct {
	mux      *http.ServeMux
	store    *store.Store
	receiver *ens.Receiver

	mu sync.Mutex
	at time.Time
}

func (g *gate) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

func newGate(t *testing.T) *gate {
	t.Helper()
	text, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "onramp.db"), Cipher: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.RegisterCallbacks(t.Context(), []string{"events"}); err != nil {
		t.Fatal(err)
	}
	record := onramp.CallbackRecord{Name: "events", SignatureKeys: []onramp.Secret{signingKey}}
	if err := s.SaveCallbackRecord(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	g := &gate{mux: http.NewServeMux(), store: s, at: time.Now()}
	log := slog.New(slog.DiscardHandler)
	tokens, err := oauth.New(t.Context(), oauth.Config{
		Issuer: "https://onramp.example", Clients: []onramp.TokenClient{{ID: "mc", Secrets: []onramp.Secret{"a-secret-of-the-client"}}}, Now: g.now, Log: log,
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	g.receiver = ens.NewReceiver(ens.ReceiverConfig{
		Callbacks: []onramp.Callback{{Name: "events", Client: "mc"}}, Events: s, Records: s, Tokens: tokens, Reason: oauth.Reason, Log: log,
	})
	if err := g.receiver.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := &web.Server{Log: log}
	tokens.Routes(g.mux, server)
	g.receiver.Routes(g.mux, server)
	return g
}

func (g *gate) call(path, contentType, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	g.mux.ServeHTTP(w, r)
	return w
}

func (g *gate) token(t *testing.T) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"mc"}, "client_secret": {"a-secret-of-the-client"}}
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(g.call("/oauth2/token", "application/x-www-form-urlencoded", form.Encode(), nil).Body.Bytes(), &granted); err != nil {
		t.Fatal(err)
	}
	return granted.AccessToken
}

// resign signs a token's claims again.
func resign(t *testing.T, token string, method jwt.SigningMethod, key any) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	forged := jwt.NewWithClaims(method, parsed.Claims)
	forged.Header["typ"], forged.Header["kid"] = parsed.Header["typ"], parsed.Header["kid"]
	text, err := forged.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is forged is refused and counted, and nothing of it is stored; what is
// right is taken all the same.
func TestForgedEvents(t *testing.T) {
	t.Parallel()
	signature := sfmc.SignEvents(signingKey, []byte(forgedBatch))
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		signature, body string
		forge           func(t *testing.T, g *gate, token string) string
		status          int
		refused         map[onramp.Refusal]int64
	}{
		"right":            {signature: signature, status: 200},
		"forged signature": {signature: sfmc.SignEvents("AAAA", []byte(forgedBatch)), status: 403, refused: map[onramp.Refusal]int64{"wrong signature": 1}},
		"one byte changed": {signature: signature, body: strings.Replace(forgedBatch, "ana", "anb", 1), status: 403, refused: map[onramp.Refusal]int64{"wrong signature": 1}},
		"an old token, replayed": {signature: signature, status: 401, refused: map[onramp.Refusal]int64{"token: expired": 1}, forge: func(t *testing.T, g *gate, token string) string {
			if w := g.call("/ens/events", "application/json", "[]", http.Header{"Authorization": {"Bearer " + token}}); w.Code != 200 {
				t.Errorf("while it was new it was answered %d", w.Code)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			g.at = g.at.Add(21 * time.Minute)
			return token
		}},
		"the token of another key": {signature: signature, status: 401, refused: map[onramp.Refusal]int64{"token: signature": 1}, forge: func(t *testing.T, _ *gate, token string) string {
			return resign(t, token, jwt.SigningMethodEdDSA, stranger)
		}},
		"alg none": {signature: signature, status: 401, refused: map[onramp.Refusal]int64{"token: algorithm": 1}, forge: func(t *testing.T, _ *gate, token string) string {
			return resign(t, token, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
		}},
		"no token": {signature: signature, status: 401, refused: map[onramp.Refusal]int64{"token: missing": 1}, forge: func(*testing.T, *gate, string) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			token := g.token(t)
			if row.forge != nil {
				token = row.forge(t, g, token)
			}
			header := http.Header{"X-Sfmc-Ens-Signature": {row.signature}}
			if token != "" {
				header.Set("Authorization", "Bearer "+token)
			}
			body := row.body
			if body == "" {
				body = forgedBatch
			}
			w := g.call("/ens/events", "application/json", body, header)
			stored, want := g.store.Count().Events["events"], int64(0)
			if row.status == 200 {
				want = 1
			}
			if w.Code != row.status || stored != want {
				t.Errorf("answered %d, and %d are stored: %s", w.Code, stored, w.Body)
			}
			if diff := cmp.Diff(row.refused, g.receiver.Refusals("events")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
