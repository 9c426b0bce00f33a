// Package sandbox stands in for Salesforce Marketing Cloud, so that everything
// that talks to it can be tried and tested without an account.
//
// What it does NOT emulate stands in limits/limits.md, for the help and the
// documentation, too. Routes that are neither in the list of operations in route.go nor
// in those of the packages below answer 404; a path's slashes and the case of its letters make no difference.
//
// Events go out. Callbacks and subscriptions of the Event Notification Service
// (ENS) are called as the vendor calls them, with the retries of either of its
// documents. 50 ms after a message was sent, or a contact has entered a journey,
// its mail counts as sent; what follows, 50 ms apart, is chosen by the words after
// each + of the address, as in ana+open+click@example.org:
//
//	+notsent              EmailNotSent 1 "Unsubscribed", and nothing else
//	+bounce, +hardbounce  EmailSent, EmailBounced HARD 5.1.1
//	+softbounce           EmailSent, EmailBounced SOFT 4.2.2
//	+open                 EmailSent, EmailOpen
//	+click                EmailSent, EmailOpen, EmailClick
//	+unsubscribe          EmailSent, EmailUnsubscribe
//
// POST /_sandbox/events makes events of every type, PUT /_sandbox/ens changes how
// they are sent, and the faults whose names begin with ens_ make them go wrong.
//
// What the vendor does not document is decided once, at the line that decides
// it, with a comment that begins "Undocumented:".
//
// Below it, account is what the account holds and table what a data extension holds; metadata
// is the REST API for what an account is made of, contact that for contacts, soap the SOAP
// API, ens the Event Notification Service; authority makes the certificates that it is
// trusted by, and wire is what all of them need of a call.
//
// Begin with [New], serve the result over HTTP, and look at /_sandbox/.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/soap"
	"onramp/internal/sandbox/wire"
)

// What a new sandbox, or one that was reset, starts with.
const (
	// ClientID and ClientSecret are the credentials of the one installed
	// package. It has every scope.
	ClientID     = account.ClientID
	ClientSecret = account.ClientSecret
	// AccountID is the MID of the one business unit.
	AccountID = account.MID
	// RegistrationsKey is the external key, and the name, of the data extension.
	RegistrationsKey = account.RegistrationsKey
	// WelcomeEventKey is the key of the event definition. It is bound to the
	// data extension and a running journey listens to it.
	WelcomeEventKey = account.WelcomeEventKey
	// WelcomeMessageKey is the key of the message definition.
	WelcomeMessageKey = account.WelcomeMessageKey
)

// Dialect chooses between answers as Marketing Cloud gives them and answers as
// the document expects them that Onramp was first built from.
type Dialect string

const (
	// DialectFacts answers as Marketing Cloud does. It is the default.
	DialectFacts Dialect = "facts"
	// DialectSpec answers token requests with four fields and 1199 seconds, and
	// rowset calls with {"results":[…]}. All else is as in DialectFacts.
	DialectSpec Dialect = "spec"
)

// ParseDialect reads a dialect's name; "" is [DialectFacts]. Any other word is
// an error that names the two.
func ParseDialect(s string) (Dialect, error) {
	switch d := Dialect(s); d {
	case "":
		return DialectFacts, nil
	case DialectFacts, DialectSpec:
		return d, nil
	default:
		return "", fmt.Errorf("unknown dialect %q: want %q or %q", s, DialectFacts, DialectSpec)
	}
}

// Config says how a sandbox behaves. The zero value works.
type Config struct {
	// Dialect is the way of answering; "" means DialectFacts. A dialect that
	// ParseDialect would refuse behaves as DialectFacts.
	Dialect Dialect
	// Now is the clock that Advance moves forward; nil means time.Now. It must
	// be safe for concurrent use.
	Now func() time.Time
	// Strict holds callers to what the vendor's own network demands of the URLs
	// of callbacks and token endpoints: https, no port, no query string.
	Strict bool
	// Activation is how long, on the sandbox's clock, a new or changed
	// subscription takes to have effect; 0 means the vendor's two minutes,
	// negative means at once.
	Activation time.Duration
	// Sending is how events are made and sent to callbacks. What is zero has its
	// default, and so has all of it when something is wrong with it.
	Sending Sending
	// Transport makes the sandbox's own calls: probes, token requests and events;
	// nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Hosts are the names that it is reached by, beside localhost and IP addresses,
	// without a port; one that begins with *. stands for any one label in its place.
	// Calls by another name are refused.
	Hosts []string
	// Account is what the account holds from the start, beside the initial parts; nil:
	// nothing. What does not fit is left out: see its Check.
	Account *account.Setting
	// Log gets one line for each call, at level debug, without bodies, paths or
	// tokens; nil means no log.
	Log *slog.Logger
}

