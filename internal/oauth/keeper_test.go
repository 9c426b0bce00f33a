package oauth_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// keeper is the store that nodes share.
type keeper struct {
	mu      sync.Mutex
	keys    []onramp.SigningKey
	clients []onramp.TokenClient
	lists   int   // how often keys were listed
	err     error // what every call fails with
}

func (k *keeper) ListSigningKeys(ctx context.Context) ([]onramp.SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lists++
	return slices.Clone(k.keys), errors.Join(k.err, ctx.Err())
}

func (k *keeper) SaveSigningKey(_ context.Context, key onramp.SigningKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, key)
	return k.err
}

func (k *keeper) DeleteSigningKey(_ context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = slices.DeleteFunc(k.keys, func(key onramp.SigningKey) bool { return key.ID == id })
	return k.err
}

func (k *keeper) ListTokenClients(context.Context) ([]onramp.TokenClient, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.clients), k.err
}

// change does something to the store while nodes may be reading it.
func (k *keeper) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// ids lists the keys that are kept.
func (k *keeper) ids() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ids []string
	for _, key := range k.keys {
		ids = append(ids, key.ID)
	}
	return ids
}

const (
	longSecret  = "uEsPl2bq3WmT0rZxKcV81yHa"
	otherSecret = "7dQnGf9LkXs4Yw5JoBvRt6Ce"
	plainForm   = "grant_type=client_credentials"
	issuer      = "https://signup.example.com"
)

// node is one Onramp with its token endpoint.
type node struct {
	server *oauth.Server
	http   http.Handler
	log    *strings.Builder // lines of the requests, and what the server says itself
}

// newNode makes a node with the clients mc, which has two secrets, and weak, and
// the user jane, unless the configuration has its own.
func newNode(t testing.TB, cfg oauth.Config, k oauth.Keeper) *node {
	t.Helper()
	var log strings.Builder
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	}
	cfg.Issuer = cmp.Or(cfg.Issuer, issuer)
	if cfg.Clients == nil {
		cfg.Clients = []onramp.TokenClient{
			{ID: "mc", Secrets: []onramp.Secret{longSecret, otherSecret}},
			{ID: "weak", Secrets: []onramp.Secret{"s3cret"}},
			{ID: "mü:1", Secrets: []onramp.Secret{"пароль+%zz & more than twenty"}},
			{ID: "none", Secrets: []onramp.Secret{""}},
			{ID: "off"},
		}
	}
	if cfg.Users == nil {
		cfg.Users = []onramp.TokenUser{{Name: "jane", Passwords: []onramp.Secret{"pässword 1", "pässword 2"}}, {Name: "joe", Passwords: []onramp.Secret{"joe's"}}}
	}
	server, err := oauth.New(t.Context(), cfg, k)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	plumbing := &web.Server{Log: cfg.Log, Part: "public"}
	server.Routes(mux, plumbing)
	plumbing.Unmatched(mux)
	return &node{server, web.ClientIP(nil, "")(mux), &log}
}

// ask is a token request as its sender writes it.
type ask struct {
	basic  string // id:secret, as in the header before base64
	header http.Header
	query  string
	body   string
	from   string // address
}

func (a ask) request() *http.Request {
	r := httptest.NewRequest("POST", "/oauth2/token?"+a.query, strings.NewReader(a.body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.basic != "" {
		id, secret, _ := strings.Cut(a.basic, ":")
		r.SetBasicAuth(id, secret)
	}
	for name, values := range a.header {
		r.Header[name] = values
	}
	if a.from != "" {
		r.RemoteAddr = a.from
	}
	return r
}

func (n *node) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	n.http.ServeHTTP(w, r)
	return w
}

// mustToken gets a token for the client mc.
func (n *node) mustToken(t testing.TB) string {
	t.Helper()
	return tokenIn(t, n.send(ask{basic: "mc:" + longSecret, body: plainForm}.request()))
}

func tokenIn(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		t.Fatalf("no token: %d %s", w.Code, w.Body)
	}
	return body.AccessToken
}
