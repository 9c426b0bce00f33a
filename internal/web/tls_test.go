package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/certificate/certtest"
	"onramp/internal/tooltest"
	"onramp/internal/web"
)

// secured is a listener that speaks TLS.
type secured struct {
	*web.Listener
	trust *tls.Config
	log   *logText
}

func serveTLS(t *testing.T, limits web.Limits, h http.HandlerFunc, wrap ...func(net.Listener) net.Listener) *secured {
	t.Helper()
	authority := certtest.New(t)
	pair := authority.Issue(90*certtest.Day, "signup.example.com")
	shown, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{Listener: listen(t, "127.0.0.1:0", h), trust: &tls.Config{RootCAs: authority.Pool(), ServerName: "signup.example.com"}, log: &logText{}}
	s.Secure(&tls.Config{Certificates: []tls.Certificate{shown}, NextProtos: []string{"acme-tls/1"}})
	limits.Log, limits.Part = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), "public"
	s.Limit(limits)
	for _, w := range wrap {
		s.Lack(w)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// address is where it listens.
func (s *secured) address() string { return strings.TrimPrefix(s.URL(), "https://") }

// dial makes a connection from a loopback address, with TLS by a configuration.
func (s *secured) dial(t *testing.T, from string, cfg *tls.Config) (peer, error) {
	t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, Config: cfg}
	c, err := d.DialContext(t.Context(), "tcp", s.address())
	if err != nil {
		return peer{}, err
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return peer{c, bufio.NewReader(c)}, nil
}

func (s *secured) mustDial(t *testing.T, from string) peer {
	t.Helper()
	p, err := s.dial(t, from, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// client speaks HTTP/1.1 or HTTP/2, as it agrees on by ALPN.
func (s *secured) client(protocols ...func(*http.Protocols, bool)) *http.Client {
	transport := &http.Transport{TLSClientConfig: s.trust.Clone(), Protocols: new(http.Protocols), DisableCompression: true}
	for _, set := range protocols {
		set(transport.Protocols, true)
	}
	return &http.Client{Transport: transport, Timeout: patience}
}

var (
	speakHTTP1 = (*http.Protocols).SetHTTP1
	speakHTTP2 = (*http.Protocols).SetHTTP2
)

// Both versions of HTTP are spoken over TLS, with bodies of any size in both directions.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := web.ReadBody(r, &b, 16<<20); err != nil {
			web.WriteProblem(w, web.PublicError(err))
			return
		}
		w.Header().Set("Protocol", r.Proto)
		_, _ = w.Write(b.Bytes())
	})
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") || !strings.HasPrefix(s.Where(), "https://") {
		t.Errorf("the URL is %s, for people %s", s.URL(), s.Where())
	}
	for want, client := range map[string]*http.Client{"HTTP/1.1": s.client(speakHTTP1), "HTTP/2.0": s.client(speakHTTP1, speakHTTP2)} {
		for _, size := range []int{0, 1, 16 << 10, 3 << 20} {
			sent := bytes.Repeat([]byte("onramp--"), (size+7)/8)[:size]
			answer, err := client.Post(s.URL(), "text/plain", bytes.NewReader(sent))
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", want, size, err)
			}
			got, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || !bytes.Equal(got, sent) || answer.Header.Get("Protocol") != want {
				t.Errorf("%d bytes came back as %d by %s, %v; want %s", size, len(got), answer.Header.Get("Protocol"), err, want)
			}
		}
		client.CloseIdleConnections()
	}
	if log := s.log.take(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

// Who speaks no TLS, or another TLS, gets no further, costs one line at debug, and reads
// why where that can be said.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{}, answersNothing)
	for name, row := range map[string]struct {
		dial func() error
		want string
	}{
		"http": {func() error {
			answer, err := http.Get("http://" + s.address())
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if body, err := io.ReadAll(answer.Body); answer.StatusCode != 400 || string(body) != "this address speaks https, not http\n" {
				return fmt.Errorf("answered %s %q, %v", answer.Status, body, err)
			}
			return nil
		}, "http_instead_of_tls"},
		"TLS 1.1": {func() error {
			cfg := s.trust.Clone()
			cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
			return wantError(s.dial(t, "127.0.0.1", cfg))
		}, "tls_handshake_error"},
		"another authority": {func() error {
			return wantError(s.dial(t, "127.0.0.1", &tls.Config{ServerName: "signup.example.com"}))
		}, "tls_handshake_error"},
		"nothing": {func() error {
			c, err := net.Dial("tcp", s.address())
			if err == nil {
				err = c.Close()
			}
			return err
		}, "client_gone"},
	} {
		if err := row.dial(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.log.await(t, `level=DEBUG msg=refused part=public reason=`+row.want+"\n")
		s.log.take()
	}
}

func wantError(_ peer, err error) error {
	if err == nil {
		return fmt.Errorf("the connection was taken")
	}
	return nil
}

// Strangers who fail at the handshake at will fill no log.
func TestTLSRefusedOften(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{}, answersNothing)
	for range 30 {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	s.log.await(t, `level=DEBUG msg="more of the same" part=public reason=client_gone count=20`)
	if lines := strings.Count(s.log.take(), "\n"); lines != 11 {
		t.Errorf("%d lines, want 11", lines)
	}
}

// A certificate authority gets the certificate that it asks for, and nothing else.
func TestTLSForAuthority(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{}, answersNothing)
	cfg := s.trust.Clone()
	cfg.NextProtos = []string{"acme-tls/1"}
	p, err := s.dial(t, "127.0.0.1", cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(p, getRoot)
	if got := p.status(t); got != 0 {
		t.Errorf("answered %d", got)
	}
}

// Who doesn't finish the handshake has no more time than for a header, and is the first
// who gives way to others.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{Connections: 3, Header: time.Second}, answersNothing)
	begun := time.Now()
	var silent []net.Conn
	for i := range 3 {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if i > 0 { // the beginning of a handshake that goes on for ever
			if _, err := c.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01}); err != nil {
				t.Fatal(err)
			}
		}
		silent = append(silent, c)
	}
	p := s.mustDial(t, "127.0.0.1")
	p.send(t, getRoot)
	if got := p.status(t); got != 200 {
		t.Errorf("who speaks was answered %d", got)
	}
	for i, c := range silent {
		if err := c.SetReadDeadline(begun.Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("silent connection %d: read %d bytes, %v, after %s", i, n, err, time.Since(begun))
		}
	}
	s.log.await(t, "reason=tls_handshake_timeout")
}

