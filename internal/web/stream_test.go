package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"onramp/internal/web"
)

// speaker is a client that speaks HTTP/2 by prior knowledge only.
func speaker(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a request and gives the answer in a line.
func ask(ctx context.Context, client *http.Client, method, url string, body io.Reader) string {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %d %s", response.Proto, response.StatusCode, text)
}

// A listener speaks HTTP/1 and HTTP/2 at the same address, with the same limits for
// what is sent.
func TestPriorKnowledge(t *testing.T) {
	t.Parallel()
	l, _ := serve(t, web.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := web.ReadBody(r, &b, 1<<10); err != nil {
			web.WriteProblem(w, web.PublicError(err))
			return
		}
		fmt.Fprintf(w, "%s %s with %d bytes", r.Method, r.URL.Path, b.Len())
	})
	for name, row := range map[string]struct {
		method, path string
		body         int
		want         string
	}{
		"without a body": {"GET", "/a", 0, "200 GET /a with 0 bytes"},
		"with a body":    {"POST", "/a", 1 << 10, "200 POST /a with 1024 bytes"},
		"too large":      {"POST", "/a", 1<<10 + 1, `413 {"type":"about:blank","title":"Request Entity Too Large","status":413,"detail":"the body is larger than 1 KiB"}` + "\n"},
		"much too large": {"POST", "/a", 1 << 20, `413 {"type":"about:blank","title":"Request Entity Too Large","status":413,"detail":"the body is larger than 1 KiB"}` + "\n"},
		"a long address": {"GET", "/" + strings.Repeat("a", 8<<10), 0, "414 "},
		"a long method":  {strings.Repeat("M", 21), "/a", 0, "501 "},
	} {
		for proto, client := range map[string]*http.Client{"HTTP/1.1": {}, "HTTP/2.0": speaker(t)} {
			t.Run(name+" "+proto, func(t *testing.T) {
				t.Parallel()
				got := ask(t.Context(), client, row.method, l.URL()+row.path, strings.NewReader(strings.Repeat("x", row.body)))
				if got != proto+" "+row.want {
					t.Errorf("answered %s, want %s %s", got, proto, row.want)
				}
			})
		}
	}
}

// A request of an HTTP/2 connection takes as many places as one of HTTP/1: what is
// beyond them is refused, and others are still answered.
func TestStreamsTakePlaces(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		limits  web.Limits
		clients int // connections that the requests are spread over
		want    int // requests that are handled at once
	}{
		"of one address":          {web.Limits{Connections: 20, PerAddress: 5}, 1, 5},
		"over several":            {web.Limits{Connections: 20, PerAddress: 6}, 3, 6},
		"of all":                  {web.Limits{Connections: 7}, 1, 7},
		"of a proxy":              {web.Limits{Connections: 9, PerAddress: 2, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, 1, 9},
		"as one would of HTTP/1":  {web.Limits{Connections: 20, PerAddress: 1}, 1, 1},
		"more than are allowed":   {web.Limits{Connections: 400, PerAddress: 300}, 2, 300},
		"no more than net/http's": {web.Limits{Connections: 400}, 1, 250},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, release := make(chan struct{}, 1000), make(chan struct{})
			l, _ := serve(t, row.limits, func(http.ResponseWriter, *http.Request) {
				begun <- struct{}{}
				<-release
			})
			answers := make(chan string, 1000)
			asked := row.want
			if row.want < 250 {
				asked += row.clients // which are refused
			}
			var clients []*http.Client
			for range row.clients {
				clients = append(clients, speaker(t))
			}
			var group sync.WaitGroup
			for i := range asked {
				group.Go(func() { answers <- ask(t.Context(), clients[i%len(clients)], "GET", l.URL(), nil) })
				if i < row.want {
					<-begun
				}
			}
			refused := 0
			for range asked - row.want {
				if got := <-answers; strings.HasPrefix(got, "HTTP/2.0 503 ") {
					refused++
				} else {
					t.Errorf("answered %s", got)
				}
			}
			close(release)
			group.Wait()
			close(answers)
			handled := 0
			for got := range answers {
				if got == "HTTP/2.0 200 " {
					handled++
				}
			}
			if handled != row.want || refused != asked-row.want {
				t.Errorf("%d were handled and %d refused, want %d and %d", handled, refused, row.want, asked-row.want)
			}
			if got := ask(t.Context(), speaker(t), "GET", l.URL(), nil); got != "HTTP/2.0 200 " {
				t.Errorf("afterwards answered %s", got)
			}
		})
	}
}

// rawStreams is a client that sends the frames it wants.
type rawStreams struct {
	peer
	*http2.Framer
	header bytes.Buffer
	encode *hpack.Encoder
}

func dialStreams(t *testing.T, l *web.Listener) *rawStreams {
	t.Helper()
	p := dial(t, l, "127.0.0.1")
	p.send(t, http2.ClientPreface)
	s := &rawStreams{peer: p, Framer: http2.NewFramer(p, p.in)}
	s.encode = hpack.NewEncoder(&s.header)
	if err := s.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask begins a request.
func (s *rawStreams) ask(t *testing.T, id uint32, method string, end bool) {
	t.Helper()
	if err := s.begin(id, method, end); err != nil {
		t.Fatal(err)
	}
}

// begin does, too, where the connection may be closed already.
func (s *rawStreams) begin(id uint32, method string, end bool) error {
	s.header.Reset()
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
		if err := s.encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	return s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.header.Bytes(), EndHeaders: true, EndStream: end})
}

