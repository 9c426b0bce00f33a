package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hang starts a server that takes one connection, reads one request and then ends
// the load with errDrain, as if it had waited too long. It never answers: a test
// should not wait for it. The function ends the server.
func hang(t *testing.T) (ctx context.Context, addr string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan struct{})
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		cancel(errDrain)
		<-ended
	}()
	return ctx, l.Addr().String(), func() {
		close(ended)
		<-hung
	}
}

// A request still unanswered long after the end is the server's error.
func TestDrain(t *testing.T) {
	t.Parallel()
	ctx, addr, end := hang(t)
	c := LoadConfig{Addr: addr}.withDefaults()
	k := newClient(c, newRequest(c))
	plan := schedule{begin: time.Now(), end: math.MaxInt64}
	k.run(ctx, plan, 1)
	end()
	k.disconnect()
	got := gather([]*client{k}, plan)
	if got.Errors != 1 || got.Requests != 0 || len(got.Failures) != 1 || got.Failures[0] != errDrain.Error() {
		t.Errorf("result %+v, want one error: %v", got, errDrain)
	}
}

// What fell due and never found a connection counts as an error as well.
func TestDrainOpenLoop(t *testing.T) {
	t.Parallel()
	ctx, addr, end := hang(t)
	c := LoadConfig{Addr: addr, Connections: 1, Requests: 5, Rate: 1e6}.withDefaults()
	g := &generator{config: c, request: newRequest(c), plan: schedule{end: math.MaxInt64}}
	err := g.openLoop(ctx)
	end()
	g.disconnect()
	got := gather(g.clients, g.plan)
	if err != nil || got.Errors != 5 || got.Requests != 0 {
		t.Errorf("result %+v, error %v; want five errors", got, err)
	}
}

func TestIncrement(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, to string }{
		{"0000", "0001"},
		{"0009", "000a"},
		{"000f", "0010"},
		{"0fff", "1000"},
		{"9fff", "a000"},
		{"ffff", "0000"},
	} {
		digits := []byte(tt.from)
		if increment(digits); string(digits) != tt.to {
			t.Errorf("%s becomes %s, want %s", tt.from, digits, tt.to)
		}
	}
}

func TestRenewAllocates(t *testing.T) {
	c := LoadConfig{Addr: "x:1", Body: []byte(Placeholder), IdempotencyKeys: true}.withDefaults()
	k := newClient(c, newRequest(c))
	if allocs := testing.AllocsPerRun(100, func() { k.request.renew(k.random) }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// The generator must not collect garbage while it measures.
func TestReadAnswerAllocates(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nDate: x\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		source := strings.NewReader(text)
		br := bufio.NewReader(source)
		allocs := testing.AllocsPerRun(100, func() {
			source.Reset(text)
			br.Reset(source)
			if _, err := readAnswer(br, 202); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations for %q", allocs, text)
		}
	}
}

// Whatever a server sends: no crash, and what both this reader and the standard
// library accept, they understand alike.
func FuzzReadAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1",
		"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\nrest",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 x\r\nConnection: close\r\n\r\nto the end",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 202 Accepted\r\nContent-Length: 9223372036854775807\r\n\r\n",
		"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"garbage",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := readAnswer(bufio.NewReader(bytes.NewReader(text)), 202)
		if err != nil {
			return
		}
		if a.status < 200 && a.status != 101 || a.status > 999 || len(a.shown) > maxShown {
			t.Fatalf("answer %+v", a)
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil || r.StatusCode < 200 {
			return // it is the stricter one, and leaves interim answers to its caller
		}
		if err := r.Body.Close(); err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
			return
		}
		if r.StatusCode != a.status {
			t.Errorf("status %d, the library says %d", a.status, r.StatusCode)
		}
	})
}
