package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A page that the gateway ends early, so as not to take long, is filled up by asking again;
// meanwhile the operator sees how far it has looked.
func TestListGoesOn(t *testing.T) {
	t.Parallel()
	item := func(id int) string {
		return fmt.Sprintf(`{"id":"%d","form":"registration","status":"failed","subscriber_key":"k","received_at":"2026-06-20T00:00:00Z","values":{}}`, id)
	}
	pages := map[string]string{
		"limit=3&state=failed":            `{"items":[],"next":"100","looked_to":"2026-06-22T00:00:00Z"}`,
		"cursor=100&limit=3&state=failed": `{"items":[` + item(60) + `],"next":"50","looked_to":"2026-06-21T00:00:00Z"}`,
		"cursor=50&limit=2&state=failed":  `{"items":[` + item(8) + "," + item(7) + `],"next":"7"}`,
	}
	var asked []string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, pages[r.URL.RawQuery])
	}))
	defer gateway.Close()
	environ := []string{"ONRAMP_ADMIN_LISTEN=" + strings.TrimPrefix(gateway.URL, "http://")}
	type run struct {
		Status         int
		Stdout, Stderr string
	}
	status, stdout, stderr := onramp(t.Context(), environ, "registrations", "list", "--state", "failed", "--limit", "3")
	want := run{0, `ID  RECEIVED                 FORM          STATUS  SUBSCRIBER KEY
60  2026-06-20 00:00:00.000  registration  failed  k
8   2026-06-20 00:00:00.000  registration  failed  k
7   2026-06-20 00:00:00.000  registration  failed  k

More with --cursor 7
`, "\rLooked back to 2026-06-22 00:00:00.000, found 0 … \rLooked back to 2026-06-21 00:00:00.000, found 1 … \n"}
	if diff := cmp.Diff(want, run{status, stdout, stderr}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"limit=3&state=failed", "cursor=100&limit=3&state=failed", "cursor=50&limit=2&state=failed"}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// What waits says what for; an attempt that has not left says so; tries are told apart from
// attempts; and what goes with a discarded step is named.
func TestShowDelivery(t *testing.T) {
	t.Parallel()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/deliveries/discard" {
			fmt.Fprint(w, `{"count":2,"later_steps":1}`)
			return
		}
		fmt.Fprint(w, `{"id":"x.1","registration":"x","form":"f","destination":"data_extension:d","step":1,"state":"pending","tries":1,"subscriber_key":"k",
			"received_at":"2026-06-20T00:00:00Z","waits":"destination","waits_reason":"its destination, which is blocked: no scope","values":{"a":1},
			"attempts":[{"number":1,"started_at":"2026-06-20T00:00:01Z","took_ms":1.5,"outcome":"retry","status":500,"code":0,"detail":"500"},
			{"number":2,"started_at":"2026-06-20T00:00:02Z","took_ms":2,"outcome":"blocked","status":401,"code":0,"detail":"no access token: 401","not_sent":true,"hint":"check client_id"}],
			"later_steps":[{"id":"x.2","destination":"journey:j","state":"waiting"}]}`)
	}))
	defer gateway.Close()
	environ := []string{"ONRAMP_ADMIN_LISTEN=" + strings.TrimPrefix(gateway.URL, "http://")}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"deliveries", "show", "x.1"}, `delivery        x.1
destination     data_extension:d
state           pending
tries           1 (of 2 attempts, these count towards giving up)
subscriber key  k
waits for       its destination, which is blocked: no scope
later step      x.2 to journey:j, waiting; it would be discarded with this one
columns         {"a":1}

attempt 1 at 2026-06-20 00:00:01.000, 1.5 ms: retry
  500

attempt 2 at 2026-06-20 00:00:02.000, 2.0 ms: blocked
  not sent: no access token: 401
  hint    check client_id

What 401 means: onramp explain 401
`},
		{[]string{"deliveries", "discard", "--all", "--reason", "a test"}, `Discarded 2 deliveries.
Also discarded the later steps that waited for them: 1 delivery.
`},
	} {
		status, stdout, stderr := onramp(t.Context(), environ, c.args...)
		if diff := cmp.Diff(c.want, stdout); status != 0 || stderr != "" || diff != "" {
			t.Errorf("%v: status %d, %s (-want +got):\n%s", c.args, status, stderr, diff)
		}
	}
}
