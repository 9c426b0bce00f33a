package bench_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

var signatureKey = []byte("0123456789abcdef0123456789abcdef")

// receiver takes batches as a callback does, and looks closely.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	known  map[onramp.EventIdentity]bool
	people map[string]bool
	newest time.Time
}

func newReceiver(t *testing.T) (*receiver, string) {
	t.Helper()
	r := &receiver{t: t, known: map[onramp.EventIdentity]bool{}, people: map[string]bool{}}
	return r, serve(t, r)
}

func serve(t *testing.T, h http.Handler) (addr string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		r.t.Error(err)
	}
	key := sfmc.Secret(base64.StdEncoding.EncodeToString(signatureKey))
	if form, ok := sfmc.VerifySignature(key, body, q.Header.Get("x-sfmc-ens-signature")); !ok || form != sfmc.DecodedKey {
		r.t.Errorf("the signature %q does not fit", q.Header.Get("x-sfmc-ens-signature"))
	}
	if q.Method != "POST" || q.URL.Path != "/ens/events" || q.Header.Get("Authorization") != "Bearer t" || q.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("%s %s with %v", q.Method, q.URL, q.Header)
	}
	events, err := onramp.ReadBatch(q.Context(), body)
	if err != nil {
		r.t.Errorf("%v: %s", err, body)
	}
	stored := r.take(events)
	fmt.Fprintf(w, `{"stored":%d,"repeated":%d}`+"\n", stored, len(events)-stored)
}

func (r *receiver) take(events []onramp.Event) (stored int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last time.Time
	for _, e := range events {
		if e.Type != "TransactionalSendEvents.EmailSent" || e.SubscriberKey == "" || e.MessageKey == "" || e.Send == "" || len(e.Body) != bench.EventBytes {
			r.t.Errorf("not understood: %s", e.Body)
		}
		if !last.IsZero() && e.At.Sub(last) != time.Millisecond {
			r.t.Errorf("happened at %v after %v", e.At, last)
		}
		last = e.At
		if !r.known[e.Identity] {
			stored++
		}
		r.known[e.Identity], r.people[e.SubscriberKey] = true, true
	}
	if last.After(r.newest) {
		r.newest = last
	}
	return stored
}

func batches(addr string) bench.BatchConfig {
	return bench.BatchConfig{
		Addr: addr, Path: "/ens/events", Header: http.Header{"Authorization": {"Bearer t"}}, Key: signatureKey,
		Events: 7, Connections: 3, Duration: 100 * time.Millisecond,
	}
}