// The limits hold for TLS as without it: places go to those who are at work, and a quiet
// connection gives way.
func TestTLSConnections(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{Connections: 2}, answersNothing)
	quiet := s.mustDial(t, "127.0.0.1")
	quiet.send(t, getRoot)
	if got := quiet.status(t); got != 200 {
		t.Fatalf("status %d", got)
	}
	for range 3 {
		p := s.mustDial(t, "127.0.0.1")
		p.send(t, getRoot)
		if got := p.status(t); got != 200 {
			t.Errorf("a new connection was answered %d", got)
		}
	}
	if got := quiet.status(t); got != 0 {
		t.Errorf("the quiet one was answered %d", got)
	}
}

// A slow reader of a long answer loses its connection over TLS, too.
func TestTLSWriteLimit(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := serveTLS(t, web.Limits{Write: 200 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	})
	p := s.mustDial(t, "127.0.0.1")
	p.send(t, getRoot)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the whole answer was taken")
		}
	case <-time.After(patience):
		t.Error("the answer is still being written")
	}
}

// fullConn is a connection whose peer reads nothing more once it is full.
type fullConn struct {
	net.Conn
	full  *atomic.Bool
	until atomic.Pointer[time.Time]
}

func (c *fullConn) SetWriteDeadline(t time.Time) error {
	c.until.Store(&t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *fullConn) Write(p []byte) (int, error) {
	if !c.full.Load() {
		return c.Conn.Write(p)
	}
	<-time.After(time.Until(*c.until.Load()))
	return 0, os.ErrDeadlineExceeded
}

type fullListener struct {
	net.Listener
	full *atomic.Bool
}

func (l fullListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &fullConn{Conn: c, full: l.full}, err
}

// Who reads nothing does not hold up the end: TLS says a last word when it closes, and would
// wait for it to be taken.
func TestTLSLastWord(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	s := serveTLS(t, web.Limits{}, answersNothing, func(l net.Listener) net.Listener { return fullListener{l, &full} })
	for _, last := range []peer{s.mustDial(t, "127.0.0.1"), s.mustDial(t, "127.0.0.1")} {
		last.send(t, getRoot)
		if got := last.status(t); got != 200 {
			t.Fatalf("answered %d", got)
		}
	}
	full.Store(true)
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// Between two requests more time may pass than TLS has for an answer, and TLS writes by
// itself when the peer wants other keys: the connection lives on.
func TestTLSNewKeys(t *testing.T) {
	t.Parallel()
	openssl := tooltest.Program(t, "openssl") // no other client asks for new keys
	const limit = 100 * time.Millisecond
	s := serveTLS(t, web.Limits{Write: limit}, answersNothing)
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", s.address(), "-servername", "signup.example.com", "-crlf")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out logText
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	for _, step := range [][2]string{{"GET / HTTP/1.1\nHost: a\n\n", "200 OK"}, {"K\n", "KEYUPDATE"}, {"GET / HTTP/1.1\nHost: a\n\n", "200 OK"}} {
		if _, err := io.WriteString(in, step[0]); err != nil {
			t.Fatal(err)
		}
		out.await(t, step[1])
		out.take()
		<-time.After(2 * limit) // until the limit of what was written is over
	}
}

// A body that breaks the limit gets its answer over TLS, and is logged like any other.
func TestTLSTooLarge(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, web.Limits{}, reads)
	for name, client := range map[string]*http.Client{"HTTP/1.1": s.client(speakHTTP1), "HTTP/2.0": s.client(speakHTTP2)} {
		answer, err := client.Post(s.URL(), "text/plain", bytes.NewReader(make([]byte, 17<<20)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer.Body.Close()
		if answer.StatusCode != 413 || answer.Proto != name {
			t.Errorf("%s: answered %s by %s", name, answer.Status, answer.Proto)
		}
	}
	p := s.mustDial(t, "127.0.0.1")
	p.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if got := p.status(t); got != 431 {
		t.Errorf("a long header was answered %d", got)
	}
	s.log.await(t, "status=431")
}

// A stop answers what has come, and waits for nobody who reads nothing.
func TestTLSShutdown(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	s := serveTLS(t, web.Limits{Grace: 50 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	silent, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	answered, stopped := make(chan string, 1), make(chan error, 1)
	client := s.client(speakHTTP1, speakHTTP2)
	go func() {
		answer, err := client.Get(s.URL())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		answered <- string(body)
	}()
	<-begun
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	go func() { stopped <- s.Shutdown(ctx) }()
	close(release)
	if got := <-answered; got != "finished" {
		t.Errorf("the request under way was answered %q", got)
	}
	client.CloseIdleConnections()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("it waited for the silent connection")
	}
}
