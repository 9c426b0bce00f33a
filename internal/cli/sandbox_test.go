package cli_test

import (
	"io"
	"net/http"
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
