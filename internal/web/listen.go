package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"onramp/internal/listen"
)

// Limits are what a listener allows the world. A zero value means the default.
type Limits struct {
	Connections int            // at once; a quarter of the open files that the process may have
	PerAddress  int            // of one address, for IPv6 of one /64; as many as Connections
	Trusted     []netip.Prefix // proxies, whose number of connections only Connections limits
	Bodies      int64          // bytes of all unfinished bodies, without the first 64 KiB of each; 64 MiB
	Fair        time.Duration  // how long a large body may take before it gives way to others; 3s, as long as ENS waits in all
	Header      time.Duration  // for receiving a request's header, on a new connection with the handshake of TLS; 10s
	Body        time.Duration  // for receiving a request; 30s
	Write       time.Duration  // for writing an answer, or a piece of a long one; 30s
	Grace       time.Duration  // at a stop, for requests that may be on their way; 1s
	Log         *slog.Logger   // nil: none
	Part        string         // names the listener in the log
	Meter       Meter          // is told what is refused; nil: nobody is
}

const (
	// slowestReader is how many bytes a second a client must take of a long answer.
	slowestReader = 256 << 10
	// lastBytes is how long those who have connected at the last moment of a stop
	// have for their request.
	lastBytes = 100 * time.Millisecond
	// maxMethod and maxURI bound what is handled at all. The longest registered
	// method has 17 letters; RFC 9112, 3 recommends at least 8,000 octets of a URI.
	maxMethod = 20
	maxURI    = 8 << 10
)

const (
	mostOpenFiles    = 1 << 20 // where there is no limit, or none that can be read
	unknownOpenFiles = 1024
)

func (l Limits) withDefaults() Limits {
	if l.Connections == 0 {
		l.Connections = max(OpenFiles()/4, 1)
	}
	if l.PerAddress == 0 {
		l.PerAddress = l.Connections
	}
	if l.Bodies == 0 {
		l.Bodies = 64 << 20
	}
	if l.Fair == 0 {
		l.Fair = 3 * time.Second
	}
	if l.Header == 0 {
		l.Header = 10 * time.Second
	}
	if l.Body == 0 {
		l.Body = 30 * time.Second
	}
	if l.Write == 0 {
		l.Write = 30 * time.Second
	}
	if l.Grace == 0 {
		l.Grace = time.Second
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if l.Meter == nil {
		l.Meter = unmetered{}
	}
	return l
}

// Listener is a bound address with what it serves.
type Listener struct {
	gate    *gate
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	serving atomic.Bool
	served  chan struct{} // closed when Serve has ended
}

// Listen binds an address, so that a port that is taken is an error before
// anything is said to be running.
func Listen(ctx context.Context, address string, h http.Handler) (*Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w; is another onramp running?", err)
	}
	if err != nil {
		return nil, err // names the address itself
	}
	l := &Listener{gate: newGate(listener), served: make(chan struct{})}
	l.Handle(h)
	l.server = &http.Server{
		Handler:        http.HandlerFunc(l.serve),
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       log.New(serverLog{l.gate}, "", 0),
		ConnContext:    func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:      func(c net.Conn, s http.ConnState) { c.(*conn).note(s) },
		Protocols:      new(http.Protocols),
		HTTP2:          http2Limits(),
	}
	l.server.Protocols.SetHTTP1(true)
	l.server.Protocols.SetUnencryptedHTTP2(true)
	l.Limit(Limits{})
	return l, nil
}

// Handle sets what it serves from now on: where that was not known yet when it was
// bound, before Serve, and whenever it is to be replaced. Requests that are under way
// stay with the handler that they began with.
func (l *Listener) Handle(h http.Handler) { l.handler.Store(&h) }

// Trust sets the proxies whose number of connections only Limits.Connections limits,
// for new connections.
func (l *Listener) Trust(proxies []netip.Prefix) { l.gate.trusted.Store(&proxies) }

// Limit sets what it allows. It must be called before Serve.
func (l *Listener) Limit(limits Limits) {
	limits = limits.withDefaults()
	l.gate.limits = limits
	l.Trust(limits.Trusted)
	l.gate.bodies.limit, l.gate.bodies.fair = limits.Bodies, limits.Fair
	l.gate.log = &refusalLog{log: limits.Log, part: limits.Part, meter: limits.Meter}
	l.server.ReadHeaderTimeout, l.server.ReadTimeout = limits.Header, limits.Body
}

// URL returns the address as a client on this machine can use it.
func (l *Listener) URL() string { return l.scheme(listen.URL(l.gate.Addr().String())) }

