package outbound

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"onramp/sfmc"
)

// TokenState is how it stands with the access token.
type TokenState struct {
	Since     time.Time // when it came, or was found in the store; zero: there is none
	ExpiresAt time.Time // zero: not known
	FailedAt  time.Time // when the last request for one failed; zero: it did not
	Reason    string    // why it failed
	Hint      string    // what an operator can do about it
}

// watchedTokens notes how the requests for tokens go.
type watchedTokens struct {
	*sfmc.TokenRequester
	mu    sync.Mutex
	state TokenState
}

// Token makes a request for a token.
func (w *watchedTokens) Token(ctx context.Context) (*sfmc.Token, error) {
	token, err := w.TokenRequester.Token(ctx)
	if err != nil {
		o := judgeToken(err)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.state.FailedAt, w.state.Reason, w.state.Hint = time.Now(), o.Detail, o.Hint
		return nil, err
	}
	w.have(token)
	return token, nil
}

// have notes a token that can be used.
func (w *watchedTokens) have(token *sfmc.Token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = TokenState{Since: time.Now(), ExpiresAt: token.ExpiresAt}
}

// Token tells how it stands with the access token.
func (s *Sender) Token() TokenState {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return s.tokens.state
}

// AccessToken gives the token that calls use, or gets one; the error is that of the
// request for it.
func (s *Sender) AccessToken(ctx context.Context) (*sfmc.Token, error) {
	return s.renewal.tokens.Token(ctx)
}

// Clock tells how far the vendor's clock is ahead of ours, or behind when that is
// below zero, and when they were compared; the zero time when they were not.
func (s *Sender) Clock() (ahead time.Duration, at time.Time) {
	if n := s.clock.compared.Load(); n != 0 {
		at = time.Unix(0, n)
	}
	return time.Duration(s.clock.ahead.Load()), at
}

const (
	compareEvery = 10 * time.Second // the clocks
	quickEnough  = 10 * time.Second // for an answer to be compared
)

// clock compares the vendor's clock with ours, by the header Date of answers.
type clock struct {
	base     http.RoundTripper
	compared atomic.Int64 // when, in nanoseconds of the epoch
	ahead    atomic.Int64 // nanoseconds
}

// RoundTrip makes a request.
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	answer, err := c.base.RoundTrip(r)
	if err == nil && begun.UnixNano()-c.compared.Load() > int64(compareEvery) {
		c.compare(answer.Header.Get("Date"), begun)
	}
	return answer, err
}

// compare takes the middle of a call for the time at which it was answered, and of
// the second that the header names.
func (c *clock) compare(date string, begun time.Time) {
	theirs, err := http.ParseTime(date)
	took := time.Since(begun)
	if err != nil || took > quickEnough {
		return
	}
	ours := begun.Add(took / 2).Round(0) // without the monotonic reading: it is about the wall clock
	c.ahead.Store(int64(theirs.Add(time.Second / 2).Sub(ours)))
	c.compared.Store(ours.UnixNano())
}
