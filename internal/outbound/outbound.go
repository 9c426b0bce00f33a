// Package outbound sends deliveries to Marketing Cloud and reads what its
// answers mean. It is the one place that turns an answer into an outcome.
package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// Config says which Marketing Cloud account to send to.
type Config struct {
	Subdomain    string // one DNS label; or
	AuthURL      string // of a sandbox or proxy, which then serves the REST routes too
	ClientID     string
	ClientSecret onramp.Secret
	AccountID    string        // MID
	Timeout      time.Duration // of one call; default 30 s
}

// TokenKeeper keeps the access token across restarts.
type TokenKeeper interface {
	LoadToken(ctx context.Context) ([]byte, error)
	SaveToken(ctx context.Context, token []byte) error
}

// Sender sends deliveries. It is safe for concurrent use.
type Sender struct {
	client  *sfmc.Client
	timeout time.Duration
}

// New makes a sender. It calls nobody; onStoreError is told when the token
// could not be kept, which fails no delivery.
func New(cfg Config, keeper TokenKeeper, onStoreError func(error)) (*Sender, error) {
	authURL, options, err := addresses(cfg)
	if err != nil {
		return nil, err
	}
	requester, err := sfmc.NewTokenRequester(authURL, sfmc.Credentials{
		ClientID: cfg.ClientID, ClientSecret: sfmc.Secret(cfg.ClientSecret.Reveal()), AccountID: cfg.AccountID,
	})
	if err != nil {
		return nil, fmt.Errorf("marketing_cloud: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	cache := sfmc.NewTokenCache(requester, sfmc.WithTokenStore(tokenStore{keeper}), sfmc.OnStoreError(onStoreError),
		sfmc.WithRequestTimeout(cfg.Timeout))
	return &Sender{client: sfmc.NewClient(tokenSource{cache}, options...), timeout: cfg.Timeout}, nil
}

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

// Send makes one attempt for each delivery.
func (s *Sender) Send(ctx context.Context, d onramp.Destination, batch []onramp.Delivery) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, len(batch))
	for i := range batch {
		outcomes[i] = s.sendOne(ctx, d, &batch[i])
	}
	return outcomes
}

func (s *Sender) sendOne(ctx context.Context, d onramp.Destination, delivery *onramp.Delivery) onramp.Outcome {
	sent := new(atomic.Bool)
	ctx = context.WithValue(ctx, sentKey{}, sent)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	defer cancel()
	var o onramp.Outcome
	if d.Kind == onramp.Journey {
		o = s.fireEvent(ctx, d, delivery, sent)
	} else {
		o = s.upsertRow(ctx, d, delivery)
	}
	return o
}

func (s *Sender) upsertRow(ctx context.Context, d onramp.Destination, delivery *onramp.Delivery) onramp.Outcome {
	rows := []sfmc.Row{{Keys: map[string]any{d.KeyColumn: delivery.SubscriberKey}, Values: delivery.Values}}
	_, err := s.client.UpsertRows(ctx, d.Key, rows)
	if err == nil {
		return onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}
	}
	o := judge(err, false)
	o.Request = describe("POST /hub/v1/dataevents/key:"+d.Key+"/rowset", rows)
	return o
}

func (s *Sender) fireEvent(ctx context.Context, d onramp.Destination, delivery *onramp.Delivery, sent *atomic.Bool) onramp.Outcome {
	event := sfmc.Event{
		ContactKey: delivery.SubscriberKey, EventDefinitionKey: d.Key, EstablishContactKey: d.EstablishContactKey,
		Data: withKey(delivery.Values, d.KeyColumn, delivery.SubscriberKey),
	}
	instance, err := s.client.FireEvent(ctx, event)
	if err == nil {
		return onramp.Outcome{Verdict: onramp.Delivered, Status: 201, Detail: "event accepted, instance " + instance}
	}
	// a second welcome mail can't be taken back: an event that may have been accepted is not repeated
	o := judge(err, sent.Load())
	o.Request = describe("POST /interaction/v1/events", map[string]any{
		"ContactKey": event.ContactKey, "EventDefinitionKey": event.EventDefinitionKey,
		"EstablishContactKey": event.EstablishContactKey, "Data": event.Data,
	})
	return o
}

// withKey puts the subscriber key in front of the other columns, which the
// journey's data extension wants as a column, too.
func withKey(values json.RawMessage, column, key string) json.RawMessage {
	if column == "" {
		return values
	}
	// values is an object that onramp.Form has written: it begins with {
	first, _ := json.Marshal(map[string]string{column: key})
	if len(values) <= len("{}") {
		return first
	}
	first[len(first)-1] = ','
	return append(first, values[1:]...)
}

// describe keeps what was sent for whoever has to find out why it failed.
func describe(route string, body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		return route
	}
	return route + "\n" + string(text)
}

// sentKey marks whether the request of an attempt has left the process.
type sentKey struct{}

// tokenSource tells errors of the token request from those of the call.
type tokenSource struct{ cache *sfmc.TokenCache }

// Token gives the cached token.
func (t tokenSource) Token(ctx context.Context) (*sfmc.Token, error) {
	token, err := t.cache.Token(ctx)
	// what the token request has sent is not the call
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(false)
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
type tokenStore struct{ keeper TokenKeeper }

// LoadToken reads the kept token; nil when there is none.
func (s tokenStore) LoadToken(ctx context.Context) (*sfmc.Token, error) {
	data, err := s.keeper.LoadToken(ctx)
	if err != nil || data == nil {
		return nil, err
	}
	return sfmc.DecodeToken(data)
}

// SaveToken keeps a new token.
func (s tokenStore) SaveToken(ctx context.Context, token *sfmc.Token) error {
	data, err := token.Encode()
	if err != nil {
		return err
	}
	return s.keeper.SaveToken(ctx, data)
}
