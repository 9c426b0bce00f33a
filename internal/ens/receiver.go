package ens

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onramp/internal/onramp"
	"onramp/internal/quota"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

const (
	// maxBody is the largest request body, in bytes: a thousand events with the
	// longest text that one is documented to have (5,120 characters), and as much
	// again around each.
	maxBody = 16 << 20
	// budget is how long the store may take. Marketing Cloud waits three seconds
	// (vendor page ens-retries-suspensions) and then sends the batch again.
	budget = 2500 * time.Millisecond
)

// Events stores what comes.
type Events interface {
	// SaveEvents stores those events of a batch that are not known yet, and
	// returns how many those were, once they are on disk.
	SaveEvents(ctx context.Context, callback string, events []onramp.Event) (stored int, err error)
	// SaveProbe keeps the key that a probe has brought.
	SaveProbe(ctx context.Context, p onramp.Probe) error
	ListProbes(ctx context.Context, callback string) ([]onramp.Probe, error)
}

// Records are what is known of the callbacks in Marketing Cloud, and by which of their
// signature keys batches with a token were signed, too: its digest, by callback.
type Records interface {
	ListCallbackRecords(ctx context.Context) ([]onramp.CallbackRecord, error)
	ListSignedWith(ctx context.Context) (map[string]string, error)
	SaveSignedWith(ctx context.Context, callback, digest string) error
}

// Tokens checks access tokens. The error is of kind Denied.
type Tokens interface {
	Check(ctx context.Context, authorization string) (onramp.Bearer, error)
}

// Target is a sink with the id of its destination.
type Target struct {
	Sink        onramp.Sink
	Destination int
}

// ReceiverConfig is what a receiver needs.
type ReceiverConfig struct {
	Callbacks []onramp.Callback
	Targets   []Target
	Events    Events
	Records   Records
	Tokens    Tokens
	Reason    func(error) string // names why a token was refused, in a word for counting
	Quota     *quota.Quota       // of what is stored; nil: none
	Now       func() time.Time   // default time.Now
	Log       *slog.Logger
}

// Receiver answers the calls of the Event Notification Service: probes and
// batches of events.
type Receiver struct {
	cfg       ReceiverConfig
	callbacks map[string]onramp.Callback
	*received
}

// received is what a receiver knows of what came, by callback.
type received struct {
	probes probes
	saves  *rate.Limiter // of probes

	mu      sync.Mutex
	keys    map[string][]onramp.Secret // of the signatures, by callback; the newest first
	signed  map[string]string          // digest of the key by which batches with a token were signed, too; by callback
	readAt  time.Time                  // when the keys were read
	refused map[string]map[onramp.Refusal]int64
	taken   map[string]map[string]int64
}

// NewReceiver makes a receiver. It must Reload before it can check signatures.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	return (&Receiver{received: &received{
		saves: newSaves(), keys: map[string][]onramp.Secret{}, signed: map[string]string{},
		refused: map[string]map[onramp.Refusal]int64{}, taken: map[string]map[string]int64{},
	}}).With(cfg)
}

// With returns a receiver for another configuration, which goes on with what has come
// to this one: its counts, its keys, and the probes that a setup waits for.
func (r *Receiver) With(cfg ReceiverConfig) *Receiver {
	r = &Receiver{cfg: cfg, callbacks: map[string]onramp.Callback{}, received: r.received}
	for _, c := range cfg.Callbacks {
		r.callbacks[c.Name] = c
	}
	if r.cfg.Now == nil {
		r.cfg.Now = time.Now
	}
	return r
}

// Routes adds the callbacks' address to a mux.
func (r *Receiver) Routes(mux *http.ServeMux, server *web.Server) {
	mux.Handle("POST "+onramp.CallbackPath+"{callback}", server.Handle(r.receive))
}

// Refusals counts what a callback has refused since the start, by reason.
func (r *Receiver) Refusals(callback string) map[onramp.Refusal]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.refused[callback])
}

// Taken counts what a callback has taken since the start: batches by what proved
// where they came from, "signature" or "signature with the raw key", or "token"
// for those without a signature that could be checked; and probes as "probe".
func (r *Receiver) Taken(callback string) map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.taken[callback])
}

