package bench

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

const (
	keyHeader = "Idempotency-Key"
	keyLength = 32 // hexadecimal digits: 128 bits, so two processes do not meet
)

// request is a whole request as bytes, ready to be written.
type request struct {
	bytes []byte
	key   int // where the idempotency key starts; 0 when there is none
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
	b.Write(c.Body)
	r.bytes = b.Bytes()
	return r
}

// clone gives a client bytes of its own to write keys into.
func (r request) clone() request {
	return request{bytes: slices.Clone(r.bytes), key: r.key}
}

// renew writes a fresh key over the last one.
func (r request) renew(random *rand.PCG) {
	if r.key == 0 {
		return
	}
	const digits = "0123456789abcdef"
	key := r.bytes[r.key : r.key+keyLength]
	for half := range slices.Chunk(key, 16) {
		v := random.Uint64()
		for i := range half {
			half[i] = digits[v&15]
			v >>= 4
		}
	}
}

// validateRequest keeps out what would not arrive as the one request it seems
// to be: the bytes go to the server as they are.
func (c LoadConfig) validateRequest() []error {
	var errs []error
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsFunc(c.Path, unprintable) || strings.Contains(c.Path, " ") {
		errs = append(errs, fmt.Errorf("path %q", c.Path))
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
