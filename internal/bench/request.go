package bench

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	keyHeader = "Idempotency-Key"
	keyLength = 32 // hexadecimal digits: 128 bits, so two processes do not meet

	// Placeholder stands in a LoadConfig's Body, once, for as many hexadecimal
	// digits that no other request has: none of another connection, and none of
	// another run on this machine.
	Placeholder = "{digits of this request}"

	// The digits are the run's start in microseconds, the connection, and a count.
	runDigits        = 12
	connectionDigits = 4
	maxConnections   = 1 << (4 * connectionDigits)
)

// request is a whole request as bytes, ready to be written.
type request struct {
	bytes  []byte
	key    int // where the idempotency key starts; 0 when there is none
	unique int // where the digits of this request start; 0 when there are none
}

func newRequest(c LoadConfig) request {
	header := http.Header{"Host": {c.Addr}, "Content-Type": {"application/json"}}
	for name, values := range c.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\n", c.Path)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n", len(c.Body))
	var r request
	if c.IdempotencyKeys {
		b.WriteString(keyHeader + ": ")
		r.key = b.Len()
		b.WriteString(strings.Repeat("0", keyLength) + "\r\n")
	}
	b.WriteString("\r\n")
	if at := bytes.Index(c.Body, []byte(Placeholder)); at >= 0 {
		r.unique = b.Len() + at
	}
	b.Write(c.Body)
	r.bytes = b.Bytes()
	if r.unique > 0 {
		writeDigits(r.digits(), 0)
		writeDigits(r.digits()[:runDigits], uint64(time.Now().UnixMicro()))
	}
	return r
}

// clone copies the request, for a connection to write into.
func (r request) clone(connection int) request {
	r.bytes = slices.Clone(r.bytes)
	if r.unique > 0 {
		writeDigits(r.digits()[runDigits:][:connectionDigits], uint64(connection))
	}
	return r
}

// digits are those that replace the Placeholder.
func (r request) digits() []byte { return r.bytes[r.unique : r.unique+len(Placeholder)] }

// renew turns the last request into another one, with a fresh key and new
// digits. Counting up in place changes hardly more than one byte.
func (r request) renew(random *rand.PCG) {
	if r.key > 0 {
		for half := range slices.Chunk(r.bytes[r.key:r.key+keyLength], 16) {
			writeDigits(half, random.Uint64())
		}
	}
	if r.unique > 0 {
		increment(r.digits())
	}
}

// writeDigits writes the lowest hexadecimal digits of v, as many as there is
// room for.
func writeDigits(to []byte, v uint64) {
	for i := range slices.Backward(to) {
		to[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}

// increment adds one to a hexadecimal number.
func increment(digits []byte) {
	for i, digit := range slices.Backward(digits) {
		switch digit {
		case 'f':
			digits[i] = '0'
			continue // carry one
		case '9':
			digits[i] = 'a'
		default:
			digits[i]++
		}
		return
	}
}

// validateRequest keeps out what would not arrive as the one request it seems
// to be: the bytes go to the server as they are.
func (c LoadConfig) validateRequest() []error {
	var errs []error
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsFunc(c.Path, unprintable) || strings.Contains(c.Path, " ") {
		errs = append(errs, fmt.Errorf("path %q", c.Path))
	}
	if bytes.Count(c.Body, []byte(Placeholder)) > 1 {
		errs = append(errs, errors.New("the body has the placeholder more than once"))
	}
	for name, values := range c.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding", "Connection", "Expect":
			errs = append(errs, fmt.Errorf("header %s cannot be set", name))
		case keyHeader:
			if c.IdempotencyKeys {
				errs = append(errs, fmt.Errorf("header %s is set for every request already", name))
			}
		}
		if name == "" || strings.ContainsFunc(name, unprintable) || strings.ContainsAny(name, " :") {
			errs = append(errs, fmt.Errorf("header name %q", name))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, unprintable) {
				errs = append(errs, fmt.Errorf("header %s has a value with a control character", name))
			}
		}
	}
	return errs
}

func unprintable(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
