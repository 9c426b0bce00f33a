package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what a connection is busy with.
type phase uint8

const (
	quiet     phase = iota // nothing, or a request whose header is not complete
	receiving              // a handler runs that does not have the whole body yet
	working                // a handler runs that has the whole request
	answering              // the answer is being written
)

// conn is a connection that knows what it is busy with, and limits how long its
// answers may take.
type conn struct {
	net.Conn           // the socket, or what speaks TLS on it
	socket   net.Conn  // for deadlines, which TLS has none of
	secured  *tls.Conn // nil: without TLS
	shaken   handshake // whoever reads knows
	writing  atomic.Bool
	gate     *gate
	address  netip.Addr // whose share of the connections it takes; invalid: nobody's
	streams  int        // of HTTP/2, that have places; gate.mu guards it

	mu      sync.Mutex
	phase   phase
	turn    uint64 // when it became quiet: the lower, the longer ago
	closed  bool
	covered bool      // a handler writes the log line of this request
	begun   time.Time // when the answer was; zero: not yet
	sent    int64     // bytes of the answer

	writeEnd time.Time // when writing fails

	protocol protocol
	prefaced int // bytes of HTTP/2's preface that have come

	// of HTTP/2, where phase, covered, begun and sent have no meaning
	handlers  int                // that run
	bodies    map[*body]struct{} // that they don't have the whole of
	streaming bool               // a stream is open
	closing   time.Time          // when it closes, if no handler runs then

	reading bool
	readEnd time.Time // when reading is to fail; zero: never
	readSet time.Time // when the socket has it fail: then, or earlier, which Read puts right
}

type connKey struct{}

// connOf returns the connection of a request, or nil when it came by no Listener.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// cover notes that a handler writes the log line of the request.
func cover(ctx context.Context) {
	if c := connOf(ctx); c != nil {
		c.mu.Lock()
		c.covered = true
		c.mu.Unlock()
	}
}

// begin notes that a handler begins. It is false when the connection was closed to
// make room for another.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.covered, c.begun, c.sent = receiving, false, time.Time{}, 0
	return !c.closed
}

// received notes that the request is complete.
func (c *conn) received() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == receiving {
		c.phase = working
	}
}

// finished notes that the handler has ended; what it has written may still be in a buffer.
func (c *conn) finished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = answering
}

// rest notes that the answer was written, with HTTP/2 the last one, and the next
// request may come.
func (c *conn) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.covered, c.begun, c.sent, c.streaming = quiet, false, time.Time{}, 0, false
	c.turn = c.gate.turns.Add(1)
}

// note takes what net/http tells of the connection.
func (c *conn) note(s http.ConnState) {
	switch s {
	case http.StateIdle:
		c.rest()
	case http.StateActive:
		c.mu.Lock()
		c.streaming = true // of HTTP/2; phase tells more of HTTP/1
		c.mu.Unlock()
	}
}

// interrupt ends the receiving of a body.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == receiving {
		c.endReading(time.Unix(1, 0))
	}
}

// quietSince gives the turn at which the connection became quiet, if it is.
func (c *conn) quietSince() (turn uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn, c.isIn(quiet)
}

func (c *conn) is(phases ...phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(phases, c.isIn)
}

// isIn says whether the connection, or one of its streams, is in a phase. It needs mu.
func (c *conn) isIn(p phase) bool {
	if c.protocol == http2 {
		return c.streamsAre(p)
	}
	return c.phase == p
}

