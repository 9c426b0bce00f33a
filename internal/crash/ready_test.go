package crash_test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk that takes no more is told by /readyz before anybody registers, and its end,
// too; the process is alive all the while.
func TestReadyOnDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		begin  func(*disk)
		end    func(*disk)
		reason string
	}{
		{"full", func(d *disk) { d.fill(0) }, (*disk).emptied, "disk"},
		{"read-only", func(d *disk) { d.refuse(syscall.EROFS) }, func(d *disk) { d.refuse(0) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, d := newWorld(t), newDisk()
			folder, _ := d.mount(t)
			config := w.configure(folder)
			g := start(t, config)
			readyz := func(args ...string) (said string, done bool) {
				cmd := program(t, "onramp", append([]string{"readyz", "--config", config}, args...)...)
				cmd.Env = append(os.Environ(), "ONRAMP_ADMIN_LISTEN="+strings.TrimPrefix(g.admin, "http://"))
				out, err := cmd.CombinedOutput()
				return string(out), err == nil
			}
			if said, done := readyz("--wait", "20s"); !done {
				t.Fatalf("it is not ready: %s", said)
			}
			c.begin(d)
			eventually(t, "it is not ready", time.Minute, func() bool { _, done := readyz(); return !done })
			said, _ := readyz()
			if !strings.HasPrefix(said, "onramp: not ready: ") || !strings.Contains(said, c.reason) {
				t.Errorf("readyz says %q", said)
			}
			answer, err := g.client.Get(g.admin + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("/healthz answers %s", answer.Status)
			}
			c.end(d)
			if said, done := readyz("--wait", "20s"); !done {
				t.Errorf("it is not ready again: %s", said)
			}
		})
	}
}
