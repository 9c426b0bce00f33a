package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"onramp/internal/listen"
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/authority"
)

// SandboxTLS has a sandbox serve HTTPS under Marketing Cloud's own host names.
type SandboxTLS struct {
	Folder string // of its certificate authority, which is made at the first start; "": in the user's configuration
	Tenant string // whose names people are told of; all are served. "": an invented one
}

// sandboxServer serves a sandbox, with or without TLS.
type sandboxServer interface {
	Serve() error
	Close() error
	URL() string
	Where() string
}

// startSecureSandbox binds a sandbox that serves HTTPS.
func startSecureSandbox(ctx context.Context, o SandboxOptions, cfg sandbox.Config) (*Sandbox, error) {
	tenant := cmp.Or(o.TLS.Tenant, authority.DefaultTenant)
	if err := authority.CheckTenant(tenant); err != nil {
		return nil, err
	}
	trusted, err := openAuthority(o.TLS.Folder)
	if err != nil {
		return nil, err
	}
	WarnOfReadable(cfg.Log, trusted.KeyFile())
	cfg.Hosts = append(cfg.Hosts, authority.Hosts()...)
	l, err := listenTLS(ctx, o.Address, trusted, sandbox.New(cfg), cfg.Log)
	if err != nil {
		return nil, err
	}
	guide, err := trusted.Guide(authority.Guided{
		Tenant: tenant, Address: l.listener.Addr().String(), ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret,
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Sandbox{l, guide}, nil
}

func openAuthority(folder string) (*authority.Authority, error) {
	if folder == "" {
		var err error
		if folder, err = authority.DefaultFolder(); err != nil {
			return nil, fmt.Errorf("there is no folder for the certificate authority, name one with --tls-dir: %w", err)
		}
	}
	return authority.Open(folder, nil)
}

// secureListener serves HTTPS. It has none of the limits of a web.Listener: whoever
// works with a sandbox may well take all of it.
type secureListener struct {
	listener net.Listener
	server   *http.Server
}

func listenTLS(ctx context.Context, address string, trusted *authority.Authority, h http.Handler, log *slog.Logger) (*secureListener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("%w; a port below 1024 takes a right, on Linux: sudo setcap cap_net_bind_service=+ep ONRAMP, with the path of this program", err)
	}
	if err != nil {
		return nil, err // names the address itself
	}
	return &secureListener{l, &http.Server{
		Handler: h, TLSConfig: trusted.TLS(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		// a client that does not trust the authority says so in the handshake
		ErrorLog: slog.NewLogLogger(log.With("part", "sandbox").Handler(), slog.LevelWarn),
	}}, nil
}

// Serve answers requests until Close.
func (l *secureListener) Serve() error {
	if err := l.server.ServeTLS(l.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close drops everything at once.
func (l *secureListener) Close() error {
	err := l.server.Close()
	_ = l.listener.Close() // if it was never served; else it is closed already
	return err
}

// URL is how a client on this machine reaches it.
func (l *secureListener) URL() string { return secured(listen.URL(l.listener.Addr().String())) }

// Where is where it can be reached, see listen.Where.
func (l *secureListener) Where() string { return secured(listen.Where(l.listener.Addr().String())) }

func secured(url string) string {
	return strings.TrimSuffix("https"+strings.TrimPrefix(url, "http"), ":443")
}
