package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestResendKilled has the events of a while sent to a new sink, and kills the gateway
// and the command that shows the progress in the middle of it, twice: each event comes
// once more, none twice more, and those of a person in their order.
func TestResendKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "onramp.yaml")
	configure := func(more string) {
		t.Helper()
		text := fmt.Sprintf(eventConfig, filepath.Join(filepath.Dir(path), "onramp.db"), w.recorder.url, newHook(t).url) + more
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	g := start(t, path)
	token, err := g.token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := &batches{answered: map[string]bool{}}
	for sent.count() < 1500 {
		if err := sent.send(t.Context(), g, token); err != nil {
			t.Fatal(err)
		}
	}
	before := g.settled().Deliveries["delivered"]
	g.stop()

	late := newGated(t)
	configure(fmt.Sprintf("  - { name: late, webhook: { url: %q, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }\n", late.url))
	resend := []string{"events", "resend", "--sink", "late", "--type", "TransactionalSendEvents.*", "--yes"}
	for _, limit := range []int{400, 1100} {
		late.open(limit)
		g = start(t, path)
		follower := g.command(path, resend...)
		if err := follower.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the middle of the resend", patience, func() bool { return g.status().Deliveries["delivered"] == before+int64(limit) })
		if err := follower.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = follower.Wait() // it was killed
		g.kill()
	}
	late.open(1 << 30)
	g = start(t, path)
	said, err := g.command(path, resend...).CombinedOutput()
	if err != nil && !strings.Contains(string(said), "resend 1 has already sent these again") { // it may have ended before
		t.Fatalf("%v: %s", err, said)
	}
	if delivered := g.settled().Deliveries["delivered"] - before; delivered != int64(sent.count()) {
		t.Errorf("%d deliveries were made, of %d events", delivered, sent.count())
	}
	if got, want := len(late.got), sent.count(); got != want {
		t.Errorf("%d events came, of %d", got, want)
	}
	last := map[int]int{} // by person
	for i, e := range late.got {
		var number int
		if _, err := fmt.Sscanf(e.Data.Info.SubscriberKey, "s-%d", &number); err != nil || e.Resend != "1" {
			t.Fatalf("the event %d is %+v: %v", i, e, err)
		}
		person := number % 7 // the subscriber's id; those without one are about different people
		if person != 0 && number <= last[person] {
			t.Errorf("%d came after %d", number, last[person])
		}
		last[person] = number
	}
	if said, err := g.command(path, resend...).CombinedOutput(); err == nil || !strings.Contains(string(said), "resend 1 has already sent these again") {
		t.Errorf("the same command after the end: %v: %s", err, said)
	}
	late.got = nil
	g.killResend(path, append(resend, "--again"), late)
	g = start(t, path)
	if delivered := g.settled().Deliveries["delivered"] - before; delivered != 2*int64(sent.count()) {
		t.Errorf("%d deliveries were made, of twice %d events", delivered, sent.count())
	}
	numbers := map[string]bool{}
	for _, e := range late.got { // what was in flight at a kill may have come twice
		if e.Resend == "2" {
			numbers[e.Data.Info.SubscriberKey] = true
		}
	}
	if len(numbers) != sent.count() {
		t.Errorf("%d events came, of %d", len(numbers), sent.count())
	}
}

// killResend starts a resend and kills the gateway at any moment of it, several times.
func (g *gateway) killResend(path string, resend []string, late *gated) {
	g.t.Helper()
	follower := g.command(path, resend...)
	if err := follower.Start(); err != nil {
		g.t.Fatal(err)
	}
	for goal := 200; goal <= 1200; goal += 200 {
		eventually(g.t, "more events", patience, func() bool { return late.count() >= goal })
		g.kill()
		g = start(g.t, path)
	}
	g.kill()
	_ = follower.Wait() // its gateway was killed
}

// command is a command of onramp to the operators of this gateway.
func (g *gateway) command(config string, args ...string) *exec.Cmd {
	cmd := program(g.t, "onramp", append(args, "--config", config)...)
	cmd.Env = append(os.Environ(), "ONRAMP_ADMIN_LISTEN="+strings.TrimPrefix(g.admin, "http://"))
	return cmd
}

// gated is a webhook that takes so many events, and lets the others wait until their
// sender is gone.
type gated struct {
	url   string
	mu    sync.Mutex
	limit int
	got   []resent
}

type resent struct {
	Resend string
	Data   struct {
		Info struct{ SubscriberKey string }
	}
}

func newGated(t *testing.T) *gated {
	t.Helper()
	h := &gated{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e resent
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil || json.Unmarshal(body.Bytes(), &e) != nil {
			panic(http.ErrAbortHandler) // the gateway was killed
		}
		if !h.take(e) {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *gated) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func (h *gated) open(limit int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit = limit
}

func (h *gated) take(e resent) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.got) >= h.limit {
		return false
	}
	h.got = append(h.got, e)
	return true
}
