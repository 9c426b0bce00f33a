package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"onramp/internal/web"
)

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// logText is a log that tests read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// take returns what was logged since it was last taken.
func (l *logText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// await waits until the log holds a text.
func (l *logText) await(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log does not say "+text, func() bool { return strings.Contains(l.String(), text) })
}

// eventually waits for a condition.
func eventually(t *testing.T, otherwise string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(otherwise)
		}
	}
}

// serve runs a listener with limits, and returns it with its log.
func serve(t *testing.T, limits web.Limits, h http.HandlerFunc) (*web.Listener, *logText) {
	t.Helper()
	log := &logText{}
	l := listen(t, "127.0.0.1:0", h)
	limits.Log, limits.Part = slog.New(slog.NewTextHandler(log, nil)), "public"
	l.Limit(limits)
	served := make(chan error, 1)
	go func() { served <- l.Serve() }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l, log
}

// peer is a client that speaks to the server directly.
type peer struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from a loopback address.
func dial(t *testing.T, l *web.Listener, from string) peer {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(l.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return peer{c, bufio.NewReader(c)}
}

func (p peer) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		t.Fatal(err)
	}
}

// status reads an answer; 0 means that the connection was closed without one.
func (p peer) status(t *testing.T) int {
	t.Helper()
	r, err := http.ReadResponse(p.in, nil)
	if err != nil {
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Fatal("no answer")
		}
		return 0
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, r.Body)
	return r.StatusCode
}

const getRoot = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func post(length int, part string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", length, part)
}

func reads(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := web.ReadBody(r, &b, 16<<20); err != nil {
		web.WriteProblem(w, web.PublicError(err))
		return
	}
	fmt.Fprint(w, b.Len())
}

func answersNothing(http.ResponseWriter, *http.Request) {}

// When all places are taken, those who have been quiet for longest go first.
func TestConnections(t *testing.T) {
	t.Parallel()
	l, _ := serve(t, web.Limits{Connections: 4}, answersNothing)
	var peers []peer
	for range 4 {
		p := dial(t, l, "127.0.0.1")
		p.send(t, getRoot)
		if got := p.status(t); got != 200 {
			t.Fatalf("status %d", got)
		}
		peers = append(peers, p)
	}
	peers[0].send(t, getRoot) // is the youngest now
	if got := peers[0].status(t); got != 200 {
		t.Fatalf("status %d", got)
	}
	for range 2 {
		p := dial(t, l, "127.0.0.1")
		p.send(t, getRoot)
		if got := p.status(t); got != 200 {
			t.Errorf("a new connection was answered %d", got)
		}
	}
	kept := 0
	for _, p := range peers[1:] { // which of them was quiet first is not certain
		_, _ = io.WriteString(p, getRoot)
		if p.status(t) == 200 {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d of the older three were kept, want 1", kept)
	}
	peers[0].send(t, getRoot)
	if got := peers[0].status(t); got != 200 {
		t.Errorf("the youngest was answered %d", got)
	}
}

// Those who are at work keep their places, and no address takes those of others,
// unless it belongs to a proxy.
func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}, 10), make(chan struct{})
	l, log := serve(t, web.Limits{Connections: 6, PerAddress: 2, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}},
		func(http.ResponseWriter, *http.Request) {
			begun <- struct{}{}
			<-release
		})
	defer close(release)
	for _, from := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.9", "127.0.0.9", "127.0.0.9"} {
		dial(t, l, from).send(t, getRoot)
		<-begun
	}
	third := dial(t, l, "127.0.0.1")
	if got := third.status(t); got != 0 {
		t.Errorf("the third connection of an address was answered %d", got)
	}
	dial(t, l, "127.0.0.2").send(t, getRoot)
	<-begun // another address has its place
	seventh := dial(t, l, "127.0.0.3")
	if got := seventh.status(t); got != 0 {
		t.Errorf("one too many was answered %d", got)
	}
	log.await(t, "reason=too_many_connections")
}

