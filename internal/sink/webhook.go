package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/http/httpguts"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

// webhook posts events to an HTTP endpoint, signed as the specification of
// Standard Webhooks 1.0.0 has it. A sink with a batch of more than one gets
// every call as a CloudEvents batch, also when it carries one event: an endpoint
// sees one form only.
type webhook struct {
	url     string
	origin  string // of the URL: its path may hold a secret
	header  http.Header
	host    string // "": that of the URL
	keys    []*standardwebhooks.Webhook
	batched bool
	timeout time.Duration
	client  *http.Client
}

const idleFor = 90 * time.Second

func newWebhook(cfg Config, s onramp.Sink) (*webhook, error) {
	w := &webhook{url: s.Webhook.URL, header: http.Header{}, batched: Batch(s) > 1, timeout: cfg.Timeout}
	u, ok := onramp.ParseWebURL(s.Webhook.URL)
	if !ok {
		return nil, errors.New("webhook: url: is not an http or https URL") // not which: it may hold a secret
	}
	w.origin = u.Scheme + "://" + u.Host
	var err error
	if w.keys, err = newKeys(s.Webhook.Secrets); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	for name, value := range s.Webhook.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value.Reveal()) {
			return nil, fmt.Errorf("webhook: headers: %q: can't be sent", name)
		}
		w.header.Set(name, value.Reveal())
	}
	w.host = w.header.Get("Host")
	w.header.Del("Host") // net/http takes it from elsewhere
	transport := cfg.Transport
	if transport == nil {
		network := cfg.Fence.Transport(idleFor, cfg.Guard.DialContext)
		cfg.Guard.Requests(network)
		transport = network
	}
	w.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// newKeys reads the secrets. No error shows one.
func newKeys(secrets []onramp.Secret) ([]*standardwebhooks.Webhook, error) {
	if len(secrets) == 0 {
		return nil, errors.New("secrets: none given, but events must be signed")
	}
	keys := make([]*standardwebhooks.Webhook, len(secrets))
	for i, s := range secrets {
		raw, ok := onramp.ParseWebhookSecret(s)
		if !ok {
			return nil, fmt.Errorf("secrets[%d]: must be whsec_ and the base64 of 24 to 64 bytes", i)
		}
		var err error
		if keys[i], err = standardwebhooks.NewWebhookRaw(raw); err != nil {
			return nil, fmt.Errorf("secrets[%d]: %w", i, err)
		}
	}
	return keys, nil
}

func (w *webhook) route(*message) string { return "POST " + w.origin }

// deliver posts a batch, and when it is refused for what it holds, halves of it
// until the bad events are alone; or else one event after the other.
func (w *webhook) deliver(ctx context.Context, messages []message) []onramp.Outcome {
	if w.batched {
		return isolate(messages, func(part []message) []onramp.Outcome {
			return attempt.Alike(len(part), w.post(ctx, post{id: batchID(part), trace: part[0].call, contentType: envelopeBatchType, body: joinEnvelopes(part)}))
		})
	}
	outcomes := make([]onramp.Outcome, len(messages))
	for i := range messages {
		outcomes[i] = w.post(ctx, post{id: messages[i].id, resend: messages[i].resend, trace: messages[i].call, contentType: envelopeType, body: messages[i].body})
		if trouble := attempt.Trouble(outcomes[i : i+1]); trouble != nil {
			copy(outcomes[i:], attempt.Alike(len(outcomes)-i, *trouble))
			break
		}
	}
	return outcomes
}

// batchID is the webhook-id of a batch: the same for the same events. A repeated
// event may come in other company, so a consumer knows it by its own id.
func batchID(messages []message) string {
	h := sha256.New()
	for _, m := range messages {
		fmt.Fprintln(h, m.id)
	}
	return "batch_" + hex.EncodeToString(h.Sum(nil)[:16])
}

func joinEnvelopes(messages []message) []byte {
	bodies := make([][]byte, len(messages))
	for i := range messages {
		bodies[i] = messages[i].body
	}
	all := append([]byte("["), bytes.Join(bodies, []byte(","))...)
	return append(all, ']')
}

// post is one request.
type post struct {
	id, contentType string
	resend          string // see message
	trace           onramp.Trace
	body            []byte
}

// post makes one request.
func (w *webhook) post(ctx context.Context, p post) onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, w.timeout)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(p.body))
	if err != nil {
		return judgeSilence(err)
	}
	req.Header, req.Host = w.header.Clone(), w.host
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Onramp")
	}
	req.Header.Set("Content-Type", p.contentType)
	if p.resend != "" {
		req.Header.Set("ce-resend", p.resend)
	}
	for name, value := range traceHeaders(p.trace) {
		req.Header.Set(name, value)
	}
	if err := w.sign(req.Header, p.id, p.body); err != nil {
		return judgeSilence(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return judgeSilence(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, attempt.MaxAnswer))
	if err != nil && resp.StatusCode/100 != 2 { // what was taken was taken
		return judgeSilence(err)
	}
	return judgeAnswer(resp, answer)
}

// reach asks for the head of the address. Whatever answers is there: most endpoints take
// POST alone.
func (w *webhook) reach(ctx context.Context) onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, w.timeout)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, w.url, nil)
	if err != nil {
		return judgeSilence(err)
	}
	req.Host = w.host
	req.Header.Set("User-Agent", "Onramp")
	resp, err := w.client.Do(req)
	if err != nil {
		return judgeSilence(err)
	}
	resp.Body.Close()
	return onramp.Outcome{Verdict: onramp.Delivered, Detail: w.origin + " answers"}
}

// sign signs by every key, so that the consumer can go from one to the next.
func (w *webhook) sign(header http.Header, id string, body []byte) error {
	now := time.Now()
	signatures := make([]string, len(w.keys))
	for i, key := range w.keys {
		var err error
		if signatures[i], err = key.Sign(id, now, body); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

func (w *webhook) close() error {
	w.client.CloseIdleConnections()
	return nil
}
