package wire

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
)

// The content types of answers.
const (
	JSONType  = "application/json; charset=utf-8"
	HTMLType  = "text/html; charset=utf-8"
	PlainType = "text/plain; charset=utf-8"
)

// Answer is a response that is ready to be written. It is made first and
// written last, so that no lock is held while the network is slow.
type Answer struct {
	Status      int
	ContentType string
	RetryAfter  string // the header's value, or ""
	Location    string // the header's value, or ""
	Challenge   string // of WWW-Authenticate, or ""
	NoStore     bool
	Body        []byte
}

// JSON is the answer with v as its body. Every v is built from values that
// encode, so an error is a mistake in the sandbox and shows as a bare 500.
func JSON(status int, v any) Answer {
	body, err := Encode(v)
	if err != nil {
		return Answer{Status: http.StatusInternalServerError, ContentType: PlainType, Body: []byte(err.Error())}
	}
	return Answer{Status: status, ContentType: JSONType, Body: body}
}

// Encode writes JSON without Go's HTML escapes: an echoed "<" comes back as it
// was sent.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Write sends the answer. A write error means that the caller has gone, and
// nothing is left to do about it.
func (a Answer) Write(w http.ResponseWriter) {
	a.writeHeader(w)
	_, _ = w.Write(a.Body)
}

// WriteHalf sends the answer as far as the middle of its body, and closes the
// connection. It panics, as a handler does to that end.
func (a Answer) WriteHalf(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.Itoa(max(len(a.Body), 1)))
	a.writeHeader(w)
	_, _ = w.Write(a.Body[:len(a.Body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// Reset resets the connection where it is one of TCP, and else closes it. It
// panics, as a handler does to that end.
func Reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		inner := conn
		for {
			outer, ok := inner.(interface{ NetConn() net.Conn }) // of TLS, or of a server with limits
			if !ok {
				break
			}
			inner = outer.NetConn()
		}
		if tcp, ok := inner.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // what is not sent yet is dropped, and the other side told so
		}
		_ = inner.Close() // first: TLS would say goodbye
		_ = conn.Close()  // for whoever counts connections
	}
	panic(http.ErrAbortHandler)
}

func (a Answer) writeHeader(w http.ResponseWriter) {
	h := w.Header()
	if a.ContentType != "" {
		h.Set("Content-Type", a.ContentType)
	}
	if a.RetryAfter != "" {
		h.Set("Retry-After", a.RetryAfter)
	}
	if a.Location != "" {
		h.Set("Location", a.Location)
	}
	if a.Challenge != "" {
		h.Set("WWW-Authenticate", a.Challenge)
	}
	if a.NoStore {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(a.Status)
}
