package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"onramp/internal/cli"
	"onramp/internal/config"
	"onramp/internal/keyset"
)

// What keys new prints is a part of a configuration as it stands, and each
// secret in it works.
func TestKeysNewIsAConfiguration(t *testing.T) {
	t.Parallel()
	const rest = `
marketing_cloud: { subdomain: mc0, client_id: a, client_secret: b }
forms: { f: { fields: [ { name: email, column: Email, type: email, required: true } ], route: [ { data_extension: { key: K } } ] } }
`
	var out, problems bytes.Buffer
	if status := cli.Main(t.Context(), []string{"keys", "new"}, cli.System{Stdout: &out, Stderr: &problems}); status != 0 {
		t.Fatalf("status %d: %s", status, problems.String())
	}
	text := out.String()
	for _, commented := range []string{"# sinks:", "#   - name", "#     webhook"} {
		if !strings.Contains(text, commented) {
			t.Errorf("the text has no %q:\n%s", commented, text)
		}
		text = strings.ReplaceAll(text, commented, strings.TrimPrefix(commented, "# "))
	}
	c, err := config.Parse("onramp.yaml", []byte(text+rest), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if _, err := keyset.Open(c.EncryptionKey); err != nil {
		t.Error(err)
	}
	if len(c.OAuth.Clients) != 1 || len(c.OAuth.Users) != 1 || len(c.Sinks) != 1 || len(c.Admin.Token) != 43 {
		t.Errorf("got %+v, want a client, a user, a sink and a token", c)
	}
}
