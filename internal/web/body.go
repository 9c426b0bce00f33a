package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"onramp/internal/onramp"
)

const (
	// maxDrain is how much of a body that is too large is read and dropped, so that
	// its sender, who is still sending, gets to read the answer.
	maxDrain = 16 << 20
	// smallBody is what each request may send at any time: nearly every one stays
	// below. Only what goes beyond counts towards Limits.Bodies.
	smallBody = 64 << 10
)

// Malformed is an error of that kind: a request that can't be parsed. The message
// is shown to the sender.
func Malformed(message string) error {
	return &onramp.Error{Kind: onramp.Malformed, Message: message}
}

var (
	errStopping = &onramp.Error{Kind: onramp.Unavailable, Message: "the server is stopping; please try again", RetryAfter: 5 * time.Second}
	errBusy     = &onramp.Error{Kind: onramp.Unavailable, Message: "too many large requests arrive at once; please try again", RetryAfter: 5 * time.Second}
)

// ReadBody reads the whole body of a request into buf, without its content codings,
// at most limit bytes. The error is an [*onramp.Error] of kind TooLarge when there
// are more, of kind Malformed when the connection breaks before the end or a coding
// is not valid, of kind Unsupported when a coding is not known, and of kind
// Unavailable when there is no room for it. None quotes the sender.
func ReadBody(r *http.Request, buf *bytes.Buffer, limit int64) error {
	codings, err := contentCodings(r.Header)
	switch {
	case err != nil:
		if r.Header.Get("Expect") == "" {
			DropBody(r)
		}
		return err
	case len(codings) == 0:
		return readSent(r, buf, limit)
	}
	var encoded bytes.Buffer
	if err := readSent(r, &encoded, limit); err != nil {
		return err
	}
	return decode(r, codings, encoded.Bytes(), buf, limit)
}

// readSent reads a body as it was sent.
func readSent(r *http.Request, buf *bytes.Buffer, limit int64) error {
	if r.ContentLength > limit && r.Header.Get("Expect") != "" {
		return tooLarge(limit) // the sender waits for permission before it sends
	}
	// buf grows with what arrives: a Content-Length is only a claim
	n, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	if known, ok := errors.AsType[*onramp.Error](err); ok {
		return known
	}
	if err != nil {
		return &onramp.Error{Kind: onramp.Malformed, Message: "the body could not be read completely", Err: readFailure(err)}
	}
	if n > limit {
		DropBody(r)
		return tooLarge(limit)
	}
	return nil
}

// readFailure says why a body could not be read, in words of ours: the texts of
// net and net/http quote the address and what was sent.
func readFailure(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("it came too slowly")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return errors.New("the connection broke")
	}
	return errors.New("its chunks or trailers are malformed")
}

// DropBody reads what is left of a body that is refused, within bounds, so that a
// client that is still sending gets to read the answer.
func DropBody(r *http.Request) {
	if b, ok := r.Body.(*body); ok {
		b.dropped = true
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // whether it comes to its end does not matter
}

func tooLarge(limit int64) error {
	size := fmt.Sprintf("%d KiB", limit>>10)
	if limit >= 1<<20 {
		size = fmt.Sprintf("%d MiB", limit>>20)
	}
	return &onramp.Error{Kind: onramp.TooLarge, Message: "the body is larger than " + size}
}

// body is a request's body that counts what arrives of it.
type body struct {
	io.ReadCloser
	conn    *conn
	control *http.ResponseController // of an HTTP/2 stream; nil: the connection is the request's own
	dropped bool                     // what comes is not kept
	kept    int64                    // bytes, with those that were decoded

	counted int64       // towards the budget
	since   time.Time   // when that began
	refused atomic.Bool // there is no room for it any more
}

// Read reads on as long as there is room.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	g := b.conn.gate
	switch {
	case err == io.EOF:
		b.received()
	case b.refused.Load():
		return n, errBusy
	case err != nil && g.readEnd.Load() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return n, errStopping
	}
	if !b.dropped && !b.keep(int64(n)) {
		b.interrupt() // net/http need not read the rest either
		return n, errBusy
	}
	return n, err
}

// keep notes that n more bytes are kept. It is false when there is no room for them.
func (b *body) keep(n int64) bool {
	b.kept += n
	return b.kept <= smallBody || b.conn.gate.bodies.take(b, min(n, b.kept-smallBody))
}

// received notes that it is complete.
func (b *body) received() {
	if b.control == nil {
		b.conn.received()
		return
	}
	b.conn.receivedStream(b)
}

// interrupt ends its receiving. The handler must not have ended.
func (b *body) interrupt() {
	if b.control == nil {
		b.conn.interrupt()
		return
	}
	_ = b.control.SetReadDeadline(time.Unix(1, 0)) // it fails only on what is no stream
}

// bodyBudget limits the sum of the unfinished bodies of a listener, without the
// first part of each. When it is used up, the body gives way that has been arriving
// for longest, if that is longer than fair: slow senders, however many, can't
// keep the room from those who send at once.
type bodyBudget struct {
	mu     sync.Mutex
	limit  int64
	fair   time.Duration
	used   int64
	bodies []*body // the oldest first
}

// take counts some more of a body; it is false when there is no room.
func (m *bodyBudget) take(b *body, n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.counted == 0 {
		b.since = time.Now()
		m.bodies = append(m.bodies, b)
	}
	b.counted += n
	m.used += n
	for m.used > m.limit {
		oldest := m.bodies[0]
		if time.Since(oldest.since) < m.fair {
			oldest = b
		}
		oldest.refused.Store(true)
		m.remove(oldest)
		if oldest == b {
			return false
		}
		oldest.interrupt()
	}
	return true
}

// release ends the counting of a body.
func (m *bodyBudget) release(b *body) {
	if b.kept <= smallBody {
		return // it was never counted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(b)
}

func (m *bodyBudget) remove(b *body) {
	if b.counted == 0 {
		return
	}
	m.used -= b.counted
	b.counted = 0
	m.bodies = slices.DeleteFunc(m.bodies, func(other *body) bool { return other == b })
}
