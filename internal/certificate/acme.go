package certificate

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"onramp/internal/health"
)

// Keeper keeps what belongs to the certificates where all nodes find it, encrypted. A
// [onramp/internal/store.Store] is one.
type Keeper interface {
	// LoadCertificate returns what SaveCertificate was last given under a name; nil: there
	// is nothing, or nothing that can be decrypted.
	LoadCertificate(ctx context.Context, name string) ([]byte, error)
	SaveCertificate(ctx context.Context, name string, data []byte) error
	DeleteCertificate(ctx context.Context, name string) error
	// ReserveCertificate says whether the caller alone may ask for a host's certificate,
	// until it is released, or for life if nobody does that.
	ReserveCertificate(ctx context.Context, host string, life time.Duration) (bool, error)
	ReleaseCertificate(ctx context.Context, host string) error
}

// ACMEConfig says which certificates to ask for, and where. The authority's terms have
// been agreed to.
type ACMEConfig struct {
	Listener  string   // for status and log
	Hosts     []string // in lower case, and ASCII; each gets a certificate of its own
	Email     string   // where the authority writes to; "": nowhere
	Directory string   // URL of the authority; "": that of Let's Encrypt
	HTTP      bool     // Challenge is served on port 80
	Kept      Keeper
	UserAgent string // what the authority sees us as
	Log       *slog.Logger
}

const (
	// askWithin is how long an authority may take for a certificate.
	askWithin = 3 * time.Minute
	// reserveFor is how long other nodes leave a host to this one. It is longer than the
	// asking, and ends by itself when the process does not live to release it.
	reserveFor = askWithin + 30*time.Second
	// sharedEvery is how often a node looks whether another one has got a certificate.
	sharedEvery = 5 * time.Second
	// firstRetry doubles up to lastRetry. Let's Encrypt takes five failures an hour for a
	// host, and autocert itself waits for a minute.
	firstRetry = 2 * time.Minute
	lastRetry  = time.Hour
)

const hintACME = "operator: let the host name lead to this gateway, and let the certificate authority reach it on port 443 (or on port 80, with public.tls.acme.http_listen); Onramp tries again by itself"

// ACME shows certificates that it gets from an authority. A handshake never asks for
// one: strangers cost nothing, whatever host they name.
type ACME struct {
	cfg     ACMEConfig
	manager *autocert.Manager
	said    transport

	mu    sync.Mutex
	hosts map[string]*acmeHost
}

// acmeHost is how far one host is.
type acmeHost struct {
	ready   bool      // the manager has a certificate, and renews it
	failed  string    // why the last try was in vain; "": it was not
	retryAt time.Time // the next one
}

// NewACME prepares it. Nothing is asked for before Run.
func NewACME(cfg ACMEConfig) *ACME {
	a := &ACME{cfg: cfg, hosts: map[string]*acmeHost{}}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(cfg.Hosts...), Email: cfg.Email, Cache: cache{cfg.Kept, cfg.Log},
		Client: &acme.Client{
			DirectoryURL: cmp.Or(cfg.Directory, autocert.DefaultACMEDirectory), UserAgent: cfg.UserAgent,
			HTTPClient: &http.Client{Timeout: 30 * time.Second, Transport: &a.said},
		},
	}
	for _, host := range cfg.Hosts {
		a.hosts[host] = &acmeHost{}
	}
	return a
}

var (
	errNoHost        = errors.New("no certificate for this host")
	errNoCertificate = errors.New("the certificate of this host is not there yet")
)

// Config shows the certificate of the host that is asked for, and refuses other hosts.
func (a *ACME) Config() *tls.Config {
	cfg := newConfig(a.getCertificate)
	cfg.NextProtos = []string{acme.ALPNProto}
	return cfg
}

func (a *ACME) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	a.mu.Lock()
	host := a.hosts[name]
	ready := host != nil && host.ready
	a.mu.Unlock()
	switch {
	case host == nil:
		return nil, errNoHost
	case len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto:
		return a.manager.GetCertificate(hello) // the authority, or who acts as if: from memory or the store
	case !ready:
		return nil, errNoCertificate
	}
	return a.current(name)
}

