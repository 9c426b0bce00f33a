package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"onramp/internal/cli"
	"onramp/internal/sandbox"
)

// serving runs onramp serve until the test ends and returns its line ready.
func serving(t *testing.T, environ []string, args ...string) (ready map[string]any) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		status := cli.Main(ctx, append([]string{"serve"}, args...), cli.System{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: writer, Environ: environ,
		})
		writer.Close()
		ended <- status
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("serve ended with %d", status)
		}
	})
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(lines.Text())
		}
		if line["msg"] == "ready" {
			go func() { _, _ = io.Copy(io.Discard, reader) }()
			return line
		}
	}
	t.Fatal("serve did not become ready")
	return nil
}

// The first serve and status after init work together, by the token that init made.
func TestInit(t *testing.T) {
	t.Parallel()
	cloud := httptest.NewServer(sandbox.New(sandbox.Config{}))
	t.Cleanup(cloud.Close)
	config := filepath.Join(t.TempDir(), "my onramp.yaml")
	token := strings.TrimSuffix(config, ".yaml") + ".admin-token"
	status, stdout, stderr := onramp(t.Context(), nil, "init", "--config", config)
	if status != 0 || !strings.HasSuffix(stdout, "then run: onramp serve --config '"+config+"'\n") {
		t.Fatalf("init ended with %d: %s%s", status, stdout, stderr)
	}
	if info, err := os.Stat(token); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	environ := []string{
		"ONRAMP_DATABASE=" + filepath.Join(filepath.Dir(config), "onramp.db"), "ONRAMP_PUBLIC_LISTEN=127.0.0.1:0", "ONRAMP_ADMIN_LISTEN=127.0.0.1:0",
		"ONRAMP_MARKETING_CLOUD_AUTH_URL=" + cloud.URL, "SFMC_CLIENT_ID=" + sandbox.ClientID, "SFMC_CLIENT_SECRET=" + sandbox.ClientSecret,
	}
	ready := serving(t, environ, "--config", config)
	admin := strings.TrimPrefix(ready["admin"].(string), "http://")
	status, stdout, stderr = onramp(t.Context(), []string{"ONRAMP_ADMIN_LISTEN=" + admin}, "status", "--config", config)
	if status != 0 || !strings.Contains(stdout, "data_extension:Web_Registrations") {
		t.Errorf("status ended with %d: %s%s", status, stdout, stderr)
	}

	// a token that is there stays
	before, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = onramp(t.Context(), nil, "init", "--config", config)
	if after, err := os.ReadFile(token); status != 0 || string(after) != string(before) || err != nil {
		t.Errorf("the second init ended with %d, the token is %q after %q: %v %s", status, after, before, err, stderr)
	}
	if !strings.Contains(stdout, "which was there already") {
		t.Errorf("the second init printed %s", stdout)
	}

	// no configuration is left that refers to a token that could not be written: the
	// longer name is too long
	long := filepath.Join(t.TempDir(), strings.Repeat("n", 245)+".yaml")
	status, _, _ = onramp(t.Context(), nil, "init", "--config", long)
	if _, err := os.Stat(long); status != 1 || err == nil {
		t.Errorf("without its token init ended with %d, and has left %v", status, err)
	}
}
