package bench_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bench"
)

// rawServer answers each request with the bytes that answer returns, and
// closes the connection when close says so.
func rawServer(t *testing.T, answer func(r *http.Request) (text string, close bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					text, last := answer(r)
					if _, err := io.WriteString(conn, text); err != nil || last {
						return
					}
				}
			})
		}
	})
	return l.Addr().String()
}

// counts drops what depends on the machine.
func counts(r bench.Result) bench.Result {
	r.Elapsed, r.P50, r.P99, r.Max, r.Latency = 0, 0, 0, 0, nil
	return r
}

func TestLoadAnswers(t *testing.T) {
	t.Parallel()
	const accepted = "HTTP/1.1 202 Accepted\r\n"
	good := bench.Result{Requests: 7, Connections: 2}
	bad := func(text string) bench.Result {
		return bench.Result{Errors: 7, Connections: 2, Failures: []string{text}}
	}
	for _, tt := range []struct {
		name  string
		text  string
		close bool
		want  bench.Result
	}{
		{"content length", accepted + "Content-Length: 5\r\n\r\nhello", false, good},
		{"no body", accepted + "content-length:0\r\n\r\n", false, good},
		{"bare line feeds", accepted[:len(accepted)-2] + "\nContent-Length: 2\n\n{}", false, good},
		{"no reason", "HTTP/1.1 202\r\nContent-Length: 2\r\n\r\n{}", false, good},
		{"chunked", accepted + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", false, good},
		{"chunked with trailer", accepted + "Transfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n0\r\nA: b\r\n\r\n", false, good},
		{"interim answers", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + accepted + "Content-Length: 0\r\n\r\n", false, good},
		{"large body", accepted + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), false, good},
		{"connection close", accepted + "Connection: foo, Close\r\nContent-Length: 2\r\n\r\n{}", true, good},
		{"body to the end", accepted + "\r\nhello", true, good},
		{"http/1.0", "HTTP/1.0 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", true, good},
		{"http/1.0 kept alive", "HTTP/1.0 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", false, good},

		{
			"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull", false,
			bench.Result{Errors: 7, Connections: 2, Statuses: map[int]int64{503: 7}, Failures: []string{"status 503: full"}},
		},
		{
			"503 chunked", "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfu\r\n2\r\nll\r\n0\r\n\r\n", false,
			bench.Result{Errors: 7, Connections: 2, Statuses: map[int]int64{503: 7}, Failures: []string{"status 503: full"}},
		},
		{
			"503 to the end", "HTTP/1.1 503 x\r\n\r\nfull", true,
			bench.Result{Errors: 7, Connections: 2, Statuses: map[int]int64{503: 7}, Failures: []string{"status 503: full"}},
		},
		{
			"204", "HTTP/1.1 204 No Content\r\n\r\n", false,
			bench.Result{Errors: 7, Connections: 2, Statuses: map[int]int64{204: 7}, Failures: []string{"status 204: "}},
		},
		{
			"long refusal", "HTTP/1.1 400 x\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("y", 5000), false,
			bench.Result{Errors: 7, Connections: 2, Statuses: map[int]int64{400: 7}, Failures: []string{"status 400: " + strings.Repeat("y", 160)}},
		},

		{"garbage", "no web server here\r\n\r\n", true, bad(`not an HTTP/1 answer: "no web server here"`)},
		{"status not a number", "HTTP/1.1 2x2 A\r\n\r\n", true, bad(`status "2x2"`)},
		{"status too small", "HTTP/1.1 002 A\r\n\r\n", true, bad(`status "002"`)},
		{"closed without an answer", "", true, bad("connection closed without an answer")},
		{"cut in the header", accepted + "Content-Le", true, bad("connection closed in the middle of an answer")},
		{"cut in the body", accepted + "Content-Length: 10\r\n\r\nhello", true, bad("connection closed in the middle of an answer")},
		{"cut in a chunk", accepted + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", true, bad("connection closed in the middle of an answer")},
		{"not a header", accepted + "hello\r\n\r\n", true, bad(`not a header line: "hello"`)},
		{"length not a number", accepted + "Content-Length: -1\r\n\r\n", true, bad(`content length "-1"`)},
		{"two lengths", accepted + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", true, bad(`content length "2"`)},
		{"encoding unknown", accepted + "Transfer-Encoding: gzip\r\n\r\n", true, bad(`transfer encoding "gzip"`)},
		{"chunk size not a number", accepted + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", true, bad(`chunk size "zz"`)},
		{"chunk too long", accepted + "Transfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n0\r\n\r\n", true, bad("chunk longer than its size")},
		{"line too long", accepted + strings.Repeat("x", 5000) + "\r\n\r\n", true, bad("line of more than 4096 bytes")},
		{"too many lines", accepted + strings.Repeat("A: b\r\n", 200) + "\r\n", true, bad("more than 128 header lines")},
		{"interim answers only", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 200), true, bad("nothing but interim answers")},
		{"more than one answer", strings.Repeat(accepted+"Content-Length: 0\r\n\r\n", 2), true, bad("bytes after the end of the answer")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := rawServer(t, func(*http.Request) (string, bool) { return tt.text, tt.close })
			got, err := bench.Load(t.Context(), bench.LoadConfig{Addr: addr, Connections: 2, Requests: 7})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, counts(got)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if n := got.Latency.Count(); n != tt.want.Requests {
				t.Errorf("%d latencies of %d requests", n, tt.want.Requests)
			}
		})
	}
}

// Each request arrives as an HTTP library reads it, with a key of its own.
func TestLoadRequest(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, URI, Host, Body string
		Header                  http.Header
	}
	var mu sync.Mutex
	var got []seen
	keys := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		keys[r.Header.Get("Idempotency-Key")] = true
		r.Header.Del("Idempotency-Key")
		got = append(got, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header})
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(srv.Close)
	res, err := bench.Load(t.Context(), bench.LoadConfig{
		Addr: srv.Listener.Addr().String(), Connections: 8, Requests: 100, Path: "/v1/x?y=1", Body: []byte(`{"a":1}`),
		Header:          http.Header{"host": {"example.org"}, "X-Two": {"1", "2"}, "content-type": {"text/plain"}},
		IdempotencyKeys: true, WantStatus: http.StatusCreated,
	})
	if err != nil || res.Requests != 100 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	want := slices.Repeat([]seen{{
		"POST", "/v1/x?y=1", "example.org", `{"a":1}`,
		http.Header{"Content-Length": {"7"}, "Content-Type": {"text/plain"}, "X-Two": {"1", "2"}},
	}}, 100)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if len(keys) != 100 {
		t.Errorf("%d different keys in 100 requests", len(keys))
	}
	for key := range keys {
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(key) {
			t.Errorf("key %q", key)
		}
	}
}

