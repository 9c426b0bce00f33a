// Package outbound sends deliveries to Marketing Cloud and reads what its
// answers mean. It is the one place that turns an answer into an outcome.
package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/budget"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// Config says which Marketing Cloud account to send to.
type Config struct {
	Subdomain    string // one DNS label; or
	AuthURL      string // of a sandbox or proxy, which then serves the REST routes too
	ClientID     string
	ClientSecret onramp.Secret
	AccountID    string            // MID
	Timeout      time.Duration     // of one call; default 30 s
	Fence        attempt.Fence     // of the network; default: always open
	Dial         attempt.Dial      // makes its connections; default: anywhere
	Transport    http.RoundTripper // default: the network
	Calls        *budget.Meter     // counts the calls, and says whether they are saved; nil: neither

	// Called is told of every call: its kind, the status of its answer, 0 if that was lost,
	// and how long it took until the answer began. It returns at once; nil: nobody is told.
	Called func(kind budget.Kind, status int, took time.Duration)
	// Trace puts requests into the traces that their contexts name; nil: they are in none.
	Trace func(network http.RoundTripper) http.RoundTripper

	// Confirm gives what a confirmation has in its data and the address that it goes to; false
	// when its form asks for none any more. nil: there are no confirmations.
	Confirm func(form *onramp.Form, d *onramp.Delivery) (data json.RawMessage, address string, ok bool)

	Forms Forms        // makes the columns; nil: values are columns already
	Log   *slog.Logger // default: nowhere
}

// TokenKeeper keeps the access token across restarts.
type TokenKeeper interface {
	LoadToken(ctx context.Context) ([]byte, error)
	SaveToken(ctx context.Context, token []byte) error
}

// Sender sends deliveries. It is safe for concurrent use.
type Sender struct {
	client   *sfmc.Client
	tokens   *watchedTokens
	clock    *clock
	timeout  time.Duration
	forms    Forms
	confirm  func(form *onramp.Form, d *onramp.Delivery) (data json.RawMessage, address string, ok bool)
	gone     goneFields
	readback *readback
	calls    *budget.Meter
	renewal  renewal
}

const (
	// Marketing Cloud closes idle connections after 5 s, and a call that meets the closing is lost
	idleFor = 4 * time.Second
	// of those who set no time-out of their own
	longestCall = time.Minute
)

// New makes a sender. It calls nobody; onStoreError is called when the token
// could not be kept, which fails no delivery.
func New(cfg Config, keeper TokenKeeper, onStoreError func(error)) (*Sender, error) {
	authURL, options, err := addresses(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Transport == nil {
		cfg.Transport = cfg.Fence.Transport(idleFor, cfg.Dial)
	}
	if cfg.Called == nil {
		cfg.Called = func(budget.Kind, int, time.Duration) {}
	}
	clock := &clock{base: &counted{cfg.Transport, cfg.Calls, cfg.Called}}
	network := http.RoundTripper(clock)
	if cfg.Trace != nil {
		network = cfg.Trace(network)
	}
	options = append(options, sfmc.WithHTTPClient(&http.Client{Transport: network, Timeout: longestCall}))
	requester, err := sfmc.NewTokenRequester(authURL, sfmc.Credentials{
		ClientID: cfg.ClientID, ClientSecret: sfmc.Secret(cfg.ClientSecret.Reveal()), AccountID: cfg.AccountID,
	}, options...)
	if err != nil {
		return nil, fmt.Errorf("marketing_cloud: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	tokens := &watchedTokens{TokenRequester: requester}
	cache := sfmc.NewTokenCache(tokens, sfmc.WithTokenStore(tokenStore{keeper, tokens}), sfmc.OnStoreError(onStoreError),
		sfmc.WithRequestTimeout(cfg.Timeout))
	client := sfmc.NewClient(tokenSource{cache}, options...)
	return &Sender{
		client: client, tokens: tokens, clock: clock, timeout: cfg.Timeout, forms: cfg.Forms, confirm: cfg.Confirm, calls: cfg.Calls,
		readback: newReadback(client, cfg), renewal: renewal{tokens: tokenSource{cache}},
	}, nil
}

// Client calls the same account with the same token.
func (s *Sender) Client() *sfmc.Client { return s.client }

// addresses finds where tokens come from. An address that is not Marketing
// Cloud's own serves everything from one origin.
func addresses(cfg Config) (authURL string, options []sfmc.Option, err error) {
	if cfg.AuthURL == "" {
		authURL, err = sfmc.AuthURL(cfg.Subdomain)
		return authURL, nil, err
	}
	u, err := url.Parse(cfg.AuthURL)
	if err != nil {
		return "", nil, fmt.Errorf("auth_url: %w", err)
	}
	if strings.HasSuffix(u.Hostname(), ".marketingcloudapis.com") {
		return cfg.AuthURL, nil, nil
	}
	return cfg.AuthURL, []sfmc.Option{sfmc.WithOrigin(u.Scheme + "://" + u.Host)}, nil
}

func (s *Sender) send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	switch {
	case c.Destination.Kind == onramp.Journey:
		return s.fire(ctx, c)
	case c.Destination.Kind == onramp.Message:
		return s.sendMessages(ctx, c)
	case c.Async || c.RequestID != "":
		return s.storeAsync(ctx, c)
	}
	return s.store(ctx, c)
}

// outgoing is what has left the process for one call.
type outgoing struct {
	begun   atomic.Bool  // the call's request has begun to leave
	request sfmc.Request // zero when there was none
}

// outgoingKey marks it in the context of a call.
type outgoingKey struct{}

// begin gives one call its time limit. out tells afterwards what has left the
// process.
func (s *Sender) begin(ctx context.Context) (limited context.Context, out *outgoing, end context.CancelFunc) {
	out = new(outgoing)
	ctx = context.WithValue(ctx, outgoingKey{}, out)
	ctx = sfmc.TraceRequests(ctx, func(r sfmc.Request) { out.request = r })
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http tries again by itself if nothing has left by a connection that was closed
		GetConn:      func(string) { out.begun.Store(false) },
		WroteHeaders: func() { out.begun.Store(true) },
	})
	limited, end = attempt.WithTimeout(ctx, s.timeout)
	return limited, out, end
}

