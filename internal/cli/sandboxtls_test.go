package cli_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/cli"
)

// A program that is made for Marketing Cloud runs against the sandbox unchanged: its
// host names lead there, and it trusts the sandbox's certificate authority. It goes on
// at the next start, and is not fooled under other names.
func TestSandboxTLS(t *testing.T) {
	t.Parallel()
	const tenant = "mc0123456789abcdefghijklmnop"
	folder := filepath.Join(t.TempDir(), "authority")
	args := []string{"sandbox", "--tls", "--tls-dir", folder, "--tenant", tenant, "--listen", "127.0.0.1:0"}
	var program *http.Client
	for _, round := range []string{"first start", "next start"} {
		printed := start(t, "fork TCP:127.0.0.1:", args...)
		address := find(t, `on https://(\S+),`, printed)
		if !strings.Contains(printed, "\n127.0.0.1 "+tenant+".auth.marketingcloudapis.com\n") {
			t.Errorf("no line for the hosts file: %s", printed)
		}
		if round == "first start" { // at the next one it is still what it was
			program = trustOnly(t, find(t, `NODE_EXTRA_CA_CERTS=(\S+)`, printed))
		}
		leadTo(program, address)

		var token struct {
			AccessToken string `json:"access_token"`
			REST        string `json:"rest_instance_url"`
			SOAP        string `json:"soap_instance_url"`
		}
		call(t, program, "POST https://"+tenant+".auth.marketingcloudapis.com/v2/token", "",
			`{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`, &token)
		got := []string{token.REST, token.SOAP}
		if diff := cmp.Diff([]string{"https://" + tenant + ".rest.marketingcloudapis.com/", "https://" + tenant + ".soap.marketingcloudapis.com/"}, got); diff != "" {
			t.Fatalf("%s: instance URLs (-want +got):\n%s", round, diff)
		}
		call(t, program, "POST "+token.REST+"hub/v1/dataevents/key:Web_Registrations/rowset", token.AccessToken,
			`[{"keys":{"SubscriberKey":"ana"},"values":{"EmailAddress":"ana@example.org","RegistrationTimestamp":"2026-12-01T08:00:00Z"}}]`, nil)
		var state struct {
			Extensions map[string]struct{ Rows []map[string]any } `json:"data_extensions"`
		}
		call(t, program, "GET https://localhost/_sandbox/state", "", "", &state)
		if rows := state.Extensions["Web_Registrations"].Rows; len(rows) != 1 || rows[0]["EmailAddress"] != "ana@example.org" {
			t.Errorf("%s: rows %v", round, rows)
		}
		refuses(t, program, tenant)
		cuts(t, program, address)
		if curl, err := exec.LookPath("curl"); err == nil {
			line := find(t, `(?m)^curl (.*)$`, printed)
			out, err := exec.CommandContext(t.Context(), "sh", "-c", curl+" --silent --show-error "+line).CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"rest_instance_url":"https://`+tenant+".rest.marketingcloudapis.com:") {
				t.Errorf("%s: curl %s: %v: %s", round, line, err, out)
			}
		}
	}
}

// refuses checks who is not served, and which names.
func refuses(t *testing.T, program *http.Client, tenant string) {
	t.Helper()
	for _, name := range []string{"www.example.com", "login.salesforce.com", "marketingcloudapis.com", "a.b.auth.marketingcloudapis.com", "192.0.2.1"} {
		_, err := program.Get("https://" + name + "/v2/token")
		if _, ok := errors.AsType[x509.HostnameError](err); !ok {
			t.Errorf("%s: got %v, want that its certificate is not for this name", name, err)
		}
	}
	stranger := &http.Client{Transport: program.Transport.(*http.Transport).Clone()}
	stranger.Transport.(*http.Transport).TLSClientConfig = nil // the system's authorities
	if _, err := stranger.Get("https://" + tenant + ".auth.marketingcloudapis.com/v2/token"); err == nil {
		t.Error("who does not trust the authority is served")
	}
	for host, want := range map[string]int{
		"localhost": 200, "MC-Other.rest.marketingcloudapis.com": 200, "evil.example.net": 403,
		"marketingcloudapis.com": 403, "a.b.rest.marketingcloudapis.com": 403, "a.www.marketingcloudapis.com": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/_sandbox/state", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := program.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("host %s: %d, want %d", host, response.StatusCode, want)
		}
	}
}

// cuts checks that the connection itself can be made to fail.
func cuts(t *testing.T, program *http.Client, address string) {
	t.Helper()
	call(t, program, "PUT https://localhost/_sandbox/faults", "", `[{"match":"/hub/","name":"reset"}]`, nil)
	_, err := program.Post("https://127.0.0.1/hub/v1/x", "application/json", strings.NewReader("{}"))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: got %v, want a reset connection", address, err)
	}
}

// trustOnly is a client that trusts the certificates of a file, and no other.
func trustOnly(t *testing.T, file string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", file)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// leadTo has all host names lead to an address, as the hosts file would.
func leadTo(program *http.Client, address string) {
	program.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// call makes a call that must succeed, and reads its answer into a value unless that is
// nil.
func call(t *testing.T, program *http.Client, request, token, body string, answer any) {
	t.Helper()
	method, url, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := program.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s: %d %s %v", request, response.StatusCode, text, err)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
}

// What is wrong is said before anything is served.
func TestSandboxTLSWrong(t *testing.T) {
	t.Parallel()
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "ca-key.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const seeHelp = "See onramp --help, or onramp COMMAND --help.\n"
	for name, row := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"a folder without TLS": {[]string{"--tls-dir", damaged}, 2, "onramp: --tls-dir and --tenant say how to serve HTTPS: add --tls\n" + seeHelp},
		"a tenant without TLS": {[]string{"--tenant", "mc"}, 2, "onramp: --tls-dir and --tenant say how to serve HTTPS: add --tls\n" + seeHelp},
		"a wrong tenant": {
			[]string{"--tls", "--tls-dir", t.TempDir(), "--tenant", "mc.example"},
			1,
			"onramp: a tenant is 28 small letters, digits and hyphens, such as mcsandbox0000000000000000000\n",
		},
		"a damaged authority": {
			[]string{"--tls", "--tls-dir", damaged},
			1,
			"onramp: " + filepath.Join(damaged, "ca-key.pem") + " was left unchanged: it is damaged, or does not hold a certificate and its key; restore it, or remove ca-key.pem and ca.pem, start again and have programs trust the new certificate\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			status := cli.Main(t.Context(), append([]string{"sandbox", "--listen", "127.0.0.1:0"}, row.args...), cli.System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
			if status != row.status || stderr.String() != row.want || stdout.Len() > 0 {
				t.Errorf("got %d %q %s, want %d %q", status, stderr.String(), stdout.String(), row.status, row.want)
			}
		})
	}
}
