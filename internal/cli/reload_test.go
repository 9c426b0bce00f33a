//go:build unix

package cli_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/sandbox"
)

// TestReload runs a gateway in its own process against a sandbox, $SANDBOX, while a
// script changes its configuration.
func TestReload(t *testing.T) {
	t.Parallel()
	runWithSandbox(t, "reload")
}

// TestProvision has what the forms need made in a sandbox, $SANDBOX.
func TestProvision(t *testing.T) {
	t.Parallel()
	runWithSandbox(t, "provision")
}

// TestErase erases a person, here and in a sandbox, $SANDBOX.
func TestErase(t *testing.T) {
	t.Parallel()
	runWithSandbox(t, "erase")
}

// runWithSandbox runs the scripts in a folder, each with a sandbox of its own.
func runWithSandbox(t *testing.T, folder string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", folder),
		Setup: func(e *testscript.Env) error {
			account := sandbox.New(sandbox.Config{Activation: -1})
			cloud := httptest.NewServer(account)
			e.Defer(cloud.Close)
			e.Setenv("SANDBOX", cloud.URL)
			alerted := &alertLog{}
			alerts := httptest.NewServer(alerted)
			e.Defer(alerts.Close)
			e.Setenv("ALERTS", "generic+"+alerts.URL)
			e.Values["account"], e.Values["alerts"] = account, alerted
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"gateway": func(ts *testscript.TestScript, _ bool, _ []string) { startServe(t, ts) }, "hangup": hangUp, "post": post, "await": await, "expand": expand,
			"account": changeAccount, "rows": printRows, "entered": printEntered, "alerts": printAlerts,
			"advance": advanceClock,
		},
	})
}

// served is a gateway whose log a script waits for.
type served struct {
	cmd  *exec.Cmd
	log  chan string // the lines about being ready and about the configuration
	done chan struct{}
}

// gateways are those of the scripts that run.
var gateways sync.Map

// startServe is "gateway": it starts onramp serve, and sets $PUBLIC and what the
// other commands need to find it.
func startServe(t *testing.T, ts *testscript.TestScript) {
	t.Helper()
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(self, "serve")
	cmd.Args[0] = "onramp" // by this name the test binary knows what it is
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "SANDBOX="+ts.Getenv("SANDBOX"), "ALERTS="+ts.Getenv("ALERTS"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	g := &served{cmd: cmd, log: make(chan string, 100), done: make(chan struct{})}
	go g.read(stderr)
	gateways.Store(ts, g)
	ts.Defer(func() {
		gateways.Delete(ts)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-g.done
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: onramp serve: %v", ts.Name(), err)
		}
	})
	var ready struct{ Public, Admin string }
	ts.Check(json.Unmarshal([]byte(g.next(ts)), &ready))
	ts.Setenv("PUBLIC", ready.Public)
	ts.Setenv("ONRAMP_ADMIN_LISTEN", strings.TrimPrefix(ready.Admin, "http://"))
}

func (g *served) read(stderr io.Reader) {
	defer close(g.done)
	defer close(g.log)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && (line.Msg == "ready" || strings.HasPrefix(line.Msg, "configuration ")) {
			g.log <- lines.Text()
		}
	}
}

func (g *served) next(ts *testscript.TestScript) string {
	select {
	case line, ok := <-g.log:
		if !ok {
			ts.Fatalf("the gateway has ended")
		}
		return line
	case <-time.After(time.Minute):
		ts.Fatalf("the gateway says nothing")
	}
	return ""
}

// hangUp is "hangup": it sends SIGHUP, and prints the line of the log that answers.
func hangUp(ts *testscript.TestScript, _ bool, _ []string) {
	found, _ := gateways.Load(ts)
	g := found.(*served)
	ts.Check(g.cmd.Process.Signal(syscall.SIGHUP))
	fmt.Fprintln(ts.Stdout(), g.next(ts))
}

// post is "post FORM BODY [ORIGIN]": it prints how a registration is answered, at once
// unless it was refused, and with PREFER as its outcome stands then.
func post(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodPost, ts.Getenv("PUBLIC")+"/v1/forms/"+args[0]+"/registrations", strings.NewReader(args[1]))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", ts.Getenv("PREFER"))
	if len(args) > 2 {
		r.Header.Set("Origin", args[2])
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), response.StatusCode, string(body))
}

// alertLog keeps the alerts that come.
type alertLog struct {
	mu     sync.Mutex
	bodies []string
}

// ServeHTTP takes an alert.
func (l *alertLog) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is missing of it the script finds
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, strings.Join(strings.Fields(string(body)), " "))
}

func (l *alertLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.bodies, "\n")
}

// printAlerts is "alerts": it prints those that have come, one in a line, but for
// those of the test machine's own disk: a write that waits for seconds there is rightly
// told, and says nothing about the script.
func printAlerts(ts *testscript.TestScript, _ bool, _ []string) {
	for line := range strings.Lines(ts.Value("alerts").(*alertLog).text()) {
		if !strings.Contains(line, `"title":"onramp: store unreachable`) {
			fmt.Fprint(ts.Stdout(), line)
		}
	}
}

// advanceClock is "advance DURATION": so much time passes in the sandbox.
func advanceClock(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Value("account").(*sandbox.Sandbox).Advance(d)
}