// scarce is a listener that at first lacks file descriptors.
type scarce struct {
	net.Listener
	missing int
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.missing--; s.missing >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// A lack of file descriptors ends.
func TestNoFileDescriptor(t *testing.T) {
	t.Parallel()
	log := &logText{}
	l := listen(t, "127.0.0.1:0", answersNothing)
	l.Limit(web.Limits{Log: slog.New(slog.NewTextHandler(log, nil))})
	l.Lack(func(bound net.Listener) net.Listener { return &scarce{bound, 2} })
	go func() { _ = l.Serve() }()
	p := dial(t, l, "127.0.0.1")
	p.send(t, getRoot)
	if got := p.status(t); got != 200 {
		t.Errorf("answered %d", got)
	}
	log.await(t, "reason=no_file_descriptor")
}

// Slow senders of large bodies can't keep the room for them, nor hinder small ones.
func TestBodies(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fair            time.Duration
		first, newcomer int // status
	}{
		"slow ones give way":    {time.Nanosecond, 503, 200},
		"quick ones come first": {time.Hour, 200, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const large = 512 << 10
			l, log := serve(t, web.Limits{Bodies: large, Fair: row.fair}, reads)
			first := dial(t, l, "127.0.0.1")
			first.send(t, post(large, strings.Repeat("a", large-1)))
			eventually(t, "the body does not arrive", func() bool { return l.Counted() == large-1-64<<10 })
			small := dial(t, l, "127.0.0.1")
			small.send(t, post(64<<10, strings.Repeat("a", 64<<10)))
			if got := small.status(t); got != 200 {
				t.Errorf("a small body was answered %d", got)
			}
			newcomer := dial(t, l, "127.0.0.1")
			_, _ = io.WriteString(newcomer, post(large, strings.Repeat("a", large))) // it may be cut short
			if got := newcomer.status(t); got != row.newcomer {
				t.Errorf("the newcomer was answered %d, want %d", got, row.newcomer)
			}
			if row.first == 200 {
				first.send(t, "a")
			}
			if got := first.status(t); got != row.first {
				t.Errorf("the first was answered %d, want %d", got, row.first)
			}
			log.await(t, "status=503")
			eventually(t, "the room is not given back", func() bool { return l.Counted() == 0 })
		})
	}
}

// Memory is taken for what has arrived, not for what was claimed.
func TestClaimedLength(t *testing.T) {
	t.Parallel()
	wide := 0
	b := widest{&wide, strings.NewReader("a")}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "/", b)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 16 << 20
	var buf bytes.Buffer
	if err := web.ReadBody(r, &buf, 16<<20); err != nil {
		t.Fatal(err)
	}
	if wide > 4<<10 {
		t.Errorf("there was room for %d bytes", wide)
	}
}

// widest notes the largest room that a reader had.
type widest struct {
	room *int
	io.Reader
}

func (w widest) Read(p []byte) (int, error) {
	*w.room = max(*w.room, len(p))
	return w.Reader.Read(p)
}

// A client that does not read its answer is not waited for.
func TestNeverReads(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	l, _ := serve(t, web.Limits{Write: 50 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	})
	dial(t, l, "127.0.0.1").send(t, getRoot)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("64 MiB were written to somebody who reads nothing")
		}
	case <-time.After(patience):
		t.Error("still writing")
	}
}

