package admin_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/operator"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
)

// guesser asks with tokens from addresses.
type guesser struct {
	t     *testing.T
	mux   http.Handler
	tries *admin.Tries
	log   written
}

func newGuesser(t *testing.T) *guesser {
	g := &guesser{t: t, tries: new(admin.Tries)}
	a := &admin.Admin{Desk: &operator.Desk{Setup: &fakeEns{}}, Tokens: tokens, Tries: g.tries, Server: &web.Server{Log: slog.New(slog.NewTextHandler(&g.log, nil)), Part: "admin"}}
	mux := http.NewServeMux()
	a.Routes(mux)
	g.mux = web.Harden(mux)
	return g
}

func (g *guesser) ask(address, token string) answer {
	r := httptest.NewRequestWithContext(g.t.Context(), "GET", "/api/ens", nil)
	r.RemoteAddr = address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	g.mux.ServeHTTP(w, r)
	return webtest.AnswerOf(w.Result())
}

func (g *guesser) want(what string, status int, got answer) {
	g.t.Helper()
	if got.Status != status {
		g.t.Errorf("%s: answered %d %s, want %d", what, got.Status, got.Body, status)
	}
}

// After ten wrong tokens from a network no token from there is looked at for a while that grows, not even
// the right one; elsewhere, and where a right one came from before, it always passes. A burst is one line
// in the log.
func TestAdminTokenTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		const here, there, home, right = "192.0.2.1:1000", "192.0.2.2:1000", "192.0.2.3:1000", "token-of-the-operator"
		for range 20 {
			g.want("without a token", 401, g.ask(here, ""))
		}
		g.want("at home", 200, g.ask(home, right))
		for i := range 10 {
			g.want(fmt.Sprintf("wrong token %d", i+1), 401, g.ask(here, "guess"))
		}
		for _, wait := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
			limited := g.ask("192.0.2.1:2000", "guess")
			if diff := cmp.Diff(webtest.Problem(429, "too many wrong admin tokens; wait before the next one", "", fmt.Sprintf("Retry-After: %d", wait)), limited); diff != "" {
				t.Fatalf("one too many (-want +got):\n%s", diff)
			}
			g.want("the right one in its place", 429, g.ask(here, right))
			<-time.After(time.Duration(wait) * time.Second)
		}
		g.want("elsewhere", 401, g.ask(there, "guess"))
		g.want("the right one elsewhere", 200, g.ask("203.0.113.1:1", right))
		for range 30 {
			g.ask(home, "guess")
		}
		g.want("a wrong one at home", 429, g.ask(home, "guess"))
		g.want("the right one at home", 200, g.ask(home, right))
		g.want("the right one when the time is over", 200, g.ask(here, right))
		if strings.Contains(g.log.String(), "guess") {
			t.Error("a token is logged")
		}
	})
}

// However fast someone is, few guesses of a network are looked at.
func TestAdminTokenGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		looked := 0
		for range 2000 {
			if g.ask("192.0.2.1:1", "guess").Status == 401 {
				looked++
			}
			<-time.After(600 * time.Microsecond)
		}
		if looked != 10 {
			t.Errorf("%d of 2000 guesses in 1.2 s were looked at", looked)
		}
	})
}

// A burst is one line in the log, and an alert once it has lasted; the memory for strangers is bounded, and
// a crowd of them does not make one of them be forgotten who is locked.
func TestAdminTokenBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		for range 12 {
			g.ask("192.0.2.1:1", "guess")
		}
		for i := range 5000 {
			g.ask(fmt.Sprintf("10.1.%d.%d:1", i/250, i%250), "guess")
		}
		g.want("still locked", 429, g.ask("192.0.2.1:1", "token-of-the-operator"))
		const line = "someone is trying admin tokens"
		if n := strings.Count(g.log.String(), line); n != 1 {
			t.Errorf("%d lines for one burst, want 1", n)
		}
		if got := g.tries.Guessing(time.Now()); got != (operator.Guessing{}) {
			t.Errorf("a short burst alerts: %+v", got)
		}
		begun := time.Now()
		for range 13 {
			<-time.After(50 * time.Second)
			g.ask("192.0.2.1:1", "guess")
		}
		if got := g.tries.Guessing(time.Now()); !got.Since.Equal(begun) || got.Wrong != 5012+1+13 {
			t.Errorf("a lasting one does not: %+v", got)
		}
		<-time.After(2 * time.Hour)
		if got := g.tries.Guessing(time.Now()); got != (operator.Guessing{}) {
			t.Errorf("it does not end: %+v", got)
		}
		for range 12 {
			g.ask("192.0.2.1:1", "guess")
		}
		if n := strings.Count(g.log.String(), line); n != 2 {
			t.Errorf("%d lines for two bursts, want 2", n)
		}
	})
}

// The networks of IPv6 count as one address each.
func TestAdminTokenTriesByNetwork(t *testing.T) {
	t.Parallel()
	h := adminHandler(newGateway(t).store, nil, nil)
	status := 0
	for i := range 11 {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/registrations", nil)
		r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", i+1)
		r.Header.Set("Authorization", "Bearer guess")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		status = w.Code
	}
	if status != 429 {
		t.Errorf("the eleventh of a network is answered %d, want 429", status)
	}
}

// written is a log that is read while it is written.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