// Each event is another one, and so are those of the next load that goes on where
// this one ended.
func TestSendBatches(t *testing.T) {
	t.Parallel()
	r, addr := newReceiver(t)
	c := batches(addr)
	var stored int64
	for _, every := range []int{0, 4} {
		c.RepeatEvery = every
		begin := time.Now()
		got, err := bench.SendBatches(t.Context(), c)
		if err != nil || got.Errors > 0 || got.Requests == 0 || got.Connections != 3 || got.Elapsed <= 0 || got.Latency.Count() != got.Requests {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Stored+got.Repeated != 7*got.Requests || (got.Repeated > 0) != (every > 0) || got.Repeated > got.Stored/int64(max(every, 1)) {
			t.Errorf("of %d batches %d stored and %d repeated, one in %d", got.Requests, got.Stored, got.Repeated, every)
		}
		if got.StoredRate() <= 0 || got.Last < c.After+got.Stored {
			t.Errorf("%.0f a second, last %d", got.StoredRate(), got.Last)
		}
		if r.newest.Before(begin.Truncate(time.Millisecond)) || r.newest.After(time.Now()) {
			t.Errorf("the last event happened at %v", r.newest)
		}
		stored += got.Stored
		c.After = got.Last
	}
	if int64(len(r.known)) != stored || int64(len(r.people)) != stored {
		t.Errorf("%d events of %d people, answered %d", len(r.known), len(r.people), stored)
	}
}

// With a rate, batches fall due in turn on all connections, and there is none
// between.
func TestSendBatchesAtRate(t *testing.T) {
	t.Parallel()
	_, addr := newReceiver(t)
	c := batches(addr)
	c.Rate, c.Duration = 50, 200*time.Millisecond
	got, err := bench.SendBatches(t.Context(), c)
	if err != nil || got.Requests != 10 || got.Stored != 70 || got.Errors > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A batch that has to wait for the one before it is late.
func TestSendBatchesLate(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if calls.Add(1) == 1 {
			<-time.After(100 * time.Millisecond)
		}
		fmt.Fprint(w, `{"stored":7,"repeated":0}`)
	}))
	c := batches(addr)
	c.Connections, c.Rate, c.Duration = 1, 100, 95*time.Millisecond
	got, err := bench.SendBatches(t.Context(), c)
	if err != nil || got.Requests != 10 || got.Errors > 0 || got.P50 < 40*time.Millisecond {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSendBatchesErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		status   int
		answer   string
		failures []string
		statuses map[int]int64
		stored   bool
	}{
		{"refused", 503, `{"detail":"later"}`, []string{`status 503: {"detail":"later"}`}, map[int]int64{503: 1}, false},
		{"too few", 200, `{"stored":5,"repeated":1}`, []string{"answered 5 stored and 1 repeated, want 7 stored and 0 repeated"}, nil, true},
		{"no JSON", 200, `stored`, []string{"invalid character 's' looking for beginning of value"}, nil, false},
		{"none", 200, ``, []string{"unexpected end of JSON input"}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.answer)
			}))
			c := batches(addr)
			c.Connections, c.Rate, c.Duration = 1, 1, 10*time.Millisecond
			got, err := bench.SendBatches(t.Context(), c)
			if err != nil || got.Requests != 0 || got.Errors != 1 || (got.Stored > 0) != tt.stored {
				t.Errorf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(tt.failures, got.Failures); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.statuses, got.Statuses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A connection that the server closes is made again.
func TestSendBatchesReconnects(t *testing.T) {
	t.Parallel()
	r, _ := newReceiver(t)
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Connection", "close")
		r.ServeHTTP(w, q)
	}))
	got, err := bench.SendBatches(t.Context(), batches(addr))
	if err != nil || got.Requests < 4 || got.Errors > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSendBatchesEnds(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	addr := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel(cause)
		<-t.Context().Done()
	}))
	if got, err := bench.SendBatches(ctx, batches(addr)); !errors.Is(err, cause) || got.Errors > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSendBatchesRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*bench.BatchConfig)
		want   string
	}{
		"nowhere":  {func(c *bench.BatchConfig) { c.Addr = "" }, "no address to send to"},
		"nobody":   {func(c *bench.BatchConfig) { c.Addr = "127.0.0.1:1" }, "connect to 127.0.0.1:1"},
		"negative": {func(c *bench.BatchConfig) { c.Rate = -1 }, "a count or a time is negative"},
		"no time":  {func(c *bench.BatchConfig) { c.Duration = 0 }, "there is no time to send in"},
		"used up":  {func(c *bench.BatchConfig) { c.After = 900_000_000 }, "no event has the number 900000000"},
		"header":   {func(c *bench.BatchConfig) { c.Header = http.Header{"A": {"b\n"}} }, "header A has a value with a control character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batches("127.0.0.1:9")
			tt.change(&c)
			if _, err := bench.SendBatches(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// The whole batch is what Marketing Cloud documents as its largest.
func TestBatchDefaults(t *testing.T) {
	t.Parallel()
	var sent []map[string]any
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := json.NewDecoder(q.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, `{"stored":1000,"repeated":0}`)
	}))
	c := batches(addr)
	c.Events, c.Connections, c.Rate, c.Duration = 0, 1, 1, 10*time.Millisecond
	got, err := bench.SendBatches(t.Context(), c)
	if err != nil || got.Requests != 1 || got.Stored != 1000 || len(sent) != 1000 {
		t.Fatalf("%+v, %v; %d events", got, err, len(sent))
	}
	info, _ := sent[999]["info"].(map[string]any)
	want := map[string]any{
		"to": "person100000999@example.org", "subscriberKey": "person100000999@example.org",
		"messageKey": "7c9e6679-7425-40de-944b-e07100000999", "status": "Sent", "renderedSubject": "Welcome",
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Error(diff)
	}
}
