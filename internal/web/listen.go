package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Listener is a bound address with what it serves.
type Listener struct {
	listener net.Listener
	server   *http.Server
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
	return &Listener{listener, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}}, nil
}

// Handle sets what it serves, where that was not known yet when it was bound.
// It must be called before Serve.
func (l *Listener) Handle(h http.Handler) { l.server.Handler = h }

// URL returns the address as a client on this machine can use it.
func (l *Listener) URL() string {
	host, port, err := net.SplitHostPort(l.listener.Addr().String())
	if err != nil {
		return "http://" + l.listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Serve answers requests until Shutdown or Close.
func (l *Listener) Serve() error {
	if err := l.server.Serve(l.listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Shutdown takes no more requests and waits for those under way, at most until
// ctx ends.
func (l *Listener) Shutdown(ctx context.Context) error {
	if err := l.server.Shutdown(ctx); err != nil {
		return l.server.Close()
	}
	return nil
}

// Close drops everything at once.
func (l *Listener) Close() error { return l.server.Close() }
