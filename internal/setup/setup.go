// Package setup makes Marketing Cloud match the configuration, or says where it
// does not. It compares the desired state with the actual one, plans the steps
// from one to the other, and takes them. Today that is the Event Notification
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

// Account is what the setup calls in Marketing Cloud. A [sfmc.Client] is one.
// Creating a callback takes up to half a minute: its time-out must be longer.
type Account interface {
	AccountReader
	SchemeWriter
	CallbackWriter
	KeyWriter
	SubscriptionWriter
}

// AccountReader lists what there is. All of it may belong to others.
type AccountReader interface {
	ListAuthSchemes(ctx context.Context) ([]sfmc.AuthScheme, error)
	ListCallbacks(ctx context.Context) ([]sfmc.Callback, error)
	ListSubscriptions(ctx context.Context, callbackID string) ([]sfmc.Subscription, error)
}

// SchemeWriter changes authentication schemes. Marketing Cloud asks our token
// endpoint for a token before it takes one.
type SchemeWriter interface {
	CreateAuthScheme(ctx context.Context, s sfmc.AuthScheme) (sfmc.AuthScheme, error)
	UpdateAuthScheme(ctx context.Context, s sfmc.AuthScheme) (sfmc.AuthScheme, error)
	DeleteAuthScheme(ctx context.Context, authID string) error
}

// CallbackWriter changes callbacks. Marketing Cloud probes our URL before it
// answers a create.
type CallbackWriter interface {
	CreateCallback(ctx context.Context, c sfmc.Callback) (sfmc.Callback, error)
	UpdateCallback(ctx context.Context, c sfmc.Callback) (sfmc.Callback, error)
	DeleteCallback(ctx context.Context, callbackID string) error
}

// KeyWriter uses and changes the keys of a callback.
type KeyWriter interface {
	VerifyCallback(ctx context.Context, callbackID string, key sfmc.Secret) error
	RegenerateSignatureKey(ctx context.Context, callbackID string) (sfmc.Callback, error)
}

// SubscriptionWriter changes subscriptions.
type SubscriptionWriter interface {
	CreateSubscription(ctx context.Context, s sfmc.Subscription) (sfmc.Subscription, error)
	UpdateSubscription(ctx context.Context, s sfmc.Subscription) (sfmc.Subscription, error)
	DeleteSubscription(ctx context.Context, subscriptionID string) error
}

// Store keeps what the setup has made. Deleting what is not there is no
// error.
type Store interface {
	SchemeStore
	RecordStore
	Reader
}

// SchemeStore keeps authentication schemes by their name.
type SchemeStore interface {
	ListSchemes(ctx context.Context) ([]onramp.Scheme, error)
	SaveScheme(ctx context.Context, s onramp.Scheme) error
	DeleteScheme(ctx context.Context, name string) error
}

// RecordStore keeps what is known of callbacks, by their name.
type RecordStore interface {
	ListCallbackRecords(ctx context.Context) ([]onramp.CallbackRecord, error)
	SaveCallbackRecord(ctx context.Context, r onramp.CallbackRecord) error
	DeleteCallbackRecord(ctx context.Context, name string) error
}

// Reader reads what others have stored.
type Reader interface {
	// ListProbes returns the probes that came to a callback, the newest first.
	ListProbes(ctx context.Context, callback string) ([]onramp.Probe, error)
	// LastEvent returns when the newest event came to a callback; zero: none yet.
	LastEvent(ctx context.Context, callback string) (time.Time, error)
	// ListTokenClients returns the clients that are kept in the database.
	ListTokenClients(ctx context.Context) ([]onramp.TokenClient, error)
}

// Config says what Marketing Cloud is to match.
type Config struct {
	PublicURL string // of the gateway, as Marketing Cloud reaches it
	TokenPath string // of the token endpoint; default /oauth2/token
	Callbacks []onramp.Callback
	Clients   []onramp.TokenClient // those of the configuration; they go before those of the store
	Users     []onramp.TokenUser
	Account   Account
	Store     Store
	// Changed tells the receiver to read its records again. Optional.
	Changed func(ctx context.Context) error
	// Refusals gives the requests to a callback that the receiver has refused,
	// by the reason. Optional.
	Refusals func(callback string) map[onramp.Refusal]int64
	// Taken gives the calls that it has taken, by what proved them. Optional.
	Taken func(callback string) map[string]int64
	Log   *slog.Logger
	Now   func() time.Time // default time.Now
}

