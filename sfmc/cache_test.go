package sfmc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// issuer is a TokenSource in a synctest bubble: it takes a second for each token,
// unless told otherwise, and gives out t1, t2, … which live for 1079 s.
type issuer struct {
	takes time.Duration                              // for each request
	issue func(n int) (string, time.Duration, error) // the nth token, its life; nil: t<n>
	begun time.Time

	mu    sync.Mutex
	calls []time.Duration // when they came, since begun
}

func newIssuer() *issuer { return &issuer{begun: time.Now(), takes: time.Second} }

func (i *issuer) Token(ctx context.Context) (*sfmc.Token, error) {
	i.mu.Lock()
	i.calls = append(i.calls, time.Since(i.begun))
	n := len(i.calls)
	i.mu.Unlock()
	select {
	case <-time.After(i.takes):
	case <-ctx.Done():
		return nil, fmt.Errorf("issuer: %w", ctx.Err())
	}
	value, life, err := "t"+strconv.Itoa(n), 1079*time.Second, error(nil)
	if i.issue != nil {
		value, life, err = i.issue(n)
	}
	if err != nil {
		return nil, err
	}
	return &sfmc.Token{AccessToken: sfmc.Secret(value), ExpiresAt: time.Now().Add(life)}, nil
}

func (i *issuer) wantCalls(t *testing.T, want ...time.Duration) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if diff := cmp.Diff(want, i.calls); diff != "" {
		t.Errorf("token requests at (-want +got):\n%s", diff)
	}
}

// wantToken checks what a cache gives now.
func wantToken(t *testing.T, c *sfmc.TokenCache, want string) {
	t.Helper()
	tok, err := c.Token(t.Context())
	if err != nil {
		t.Errorf("Token() gave error %v; want %q", err, want)
	} else if got := tok.AccessToken.Reveal(); got != want {
		t.Errorf("Token() = %q; want %q", got, want)
	}
}

// pass lets time go by inside a bubble, and what it sets off come to rest.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
	synctest.Wait()
}

// together calls f in n goroutines and gives their errors, by frequency.
func together(n int, f func() error) map[string]int {
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := f()
			mu.Lock()
			defer mu.Unlock()
			got[fmt.Sprint(err)]++
		})
	}
	wg.Wait()
	return got
}

// 200 callers with an expired token, or none, share one request.
func TestCacheSharesRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newIssuer()
		c := sfmc.NewTokenCache(src)
		for round, want := range []string{"t1", "t2"} {
			got := together(200, func() error {
				tok, err := c.Token(t.Context())
				if err == nil && tok.AccessToken.Reveal() != want {
					err = errors.New("got " + tok.AccessToken.Reveal())
				}
				return err
			})
			if diff := cmp.Diff(map[string]int{"<nil>": 200}, got); diff != "" {
				t.Errorf("round %d: errors (-want +got):\n%s", round, diff)
			}
			pass(t, 1079*time.Second) // the token has just expired
		}
		src.wantCalls(t, 0, 1080*time.Second)
	})
}

// Callers share a failure too, and for a second after it.
func TestCacheSharesFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newIssuer()
		src.issue = func(int) (string, time.Duration, error) { return "", 0, io.ErrNoProgress }
		c := sfmc.NewTokenCache(src)
		call := func() error { _, err := c.Token(t.Context()); return err }
		want := map[string]int{io.ErrNoProgress.Error(): 200}
		for range 2 {
			if diff := cmp.Diff(want, together(200, call)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		}
		src.wantCalls(t, 0)
	})
}

