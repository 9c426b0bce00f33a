package retention

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Store removes what is kept no longer.
type Store interface {
	// RetainSlice removes the next of a kind, by one short write.
	RetainSlice(ctx context.Context, k Kind, p *Policies) (Slice, error)
	// ReleaseSpace gives some disk space back, and says whether there is more.
	ReleaseSpace(ctx context.Context) (more bool, err error)
	// EmptyLog leaves nothing of what was removed in the database's log.
	EmptyLog(ctx context.Context) error
	// MarkRetained notes that everything has been looked at.
	MarkRetained(ctx context.Context) error
	// RetainedAt is when that was noted last; zero: never.
	RetainedAt(ctx context.Context) (time.Time, error)
	// ListRemoved tells how much was removed, ever, by what it was.
	ListRemoved(ctx context.Context) (map[string]Removed, error)
	// OldestKept tells how old the oldest is that is stored.
	OldestKept(ctx context.Context) (map[string]time.Time, error)
	// FreeSpace is what a database file has that holds nothing, and whether it can be given back.
	FreeSpace(ctx context.Context) (bytes int64, releasable bool, err error)
}

const (
	every      = 10 * time.Minute // from the end of a run to the next one
	retry      = time.Minute      // after an error
	rest       = 3                // times what a slice took, until the next one
	leastRest  = 5 * time.Millisecond
	slackStart = time.Hour // after a start, before being behind counts

	// behindAfter is how old the end of the last run may be.
	behindAfter = 25 * time.Hour
)

// Runner removes what is kept no longer, as long as it runs. Its methods are safe for
// concurrent use.
type Runner struct {
	policies Policies
	store    Store
	heldUp   func() string // why nothing may be removed now; "" when it may
	log      *slog.Logger

	mu      sync.Mutex
	started time.Time
	doneAt  time.Time
	working bool
	reason  string // why the last try has failed; "": it hasn't
}

// New makes a Runner. heldUp says why nothing may be removed now, such as that the clock is
// wrong, "" when it may.
func New(p Policies, s Store, heldUp func() string, log *slog.Logger) *Runner {
	return &Runner{policies: p, store: s, heldUp: heldUp, log: log}
}

// Run removes what is kept no longer until ctx ends. It goes on where it was, also after a
// restart.
func (r *Runner) Run(ctx context.Context) {
	if r.policies.Off() {
		return
	}
	r.begin(ctx)
	for ctx.Err() == nil {
		pause := every
		if err := r.once(ctx); err != nil {
			pause = retry
		}
		wait(ctx, pause)
	}
}

func (r *Runner) begin(ctx context.Context) {
	doneAt, err := r.store.RetainedAt(ctx)
	if err != nil {
		doneAt = time.Time{} // the first run will tell
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.doneAt = time.Now(), doneAt
}

// once looks at everything, unless it is held up, and notes what came of it.
func (r *Runner) once(ctx context.Context) error {
	why := r.heldUp()
	var err error
	if why == "" {
		r.set(func() { r.working = true })
		if err = r.pass(ctx); err != nil {
			why = err.Error()
		}
	}
	if ctx.Err() != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if why != "" && why != r.reason {
		r.log.WarnContext(ctx, "what is kept too long could not be removed; it is tried again", "err", why)
	}
	if r.working, r.reason = false, why; why == "" {
		r.doneAt = time.Now()
	}
	return err
}

func (r *Runner) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// pass looks at everything once.
func (r *Runner) pass(ctx context.Context) error {
	var removed int64
	for _, k := range Kinds() {
		n, err := r.all(ctx, k)
		if removed += n; err != nil {
			return err
		}
	}
	if err := r.space(ctx); err != nil {
		return err
	}
	if removed > 0 {
		r.log.InfoContext(ctx, "removed what was kept long enough", "rows", removed)
		if err := r.store.EmptyLog(ctx); err != nil {
			return err
		}
	}
	return r.store.MarkRetained(ctx)
}

// all removes all of a kind, slice by slice. Others write in between.
func (r *Runner) all(ctx context.Context, k Kind) (removed int64, err error) {
	for {
		begun := time.Now()
		slice, err := r.store.RetainSlice(ctx, k, &r.policies)
		if removed += slice.Removed; err != nil || !slice.More {
			return removed, err
		}
		wait(ctx, max(leastRest, rest*time.Since(begun)))
		if err := ctx.Err(); err != nil {
			return removed, err
		}
	}
}

func (r *Runner) space(ctx context.Context) error {
	for {
		begun := time.Now()
		more, err := r.store.ReleaseSpace(ctx)
		if err != nil || !more {
			return err
		}
		wait(ctx, max(leastRest, rest*time.Since(begun)))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
