package sandbox_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Definitions that exist are shown with what clients look at.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for target, want := range map[string]map[string]any{
		"/interaction/v1/eventDefinitions/key:APIEvent-sandbox-welcome": {
			"eventDefinitionKey": "APIEvent-sandbox-welcome", "type": "APIEvent", "publishedInteractionCount": 1.0,
		},
		"/messaging/v1/email/definitions/welcome": {"definitionKey": "welcome", "status": "Active"},
	} {
		w := send(t, s, "GET", target, "", auth)
		var all map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
		got := map[string]any{}
		for name := range want {
			got[name] = all[name]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
}