// take counts a call that was taken.
func (r *Receiver) take(callback, proof string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count(r.taken, callback, proof)
}

func count[K comparable](in map[string]map[K]int64, callback string, what K) {
	if in[callback] == nil {
		in[callback] = map[K]int64{}
	}
	in[callback][what]++
}

// refuse counts a refusal and passes its error on.
func (r *Receiver) refuse(callback string, reason onramp.Refusal, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	count(r.refused, callback, reason)
	return err
}

// receive answers one call. 401 is only ever said of the token: Marketing Cloud
// fetches a new one upon it, and sends the same again. It takes a 400 for the
// same, so what is wrong with the content is never answered with 400.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) error {
	callback, ok := r.callbacks[req.PathValue("callback")]
	if !ok {
		return web.NotFound(w, req)
	}
	ctx, stop := context.WithTimeout(req.Context(), budget)
	defer stop()
	if err := r.checkToken(ctx, w, req, callback); err != nil {
		// read to its end, so that the caller sees the answer and not a broken connection
		web.DropBody(req)
		return err
	}
	body, err := r.readBody(req, callback.Name)
	if err != nil {
		return err
	}
	if len(body) <= maxProbe {
		text, err := r.text(req, callback.Name, body)
		if err != nil {
			return err
		}
		if probe, ok := readProbe(text); ok {
			return r.takeProbe(ctx, w, callback, probe)
		}
	}
	proof, err := r.checkSignature(ctx, req, callback, body)
	if err != nil {
		return err
	}
	text, err := r.text(req, callback.Name, body) // of strangers nothing large is decoded
	if err != nil {
		return err
	}
	receipt, err := r.takeEvents(ctx, callback.Name, text, proof == byToken)
	if err != nil {
		return err
	}
	r.take(callback.Name, proof)
	return web.WriteJSON(w, http.StatusOK, receipt)
}

// Receipt is the answer to a batch that is on disk.
type Receipt struct {
	Stored   int `json:"stored"`
	Repeated int `json:"repeated"`      // were stored before
	Cut      int `json:"cut,omitempty"` // of both: were too long or too many to be kept whole
}