// Where returns the address as it is bound, see listen.Where.
func (l *Listener) Where() string { return l.scheme(listen.Where(l.gate.Addr().String())) }

// scheme is the URL with https, where the listener speaks that.
func (l *Listener) scheme(url string) string {
	if l.gate.tls == nil {
		return url
	}
	return "https" + strings.TrimPrefix(url, "http")
}

// Serve answers requests until Shutdown or Close.
func (l *Listener) Serve() error {
	l.serving.Store(true)
	defer close(l.served)
	err := l.server.Serve(l.gate)
	if l.gate.draining.Load() || err == http.ErrServerClosed {
		return nil
	}
	return err
}

// serve hands a request to the handler, unless it is refused at first sight.
func (l *Listener) serve(w http.ResponseWriter, r *http.Request) {
	c := connOf(r.Context())
	if r.ProtoMajor == 2 {
		l.serveStream(w, r, c)
		return
	}
	if !c.begin() {
		panic(http.ErrAbortHandler)
	}
	if r.Body == http.NoBody {
		c.received()
	} else {
		b := &body{ReadCloser: r.Body, conn: c}
		defer l.gate.bodies.release(b)
		r = withBody(r, b)
	}
	defer c.finished()
	l.handle(w, r)
}

// handle has the handler answer a request.
func (l *Listener) handle(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				l.gate.limits.Log.Error("a request failed", "part", l.gate.limits.Part, "err", panicked(p, debug.Stack()))
			}
			panic(http.ErrAbortHandler) // for net/http, which closes the connection or the stream
		}
	}()
	refuse := func(status int) {
		l.gate.limits.Meter.Refused(l.gate.limits.Part, statusReason(status))
		w.Header().Set("Connection", "close") // GOAWAY, with HTTP/2
	}
	switch {
	case l.gate.draining.Load():
		refuse(http.StatusServiceUnavailable)
		WriteProblem(w, errStopping)
	case len(r.Method) > maxMethod:
		refuse(http.StatusNotImplemented)
		w.WriteHeader(http.StatusNotImplemented)
	case len(r.RequestURI) > maxURI:
		refuse(http.StatusRequestURITooLong)
		w.WriteHeader(http.StatusRequestURITooLong)
	default:
		(*l.handler.Load()).ServeHTTP(w, r)
	}
}

// withBody returns the request with another body. It is a copy, since net/http
// looks at the body of its own one to see whether there is something left of it.
func withBody(r *http.Request, b *body) *http.Request {
	with := new(http.Request)
	*with = *r
	with.Body = b
	return with
}

// Shutdown waits for the requests that are being worked on, at most until ctx
// ends. Requests that come while it does are answered with 503, on connections
// that are kept alive, too, so that none is without an answer; a stop does not
// wait for those that come slowly, nor for clients that don't read their answer.
func (l *Listener) Shutdown(ctx context.Context) error {
	g := l.gate
	g.draining.Store(true)
	grace, cancel := context.WithTimeout(ctx, g.limits.Grace)
	defer cancel()
	g.await(grace, quiet, receiving)
	l.stopAccepting()
	now := time.Now()
	end := now.Add(lastBytes)
	g.readEnd.Store(&end)
	for _, c := range g.all() {
		c.stop(end, now.Add(g.limits.Grace))
	}
	l.sendAway(ctx)
	g.await(ctx, quiet, receiving, working, answering)
	return l.server.Close()
}

// sendAway has net/http tell clients of HTTP/2 that they must ask elsewhere. It would
// also close connections of HTTP/1 that are quiet, so those have their last bytes first.
func (l *Listener) sendAway(ctx context.Context) {
	last, cancel := context.WithTimeout(ctx, 2*lastBytes)
	defer cancel()
	l.gate.await(last, quiet, receiving, working, answering)
	if last.Err() != nil {
		_ = l.server.Shutdown(last) // which does not wait, since last is over
	}
}

// stopAccepting takes the connections that have been made already, then closes
// the address.
func (l *Listener) stopAccepting() {
	tcp, ok := l.gate.Listener.(*net.TCPListener)
	if ok && l.serving.Load() && tcp.SetDeadline(time.Now().Add(lastBytes/10)) == nil {
		<-l.served
	}
	_ = l.gate.Close() // most often closed already
}

// await waits until no connection is in one of the phases, or ctx ends.
func (g *gate) await(ctx context.Context, phases ...phase) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		any := false
		for _, c := range g.all() {
			any = any || c.is(phases...)
		}
		if !any {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Close drops everything at once.
func (l *Listener) Close() error {
	err := l.server.Close()
	_ = l.gate.Close() // if it was never served; else it is closed already
	return err
}
