package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// TestPause has an operator pause a data extension: registrations are accepted, and
// nothing arrives there, also after the process was killed and started again, while
// others go on. Once it is resumed everything arrives, in order.
func TestPause(t *testing.T) {
	t.Parallel()
	cloud := sandbox.New(sandbox.Config{})
	server := httptest.NewServer(cloud)
	defer server.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "onramp.yaml")
	text := fmt.Sprintf(killConfig, filepath.Join(dir, "onramp.db"), server.URL) + `  survey:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - journey: { event_definition_key: APIEvent-sandbox-welcome }
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const row, other = "data_extension:Web_Registrations", "other@example.org"
	g := startGateway(t, config)
	run := func(wantStatus int, args ...string) string {
		t.Helper()
		environ := []string{"ONRAMP_ADMIN_LISTEN=" + strings.TrimPrefix(g.admin, "http://"), "ONRAMP_ADMIN_TOKEN=operator-of-the-test"}
		status, stdout, stderr := onramp(t.Context(), environ, append(args, "--config", config)...)
		if status != wantStatus {
			t.Fatalf("onramp %v: status %d: %s%s", args, status, stdout, stderr)
		}
		return stdout + stderr
	}
	post := func(form, body string) (id string) {
		t.Helper()
		response, err := http.Post(g.public+"/v1/forms/"+form+"/registrations", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return find(t, `"id":"([^"]+)"`, string(answer))
	}
	// passed waits until something that came later has arrived elsewhere
	passed := func() {
		t.Helper()
		g.awaitDelivered(t, post("survey", `{"email":"`+other+`"}`))
		for _, stored := range cloud.State().DataExtensions[sandbox.RegistrationsKey].Rows {
			if stored["SubscriberKey"] != other { // whose row the journey's event has written
				t.Fatalf("while it is paused, %v has arrived", stored)
			}
		}
	}

	find(t, "(there is no destination data_extension:web: use "+row+", journey:APIEvent-sandbox-welcome)",
		run(1, "destinations", "pause", "data_extension:web", "--reason", "x"))
	find(t, "(give a reason, with --reason)", run(2, "destinations", "pause", row))
	find(t, "(give the name of one destination)", run(2, "destinations", "resume"))
	find(t, "("+row+" is not paused)", run(1, "destinations", "resume", row))
	find(t, `(?m)^Paused (`+row+`); 0 deliveries wait\. To go on: onramp destinations resume `+row+`$`,
		run(0, "destinations", "pause", row, "--reason", "new columns"))
	run(0, "destinations", "pause", row, "--reason", "new columns until noon")
	var ids []string
	for i := range 20 {
		ids = append(ids, post("registration", fmt.Sprintf(`{"email":"p%d@example.org","opt_in":%v}`, i%4, i < 16)))
	}
	passed()

	g.kill()
	g = startGateway(t, config)
	passed()
	find(t, `(?m)^(`+row+`) +paused +20 +20\S+ \S+ +new columns until noon$`, run(0, "status"))
	find(t, `(?m)^(`+row+`) +paused +20\S+ \S+ +20 +20\S+ \S+ +0 +0 +new columns until noon$`, run(0, "destinations", "list"))
	find(t, `(?m)^(journey:APIEvent-sandbox-welcome) +running +- +20 `, run(0, "destinations", "list"))
	find(t, `("state": "paused",\s+"reason": "new columns until noon")`, run(0, "destinations", "list", "--output", "json"))

	find(t, `(?m)^Resumed (`+row+`); `, run(0, "destinations", "resume", row))
	for _, id := range ids {
		g.awaitDelivered(t, id)
	}
	state := cloud.State()
	for _, stored := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
		if stored["OptInStatus"] != false {
			t.Errorf("%v ends as %v", stored["SubscriberKey"], stored["OptInStatus"])
		}
	}
	entries := map[string][]any{}
	for _, c := range state.Journeys[sandbox.WelcomeEventKey].Contacts {
		if c.ContactKey != other {
			entries[c.ContactKey] = append(entries[c.ContactKey], c.Data["OptInStatus"])
		}
	}
	want := map[string][]any{}
	for i := range 4 {
		want[fmt.Sprintf("p%d@example.org", i)] = []any{true, true, true, true, false}
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Errorf("the journey: %s", diff)
	}
	find(t, `(?m)^(`+row+`) +running +- +0 +- +0 +`, run(0, "destinations", "list"))
}
