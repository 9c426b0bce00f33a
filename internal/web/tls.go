package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// TLS lies below what counts a connection's bytes and times: so all of the limits hold for
// what the peer says, as they do without TLS, and net/http knows nothing of it. The peer's
// HTTP/2 is recognised by its preface, since whoever agrees on it by ALPN begins with that.

// Secure has it speak TLS. It must be called before Serve, and before URL is asked for.
// The configuration is used as it is, but for the protocols, which are added.
func (l *Listener) Secure(cfg *tls.Config) {
	cfg = cfg.Clone()
	for _, protocol := range []string{"http/1.1", "h2"} {
		if !slices.Contains(cfg.NextProtos, protocol) {
			cfg.NextProtos = slices.Insert(cfg.NextProtos, 0, protocol)
		}
	}
	l.gate.tls = cfg
}

// secure has a connection speak TLS.
func (c *conn) secure(cfg *tls.Config) {
	c.secured = tls.Server(&wire{Conn: c.socket, of: c}, cfg)
	c.Conn = c.secured
}

// wire is the socket as TLS sees it. TLS also writes by itself: in the handshake, when the
// peer wants new keys, and as a last word.
type wire struct {
	net.Conn
	of     *conn
	ending atomic.Bool // TLS has limited its last word
}

// Write has a time limit, also for what is no answer.
func (w *wire) Write(p []byte) (int, error) {
	if c := w.of; !c.writing.Load() && !w.ending.Load() {
		c.mu.Lock()
		err := c.limitWriting(time.Now())
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
	return w.Conn.Write(p)
}

// SetWriteDeadline is what TLS sets for its last word. It would wait five seconds for a
// peer that reads nothing.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.ending.Store(true)
	if soon := time.Now().Add(lastBytes); t.After(soon) {
		t = soon
	}
	return w.Conn.SetWriteDeadline(t)
}

// handshake is how far that of a connection is.
type handshake uint8

const (
	pending handshake = iota
	made
	failed
)

// shake makes the handshake, if it isn't made yet, in the time that there is for the
// header of a request. It is false when there is nothing to be read.
func (c *conn) shake() bool {
	if c.shaken != pending {
		return c.shaken == made
	}
	ctx, end := context.WithTimeout(context.Background(), c.gate.limits.Header)
	defer end()
	c.shaken = failed
	if err := c.secured.HandshakeContext(ctx); err != nil {
		c.unsecured(err)
		return false
	}
	switch c.secured.ConnectionState().NegotiatedProtocol {
	case "", "http/1.1", "h2":
		c.shaken = made
	} // acme-tls/1: the certificate was all that its authority wanted (RFC 8737)
	return c.shaken == made
}

// unsecured logs a handshake that failed, which anybody can cause at any time, and tells
// whoever speaks HTTP instead, such as a proxy with the wrong scheme.
func (c *conn) unsecured(err error) {
	plain, isPlain := errors.AsType[tls.RecordHeaderError](err)
	reason := "tls_handshake_error"
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		reason = "tls_handshake_timeout"
	case errors.Is(err, io.EOF):
		reason = "client_gone"
	case isPlain && speaksHTTP(plain.RecordHeader):
		reason = "http_instead_of_tls"
		// whether it is read does not matter
		_, _ = io.WriteString(c.socket, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis address speaks https, not http\n")
	}
	c.gate.log.write(slog.LevelDebug, 0, reason)
}

// speaksHTTP says whether the first bytes of a connection are those of a request.
func speaksHTTP(first [5]byte) bool {
	switch string(first[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
		return true
	}
	return false
}
