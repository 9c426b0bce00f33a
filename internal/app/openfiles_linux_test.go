package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"onramp/internal/web"
)

// openFiles names the variable that makes a copy of this test the gateway.
const openFiles = "ONRAMP_TEST_OPEN_FILES"

// TestOpenFiles opens more connections to the public listener than the process
// may have files: registrations, operators and deliveries go on.
func TestOpenFiles(t *testing.T) {
	if os.Getenv(openFiles) != "" {
		serveWithFewFiles(t)
		return
	}
	t.Parallel()
	const connections = 600
	if web.OpenFiles() < 4*connections {
		t.Skip("this test needs more open files itself")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenFiles$")
	child.Env = append(os.Environ(), openFiles+"=256")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var at struct{ Public, Admin string }
	if err := json.NewDecoder(stdout).Decode(&at); err != nil {
		t.Fatal(err)
	}
	for range connections {
		c, err := net.Dial("tcp", strings.TrimPrefix(at.Public, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") // from then on it is kept alive
	}
	client := &http.Client{Timeout: 20 * time.Second}
	status, err := client.Get(at.Admin + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer status.Body.Close()
	if status.StatusCode != http.StatusOK {
		t.Errorf("the operator was answered %s", status.Status)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", at.Public+"/v1/forms/registration/registrations", strings.NewReader(`{"email":"user@example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", wait)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Errorf("a registration was answered %s, want 201: it is delivered", response.Status)
	}
	_ = stdin.Close() // which ends it
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// serveWithFewFiles runs a gateway until stdin is closed, and says where it is.
func serveWithFewFiles(t *testing.T) {
	var files uint64
	if _, err := fmt.Sscan(os.Getenv(openFiles), &files); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = files
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	at := map[string]string{"Public": w.gateway.PublicURL(), "Admin": w.gateway.AdminURL()}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
