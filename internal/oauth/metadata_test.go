package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
)

// RFC 8414, 2 and 3. The issuer is the one that is configured, and that of the tokens
// (RFC 9068, 4), whatever host a stranger has sent the request to.
func TestMetadata(t *testing.T) {
	t.Parallel()
	document := func(base, scopes string) answer {
		return answer{200, http.Header{"Content-Type": {"application/json"}}, strings.Join([]string{
			`{"issuer":"` + base + `"`,
			`"token_endpoint":"` + base + `/oauth2/token"`,
			`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]`,
			`"grant_types_supported":["client_credentials","password"]`,
			`"response_types_supported":[]`,
			`"scopes_supported":[` + scopes + `]}` + "\n",
		}, ",")}
	}
	for _, row := range []struct {
		name   string
		cfg    oauth.Config
		host   string
		header http.Header
		issuer string
		scopes string
	}{
		{"a slash at the end", oauth.Config{Issuer: "https://on.example/"}, "on.example", nil, "https://on.example", `"ens"`},
		{"a path", oauth.Config{Issuer: "https://on.example/base"}, "on.example", nil, "https://on.example/base", `"ens"`},
		{"other scopes", oauth.Config{Issuer: "https://on.example", Scopes: []string{"a", "b"}}, "on.example", nil, "https://on.example", `"a","b"`},
		{"another host", oauth.Config{Issuer: "http://127.0.0.1:8080"}, "evil.example.net", nil, "http://127.0.0.1:8080", `"ens"`},
		{"another scheme", oauth.Config{Issuer: "https://on.example"}, "on.example", header("X-Forwarded-Proto", "http"), "https://on.example", `"ens"`},
		{"another host by a header", oauth.Config{Issuer: "https://on.example"}, "on.example", header("X-Forwarded-Host", "evil.example.net", "Forwarded", "host=evil.example.net"), "https://on.example", `"ens"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, row.cfg, &keeper{})
			send := func(r *http.Request) *httptest.ResponseRecorder {
				r.Host = row.host
				for name, values := range row.header {
					r.Header[name] = values
				}
				return n.send(r)
			}
			w := send(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
			w.Header().Del("Content-Length")
			if diff := cmp.Diff(document(row.issuer, row.scopes), answer{w.Code, w.Header(), w.Body.String()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			token := tokenIn(t, send(form(plainForm).request()))
			if got := partsOf(t, token)[1]["iss"]; got != row.issuer {
				t.Errorf("the issuer of a token is %v, that of the metadata %s", got, row.issuer)
			}
		})
	}
}
