package cli_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

const egressConfig = `
database: onramp.db
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "http://127.0.0.1:1", client_id: a, client_secret: b }
alerts: [ "generic+ELSEWHERE", "generic+http://169.254.169.254/latest", "gotify://169.254.169.254/Aaa.bbb.ccc.ddd?disabletls=yes" , "ntfy://169.254.169.254/topic?scheme=http" ]
watch: { disk_free: 1000000TB }
forms:
  registration:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
`

// An alert receiver that redirects elsewhere, and one at the metadata service of a cloud,
// get no further, though a library makes these calls.
func TestAlertsStayOutside(t *testing.T) {
	t.Parallel()
	var inside atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	t.Cleanup(other.Close)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(receiver.Close)
	folder := t.TempDir()
	text := strings.Replace(egressConfig, "ELSEWHERE", receiver.URL, 1)
	if err := os.WriteFile(filepath.Join(folder, "onramp.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "serve")
	cmd.Args[0], cmd.Dir = "onramp", folder
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	why := map[string]string{}
	for lines := bufio.NewScanner(stderr); len(why) < 4 && lines.Scan(); {
		var line struct{ Msg, Receiver, Err string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "alert failed, will retry" {
			why[line.Receiver] = line.Err
		}
	}
	for name, want := range map[string]string{
		"alerts[0]": "redirects to another host or scheme", "alerts[1]": "metadata service", "alerts[2]": "metadata service", "alerts[3]": "metadata service",
	} {
		if !strings.Contains(why[name], want) {
			t.Errorf("%s: %q, want %q", name, why[name], want)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d calls have arrived inside", n)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = stderr.Read(make([]byte, 1))
	_ = cmd.Wait()
}
