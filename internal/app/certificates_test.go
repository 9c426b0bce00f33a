package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/certificate/certtest"
	"onramp/internal/config"
	"onramp/internal/health"
	"onramp/internal/keyset"
	"onramp/internal/operator"
	"onramp/internal/pgtest"
)

const (
	demoPublic = `public: { listen: "127.0.0.1:8080", url: "http://127.0.0.1:8080" }`
	signup     = "signup.example.com"
)

// shake makes a handshake with a URL's listener, asking for a host, and gives the host of
// the certificate that is shown.
func shake(url, host string, trust *x509.CertPool) (string, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{ServerName: host, RootCAs: trust}}
	c, err := d.DialContext(context.Background(), "tcp", strings.TrimPrefix(url, "https://"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames[0], nil
}

// awaitHost waits until a listener shows a host's certificate.
func (w *world) awaitHost(host string, trust *x509.CertPool) {
	w.t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var got string
		if got, err = shake(w.gateway.PublicURL(), host, trust); err == nil && got == host {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.t.Fatalf("no certificate for %s: %v", host, err)
}

func (w *world) certificates() []health.Certificate {
	w.t.Helper()
	var s operator.Status
	w.getJSON(w.gateway.AdminURL()+"/api/status", &s)
	return s.Certificates
}

// client leads a host to the public listener.
func (w *world) client(host string, trust *x509.CertPool) *http.Client {
	address := strings.TrimPrefix(w.gateway.PublicURL(), "https://")
	t := &http.Transport{TLSClientConfig: &tls.Config{ServerName: host, RootCAs: trust}, ForceAttemptHTTP2: true}
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	w.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

// withACME has a gateway ask an authority for certificates.
func withACME(authority *certtest.ACME, more string) func(string) string {
	return func(cfg string) string {
		tls := fmt.Sprintf("public: { url: https://%[1]s, tls: { acme: { hosts: [%[1]s], accept_terms: true, email: ops@example.com, directory: %[2]q%[3]s } } }", signup, authority.URL+"/directory", more)
		return strings.Replace(cfg, demoPublic, tls, 1)
	}
}

// A gateway gets its certificate by itself, shows it to those who ask for its host, asks
// for no other, and the next process has it from the database, whichever that is.
func TestACME(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "onramp.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority := certtest.NewACME(t, "tls-alpn-01")
			key, err := keyset.New()
			if err != nil {
				t.Fatal(err)
			}
			edit := func(cfg string) string {
				return "encryption_key: '" + key.Reveal() + "'\n" + withACME(authority, "")(cfg)
			}
			w, file := newSandboxed(t), database(t)
			w.elsewhere = "https://" + signup
			w.start(edit, file)
			if got := w.certificates(); len(got) != 1 || got[0].State != "unknown" || got[0].Reason != "the certificate authority is being asked" {
				t.Errorf("before there is one, the status is %+v", got)
			}
			authority.Lead(w.gateway.PublicURL(), "")
			w.awaitHost(signup, authority.Pool())
			for _, host := range []string{"", "other.example.com", "127.0.0.1", "x." + signup} {
				if got, err := shake(w.gateway.PublicURL(), host, authority.Pool()); err == nil {
					t.Errorf("%q is shown %s", host, got)
				}
			}
			answer, err := w.client(signup, authority.Pool()).Get("https://" + signup + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if got := answer.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" || answer.Proto != "HTTP/2.0" || answer.StatusCode != 200 {
				t.Errorf("answered %s by %s with %q", answer.Status, answer.Proto, got)
			}
			got := w.certificates()
			if diff := cmp.Diff([]health.Certificate{{Listener: "public", Hosts: []string{signup}, State: "ok", ExpiresAt: got[0].ExpiresAt}}, got); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			w.end()
			w.start(edit, file)
			w.awaitHost(signup, authority.Pool())
			if diff := cmp.Diff([]string{signup}, authority.Orders()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// Where port 443 does not lead to the gateway, the proof is given on port 80; who else
// comes there is led to https, or learns nothing.
func TestACMEOverHTTP(t *testing.T) {
	t.Parallel()
	authority := certtest.NewACME(t, "http-01")
	w := newSandboxed(t)
	w.elsewhere = "https://" + signup + ":8443"
	w.start(withACME(authority, `, http_listen: "127.0.0.1:0"`), filepath.Join(t.TempDir(), "onramp.db"))
	authority.Lead("", w.gateway.PlainURL())
	w.awaitHost(signup, authority.Pool())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	type want struct {
		status         int
		location, body string
	}
	const nothing = `{"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at this address"}` + "\n"
	for name, row := range map[string]struct {
		method, host, path string
		want               want
	}{
		"a page":       {"GET", signup, "/f/registration?a=b%20c", want{301, "https://signup.example.com:8443/f/registration?a=b%20c", ""}},
		"with a port":  {"HEAD", "SIGNUP.example.com:80", "/", want{301, "https://signup.example.com:8443/", ""}},
		"another host": {"GET", "other.example.com", "/f/registration", want{404, "", nothing}},
		"a form": {"POST", signup, "/v1/forms/registration/registrations", want{
			403, "", `{"type":"about:blank","title":"Forbidden","status":403,"detail":"this address takes requests by https only"}` + "\n",
		}},
		"no challenge":         {"GET", signup, "/.well-known/acme-challenge/x", want{404, "", nothing}},
		"another host's":       {"GET", "other.example.com", "/.well-known/acme-challenge/token-0", want{404, "", nothing}},
		"one that is over":     {"GET", signup, "/.well-known/acme-challenge/token-0", want{404, "", nothing}},
		"a way out of it":      {"GET", signup, "/.well-known/acme-challenge/..%2f..%2facme_account", want{404, "", nothing}},
		"another host, a form": {"POST", "other.example.com", "/", want{404, "", nothing}},
	} {
		r, err := http.NewRequest(row.method, w.gateway.PlainURL()+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = row.host
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got := (want{answer.StatusCode, answer.Header.Get("Location"), string(body)}); err != nil || got != row.want {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, row.want)
		}
	}
}

// Why an authority refuses is told to the operator, and the gateway goes on.
func TestACMERefused(t *testing.T) {
	t.Parallel()
	authority := certtest.NewACME(t, "tls-alpn-01")
	authority.Refuse("DNS problem: NXDOMAIN looking up A for signup.example.com")
	w := newSandboxed(t)
	w.elsewhere = "https://" + signup
	w.start(withACME(authority, ""), filepath.Join(t.TempDir(), "onramp.db"))
	var got health.Certificate
	for end := time.Now().Add(20 * time.Second); got.Hint == "" && time.Now().Before(end); {
		got = w.certificates()[0]
		<-time.After(10 * time.Millisecond)
	}
	if got.State != "failed" || !strings.Contains(got.Reason, "; the certificate authority says: DNS problem: NXDOMAIN looking up A for signup.example.com; next try at ") || !strings.HasPrefix(got.Hint, "operator: ") {
		t.Errorf("the status is %+v", got)
	}
	if _, err := shake(w.gateway.PublicURL(), signup, authority.Pool()); err == nil {
		t.Error("a certificate is shown")
	}
	if asked := authority.Orders(); len(asked) > 2 {
		t.Errorf("asked for %v at once", asked)
	}
}

// newSecured is a gateway whose public listener speaks https.
func newSecured(t *testing.T) *world {
	t.Helper()
	cert, key := certtest.New(t).Issue(90*certtest.Day, signup).Write(t, t.TempDir())
	w := newSandboxed(t)
	w.start(func(cfg string) string {
		return strings.Replace(cfg, demoPublic, fmt.Sprintf("public: { url: https://%s, tls: { cert: %q, key: %q } }", signup, cert, key), 1)
	}, filepath.Join(t.TempDir(), "onramp.db"))
	return w
}

// Both listeners show certificates from files, and the new ones once they are replaced,
// or at once at a reload; a reload with a pair that is wrong changes nothing.
func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	authority, folder := certtest.New(t), t.TempDir()
	cert, key := authority.Issue(90*certtest.Day, "one.example.com").Write(t, folder)
	w := newSandboxed(t)
	database := filepath.Join(t.TempDir(), "onramp.db")
	edit := func(cfg string) string {
		return strings.Replace(cfg, demoPublic, fmt.Sprintf("public: { url: https://one.example.com, tls: { cert: %q, key: %q } }", cert, key), 1)
	}
	w.elsewhere = "https://one.example.com"
	w.hangups, w.load = make(chan os.Signal), func() (*config.Config, error) { return w.config(edit, database) }
	w.start(edit, database)
	w.awaitHost("one.example.com", authority.Pool())
	answer, err := w.client("one.example.com", authority.Pool()).Post("https://one.example.com/v1/forms/registration/registrations", "application/json", strings.NewReader(`{"email":"a@example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 202 {
		t.Errorf("a registration was answered %s", answer.Status)
	}
	authority.Issue(90*certtest.Day, "two.example.com").Write(t, folder)
	w.awaitHost("two.example.com", authority.Pool())
	authority.Issue(90*certtest.Day, "three.example.com").Write(t, folder)
	w.hangups <- syscall.SIGHUP
	w.awaitHost("three.example.com", authority.Pool())
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.hangups <- syscall.SIGHUP
	w.hangups <- syscall.SIGHUP // taken once the first one is over
	var s operator.Status
	w.getJSON(w.gateway.AdminURL()+"/api/status", &s)
	if s.Configuration.Refused == nil || !strings.Contains(s.Configuration.Refused.Reason, "public.tls.key: it has no private key in PEM format") {
		t.Errorf("the reload was refused for %+v", s.Configuration.Refused)
	}
	w.awaitHost("three.example.com", authority.Pool())
}
