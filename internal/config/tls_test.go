package config_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/certificate/certtest"
	"onramp/internal/config"
)

const secureURL = "url: https://signup.example.com"

// A listener's certificate comes from files or from an authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certtest.New(t).Issue(certtest.Day, "signup.example.com").Write(t, t.TempDir())
	files := config.TLS{Cert: cert, Key: key}
	for name, row := range map[string]struct {
		file       string
		environ    []string
		public     config.TLS
		acme       config.ACME
		admin      config.TLS
		withSecure bool
	}{
		"none":      {file: "public: { " + secureURL + " }"},
		"empty":     {file: "public: { tls: }\nadmin: { tls: ~ }"},
		"files":     {file: "public: { tls: { cert: CERT, key: KEY } }", public: files, withSecure: true},
		"admin":     {file: "admin: { tls: { cert: CERT, key: KEY } }", admin: files},
		"variables": {environ: []string{"ONRAMP_PUBLIC_TLS_CERT=" + cert, "ONRAMP_PUBLIC_TLS_KEY=" + key}, public: files, withSecure: true},
		"authority": {
			file: "public: { url: 'https://Signup.Example.com:8443/x', tls: { acme: { accept_terms: true } } }",
			acme: config.ACME{Hosts: []string{"signup.example.com"}, AcceptTerms: true}, withSecure: true,
		},
		"authority, in full": {
			file: `public:
  url: https://signup.example.com
  tls: { acme: { hosts: [signup.example.com, Bücher.example.com.], email: ops@example.com, directory: "https://ca.example.com/dir", accept_terms: true, http_listen: ":80" } }`,
			acme: config.ACME{Hosts: []string{"signup.example.com", "xn--bcher-kva.example.com"}, Email: "ops@example.com", Directory: "https://ca.example.com/dir", AcceptTerms: true, HTTPListen: ":80"}, withSecure: true,
		},
		"authority by variables": {
			file: "public: { " + secureURL + " }", environ: []string{"ONRAMP_PUBLIC_TLS_ACME_ACCEPT_TERMS=true", "ONRAMP_PUBLIC_TLS_ACME_HTTP_LISTEN=:80"},
			acme: config.ACME{Hosts: []string{"signup.example.com"}, AcceptTerms: true, HTTPListen: ":80"}, withSecure: true,
		},
		"authority, hosts alone": {
			file: "public: { tls: { acme: { hosts: [a.example.com], accept_terms: true } } }",
			acme: config.ACME{Hosts: []string{"a.example.com"}, AcceptTerms: true}, withSecure: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.NewReplacer("CERT", cert, "KEY", key).Replace(row.file)
			c, err := config.Parse("onramp.yaml", []byte(shortAccount+file+"\n"+shortForms), row.environ)
			if err != nil {
				t.Fatal(err)
			}
			got, want := []any{c.Public.TLS, c.Public.ACME, c.Admin.TLS, c.Public.Secure()}, []any{row.public, row.acme, row.admin, row.withSecure}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files, authority, admin's, secure (-want +got):\n%s", diff)
			}
		})
	}
}

