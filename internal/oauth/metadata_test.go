package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
)

// RFC 8414, 2 and 3. Without a configured address there are none: the one that a
// stranger has sent the request to is not repeated to others.
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
		header http.Header
		want   answer
	}{
		{"configured", oauth.Config{Issuer: "https://on.example/"}, header("X-Forwarded-Proto", "http"), document("https://on.example", `"ens"`)},
		{"other scopes", oauth.Config{Issuer: "https://on.example", Scopes: []string{"a", "b"}}, nil, document("https://on.example", `"a","b"`)},
		{"not configured", oauth.Config{}, header("X-Forwarded-Proto", "https"), answer{
			404,
			http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}},
			`{"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at this address"}` + "\n",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil)
			r.Header = row.header
			w := newNode(t, row.cfg, &keeper{}).send(r)
			w.Header().Del("Content-Length")
			if diff := cmp.Diff(row.want, answer{w.Code, w.Header(), w.Body.String()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
