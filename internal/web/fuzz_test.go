package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"onramp/internal/web"
)

// known is all that a log line may hold but for times and counts, whatever is sent.
var known = map[string]*regexp.Regexp{
	"took":   regexp.MustCompile(`^[0-9.]+(ns|µs|ms|s)$`),
	"level":  regexp.MustCompile(`^(INFO|WARN|ERROR)$`),
	"msg":    regexp.MustCompile(`^(request|refused|more of the same)$`),
	"part":   regexp.MustCompile(`^public$`),
	"method": regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|OTHER)$`),
	"route":  regexp.MustCompile(`^(/|POST /people/\{name\})$`),
	"reason": regexp.MustCompile(`^[a-z0-9_]{1,40}$`),
	"err": regexp.MustCompile(`^(there is nothing at this address|the body is larger than 1 KiB|` +
		`the body could not be read completely: (unexpected EOF|its chunks or trailers are malformed|connection reset by peer))$`),
}

// getLast asks the server to close the connection.
const getLast = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// Whatever is sent over a connection, the log says nothing but what is known to be
// ours, a little of it, and the next client is served.
func FuzzConnection(f *testing.F) {
	for _, seed := range []string{
		getRoot, post(3, "abc"), post(100, "abc"), post(2000, strings.Repeat("a", 2000)),
		"POST /people/jane HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Mail: jane@example.org\r\n\r\n",
		"POST /people/jane HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\njane@example.org\r\n\r\n",
		"POST /people/jane HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", strings.Repeat("M", 100) + " / HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET //../%2e%2e/?a;b HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x01\x05\x00\x00\x00\x01\x82\x84\x86\x40",
		"GET / HTTP/1.1\nHost: a\nX:\x00\n\n", "\r\n\r\n" + getRoot + getRoot, "\x16\x03\x01\x02\x00\x01\x00", "",
	} {
		f.Add([]byte(seed))
	}
	log := &logText{}
	in := &memory{accepts: make(chan net.Conn), closed: make(chan struct{})}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	s := &web.Server{Log: logger, Part: "public"}
	mux := http.NewServeMux()
	mux.Handle("POST /people/{name}", s.Handle(func(w http.ResponseWriter, r *http.Request) error {
		var b bytes.Buffer
		return web.ReadBody(r, &b, 1<<10)
	}))
	s.Unmatched(mux)
	l, err := web.Listen(f.Context(), "127.0.0.1:0", web.Harden(mux))
	if err != nil {
		f.Fatal(err)
	}
	l.Limit(web.Limits{Log: logger, Part: "public"})
	l.Lack(func(bound net.Listener) net.Listener {
		in.Listener = bound
		return in
	})
	go func() { _ = l.Serve() }()
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, sent []byte) {
		in.send(sent)
		checkLog(t, log.take())
		if answer := in.send([]byte(getLast)); !bytes.HasPrefix(answer, []byte("HTTP/1.1 404 ")) {
			t.Errorf("the next client was answered %s", answer)
		}
		checkLog(t, log.take())
	})
}

// memory is a listener without a network: there is no end to its connections.
type memory struct {
	net.Listener
	accepts chan net.Conn
	closed  chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.accepts:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	close(m.closed)
	return m.Listener.Close()
}

// send sends something over a new connection, and returns what came back until
// the server has closed it.
func (m *memory) send(text []byte) []byte {
	client, server := net.Pipe()
	ended := &closing{Conn: server, closed: make(chan struct{})}
	m.accepts <- ended
	var answer bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&answer, client)
	}()
	_, _ = client.Write(text) // the server may have closed it
	if string(text) == getLast {
		<-read // the server closes it
	}
	_ = client.Close()
	<-ended.closed
	<-read
	return answer.Bytes()
}

// closing tells when it is closed.
type closing struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closing) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func checkLog(t *testing.T, text string) {
	t.Helper()
	for l := range strings.Lines(text) {
		var line map[string]any
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		if len(l) > 500 {
			t.Errorf("a line of %d bytes", len(l))
		}
		for name, value := range line {
			switch written, isText := value.(string); {
			case name == "time":
			case !isText: // status and count
			case known[name] == nil || !known[name].MatchString(written):
				t.Errorf("the log says %s=%s", name, written)
			}
		}
	}
}
