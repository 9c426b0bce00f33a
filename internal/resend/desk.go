package resend

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Kind is what the resends of one kind differ in.
type Kind interface {
	// Plan looks for what a filter selects, and changes nothing. The error is of kind
	// Invalid when the filter is wrong.
	Plan(ctx context.Context, filter json.RawMessage) (Plan, error)
	// Next carries out the next portion of a run. waits is true when it is too early for
	// that, or there is nowhere to send to.
	Next(ctx context.Context, run *Run) (waits bool, err error)
}

// Store keeps runs.
type Store interface {
	// StartResend returns the run that is under way when it is the same one. The error is
	// of kind Conflict when there is another one, when the same was done before and again
	// isn't set, or when there is nothing to send.
	StartResend(ctx context.Context, p Plan, again bool) (run Run, started bool, err error)
	ListResends(ctx context.Context) ([]Run, error)
	ListRunningResends(ctx context.Context) ([]Run, error)
	FindResend(ctx context.Context, id int64) (Run, error)
	CancelResend(ctx context.Context, id int64) error
}

// Desk is where operators plan, start, look after and cancel resends. Its methods are
// safe for concurrent use.
type Desk struct {
	store   Store
	kinds   map[string]Kind
	heldUp  func(target string) string
	log     *slog.Logger
	started chan struct{} // yields a value when a run was started
}

// New makes a Desk for some kinds, by name. heldUp says why a target takes nothing now,
// "" when it does.
func New(store Store, kinds map[string]Kind, heldUp func(target string) string, log *slog.Logger) *Desk {
	return &Desk{store: store, kinds: kinds, heldUp: heldUp, log: log, started: make(chan struct{}, 1)}
}

const (
	pause = 25 * time.Millisecond // until the pump may have come to the newest portion
	retry = time.Second           // after an error
)

// Run carries out the runs that are under way, those that an earlier process has begun
// among them, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		running, waits, err := d.step(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			d.log.WarnContext(ctx, "a resend was held up; it goes on by itself", "err", err)
		}
		var again <-chan time.Time
		switch failing = err != nil; {
		case failing:
			again = time.After(retry)
		case running && waits:
			again = time.After(pause)
		case running:
			continue
		}
		select {
		case <-again:
		case <-d.started:
		case <-ctx.Done():
		}
	}
}

// step takes each run one portion further. waits is true when none could go on.
func (d *Desk) step(ctx context.Context) (running, waits bool, err error) {
	runs, err := d.store.ListRunningResends(ctx)
	if err != nil {
		return false, true, err
	}
	waits = true
	for i := range runs {
		kind, known := d.kinds[runs[i].Kind]
		if !known {
			continue // a newer Onramp has started it
		}
		oneWaits, err := kind.Next(ctx, &runs[i])
		if err != nil {
			return true, true, err
		}
		waits = waits && oneWaits
	}
	return len(runs) > 0, waits, nil
}

// Plan shows what a resend would do, and changes nothing. The error is of kind Invalid
// when the request is wrong.
func (d *Desk) Plan(ctx context.Context, request Request) (Plan, error) {
	p, err := d.plan(ctx, request)
	if err != nil {
		return Plan{}, err
	}
	running, err := d.store.ListRunningResends(ctx)
	for i := range running {
		if running[i].Kind == p.Kind && running[i].Target == p.Target {
			p.Running = d.view(&running[i])
		}
	}
	return p, err
}

// Start starts a resend; Run carries it out. To repeat the request while that goes on
// returns the same one. The error is of kind Invalid when the request is wrong, or
// Conflict as StartResend of the store has it.
func (d *Desk) Start(ctx context.Context, request Request) (Run, error) {
	p, err := d.plan(ctx, request)
	if err != nil {
		return Run{}, err
	}
	run, started, err := d.store.StartResend(ctx, p, request.Again)
	if err != nil {
		return Run{}, err
	}
	if run.Continued = !started; started {
		d.log.InfoContext(ctx, "resend started", "resend", run.ID, "kind", run.Kind, "target", run.Target, "planned", run.Planned)
		select {
		case d.started <- struct{}{}:
		default:
		}
	}
	return *d.view(&run), nil
}

func (d *Desk) plan(ctx context.Context, request Request) (Plan, error) {
	kind, known := d.kinds[request.Kind]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(d.kinds)), ", ")
		return Plan{}, invalid("kind", "must be one of: "+names, "there is no such kind of resend")
	}
	p, err := kind.Plan(ctx, request.Filter)
	p.Kind = request.Kind
	return p, err
}

// List lists the newest resends.
func (d *Desk) List(ctx context.Context) (Runs, error) {
	runs, err := d.store.ListResends(ctx)
	for i := range runs {
		d.view(&runs[i])
	}
	return Runs{Items: append([]Run{}, runs...)}, err
}

// Find returns a resend, or an error of kind NotFound.
func (d *Desk) Find(ctx context.Context, id string) (Run, error) {
	run, err := d.store.FindResend(ctx, number(id))
	if err != nil {
		return Run{}, err
	}
	return *d.view(&run), nil
}

// Cancel ends a resend, and returns it. What it has queued is still sent. The error is
// of kind NotFound, or Conflict when it is done.
func (d *Desk) Cancel(ctx context.Context, id string) (Run, error) {
	if err := d.store.CancelResend(ctx, number(id)); err != nil {
		return Run{}, err
	}
	return d.Find(ctx, id)
}

// number is 0, which is nobody's, for what is no number.
func number(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64)
	return n
}

// view adds what is not stored.
func (d *Desk) view(run *Run) *Run {
	if run.State == Running {
		run.HeldUp = d.heldUp(run.Target)
	}
	return run
}

func invalid(field, what, message string) error {
	return &onramp.Error{Kind: onramp.Invalid, Message: message, Fields: []onramp.FieldError{{Field: field, Message: what}}}
}