// ended reads what comes until the server closes the connection, or resets or ends a
// stream, and says which.
func (s *rawStreams) ended(t *testing.T) string {
	t.Helper()
	for {
		f, err := s.ReadFrame()
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Fatal("the connection stays open")
		}
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			return "sent away: " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			return "reset: " + f.ErrCode.String()
		case *http2.DataFrame:
			if f.StreamEnded() {
				return "answered " + string(f.Data())
			}
		}
	}
}

// What a stranger can send without end ends the connection, or the request.
func TestStreamFloods(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		limits web.Limits
		send   func(t *testing.T, s *rawStreams)
		want   string
	}{
		"a header without end": {web.Limits{}, func(t *testing.T, s *rawStreams) {
			t.Helper()
			s.header.Reset()
			_ = s.encode.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("jane", 3<<10)})
			_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.header.Bytes()})
			for range 100 {
				if s.WriteContinuation(1, false, s.header.Bytes()) != nil {
					return
				}
			}
		}, "sent away: PROTOCOL_ERROR"},
		"pings, and nobody reads": {web.Limits{Write: 50 * time.Millisecond, Connections: 1000}, func(t *testing.T, s *rawStreams) {
			t.Helper()
			// these answers fill the system's buffers, so that those to the pings have no room
			_ = s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			_ = s.WriteWindowUpdate(0, 1<<30)
			for id := uint32(1); id < 400; id += 2 {
				_ = s.begin(id, "HEAVY", true)
			}
			pings := bytes.Repeat([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping"), 10_000)
			for { // it ends, or the deadline of the connection ends the test
				if _, err := s.Write(pings); err != nil {
					break
				}
			}
			_, _ = io.Copy(io.Discard, s.in) // what has come of the answers
		}, "closed"},
		"streams that are reset at once": {web.Limits{Connections: 1000}, func(t *testing.T, s *rawStreams) {
			t.Helper()
			for id := uint32(1); id < 6000; id += 2 {
				if s.begin(id, "GET", true) != nil || s.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
					return
				}
			}
		}, "sent away: ENHANCE_YOUR_CALM"},
		"a body that comes too slowly": {web.Limits{Body: 50 * time.Millisecond}, func(t *testing.T, s *rawStreams) {
			t.Helper()
			s.ask(t, 1, "POST", false)
			_ = s.WriteData(1, false, []byte("a"))
		}, `answered {"type":"about:blank","title":"Bad Request","status":400,"detail":"the body could not be read completely"}` + "\n"},
		"an answer that nobody takes": {web.Limits{Write: 50 * time.Millisecond}, func(t *testing.T, s *rawStreams) {
			t.Helper()
			_ = s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			s.ask(t, 1, "HEAVY", true)
		}, "reset: INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			l, _ := serve(t, row.limits, func(w http.ResponseWriter, r *http.Request) {
				switch r.Method {
				case "GET":
					<-release
				case "HEAVY":
					_, _ = w.Write(make([]byte, 100<<10))
				default:
					reads(w, r)
				}
			})
			t.Cleanup(func() { close(release) })
			s := dialStreams(t, l)
			row.send(t, s)
			if got := s.ended(t); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

// The bodies of streams share the room for bodies, and the slowest gives way.
func TestStreamBodies(t *testing.T) {
	t.Parallel()
	l, _ := serve(t, web.Limits{Bodies: 1 << 20, Fair: time.Nanosecond}, reads)
	client := speaker(t)
	slow, more := io.Pipe()
	answered := make(chan string, 1)
	go func() { answered <- ask(t.Context(), client, "POST", l.URL(), slow) }()
	if _, err := more.Write(make([]byte, 512<<10)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the body is not counted", func() bool { return l.Counted() > 256<<10 })
	if got := ask(t.Context(), client, "POST", l.URL(), bytes.NewReader(make([]byte, 1<<20))); got != "HTTP/2.0 200 1048576" {
		t.Errorf("the fast one is answered %s", got)
	}
	if got := <-answered; !strings.HasPrefix(got, "HTTP/2.0 503 ") {
		t.Errorf("the slow one is answered %s", got)
	}
	_ = more.Close()
	eventually(t, "room is still taken", func() bool { return l.Counted() == 0 })
}

// A stop answers every stream: those that are worked on, those that come meanwhile, and
// those whose body does not come.
func TestShutdownStreams(t *testing.T) {
	t.Parallel()
	const streams = 20
	begun, release := make(chan struct{}, streams+1), make(chan struct{})
	l, _ := serve(t, web.Limits{Grace: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if r.Method == "POST" {
			reads(w, r)
			return
		}
		<-release
		fmt.Fprint(w, "finished")
	})
	client := speaker(t)
	answers := make(chan string, streams)
	for range streams {
		go func() { answers <- ask(t.Context(), client, "GET", l.URL(), nil) }()
		<-begun
	}
	slow, more := io.Pipe()
	defer more.Close()
	late, stopped := make(chan string, 1), make(chan error, 1)
	go func() { late <- ask(t.Context(), client, "POST", l.URL(), slow) }()
	<-begun
	go func() { stopped <- l.Shutdown(context.Background()) }()
	eventually(t, "requests are not refused", func() bool {
		return strings.HasPrefix(ask(t.Context(), client, "PUT", l.URL(), nil), "HTTP/2.0 503 ")
	})
	if got := <-late; !strings.HasPrefix(got, "HTTP/2.0 503 ") {
		t.Errorf("the one whose body does not come is answered %s", got)
	}
	close(release)
	for range streams {
		if got := <-answers; got != "HTTP/2.0 200 finished" {
			t.Errorf("a stream under way is answered %s", got)
		}
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
