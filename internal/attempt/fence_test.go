package attempt_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

var errClosed = errors.New("closed")

// gate is a fence that closes after a number of looks; negative: never.
type gate struct{ looks atomic.Int64 }

func (g *gate) check() error {
	if g.looks.Add(-1) < 0 {
		return errClosed
	}
	return nil
}

func (g *gate) open(looks int64) { g.looks.Store(looks) }

const forever = 1 << 40

// Whenever the fence closes, a request that it stops never counts as sent, and never
// arrives as a whole.
func TestTransport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		secure bool
		body   int
		looks  int64 // of the fence before it closes, once the connection stands
		sent   bool
	}{
		{"open", false, 100, forever, true},
		{"closed before the request", false, 100, 0, false},
		{"closed inside a large request", false, 1 << 20, 9, false},
		{"TLS, open", true, 100, forever, true},
		{"TLS, closed before the request", true, 100, 0, false},
		{"TLS, closed inside a large request", true, 1 << 20, 9, false},
	} {
		for _, fresh := range []bool{false, true} {
			name := c.name + map[bool]string{true: ", first request of a connection"}[fresh]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var whole atomic.Int64
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if body, err := io.ReadAll(r.Body); err == nil && len(body) == c.body {
						whole.Add(1)
					}
				}))
				server.EnableHTTP2 = c.secure
				if c.secure {
					server.StartTLS()
				} else {
					server.Start()
				}
				t.Cleanup(server.Close)
				g := new(gate)
				network := attempt.Fence(g.check).Transport(time.Minute, nil)
				t.Cleanup(network.CloseIdleConnections)
				if c.secure {
					network.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
				}
				client := &http.Client{Transport: network}
				post := func(n int) error {
					resp, err := client.Post(server.URL, "text/plain", bytes.NewReader(make([]byte, n)))
					if err == nil {
						resp.Body.Close()
					}
					return err
				}
				if !fresh {
					g.open(forever)
					if err := post(0); err != nil {
						t.Fatal(err)
					}
				}
				g.open(c.looks)
				err := post(c.body)
				o, unsent := attempt.Unsent(err)
				if (err == nil) != c.sent || unsent == c.sent || whole.Load() != map[bool]int64{true: 1}[c.sent] {
					t.Errorf("error %v, unsent %v, arrived %d times", err, unsent, whole.Load())
				}
				if !c.sent && (o.Verdict != onramp.Throttled || !strings.Contains(o.Detail, errClosed.Error())) {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

// Without a fence there is nothing in between.
func TestNoFence(t *testing.T) {
	t.Parallel()
	if err := attempt.Fence(nil).Check(); err != nil {
		t.Error(err)
	}
	if !attempt.Fence(nil).Transport(time.Minute, nil).ForceAttemptHTTP2 {
		t.Error("HTTP/2 is off")
	}
}
