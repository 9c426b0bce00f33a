package vault_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/vault"
)

// fake answers as Vault does for one secret. It notes what it is asked.
type fake struct {
	t     *testing.T
	calls []string
}

const (
	token     = "hvs.a-token-of-the-test"
	jwt       = "jwt-of-the-pod"
	clientKey = "s3cret-of-the-package"
)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.calls = append(f.calls, fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Vault-Namespace"), body))
	if r.URL.Path == "/v1/auth/kubernetes/login" {
		var login struct{ Role, JWT string }
		if json.Unmarshal(body, &login) != nil || login.Role != "onramp" || login.JWT != jwt {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"auth":{"client_token":%q,"renewable":true}}`, token)
		return
	}
	switch {
	case r.Header.Get("X-Vault-Token") != token:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"errors":["permission denied for %s"]}`, r.Header.Get("X-Vault-Token"))
	case r.URL.Path == "/v1/secret/data/onramp":
		fmt.Fprintf(w, `{"data":{"data":{"client_secret":%q,"number":5},"metadata":{"version":3}}}`, clientKey)
	case r.URL.Path == "/v1/secret/onramp":
		fmt.Fprintf(w, `{"data":{"client_secret":%q}}`, clientKey)
	case r.URL.Path == "/v1/secret/data/deleted":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z"}}}`)
	case r.URL.Path == "/v1/secret/data/sealed":
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/v1/secret/data/page":
		fmt.Fprint(w, `<html>`+clientKey)
	case r.URL.Path == "/v1/secret/data/elsewhere":
		http.Redirect(w, r, "http://169.254.169.254/v1/secret/data/elsewhere", http.StatusTemporaryRedirect)
	default:
		w.WriteHeader(http.StatusTeapot)
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A secret is read once for each path, with the token that the variables give, and errors
// say what is wrong without a value.
func TestRead(t *testing.T) {
	t.Parallel()
	f := &fake{t: t}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	secure := httptest.NewTLSServer(&fake{t: t})
	t.Cleanup(secure.Close)
	authority := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	host := strings.TrimPrefix(server.URL, "http://")
	with := func(more ...string) map[string]string {
		environ := map[string]string{"VAULT_ADDR": server.URL, "VAULT_TOKEN": token}
		for i := 0; i < len(more); i += 2 {
			environ[more[i]] = more[i+1]
		}
		return environ
	}
	const path, key = "secret/data/onramp", "client_secret"
	for name, row := range map[string]struct {
		environ   map[string]string
		path, key string
		want      string // the secret, or a part of the error
	}{
		"a token":             {with(), path, key, clientKey},
		"a slash at the end":  {with("VAULT_ADDR", server.URL+"/"), path, key, clientKey},
		"a token in a file":   {with("VAULT_TOKEN", "", "VAULT_TOKEN_FILE", file(t, token+"\n")), path, key, clientKey},
		"Kubernetes":          {with("VAULT_TOKEN", "", "VAULT_KUBERNETES_ROLE", "onramp", "VAULT_KUBERNETES_TOKEN_FILE", file(t, jwt)), path, key, clientKey},
		"an authority":        {with("VAULT_ADDR", secure.URL, "VAULT_CACERT", authority), path, key, clientKey},
		"an unknown one":      {with("VAULT_ADDR", secure.URL), path, key, "tls: failed to verify certificate"},
		"no address":          {with("VAULT_ADDR", ""), path, key, "the address of Vault is not known: set VAULT_ADDR"},
		"a wrong address":     {with("VAULT_ADDR", "vault:8200"), path, key, "VAULT_ADDR must be an http or https URL"},
		"metadata service":    {with("VAULT_ADDR", "http://169.254.169.254"), path, key, "that of a cloud's metadata service"},
		"no token":            {with("VAULT_TOKEN", ""), path, key, "there is no token for Vault: set VAULT_TOKEN"},
		"no file":             {with("VAULT_TOKEN", "", "VAULT_TOKEN_FILE", "/nonexistent"), path, key, "the file of VAULT_TOKEN_FILE can't be read: no such file"},
		"an empty file":       {with("VAULT_TOKEN", "", "VAULT_TOKEN_FILE", file(t, "\n")), path, key, "the file of VAULT_TOKEN_FILE is empty"},
		"another role":        {with("VAULT_TOKEN", "", "VAULT_KUBERNETES_ROLE", "x", "VAULT_KUBERNETES_TOKEN_FILE", file(t, jwt)), path, key, "log in to Vault: 403"},
		"a wrong token":       {with("VAULT_TOKEN", "hvs.wrong"), path, key, "read secret/data/onramp in Vault: 403: the token is not valid"},
		"no such key":         {with(), path, "other", `the secret secret/data/onramp in Vault has no text "other"`},
		"a number":            {with(), path, "number", `has no text "number"`},
		"version 1":           {with(), "secret/onramp", key, "its path has data/ behind the mount"},
		"deleted":             {with(), "secret/data/deleted", key, "404: there is no such secret, or it was deleted"},
		"sealed":              {with(), "secret/data/sealed", key, "503: Vault is sealed"},
		"somebody else":       {with(), "secret/data/page", key, "the answer is not Vault's"},
		"another answer":      {with(), "secret/data/tea", key, "it answered 418"},
		"a redirect":          {with(), "secret/data/elsewhere", key, "it redirects to another host or scheme"},
		"an authority's file": {with("VAULT_CACERT", file(t, "x")), path, key, "the file of VAULT_CACERT has no certificate"},
	} {
		got, err := vault.New(func(name string) string { return row.environ[name] }).Read(t.Context(), row.path, row.key)
		switch {
		case err == nil && got.Reveal() == row.want:
		case err == nil || !strings.Contains(err.Error(), row.want):
			t.Errorf("%s: %q, %v, want %q", name, got.Reveal(), err, row.want)
		}
		for _, secret := range []string{clientKey, token, "hvs.wrong", jwt} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds a secret: %v", name, err)
			}
		}
	}
	f.calls = nil
	environ := with("VAULT_NAMESPACE", "team/web")
	c := vault.New(func(name string) string { return environ[name] })
	for _, key := range []string{"client_secret", "other", "client_secret"} {
		_, _ = c.Read(t.Context(), "secret/data/onramp", key)
	}
	if diff := cmp.Diff([]string{"GET /v1/secret/data/onramp team/web "}, f.calls); diff != "" {
		t.Errorf("calls of %s (-want +got):\n%s", host, diff)
	}
}

// Where nobody answers, it is asked once.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	environ := map[string]string{"VAULT_ADDR": server.URL, "VAULT_TOKEN": token}
	server.Close()
	c := vault.New(func(name string) string { return environ[name] })
	for _, path := range []string{"secret/data/a", "secret/data/b"} {
		if _, err := c.Read(t.Context(), path, "x"); err == nil || !strings.Contains(err.Error(), "no connection to Vault") || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