// sent says whether a call that ended with an error may have been carried out. One
// that could not be written to its end was not: nobody acts on half a request.
// net/http then closes the connection, and gives either the error of the write or
// that of the read that this ends, whichever it sees first.
func (out *outgoing) sent(err error) bool {
	return out.begun.Load() && !unwritten(err)
}

// unwritten says that the error of a call is that its request could not be written.
func unwritten(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "write" || errors.Is(err, net.ErrClosed)
}

// hold has the columns of deliveries be parts of the body that was sent, and not held
// twice while results are waited for. Those of the key are among them then.
func (out *outgoing) hold(deliveries []onramp.Delivery) {
	_, rows, _ := out.request.Elements()
	if len(rows) != len(deliveries) {
		return
	}
	for i := range rows {
		deliveries[i].Values = rows[i]
	}
}

// note writes into each outcome that is not delivered what was sent for it: the
// route, and of the body its own part.
func (out *outgoing) note(outcomes []onramp.Outcome) []onramp.Outcome {
	delivered := func(o onramp.Outcome) bool { return o.Verdict == onramp.Delivered }
	if out.request.Method == "" || !slices.ContainsFunc(outcomes, func(o onramp.Outcome) bool { return !delivered(o) }) {
		return outcomes
	}
	route := out.request.Method + " " + out.request.Path
	head, parts, tail := []byte(nil), [][]byte{out.request.Body}, []byte(nil)
	if n := len(outcomes); n > 1 {
		route = fmt.Sprintf("%s (one of %d)", route, n)
		head, parts, tail = out.request.Elements()
	}
	for i := range outcomes {
		if !delivered(outcomes[i]) {
			outcomes[i].Request = fmt.Sprintf("%s\n%s%s%s", route, head, parts[i], tail)
		}
	}
	return outcomes
}

// tokenSource tells errors of the token request from those of the call.
type tokenSource struct{ cache *sfmc.TokenCache }

// Token gives the cached token.
func (t tokenSource) Token(ctx context.Context) (*sfmc.Token, error) {
	token, err := t.cache.Token(ctx)
	// what the token request has sent is not the call
	if out, ok := ctx.Value(outgoingKey{}).(*outgoing); ok {
		out.begun.Store(false)
	}
	if err != nil {
		return nil, &tokenError{err}
	}
	return token, nil
}

// Invalidate drops a token that was refused.
func (t tokenSource) Invalidate(accessToken string) { t.cache.Invalidate(accessToken) }

type tokenError struct{ err error }

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// tokenStore translates between the client and the keeper.
type tokenStore struct {
	keeper TokenKeeper
	tokens *watchedTokens
}

// LoadToken reads the kept token; nil when there is none.
func (s tokenStore) LoadToken(ctx context.Context) (*sfmc.Token, error) {
	data, err := s.keeper.LoadToken(ctx)
	if err != nil || data == nil {
		return nil, err
	}
	token, err := sfmc.DecodeToken(data)
	if err == nil && token.IssuedFor == s.tokens.IssuedFor() && time.Now().Before(token.ExpiresAt) {
		s.tokens.have(token)
	}
	return token, err
}

// SaveToken keeps a new token.
func (s tokenStore) SaveToken(ctx context.Context, token *sfmc.Token) error {
	data, err := token.Encode()
	if err != nil {
		return err
	}
	return s.keeper.SaveToken(ctx, data)
}
