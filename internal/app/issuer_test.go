package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/app"
	"onramp/internal/config"
)

// The issuer of a token is that of the metadata (RFC 8414, 2; RFC 9068, 4): public.url, or
// without one the address that the listener is bound to, whatever host a stranger names.
func TestIssuer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ url, want string }{
		"public.url":         {`, url: "https://signup.example.com/"`, "https://signup.example.com"},
		"without public.url": {"", "http://ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serveTokens(t, row.url)
			want := strings.ReplaceAll(row.want, "http://ADDRESS", base)
			for _, host := range []string{strings.TrimPrefix(base, "http://"), "evil.example.net"} {
				var metadata struct {
					Issuer   string
					Endpoint string `json:"token_endpoint"`
				}
				askAs(t, host, "GET", base+"/.well-known/oauth-authorization-server", "", &metadata)
				var token struct {
					AccessToken string `json:"access_token"`
				}
				askAs(t, host, "POST", base+"/oauth2/token", "grant_type=client_credentials&client_id=mc&client_secret=a-secret-of-the-client", &token)
				got := []string{metadata.Issuer, metadata.Endpoint, issuerOf(t, token.AccessToken)}
				if diff := cmp.Diff([]string{want, want + "/oauth2/token", want}, got); diff != "" {
					t.Errorf("asked as %s: issuer and endpoint of the metadata, issuer of a token (-want +got):\n%s", host, diff)
				}
			}
		})
	}
}

// serveTokens runs a gateway with a client for the token endpoint, and returns its address.
func serveTokens(t *testing.T, publicURL string) (base string) {
	t.Helper()
	cfg, err := config.Parse("test", []byte(`
public: { listen: "127.0.0.1:0"`+publicURL+` }
admin: { listen: "127.0.0.1:0" }
marketing_cloud: { auth_url: "http://127.0.0.1:1", client_id: a, client_secret: b }
oauth: { clients: [{ id: mc, secret: a-secret-of-the-client }] }
forms:
  registration:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Database = filepath.Join(t.TempDir(), "onramp.db")
	gateway, err := app.Start(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return gateway.PublicURL()
}

// askAs sends a request under the name of a host, with a form if it isn't empty, and
// reads the answer.
func askAs(t *testing.T, host, method, url, form string, answer any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d, %v", method, url, response.StatusCode, err)
	}
}

func issuerOf(t *testing.T, token string) string {
	t.Helper()
	_, rest, _ := strings.Cut(token, ".")
	part, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iss string }
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Iss
}