// Setup makes Marketing Cloud match the configuration. Each step is stored before
// the next one begins, and what an interruption has left half made is found in
// Marketing Cloud: so it can be called again after an end at any point. It is
// safe for concurrent use, and does one thing at a time.
type Setup struct {
	Config
	busy sync.Mutex
}

// New makes a setup. It calls nothing.
func New(cfg Config) *Setup {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	if cfg.TokenPath == "" {
		cfg.TokenPath = "/oauth2/token"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Setup{Config: cfg}
}

// Plan gives the steps that Apply would take at this moment, and changes nothing.
// With prune they include the deletion of what is ours in Marketing Cloud and the
// configuration no longer names. The error is an [*onramp.Error] when the
// configuration or another setup under way forbids it (kind Invalid or Conflict),
// and an [*Error] when Marketing Cloud could not be asked.
func (s *Setup) Plan(ctx context.Context, prune bool) ([]Step, error) {
	return s.foresee(ctx, setupDrawing(prune))
}

// Apply takes the steps of Plan and returns those that it took, also with an
// error. When Marketing Cloud turns out to be otherwise than it said, such as by
// not taking a verification key, they may be others than planned. Errors are those
// of Plan; a [*Error] says at which step it stopped.
func (s *Setup) Apply(ctx context.Context, prune bool) (done []Step, err error) {
	return s.perform(ctx, setupDrawing(prune))
}

// drawing draws a plan over what there is.
type drawing func(p *plan) error

func (s *Setup) foresee(ctx context.Context, draw drawing) ([]Step, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.busy.Unlock()
	p, err := s.draw(ctx, newLessons(), draw)
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(p.steps))
	for i := range p.steps {
		steps[i] = p.steps[i].Step
	}
	return steps, nil
}

func (s *Setup) perform(ctx context.Context, draw drawing) ([]Step, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.busy.Unlock()
	// the receiver may lack what an interrupted setup has stored
	if err := s.changed(ctx); err != nil {
		return nil, err
	}
	done, learned := &journal{}, newLessons()
	for {
		p, err := s.draw(ctx, learned, draw)
		if err != nil && len(done.steps) > 0 {
			return done.steps, failure("list the actual state in Marketing Cloud again", hintAgain, err)
		}
		if err != nil {
			return nil, err
		}
		err = s.follow(ctx, p, done)
		if !errors.Is(err, errLearned) {
			return done.steps, err
		}
	}
}

var errBusy = &onramp.Error{Kind: onramp.Conflict, Message: "another setup is under way; look again when it has ended"}

// begin lets one in at a time.
func (s *Setup) begin() error {
	if s.PublicURL == "" {
		return &onramp.Error{Kind: onramp.Invalid, Message: "public.url is not set: Marketing Cloud needs an address to call"}
	}
	if !s.busy.TryLock() {
		return errBusy
	}
	return nil
}

func (s *Setup) draw(ctx context.Context, learned *lessons, draw drawing) (*plan, error) {
	have, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	p := &plan{Setup: s, have: have, learned: learned}
	return p, draw(p)
}

// follow takes the steps of a plan. errLearned means that another one is to be
// drawn, since Marketing Cloud turned out to be otherwise than it said.
func (s *Setup) follow(ctx context.Context, p *plan, done *journal) error {
	for _, st := range p.steps {
		if st.do != nil {
			err := st.do(ctx)
			for _, extra := range p.besides {
				done.add(extra)
			}
			p.besides = nil
			if errors.Is(err, errLearned) {
				return err
			}
			if err != nil {
				return failure(st.String(), st.hint, err)
			}
		}
		done.add(st)
		if !st.Kept {
			s.Log.InfoContext(ctx, "ens setup step done", "step", st.What(), "name", st.Name)
		}
	}
	return nil
}

func (s *Setup) changed(ctx context.Context) error {
	if s.Changed == nil {
		return nil
	}
	return s.Changed(ctx)
}

// journal collects what was done, over all plans of a run.
type journal struct {
	steps []Step
	about map[subject]bool // what the steps were about
}

// add leaves out that something is kept after it was told of.
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