// Mistakes are reported with their lines, all at once.
func TestWrongTLS(t *testing.T) {
	t.Parallel()
	authority, folder := certtest.New(t), t.TempDir()
	cert, key := authority.Issue(certtest.Day, "signup.example.com").Write(t, filepath.Join(folder, "one"))
	_, other := authority.Issue(certtest.Day, "signup.example.com").Write(t, filepath.Join(folder, "other"))
	const (
		terms    = "must be true: read the terms of the certificate authority and accept them (those of Let's Encrypt are at https://letsencrypt.org/repository/)"
		noKeyPEM = "it has no private key in PEM format (-----BEGIN PRIVATE KEY-----)"
		noPublic = "is not a public host name: no certificate authority of the internet can reach it; use a certificate from files"
	)
	for name, row := range map[string]struct {
		file string
		want []config.Problem
	}{
		"a key of another certificate": {"public: { tls: { cert: CERT,\n key: OTHER } }", []config.Problem{{3, "public.tls.key", "the key does not belong to the certificate"}}},
		"turned round": {"admin: { tls: { cert: KEY,\n key: CERT } }", []config.Problem{
			{2, "admin.tls.cert", "it has no certificate in PEM format (-----BEGIN CERTIFICATE-----)"}, {3, "admin.tls.key", noKeyPEM},
		}},
		"no files": {"public: { tls: { cert: FOLDER/none,\n key: FOLDER } }", []config.Problem{
			{2, "public.tls.cert", "FOLDER/none can't be read: no such file or directory"}, {3, "public.tls.key", "FOLDER can't be read: is a directory"},
		}},
		"a half": {"public: { tls: { cert: CERT } }\nadmin: { tls: { key: KEY } }", []config.Problem{
			{2, "public.tls.key", "is missing: name the file with the private key of tls.cert"},
			{3, "admin.tls.cert", "is missing: name the file with the certificate and its chain"},
		}},
		"nothing": {"public: { tls: {} }\nadmin: { tls: {} }", []config.Problem{
			{2, "public.tls", "is empty: set cert and key, or acme, or remove it"},
			{3, "admin.tls", "is empty: set cert and key, or remove it"},
		}},
		"no map": {"public: { tls: true }\nadmin: { tls: [] }", []config.Problem{
			{2, "public.tls", "must be a map of keys and values, not a single value"},
			{3, "admin.tls", "must be a map of keys and values, not a list"},
		}},
		"unknown keys": {"public: { tls: { certificate: CERT,\n acme: { host: a } } }\nadmin: { tls: { acme: {} } }", []config.Problem{
			{2, "public.tls.certificate", "unknown key; use cert, key or acme"},
			{3, "public.tls.acme.host", "unknown key; did you mean hosts?"},
			{3, "public.tls.acme.accept_terms", "is missing, and " + terms},
			{3, "public.tls.acme.hosts", "is missing: set it, or public.url, to the host that the certificate is for"},
			{4, "admin.tls.acme", "unknown key; use cert or key"},
			{4, "admin.tls", "is empty: set cert and key, or remove it"},
		}},
		"both": {"public: { " + secureURL + ", tls: { cert: CERT, key: KEY,\n acme: { accept_terms: true } } }", []config.Problem{
			{3, "public.tls.acme", "can't be set together with cert and key: remove one of the two"},
		}},
		"http": {"public: {\n url: http://signup.example.com,\n tls: { cert: CERT, key: KEY } }", []config.Problem{
			{3, "public.url", "must begin with https://, since public.tls is set"},
		}},
		"http, and an authority": {"public: {\n url: http://signup.example.com,\n tls: { acme: { accept_terms: true } } }", []config.Problem{
			{3, "public.url", "must begin with https://, since public.tls is set"},
		}},
		"an address": {"public: {\n url: https://192.0.2.1,\n tls: { acme: { accept_terms: true } } }", []config.Problem{
			{3, "public.url", "is an IP address: a certificate authority needs a host name, such as signup.example.com"},
		}},
		"localhost": {"public: {\n url: 'https://localhost:8443',\n tls: { acme: { accept_terms: yes } } }", []config.Problem{
			{3, "public.url", noPublic}, {4, "public.tls.acme.accept_terms", terms},
		}},
		"hosts": {"public: {\n " + secureURL + ",\n tls: { acme: { accept_terms: false, email: me, directory: ca,\n hosts: [a.example.com, '*.example.com', '[2001:db8::1]', onramp, A.example.com, 'a b', 'https://x.example.com'] } } }", []config.Problem{
			{4, "public.tls.acme.email", "must be an email address, such as admin@example.com"},
			{4, "public.tls.acme.directory", urlHint},
			{4, "public.tls.acme.accept_terms", terms},
			{5, "public.tls.acme.hosts[1]", `"*.example.com" has a wildcard: list each host, or use a certificate from files`},
			{5, "public.tls.acme.hosts[2]", `"[2001:db8::1]" is an IP address: a certificate authority needs a host name, such as signup.example.com`},
			{5, "public.tls.acme.hosts[3]", `"onramp" ` + noPublic},
			{5, "public.tls.acme.hosts[4]", "is listed twice: remove one"},
			{5, "public.tls.acme.hosts[5]", `"a b" must be a host name, such as signup.example.com`},
			{5, "public.tls.acme.hosts[6]", `"https://x.example.com" must be a host name, such as signup.example.com`},
			{5, "public.tls.acme.hosts", "must have signup.example.com, the host of public.url"},
		}},
		"no hosts": {"public: { " + secureURL + ", tls: { acme: { accept_terms: true, hosts: [] } } }", []config.Problem{
			{2, "public.tls.acme.hosts", "is empty: list a host, or remove it"},
		}},
		"one address for two": {"public: { listen: ':80', " + secureURL + ", tls: { acme: { accept_terms: true, http_listen: '127.0.0.1:80' } } }", []config.Problem{
			{2, "public.tls.acme.http_listen", "can't listen where public.listen does (:80): set another port"},
		}},
		"a database that processes share": {"database: postgres://db/onramp\npublic: { " + secureURL + ", tls: { acme: { accept_terms: true } } }", []config.Problem{
			{3, "public.tls.acme", "needs encryption_key: with PostgreSQL, all processes share the certificates, which are stored encrypted; onramp keys new encryption creates one"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			named := strings.NewReplacer("CERT", cert, "KEY", key, "OTHER", other, "FOLDER", folder)
			for i := range row.want {
				if strings.HasPrefix(row.want[i].Message, "FOLDER") {
					row.want[i].Message = named.Replace(row.want[i].Message)
				}
			}
			wrong{name, named.Replace(row.file), nil, row.want}.run(t, shortAccount+named.Replace(row.file)+"\n"+shortForms)
		})
	}
}

// A command that asks a running gateway needs the certificate, and can't read the key.
func TestAdminTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, _ := certtest.New(t).Issue(certtest.Day, "a.example.com").Write(t, folder)
	want := config.Admin{Listen: "127.0.0.1:8081", TLS: config.TLS{Cert: cert, Key: folder + "/none"}}
	got, err := config.LoadAdmin(filepath.Join(folder, "none"), true, []string{"ONRAMP_ADMIN_TLS_CERT=" + cert, "ONRAMP_ADMIN_TLS_KEY=" + folder + "/none"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
