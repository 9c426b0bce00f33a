package sandbox_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onramp/internal/sandbox"
)

// quietly keeps what a test server logs about broken connections out of the
// test's output.
func quietly(t *testing.T, start func(*httptest.Server), h http.HandlerFunc, config *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	start(server)
	t.Cleanup(server.Close)
	return server.URL
}

// What goes wrong with true connections has the names that .NET gives it.
func TestENSConnections(t *testing.T) {
	t.Parallel()
	good := func(http.ResponseWriter, *http.Request) {}
	old := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	plain := quietly(t, (*httptest.Server).Start, good, nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, url, want string }{
		{"good", plain, ""},
		{"nobody there", nobody, "ConnectFailure. Unable to connect to the remote server"},
		{
			"a certificate of nobody's", quietly(t, (*httptest.Server).StartTLS, good, nil),
			"TrustFailure. The underlying connection was closed: Could not establish trust relationship for the SSL/TLS secure channel.",
		},
		{
			"no TLS", strings.Replace(plain, "http:", "https:", 1),
			"SecureChannelFailure. The request was aborted: Could not create SSL/TLS secure channel.",
		},
		{
			"an old TLS", quietly(t, (*httptest.Server).StartTLS, good, old),
			"SecureChannelFailure. The request was aborted: Could not create SSL/TLS secure channel.",
		},
		{
			"hung up", quietly(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil),
			"ConnectionClosed. The underlying connection was closed: The connection was closed unexpectedly.",
		},
		{
			"half an answer", quietly(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "half")
			}, nil),
			"ConnectionClosed. The underlying connection was closed: The connection was closed unexpectedly.",
		},
		{
			"no HTTP", quietly(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "220 mail.test\r\n\r\n")
				_ = conn.Close()
			}, nil),
			"ReceiveFailure. The underlying connection was closed: An unexpected error occurred on a receive.",
		},
		{
			"two megabytes", quietly(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("a", 2<<20))
			}, nil), "",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, auth := newENSWith(t, sandbox.Config{})
			w := send(t, s, "POST", callbacksPath, with(t, plainCallback, `url:"`+row.url+`"`), auth)
			if row.want == "" {
				member(t, w, 201)
				return
			}
			message, _ := member(t, w, 400)["message"].(string)
			if _, got, _ := strings.Cut(message, "Status: "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// Everything over true connections: a scheme, a callback that verifies itself,
// a subscription.
func TestENSEndToEnd(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Config{})
	api := httptest.NewServer(s)
	defer api.Close()
	auth := authorize(t, s)
	do := func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, api.URL+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set("Authorization", strings.TrimPrefix(auth, "Authorization: "))
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res.StatusCode, string(text)
	}
	customer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if id, secret, _ := r.BasicAuth(); r.FormValue("grant_type") != "client_credentials" || id != "id" || secret != "sec%2Fret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, `{"access_token":"good","token_type":"Bearer","expires_in":60}`)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if status, text := do("POST", verifyPath, string(body)); status != 200 {
			t.Errorf("verify: %d %s", status, text)
		}
	}))
	defer customer.Close()

	list := func(method, path, body string, status int) map[string]any {
		t.Helper()
		got, text := do(method, path, `[`+body+`]`)
		var members []map[string]any
		if err := json.Unmarshal([]byte(text), &members); err != nil || got != status || len(members) != 1 {
			t.Fatalf("%s %s: %d %s", method, path, got, text)
		}
		return members[0]
	}
	scheme := take(t, list("POST", schemesPath, with(t, clientScheme, `authEndpoint:"`+customer.URL+`/token"`), 201), "authId")
	callback := take(t, list("POST", callbacksPath, with(t, plainCallback, `url:"`+customer.URL+`/events"`, `authId:"`+scheme+`"`), 201), "callbackId")
	got := list("POST", subscriptionsPath, with(t, plainSubscription, `callbackId:"`+callback+`"`), 201)
	if got["status"] != "active" {
		t.Errorf("got %v", got)
	}
}