// Connections are kept, and there are as many as asked for, unless there is
// less to send.
func TestLoadConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		connections int
		requests    int64
		want        int64
	}{
		{"default", 0, 640, 64},
		{"three", 3, 100, 3},
		{"fewer requests", 50, 4, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var opened atomic.Int64
			srv := httptest.NewUnstartedServer(bench.Bare())
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					opened.Add(1)
				}
			}
			srv.Start()
			t.Cleanup(srv.Close)
			res, err := bench.Load(t.Context(), bench.LoadConfig{Addr: srv.Listener.Addr().String(), Connections: tt.connections, Requests: tt.requests})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(bench.Result{Requests: tt.requests, Connections: int(tt.want)}, counts(res)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if n := opened.Load(); n != tt.want {
				t.Errorf("%d connections, want %d", n, tt.want)
			}
		})
	}
}

// A measurement by time ends and agrees with itself. How much it counts, and
// whether it counts anything at all, is up to the machine.
func TestLoadDuration(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(bench.Bare())
	t.Cleanup(srv.Close)
	res, err := bench.Load(t.Context(), bench.LoadConfig{
		Addr: srv.Listener.Addr().String(), Connections: 4, Warmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond,
	})
	if err != nil || res.Errors != 0 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	if res.Requests > 0 && (res.P50 <= 0 || res.P99 < res.P50 || res.Max < res.P99 || res.Rate() <= 0) {
		t.Errorf("p50 %v, p99 %v, max %v, %f requests/s", res.P50, res.P99, res.Max, res.Rate())
	}
}

