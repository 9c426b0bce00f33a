// Package watch proves that registrations arrive in Marketing Cloud, and notices when they
// no longer do while no call fails: a canary is submitted to each form as a visitor would,
// seen to arrive, and removed; a sample of what was delivered is read back and compared; each
// form is held against its own usual rate; and a data extension that has lost columns is
// sent nothing more before its rows die.
//
// Use New once in a process, Change with each configuration, and Run while deliveries are
// made. Status says what was found; it is kept over a restart. Nothing is repaired here.
package watch

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// Config is what is watched, and how often.
type Config struct {
	Canary Canary
	Sample time.Duration // between two samples; 0: none are taken
	Usual  bool          // forms are held against their own usual rate
	Forms  []*onramp.Form
	Events bool   // events come back: a canary with an address of the operator's waits for one
	URL    string // of the public listener, as visitors reach it
	Rows   Rows

	Schema  time.Duration // between two looks at the columns of the data extensions; 0: none
	Schemas Schemas
	Account string // which account Schemas reads: what is known of another one is forgotten

	// Saving says that calls are saved: then canaries, samples and looks at columns wait;
	// nil: they never are.
	Saving func() bool
}

// Canary is the registration that is submitted to see it arrive.
type Canary struct {
	Every   time.Duration // 0: never
	Timeout time.Duration // how long one may take
	Form    string        // ""; each form
	Email   string        // gets mail with +TAG before the @; "": journeys and messages are left out
}

// Rows reads and removes the rows of deliveries to data extensions. An outbound.Sender does.
type Rows interface {
	// CompareRow says whether there is a row, and which columns are not stored as they
	// were sent, each with what to do. The error is outbound.ErrUnreadable when rows
	// can't be read at all.
	CompareRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) (found bool, different []string, err error)
	RemoveRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) error
}

// Keeper keeps what is known over a restart.
type Keeper interface {
	// LoadWatch returns what SaveWatch was last given, nil if there is nothing.
	LoadWatch(ctx context.Context) ([]byte, error)
	SaveWatch(ctx context.Context, data []byte) error
}

// Registrations reads what was accepted.
type Registrations interface {
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
	Timeline(ctx context.Context, id string) ([]onramp.TimelineItem, error)
	// ListArrivals tells when registrations were received after a seq, by form and minute, the oldest
	// first, and how far it has looked; after 0 it begins with a time.
	ListArrivals(ctx context.Context, after int64, since time.Time, without []string, each func(form string, first, last time.Time, n int)) (to int64, err error)
}

// Deliveries reads what was sent.
type Deliveries interface {
	SampleDelivered(ctx context.Context, destination string, since time.Time, n int) ([]onramp.Delivery, error)
	HasNewer(ctx context.Context, d *onramp.Delivery) (bool, error)
	Pause(destination int) onramp.Pause
}

// Sources are what is asked.
type Sources struct {
	Kept          Keeper
	Registrations Registrations
	Deliveries    Deliveries
	Fence         func() error // returns an error while another process may deliver
}

// Watch watches. It is safe for concurrent use.
type Watch struct {
	from   Sources
	log    *slog.Logger
	begun  time.Time
	saving sync.Mutex // held while the state is written, so that the newest stays

	mu    sync.Mutex
	cfg   Config
	since time.Time // when cfg came into use
	state state
}

// state is what is kept over a restart.
type state struct {
	Secret    []byte // of the marks, see mark
	SavedAt   time.Time
	Canaries  map[string]*canary // by form
	Samples   map[string]*Sample // by destination
	SampledAt time.Time
	Rates     map[string]*rate // by form
	ReadTo    int64            // the newest registration that Rates know of
	Schemas   map[string]*schema
}

