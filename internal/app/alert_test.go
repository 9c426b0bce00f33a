package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onramp/internal/sandbox"
)

// What Marketing Cloud or a proxy in between says reaches nobody's chat as a link, a
// mention or an address, and neither does what the token endpoint says.
func TestAlertsHoldNoMarkup(t *testing.T) {
	t.Parallel()
	const said = "Insufficient privileges <!channel> @here, see <https://evil.example.net/login|the details> or evil.example.net, " +
		"**ask** ana@example.org at 192.0.2.7:8443, [token](mailto:b@example.org) eyJhbGciOiJFZERTQSJ9eyJzdWIiOiIxIn0"
	for name, row := range map[string]struct {
		path, want string
		status     int
	}{
		"a call":             {"/hub/", "cause: 403: Insufficient privileges channel … see … details or …, ask … at … … …", 403},
		"the token endpoint": {"/v2/token", "cause: no access token: 401: Insufficient privileges channel … see … details or …, ask … at … … …", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alerts := make(chan string, 100)
			chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				alerts <- string(body)
			}))
			t.Cleanup(chat.Close)
			w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Activation: -1})}
			cloud := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, row.path) {
					w.sandbox.ServeHTTP(rw, r)
					return
				}
				body, _ := json.Marshal(map[string]string{"message": said, "error_description": said})
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(row.status)
				_, _ = rw.Write(body)
			}))
			t.Cleanup(cloud.Close)
			w.cloud = cloud.URL
			w.start(func(cfg string) string {
				return `alerts: ["generic+` + chat.URL + `/"]` + "\n" + cfg
			}, t.TempDir()+"/onramp.db")
			w.post(`{"email":"user@example.org"}`, nil)
			var alert struct{ Title, Message string }
			if err := json.Unmarshal([]byte(<-alerts), &alert); err != nil {
				t.Fatal(err)
			}
			cause, _, _ := strings.Cut(alert.Message, "\n")
			if !strings.HasPrefix(cause, row.want) {
				t.Errorf("the alert says %q, want %q", cause, row.want)
			}
			if whole := alert.Title + alert.Message; strings.ContainsAny(whole, "<>@*[]|`~") || strings.Contains(whole, "example") || strings.Contains(whole, "eyJ") {
				t.Errorf("the alert is %+v", alert)
			}
		})
	}
}
