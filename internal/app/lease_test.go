package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/pgtest"
)

// cloudOf is the way of one gateway to the sandbox. It can hold the first call for
// rows, so that more of them wait, and the second one, which it then refuses: such a
// call is followed by others for parts of its rows.
type cloudOf struct {
	url     string
	holds   bool
	begin   chan struct{}
	refuse  chan struct{}
	calls   atomic.Int64 // for rows
	refused atomic.Bool
}

func newCloud(t *testing.T, sandbox http.Handler, holds bool) *cloudOf {
	t.Helper()
	c := &cloudOf{holds: holds, begin: make(chan struct{}), refuse: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := int64(0)
		if strings.HasPrefix(r.URL.Path, "/hub/v1/dataevents/") && c.holds {
			call = c.calls.Add(1)
		}
		switch call {
		case 1:
			<-c.begin
		case 2:
			<-c.refuse
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message":"one of the rows is bad","errorcode":10001}`)
			c.refused.Store(true)
			return
		}
		sandbox.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// A gateway that was cut off, or frozen, for longer than its lease sends nothing of
// what it had in its hands once another one has taken over, and then ends soon. It
// says that it is not ready meanwhile.
func TestLostLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withoutEvents)
	w.end()
	url := pgtest.URL(t)
	p := pgtest.NewProxy(t, url)
	first, second := newCloud(t, w.sandbox, true), newCloud(t, w.sandbox, false)
	cutOff, other := *w, *w
	cutOff.cloud, other.cloud = first.url, second.url
	patient := func(cfg string) string { return withoutEvents(cfg) + "\ndelivery: { senders: 1, timeout: 2m }\n" }
	cutOff.start(patient, p.URL())
	const people = 40
	for i := range people {
		if a := cutOff.post(fmt.Sprintf(`{"email":"person%d@example.org"}`, i), nil); a.Status != "queued" {
			t.Fatalf("answer %+v", a)
		}
		if i == 0 { // the others are for the second call
			await(t, "a call", func() bool { return first.calls.Load() == 1 })
		}
	}
	close(first.begin)
	await(t, "a call with several rows", func() bool { return first.calls.Load() >= 2 })
	p.Hold()
	begun := time.Now()
	await(t, "not ready", func() bool { return ready(t, cutOff.gateway.AdminURL()) != "" })
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it was ready for %v", took)
	}

	other.start(withoutEvents, url) // takes over
	await(t, "all rows", func() bool { return len(w.sandbox.State().DataExtensions["Web_Registrations"].Rows) == people })
	close(first.refuse)
	await(t, "a refusal", first.refused.Load)
	if ready(t, cutOff.gateway.AdminURL()) == "" { // which takes a while
		t.Error("the one that is cut off is ready")
	}
	p.Release()
	released := time.Now()
	err := <-cutOff.ended
	cutOff.ended = nil
	if err == nil || !strings.Contains(err.Error(), "another onramp has taken over") {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(released); took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if n := first.calls.Load(); n != 2 {
		t.Errorf("%d calls by the one that was cut off, want the 2 before", n)
	}
	if reason := ready(t, other.gateway.AdminURL()); reason != "" {
		t.Errorf("the other one is not ready: %s", reason)
	}
}

// ready gives the reason why a gateway is not ready; "" when it is.
func ready(t *testing.T, admin string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Ready  bool
		Reason string
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Ready != (resp.StatusCode == http.StatusOK) || answer.Ready == (answer.Reason != "") {
		t.Errorf("status %d, %+v", resp.StatusCode, answer)
	}
	return answer.Reason
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(40 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("there was never %s", what)
		}
	}
}
