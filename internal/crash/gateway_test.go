package crash_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gateway is onramp serve in a separate process.
type gateway struct {
	t             *testing.T
	cmd           *exec.Cmd
	public, admin string
	client        *http.Client
	ended         chan struct{} // closed when its standard error is
	wait          func() error

	mu     sync.Mutex
	stderr bytes.Buffer
}

// launch starts onramp serve. It yields whether it became ready, else it has ended.
func launch(t *testing.T, config string) (g *gateway, ready <-chan bool) {
	t.Helper()
	g = &gateway{
		t: t, cmd: program(t, "onramp", "serve", "--config", config), ended: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute},
	}
	g.wait = sync.OnceValue(g.cmd.Wait)
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	became := make(chan bool, 2)
	go func() {
		defer close(g.ended)
		defer func() { became <- false }()
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Msg, Public, Admin string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				g.public, g.admin = line.Public, line.Admin
				became <- true
			}
			if line.Msg != "request" {
				g.keep(lines.Bytes())
			}
		}
	}()
	t.Cleanup(g.kill)
	return g, became
}

func start(t *testing.T, config string) *gateway {
	t.Helper()
	g, ready := launch(t, config)
	if !<-ready {
		t.Fatalf("onramp serve did not start: %s", g.said())
	}
	return g
}

// keep remembers the end of what it says.
func (g *gateway) keep(line []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stderr.Len() > 1<<16 {
		g.stderr.Reset()
	}
	g.stderr.Write(append(line, '\n'))
}

func (g *gateway) said() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stderr.String()
}

// kill ends the process as a crash would: at once.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill() // it may have ended already
	g.await()
}

// await waits until the process has ended, and returns its exit status; -1 when
// it was killed.
func (g *gateway) await() int {
	<-g.ended
	err := g.wait()
	g.client.CloseIdleConnections()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	} else if err != nil {
		g.t.Errorf("wait for onramp serve: %v", err)
	}
	return 0
}

// answer is what the gateway said to a registration.
type answer struct {
	status     int
	id         string
	retryAfter string
}

func (a answer) accepted() bool { return a.status/100 == 2 }

// register sends a registration; an error means that no whole answer came.
func (g *gateway) register(ctx context.Context, address, number string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.public+"/v1/forms/registration/registrations",
		strings.NewReader(`{"email":"`+address+`","number":"`+number+`"}`))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := g.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	var said struct{ ID string }
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return answer{}, fmt.Errorf("answer %s is no JSON: %w", response.Status, err)
	}
	return answer{response.StatusCode, said.ID, response.Header.Get("Retry-After")}, nil
}

// status is what /api/status says.
type status struct {
	Accepted                  int64
	Registrations, Deliveries map[string]int64
	Destinations              []destination
}

type destination struct{ Name, State, Reason string }

// underway counts the deliveries that something will still happen to by itself.
func (s status) underway() int64 {
	return s.Deliveries["pending"] + s.Deliveries["waiting"] + s.Deliveries["sending"] + s.Deliveries["submitted"]
}

func (g *gateway) status() status {
	g.t.Helper()
	var s status
	if code := g.get("/api/status", &s); code != http.StatusOK {
		g.t.Fatalf("/api/status answered %d", code)
	}
	return s
}

// isDelivering says whether all destinations are running.
func (g *gateway) isDelivering() bool {
	g.t.Helper()
	return !slices.ContainsFunc(g.status().Destinations, func(d destination) bool { return d.State != "running" })
}

// settled waits until nothing is on its way any more. What still is after a long
// time is stranded.
func (g *gateway) settled() (s status) {
	g.t.Helper()
	holds := func() bool {
		s = g.status()
		return s.underway() == 0
	}
	if !within(patience, holds) {
		g.t.Errorf("still on its way after %v: %+v; it said: %s", patience, s, g.said())
	}
	return s
}

// registrations lists all that it knows, by id, with their states.
func (g *gateway) registrations() map[string]string {
	g.t.Helper()
	all := map[string]string{}
	for cursor := ""; ; {
		var page struct {
			Items []struct{ ID, Status string }
			Next  string
		}
		if code := g.get("/api/registrations?limit=500&cursor="+url.QueryEscape(cursor), &page); code != http.StatusOK {
			g.t.Fatalf("/api/registrations answered %d", code)
		}
		for _, r := range page.Items {
			all[r.ID] = r.Status
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// stop asks it to end, which it must do by itself and in time.
func (g *gateway) stop() {
	g.t.Helper()
	begin := time.Now()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	if exit := g.await(); exit != 0 {
		g.t.Errorf("exit status %d after SIGTERM: %s", exit, g.said())
	}
	if took := time.Since(begin); took > drain+5*time.Second {
		g.t.Errorf("it took %v to stop", took)
	}
}

// get asks the admin API and reads its answer when it is 200.
func (g *gateway) get(path string, into any) (code int) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.admin+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer operator-of-the-test")
	response, err := g.client.Do(r)
	if err != nil {
		g.t.Fatalf("GET %s: %v; it said: %s", path, err, g.said())
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			g.t.Fatalf("GET %s: %v", path, err)
		}
	}
	return response.StatusCode
}

// eventually asks until it holds.
func eventually(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	if !within(limit, holds) {
		t.Fatalf("%s: not within %v", what, limit)
	}
}

func within(limit time.Duration, holds func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(limit); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}
