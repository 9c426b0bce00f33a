package retention

import (
	"context"
	"strconv"
	"time"
)

// State is how the removal of what is kept no longer is doing.
type State string

// The states.
const (
	Off    State = "off"    // everything is kept for ever
	OK     State = "ok"     // everything was looked at within a day
	Behind State = "behind" // it was not
)

// Progress is how far a Runner is, as far as that is in memory.
type Progress struct {
	State   State     `json:"state"`
	Working bool      `json:"working,omitempty"` // it is removing something
	LastRun time.Time `json:"last_run,omitzero"` // when everything had been looked at the last time
	Reason  string    `json:"reason,omitempty"`  // why the last try has failed
}

// Status is what is kept how long, and how its removal is doing.
type Status struct {
	Progress
	Kept []Kept `json:"kept,omitempty"`

	FreeBytes     int64 `json:"free_bytes,omitempty"`     // of the database file, that hold nothing
	NotReleasable bool  `json:"not_releasable,omitempty"` // they can't be given back until onramp vacuum has run
}

// Kept is how long something is kept.
type Kept struct {
	What          string            `json:"what"`                     // as its setting is called
	Keep          string            `json:"keep"`                     // such as 30d; "for ever"
	Forms         map[string]string `json:"forms,omitempty"`          // where a form has a period of its own
	Oldest        time.Time         `json:"oldest,omitzero"`          // when the oldest came that is stored; of delivered, the oldest registration in any state
	Removed       int64             `json:"removed"`                  // how much was removed, ever
	LastRemovedAt time.Time         `json:"last_removed_at,omitzero"` // and when the last of it
}

// Progress returns at once.
func (r *Runner) Progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Progress{State: OK, Working: r.working, LastRun: r.doneAt, Reason: r.reason}
	last := r.doneAt
	if last.IsZero() {
		last = r.started
	}
	now := time.Now()
	switch {
	case r.policies.Off():
		p.State = Off
	case !r.started.IsZero() && now.Sub(r.started) >= slackStart && now.Sub(last) > behindAfter:
		p.State = Behind
	}
	return p
}

// Status tells what is kept how long, and how much was removed.
func (r *Runner) Status(ctx context.Context) (Status, error) {
	s := Status{Progress: r.Progress()}
	if s.State == Off {
		return s, nil
	}
	removed, err := r.store.ListRemoved(ctx)
	if err != nil {
		return s, err
	}
	oldest, err := r.store.OldestKept(ctx)
	if err != nil {
		return s, err
	}
	free, releasable, err := r.store.FreeSpace(ctx)
	s.FreeBytes, s.NotReleasable = free, !releasable
	for _, period := range r.policies.periods() {
		period.Oldest, period.Removed, period.LastRemovedAt = oldest[period.What], removed[period.What].Count, removed[period.What].LastAt
		s.Kept = append(s.Kept, period)
	}
	return s, err
}

// periods are all periods, as they are read by people.
func (p *Policies) periods() (all []Kept) {
	for _, one := range []struct {
		what string
		of   func(Policy) time.Duration
	}{
		{"delivered", func(p Policy) time.Duration { return p.Delivered }},
		{"dead", func(p Policy) time.Duration { return p.Dead }},
		{"unknown", func(p Policy) time.Duration { return p.Unknown }},
		{"discarded", func(p Policy) time.Duration { return p.Discarded }},
		{"held", func(p Policy) time.Duration { return p.Held }},
	} {
		kept := Kept{What: one.what, Keep: Period(one.of(p.Policy))}
		for form, own := range p.Forms {
			if of := one.of(own); of != one.of(p.Policy) {
				if kept.Forms == nil {
					kept.Forms = map[string]string{}
				}
				kept.Forms[form] = Period(of)
			}
		}
		all = append(all, kept)
	}
	attempts := Period(p.Attempts)
	if p.Attempts == 0 {
		attempts = "as long as their deliveries"
	}
	return append(all, Kept{What: "events", Keep: Period(p.Events)}, Kept{What: "attempts", Keep: attempts})
}

// Period writes a period as the configuration does.
func Period(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "for ever"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}
