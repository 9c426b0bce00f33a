// Package oauth is the authorization server that Marketing Cloud's Event
// Notification Service asks for its access tokens, and the check of the tokens
// it issued (RFC 6749, RFC 9068; vendor page "Use OAuth2 Authentication with
// Event Notification Service").
//
// Use New, mount Routes, run Run beside it, and give Check the Authorization
// header of each call. Tokens are signed JWTs: nothing is stored for them,
// every node that shares the Keeper can check them, and any number are alive at
// once. Nothing on the way of a token request touches the database.
//
// It knows two grants, client_credentials and password, and nothing else of
// OAuth2: no authorization endpoint, no refresh tokens, no revocation endpoint. A
// token is valid until it expires, and only as long as the secret is that it was
// issued for: to retire a secret, or to remove a client, revokes its tokens.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Config says for whom tokens are made, and how long they and the keys last. A
// zero value means the default, where there is one.
type Config struct {
	Issuer      string               // base URL, of tokens and metadata alike; required
	Lifetime    time.Duration        // of a token, at least a second; 20m
	RotateAfter time.Duration        // age at which a signing key gets its successor; 30 days
	Clients     []onramp.TokenClient // of the configuration; they win over kept ones of the same id
	Users       []onramp.TokenUser
	Scopes      []string // what a token may be for, in the order in which answers list them; "ens"
	Now         func() time.Time
	Log         *slog.Logger
}

// Keeper keeps what all nodes share: the signing keys, and the clients that operators
// have added.
type Keeper interface {
	ListSigningKeys(ctx context.Context) ([]onramp.SigningKey, error)
	SaveSigningKey(ctx context.Context, key onramp.SigningKey) error
	DeleteSigningKey(ctx context.Context, id string) error
	ListTokenClients(ctx context.Context) ([]onramp.TokenClient, error)
}

const (
	tendEvery   = time.Minute     // how often keys and clients are read again
	reloadEvery = 5 * time.Second // how often at most, when a request asks for what isn't known
	reloadFor   = 2 * time.Second // longest time for that
)

// Server issues access tokens and checks them.
type Server struct {
	cfg  Config
	keep Keeper

	shared  atomic.Pointer[shared]
	users   map[string]*account
	nobody  *account // stands for unknown callers, so that refusing them takes as long
	tries   *tries
	checked *checkedTokens
	parser  *jwt.Parser

	loading  sync.Mutex // held while the keeper is read, so that an older reading can't replace a newer one
	loadedAt time.Time  // of the last attempt; under loading
	missed   chan struct{}

	issued, refused, limited atomic.Uint64
}

// shared is what the keeper had when it was last read.
type shared struct {
	keys    keyring
	clients map[string]*account
}

// New reads the keys and clients, and makes the first key when there is none.
func New(ctx context.Context, cfg Config, keep Keeper) (*Server, error) {
	cfg = withDefaults(cfg)
	if cfg.Issuer == "" {
		return nil, errors.New("the issuer of tokens is missing")
	}
	if cfg.Lifetime < time.Second {
		return nil, errors.New("the token lifetime must be at least one second")
	}
	for _, name := range cfg.Scopes {
		if !isScopeToken(name) {
			return nil, errors.New("a scope name can contain only printable ASCII characters, without space, quote and backslash")
		}
	}
	s := &Server{
		cfg: cfg, keep: keep,
		users: usersOf(cfg.Users), nobody: newNobody(),
		tries: newTries(), checked: newCheckedTokens(), missed: make(chan struct{}, 1),
	}
	s.parser = newParser(cfg.Issuer, cfg.Now)
	s.warnOfShortSecrets(ctx)
	return s, s.tend(ctx)
}

func withDefaults(cfg Config) Config {
	cfg.Issuer = strings.TrimRight(cfg.Issuer, "/")
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 20 * time.Minute
	}
	if cfg.RotateAfter == 0 {
		cfg.RotateAfter = 30 * 24 * time.Hour
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"ens"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func (s *Server) warnOfShortSecrets(ctx context.Context) {
	if strings.HasPrefix(s.cfg.Issuer, "http://") {
		return // Marketing Cloud never calls that: it is a trial
	}
	for _, c := range s.cfg.Clients {
		if newAccount(c.ID, c.Secrets).guessable {
			s.cfg.Log.WarnContext(ctx, "a client secret is short enough to be guessed", "client", c.ID)
		}
	}
}

// Routes mounts the token endpoint and the metadata. Other methods are for
// web.Server.Unmatched to answer.
func (s *Server) Routes(mux *http.ServeMux, server *web.Server) {
	mux.Handle("POST "+onramp.TokenPath, server.Handle(s.token))
	mux.Handle("GET /.well-known/oauth-authorization-server", server.Handle(s.metadata))
}

// Run replaces signing keys in time, and reads keys and clients again every
// minute, or shortly after an unknown client came. It blocks until ctx
// ends.
func (s *Server) Run(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err = s.tend(ctx)
		case <-s.missed:
			err = s.reloadSoon(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "token keys and clients could not be refreshed", "err", err)
		}
	}
}

// Reload reads keys and clients from the keeper, as after a client was added.
func (s *Server) Reload(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.load(ctx)
}

// reloadSoon reloads unless that was done in the last few seconds, as by those
// who were waiting for their turn, too. The reading doesn't depend on the
// caller's context: a caller that hangs up must not keep the others from new data.
func (s *Server) reloadSoon(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.cfg.Now().Sub(s.loadedAt) < reloadEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadFor)
	defer cancel()
	return s.load(ctx)
}

// load reads the keeper; loading is held. What was read before stays in force
// when it fails.
func (s *Server) load(ctx context.Context) error {
	s.loadedAt = s.cfg.Now()
	keys, err := s.keep.ListSigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("list signing keys: %w", err)
	}
	ring, err := newKeyring(keys)
	if err != nil {
		return err
	}
	kept, err := s.keep.ListTokenClients(ctx)
	if err != nil {
		return fmt.Errorf("list token clients: %w", err)
	}
	s.shared.Store(&shared{ring, clientsOf(kept, s.cfg.Clients)})
	return nil
}

// tend reads the keeper, makes a key when the newest is old or there is none,
// and deletes those whose tokens have all expired. Two nodes may make a key at
// the same time; each is then used for a while, which does no harm.
func (s *Server) tend(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	now := s.cfg.Now()
	ring := s.shared.Load().keys
	changed := false
	if ring.isDue(now, s.cfg.RotateAfter) {
		if err := s.keep.SaveSigningKey(ctx, newSigningKey(now)); err != nil {
			return fmt.Errorf("save signing key: %w", err)
		}
		changed = true
	}
	for _, id := range ring.outlived(now, s.cfg.Lifetime) {
		if err := s.keep.DeleteSigningKey(ctx, id); err != nil {
			return fmt.Errorf("delete signing key: %w", err)
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return s.load(ctx) // also what another node has saved meanwhile
}

// noteMiss asks Run to read the keeper again: the client or secret may be new.
func (s *Server) noteMiss() {
	select {
	case s.missed <- struct{}{}:
	default: // it is asked already
	}
}

// Counts are of this node, since its start.
type Counts struct {
	Issued  uint64 // tokens
	Refused uint64 // token requests, those below included
	Limited uint64 // token requests after too many failed tries
}

// Counts counts the token requests by what became of them.
func (s *Server) Counts() Counts {
	return Counts{s.issued.Load(), s.refused.Load(), s.limited.Load()}
}
