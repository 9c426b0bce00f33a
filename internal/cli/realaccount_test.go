package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

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
	public, admin := webtest.FreeAddress(t), webtest.FreeAddress(t)
	account := sandbox.New(sandbox.Config{Strict: true, Activation: -1, Transport: toGateway{public}})
	cloud := httptest.NewServer(account)
	t.Cleanup(cloud.Close)
	r := newReader(t, public, admin, strings.TrimPrefix(cloud.URL, "http://"))
	r.environ = append(r.environ, "ONRAMP_MARKETING_CLOUD_AUTH_URL="+cloud.URL,
		"ONRAMP_MARKETING_CLOUD_CLIENT_ID="+sandbox.ClientID, "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET="+sandbox.ClientSecret)
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
