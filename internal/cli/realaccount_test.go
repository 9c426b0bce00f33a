package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

// block is a block of code in a document.
type block struct{ language, text string }

// blocksOf are those of a document, in order.
func blocksOf(t *testing.T, document string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?sm)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{found[1], found[2]})
	}
	return all
}

// reader is somebody who does what a document says, in a folder of their own.
type reader struct {
	t       *testing.T
	folder  string
	environ []string
	gateway *exec.Cmd
	spoken  map[string]string // what stands in the document, and what it is here
}

// shell is a command that runs lines of a shell with what lines before have exported.
func (r *reader) shell(lines string) *exec.Cmd {
	for said, is := range r.spoken {
		lines = strings.ReplaceAll(lines, said, is)
	}
	cmd := exec.Command("bash", "-c", "set -euo pipefail\n. ./environment\n"+lines)
	cmd.Dir, cmd.Env = r.folder, r.environ
	return cmd
}

// run does what a block of commands says. The gateway goes on in the background.
func (r *reader) run(lines string) (said string) {
	r.t.Helper()
	if strings.TrimSpace(lines) == "onramp serve" {
		r.stop()
		r.gateway = r.shell("exec onramp serve")
		if err := r.gateway.Start(); err != nil {
			r.t.Fatal(err)
		}
		return ""
	}
	out, err := r.shell(lines + "\nexport -p > environment\n").CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s\n%v: %s", lines, err, out)
	}
	return string(out)
}

func (r *reader) stop() {
	if r.gateway == nil {
		return
	}
	if err := r.gateway.Process.Signal(os.Interrupt); err != nil {
		r.t.Error(err)
	}
	if err := r.gateway.Wait(); err != nil {
		r.t.Errorf("onramp serve: %v", err)
	}
	r.gateway = nil
}

// edit replaces sections of the configuration by those of a block, or adds them.
func (r *reader) edit(text string) {
	r.t.Helper()
	path := filepath.Join(r.folder, "onramp.yaml")
	config, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, section := range regexp.MustCompile(`(?m)^[a-z_]+:\n(?:(?: .*)?\n)*`).FindAllString(text, -1) {
		name, _, _ := strings.Cut(section, "\n")
		old := regexp.MustCompile(`(?m)^` + name + `.*\n(?:(?:[ #].*)?\n)*`)
		if !old.Match(config) {
			config = append(config, '\n')
			config = append(config, section...)
			continue
		}
		config = old.ReplaceAllLiteral(config, []byte(section))
	}
	if err := os.WriteFile(path, config, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// toGateway leads the calls of the sandbox for a public URL to a gateway.
type toGateway struct{ address string }

func (g toGateway) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", g.address
	return http.DefaultTransport.RoundTrip(r)
}

// Whoever does what docs/real-account.md says has a registration in Marketing Cloud, in
// the journey too, and its events. The sandbox stands in for the account.
func TestRealAccount(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("the commands of docs/real-account.md need it:", err)
		}
	}
	public, admin := webtest.FreeAddress(t), webtest.FreeAddress(t)
	account := sandbox.New(sandbox.Config{Strict: true, Activation: -1, Transport: toGateway{public}})
	cloud := httptest.NewServer(account)
	t.Cleanup(cloud.Close)
	r := &reader{t: t, folder: t.TempDir(), spoken: map[string]string{"127.0.0.1:8080": public}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(path string) error{
		"onramp":      func(path string) error { return os.Symlink(self, path) },
		"environment": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := make(filepath.Join(r.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.environ = append(os.Environ(), "PATH="+r.folder+string(os.PathListSeparator)+os.Getenv("PATH"),
		"ONRAMP_PUBLIC_LISTEN="+public, "ONRAMP_ADMIN_LISTEN="+admin, "ONRAMP_MARKETING_CLOUD_AUTH_URL="+cloud.URL,
		"ONRAMP_MARKETING_CLOUD_CLIENT_ID="+sandbox.ClientID, "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET="+sandbox.ClientSecret)
	t.Cleanup(r.stop)
	said := ""
	for _, b := range blocksOf(t, "../../docs/real-account.md") {
		switch b.language {
		case "yaml":
			r.edit(b.text)
		case "sh":
			said += r.run(b.text)
		default:
			t.Errorf("a block of %s, which nobody tries", b.language)
		}
	}
	if !strings.Contains(said, `"status":"delivered"`) {
		t.Errorf("the registration is not delivered: %s", said)
	}
	state := account.State()
	var keys, contacts, callbacks []any
	for _, row := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
		keys = append(keys, row["SubscriberKey"])
	}
	for _, contact := range state.Journeys[sandbox.WelcomeEventKey].Contacts {
		contacts = append(contacts, contact.ContactKey)
	}
	for _, callback := range state.Callbacks {
		callbacks = append(callbacks, callback.URL, callback.Status)
	}
	want := []any{"ana@example.org"}
	if diff := cmp.Diff([][]any{want, want, {"https://signup.example.com/ens/events", "verified"}}, [][]any{keys, contacts, callbacks}); diff != "" {
		t.Errorf("rows, contacts and callbacks (-want +got):\n%s", diff)
	}
	// the event of a second registration comes back
	r.run(`curl --fail-with-body -H 'Prefer: wait=20' -d email=bo@example.org http://` + public + `/v1/forms/registration/registrations`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	events := ""
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(events, "EmailSent") && time.Now().Before(deadline); <-tick.C {
		events = r.run("onramp events list")
	}
	if !strings.Contains(events, "EmailSent") {
		t.Errorf("no event has come: %s", events)
	}
}
