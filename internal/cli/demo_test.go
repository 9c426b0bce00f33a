package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"onramp/internal/cli"
)

// onramp runs a command inside the test.
func onramp(ctx context.Context, environ []string, args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = cli.Main(ctx, args, cli.System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Environ: environ})
	return status, out.String(), err.String()
}

// startDemo runs a demo until the test ends and returns what it has printed.
func startDemo(t *testing.T, data string) (printed string) {
	t.Helper()
	return start(t, "Stop with Ctrl-C",
		"demo", "--data", data, "--public-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0")
}

// start runs a command until the test ends and returns what it has printed up to
// the words that say it is ready.
func start(t *testing.T, ready string, args ...string) (printed string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	ended := make(chan int)
	var stderr bytes.Buffer
	go func() {
		status := cli.Main(ctx, args, cli.System{Stdin: strings.NewReader(""), Stdout: writer, Stderr: &stderr})
		writer.Close()
		ended <- status
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("%s ended with %d: %s", args[0], status, stderr.String())
		}
	})
	buf := make([]byte, 4096)
	for !strings.Contains(printed, ready) {
		n, err := reader.Read(buf)
		if err != nil {
			t.Fatalf("%s did not start: %v", args[0], err)
		}
		printed += string(buf[:n])
	}
	return printed
}

func find(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing like %s in %s", pattern, text)
	}
	return m[1]
}

// TestDemo walks through the demo as its first user does: what it prints, one
// registration, and the commands that look at it.
func TestDemo(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	printed := startDemo(t, data)
	public := find(t, `form in the browser +(http://[^/]+)/f/registration`, printed)
	environ := []string{"ONRAMP_ADMIN_LISTEN=" + find(t, `admin API +http://([^/]+)/api/status`, printed)}

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/v1/forms/registration/registrations",
		strings.NewReader(find(t, `-d '([^']+)'`, printed)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", "wait=5")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("the registration that demo prints answered %s %s %v", response.Status, body, err)
	}
	id := find(t, `"id":"([^"]+)"`, string(body))

	host := strings.TrimPrefix(public, "http://")
	for origin, want := range map[string]int{
		public: 422, "https://evil.example.net": 403, "null": 403,
		"http://localhost": 422, "http://localhost:3000": 422, "http://127.0.0.1:5173": 422, "http://[::1]:8000": 422,
		"https://localhost:3000": 403, "http://localhost.example.net": 403, "http://localhost:3000@example.net": 403,
	} {
		if got := ask(t, public, host, "POST /v1/forms/registration/registrations", "{}", "Origin: "+origin); got != want {
			t.Errorf("a page of %s is answered %d, want %d", origin, got, want)
		}
	}

	for _, row := range []struct {
		args   string
		status int
		want   []string // expressions that the output must match
	}{
		{"status", 0, []string{`(?m)^accepted +1$`, `data_extension:Web_Registrations +running +0 +-`}},
		{"status --output json", 0, []string{`"accepted": 1`, `"delivered": 2`}},
		{"registrations list", 0, []string{id + ` .* registration +delivered +user@example\.com`}},
		{"registrations list --state failed --output json", 0, []string{`"items": \[\]`}},
		{"registrations show " + id, 0, []string{`status +delivered`, `delivered +data_extension:Web_Registrations +row stored`, `event accepted, instance`}},
		{"registrations show --output json " + id, 0, []string{`"what": "accepted"`}},
		{"deliveries list --state delivered", 0, []string{id + `\.2 +journey:APIEvent-sandbox-welcome +delivered +1`}},
		{"deliveries show " + id + ".1", 0, []string{`state +delivered`, `attempt 1 at .* delivered`}},
		{"registrations show nothing", 1, []string{`there is no such registration`}},
		{"deliveries retry nothing", 1, []string{`there is no such delivery`}},
		{"deliveries retry " + id + ".1", 1, []string{`only a delivery that is dead or unknown, or pending`}},
		{"registrations list --state nonsense", 1, []string{`invalid state "nonsense": use held, queued`}},
		{"demo --public-listen " + strings.TrimPrefix(public, "http://") + " --admin-listen 127.0.0.1:0 --sandbox-listen 127.0.0.1:0", 1, []string{`is another onramp running`}},
		{"demo --data " + data + " --public-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --sandbox-listen 127.0.0.1:0", 1, []string{`is in use by another onramp`}},
	} {
		status, stdout, stderr := onramp(t.Context(), environ, strings.Fields(row.args)...)
		if status != row.status {
			t.Errorf("onramp %s: status %d, want %d: %s", row.args, status, row.status, stderr)
		}
		for _, want := range row.want {
			if !regexp.MustCompile(want).MatchString(stdout + stderr) {
				t.Errorf("onramp %s: nothing like %s in\n%s%s", row.args, want, stdout, stderr)
			}
		}
	}
}

// What the demo prints works as it is printed: on other ports, and with a
// configuration whose account and secrets are still to be filled in.
func TestDemoPrintsCommands(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "onramp.yaml")
	if status, _, stderr := onramp(t.Context(), nil, "init", "--config", file); status != 0 {
		t.Fatal(stderr)
	}
	for _, row := range []struct {
		flags    []string
		commands int
	}{{nil, 3}, {[]string{"--config", file}, 1}} {
		flags := row.flags
		printed := start(t, "Stop with Ctrl-C", append([]string{
			"demo", "--public-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0",
		}, flags...)...)
		public := find(t, `form in the browser +(http://[^/]+)/f/registration`, printed)
		if got := ask(t, public, strings.TrimPrefix(public, "http://"), "POST /v1/forms/registration/registrations", `{"email":"a@example.org"}`); got != 202 {
			t.Errorf("%v: a registration is answered %d", flags, got)
		}
		commands := regexp.MustCompile(`(?m)^  onramp (.*)$`).FindAllStringSubmatch(printed, -1)
		if !strings.Contains(printed, `run "go install ./cmd/onramp" in its source`) {
			t.Errorf("%v: it isn't said how to get the command", flags)
		}
		if len(commands) != row.commands {
			t.Errorf("%v: these commands are printed: %q", flags, commands)
		}
		for _, command := range commands {
			if status, _, stderr := onramp(t.Context(), nil, strings.Fields(command[1])...); status != 0 {
				t.Errorf("onramp %s: %s", command[1], stderr)
			}
		}
	}
}
