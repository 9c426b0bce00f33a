// Package setup makes Marketing Cloud match the configuration, or says where it
// does not. It compares the desired state with the actual one, plans the steps
// from one to the other, and applies them. Today that is the Event Notification
// Service: authentication schemes, callbacks and subscriptions.
//
// [Setup] is where to begin. What comes in while the gateway runs is package
// ens's.
package setup

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// SchemeStore stores the authentication schemes that the setup has created, by
// name. Deleting one that is not stored is no error.
type SchemeStore interface {
	ListSchemes(ctx context.Context) ([]onramp.Scheme, error)
	SaveScheme(ctx context.Context, s onramp.Scheme) error
	DeleteScheme(ctx context.Context, name string) error
}

// RecordStore stores what is known of the callbacks that the setup has created,
// by name. Deleting one that is not stored is no error.
type RecordStore interface {
	ListCallbackRecords(ctx context.Context) ([]onramp.CallbackRecord, error)
	SaveCallbackRecord(ctx context.Context, r onramp.CallbackRecord) error
	DeleteCallbackRecord(ctx context.Context, name string) error
}

// ClientLister lists the token clients in the database.
type ClientLister interface {
	ListTokenClients(ctx context.Context) ([]onramp.TokenClient, error)
}

// Arrivals reads what Marketing Cloud has sent to a callback.
type Arrivals interface {
	// ExpectProbes has all probes held that come until ctx ends, also those of
	// strangers: without a scheme nothing tells them from Marketing Cloud's.
	ExpectProbes(ctx context.Context, callback string)
	// ListProbes returns the probes, those first whose key is to be tried first.
	ListProbes(ctx context.Context, callback string) ([]onramp.Probe, error)
	// SaveProbe keeps a probe over a restart.
	SaveProbe(ctx context.Context, p onramp.Probe) error
	// LastEvent returns when the newest event came; zero: none yet.
	LastEvent(ctx context.Context, callback string) (time.Time, error)
}

// Config is the desired state, and what a setup needs to reach it.
type Config struct {
	PublicURL string // of the gateway, as Marketing Cloud reaches it
	Callbacks []onramp.Callback
	Clients   []onramp.TokenClient // in the configuration; they take precedence over those in the database
	Users     []onramp.TokenUser

	// Account is the account in Marketing Cloud. Creating a callback takes up to
	// half a minute: the client's time-out must be longer.
	Account       *sfmc.Client
	Schemes       SchemeStore
	Records       RecordStore
	StoredClients ClientLister
	Arrivals      Arrivals
	// Unreadable lists what is stored and can't be read. Optional.
	Unreadable func(ctx context.Context) ([]onramp.Unreadable, error)

	// Changed is called when a record of a callback has changed, so that the
	// receiver can read them again. Optional.
	Changed func(ctx context.Context) error
	// Refusals counts the requests to a callback that the receiver has refused, by
	// reason. Optional.
	Refusals func(callback string) map[onramp.Refusal]int64
	// Taken counts the requests that it has accepted, by what proved them. Optional.
	Taken func(callback string) map[string]int64
	// Busy is held while a setup runs. Those that share it run one at a time; default:
	// one of its own.
	Busy *sync.Mutex
	Log  *slog.Logger
	Now  func() time.Time // default time.Now
}

// Setup makes Marketing Cloud match the configuration. The result of each step is
// stored before the next one begins, and what an interruption left incomplete is
// found in Marketing Cloud, so it can be run again after a stop at any point. It is
// safe for concurrent use, and does one thing at a time.
type Setup struct {
	cfg Config
}

