package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/cli"
	"onramp/internal/sandbox"
)

// TestMain lets the test binary be onramp, too: in scripts, and where a test
// needs a process that it can kill.
func TestMain(m *testing.M) {
	runAtOnce()
	testscript.Main(m, map[string]func(){"onramp": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
	}})
}

// runAtOnce lets more tests run at once than there are CPUs, unless -parallel says how
// many: most of them wait for processes.
func runAtOnce() { _ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))) }

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

// gateway is an onramp process that a test may kill.
type gateway struct {
	cmd           *exec.Cmd
	public, admin string
	ended         chan struct{}
}

// startGateway starts onramp serve and returns once it is ready.
func startGateway(t *testing.T, config string) *gateway {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "serve", "--config", config)
	cmd.Args[0] = "onramp" // by this name the test binary knows what it is
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &gateway{cmd: cmd, ended: make(chan struct{})}
	ready := make(chan bool, 1)
	go func() {
		defer close(g.ended)
		defer func() { ready <- false }()
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Msg, Public, Admin string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				g.public, g.admin = line.Public, line.Admin
				ready <- true
			}
		}
	}()
	t.Cleanup(func() { g.kill() })
	if !<-ready {
		t.Fatal("onramp serve did not start")
	}
	return g
}

// kill ends the process as a crash would: at once.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill() // it may have ended already
	<-g.ended
	_ = g.cmd.Wait()
}

const killConfig = `
database: %s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
log: { level: info }
forms:
  registration:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - data_extension: { key: Web_Registrations }
      - journey: { event_definition_key: APIEvent-sandbox-welcome }
`

const killRounds = 20

// TestKill kills the gateway at random moments of a stream of registrations and
// starts it again: whatever was answered is delivered in the end.
func TestKill(t *testing.T) {
	t.Parallel()
	cloud := sandbox.New(sandbox.Config{})
	server := httptest.NewServer(cloud)
	defer server.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "onramp.yaml")
	text := fmt.Sprintf(killConfig, filepath.Join(dir, "onramp.db"), server.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	answered := map[string]string{} // id to address
	for round := range killRounds {
		g := startGateway(t, config)
		stream(t, g, round, 5+round*7, answered)
		g.kill()
	}
	g := startGateway(t, config)
	for id := range answered {
		g.awaitDelivered(t, id)
	}
	state := cloud.State()
	stored := map[any]bool{}
	for _, row := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
		stored[row["SubscriberKey"]] = true
	}
	entered := map[string]bool{}
	for _, contact := range state.Journeys[sandbox.WelcomeEventKey].Contacts {
		entered[contact.ContactKey] = true
	}
	for id, address := range answered {
		if !stored[address] || !entered[address] {
			t.Errorf("registration %s was answered and is lost: row %v, contact %v", id, stored[address], entered[address])
		}
	}
	if len(answered) < killRounds*5 {
		t.Errorf("only %d registrations were answered", len(answered))
	}
	t.Logf("%d kills, %d registrations answered, %d rows, 0 lost", killRounds, len(answered), len(stored))
}

// stream sends registrations over several connections until enough are
// answered; the others are cut off by the kill that follows.
func stream(t *testing.T, g *gateway, round, enough int, answered map[string]string) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	reached := make(chan struct{})
	var senders sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for sender := range 8 {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				address := fmt.Sprintf("r%d-s%d-%d@example.org", round, sender, i)
				id, err := register(ctx, g, address)
				if err != nil {
					return
				}
				mu.Lock()
				answered[id] = address
				if n++; n == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	<-reached
	_ = g.cmd.Process.Kill()
	stop()
	senders.Wait()
}

func register(ctx context.Context, g *gateway, address string) (id string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.public+"/v1/forms/registration/registrations",
		strings.NewReader(`{"email":"`+address+`","opt_in":true}`))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("answered %s", response.Status)
	}
	return answer.ID, nil
}

// awaitDelivered waits until a registration is delivered, as its status says.
func (g *gateway) awaitDelivered(t *testing.T, id string) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.admin+"/api/registrations/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer operator-of-the-test")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var found struct{ Status string }
		err = json.NewDecoder(response.Body).Decode(&found)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("registration %s was answered and is unknown: %s %v", id, response.Status, err)
		}
		if found.Status == "delivered" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("registration %s is %s", id, found.Status)
		}
	}
}
