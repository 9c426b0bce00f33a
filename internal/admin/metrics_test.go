package admin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onramp/internal/admin"
	"onramp/internal/web/webtest"
)

// The metrics are for this machine, and for whoever brings the admin token.
func TestMetricsClosed(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const plain = "Content-Type: text/plain; charset=utf-8"
	shown := webtest.Good(200, webtest.Headers(plain), "metrics")
	withToken := webtest.Good(200, webtest.Headers(plain, "Cache-Control: no-store"), "metrics")
	denied := webtest.Problem(401, "the admin token is missing or wrong: onramp takes it from admin.token or ONRAMP_ADMIN_TOKEN, other clients send Authorization: Bearer TOKEN",
		"", `WWW-Authenticate: Bearer realm="onramp"`)
	closed := webtest.Problem(401, "the admin API is closed: set admin.token in the configuration", "", `WWW-Authenticate: Bearer realm="onramp"`)
	for name, row := range map[string]struct {
		from, host, header string
		token              bool // there is an admin token
		want               answer
	}{
		"this machine":                  {"127.0.0.1:4711", "127.0.0.1:8081", "", true, shown},
		"this machine by name":          {"[::1]:4711", "localhost:8081", "", true, shown},
		"this machine, closed API":      {"127.0.0.1:4711", "127.0.0.1:8081", "", false, shown},
		"this machine, token":           {"127.0.0.1:4711", "127.0.0.1:8081", bearer, true, withToken},
		"this machine, wrong token":     {"127.0.0.1:4711", "127.0.0.1:8081", "Authorization: Bearer x", true, denied},
		"a page whose name points here": {"127.0.0.1:4711", "evil.example.net", "", true, denied},
		"a proxy on this machine":       {"127.0.0.1:4711", "127.0.0.1:8081", "X-Forwarded-For: 192.0.2.1", true, denied},
		"another proxy":                 {"127.0.0.1:4711", "127.0.0.1:8081", "Forwarded: for=192.0.2.1", true, denied},
		"elsewhere":                     {"192.0.2.1:4711", "onramp.internal:8081", "", true, denied},
		"elsewhere, says it is here":    {"192.0.2.1:4711", "127.0.0.1:8081", "", true, denied},
		"elsewhere, token":              {"192.0.2.1:4711", "onramp.internal:8081", bearer, true, withToken},
		"elsewhere, closed API":         {"192.0.2.1:4711", "onramp.internal:8081", bearer, false, closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := adminHandler(g.store, &fakePump{}, func(a *admin.Admin) {
				a.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
				if !row.token {
					a.Tokens = nil
				}
			})
			r := httptest.NewRequest("GET", "http://"+row.host+"/metrics", nil)
			r.RemoteAddr = row.from
			if name, value, found := strings.Cut(row.header, ": "); found {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			webtest.Check(t, row.want, webtest.AnswerOf(w.Result()))
		})
	}
}