// New makes a setup. It calls nothing.
func New(cfg Config) *Setup {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Busy == nil {
		cfg.Busy = new(sync.Mutex)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Setup{cfg: cfg}
}

// tokenURL is the address of the gateway's token endpoint.
func (s *Setup) tokenURL() string { return s.cfg.PublicURL + onramp.TokenPath }

// Plan gives the steps that Apply would take at this moment, and changes nothing.
// With prune they include the deletion of what the gateway has created in Marketing
// Cloud and the configuration no longer names. The error is an [*onramp.Error] when
// the configuration or another running setup forbids it (kind Invalid or Conflict),
// and an [*Error] when the actual state could not be read from Marketing Cloud.
func (s *Setup) Plan(ctx context.Context, prune bool) ([]Step, error) {
	return s.preview(ctx, setupPlanner(prune))
}

// Apply takes the steps of Plan and returns those that it took, also with an
// error. They may differ from the plan when the actual state turns out to differ
// from what Marketing Cloud lists, such as when it rejects a verification key.
// Errors are those of Plan; an [*Error] says at which step it stopped.
func (s *Setup) Apply(ctx context.Context, prune bool) (done []Step, err error) {
	return s.apply(ctx, setupPlanner(prune))
}

// planner adds to a plan the steps from the actual state to the desired one.
type planner func(p *plan) error

func (s *Setup) preview(ctx context.Context, fill planner) ([]Step, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.cfg.Busy.Unlock()
	p, err := s.plan(ctx, newObserved(), fill)
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(p.steps))
	for i := range p.steps {
		steps[i] = p.steps[i].Step
	}
	return steps, nil
}

func (s *Setup) apply(ctx context.Context, fill planner) ([]Step, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.cfg.Busy.Unlock()
	ctx, stop := context.WithCancel(ctx) // with it ends what steps have begun
	defer stop()
	// the receiver may lack what an interrupted setup has stored
	if err := s.changed(ctx); err != nil {
		return nil, err
	}
	done, seen := &journal{}, newObserved()
	for {
		p, err := s.plan(ctx, seen, fill)
		if err != nil && len(done.steps) > 0 {
			return done.steps, failure("read the actual state from Marketing Cloud again", hintAgain, err)
		}
		if err != nil {
			return nil, err
		}
		err = s.execute(ctx, p, done)
		if err == nil {
			err = s.confirm(ctx, seen, fill, done.steps)
		}
		if !errors.Is(err, errReplan) {
			return done.steps, err
		}
	}
}

var errBusy = &onramp.Error{Kind: onramp.Conflict, Message: "another setup is running; try again when it has ended"}

// begin lets one in at a time.
func (s *Setup) begin() error {
	if s.cfg.PublicURL == "" {
		return &onramp.Error{Kind: onramp.Invalid, Message: "public.url is not set: Marketing Cloud needs an address to call"}
	}
	if !s.cfg.Busy.TryLock() {
		return errBusy
	}
	return nil
}

func (s *Setup) plan(ctx context.Context, seen *observed, fill planner) (*plan, error) {
	actual, err := s.readActual(ctx)
	if err != nil {
		return nil, err
	}
	p := &plan{Setup: s, actual: actual, observed: seen}
	return p, fill(p)
}

// execute takes the steps of a plan. errReplan means that a new plan is needed,
// since the actual state differs from what Marketing Cloud listed.
func (s *Setup) execute(ctx context.Context, p *plan, done *journal) error {
	for _, st := range p.steps {
		if st.do != nil {
			err := st.do(ctx)
			for _, c := range p.cleanups {
				done.add(c)
			}
			p.cleanups = nil
			if errors.Is(err, errReplan) {
				return err
			}
			if err != nil {
				return failure(st.String(), st.hint, err)
			}
		}
		done.add(st)
		if !st.Kept {
			s.cfg.Log.InfoContext(ctx, "ens setup step done", "step", st.What(), "name", st.Name)
		}
	}
	return nil
}

func (s *Setup) changed(ctx context.Context) error {
	if s.cfg.Changed == nil {
		return nil
	}
	return s.cfg.Changed(ctx)
}

// journal collects the steps taken, over all plans of a run.
type journal struct {
	steps []Step
	about map[subject]bool // what the steps are about
}

// add leaves out that something is kept when an earlier step was about it.
func (j *journal) add(st step) {
	if st.Kept && j.about[st.subject()] {
		return
	}
	if j.about == nil {
		j.about = map[subject]bool{}
	}
	j.about[st.subject()] = true
	j.steps = append(j.steps, st.Step)
}
