package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

const setupConfig = `
database: %s
public: { listen: "%[2]s", url: "http://%[2]s" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%[3]s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
oauth:
  clients: [{ id: mc, secret: a-secret-of-the-client }]
  users: [{ name: user, password: a-password }]
forms:
  registration:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
ens:
  callbacks:
    events:
      auth: %[4]s
      subscriptions:
        - { name: sends, types: [TransactionalSendEvents.EmailSent] }
        - { name: paused, types: [EngagementEvents.EmailOpen], paused: true }
`

// TestSetupKilled kills the gateway before and after each call by which a set-up
// changes Marketing Cloud. The next set-up ends with everything there once, and
// the one after it changes nothing.
func TestSetupKilled(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"client_credentials", "password", "none"} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			kills := 0
			for call := int64(1); ; call++ {
				before, after := setUpKilled(t, auth, call, false), setUpKilled(t, auth, call, true)
				if !before && !after {
					break
				}
				kills += 2
			}
			calls := map[string]int{"client_credentials": 6, "password": 6, "none": 5}[auth]
			if kills < 2*calls {
				t.Errorf("killed %d times; a set-up has %d calls at least", kills, calls)
			}
			t.Logf("%d kills", kills)
		})
	}
}

// setUpKilled kills a gateway at one of its set-up's calls, when that has arrived
// or when it was carried out, and has another one set up again. It is false when
// there was no such call.
func setUpKilled(t *testing.T, auth string, call int64, afterwards bool) bool {
	t.Helper()
	cloud := sandbox.New(sandbox.Config{Activation: -1})
	var kill atomic.Pointer[func()]
	var changes atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		meant := false
		if strings.HasPrefix(r.URL.Path, "/platform/v1/ens-") && r.Method != http.MethodGet {
			meant = changes.Add(1) == call
		}
		end := kill.Load()
		if meant && end != nil && !afterwards {
			(*end)()
			panic(http.ErrAbortHandler)
		}
		answer := httptest.NewRecorder()
		cloud.ServeHTTP(answer, r)
		if meant && end != nil {
			(*end)()
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(proxy.Close)
	path := filepath.Join(t.TempDir(), "onramp.yaml")
	text := fmt.Sprintf(setupConfig, filepath.Join(t.TempDir(), "onramp.db"), webtest.FreeAddress(t), proxy.URL, auth)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	g := start(t, path)
	killed := false
	end := func() {
		killed = true
		_ = g.cmd.Process.Kill() // the rest of it is waited for below
	}
	kill.Store(&end)
	_, _ = g.setUp()
	kill.Store(nil)
	g.kill()
	if !killed {
		return false
	}

	g = start(t, path)
	if failed, err := g.setUp(); err != nil || failed != "" {
		t.Fatalf("after a kill at call %d (afterwards: %v) the set-up failed: %s %v; it said: %s", call, afterwards, failed, err, g.said())
	}
	before := changes.Load()
	if failed, err := g.setUp(); err != nil || failed != "" || changes.Load() != before {
		t.Errorf("once more it made %d changes: %s %v", changes.Load()-before, failed, err)
	}
	state := cloud.State()
	var subscriptions []string
	for _, s := range state.Subscriptions {
		subscriptions = append(subscriptions, s.Name+" "+s.Status)
	}
	if len(state.Callbacks) != 1 || state.Callbacks[0].Status != "verified" || fmt.Sprint(subscriptions) != "[sends active paused paused]" {
		t.Errorf("after a kill at call %d (afterwards: %v) there are %+v and %v", call, afterwards, state.Callbacks, subscriptions)
	}
	sendOne(t, cloud)
	eventually(t, "an event", patience, func() bool {
		var status struct {
			Callbacks []struct {
				LastEvent *time.Time `json:"last_event"`
				Wrong     []any
			}
		}
		g.get("/api/ens", &status)
		if len(status.Callbacks) != 1 || len(status.Callbacks[0].Wrong) > 0 {
			t.Fatalf("the status is %+v", status)
		}
		return status.Callbacks[0].LastEvent != nil
	})
	g.kill()
	return true
}

// sendOne has the sandbox send an event.
func sendOne(t *testing.T, cloud http.Handler) {
	t.Helper()
	answer := httptest.NewRecorder()
	cloud.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/_sandbox/events", strings.NewReader(`{"type":"EmailSent"}`)))
	if answer.Code != http.StatusAccepted {
		t.Fatalf("the sandbox answered %d: %s", answer.Code, answer.Body)
	}
}

// setUp does what onramp ens setup does. It returns why it stopped.
func (g *gateway) setUp() (failed string, err error) {
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.admin+"/api/ens/setup", bytes.NewBufferString("{}"))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer operator-of-the-test")
	response, err := g.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Failed *struct{ Step, Cause string }
		Detail string
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.Failed != nil {
		return answer.Failed.Step + ": " + answer.Failed.Cause, nil
	}
	return answer.Detail, nil
}