// New goes on where the process before this one has ended. Its error is that of the store.
func New(ctx context.Context, from Sources, log *slog.Logger) (*Watch, error) {
	w := &Watch{from: from, log: log, begun: time.Now()}
	data, err := from.Kept.LoadWatch(ctx)
	if err != nil {
		return nil, err
	}
	if data != nil {
		if err := json.Unmarshal(data, &w.state); err != nil {
			log.Warn("what was known about the arrival of registrations can't be read, and begins anew", "err", err)
			w.state = state{}
		}
	}
	w.state.prepare(w.begun)
	return w, nil
}

func (s *state) prepare(now time.Time) {
	if len(s.Secret) == 0 {
		s.Secret = newSecret()
	}
	if s.Canaries == nil {
		s.Canaries = map[string]*canary{}
	}
	if s.Samples == nil {
		s.Samples = map[string]*Sample{}
	}
	if s.Rates == nil {
		s.Rates = map[string]*rate{}
	}
	if s.Schemas == nil {
		s.Schemas = map[string]*schema{}
	}
	for _, r := range s.Rates {
		r.Away += max(now.Sub(s.SavedAt), 0) // nothing could come while there was no Onramp
	}
}

// Change replaces the configuration, while Run does not run.
func (w *Watch) Change(cfg Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg, w.since = cfg, time.Now()
}

// Run watches until ctx ends. What is under way then goes on with the next Run.
func (w *Watch) Run(ctx context.Context) {
	w.mu.Lock()
	cfg := w.cfg
	w.mu.Unlock()
	var parts sync.WaitGroup
	for _, form := range cfg.canaryForms() {
		parts.Go(func() { w.runCanary(ctx, cfg, form) })
	}
	for _, form := range w.dropCanaries(&cfg) {
		parts.Go(func() { w.cleanUp(ctx, cfg, form) })
	}
	if cfg.Sample > 0 {
		parts.Go(func() { w.runSamples(ctx, cfg) })
	}
	if cfg.Schema > 0 && cfg.Schemas != nil {
		parts.Go(func() { w.runSchemas(ctx, cfg) })
	}
	if cfg.Usual {
		parts.Go(func() { w.runUsual(ctx, cfg) })
	}
	parts.Wait()
	if w.mayRun() {
		w.save(context.WithoutCancel(ctx))
	}
}

// change changes the state, and keeps it.
func (w *Watch) change(ctx context.Context, how func(s *state)) {
	w.mu.Lock()
	how(&w.state)
	w.mu.Unlock()
	w.save(ctx)
}

const saveWithin = 2 * time.Second

// save keeps the state. Should that fail, the next save is not far; the store's own
// trouble is told elsewhere.
func (w *Watch) save(ctx context.Context) {
	w.saving.Lock()
	defer w.saving.Unlock()
	w.mu.Lock()
	w.state.SavedAt = time.Now()
	data, err := json.Marshal(&w.state)
	w.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, saveWithin)
	defer stop()
	if err == nil {
		err = w.from.Kept.SaveWatch(ctx, data)
	}
	if err != nil && ctx.Err() == nil {
		w.log.DebugContext(ctx, "what the watch knows could not be kept", "err", err)
	}
}

// mayRun says whether this process is the one that delivers.
func (w *Watch) mayRun() bool { return w.from.Fence == nil || w.from.Fence() == nil }

// mayCall says whether this process may call for what is watched.
func (w *Watch) mayCall(cfg *Config) bool { return w.mayRun() && (cfg.Saving == nil || !cfg.Saving()) }

// sleep waits, and says whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// dataExtensions are those of all forms, each once.
func (c *Config) dataExtensions() []onramp.Destination {
	var all []onramp.Destination
	known := map[string]bool{}
	for _, f := range c.Forms {
		for _, d := range f.Route {
			if d.Kind == onramp.DataExtension && !known[d.Name()] {
				known[d.Name()] = true
				all = append(all, d)
			}
		}
	}
	return all
}

func (c *Config) form(name string) *onramp.Form {
	for _, f := range c.Forms {
		if f.Name == name {
			return f
		}
	}
	return nil
}
