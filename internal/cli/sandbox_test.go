package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A web page elsewhere can neither change nor read the sandbox, by whatever name
// it calls it; programs and the sandbox's own pages can.
func TestSandboxAndWebPages(t *testing.T) {
	t.Parallel()
	url := find(t, `on (http://\S+),`, start(t, "/_sandbox/\n", "sandbox", "--listen", "127.0.0.1:0", "--host", "sandbox", "--host", "Cloud.Test"))
	host := strings.TrimPrefix(url, "http://")
	_, port, _ := strings.Cut(host, ":")
	for name, row := range map[string]struct {
		host    string
		headers []string
		answers bool
	}{
		"a program":                  {host, nil, true},
		"by localhost":               {"localhost:" + port, nil, true},
		"by IPv6":                    {"[::1]:" + port, nil, true},
		"by another address":         {"192.0.2.1", nil, true},
		"by a service's name":        {"sandbox:8090", nil, true},
		"by a name in capitals":      {"cloud.test", nil, true},
		"its own page":               {host, []string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}, true},
		"an old browser's own page":  {host, []string{"Origin: http://" + host}, true},
		"the address bar":            {host, []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, true},
		"a name that was rebound":    {"evil.example.net:" + port, nil, false},
		"rebound, same origin":       {"evil.example.net:" + port, []string{"Origin: http://evil.example.net:" + port, "Sec-Fetch-Site: same-origin"}, false},
		"a longer name":              {"sandbox.evil.example.net", nil, false},
		"no name":                    {"127.0.0.1.evil.example.net", nil, false},
		"another origin":             {host, []string{"Origin: https://evil.example.net", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, false},
		"another, old browser":       {host, []string{"Origin: https://evil.example.net"}, false},
		"another port":               {host, []string{"Origin: http://127.0.0.1:3000", "Sec-Fetch-Site: same-site"}, false},
		"null":                       {host, []string{"Origin: null"}, false},
		"a script without an origin": {host, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, want := map[string]bool{}, map[string]bool{}
			for request, body := range map[string]string{
				"GET /_sandbox/state": "", "GET /_sandbox/": "", "POST /_sandbox/clock": `{"advance":"1s"}`, "PUT /_sandbox/faults": "[]",
				"POST /v2/token": `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`,
			} {
				got[request], want[request] = ask(t, url, row.host, request, body, row.headers...)/100 == 2, row.answers
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a link and a form elsewhere", func(t *testing.T) {
		t.Parallel()
		navigate := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}
		if got := ask(t, url, host, "GET /_sandbox/", "", navigate...); got != 200 {
			t.Errorf("a link is answered %d, want 200", got)
		}
		if got := ask(t, url, host, "POST /_sandbox/reset", "", navigate...); got != 403 {
			t.Errorf("a form is answered %d, want 403", got)
		}
	})
}

func ask(t *testing.T, url, host, request, body string, headers ...string) (status int) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // only the status matters
	return response.StatusCode
}

// ownConfig has an account, data extensions and a journey that no sandbox has from the
// start, and two forms with unlike columns on one of the data extensions.
const ownConfig = `
database: onramp.db
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
marketing_cloud: { subdomain: mc0123456789abcdefghijklmnop, client_id: own-client, client_secret: own-secret, account_id: "510009999" }
forms:
  lead:
    fields:
      - { name: email, column: Mail, type: email, required: true }
      - { name: price, column: Price, type: decimal, required: true }
      - { name: born, column: Born, type: date }
      - { name: when, column: When, type: date }
      - { column: Brand, from: constant, value: north }
    route:
      - data_extension: { key: Leads, key_column: [Id, Brand] }
      - journey: { event_definition_key: APIEvent-leads, key_column: [Id, Brand] }
      - message: { definition_key: thanks }
  note:
    fields:
      - { name: email, column: Mail, type: email, required: true }
      - { name: text, column: Text, max: 4000 }
      - { name: when, column: When, type: choice, choices: [soon, later] }
      - { column: Brand, from: constant, value: south }
    route:
      - data_extension: { key: Leads, key_column: [Id, Brand] }
`

// writeConfig writes a file into a folder of its own, and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "onramp.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The sandbox of a configuration has what check looks for, for the configuration's own
// credentials and business unit, also after a reset.
func TestSandboxFromConfiguration(t *testing.T) {
	t.Parallel()
	file := writeConfig(t, ownConfig)
	url := find(t, `on (http://\S+),`, start(t, "/_sandbox/\n", "sandbox", "--listen", "127.0.0.1:0", "--from", file))
	environ := []string{"ONRAMP_MARKETING_CLOUD_AUTH_URL=" + url, "ONRAMP_MARKETING_CLOUD_SUBDOMAIN="}
	for range 2 {
		status, stdout, stderr := onramp(t.Context(), environ, "check", "--config", file, "--only", "credentials,account,scopes,data-extension,event-definition,message")
		if status != 0 {
			t.Errorf("check ended with %d: %s%s", status, stdout, stderr)
		}
		if got := ask(t, url, strings.TrimPrefix(url, "http://"), "POST /_sandbox/reset", ""); got != 200 {
			t.Fatalf("reset answered %d", got)
		}
	}
	status, _, stderr := onramp(t.Context(), nil, "sandbox", "--from", file+"x")
	if status != 1 || !strings.Contains(stderr, "onramp init") {
		t.Errorf("without a file it ended with %d: %s", status, stderr)
	}
}

// The demo of a configuration delivers what its forms accept, whatever they are called.
func TestDemoOfConfiguration(t *testing.T) {
	t.Parallel()
	printed := start(t, "Stop with Ctrl-C", "demo", "--config", writeConfig(t, ownConfig),
		"--public-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0")
	gateway := find(t, `form in the browser +(\S+)/f/lead`, printed)
	for form, body := range map[string]string{
		"lead": `{"email":"ana@example.org","price":"19.5","born":"1990-02-28","when":"2026-12-24"}`,
		"note": `{"email":"ana@example.org","when":"later","text":"` + strings.Repeat("long ", 700) + `"}`,
	} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, gateway+"/v1/forms/"+form+"/registrations", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=30")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusCreated {
			t.Errorf("%s: answered %d %s", form, response.StatusCode, answer)
		}
	}
}