// A long answer that is read goes on for longer than the limit for a piece of it.
func TestReadsSlowly(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	l, _ := serve(t, web.Limits{Write: 300 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	p := dial(t, l, "127.0.0.1")
	p.send(t, getRoot)
	r, err := http.ReadResponse(p.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	begin := time.Now()
	read := int64(0)
	for tick := time.NewTicker(10 * time.Millisecond); read < size; <-tick.C {
		n, err := io.CopyN(io.Discard, r.Body, min(256<<10, size-read))
		if read += n; err != nil {
			t.Fatalf("after %d bytes and %v: %v", read, time.Since(begin), err)
		}
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("took only %v", took)
	}
}

// Work that lasts longer than a request may take to arrive is not cut short.
func TestLongWork(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{"without a body": getRoot, "with one": post(1, "a")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := serve(t, web.Limits{Body: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
				var b bytes.Buffer
				_ = web.ReadBody(r, &b, 10)
				select {
				case <-r.Context().Done():
					w.WriteHeader(500)
				case <-time.After(600 * time.Millisecond):
				}
			})
			p := dial(t, l, "127.0.0.1")
			p.send(t, request)
			if got := p.status(t); got != 200 {
				t.Errorf("answered %d", got)
			}
		})
	}
}

// A stop waits for nobody but those who are worked for.
func TestShutdownStrangers(t *testing.T) {
	t.Parallel()
	working, release := make(chan struct{}), make(chan struct{})
	l, _ := serve(t, web.Limits{Grace: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, 64<<20))
		case "/work":
			close(working)
			<-release
		default:
			reads(w, r)
		}
	})
	dial(t, l, "127.0.0.1") // sends nothing
	half := dial(t, l, "127.0.0.1")
	half.send(t, "GET / HT")
	slow := dial(t, l, "127.0.0.1")
	slow.send(t, post(10, "a"))
	dial(t, l, "127.0.0.1").send(t, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
	busy := dial(t, l, "127.0.0.1")
	busy.send(t, "POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	<-working
	stopped := make(chan error, 1)
	go func() { stopped <- l.Shutdown(context.Background()) }()
	if got := slow.status(t); got != 503 {
		t.Errorf("whoever was sending a body was answered %d, want 503", got)
	}
	if got := half.status(t); got != 0 && got != 400 { // net/http takes half a line for a line
		t.Errorf("half a request was answered %d", got)
	}
	select {
	case <-stopped:
		t.Error("did not wait for the request that was worked on")
	default:
	}
	close(release)
	if got := busy.status(t); got != 200 {
		t.Errorf("what was worked on was answered %d", got)
	}
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("waits for strangers")
	}
}

// Whoever keeps a connection busy gets an answer to everything that was sent.
func TestShutdownBusy(t *testing.T) {
	t.Parallel()
	l, _ := serve(t, web.Limits{}, reads)
	const clients = 32
	var ready, ended sync.WaitGroup
	ready.Add(clients)
	unanswered := make(chan string, clients)
	for range clients {
		p := dial(t, l, "127.0.0.1")
		ended.Go(func() {
			for n := 0; ; n++ {
				if n == 5 {
					ready.Done()
				}
				if _, err := io.WriteString(p, post(100, strings.Repeat("a", 100))); err != nil {
					unanswered <- err.Error()
					return
				}
				r, err := http.ReadResponse(p.in, nil)
				if err != nil {
					unanswered <- err.Error()
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				if r.StatusCode == 503 && r.Close && r.Header.Get("Retry-After") != "" {
					return
				}
				if r.StatusCode != 200 || r.Close {
					unanswered <- r.Status
					return
				}
			}
		})
	}
	ready.Wait()
	if err := l.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	ended.Wait()
	close(unanswered)
	for what := range unanswered {
		t.Errorf("a client was not answered 503: %s", what)
	}
}

// What strangers send is neither in the log nor in an answer, and the log stays short.
func TestRefusedEarly(t *testing.T) {
	t.Parallel()
	const person = "jane@example.org"
	for name, row := range map[string]struct {
		sent, reason string
		status       int
	}{
		"method":             {strings.Repeat("M", 30000) + " / HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented", 501},
		"method, short":      {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "method=OTHER", 404},
		"address":            {"GET /" + strings.Repeat(person, 1000) + "?" + person + " HTTP/1.1\r\nHost: a\r\n\r\n", "request_uri_too_long", 414},
		"query":              {"GET /?" + person + " HTTP/1.1\r\nHost: a\r\n\r\n", "not_found", 404},
		"host":               {"GET / HTTP/1.1\r\nHost: " + person + "/\r\n\r\n", "bad_request", 400},
		"header":             {"GET / HTTP/1.1\r\nHost: a\r\n" + person + "\r\n\r\n", "bad_request", 400},
		"headers":            {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat(person, 4000) + "\r\n\r\n", "request_header_fields_too_large", 431},
		"version":            {"GET / HTTP/9.9\r\nHost: " + person + "\r\n\r\n", "http_version_not_supported", 505},
		"transfer encoding":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + person + "\r\n\r\n", "not_implemented", 501},
		"trailer":            {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + person + "\r\n\r\n", "trailers are malformed", 400},
		"trailer, forbidden": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", "bad_request", 400},
		"chunk":              {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + person + "\r\n", "chunks or trailers are malformed", 400},
		"expectation":        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: " + person + "\r\nContent-Length: 1\r\n\r\na", "expectation_failed", 417},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &logText{}
			logger := slog.New(slog.NewTextHandler(log, nil))
			l := listen(t, "127.0.0.1:0", nil)
			l.Limit(web.Limits{Log: logger, Part: "public"})
			s := &web.Server{Log: logger, Part: "public"}
			l.Handle(s.Handle(func(w http.ResponseWriter, r *http.Request) error {
				var b bytes.Buffer
				if err := web.ReadBody(r, &b, 1000); err != nil {
					return err
				}
				return web.NotFound(w, r)
			}))
			go func() { _ = l.Serve() }()
			p := dial(t, l, "127.0.0.1")
			p.send(t, row.sent)
			r, err := http.ReadResponse(p.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			answer, _ := io.ReadAll(r.Body)
			if r.StatusCode != row.status || strings.Contains(string(answer), person) {
				t.Errorf("answered %s: %s", r.Status, answer)
			}
			log.await(t, row.reason)
			if text := log.String(); strings.Contains(text, person) || strings.Count(text, "\n") != 1 || len(text) > 400 {
				t.Errorf("the log should have one short line without what was sent:\n%.1000s", text)
			}
		})
	}
}

