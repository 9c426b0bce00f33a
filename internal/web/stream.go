package web

import (
	"net/http"
	"time"

	"onramp/internal/onramp"
)

// HTTP/2 by prior knowledge (h2c), as load balancers speak it. net/http limits what is
// sent beside requests: it closes a connection with more than 10,000 answers to pings
// and settings that nobody reads, with a header that is too long however many frames it
// comes in, and one that opens and resets streams faster than their handlers end. Here
// stands what makes a stream cost no more than a connection of HTTP/1 does.
const (
	// maxStreams is how many requests of one connection run at once. Each but the
	// first takes the place of a connection.
	maxStreams = 250
	// maxFrame is the smallest that HTTP/2 allows: net/http keeps a buffer of that size.
	maxFrame = 16 << 10
	// streamWindow and connWindow are what a client may send before a handler reads it.
	streamWindow = smallBody
	connWindow   = 256 << 10
)

// http2Limits are what net/http sees to.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
		MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow,
	}
}

// preface is what an HTTP/2 connection begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

var errCrowded = &onramp.Error{Kind: onramp.Unavailable, Message: "too many requests at once; please try again", RetryAfter: time.Second}

// stream is a request of an HTTP/2 connection that limits how long its answer may take,
// as conn does for those of HTTP/1.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	begun   time.Time // when the answer was; zero: not yet
	sent    int64     // bytes of the answer
}

// Unwrap lets http.ResponseController reach the connection.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// WriteHeader begins the answer.
func (s *stream) WriteHeader(status int) {
	s.limitWriting(0)
	s.ResponseWriter.WriteHeader(status)
}

// Write writes part of the answer.
func (s *stream) Write(p []byte) (int, error) {
	s.limitWriting(len(p))
	return s.ResponseWriter.Write(p)
}

// limitWriting sets the time until which the client must have taken all of the answer.
func (s *stream) limitWriting(more int) {
	s.sent += int64(more)
	if !s.begun.IsZero() && s.sent <= slowestReader {
		return // as at its beginning
	}
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	// it fails only on what is no stream
	_ = s.control.SetWriteDeadline(s.begun.Add(s.limit + time.Duration(s.sent)*time.Second/slowestReader))
}

// serveStream hands on a request of an HTTP/2 connection, if there is room for it.
func (l *Listener) serveStream(w http.ResponseWriter, r *http.Request, c *conn) {
	s := &stream{ResponseWriter: w, control: http.NewResponseController(w), limit: l.gate.limits.Write}
	if !l.gate.enterStream(c) {
		l.gate.log.refused(http.StatusServiceUnavailable, "too_many_streams")
		WriteProblem(s, errCrowded)
		return
	}
	defer l.gate.leaveStream(c)
	b := &body{ReadCloser: r.Body, conn: c, control: s.control}
	if r.Body == http.NoBody {
		b = nil
	} else {
		defer l.gate.bodies.release(b)
		r = withBody(r, b)
	}
	c.beginStream(b)
	defer c.finishStream(b)
	l.handle(s, r)
}

// beginStream notes that a handler of a stream begins; b is nil when there is no body.
func (c *conn) beginStream(b *body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers++
	if b == nil {
		return
	}
	if c.bodies == nil {
		c.bodies = map[*body]struct{}{}
	}
	c.bodies[b] = struct{}{}
}

// finishStream notes that the handler has ended; what it has written may still be on its way.
func (c *conn) finishStream(b *body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers--
	delete(c.bodies, b)
	if c.gate.readEnd.Load() != nil {
		c.closeSoon()
	}
}

// receivedStream notes that the body of a stream is complete.
func (c *conn) receivedStream(b *body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bodies, b)
}

// streamsAre says whether one of the streams is in a phase, or all are when that is
// quiet. It needs mu.
func (c *conn) streamsAre(p phase) bool {
	switch p {
	case quiet:
		return c.handlers == 0 && !c.streaming
	case receiving:
		return len(c.bodies) > 0
	case working:
		return c.handlers > len(c.bodies)
	}
	return c.handlers == 0 && c.streaming
}

// stopStreams ends the receiving of bodies at a time. Streams go on being read, since
// the connection ends when that does: net/http says GOAWAY, and closes it after the
// last answer. It needs mu.
func (c *conn) stopStreams(reading time.Time) {
	for b := range c.bodies {
		_ = b.control.SetReadDeadline(reading) // it fails only on what is no stream
	}
	c.closeSoon()
}

// closeSoon closes a connection that stops, unless a handler runs then or has just
// ended: it has answers that nobody takes. It needs mu.
func (c *conn) closeSoon() {
	wait := max(c.gate.limits.Grace, 3*lastBytes)
	c.closing = time.Now().Add(wait)
	time.AfterFunc(wait, func() {
		c.mu.Lock()
		stays := c.handlers > 0 || time.Now().Before(c.closing)
		c.mu.Unlock()
		if !stays {
			_ = c.Close() // net/http closes it again
		}
	})
}

// recognise looks for the preface of HTTP/2 in the first bytes that come. It needs mu.
func (c *conn) recognise(p []byte) {
	rest := preface[c.prefaced:]
	n := min(len(p), len(rest))
	if string(p[:n]) != rest[:n] {
		c.protocol = http1
		return
	}
	if c.prefaced += n; c.prefaced == len(preface) {
		c.protocol = http2
	}
}

// protocol is what a connection speaks.
type protocol uint8

const (
	unknown protocol = iota // not enough has come
	http1
	http2
)