// changeAccount is "account JSON": it changes what is in the sandbox's account.
func changeAccount(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodPut, ts.Getenv("SANDBOX")+"/_sandbox/account", strings.NewReader(args[0]))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		ts.Fatalf("the sandbox answers %s", response.Status)
	}
}

// printRows is "rows [KEY]": it prints the key and the first name of each row of a data extension.
func printRows(ts *testscript.TestScript, _ bool, args []string) {
	for _, row := range ts.Value("account").(*sandbox.Sandbox).State().DataExtensions[append(args, sandbox.RegistrationsKey)[0]].Rows {
		fmt.Fprintln(ts.Stdout(), row["SubscriberKey"], row["FirstName"])
	}
}

// printEntered is "entered [KEY]": it prints the contacts of the event's journey with the first names
// that they entered with, in order.
func printEntered(ts *testscript.TestScript, _ bool, args []string) {
	entered := map[string]string{}
	for _, c := range ts.Value("account").(*sandbox.Sandbox).State().Journeys[append(args, sandbox.WelcomeEventKey)[0]].Contacts {
		entered[c.ContactKey] += fmt.Sprint(" ", c.Data["FirstName"])
	}
	for key, names := range entered {
		fmt.Fprintln(ts.Stdout(), key+names)
	}
}

// await is "await ARGS... PATTERN": it runs onramp until its output has a line with the
// pattern.
func await(ts *testscript.TestScript, _ bool, args []string) {
	last := len(args) - 1
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if args[0] == "alerts" {
			if strings.Contains(ts.Value("alerts").(*alertLog).text(), args[last]) {
				return
			}
			select {
			case <-tick.C:
				continue
			case <-deadline:
				ts.Fatalf("no alert about %q", args[last])
			}
		}
		self, err := os.Executable()
		ts.Check(err)
		cmd := exec.Command(self, args[:last]...)
		cmd.Args[0] = "onramp"
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(os.Environ(), "ONRAMP_ADMIN_LISTEN="+ts.Getenv("ONRAMP_ADMIN_LISTEN"))
		printed, err := cmd.CombinedOutput()
		if err == nil && strings.Contains(strings.Join(strings.Fields(string(printed)), " "), args[last]) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%v: %v: no %q in\n%s", args[:last], err, args[last], printed)
		}
	}
}

// expand is "expand FILE": it replaces the script's variables in a file.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), func(name string) string {
		if strings.Contains(name, ":") {
			return "${" + os.Expand(name, ts.Getenv) + "}" // a reference of the configuration
		}
		return ts.Getenv(name)
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// reloadConfig has a form with a route that %[3]s completes.
const reloadConfig = `
database: %[1]s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%[2]s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
delivery: { senders: %[3]d }
forms:
  registration:
    origins: [ https://%[3]d.example.org ]
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: number, column: FirstName }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - journey: { event_definition_key: APIEvent-sandbox-welcome }
  form-%[3]d:
    fields: [ { name: email, column: EmailAddress, type: email, required: true } ]
    route: [ { data_extension: { key: Extension_%[3]d } } ]
`

const reloads = 20

// TestReloadUnderLoad reloads another configuration again and again while people
// register: nobody is refused, and everybody enters the journey once for each
// registration, in the order of these.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	cloud := sandbox.New(sandbox.Config{})
	server := httptest.NewServer(cloud)
	defer server.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "onramp.yaml")
	write := func(n int) {
		t.Helper()
		text := fmt.Sprintf(reloadConfig, filepath.Join(dir, "onramp.db"), server.URL, 2+n%5)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	g := startGateway(t, config)
	want := map[string][]string{}
	var mu sync.Mutex
	var ids []string
	var people sync.WaitGroup
	reloaded := make(chan struct{})
	for person := range 8 {
		people.Go(func() {
			address := fmt.Sprintf("p%d@example.org", person)
			for n := 0; !isClosed(reloaded); n++ {
				number := fmt.Sprintf("%06d", n)
				id, err := registerNumber(g, address, number)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[address] = append(want[address], number)
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	for n := range reloads {
		write(n + 1)
		if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		g.awaitForm(t, fmt.Sprintf("form-%d", 2+(n+1)%5))
	}
	close(reloaded)
	people.Wait()
	for _, id := range ids {
		g.awaitDelivered(t, id)
	}
	got := map[string][]string{}
	for _, c := range cloud.State().Journeys[sandbox.WelcomeEventKey].Contacts {
		number, _ := c.Data["FirstName"].(string)
		got[c.ContactKey] = append(got[c.ContactKey], number)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	t.Logf("%d reloads, %d registrations answered", reloads, len(ids))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func registerNumber(g *gateway, address, number string) (id string, err error) {
	response, err := http.Post(g.public+"/v1/forms/registration/registrations", "application/json",
		strings.NewReader(`{"email":"`+address+`","number":"`+number+`"}`))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusAccepted {
		return "", errors.New("answered " + response.Status)
	}
	return answer.ID, nil
}

// awaitForm waits until the gateway knows a form.
func (g *gateway) awaitForm(t *testing.T, name string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		response, err := http.Get(g.public + "/v1/forms/" + name)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no form %s", name)
		}
	}
}
