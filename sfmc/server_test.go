package sfmc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/sfmc"
)

// seen is one request as a test server saw it.
type seen struct {
	Method, Path, Body string            // the path with the query, if there is one
	Header             map[string]string // those that a test asks for
}

// recorder is a handler that keeps what it was asked.
type recorder struct {
	header []string
	next   http.HandlerFunc

	mu   sync.Mutex
	seen []seen
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	s := seen{Method: req.Method, Path: req.URL.RequestURI(), Body: string(body)}
	for _, name := range r.header {
		if s.Header == nil {
			s.Header = map[string]string{}
		}
		s.Header[name] = req.Header.Get(name)
	}
	r.mu.Lock()
	r.seen = append(r.seen, s)
	r.mu.Unlock()
	if r.next != nil {
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		r.next(w, req)
	}
}

func (r *recorder) requests() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.seen...)
}

func newServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// source is a TokenSource that is a function.
type source func(ctx context.Context) (*sfmc.Token, error)

func (f source) Token(ctx context.Context) (*sfmc.Token, error) { return f(ctx) }

// fixed always gives the same token.
func fixed(accessToken string) source {
	return func(context.Context) (*sfmc.Token, error) {
		return &sfmc.Token{AccessToken: sfmc.Secret(accessToken), TokenType: "Bearer"}, nil
	}
}

// newClient makes a client for a test server, with a fixed token.
func newClient(t testing.TB, s *httptest.Server) *sfmc.Client {
	t.Helper()
	return sfmc.NewClient(fixed("token-1"), sfmc.WithOrigin(s.URL), sfmc.WithHTTPClient(s.Client()))
}

// repeatRows answers rows as Marketing Cloud does: by repeating them.
func repeatRows(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// authServer issues token-1, token-2, … and counts them.
type authServer struct {
	mu     sync.Mutex
	issued int
}

func (a *authServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	a.issued++
	n := a.issued
	a.mu.Unlock()
	fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":1079,"rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`, n)
}

func (a *authServer) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issued
}

// row is a small row to send where the row does not matter.
func row() []sfmc.Row {
	return []sfmc.Row{{Keys: map[string]any{"SubscriberKey": "u-1001"}, Values: map[string]any{"FirstName": "Ana"}}}
}

// within gives a context that ends a hanging test, never a good one.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
