// Package ens is the sandbox's side of the Event Notification Service (ENS):
// authentication schemes, callbacks and subscriptions, the events that are made
// of sent mails or by hand, and how they are sent to callbacks.
//
// It is a part of the sandbox, which is its [Host]: the host owns the lock that
// guards both, the clock, the faults and the mails. Begin with [New].
package ens

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Host is what a Service needs of the sandbox that it is a part of. All fields
// are required.
type Host struct {
	// Lock guards what the Service holds, together with all else of the host. The
	// Service takes it in every method but those that say that they need it, and
	// never holds it while it waits for the network. All functions below but
	// TokenDelay are called with it held.
	Lock sync.Locker
	// Now is the time on the host's clock, in UTC.
	Now func() time.Time
	// Fault uses up the first fault of a name that is set at a time for a
	// callback's URL and the body of an event or a batch. It reports whether there
	// is one.
	Fault func(name string, now time.Time, callbackURL string, body []byte) bool
	// TokenDelay waits before a request for a token as FaultSlowToken wants, in
	// true time, or until the context ends. It takes the lock itself.
	TokenDelay func(context.Context)
	// FindMail is the newest mail that fits the MessageKey, ContactKey and To of a
	// Trigger; ok is false when there is none.
	FindMail func(Trigger) (m Mail, ok bool)
	// MakeUpMail is a mail that was never sent, for a Trigger that fits none; n
	// tells it from others.
	MakeUpMail func(t Trigger, n int, now time.Time) Mail
}

// Config says how a Service behaves. The zero value is good.
type Config struct {
	Strict     bool              // callbacks and authorization servers must be https on port 443
	Activation time.Duration     // until a change has effect; 0 is two minutes, negative is at once
	Sending    Sending           // what Reset goes back to
	Transport  http.RoundTripper // for requests that the Service makes; nil is the default transport
	Log        *slog.Logger      // nil is none
}

// Service is the Event Notification Service of one account.
type Service struct {
	host       Host
	strict     bool
	activation time.Duration
	sending    Sending // what a reset goes back to
	outgoing   *http.Client
	log        *slog.Logger

	world *world // the host's lock guards it
}

// New makes a Service without callbacks.
func New(cfg Config, host Host) *Service {
	s := &Service{
		host: host, strict: cfg.Strict, activation: max(cfg.Activation, 0), sending: cfg.Sending.over(defaultSending()), log: cfg.Log,
		// no redirect is followed: the vendor's service wants a 200 from the very URL
		outgoing: &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if cfg.Activation == 0 {
		s.activation = 2 * time.Minute
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.world = newWorld(&s.host, s.sending)
	return s
}

// Reset puts the Service back to the start: no schemes, callbacks and
// subscriptions, and the settings of Config. Events on their way are gone. It
// needs the host's lock.
func (s *Service) Reset() {
	s.world.sender.stop()
	s.world = newWorld(&s.host, s.sending)
}

// Advanced does what is due now that the host's clock was moved forward. It needs
// the host's lock.
func (s *Service) Advanced() {
	s.world.sender.disarm()
	s.step(s.host.Now())
}

// clock is the time on the host's clock. It must not be called under the lock.
func (s *Service) clock() time.Time {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	return s.host.Now()
}
