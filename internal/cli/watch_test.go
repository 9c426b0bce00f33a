//go:build unix

package cli_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/sandbox"
)

// TestWatch runs a gateway in its own process that watches over the arrival of what it
// sends to a sandbox.
func TestWatch(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "watch"),
		Setup: func(e *testscript.Env) error {
			account := sandbox.New(sandbox.Config{Activation: -1})
			cloud := httptest.NewServer(account)
			e.Defer(cloud.Close)
			e.Setenv("SANDBOX", cloud.URL)
			alerted := &alertLog{}
			alerts := httptest.NewServer(alerted)
			e.Defer(alerts.Close)
			e.Setenv("ALERTS", "generic+"+alerts.URL)
			e.Values["account"], e.Values["alerts"] = account, alerted
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"gateway": func(ts *testscript.TestScript, _ bool, _ []string) { startServe(t, ts) }, "hangup": hangUp, "post": post, "await": await,
			"account": changeAccount, "fault": setFaults, "nothing": awaitNothing, "alerts": printAlerts,
		},
	})
}

// awaitNothing is "nothing": it waits until the data extension is empty, and demands that
// nobody has entered the journey.
func awaitNothing(ts *testscript.TestScript, _ bool, _ []string) {
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		state := ts.Value("account").(*sandbox.Sandbox).State()
		if contacts := state.Journeys[sandbox.WelcomeEventKey].Contacts; len(contacts) > 0 {
			ts.Fatalf("%d canaries are in the journey", len(contacts))
		}
		rows := state.DataExtensions[sandbox.RegistrationsKey].Rows
		if len(rows) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("there are rows: %v", rows)
		}
	}
}

// setFaults is "fault JSON": it replaces the sandbox's faults.
func setFaults(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodPut, ts.Getenv("SANDBOX")+"/_sandbox/faults", strings.NewReader(args[0]))
	ts.Check(err)
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		ts.Fatalf("answered %d %s", response.StatusCode, body)
	}
}
