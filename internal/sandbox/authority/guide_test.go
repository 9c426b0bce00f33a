package authority_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/authority"
)

// The guide's lines can be pasted into a shell, whatever the folder is called.
func TestGuide(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "it's here")
	a := open(t, folder, nil)
	for name, row := range map[string]struct{ address, hosts, curl, pass string }{
		"port 443": {"127.0.0.1:443", "127.0.0.1 ", "HOST:443:127.0.0.1 https://HOST/v2/token", ""},
		"another port": {
			"127.0.0.1:8090", "127.0.0.1 ", "HOST:8090:127.0.0.1 https://HOST:8090/v2/token",
			"sudo socat TCP-LISTEN:443,bind=127.0.0.1,reuseaddr,fork TCP:127.0.0.1:8090",
		},
		"all addresses": {"[::]:443", "127.0.0.1 ", "HOST:443:127.0.0.1 https://HOST/v2/token", ""},
		"IPv6": {
			"[::1]:8090", "::1 ", "HOST:8090:[::1] https://HOST:8090/v2/token",
			"sudo socat TCP-LISTEN:443,bind=127.0.0.1,reuseaddr,fork TCP:[::1]:8090",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guide, err := a.Guide(authority.Guided{Tenant: tenant, Address: row.address, ClientID: "id", ClientSecret: "secret"})
			if err != nil {
				t.Fatal(err)
			}
			host := tenant + ".auth.marketingcloudapis.com"
			dir := filepath.Dir(folder) + `/it'\''s here/`
			want := []string{
				row.hosts + host, row.hosts + strings.Replace(host, "auth", "rest", 1), row.hosts + strings.Replace(host, "auth", "soap", 1),
				"export NODE_EXTRA_CA_CERTS='" + dir + "ca.pem'",
				"export REQUESTS_CA_BUNDLE='" + dir + "ca.pem'",
				"export SSL_CERT_FILE='" + dir + "ca.pem'",
				"export SSL_CERT_FILE='" + dir + "ca.pem'",
				"keytool -importcert -noprompt -alias onramp-sandbox -file '" + dir + "ca.pem' -keystore '" + dir + "ca.p12' -storepass changeit",
				"java '-Djavax.net.ssl.trustStore=" + dir + "ca.p12' -Djavax.net.ssl.trustStorePassword=changeit -jar app.jar",
				"php -d 'curl.cainfo=" + dir + "ca.pem' -d 'openssl.cafile=" + dir + "ca.pem' program.php",
				"curl --cacert '" + dir + "ca.pem' --resolve " + strings.ReplaceAll(row.curl, "HOST", host) + " -d grant_type=client_credentials -d client_id=id -d client_secret=secret",
			}
			if row.pass != "" {
				want = append(want, `sudo setcap cap_net_bind_service=+ep "$(command -v onramp)"`,
					"onramp sandbox --tls --tls-dir '"+strings.TrimSuffix(dir, "/")+"' --listen 127.0.0.1:443", row.pass)
			}
			if diff := cmp.Diff(want, commands(guide)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// commands are the guide's lines but those that are for reading.
func commands(guide string) (lines []string) {
	_, guide, _ = strings.Cut(guide, "\n\n")
	for line := range strings.Lines(guide) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestCheckTenant(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		tenant: true, authority.DefaultTenant: true, "mc563885gzs27c5t9-63k636ttgm": true,
		"": false, "mc0123456789": false, tenant + "x": false, strings.ToUpper(tenant): false,
		"mc0123456789abcdefghijklmno-": false, "mc0123456789.bcdefghijklmnop": false, "mc0123456789 bcdefghijklmnop": false,
	} {
		if err := authority.CheckTenant(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func block(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, folder, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

// contents are a folder's files by their names.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		all[e.Name()] = read(t, filepath.Join(folder, e.Name()))
	}
	return all
}
