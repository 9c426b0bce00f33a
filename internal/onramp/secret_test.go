package onramp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"onramp/internal/onramp"
)

// However a secret is printed, it says "redacted".
func TestSecret(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2"
	secret := onramp.Secret(hidden)
	if secret.Reveal() != hidden {
		t.Error("Reveal should give the secret")
	}
	holder := struct {
		Token *onramp.Secret
		Many  map[string][]onramp.Secret
	}{&secret, map[string][]onramp.Secret{"key": {secret}}}

	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%f", "%c", "%U", "%20s", "%.3s"} {
		fmt.Fprintf(&printed, verb+"\n", secret)
		fmt.Fprintf(&printed, verb+"\n", []onramp.Secret{secret})
	}
	fmt.Fprintln(&printed, secret, holder.Many, errors.New("with "+secret.String()), fmt.Errorf("with %v", secret))
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("message", "secret", secret, "holder", holder, slog.Group("group", "secret", &secret))
	}
	if err := json.NewEncoder(&printed).Encode(holder); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(printed.String(), leak) {
			t.Errorf("%q was printed:\n%s", leak, printed.String())
		}
	}
	if n := strings.Count(printed.String(), "redacted"); n < 30 {
		t.Errorf("says redacted %d times:\n%s", n, printed.String())
	}
}

// A form that is printed does not show the secret that makes its keys.
func TestSecretOfForm(t *testing.T) {
	t.Parallel()
	form := onramp.NewForm(contractForm(), "hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if printed := fmt.Sprintf(verb, form) + fmt.Sprintf(verb, *form); strings.Contains(printed, "hunter2") {
			t.Errorf("%s shows the secret: %s", verb, printed)
		}
	}
}
