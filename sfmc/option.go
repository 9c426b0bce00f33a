package sfmc

import (
	"net"
	"net/http"
	"time"
)

// Option is a setting of a [Client] or a [TokenRequester].
type Option func(*options)

type options struct {
	httpClient *http.Client
	userAgent  string
	origin     string
}

// defaultUserAgent is sent unless WithUserAgent says otherwise.
const defaultUserAgent = "onramp-sfmc/0.1"

// WithHTTPClient sends requests by a copy of hc: its Transport, Timeout and Jar
// are kept, its CheckRedirect is replaced, since no redirect is followed with
// credentials. Nil means the default: 60 s for a whole call, 10 s to connect,
// proxies from the environment, 64 idle connections for each host.
func WithHTTPClient(hc *http.Client) Option {
	return func(o *options) { o.httpClient = hc }
}

// WithUserAgent sets the User-Agent header. Empty means the default,
// "onramp-sfmc/" and a version.
func WithUserAgent(agent string) Option {
	return func(o *options) { o.userAgent = agent }
}

// WithOrigin makes a [Client] send every call to the given origin, such as
// http://127.0.0.1:8080 or https://proxy.example, whatever rest_instance_url the
// token names: it is for a sandbox or a proxy, which is often reached by another
// name than it knows of itself. Scheme http or https, host and port; no path.
// Plain http is refused for Marketing Cloud's own hosts. An origin that is no
// good makes every call fail with [ErrInvalid]. A [TokenRequester] ignores it.
func WithOrigin(origin string) Option {
	return func(o *options) { o.origin = origin }
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.userAgent == "" {
		o.userAgent = defaultUserAgent
	}
	if o.httpClient == nil {
		o.httpClient = defaultHTTPClient()
	}
	hc := *o.httpClient
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.httpClient = &hc
	return o
}

// idleConnTimeout is shorter than the 5 s after which the vendor closes idle
// connections (vendor page "Transactional Messaging API Best Practices"): a POST
// that meets the closing fails, and nobody knows whether it took effect.
const idleConnTimeout = 4 * time.Second

// defaultHTTPClient has its own pool instead of http.DefaultTransport's:
// that one keeps two idle connections for each host, and a busy client has one
// host. The time limit is generous because a limit shorter than the server's
// makes callers repeat work that was done (help page 001035940).
func defaultHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          128,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       idleConnTimeout,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
	}
}
