package web_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

// A subscriber is one IPv4 address, or the /64 that an IPv6 address is in.
func TestNetwork(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:0:1:2:3:4:5": "2001:db8:0:1::",
		"2001:db8:0:1::":       "2001:db8:0:1::",
		"fe80::1%eth0":         "fe80::",
		"::1":                  "::",
	}
	got := map[string]string{}
	for address := range want {
		got[address] = web.Network(netip.MustParseAddr(address)).String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if web.Network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}
