package web_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/web"
)

// What no route takes is answered with a problem document, too.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &web.Server{Log: slog.New(slog.NewTextHandler(&log, nil)), Part: "public"}
	nothing := s.Handle(func(http.ResponseWriter, *http.Request) error { return nil })
	mux := http.NewServeMux()
	mux.Handle("GET /read", nothing)
	mux.Handle("POST /write/{name}", nothing)
	mux.Handle("GET /both", nothing)
	mux.Handle("POST /both", nothing)
	mux.Handle("DELETE /write/{name}", nothing)
	s.Unmatched(mux)
	h := web.Harden(mux)
	const nosniff = "X-Content-Type-Options: nosniff"
	for name, want := range map[string]seen{
		"GET /read":          {Status: 200, Header: http.Header{"X-Content-Type-Options": {"nosniff"}}},
		"HEAD /read":         {Status: 200, Header: http.Header{"X-Content-Type-Options": {"nosniff"}}},
		"POST /read":         problem(405, "this address accepts GET, HEAD", nosniff, "Allow: GET, HEAD"),
		"GET /write/a":       problem(405, "this address accepts POST, DELETE", nosniff, "Allow: POST, DELETE"),
		"DELETE /both":       problem(405, "this address accepts GET, HEAD, POST", nosniff, "Allow: GET, HEAD, POST"),
		"BREW /both":         problem(405, "this address accepts GET, HEAD, POST", nosniff, "Allow: GET, HEAD, POST"),
		"GET /":              problem(404, "there is nothing at this address", nosniff),
		"POST /write":        problem(404, "there is nothing at this address", nosniff),
		"GET /<jane>?secret": problem(404, "there is nothing at this address", nosniff),
	} {
		method, target, _ := strings.Cut(name, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
		if diff := cmp.Diff(want, seen{Status: w.Code, Header: w.Header(), Body: w.Body.String()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 9 || strings.Contains(log.String(), "jane") {
		t.Errorf("should be a line for each request, without paths:\n%s", log.String())
	}
}

// The visitor's address: what a stranger claims counts for nothing.
func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := []string{"10.0.0.0/8", "2001:db8::/32"}
	for name, row := range map[string]struct {
		trusted   []string
		peer      string
		forwarded []string
		want      string
	}{
		"peer":                    {nil, "192.0.2.1:1234", nil, "192.0.2.1"},
		"peer with IPv6":          {nil, "[2001:db8::1]:1234", nil, "2001:db8::1"},
		"mapped":                  {nil, "[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		"claimed":                 {nil, "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		"claimed past proxies":    {trusted, "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		"from the proxy":          {trusted, "10.1.2.3:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		"through two proxies":     {trusted, "[2001:db8::1]:1234", []string{"198.51.100.7, 10.0.0.1"}, "198.51.100.7"},
		"in two headers":          {trusted, "10.1.2.3:1234", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"claimed before a proxy":  {trusted, "10.1.2.3:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"rubbish from the proxy":  {trusted, "10.1.2.3:1234", []string{"198.51.100.7, <script>"}, ""},
		"nothing from the proxy":  {trusted, "10.1.2.3:1234", nil, ""},
		"the peer is no address":  {trusted, "@", []string{"198.51.100.7"}, ""},
		"a mapped trusted proxy":  {trusted, "[::ffff:10.1.2.3]:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		"an address with a zone":  {trusted, "10.1.2.3:1234", []string{"fe80::1%eth0"}, "fe80::1"},
		"a proxy that is no more": {[]string{"10.0.0.1/32"}, "10.0.0.2:1234", []string{"198.51.100.7"}, "10.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := "the handler was not called"
			h := web.ClientIP(row.trusted)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = web.IP(r.Context()) }))
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.RemoteAddr = row.peer
			for _, value := range row.forwarded {
				r.Header.Add("X-Forwarded-For", value)
				r.Header.Add("X-Real-IP", "203.0.113.66")
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
