package cli_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/check"
)

// issued is a certificate with its key, and those of its issuers.
type issued struct {
	t     *testing.T
	der   *x509.Certificate
	key   *ecdsa.PrivateKey
	chain [][]byte // of the certificate up to the root, without that
}

// issue makes a certificate; without an issuer it is a root.
func issue(t *testing.T, by *issued, host string, until time.Time) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Onramp test " + host}, NotBefore: time.Now().Add(-90 * 24 * time.Hour), NotAfter: until,
		BasicConstraintsValid: true, IsCA: host == "", KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if host == "" {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.DNSNames = []string{host}
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.der, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	made := &issued{t: t, der: der, key: key}
	if by != nil {
		made.chain = append([][]byte{raw}, by.chain...)
	}
	return made
}

// serve answers at https://localhost with the certificate and its chain; tells the address.
func (c *issued) serve(h http.HandlerFunc) (address string) {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: c.chain, PrivateKey: c.key}}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	c.t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	return "https://localhost:" + port
}

// checkTrusting runs onramp check as a process that trusts a root, and no other.
func (w *checked) checkTrusting(root *issued, args ...string) check.Report {
	w.t.Helper()
	self, err := os.Executable()
	w.do(err)
	file := filepath.Join(w.dir, "root.pem")
	w.do(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.der.Raw}), 0o600))
	cmd := exec.CommandContext(w.t.Context(), self, append([]string{"check", "--output", "json", "--config", w.write()}, args...)...)
	cmd.Args[0] = "onramp"
	cmd.Env = append(os.Environ(), append(w.environ, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+w.dir, "HTTPS_PROXY=", "https_proxy=")...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	_ = cmd.Run() // its status is that of the level
	var report check.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		w.t.Fatal(err, out.String(), failed.String())
	}
	return report
}

