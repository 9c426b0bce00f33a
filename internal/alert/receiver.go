package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"onramp/internal/alert/service"
	"onramp/internal/onramp"
)

const (
	queued     = 16 // messages that wait for a receiver; beyond it the oldest is dropped
	maxHanging = 3  // sends that have been given up and still run
	sendFor    = 10 * time.Second
)

// pauses are those before the second try and later ones.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}
}

// receiver is one who gets the alerts. Each has its own goroutine, so that one that
// fails keeps nobody else waiting.
type receiver struct {
	name    string // such as alerts[0]
	service string
	send    func(message) error // may take as long as it wants; its error is fit for the log
	log     *slog.Logger
	queue   chan message
	hanging chan struct{} // one for every send that runs
}

func newReceiver(i int, secret onramp.Secret, log *slog.Logger) (*receiver, error) {
	t, err := service.Parse(secret)
	name := fmt.Sprintf("alerts[%d]", i)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return makeReceiver(name, t.Scheme, func(m message) error { return send(t, m) }, log), nil
}

func makeReceiver(name, service string, send func(message) error, log *slog.Logger) *receiver {
	return &receiver{
		name, service, send, log.With("receiver", name, "service", service),
		make(chan message, queued), make(chan struct{}, maxHanging),
	}
}

// put queues a message, in place of the oldest one if it must: what stands now
// matters more. It never waits; only one goroutine may call it.
func (r *receiver) put(m message) {
	for {
		select {
		case r.queue <- m:
			return
		default:
		}
		select {
		case old := <-r.queue:
			r.log.Warn("alert dropped", "cause", old.Cause)
		default: // it was just taken
		}
	}
}

// run sends what is queued until the queue is closed. After the end of ctx
// nothing is tried more than once, and after that of work nothing at all.
func (r *receiver) run(ctx, work context.Context) {
	for m := range r.queue {
		r.deliver(ctx, work, m)
	}
}

func (r *receiver) deliver(ctx, work context.Context, m message) {
	waits := pauses()
	for try := 0; ; try++ {
		err := r.attempt(work, m)
		if err == nil {
			return
		}
		if try == len(waits) || ctx.Err() != nil {
			r.log.ErrorContext(ctx, "alert not sent", "cause", m.Cause, "tries", try+1, "err", err)
			return
		}
		r.log.WarnContext(ctx, "alert failed, will retry", "cause", m.Cause, "tries", try+1, "err", err)
		pause := time.NewTimer(waits[try])
		select {
		case <-ctx.Done(): // one last time
		case <-pause.C:
		}
		pause.Stop()
	}
}

var (
	errHanging  = errors.New("earlier sends are still hanging")
	errNoTime   = errors.New("no time left")
	errNoAnswer = fmt.Errorf("no answer within %s", span(sendFor))
)

// attempt sends once. A send can't be stopped, since most services of the
// library take no context and have no time-out: it is left behind.
func (r *receiver) attempt(work context.Context, m message) error {
	if work.Err() != nil {
		return errNoTime
	}
	select {
	case r.hanging <- struct{}{}:
	default:
		return errHanging
	}
	sent := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				sent <- errors.New("the service's code failed") // a panic's text could hold anything
			}
			<-r.hanging
		}()
		sent <- r.send(m)
	}()
	patience, stop := context.WithTimeout(work, sendFor)
	defer stop()
	select {
	case err := <-sent:
		return err
	case <-patience.Done():
		if work.Err() != nil {
			return errNoTime
		}
		return errNoAnswer
	}
}

// send sends a message to a service.
func send(t service.Target, m message) error {
	s, err := t.Open()
	if err != nil {
		return errors.New(oneLine(t.Redact(err)))
	}
	text, params := m.text(), types.Params{}
	switch {
	case t.Scheme == "smtp":
		params.SetTitle(mime.QEncoding.Encode("utf-8", m.title()))
		params["usehtml"] = "No" // an alert is plain text, whatever the URL says
	case t.Titled:
		params.SetTitle(m.title())
	default:
		text = m.title() + "\n" + text
	}
	if t.Scheme == "telegram" {
		params["parsemode"] = "None" // as with mail; a name with one _ would not get through
	}
	if t.Scheme == "pagerduty" { // one incident from the beginning to the end
		params["dedup_key"], params["action"] = "onramp:"+m.Cause, "trigger"
		if m.stage == over {
			params["action"] = "resolve"
		}
	}
	if err := s.Send(text, &params); err != nil {
		return errors.New(remote(oneLine(t.Redact(err))))
	}
	return nil
}
