// Package sandbox stands in for Salesforce Marketing Cloud, so that everything
// that talks to it can be tried and tested without an account.
//
// What it does NOT emulate stands in limits/limits.md, for the help and the
// documentation, too. Routes that are neither in the list of operations in route.go nor
// in that of package ens answer 404; a path's slashes and the case of its letters make no difference.
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
// Three packages are below it: ens is the Event Notification Service, table is
// what a data extension holds, and wire is what all of them need of a call.
//
// Begin with [New], serve the result over HTTP, and look at /_sandbox/.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// What a new sandbox, or one that was reset, starts with.
const (
	// ClientID and ClientSecret are the credentials of the one installed
	// package. It has every scope.
	ClientID     = "sandbox-client"
	ClientSecret = "sandbox-secret"
	// AccountID is the MID of the one business unit.
	AccountID = "510000001"
	// RegistrationsKey is the external key, and the name, of the data extension.
	RegistrationsKey = "Web_Registrations"
	// WelcomeEventKey is the key of the event definition. It is bound to the
	// data extension and a running journey listens to it.
	WelcomeEventKey = "APIEvent-sandbox-welcome"
	// WelcomeMessageKey is the key of the message definition.
	WelcomeMessageKey = "welcome"
)

// The ids are fixed so that scripts and screenshots do not change from run to
// run.
const (
	registrationsID  = "5a0d8c1e-7b1f-4c55-9d52-0f5100000001"
	packageID        = "b8a1c7d2-3e4f-4a5b-8c6d-0f5100000002"
	memberNumber     = 510000001
	userNumber       = 510000777
	stackKey         = "S0"
	organizationName = "Sandbox"
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
	// without a port. Calls by another name are refused.
	Hosts []string
	// Log gets one line for each call, at level debug, without bodies, paths or
	// tokens; nil means no log.
	Log *slog.Logger
}

// Sandbox is one emulated account. It is an http.Handler that serves the
// vendor's auth and REST hosts on one origin, and its own pages under
// /_sandbox/. It is safe for concurrent use; make one with [New].
type Sandbox struct {
	dialect Dialect
	base    func() time.Time
	log     *slog.Logger
	routes  []route
	guard   wire.Guard

	turn   sync.Mutex  // held while deferred calls are carried out; taken before mu
	defers atomic.Bool // a call was deferred: there may be some in world

	mu    sync.Mutex // guards world, and what ens holds; never held while waiting or writing
	world *world
	ens   *ens.Service
}

// world is everything that Reset throws away.
type world struct {
	offset       time.Duration // how far Advance has moved the clock
	tokens       tokens
	extensions   map[string]*table.Table // by external key
	journeys     map[string]*journey     // by event definition key
	jobs         jobs
	messages     messages
	definitions  map[string]string // status of the message definitions, by key
	scopes       []string          // of the package
	missingScope int               // status that says that one is missing, where the vendor uses two
	resultsPage  int               // results of an asynchronous request on a page, whatever is asked for; 0: as is asked for
	queries      queries
	faults       []*activeFault
	deferred     []*deferredCall // in order of time
	gone         chan struct{}   // closed when it is thrown away
	calls        map[string]int  // by route pattern, so it cannot grow without end
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
	s.log = s.log.With("part", "sandbox")
	s.ens = s.newENS(cfg)
	s.routes = s.operations()
	s.Reset()
	return s
}

// Reset puts the sandbox back to the start: the initial package, no rows, no
// contacts, no tokens, no callbacks, no faults, no counts, and the clock at
// Config.Now. Events on their way are gone, and so are calls that were to be carried out later.
func (s *Sandbox) Reset() {
	d := table.New(registrationsID, RegistrationsKey, RegistrationsKey, registrationsColumns())
	w := &world{
		extensions:  map[string]*table.Table{d.Key: d},
		journeys:    map[string]*journey{WelcomeEventKey: {eventKey: WelcomeEventKey, extension: d, status: statusPublished}},
		definitions: map[string]string{WelcomeMessageKey: statusActive},
		scopes:      packageScopes(), missingScope: http.StatusUnauthorized,
		calls: map[string]int{},
		gone:  make(chan struct{}),
	}
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
}

// Now is the time on the sandbox's clock, in UTC.
func (s *Sandbox) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// lock takes mu for work with the world's rows: it applies the asynchronous
// jobs that are complete by now, and returns the time.
func (s *Sandbox) lock() time.Time {
	s.mu.Lock()
	now := s.now()
	s.world.jobs.settle(now)
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

// extensionByReference finds what a path's {id} names, or returns nil: see
// validReference. It needs mu.
func (w *world) extensionByReference(ref string) *table.Table {
	if key, ok := strings.CutPrefix(ref, "key:"); ok {
		return w.extensionByKey(key)
	}
	return w.extensionByID(strings.TrimPrefix(ref, "id:"))
}

// extensionByKey finds a data extension by its external key, in any case, or
// returns nil: an old client of the vendor's own (fuel-rest) sends every path in
// lower case. It needs mu.
func (w *world) extensionByKey(key string) *table.Table {
	if d := w.extensions[key]; d != nil {
		return d
	}
	for _, d := range w.extensions {
		if strings.EqualFold(d.Key, key) {
			return d
		}
	}
	return nil
}

// extensionByID finds a data extension by its GUID, in any case, or returns
// nil. It needs mu.
func (w *world) extensionByID(id string) *table.Table {
	for _, d := range w.extensions {
		if strings.EqualFold(d.ID, id) {
			return d
		}
	}
	return nil
}

// registrationsColumns are the columns of section 2.2 of the specification.
func registrationsColumns() []Column {
	return []Column{
		{Name: "SubscriberKey", Type: table.TypeText, Length: 254, PrimaryKey: true},
		{Name: "EmailAddress", Type: table.TypeEmail, Length: 254},
		{Name: "FirstName", Type: table.TypeText, Length: 100, Nullable: true},
		{Name: "LastName", Type: table.TypeText, Length: 100, Nullable: true},
		{Name: "OptInStatus", Type: table.TypeBoolean, Default: false},
		{Name: "RegistrationTimestamp", Type: table.TypeDate},
		{Name: "Source", Type: table.TypeText, Length: 50, Nullable: true},
		{Name: "IPAddress", Type: table.TypeText, Length: 45, Nullable: true},
		{Name: "UserAgent", Type: table.TypeText, Length: 255, Nullable: true},
		{Name: "PageURL", Type: table.TypeText, Length: 500, Nullable: true},
	}
}