// checkToken refuses a call without a valid token, where the scheme demands one,
// or with the token of another client than the callback's.
func (r *Receiver) checkToken(ctx context.Context, w http.ResponseWriter, req *http.Request, c onramp.Callback) error {
	if c.Auth == onramp.SignatureOnly {
		return nil
	}
	authorization := req.Header.Get("Authorization")
	bearer, err := r.cfg.Tokens.Check(ctx, authorization)
	// without a client any that we keep will do, and a token that names a user where
	// none is asked for is no worse
	if err == nil && (!c.UsesClient(bearer.Client) || c.User != "" && bearer.User != c.User) {
		err = &onramp.Error{Kind: onramp.Denied, Message: "the access token is for another callback"}
	}
	if err == nil {
		return nil
	}
	challenge := `Bearer realm="onramp"`
	if authorization != "" { // RFC 6750, 3.1: without credentials no error is named
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	reason := onramp.RefusedToken
	if r.cfg.Reason != nil && bearer == (onramp.Bearer{}) {
		reason = onramp.TokenRefused(r.cfg.Reason(err))
	}
	return r.refuse(c.Name, reason, err)
}

// readBody reads a body without its content codings: a signature is over what they
// were applied to.
func (r *Receiver) readBody(req *http.Request, callback string) ([]byte, error) {
	if declared := media.ParseType(req.Header.Get("Content-Type")); declared.Media != "" && !declared.IsJSON() {
		web.DropBody(req)
		return nil, r.refuse(callback, onramp.RefusedContentType, &onramp.Error{Kind: onramp.Unsupported, Message: "events must be sent as application/json"})
	}
	var b bytes.Buffer
	if err := web.ReadBody(req, &b, maxBody); err != nil {
		reason, e := onramp.RefusedTooLarge, web.PublicError(err)
		switch e.Kind {
		case onramp.Malformed:
			reason, e = onramp.RefusedBrokenOff, &onramp.Error{Kind: onramp.Invalid, Message: e.Message, Err: e.Err} // see refuse
		case onramp.Unsupported:
			reason = onramp.RefusedContentType
		case onramp.Unavailable:
			reason = onramp.RefusedNotStored
		}
		return nil, r.refuse(callback, reason, e)
	}
	return b.Bytes(), nil
}

// text decodes a body in another charset than UTF-8. What is not valid in UTF-8 is
// left to the events: one must not cost the whole batch.
func (r *Receiver) text(req *http.Request, callback string, body []byte) ([]byte, error) {
	charset, err := media.CharsetOf(req)
	if err != nil {
		return nil, r.refuse(callback, onramp.RefusedContentType, err)
	}
	if charset.IsUTF8() {
		return bytes.TrimPrefix(body, []byte("\ufeff")), nil
	}
	text, err := charset.Text(body)
	if err != nil {
		return nil, r.refuse(callback, onramp.RefusedContentType, &onramp.Error{Kind: onramp.Invalid, Message: web.PublicError(err).Message})
	}
	return text, nil
}

// takeEvents stores a batch. Whatever an element of it holds is kept, known type
// or not, however large: only what is no batch at all is refused.
func (r *Receiver) takeEvents(ctx context.Context, callback string, body []byte, unproven bool) (receipt Receipt, err error) {
	events, err := onramp.ReadBatch(ctx, body)
	switch {
	case errors.Is(err, onramp.ErrNotABatch):
		return Receipt{}, r.refuse(callback, onramp.RefusedNotABatch, &onramp.Error{Kind: onramp.Invalid, Message: "the body is not a JSON array of events"})
	case err != nil:
		return Receipt{}, r.refuse(callback, onramp.RefusedNotStored, busy(err))
	case len(events) == 0:
		return Receipt{}, nil
	}
	now := r.cfg.Now().UTC().Truncate(time.Microsecond)
	sinks := map[string][]int{} // by type; a batch has few
	for i := range events {
		e := &events[i]
		e.Callback, e.ReceivedAt, e.Unproven = callback, now, unproven
		to, known := sinks[e.Type]
		if !known {
			to = r.sinksFor(e.Type)
			sinks[e.Type] = to
		}
		e.Sinks = to
		if e.CutFrom > 0 {
			receipt.Cut++
		}
	}
	if receipt.Stored, err = r.save(ctx, callback, events); err != nil {
		return Receipt{}, r.refuse(callback, onramp.RefusedNotStored, busy(err))
	}
	if receipt.Cut > 0 {
		r.cfg.Log.WarnContext(ctx, "events were too long or too many, and were stored in part", "callback", callback, "events", receipt.Cut)
	}
	receipt.Repeated = len(events) - receipt.Stored
	return receipt, nil
}

// save stores the events that are new, unless too much was stored already. What was known
// is not counted.
func (r *Receiver) save(ctx context.Context, callback string, events []onramp.Event) (stored int, err error) {
	size := quota.SizeOfEvents(events)
	if err := r.cfg.Quota.TakeProven(size); err != nil {
		return 0, err
	}
	stored, err = r.cfg.Events.SaveEvents(ctx, callback, events)
	r.cfg.Quota.ReturnProven(size * int64(len(events)-stored) / int64(len(events)))
	return stored, err
}

func (r *Receiver) sinksFor(eventType string) []int {
	var ids []int
	for _, t := range r.cfg.Targets {
		if t.Sink.Takes(eventType) {
			ids = append(ids, t.Destination)
		}
	}
	return ids
}

// busy asks the sender to try again: the store can't be written, or takes
// longer than the sender waits.
func busy(err error) error {
	if e, known := errors.AsType[*onramp.Error](err); known && e.Kind == onramp.Unavailable {
		return &onramp.Error{Kind: onramp.Unavailable, Message: "the events could not be stored; please send them again", RetryAfter: e.RetryAfter, Err: err}
	}
	return &onramp.Error{Kind: onramp.Unavailable, Message: "the events could not be stored in time; please send them again", RetryAfter: 5 * time.Second, Err: err}
}