// Write writes part of an answer. The peer must take each piece within the limit
// for an answer, and a long answer at slowestReader.
func (c *conn) Write(p []byte) (n int, err error) {
	c.writing.Store(true)
	defer c.writing.Store(false)
	for {
		piece := p[n:min(n+slowestReader, len(p))]
		if err := c.beforeWriting(piece); err != nil {
			return n, err
		}
		more, err := c.Conn.Write(piece)
		n += more
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// beforeWriting limits the time for a piece, and logs an answer that begins with it
// if it refuses a request which no handler logs.
func (c *conn) beforeWriting(piece []byte) error {
	now := time.Now()
	c.mu.Lock()
	begins := c.begun.IsZero() && c.protocol != http2 && !bytes.HasPrefix(piece, []byte("HTTP/1.1 1")) // 100 Continue is no answer
	if begins {
		c.begun, c.phase = now, answering
	}
	covered := c.covered
	if c.protocol != http2 { // whose streams have limits of their own
		c.sent += int64(len(piece))
	}
	err := c.limitWriting(now)
	c.mu.Unlock()
	if begins && !covered {
		if status := statusOf(piece); status >= 400 {
			c.gate.log.refused(status, "")
		}
	}
	return err
}

// limitWriting sets the time until which what has been handed over must be
// written. A short answer may have half as much time again, so that the time is not
// set anew for each of those that follow one another. It needs mu.
func (c *conn) limitWriting(now time.Time) error {
	limit, stopping := c.gate.limits.Write, c.gate.readEnd.Load() != nil
	if !stopping && c.sent <= slowestReader {
		if c.writeEnd.Sub(now) >= limit {
			return nil
		}
		c.writeEnd = now.Add(limit + limit/2)
		return c.socket.SetWriteDeadline(c.writeEnd)
	}
	if stopping {
		limit = min(limit, c.gate.limits.Grace)
	}
	c.writeEnd = now.Add(limit)
	if whole := c.begun.Add(limit + time.Duration(c.sent)*time.Second/slowestReader); whole.Before(c.writeEnd) && !c.begun.IsZero() {
		c.writeEnd = whole
	}
	return c.socket.SetWriteDeadline(c.writeEnd)
}

// SetWriteDeadline does nothing: net/http takes back after each answer what Write
// has set, which would only have to be set again.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// statusOf reads the status from the first line of an answer, 0 when there is none.
func statusOf(answer []byte) int {
	digits, found := bytes.CutPrefix(answer, []byte("HTTP/1.1 "))
	if !found || len(digits) < 3 {
		return 0
	}
	status := 0
	for _, d := range digits[:3] {
		status = 10*status + int(d-'0')
	}
	return status
}

// SetReadDeadline is what net/http sets, seven times for each request; without a
// time once it has the whole request, and only watches whether the client goes away.
// When the listener stops, nothing more is read than what is on its way.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.gate.readEnd.Load()
	switch {
	case t.IsZero() && c.phase == receiving:
		c.phase = working
	case end != nil && c.phase <= receiving && t.After(*end):
		t = *end
	}
	c.readEnd = t
	if c.reading {
		return c.hasten()
	}
	return nil // Read sees to it
}

// hasten has the socket's reading fail earlier, if it would too late. It needs mu.
func (c *conn) hasten() error {
	if c.readEnd.IsZero() || !c.readSet.IsZero() && !c.readEnd.Before(c.readSet) {
		return nil
	}
	c.readSet = c.readEnd
	return c.socket.SetReadDeadline(c.readEnd)
}

// Read reads what the peer sends until the read deadline.
func (c *conn) Read(p []byte) (n int, err error) {
	for begun := false; ; begun = true {
		if err := c.beforeReading(begun); err != nil {
			return 0, err
		}
		if c.secured != nil && !c.shake() {
			return 0, io.EOF // at which net/http closes the connection and says nothing
		}
		n, err = c.Conn.Read(p)
		c.mu.Lock()
		c.reading = false
		if c.protocol == unknown {
			c.recognise(p[:n])
		}
		early := errors.Is(err, os.ErrDeadlineExceeded) && (c.readEnd.IsZero() || c.readEnd.After(time.Now()))
		c.mu.Unlock()
		if !early {
			return n, err
		}
	}
}

// beforeReading sees to it that the socket's reading does not fail too late, and
// when it has failed too early, to the right time.
func (c *conn) beforeReading(early bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = true
	if !early {
		return c.hasten()
	}
	c.readSet = c.readEnd
	return c.socket.SetReadDeadline(c.readEnd)
}

// endReading ends reading at a time, whatever net/http has set. It needs mu.
func (c *conn) endReading(at time.Time) {
	c.readEnd = at
	_ = c.hasten() // fails only if closed
}

// stop ends reading at a time, unless the request is complete, and writing at
// another one, if the answer is being written.
func (c *conn) stop(reading, writing time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.protocol == http2 {
		c.stopStreams(reading)
		return
	}
	if c.phase != working {
		c.endReading(reading)
	}
	if c.phase == answering {
		_ = c.socket.SetWriteDeadline(writing) // fails only if closed
	}
}

// CloseWrite lets net/http close its half first, so that a client that is still
// sending gets to read the answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok { // TCP and TLS have it
		return half.CloseWrite()
	}
	return nil
}

// NetConn is the connection below, for whoever took it over and wants to reset it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close also gives the connection's place to another.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.gate.leave(c)
	return c.Conn.Close()
}

// giveWay closes the connection if it is still quiet.
func (c *conn) giveWay() {
	c.mu.Lock()
	gives := c.isIn(quiet)
	c.closed = c.closed || gives
	c.mu.Unlock()
	if gives {
		c.gate.leave(c)
		_ = c.socket.Close() // its peer sees the end; net/http closes it again
	}
}
