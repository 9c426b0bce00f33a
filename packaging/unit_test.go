package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onramp/internal/config"
	"onramp/internal/tooltest"
)

// loaded is the configuration of a file's text.
func loaded(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "onramp.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, environ)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// filledIn is what onramp init writes, with what people have to fill in.
func filledIn() string {
	return strings.Replace(string(config.Template("")), "mc0123456789abcdefghijklmnop", "mc0123456789abcdefghijklmnoq", 1)
}

// What waits for the end of the gateway does so for longer than the gateway waits for its
// requests.
func TestGrace(t *testing.T) {
	t.Parallel()
	drain := loaded(t, filledIn(), "SFMC_CLIENT_ID=id", "SFMC_CLIENT_SECRET=secret").Drain
	for file, setting := range map[string]string{
		"systemd/onramp.service": "\nTimeoutStopSec=40\n", "docker/compose.yaml": "\n    stop_grace_period: 40s ",
		"helm/onramp/templates/_helpers.tpl": "\n  terminationGracePeriodSeconds: 40\n",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), setting) || drain+10*time.Second > 40*time.Second {
			t.Errorf("%s has no %q, or drain_timeout, %s, is too long for it", file, setting, drain)
		}
	}
}

// systemd finds little that the process could do without.
func TestUnitSecurity(t *testing.T) {
	t.Parallel()
	analyze := exec.Command(tooltest.Program(t, "systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", "systemd/onramp.service")
	if out, err := analyze.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
