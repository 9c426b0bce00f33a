package config_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
)

// A value can be a secret in Vault, also one in a list or in a variable; each mistake is
// reported at its line, with path and key and without a value.
func TestVault(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.Header.Get("X-Vault-Token") != "hvs.x" || r.URL.Path != "/v1/secret/data/onramp" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"data":{"data":{"client_secret":"s3cret","admin":"0123456789abcdef","alert":"generic+https://example.com/x"}}}`)
	}))
	t.Cleanup(server.Close)
	environ := []string{"VAULT_ADDR=" + server.URL, "VAULT_TOKEN=hvs.x", "ONRAMP_ADMIN_TOKEN=${vault:secret/data/onramp#admin}"}
	const file = `marketing_cloud: { subdomain: mc1, client_id: a, client_secret: "${vault:secret/data/onramp#client_secret}" }
alerts: [ "${vault:/secret/data/onramp#alert}" ]
`
	c, err := config.Parse("onramp.yaml", []byte(file+shortForms), environ)
	if err != nil {
		t.Fatal(err)
	}
	if c.MarketingCloud.ClientSecret.Reveal() != "s3cret" || c.Admin.Token.Reveal() != "0123456789abcdef" || c.Alerts[0].Reveal() != "generic+https://example.com/x" || calls != 1 {
		t.Errorf("read %v %v %v by %d calls", c.MarketingCloud.ClientSecret.Reveal(), c.Admin.Token.Reveal(), c.Alerts, calls)
	}
	const hint = "is not a valid reference to Vault: use ${vault:secret/data/path#key}"
	wrong := strings.NewReplacer("data/onramp#client_secret", "data/other#x", "#alert", "").Replace(file) + "log: { level: \"${vault:a/../b#c}\" }\n" + "database: \"x${vault:secret/data/onramp#a}\"\n"
	_, err = config.Parse("onramp.yaml", []byte(wrong+shortForms), environ[:2])
	if diff := cmp.Diff([]config.Problem{
		{Line: 1, Path: "marketing_cloud.client_secret", Message: "read secret/data/other in Vault: 404: there is no such secret, or it was deleted"},
		{Line: 2, Path: "alerts[0]", Message: hint},
		{Line: 3, Path: "log.level", Message: hint},
		{Line: 4, Path: "database", Message: "a reference must be the whole value: move the rest of the text into the variable, file or secret"},
	}, problems(t, err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
