//go:build unix

package cli_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// serviceManager is what systemd is to the gateway that it has started.
type serviceManager struct {
	t      *testing.T
	socket *net.UnixConn
	cmd    *exec.Cmd
}

// startManaged starts a gateway whose configuration is written to a file.
func startManaged(t *testing.T, config string) (m *serviceManager, file string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "onramp") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	m = &serviceManager{t: t}
	address := filepath.Join(folder, "notify")
	if m.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.socket.Close() })
	file = filepath.Join(folder, "onramp.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command(self, "serve", "--config", file)
	m.cmd.Args[0] = "onramp" // by this name the test binary knows what it is
	m.cmd.Dir = folder
	m.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address)
	m.cmd.Stderr = new(bytes.Buffer)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.cmd.Process.Kill() })
	return m, file
}

// expect waits for the next message, which must match.
func (m *serviceManager) expect(pattern string) {
	m.t.Helper()
	message := make([]byte, 1024)
	if err := m.socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		m.t.Fatal(err)
	}
	n, err := m.socket.Read(message)
	if err != nil {
		m.t.Fatalf("%v instead of a message; the log: %s", err, m.cmd.Stderr)
	}
	if !regexp.MustCompile("^" + pattern + "$").Match(message[:n]) {
		m.t.Errorf("the gateway said %q, want %s", message[:n], pattern)
	}
}

// systemd is told when the gateway serves, when a reload begins and ends, what came of it,
// and when the end begins.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	config := `database: managed.db
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: 0123456789abcdef }
marketing_cloud: { auth_url: http://127.0.0.1:1, client_id: id, client_secret: secret }
forms:
  registration:
    subscriber_key: email
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
`
	m, file := startManaged(t, config)
	m.expect("READY=1")
	reloads := func(wanted string) {
		t.Helper()
		if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.expect("RELOADING=1\nMONOTONIC_USEC=[0-9]+")
		m.expect("READY=1\nSTATUS=" + wanted)
	}
	reloads("configuration reloaded")
	if err := os.WriteFile(file, []byte(config+"nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reloads("configuration not reloaded, the previous one stays in effect: see the journal, or onramp status")
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.expect("STOPPING=1\nSTATUS=finishing the requests in flight")
	if err := m.cmd.Wait(); err != nil {
		t.Errorf("%v; the log: %s", err, m.cmd.Stderr)
	}
}
