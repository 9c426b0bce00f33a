package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"onramp/internal/certificate/certtest"
	"onramp/internal/web/webtest"
)

// The commands reach an admin API over TLS by its own certificate, whoever has signed it
// and whatever name it has, and no other; the status says until when it holds.
func TestAdminOverTLS(t *testing.T) {
	t.Parallel()
	authority, folder, address := certtest.New(t), t.TempDir(), webtest.FreeAddress(t)
	cert, key := authority.Issue(10*certtest.Day, "*.ops.example.com").Write(t, folder)
	text := fmt.Sprintf(killConfig, filepath.Join(folder, "onramp.db"), "http://127.0.0.1:1")
	text = strings.Replace(text, `admin: { listen: "127.0.0.1:0"`, fmt.Sprintf(`admin: { listen: %q, tls: { cert: %q, key: %q }`, address, cert, key), 1)
	config := filepath.Join(folder, "onramp.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, config)
	if want := "https://" + address; g.admin != want || !strings.HasPrefix(g.public, "http://") {
		t.Errorf("ready at %s and %s, want %s", g.public, g.admin, want)
	}
	for _, more := range [][]string{nil, {"--admin", "https://localhost:" + address[strings.LastIndex(address, ":")+1:]}} {
		got := onrampSays(t.Context(), append([]string{"readyz", "--config", config}, more...)...)
		if more == nil && got != (said{0, "ready\n", ""}) || more != nil && (got.Status != 1 || !strings.Contains(got.Errors, "not localhost")) {
			t.Errorf("readyz %v says %+v", more, got)
		}
	}
	status := onrampSays(t.Context(), "status", "--config", config)
	line := regexp.MustCompile(`(?m)^certificate +expiring +admin: \*\.ops\.example\.com, expires at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.000; operator: put a certificate .*$`)
	if status.Status != 0 || !line.MatchString(status.Out) {
		t.Errorf("status says %+v", status)
	}
	other, _ := certtest.New(t).Issue(90*certtest.Day, "*.ops.example.com").Write(t, filepath.Join(folder, "other"))
	for file, want := range map[string]string{
		other:            "onramp: no gateway answers at https://" + address + " (is onramp serve or demo running?): ",
		folder + "/none": "onramp: admin.tls.cert: open " + folder + "/none: no such file or directory\n",
	} {
		elsewhere := filepath.Join(folder, "other.yaml")
		if err := os.WriteFile(elsewhere, []byte(strings.Replace(text, cert, file, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := onrampSays(t.Context(), "status", "--config", elsewhere); got.Status != 1 || !strings.HasPrefix(got.Errors, want) {
			t.Errorf("with the certificate in %s: %+v", file, got)
		}
	}
}

// The certificates that the listeners are to show are checked before a start.
func TestCheckCertificates(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	for name, row := range map[string]struct {
		left time.Duration
		host string
		want string
	}{
		"good": {90 * certtest.Day, "signup.example.com", ""},
		"soon": {5*certtest.Day + time.Hour, "signup.example.com", "warning certificates public.tls.cert: the certificate expires in 5 days, on DATE\n\toperator: renew the certificate\n"},
		"expired": {-certtest.Day, "signup.example.com", "failure certificates public.tls.cert: the certificate has expired, or is not valid yet: it is valid from DATE to DATE\n" +
			"\toperator: renew the certificate\n"},
		"another host": {90 * certtest.Day, "other.example.com", "failure certificates public.tls.cert: the certificate is for other.example.com, not for signup.example.com\n" +
			"\toperator: use a certificate for this host name\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			cert, key := authority.Issue(row.left, row.host).Write(t, w.dir)
			w.edit(`public: { listen: "PUBLIC" }`, fmt.Sprintf(`public: { listen: "PUBLIC", url: https://signup.example.com, tls: { cert: %q, key: %q } }`, cert, key))
			got := regexp.MustCompile(`\d{4}-\d\d-\d\d`).ReplaceAllString(wrong(w.check("--only", "certificates")), "DATE")
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// What a running gateway can't get is checked beside it.
func TestCheckCertificatesOfGateway(t *testing.T) {
	t.Parallel()
	authority := certtest.NewACME(t, "tls-alpn-01")
	authority.Refuse("no A record")
	w := newChecked(t)
	w.edit("${env:SECRET}", "sandbox-secret")
	w.edit(`public: { listen: "PUBLIC" }`, fmt.Sprintf(`public: { listen: "PUBLIC", url: https://signup.example.com, tls: { acme: { accept_terms: true, directory: %q } } }`, authority.URL+"/directory"))
	if got := w.check("--only", "certificates"); wrong(got) != "" || got.Checks[0].Message != "the gateway gets the certificate while it runs; none is running here" {
		t.Errorf("without a gateway: %+v", got)
	}
	startGateway(t, w.write())
	want := regexp.MustCompile("^failure certificates public signup.example.com: the running gateway has no certificate: .*; the certificate authority says: no A record; next try at .*\n\toperator: let the host name lead to this gateway, .*\n$")
	var got string
	for end := time.Now().Add(20 * time.Second); !want.MatchString(got); {
		if got = wrong(w.check("--only", "certificates")); time.Now().After(end) {
			t.Fatalf("beside a gateway: %s", got)
		}
	}
}