// A server that takes the request and never answers is left at once when the
// context ends, and what it did before is reported; a warm-up is not.
func TestLoadCancelled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		warmup time.Duration
		want   bench.Result
	}{
		{"while counting", 0, bench.Result{Requests: 3, Connections: 1}},
		{"while warming up", time.Hour, bench.Result{Connections: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			var asked atomic.Int64
			addr := rawServer(t, func(*http.Request) (string, bool) {
				if asked.Add(1) <= 3 {
					return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false
				}
				cancel(cause)
				return "", false // hangs: it waits for the next request
			})
			got, err := bench.Load(ctx, bench.LoadConfig{Addr: addr, Connections: 1, Warmup: tt.warmup, Duration: time.Hour})
			if !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
			if n := asked.Load(); n != 4 {
				t.Errorf("%d requests arrived, want 4", n)
			}
			if diff := cmp.Diff(tt.want, counts(got)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// A server that goes away in the middle makes errors, not an end.
func TestLoadServerGone(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = l.Close()
		br := bufio.NewReader(conn)
		for range 2 {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
		}
	}()
	got, err := bench.Load(t.Context(), bench.LoadConfig{Addr: l.Addr().String(), Connections: 1, Requests: 6})
	<-gone
	if err != nil {
		t.Fatal(err)
	}
	// How the operating system words the loss is its own affair.
	if got.Requests != 2 || got.Errors != 4 || len(got.Failures) != 2 {
		t.Errorf("%d requests, %d errors, %q; want 2, 4 and two kinds", got.Requests, got.Errors, got.Failures)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config bench.LoadConfig
		want   string
	}{
		{"no server", bench.LoadConfig{Addr: nobody, Requests: 1}, "connect to " + nobody + ": "},
		{"no address", bench.LoadConfig{}, "no address to send to"},
		{"negative", bench.LoadConfig{Addr: nobody, Connections: -1}, "a count or a time is negative"},
		{"negative rate", bench.LoadConfig{Addr: nobody, Rate: -1}, "a count or a time is negative"},
		{"too many connections", bench.LoadConfig{Addr: nobody, Connections: 1 << 17}, "more than 65536 connections"},
		{"no server for an open loop", bench.LoadConfig{Addr: nobody, Rate: 1}, "connect to " + nobody + ": "},
		{"two placeholders", bench.LoadConfig{Addr: nobody, Body: []byte(bench.Placeholder + bench.Placeholder)}, "the body has the placeholder more than once"},
		{"interim status", bench.LoadConfig{Addr: nobody, WantStatus: 100}, "status 100 cannot be waited for"},
		{"path", bench.LoadConfig{Addr: nobody, Path: "x"}, `path "x"`},
		{"path with a blank", bench.LoadConfig{Addr: nobody, Path: "/a b"}, `path "/a b"`},
		{"path with a line", bench.LoadConfig{Addr: nobody, Path: "/a\r\nb"}, `path "/a\r\nb"`},
		{"header name", bench.LoadConfig{Addr: nobody, Header: http.Header{"A:": {""}}}, `header name "A:"`},
		{"header value", bench.LoadConfig{Addr: nobody, Header: http.Header{"A": {"b\r\nC: d"}}}, "header A has a value with a control character"},
		{"own length", bench.LoadConfig{Addr: nobody, Header: http.Header{"content-length": {"1"}}}, "header content-length cannot be set"},
		{"own key", bench.LoadConfig{Addr: nobody, IdempotencyKeys: true, Header: http.Header{"Idempotency-Key": {"1"}}}, "header Idempotency-Key is set for every request already"},
		{"two mistakes", bench.LoadConfig{Path: "x"}, "no address to send to\npath \"x\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bench.Load(t.Context(), tt.config)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A parent reads a child's configuration and result as JSON.
func TestLoadJSON(t *testing.T) {
	t.Parallel()
	config := bench.LoadConfig{
		Addr: "127.0.0.1:1", Connections: 2, Duration: time.Second, Requests: 3, Warmup: time.Millisecond, Path: "/p",
		Body: []byte{0, 255}, Header: http.Header{"A": {"b"}}, IdempotencyKeys: true, WantStatus: 201, Rate: 0.5,
	}
	var latency bench.Histogram
	latency.Record(3 * time.Millisecond)
	latency.Record(80 * time.Microsecond)
	result := bench.Result{
		Requests: 2, Errors: 3, Statuses: map[int]int64{503: 1}, Failures: []string{"x"}, Connections: 4,
		Elapsed: time.Second, P50: 1, P99: 2, Max: 3, Latency: &latency,
	}
	var gotConfig bench.LoadConfig
	var gotResult bench.Result
	roundTrip(t, config, &gotConfig)
	roundTrip(t, result, &gotResult)
	if diff := cmp.Diff(config, gotConfig); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(result, gotResult, cmp.AllowUnexported(bench.Histogram{})); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func roundTrip(t *testing.T, from, to any) {
	t.Helper()
	text, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(bench.Bare())
	t.Cleanup(srv.Close)
	res, err := srv.Client().Post(srv.URL, "application/json", strings.NewReader(strings.Repeat("x", 100000)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body map[string]string
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, header %v", res.StatusCode, res.Header)
	}
	if diff := cmp.Diff([]string{"form", "id", "received_at", "status"}, slices.Sorted(maps.Keys(body))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// BenchmarkLoad shows the cost of a request to the bare handler, generator and
// server in one process. Its allocations are the server's; the generator has
// none per request.
func BenchmarkLoad(b *testing.B) {
	for _, keys := range []bool{false, true} {
		name := "plain"
		if keys {
			name = "keys"
		}
		b.Run(name, func(b *testing.B) {
			srv := httptest.NewServer(bench.Bare())
			b.Cleanup(srv.Close)
			config := bench.LoadConfig{
				Addr: srv.Listener.Addr().String(), Requests: int64(b.N), IdempotencyKeys: keys,
				Body: []byte(`{"padding":"` + strings.Repeat("x", 330) + `"}`),
			}
			b.ReportAllocs()
			b.ResetTimer()
			res, err := bench.Load(b.Context(), config)
			b.StopTimer()
			if err != nil || res.Errors > 0 {
				b.Fatalf("%d errors, %v", res.Errors, err)
			}
			b.ReportMetric(float64(res.Elapsed.Nanoseconds())/float64(res.Requests), "ns/request")
		})
	}
}

// recordBodies answers requests and keeps their bodies.
func recordBodies(t *testing.T) (addr string, bodies func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(body))
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// No two requests are the same: neither of two connections nor of two runs nor
// of the two loops; and all are equally long.
func TestLoadUnique(t *testing.T) {
	t.Parallel()
	addr, bodies := recordBodies(t)
	config := bench.LoadConfig{
		Addr: addr, Connections: 8, Requests: 300, Body: []byte(`{"email":"` + bench.Placeholder + `@example.com"}`),
	}
	for _, rate := range []float64{0, 0, 1e6} {
		config.Rate = rate
		if res, err := bench.Load(t.Context(), config); err != nil || res.Requests != 300 {
			t.Fatalf("result %+v, error %v", res, err)
		}
	}
	seen := map[string]bool{}
	for _, body := range bodies() {
		if !regexp.MustCompile(`^\{"email":"[0-9a-f]{24}@example\.com"\}$`).MatchString(body) {
			t.Fatalf("body %s", body)
		}
		if seen[body] {
			t.Errorf("%s came twice", body)
		}
		seen[body] = true
	}
	if len(seen) != 900 {
		t.Errorf("%d different bodies, want 900", len(seen))
	}
}

// In an open loop requests go out although nothing is answered.
func TestLoadOpenLoop(t *testing.T) {
	t.Parallel()
	const requests = 20
	var arrived atomic.Int64
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if arrived.Add(1) == requests {
			close(all)
		}
		<-all
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	var begun []time.Time
	before := time.Now()
	res, err := bench.Load(t.Context(), bench.LoadConfig{
		Addr: srv.Listener.Addr().String(), Connections: requests, Requests: requests, Rate: 1000,
		Begun: func(at time.Time) { begun = append(begun, at) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bench.Result{Requests: requests, Connections: requests}, counts(res)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if len(begun) != 1 || begun[0].Before(before) || begun[0].After(time.Now()) {
		t.Errorf("begun at %v", begun)
	}
}

// A request that had to wait for a connection is late from the moment it was
// due, not from the moment it was sent.
func TestLoadOpenLoopLateness(t *testing.T) {
	t.Parallel()
	const stall = 50 * time.Millisecond
	var arrived atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if arrived.Add(1) == 1 {
			<-time.After(stall)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	res, err := bench.Load(t.Context(), bench.LoadConfig{Addr: srv.Listener.Addr().String(), Connections: 1, Requests: 10, Rate: 1000})
	if err != nil || res.Requests != 10 || res.Connections != 1 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	// the last one was due 9 ms after the first
	if least := res.Latency.Quantile(0); least < stall-10*time.Millisecond {
		t.Errorf("the quickest answer took %v, but none came in the first %v", least, stall)
	}
}
