package sfmc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// storeTimeout bounds each call of a TokenStore, so that a store that
	// hangs does not hold up the callers who wait for the token.
	storeTimeout = 5 * time.Second
	// reissuePause is how soon a token value can be dropped a second time: it
	// matters when the auth service gives out the same refused token again.
	reissuePause = time.Minute
	// maxPauseDoublings lets the pause after failures grow to 8 times: 1, 2,
	// 4, 8 s by default.
	maxPauseDoublings = 3
	// maxToldPause bounds what a Retry-After can add to the pause.
	maxToldPause = 5 * time.Minute
)

// TokenStore keeps one token across restarts of the program. A method must
// return when ctx ends; a [TokenCache] gives it 5 s. The two are never called at
// the same time by one cache.
type TokenStore interface {
	// LoadToken gives the token that was saved last, or nil and no error if
	// there is none.
	LoadToken(ctx context.Context) (*Token, error)
	// SaveToken replaces the saved token. See [Token.Encode].
	SaveToken(ctx context.Context, t *Token) error
}

// TokenCache is a [TokenSource] that keeps the token of another one.
//
// While the token is valid, Token returns at once; shortly before its end
// ([WithRefreshAhead]) the first caller sets off a renewal in the background.
// Only when there is no valid token do callers wait, all of them for one and the
// same request. That request does not end with the context of the caller who
// happened to start it, but after a separate time limit ([WithRequestTimeout]).
// After a failure there is a pause ([WithFailurePause]) in which callers get the
// same error and no request is made.
//
// It is safe for concurrent use. It has no Close: its one goroutine at a time
// ends with the request, at the latest after the time limits.
type TokenCache struct {
	src          TokenSource
	store        TokenStore // nil: none
	onStoreError func(error)
	ahead        time.Duration
	timeout      time.Duration
	pause        time.Duration

	mu          sync.Mutex
	loaded      bool      // the store was asked; that is done once
	token       held      // nil: none
	renewAt     time.Time // when to renew token; zero: never
	flight      *flight   // the request under way; nil: none
	failure     error     // of the last request; nil: it was good
	failures    int       // in a row
	pausedUntil time.Time
	dropped     held // the token that was invalidated last
	droppedAt   time.Time
}

// flight is one request, shared. tok and err are set before done is closed.
type flight struct {
	done chan struct{}
	tok  held // nil if err is not
	err  error
}

// held gives a copy of a token. It is a function because fmt, which does not call
// Secret's methods in unexported fields, would follow a pointer: of a function it
// prints only the address.
type held func() *Token

func hold(t *Token) held {
	kept := *t
	return func() *Token {
		t := kept
		return &t
	}
}

// CacheOption is a setting of a [TokenCache].
type CacheOption func(*TokenCache)

// WithTokenStore loads the token from s at the first use, and saves each new one
// to it before it is handed out, so that not even a program that ends at once
// loses it. A loaded token is passed over if it has expired, or if the source
// has a method IssuedFor() string, as a [TokenRequester] has, and it was issued
// for something else. Errors of the store fail no call; see [OnStoreError].
func WithTokenStore(s TokenStore) CacheOption {
	return func(c *TokenCache) { c.store = s }
}

// OnStoreError sets a function that gets each error of the token store;
// without one they are dropped. It must return soon: callers may be waiting.
func OnStoreError(f func(error)) CacheOption {
	return func(c *TokenCache) {
		if f != nil {
			c.onStoreError = f
		}
	}
}

// WithRefreshAhead sets how long before its expiry a token is renewed: 1 minute
// by default. It is never more than a fifth of the life that the token has left
// when it arrives. Zero or less means that it is renewed only when it has expired.
// Marketing Cloud's expires_in is itself two minutes short of the real end.
func WithRefreshAhead(d time.Duration) CacheOption {
	return func(c *TokenCache) { c.ahead = d }
}

// WithRequestTimeout sets how long a request of the source may take, for
// all callers: 30 s by default, and if d is not positive.
func WithRequestTimeout(d time.Duration) CacheOption {
	return func(c *TokenCache) {
		if d > 0 {
			c.timeout = d
		}
	}
}

// WithFailurePause sets for how long no request is made after one has failed: 1 s
// by default. It doubles with each failure in a row, up to eightfold, and lasts at
// least as long as the answer's Retry-After, up to 5 minutes. Zero or less means
// no pause but that one. A request that failed by cancellation is followed by none.
func WithFailurePause(d time.Duration) CacheOption {
	return func(c *TokenCache) { c.pause = max(d, 0) }
}