// Of what strangers can cause at will a second has a few lines and a count.
func TestRefusalsRationed(t *testing.T) {
	t.Parallel()
	const sent = 300
	log := &logText{}
	s := &web.Server{Log: slog.New(slog.NewTextHandler(log, nil)), Part: "public"}
	l, own := serve(t, web.Limits{}, s.Handle(web.NotFound).ServeHTTP)
	p := dial(t, l, "127.0.0.1")
	for range sent {
		p.send(t, getRoot)
		if got := p.status(t); got != 404 {
			t.Fatalf("answered %d", got)
		}
		broken := dial(t, l, "127.0.0.1")
		broken.send(t, "complete nonsense\r\n\r\n") // net/http wants 14 bytes, to tell HTTP/2
		if got := broken.status(t); got != 400 {
			t.Fatalf("answered %d", got)
		}
	}
	for _, written := range []*logText{log, own} {
		written.await(t, "more of the same")
		eventually(t, "not every refusal was counted", func() bool { return refusals(t, written.String()) == sent })
		if lines := strings.Count(written.String(), "\n"); lines > sent/2 {
			t.Errorf("%d lines for %d refusals", lines, sent)
		}
	}
}

// refusals adds up what a log says of them.
func refusals(t *testing.T, text string) int {
	t.Helper()
	sum := 0
	for l := range strings.Lines(text) {
		n := 1
		if _, count, counted := strings.Cut(l, "count="); counted {
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Fatal(err)
			}
		}
		sum += n
	}
	return sum
}

// A panic outside of the handlers that return errors is logged with its place, and
// without what it says.
func TestPanicElsewhere(t *testing.T) {
	t.Parallel()
	l, log := serve(t, web.Limits{}, func(http.ResponseWriter, *http.Request) { panic("jane@example.org") })
	p := dial(t, l, "127.0.0.1")
	p.send(t, getRoot)
	if got := p.status(t); got != 0 {
		t.Errorf("answered %d", got)
	}
	log.await(t, "TestPanicElsewhere")
	if text := log.String(); strings.Contains(text, "jane") || strings.Count(text, "\n") != 1 {
		t.Errorf("the log:\n%s", text)
	}
}
