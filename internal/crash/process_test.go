package crash_test

import (
	"bufio"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

// killGateway kills the gateway in the middle of its work, and now and then
// while it starts.
func killGateway(t *testing.T) []tally {
	w := newWorld(t)
	w.route = journeyStep
	folder := t.TempDir()
	config := w.configure(folder)
	n := rounds(8, 250)
	for round := range n {
		if round%4 == 3 {
			g, _ := launch(t, config)
			moment(0, 100*time.Millisecond)
			g.kill()
			continue
		}
		w.block(either()) // what is killed with much to deliver, and with nothing
		g := start(t, config)
		stop := w.busy(g)
		g.kill()
		stop()
	}
	w.block(false)
	g := start(t, config)
	rows, events := w.tally(g, row, n), w.tally(g, event, n)
	rows.fault, events.fault = ", data extension", ", journey"
	if rows.accepted < n {
		t.Errorf("only %d registrations were answered", rows.accepted)
	}
	if aside, err := filepath.Glob(filepath.Join(folder, "*.left-*")); err != nil || len(aside) > 0 {
		t.Errorf("its own write-ahead log was moved aside: %q %v", aside, err)
	}
	return []tally{rows, events}
}

// killSandbox does to the other side what killGateway does to this one.
func killSandbox(t *testing.T) []tally {
	w := newWorld(t)
	cloud := startSandbox(t)
	w.recorder.pointTo(t, cloud.url)
	g := start(t, w.configure(t.TempDir()))
	stop := w.stream(g, 2)
	n := rounds(3, 200)
	for range n {
		moment(50*time.Millisecond, 300*time.Millisecond)
		cloud.kill()
		moment(0, 200*time.Millisecond)
		cloud = startSandbox(t)
		w.recorder.pointTo(t, cloud.url)
	}
	stop()
	return []tally{w.tally(g, row, n)}
}

// cloud is onramp sandbox in a separate process.
type cloud struct {
	cmd *exec.Cmd
	url string
}

func startSandbox(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{cmd: program(t, "onramp", "sandbox", "--listen", "127.0.0.1:0")}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	first, err := bufio.NewReader(stdout).ReadString(',')
	if err != nil {
		t.Fatalf("onramp sandbox did not start: %v", err)
	}
	c.url = strings.TrimSuffix(first[strings.Index(first, "http://"):], ",")
	return c
}

func (c *cloud) kill() {
	_ = c.cmd.Process.Kill() // it may have ended already
	_ = c.cmd.Wait()
}

// breakTokens takes all tokens away and gives out no new ones for a while.
func breakTokens(t *testing.T) []tally {
	w := newWorld(t)
	g := start(t, w.configure(t.TempDir()))
	stop := w.stream(g, 2)
	kinds := []sandbox.Fault{
		{Match: "/v2/token", Status: 503},
		{Match: "/v2/token", Name: sandbox.FaultDropRequest},
		{Match: "/v2/token", Status: 401},
		{Match: "/v2/token", Status: 429},
	}
	n := rounds(1, 20)
	for round := range n {
		moment(50*time.Millisecond, 200*time.Millisecond)
		w.fault(kinds[round%len(kinds)], sandbox.Fault{Name: sandbox.FaultRevokeTokens})
		eventually(t, "a destination that is not running", 10*time.Second, func() bool { return !g.isDelivering() })
		w.fault()
		eventually(t, "a destination that runs again", patience, g.isDelivering)
	}
	stop()
	return []tally{w.tally(g, row, n)}
}

// terminate asks the gateway to stop while much is waiting.
func terminate(t *testing.T) []tally {
	w := newWorld(t)
	config := w.configure(t.TempDir())
	n, waiting := rounds(1, 5), rounds(1000, 10_000)
	for range n {
		release := w.recorder.hold()
		t.Cleanup(release)
		g := start(t, config)
		stop := w.stream(g, 32)
		eventually(t, "enough are waiting", patience, func() bool { return g.status().underway() >= int64(waiting) })
		// what is in flight is answered a little later, the rest after the next start
		time.AfterFunc(rand.N(time.Second), release)
		g.stop()
		stop()
		g = start(t, config)
		g.settled()
		g.kill()
	}
	result := w.tally(start(t, config), row, n)
	result.fault = map[bool]string{true: " (10,000)", false: " (1,000)"}[waiting == 10_000]
	return []tally{result}
}