// NewTokenCache makes a cache before src. It makes no request.
func NewTokenCache(src TokenSource, opts ...CacheOption) *TokenCache {
	c := &TokenCache{
		src:          src,
		onStoreError: func(error) {},
		ahead:        time.Minute,
		timeout:      30 * time.Second,
		pause:        time.Second,
	}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// Token gives a valid token. It fails with the error of the source, the same one
// for all who waited for that request, or with ctx's error as soon as ctx ends,
// which leaves the request under way for the others. The token is a copy.
func (c *TokenCache) Token(ctx context.Context) (*Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("wait for token: %w", err)
	}
	tok, f, err := c.current(ctx)
	if f == nil {
		return tok, err
	}
	select {
	case <-f.done:
		if f.err != nil {
			return nil, f.err
		}
		return f.tok(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for token: %w", ctx.Err())
	}
}

// Invalidate drops the token if it is the one with this access token: the next
// Token gets another from the source. Calls with a value that is no longer the
// cached one do nothing, so that of many 401s for a revoked token only the first
// counts. Should the source give out the same value again, it can be dropped
// again only after a minute.
func (c *TokenCache) Invalidate(accessToken string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == nil || c.token().AccessToken.Reveal() != accessToken {
		return
	}
	now := time.Now()
	if c.dropped != nil && c.dropped().AccessToken.Reveal() == accessToken && now.Sub(c.droppedAt) < reissuePause {
		return
	}
	c.dropped, c.droppedAt = c.token, now
	c.token = nil
}

// current gives the token, or the failure that is still fresh, or the flight to
// wait for; a request is started if one is due.
func (c *TokenCache) current(ctx context.Context) (*Token, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	paused := now.Before(c.pausedUntil)
	if c.token != nil {
		tok := c.token()
		if tok.ExpiresAt.IsZero() || now.Before(tok.ExpiresAt) {
			if !c.renewAt.IsZero() && !now.Before(c.renewAt) && c.flight == nil && !paused {
				c.start(ctx)
			}
			return tok, nil, nil
		}
	}
	if c.flight == nil && paused {
		return nil, nil, c.failure
	}
	if c.flight == nil {
		c.start(ctx)
	}
	return nil, c.flight, nil
}

// start begins a flight on a context that keeps ctx's values but not its end.
// c.mu is held.
func (c *TokenCache) start(ctx context.Context) {
	f := &flight{done: make(chan struct{}), err: errors.New("token source ended without an answer")}
	c.flight = f
	load := !c.loaded && c.store != nil
	c.loaded = true
	go c.fly(context.WithoutCancel(ctx), f, load)
}

func (c *TokenCache) fly(ctx context.Context, f *flight, load bool) {
	// Deferred, so that callers are released even if the source ends the
	// goroutine.
	defer c.land(f)
	if load {
		if tok := c.load(ctx); tok != nil {
			f.tok, f.err = hold(tok), nil
			return
		}
	}
	tok, err := c.request(ctx)
	if err != nil {
		f.err = err
		return
	}
	kept := hold(tok)
	if c.store != nil {
		c.save(ctx, kept())
	}
	f.tok, f.err = kept, nil
}

func (c *TokenCache) request(ctx context.Context) (*Token, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	tok, err := c.src.Token(ctx)
	if err != nil {
		return nil, err
	}
	if tok == nil || tok.AccessToken == "" {
		return nil, errors.New("token source gave no token")
	}
	return tok, nil
}

// land makes the outcome of a flight the cache's, and releases its callers.
func (c *TokenCache) land(f *flight) {
	defer close(f.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	now := time.Now()
	if f.err == nil {
		c.token, c.renewAt = f.tok, c.renewal(f.tok(), now)
		c.failure, c.failures, c.pausedUntil = nil, 0, time.Time{}
		return
	}
	if errors.Is(f.err, context.Canceled) {
		return
	}
	pause := c.pause << min(c.failures, maxPauseDoublings)
	if e, ok := errors.AsType[*Error](f.err); ok {
		pause = max(pause, min(e.RetryAfter, maxToldPause))
	}
	c.failure, c.pausedUntil = f.err, now.Add(pause)
	c.failures++
}

// renewal is when to renew a token that is there since now. A share of its life
// bounds the time ahead, or a token that lives shorter than that would be renewed
// with every call.
func (c *TokenCache) renewal(t *Token, now time.Time) time.Time {
	if t.ExpiresAt.IsZero() {
		return time.Time{}
	}
	return t.ExpiresAt.Add(-max(0, min(c.ahead, t.ExpiresAt.Sub(now)/5)))
}

// load gives the stored token if it can be used.
func (c *TokenCache) load(ctx context.Context) *Token {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tok, err := c.store.LoadToken(ctx)
	if err != nil {
		c.onStoreError(fmt.Errorf("load token: %w", err))
		return nil
	}
	if tok == nil || tok.AccessToken == "" || !time.Now().Before(tok.ExpiresAt) {
		return nil
	}
	if tok.AccessToken == redacted {
		c.onStoreError(errors.New("load token: it was stored as its JSON form for logs; use Token.Encode"))
		return nil
	}
	if src, ok := c.src.(interface{ IssuedFor() string }); ok && src.IssuedFor() != tok.IssuedFor {
		return nil
	}
	return tok
}

func (c *TokenCache) save(ctx context.Context, tok *Token) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := c.store.SaveToken(ctx, tok); err != nil {
		c.onStoreError(fmt.Errorf("save token: %w", err))
	}
}