// A caller every tenth of a second does not mean a request every time.
func TestCachePause(t *testing.T) {
	t.Parallel()
	s := time.Second
	told := func(d time.Duration) error {
		return fmt.Errorf("no: %w", &sfmc.Error{Op: sfmc.OpToken, Status: 429, RetryAfter: d})
	}
	for name, tt := range map[string]struct {
		opts []sfmc.CacheOption
		err  error
		want []time.Duration // requests that fail, and the good one at the end
	}{
		"default":     {nil, io.ErrNoProgress, []time.Duration{0, 2 * s, 5 * s, 10 * s, 19 * s, 28 * s, 37 * s}},
		"set":         {[]sfmc.CacheOption{sfmc.WithFailurePause(3 * s)}, io.ErrNoProgress, []time.Duration{0, 4 * s, 11 * s}},
		"none":        {[]sfmc.CacheOption{sfmc.WithFailurePause(-s)}, io.ErrNoProgress, []time.Duration{0, 1 * s, 2 * s}},
		"cancelled":   {nil, fmt.Errorf("no: %w", context.Canceled), []time.Duration{0, 1 * s, 2 * s}},
		"Retry-After": {nil, told(20 * s), []time.Duration{0, 21 * s, 42 * s}},
		"too long":    {nil, told(time.Hour), []time.Duration{0, 301 * s, 602 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				src := newIssuer()
				src.issue = func(n int) (string, time.Duration, error) {
					if n < len(tt.want) {
						return "", 0, tt.err
					}
					return "good", time.Hour, nil
				}
				c := sfmc.NewTokenCache(src, tt.opts...)
				for {
					if _, err := c.Token(t.Context()); err == nil {
						break
					} else if !errors.Is(err, tt.err) {
						t.Fatalf("error is %v; want %v", err, tt.err)
					}
					if !errors.Is(tt.err, context.Canceled) && name != "none" {
						pass(t, 100*time.Millisecond)
					}
				}
				src.wantCalls(t, tt.want...)
			})
		})
	}
}

// The caller who set off the request goes away; the request goes on for the
// others, with that caller's values.
func TestCacheFirstCallerCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newIssuer()
		type key struct{}
		var value any
		c := sfmc.NewTokenCache(source(func(ctx context.Context) (*sfmc.Token, error) {
			value = ctx.Value(key{})
			return src.Token(ctx)
		}))
		first, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "trace"))
		left := make(chan error)
		go func() {
			_, err := c.Token(first)
			left <- err
		}()
		synctest.Wait()
		done := make(chan map[string]int)
		go func() {
			done <- together(199, func() error { _, err := c.Token(t.Context()); return err })
		}()
		pass(t, 500*time.Millisecond)
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) || time.Since(src.begun) != 500*time.Millisecond {
			t.Errorf("first caller left after %v with %v; want 500ms, context.Canceled", time.Since(src.begun), err)
		}
		if diff := cmp.Diff(map[string]int{"<nil>": 199}, <-done); diff != "" {
			t.Errorf("errors of the others (-want +got):\n%s", diff)
		}
		if value != "trace" {
			t.Errorf("request has value %v of the first caller's context; want trace", value)
		}
		if _, err := c.Token(first); !errors.Is(err, context.Canceled) {
			t.Errorf("Token with a context that has ended: error %v; want context.Canceled", err)
		}
		src.wantCalls(t, 0)
	})
}

// A token endpoint that hangs holds callers for as long as they like, and 30 s at
// most.
func TestCacheSlowSource(t *testing.T) {
	t.Parallel()
	for limit, opts := range map[time.Duration][]sfmc.CacheOption{
		30 * time.Second: {sfmc.WithRequestTimeout(0)},
		10 * time.Second: {sfmc.WithRequestTimeout(10 * time.Second)},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := newIssuer()
			src.takes = time.Hour
			c := sfmc.NewTokenCache(src, opts...)
			impatient, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := c.Token(impatient); !errors.Is(err, context.DeadlineExceeded) || time.Since(src.begun) != 5*time.Second {
				t.Errorf("left after %v with %v; want 5s, context.DeadlineExceeded", time.Since(src.begun), err)
			}
			if _, err := c.Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(src.begun) != limit {
				t.Errorf("ended after %v with %v; want %v, context.DeadlineExceeded", time.Since(src.begun), err, limit)
			}
			src.wantCalls(t, 0)
		})
	}
}

