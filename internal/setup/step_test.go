package setup_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/setup"
)

// Scripts read "what"; the command line reads kind and object.
func TestStepJSON(t *testing.T) {
	t.Parallel()
	steps := []setup.Step{
		{Kind: setup.Create, Object: setup.Callback, Name: "events", Detail: "at an address"},
		{Kind: setup.Regenerate, Object: setup.SignatureKey, Name: "events"},
		{Kind: setup.Leave, Object: setup.Subscription, Name: "old", Kept: true},
	}
	const want = `[{"what":"create callback","kind":"create","object":"callback","name":"events","detail":"at an address","kept":false},` +
		`{"what":"regenerate signature key of callback","kind":"regenerate","object":"signature key of callback","name":"events","kept":false},` +
		`{"what":"leave subscription","kind":"leave","object":"subscription","name":"old","kept":true}]`
	text, err := json.Marshal(steps)
	if err != nil || string(text) != want {
		t.Errorf("got  %s, %v\nwant %s", text, err, want)
	}
	var read []setup.Step
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steps, read); diff != "" {
		t.Error(diff)
	}
}
