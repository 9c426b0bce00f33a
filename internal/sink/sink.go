// Package sink forwards received events to the customer's own systems: to a
// webhook, a Kafka topic, a NATS JetStream subject or a file. It is the one place
// that turns their answers into outcomes.
//
// Use New and give the sender to the pump. Every event arrives at least once, in
// an envelope that is the same on every try and carries the event's id, by which
// a consumer knows a repeated one. A sink whose system is down keeps nothing from
// starting: its events wait in the store.
package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/egress"
	"onramp/internal/onramp"
)

// Config is what all sinks have in common. Zero values mean the defaults.
type Config struct {
	Source    string            // what CloudEvents' source begins with, such as the public URL
	Timeout   time.Duration     // of one request, or one batch to a broker; default 30 s
	Fence     attempt.Fence     // of the network and the files; default: always open
	Transport http.RoundTripper // of webhooks; default: the network, as Guard allows
	Guard     *egress.Guard     // of where connections lead; default: one without a setting
	Log       *slog.Logger      // default: nowhere
}

const defaultTimeout = 30 * time.Second

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Guard == nil {
		c.Guard = egress.New(egress.Policy{})
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// The most events in one call where the sink says nothing else.
const (
	webhookBatch = 1
	kafkaBatch   = 500
	natsBatch    = 100
	fileBatch    = 500
)

// Batch is the most events for one call to a sink: what the sink says, or else
// what suits its kind.
func Batch(s onramp.Sink) int {
	switch {
	case s.Batch > 0:
		return s.Batch
	case s.Kafka != nil:
		return kafkaBatch
	case s.NATS != nil:
		return natsBatch
	case s.File != nil:
		return fileBatch
	}
	return webhookBatch
}

// target is one sink.
type target interface {
	// deliver makes one attempt for every message, of which there is at least one,
	// and returns their outcomes in their order. No message of it may arrive after
	// the return, unless it does so before every later one.
	deliver(ctx context.Context, messages []message) []onramp.Outcome
	// reach says whether the system answers, and sends it no event.
	reach(ctx context.Context) onramp.Outcome
	// route says where a message goes, for the record of the attempt.
	route(m *message) string
	close() error
}

// message is an event on its way.
type message struct {
	id        string       // the event's
	resend    string       // number of the resend that sends it again; "": none
	trace     onramp.Trace // where its delivery stands in a trace
	call      onramp.Trace // where the call stands that it is in
	key       string       // whom it is about: those of one key keep their order
	eventType string
	body      []byte // envelope
}

// Sender sends events to sinks. It is safe for concurrent use.
type Sender struct {
	source string
	fence  attempt.Fence
	sinks  map[string]target
	closed atomic.Bool
}

// New makes a sender. It connects to nothing, and so does not fail when a sink's
// system is down; it fails when a sink can never work as it is configured, and
// then names every such one.
func New(cfg Config, sinks []onramp.Sink) (*Sender, error) {
	cfg = cfg.withDefaults()
	if _, err := url.Parse(cfg.Source); err != nil {
		return nil, errors.New("source of events: is not a URL")
	}
	s := &Sender{source: strings.TrimRight(cfg.Source, "/"), fence: cfg.Fence, sinks: make(map[string]target, len(sinks))}
	var wrong []error
	files := map[string]string{}
	for _, config := range sinks {
		t, err := newTarget(cfg, config)
		if err == nil && s.sinks[config.Name] != nil {
			err = errors.New("two sinks have this name")
		}
		if err == nil && config.File != nil {
			err = claim(files, config)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("sink %s: %w", config.Name, err))
			continue
		}
		s.sinks[config.Name] = t
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return s, nil
}

// claim keeps two sinks from one file: each cuts off what it could not write
// whole, and the other's lines with it.
func claim(files map[string]string, config onramp.Sink) error {
	path, err := filepath.Abs(config.File.Path)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if other, taken := files[path]; taken {
		return fmt.Errorf("file: already used by sink %s", other)
	}
	files[path] = config.Name
	return nil
}

func newTarget(cfg Config, s onramp.Sink) (target, error) {
	set := 0
	for _, is := range []bool{s.Webhook != nil, s.Kafka != nil, s.NATS != nil, s.File != nil} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return nil, errors.New("must be one of webhook, kafka, nats and file")
	case s.Webhook != nil:
		return newWebhook(cfg, s)
	case s.Kafka != nil:
		return newKafka(cfg, s.Kafka)
	case s.NATS != nil:
		return newNATS(cfg, s)
	}
	return newFile(cfg, s.File)
}

// Send makes one attempt for the deliveries of a call, and more of them when that
// is what it takes to tell an event that is refused from its neighbours.
func (s *Sender) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	t := s.sinks[c.Destination.Key]
	switch {
	case t == nil:
		return attempt.Alike(len(c.Deliveries), onramp.Outcome{
			Verdict: onramp.Blocked, Detail: "there is no sink of this name", Hint: "add it to the configuration again, or discard its deliveries",
		})
	case s.closed.Load():
		return attempt.Alike(len(c.Deliveries), stopped())
	}
	if o, unsent := attempt.Unsent(s.fence.Check()); unsent {
		return attempt.Alike(len(c.Deliveries), o)
	}
	outcomes := make([]onramp.Outcome, len(c.Deliveries))
	messages, places := make([]message, 0, len(c.Deliveries)), make([]int, 0, len(c.Deliveries))
	for i := range c.Deliveries {
		m, err := s.wrap(&c.Deliveries[i])
		m.call = c.Trace
		if err != nil {
			outcomes[i] = onramp.Outcome{Verdict: onramp.Rejected, Detail: err.Error(), Hint: "discard it"}
			continue
		}
		messages, places = append(messages, m), append(places, i)
	}
	if len(messages) == 0 {
		return outcomes
	}
	for i, o := range t.deliver(ctx, messages) {
		if o.Verdict != onramp.Delivered {
			o.Request = t.route(&messages[i]) + "\n" + string(messages[i].body)
		}
		outcomes[places[i]] = o
	}
	return outcomes
}

// Reach tries whether the system of a sink answers, and sends it no event. The verdict is
// Delivered if it does.
func (s *Sender) Reach(ctx context.Context, name string) onramp.Outcome {
	t := s.sinks[name]
	if t == nil {
		return onramp.Outcome{Verdict: onramp.Blocked, Detail: "there is no sink of this name"}
	}
	return t.reach(ctx)
}

func (s *Sender) wrap(d *onramp.Delivery) (message, error) {
	e := d.Event
	if e == nil || len(e.Body) == 0 {
		return message{}, errors.New("the event is gone")
	}
	resend := ""
	if d.Run != 0 {
		resend = strconv.FormatInt(d.Run, 10)
	}
	body, err := envelope(s.source, e, resend)
	return message{id: e.ID, resend: resend, trace: d.Trace, key: e.Subject, eventType: cmp.Or(e.Type, unknownType), body: body}, err
}

// Close ends all connections. Calls that are under way fail, to be tried again.
func (s *Sender) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var all []error
	for name, t := range s.sinks {
		if err := t.close(); err != nil {
			all = append(all, fmt.Errorf("sink %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}