// The public address is tried as Marketing Cloud would: certificate, chain, and who answers.
func TestCheckPublicURL(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("SSL_CERT_FILE is read on Linux")
	}
	year := time.Now().Add(365 * 24 * time.Hour)
	root, other := issue(t, nil, "", year), issue(t, nil, "", year)
	below := issue(t, root, "", year)
	incomplete := issue(t, below, "localhost", year)
	incomplete.chain = incomplete.chain[:1]
	good := issue(t, below, "localhost", year)
	onramp := func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi.json" {
			http.NotFound(rw, r)
			return
		}
		_, _ = io.WriteString(rw, `{"openapi":"3.1.0","paths":{}}`)
	}
	page := func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<title>Shop</title>") }
	otherJSON := func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"status":"up"}`) }
	const start = "\toperator: start onramp serve, then check again: none is running here\n"
	for _, c := range []struct {
		name   string
		with   *issued
		answer http.HandlerFunc
		want   string
	}{
		{"an Onramp with a whole chain", good, onramp, ""},
		{"another host name", issue(t, root, "www.example.com", year), onramp, "failure public-url URL: its certificate is for another host name\n\toperator: use a certificate for this host name\n"},
		{"an authority that is not known", issue(t, other, "localhost", year), onramp, "failure public-url URL: its certificate is signed by an authority that is not known, or a certificate of the chain is missing\n" +
			"\toperator: have the server send the whole chain, up to a public authority\n"},
		{"a chain that is not whole", incomplete, onramp, "failure public-url URL: its certificate is signed by an authority that is not known, or a certificate of the chain is missing\n" +
			"\toperator: have the server send the whole chain, up to a public authority\n"},
		{"over", issue(t, root, "localhost", time.Now().Add(-time.Hour)), onramp, "failure public-url URL: its certificate has expired, or is not valid yet\n\toperator: renew the certificate\n"},
		{"soon over", issue(t, root, "localhost", time.Now().Add(3*24*time.Hour+time.Hour)), onramp, "warning public-url URL: its certificate expires in 3 days\n\toperator: renew the certificate\n"},
		{"something else", good, page, "warning public-url URL: what answers is no Onramp: 200 at /openapi.json, as seen from this machine\n" + start},
		{"something else that answers JSON", good, otherJSON, "warning public-url URL: what answers is no Onramp: 200 at /openapi.json, as seen from this machine\n" + start},
		{"nothing at the path", good, http.NotFound, "warning public-url URL: what answers is no Onramp: 404 at /openapi.json, as seen from this machine\n" + start},
		{"a redirect", good, http.RedirectHandler("https://www.example.com/", http.StatusMovedPermanently).ServeHTTP, "warning public-url URL: what answers is no Onramp: 301 at /openapi.json, as seen from this machine\n" + start},
	} {
		address := c.with.serve(c.answer)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "`+address+`" }`)
			got := w.checkTrusting(root, "--only", "public-url")
			if diff := cmp.Diff(c.want, strings.ReplaceAll(wrong(got), address, "URL")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Marketing Cloud calls port 443 of a public host by HTTPS, and nothing else.
func TestCheckCallable(t *testing.T) {
	t.Parallel()
	const mend = "\toperator: set public.url to an https address without a port that is reachable from the internet\n"
	for url, want := range map[string]string{
		"https://signup.example.com:8443": "failure configuration : DIR/onramp.yaml:3: public.url: must be an https URL without port, user or query: Marketing Cloud calls callbacks only on port 443\n" +
			"\toperator: correct this line; onramp init writes a configuration with examples\nnot checked: " + strings.Join(check.Names()[1:], ", ") + "\n",
		"https://192.168.1.7":    "failure public-url URL: Marketing Cloud can't reach an address of a private network\n" + mend,
		"https://localhost":      "failure public-url URL: Marketing Cloud can't reach an address of a private network\n" + mend,
		"https://signup.invalid": "failure public-url URL: its host name does not resolve: no such host\n\toperator: add signup.invalid to the DNS\n",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			w.config += eventConfig
			w.edit(`auth_url: "CLOUD"`, `subdomain: mc9876543210zyxwvutsrqponmlk`)
			w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "`+url+`" }`)
			if diff := cmp.Diff(want, strings.NewReplacer(url, "URL", w.dir, "DIR").Replace(wrong(w.check("--only", "public-url")))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each scope for event notifications is named when it is missing.
func TestCheckEventScopes(t *testing.T) {
	t.Parallel()
	for _, what := range [][2]string{{"callback", "Callbacks"}, {"subscription", "Subscriptions"}} {
		for _, right := range []string{"Read", "Create", "Update", "Delete"} {
			scope := "event_notification_" + what[0] + "_" + strings.ToLower(right)
			t.Run(scope, func(t *testing.T) {
				t.Parallel()
				w := newChecked(t)
				w.config += eventConfig
				w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "http://PUBLIC" }`)
				w.revoke(scope)
				level, reason := "failure", "set up"
				if right == "Delete" {
					level, reason = "warning", "remove or recreate"
				}
				want := level + " scopes " + scope + ": the installed package lacks this scope, which is needed to " + reason + " event notifications\n" +
					"\tadmin: give the package Event Notifications | " + what[1] + ": " + right + "\n" +
					"\tSetup → Apps → Installed Packages → (the package) → API Integration → Edit → Event Notifications → " + what[1] + " → " + right + "\n"
				if diff := cmp.Diff(want, wrong(w.check("--only", "scopes"))); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// Events that stay away after a registration are a warning; without a message that would
// have events they are none.
func TestCheckQuiet(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		events string
		plant  func(w *checked)
		want   string
	}{
		"for long": {"1ms", func(*checked) {}, "warning quiet : no event has come yet, although a registration was accepted just now\n" +
			"\toperator: run onramp check --only ens,public-url: the callback must be verified, its subscriptions active, and the address reachable from outside\n"},
		"not for long": {"1h", func(*checked) {}, ""},
		"for ever":     {"off", func(*checked) {}, ""},
		"no messages": {"1ms", func(w *checked) {
			w.edit("      - journey: { event_definition_key: APIEvent-sandbox-welcome }\n      - message: { definition_key: welcome }\n", "")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			w.config += eventConfig + "watch: { events: " + row.events + " }\n"
			w.edit(`public: { listen: "PUBLIC" }`, `public: { listen: "PUBLIC", url: "http://PUBLIC" }`)
			row.plant(w)
			w.used()
			if diff := cmp.Diff(row.want, wrong(w.check("--only", "quiet"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
