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

// Wrong admin tokens are limited, for each address and in all; the right one
// always passes, and a burst is one line in the log.
func TestAdminTokenTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log written
		a := &admin.Admin{Desk: &operator.Desk{Setup: &fakeEns{}}, Token: "token-of-the-operator", Server: &web.Server{Log: slog.New(slog.NewTextHandler(&log, nil)), Part: "admin"}}
		mux := http.NewServeMux()
		a.Routes(mux)
		ask := func(address, authorization string) answer {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/ens", nil)
			r.RemoteAddr = address
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			web.Harden(mux).ServeHTTP(w, r)
			return webtest.AnswerOf(w.Result())
		}
		want := func(what string, status int, got answer) {
			t.Helper()
			if got.Status != status {
				t.Errorf("%s: answered %d %s, want %d", what, got.Status, got.Body, status)
			}
		}
		const here, there, right = "192.0.2.1:1000", "192.0.2.2:1000", "Bearer token-of-the-operator"
		for range 20 {
			want("without a token", 401, ask(here, ""))
		}
		for i := range 10 {
			want(fmt.Sprintf("wrong token %d", i+1), 401, ask(here, "Bearer guess"))
		}
		limited := ask("192.0.2.1:2000", "Bearer guess")
		if diff := cmp.Diff(webtest.Problem(429, "too many wrong admin tokens; wait before the next one", "", "Retry-After: 6"), limited); diff != "" {
			t.Errorf("one too many (-want +got):\n%s", diff)
		}
		want("the right one", 200, ask(here, right))
		want("elsewhere", 401, ask(there, "Bearer guess"))
		for i := range 200 {
			ask(fmt.Sprintf("198.51.100.%d:1", i), "Bearer guess")
		}
		want("in all", 429, ask("203.0.113.1:1", "Bearer guess"))
		want("the right one, elsewhere", 200, ask("203.0.113.1:1", right))
		const line = "someone is trying admin tokens"
		if n := strings.Count(log.String(), line); n != 1 {
			t.Errorf("%d lines for one burst, want 1", n)
		}
		<-time.After(7 * time.Second)
		want("one try has come back", 401, ask(here, "Bearer guess"))
		want("and no more", 429, ask(here, "Bearer guess"))
		<-time.After(2 * time.Minute)
		for range 11 {
			ask(here, "Bearer guess")
		}
		if n := strings.Count(log.String(), line); n != 2 {
			t.Errorf("%d lines for two bursts, want 2", n)
		}
		if strings.Contains(log.String(), "guess") {
			t.Error("a token is logged")
		}
	})
}

// The networks of IPv6 count as one address each.
func TestAdminTokenTriesByNetwork(t *testing.T) {
	t.Parallel()
	h := adminHandler(newGateway(t).store, nil, nil)
	status := 0
	for i := range 12 {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/registrations", nil)
		r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", i+1)
		r.Header.Set("Authorization", "Bearer guess")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		status = w.Code
	}
	if status != 429 {
		t.Errorf("the twelfth of a network is answered %d, want 429", status)
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
