package attempt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"onramp/internal/onramp"
)

// Fence returns an error while nothing may be sent, since another process may be
// delivering. A nil one is always open.
//
// A process can be stopped at any moment for any time, and others go on without it.
// So it is asked right before each write to the network, and not only before a call.
type Fence func() error

// errUnsent marks the error of a request that has not left as a whole.
var errUnsent = errors.New("not sent")

// Check is the fence's answer, as an error that Unsent recognises.
func (f Fence) Check() error {
	if f == nil {
		return nil
	}
	if err := f(); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return nil
}

const hintFence = "nothing to do if another onramp has taken over; else check that the database is reachable and this machine is not overloaded"

// Unsent is the outcome of what the fence has stopped: no try is used up.
func Unsent(err error) (o onramp.Outcome, unsent bool) {
	if !errors.Is(err, errUnsent) {
		return o, false
	}
	return onramp.Outcome{Verdict: onramp.Throttled, Detail: err.Error(), Hint: hintFence}, true
}

// idleConnections are as many as calls are usually under way to one host at once.
const idleConnections = 64

// Transport is the network for clients that call one host often: net/http's default
// one with more idle connections, each of them kept for so long, behind the fence.
func (f Fence) Transport(idle time.Duration) http.RoundTripper {
	network := http.DefaultTransport.(*http.Transport).Clone()
	network.MaxIdleConns, network.MaxIdleConnsPerHost, network.IdleConnTimeout = 2*idleConnections, idleConnections, idle
	network.DialContext = f.Dial
	if f == nil {
		return network
	}
	return &transport{network}
}

// Dial connects to an address behind the fence.
func (f Fence) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || f == nil {
		return conn, err
	}
	return &fencedConn{conn, f}, nil
}

type fencedConn struct {
	net.Conn
	fence Fence
}

func (c *fencedConn) Write(b []byte) (int, error) {
	if err := c.fence.Check(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

type transport struct{ network *http.Transport }

// RoundTrip makes a request. A connection by HTTP/1 writes nothing but requests; by
// HTTP/2 the fence may also stop what comes after a request that has left.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var shared, left atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			secure, is := info.Conn.(*tls.Conn)
			shared.Store(is && secure.ConnectionState().NegotiatedProtocol == "h2")
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) { left.Store(info.Err == nil) },
	})
	resp, err := t.network.RoundTrip(r.WithContext(ctx))
	if errors.Is(err, errUnsent) && shared.Load() && left.Load() {
		err = fmt.Errorf("connection lost: %v", err) // not unsent
	}
	return resp, err
}

// CloseIdleConnections is what http.Client looks for.
func (t *transport) CloseIdleConnections() { t.network.CloseIdleConnections() }