// Sandbox is one emulated account. It is an http.Handler that serves the
// vendor's auth, REST and SOAP hosts on one origin, and its own pages under
// /_sandbox/. It is safe for concurrent use; make one with [New].
type Sandbox struct {
	dialect Dialect
	base    func() time.Time
	start   account.Setting // of the account
	log     *slog.Logger
	routes  []route
	guard   wire.Guard

	turn   sync.Mutex  // held while deferred calls are carried out; taken before mu
	defers atomic.Bool // a call was deferred: there may be some in world

	mu    sync.Mutex // guards world, and what ens and soap hold; never held while waiting or writing
	world *world
	ens   *ens.Service
	soap  *soap.Service
}

// world is everything that Reset throws away.
type world struct {
	offset   time.Duration // how far Advance has moved the clock
	tokens   tokens
	account  *account.Account
	jobs     jobs
	messages messages
	queries  queries
	faults   []*activeFault
	deferred []*deferredCall // in order of time
	gone     chan struct{}   // closed when it is thrown away
	calls    map[string]int  // by route pattern, so it cannot grow without end
}

var _ http.Handler = (*Sandbox)(nil)

// New makes a sandbox with the initial package, data extension, event
// definition and message definition, and nothing in them.
func New(cfg Config) *Sandbox {
	s := &Sandbox{dialect: cfg.Dialect, base: cfg.Now, log: cfg.Log, guard: wire.NewGuard(cfg.Hosts)}
	if s.base == nil {
		s.base = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Account != nil {
		s.start = *cfg.Account
	}
	s.log = s.log.With("part", "sandbox")
	s.ens = s.newENS(cfg)
	s.soap = s.newSOAP()
	s.routes = s.operations()
	s.Reset()
	return s
}

// Reset puts the sandbox back to the start: the initial account, no rows, no
// contacts, no tokens, no callbacks, no faults, no counts, and the clock at
// Config.Now. Events on their way are gone, and so are calls that were to be carried out later.
func (s *Sandbox) Reset() {
	now := s.base().UTC()
	w := &world{account: account.New(now), calls: map[string]int{}, gone: make(chan struct{})}
	_ = w.account.Change(&s.start, now) // or nothing: see Config
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world != nil {
		close(s.world.gone)
	}
	s.defers.Store(false)
	s.world = w
	s.ens.Reset()
	s.soap.Reset()
}

// Now is the time on the sandbox's clock, in UTC.
func (s *Sandbox) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// lock takes mu for work with what the account holds: it applies the asynchronous jobs
// that are complete by now, and what else is due, and returns the time.
func (s *Sandbox) lock() time.Time {
	s.mu.Lock()
	now := s.now()
	s.world.jobs.settle(now)
	s.world.account.Settle(now)
	return now
}

// now needs mu.
func (s *Sandbox) now() time.Time {
	return s.base().Add(s.world.offset).UTC()
}

// Advance moves the clock forward by d; tokens grow older by it, events that are
// due by then are sent, and calls that were to be carried out by then are, in order. It refuses, and leaves the clock alone, when d is
// negative or when all advances together would pass a time.Duration's range (292
// years).
func (s *Sandbox) Advance(d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("advance by %v: the clock does not go back", d)
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.world.offset + d
	if end < s.world.offset {
		return errors.New("advance: too far for a clock")
	}
	s.runUntil(end)
	s.world.offset = end
	s.ens.Advanced()
	return nil
}
