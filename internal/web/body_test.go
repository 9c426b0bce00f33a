package web_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// broken is a connection that fails after its text, naming the peer as net does.
type broken struct {
	text *strings.Reader
	err  error
}

func (b broken) Read(p []byte) (int, error) {
	if b.text.Len() > 0 {
		return b.text.Read(p)
	}
	return 0, &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 77), Port: 5000}, Err: os.NewSyscallError("read", b.err)}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	type read struct {
		Body string // that was read, when there is no error
		Kind onramp.Kind
		Err  string
		Left int // unread bytes of the body
	}
	for name, row := range map[string]struct {
		body   io.Reader
		limit  int64
		expect string
		want   read
	}{
		"none":            {strings.NewReader(""), 2 << 10, "", read{}},
		"as much":         {strings.NewReader(strings.Repeat("a", 2<<10)), 2 << 10, "", read{Body: strings.Repeat("a", 2<<10)}},
		"one more":        {strings.NewReader(strings.Repeat("a", 2<<10+1)), 2 << 10, "", read{Kind: onramp.TooLarge, Err: "the body is larger than 2 KiB"}},
		"far too much":    {strings.NewReader(strings.Repeat("a", 40<<20)), 16 << 20, "", read{Kind: onramp.TooLarge, Err: "the body is larger than 16 MiB", Left: 8<<20 - 1}},
		"asks before":     {strings.NewReader("aaaa"), 2 << 10, "100-continue", read{Body: "aaaa"}},
		"asks, too large": {strings.NewReader(strings.Repeat("a", 2<<10+1)), 2 << 10, "100-continue", read{Kind: onramp.TooLarge, Err: "the body is larger than 2 KiB", Left: 2<<10 + 1}},
		"broken off":      {broken{strings.NewReader("aaaa"), syscall.ECONNRESET}, 2 << 10, "", read{Kind: onramp.Malformed, Err: "the body could not be read completely: connection reset by peer"}},
		"broken somehow":  {broken{strings.NewReader("aaaa"), errors.New("192.0.2.77")}, 2 << 10, "", read{Kind: onramp.Malformed, Err: "the body could not be read completely: the connection broke"}},
		"cut short":       {iotest.ErrReader(io.ErrUnexpectedEOF), 2 << 10, "", read{Kind: onramp.Malformed, Err: "the body could not be read completely: unexpected EOF"}},
		"too slow":        {iotest.ErrReader(os.ErrDeadlineExceeded), 2 << 10, "", read{Kind: onramp.Malformed, Err: "the body could not be read completely: it came too slowly"}},
		"malformed": {
			iotest.ErrReader(errors.New(`malformed MIME header line: jane@example.org`)), 2 << 10, "",
			read{Kind: onramp.Malformed, Err: "the body could not be read completely: its chunks or trailers are malformed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/", row.body)
			if row.expect != "" {
				r.Header.Set("Expect", row.expect)
			}
			var got read
			var b bytes.Buffer
			if err := web.ReadBody(r, &b, row.limit); err != nil {
				e, _ := errors.AsType[*onramp.Error](err)
				got.Kind, got.Err = e.Kind, e.Error()
			} else {
				got.Body = b.String()
			}
			if all, ok := row.body.(*strings.Reader); ok {
				got.Left = all.Len()
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
