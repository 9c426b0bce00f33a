package crash_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

const configText = `
database: %s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
drain_timeout: %v
%s
forms:
  registration:
    subscriber_key: email
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: number, column: FirstName }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - data_extension: { key: Web_Registrations, mode: %s }
`

const (
	journeyStep = "      - journey: { event_definition_key: APIEvent-sandbox-welcome }\n"
	drain       = 25 * time.Second
	patience    = 3 * time.Minute // longer than the pauses that a delivery may have to make
)

// world is what a row of the matrix needs: a sandbox, a recorder in front of it,
// a configuration, and what gateways have answered.
type world struct {
	t        *testing.T
	sandbox  *sandbox.Sandbox
	recorder *recorder
	mode     string // of the first step; "": sync
	route    string // steps after the first
	settings string
	lookInto string  // the database, a file or a URL, as the test itself gets to it
	people   *people // nil: everybody registers once

	mu       sync.Mutex
	sent     int
	accepted map[string]string // by what called returns: the id
	refused  map[string]int    // by status and Retry-After
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{}), accepted: map[string]string{}, refused: map[string]int{}}
	server := httptest.NewServer(w.sandbox)
	t.Cleanup(server.Close)
	w.recorder = newRecorder(t, server.URL)
	return w
}

// configure writes a configuration for a database in a folder, and returns its name.
func (w *world) configure(folder string) string {
	w.t.Helper()
	return w.configureDatabase(filepath.Join(folder, "onramp.db"))
}

func (w *world) configureDatabase(database string) string {
	w.t.Helper()
	w.lookInto = cmp.Or(w.lookInto, database)
	path := filepath.Join(w.t.TempDir(), "onramp.yaml")
	text := fmt.Sprintf(configText, database, w.recorder.url, drain, w.settings, cmp.Or(w.mode, "sync")) + w.route
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// send registers somebody and notes the answer.
func (w *world) send(ctx context.Context, g *gateway) error {
	w.mu.Lock()
	w.sent++
	address, number, done := visitor(w.sent), "", func(bool) {}
	w.mu.Unlock()
	if w.people != nil {
		if address, number, done = w.people.next(ctx); done == nil {
			return ctx.Err()
		}
	}
	a, err := g.register(ctx, address, number)
	done(err == nil && a.accepted())
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.accepted() {
		w.accepted[called(address, number)] = a.id
	} else {
		w.refused[fmt.Sprintf("%d, Retry-After %q", a.status, a.retryAfter)]++
	}
	return nil
}

func visitor(n int) string { return fmt.Sprintf("visitor-%d@example.org", n) }

// stream has several senders register until stop is called or the gateway is
// gone. Stop returns when they have ended.
func (w *world) stream(g *gateway, senders int) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for w.send(ctx, g) == nil {
			}
		})
	}
	stop = func() {
		cancel()
		all.Wait()
	}
	w.t.Cleanup(stop)
	return stop
}

// busy returns at a random moment of a stream of registrations.
func (w *world) busy(g *gateway) (stop func()) {
	w.t.Helper()
	goal := w.answered() + 8
	stop = w.stream(g, 8)
	eventually(w.t, "some are accepted", patience, func() bool { return w.answered() >= goal })
	moment(0, 250*time.Millisecond)
	return stop
}

// fill registers until n more are accepted.
func (w *world) fill(g *gateway, n int) {
	w.t.Helper()
	goal := w.answered() + n
	stop := w.stream(g, 32)
	eventually(w.t, fmt.Sprintf("%d accepted", n), patience, func() bool { return w.answered() >= goal })
	stop()
}

func (w *world) answered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.accepted)
}

// refusals counts the answers that were not 2xx, by status and Retry-After.
func (w *world) refusals() (n int, kinds map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds = map[string]int{}
	for kind, count := range w.refused {
		kinds[kind] = count
		n += count
	}
	return n, kinds
}

// fault replaces the sandbox's faults.
func (w *world) fault(faults ...sandbox.Fault) {
	w.t.Helper()
	if err := w.sandbox.SetFaults(faults); err != nil {
		w.t.Fatal(err)
	}
}

// block has the data extension refuse everybody, so that what is accepted has to
// wait, or lets them in again.
func (w *world) block(yes bool) {
	w.t.Helper()
	if yes {
		w.fault(sandbox.Fault{Match: "/hub/", Status: 403})
	} else {
		w.fault()
	}
}

// tally waits until nothing is on its way any more and counts what became of
// everything that was answered. What was delivered and is no longer known is
// lost, too: an answer says that it is on disk.
func (w *world) tally(g *gateway, step string, rounds int) tally {
	w.t.Helper()
	last := g.settled()
	w.checkStatus(last)
	result := tally{rounds: rounds, accepted: w.answered(), stranded: int(last.underway())}
	if w.people != nil {
		w.awaitQuiet()
		result.people, result.old = w.people.judge(w)
	}
	known := g.registrations()
	for called, id := range w.accepted {
		state, isKnown := known[id]
		switch n := w.recorder.count(step, called); {
		case !isKnown:
			result.lost++
		case n == 1:
			result.once++
		case n > 1:
			result.more++
		case state == "failed" || state == "unknown":
			result.dead++
		default:
			result.lost++
		}
	}
	for _, call := range w.recorder.misread() {
		w.t.Error("the recorder can't read", call)
	}
	return result
}

// checkStatus has the counts add up.
func (w *world) checkStatus(s status) {
	w.t.Helper()
	var registrations, deliveries int64
	for _, n := range s.Registrations {
		registrations += n
	}
	for _, n := range s.Deliveries {
		deliveries += n
	}
	steps := int64(1)
	if w.route != "" {
		steps = 2
	}
	if registrations != s.Accepted || deliveries != steps*s.Accepted || s.Accepted > int64(w.sent) {
		w.t.Errorf("the status doesn't add up, with %d sent: %+v", w.sent, s)
	}
}

// moment waits for a random time between two others.
func moment(from, to time.Duration) { <-time.After(from + rand.N(to-from)) }

// either is true half of the time.
func either() bool { return rand.IntN(2) == 0 }