// current gets a certificate from the manager, which asks for it if it has none. The
// manager would also make one with an RSA key for clients that know no other; nobody
// speaks TLS 1.2 and knows no other.
func (a *ACME) current(host string) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// Run gets the certificates that are not there yet, until ctx ends. The manager renews
// them, when a third of their life is left.
func (a *ACME) Run(ctx context.Context) {
	if a.cfg.HTTP {
		a.manager.HTTPHandler(nil) // tells it that the challenge can be used
	}
	var hosts sync.WaitGroup
	for _, host := range a.cfg.Hosts {
		hosts.Go(func() { a.get(ctx, host) })
	}
	hosts.Wait()
	<-ctx.Done()
}

// get tries until there is a certificate for a host.
func (a *ACME) get(ctx context.Context, host string) {
	for retry := firstRetry; ctx.Err() == nil; {
		wait := sharedEvery
		reserved, err := a.tryOnce(ctx, host)
		switch {
		case err == nil && reserved:
			return
		case err != nil:
			wait = retry + rand.N(retry/4) // so that nodes don't stay in step
			retry = min(2*retry, lastRetry)
			a.fail(host, err, wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// tryOnce gets the certificate of a host from the store, or from the authority. It is
// false when another node is asking for it.
func (a *ACME) tryOnce(ctx context.Context, host string) (reserved bool, err error) {
	if reserved, err = a.cfg.Kept.ReserveCertificate(ctx, host, reserveFor); err != nil || !reserved {
		return false, err
	}
	// for one that can't be released the others wait until it ends by itself
	defer func() { _ = a.cfg.Kept.ReleaseCertificate(context.WithoutCancel(ctx), host) }()
	a.said.forget(host)
	got := make(chan error, 1)
	go func() { // the manager takes no context
		_, err := a.current(host)
		got <- err
	}()
	timer := time.NewTimer(askWithin)
	defer timer.Stop()
	select {
	case err = <-got:
	case <-timer.C:
		err = errors.New("the certificate authority took too long")
	case <-ctx.Done():
		return true, ctx.Err()
	}
	if err != nil {
		return true, err
	}
	a.ready(host)
	return true, nil
}

func (a *ACME) ready(host string) {
	a.mu.Lock()
	*a.hosts[host] = acmeHost{ready: true}
	a.mu.Unlock()
	for _, c := range a.Status() {
		if len(c.Hosts) > 0 && c.Hosts[0] == host {
			a.cfg.Log.Info("certificate ready", "listener", a.cfg.Listener, "hosts", c.Hosts, "expires_at", c.ExpiresAt)
		}
	}
}

func (a *ACME) fail(host string, err error, wait time.Duration) {
	if errors.Is(err, context.Canceled) {
		return
	}
	reason := explain(err)
	if why := a.said.about(host); why != "" {
		reason += "; the certificate authority says: " + why
	}
	a.mu.Lock()
	*a.hosts[host] = acmeHost{failed: reason, retryAt: time.Now().Add(wait)}
	a.mu.Unlock()
	a.cfg.Log.Error("no certificate could be got, will retry", "listener", a.cfg.Listener, "host", host, "err", reason, "hint", hintACME, "retry_in", wait.Round(time.Second).String())
}

// explain gives an error as people read it.
func explain(err error) string {
	if problem, ok := errors.AsType[*acme.Error](err); ok {
		return fmt.Sprintf("the certificate authority answered %d: %s", problem.StatusCode, problem.Detail)
	}
	return strings.TrimPrefix(err.Error(), "acme/autocert: ")
}

// Look does nothing: what changes is in the store.
func (a *ACME) Look() {}

// Status is how it stands with each host.
func (a *ACME) Status() []health.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]health.Certificate, 0, len(a.cfg.Hosts))
	for _, host := range a.cfg.Hosts {
		h := a.hosts[host]
		var leaf *x509.Certificate
		if h.ready {
			if c, err := a.current(host); err == nil { // from memory
				leaf = c.Leaf
			}
		}
		c := health.NewCertificate(a.cfg.Listener, leaf, time.Now())
		c.Hosts = []string{host}
		switch {
		case h.failed != "":
			c.Reason, c.Hint = fmt.Sprintf("%s; next try at %s", h.failed, h.retryAt.UTC().Format(time.TimeOnly+"Z")), hintACME
		case leaf == nil:
			c.State, c.Reason = health.CertificateAsked, "the certificate authority is being asked"
		case c.Expiring() || c.Failed():
			c.Hint = hintACME
		}
		all = append(all, c)
	}
	return all
}
