package attempt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	return onramp.Outcome{Verdict: onramp.Throttled, Detail: err.Error(), Hint: hintFence, NotSent: true}, true
}

// idleConnections are as many as calls are usually under way to one host at once.
const idleConnections = 64

// Dial makes a connection, as [net.Dialer.DialContext] does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Transport is the network for clients that call one host often: net/http's default
// one with more idle connections, each of them kept for so long. With a fence it is
// HTTP/1 only: on a connection that requests share, a write that is stopped would
// cost others their answers. Connections are made by dial; nil: anywhere.
func (f Fence) Transport(idle time.Duration, dial Dial) *http.Transport {
	network := http.DefaultTransport.(*http.Transport).Clone()
	network.MaxIdleConns, network.MaxIdleConnsPerHost, network.IdleConnTimeout = 2*idleConnections, idleConnections, idle
	network.DialContext = f.Dialer(dial)
	if f != nil {
		network.ForceAttemptHTTP2, network.Protocols = false, new(http.Protocols)
		network.Protocols.SetHTTP1(true)
	}
	return network
}

// Dialer makes connections by dial behind the fence; nil: anywhere.
func (f Fence) Dialer(dial Dial) Dial {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := f.Check(); err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil || f == nil {
			return conn, err
		}
		return &fencedConn{conn, f}, nil
	}
}

// fencedConn asks the fence before each write. A request whose write is stopped has
// not arrived as a whole, and so is not carried out.
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