// Near its end the token is renewed while it is still handed out.
func TestCacheRefreshAhead(t *testing.T) {
	t.Parallel()
	s := time.Second
	type step struct {
		at   time.Duration
		want string
		took time.Duration
	}
	for name, tt := range map[string]struct {
		opts  []sfmc.CacheOption
		life  time.Duration
		fails int // this request
		steps []step
		calls []time.Duration
	}{
		"a minute ahead": {
			nil, 1079 * s, 0,
			[]step{{0, "t1", s}, {1019 * s, "t1", 0}, {1020 * s, "t1", 0}, {1020*s + s/2, "t1", 0}, {1022 * s, "t2", 0}},
			[]time.Duration{0, 1020 * s},
		},
		"as set": {
			[]sfmc.CacheOption{sfmc.WithRefreshAhead(100 * s)},
			1079 * s, 0,
			[]step{{0, "t1", s}, {979 * s, "t1", 0}, {980 * s, "t1", 0}, {982 * s, "t2", 0}},
			[]time.Duration{0, 980 * s},
		},
		"never": {
			[]sfmc.CacheOption{sfmc.WithRefreshAhead(-s)},
			1079 * s, 0,
			[]step{{0, "t1", s}, {1079 * s, "t1", 0}, {1080 * s, "t2", s}},
			[]time.Duration{0, 1080 * s},
		},
		"a fifth of a short life": {
			nil, 10 * s, 0,
			[]step{{0, "t1", s}, {2 * s, "t1", 0}, {8 * s, "t1", 0}, {9 * s, "t1", 0}, {11 * s, "t2", 0}, {12 * s, "t2", 0}},
			[]time.Duration{0, 9 * s},
		},
		"in vain at first": {
			nil, 1079 * s, 2,
			[]step{{0, "t1", s}, {1020 * s, "t1", 0}, {1021*s + s/2, "t1", 0}, {1022 * s, "t1", 0}, {1024 * s, "t3", 0}},
			[]time.Duration{0, 1020 * s, 1022 * s},
		},
		"nobody came": {
			nil, 1079 * s, 0,
			[]step{{0, "t1", s}, {2000 * s, "t2", s}},
			[]time.Duration{0, 2000 * s},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				src := newIssuer()
				src.issue = func(n int) (string, time.Duration, error) {
					if n == tt.fails {
						return "", 0, io.ErrNoProgress
					}
					return "t" + strconv.Itoa(n), tt.life, nil
				}
				c := sfmc.NewTokenCache(src, tt.opts...)
				for _, step := range tt.steps {
					pass(t, step.at-time.Since(src.begun))
					wantToken(t, c, step.want)
					if took := time.Since(src.begun) - step.at; took != step.took {
						t.Errorf("at %v: took %v; want %v", step.at, took, step.took)
					}
				}
				pass(t, 2*s)
				src.wantCalls(t, tt.calls...)
			})
		})
	}
}

// Each token value is dropped once, whoever says so how often.
func TestCacheInvalidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newIssuer()
		c := sfmc.NewTokenCache(src)
		c.Invalidate("") // before any token
		wantToken(t, c, "t1")
		c.Invalidate("something else")
		wantToken(t, c, "t1")
		got := together(200, func() error {
			c.Invalidate("t1")
			_, err := c.Token(t.Context())
			c.Invalidate("t1") // a late 401 for the old token
			return err
		})
		if diff := cmp.Diff(map[string]int{"<nil>": 200}, got); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
		wantToken(t, c, "t2")
		src.wantCalls(t, 0, time.Second)
	})
}

// A service that gives out the refused token again is not asked all the time.
func TestCacheInvalidateReissued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newIssuer()
		src.issue = func(int) (string, time.Duration, error) { return "same", time.Hour, nil }
		c := sfmc.NewTokenCache(src)
		for range 5 {
			wantToken(t, c, "same")
			c.Invalidate("same")
		}
		pass(t, time.Minute)
		c.Invalidate("same")
		wantToken(t, c, "same")
		src.wantCalls(t, 0, time.Second, 62*time.Second)
	})
}

func TestCacheOddSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, src := range map[string]source{
			"no token":      func(context.Context) (*sfmc.Token, error) { return nil, nil },
			"empty token":   func(context.Context) (*sfmc.Token, error) { return &sfmc.Token{}, nil },
			"ends its life": func(context.Context) (*sfmc.Token, error) { runtime.Goexit(); return nil, nil },
		} {
			if tok, err := sfmc.NewTokenCache(src).Token(t.Context()); tok != nil || err == nil {
				t.Errorf("%s: Token() = %v, %v; want an error", name, tok, err)
			}
		}
		// A token of unknown life is used until it is refused, and callers
		// cannot change it for each other.
		n := 0
		c := sfmc.NewTokenCache(source(func(context.Context) (*sfmc.Token, error) {
			n++
			return &sfmc.Token{AccessToken: sfmc.Secret("t" + strconv.Itoa(n))}, nil
		}))
		for range 3 {
			tok, err := c.Token(t.Context())
			if err != nil || tok.AccessToken.Reveal() != "t1" {
				t.Fatalf("Token() gave error %v, or not t1", err)
			}
			tok.AccessToken = "changed"
			pass(t, 1000*time.Hour)
		}
		c.Invalidate("t1")
		wantToken(t, c, "t2")
	})
}
