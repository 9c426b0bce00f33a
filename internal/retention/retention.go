// Package retention removes what is stored and no longer needed: how long each kind of
// it is kept is a setting, and Runner goes by that in slices that hold up nobody.
// What may be removed at all the store decides.
package retention

import "time"

// Policy is how long registrations are kept, by what became of them. It counts from when
// the last of a registration's deliveries was settled. 0: for ever.
type Policy struct {
	Delivered time.Duration `json:"delivered,omitempty"` // or skipped
	Dead      time.Duration `json:"dead,omitempty"`
	Unknown   time.Duration `json:"unknown,omitempty"`
	Discarded time.Duration `json:"discarded,omitempty"`
	Held      time.Duration `json:"held,omitempty"` // under suspicion; what waits to be confirmed has an expiry of its own
}

// Policies are how long everything is kept.
type Policies struct {
	Policy
	Forms    map[string]Policy `json:"forms,omitempty"`    // of forms that have one of their own
	Events   time.Duration     `json:"events,omitempty"`   // since they came; 0: for ever
	Attempts time.Duration     `json:"attempts,omitempty"` // the requests and answers of attempts, since they began; 0: as long as their deliveries
}

// Of is the policy of a form.
func (p *Policies) Of(form string) Policy {
	if own, has := p.Forms[form]; has {
		return own
	}
	return p.Policy
}

// Off says that everything is kept for ever.
func (p *Policies) Off() bool {
	return p.Events == 0 && p.Attempts == 0 && !p.RemovesRegistrations()
}

// RemovesRegistrations says that registrations of some form are not kept for ever.
func (p *Policies) RemovesRegistrations() bool {
	return p.shortest(Policy.all) > 0
}

// Settled is the shortest time for which anything is kept that is settled; 0: for ever.
func (p *Policies) Settled() time.Duration { return p.shortest(Policy.settled) }

// Suspicion is the shortest time for which what is under suspicion is kept; 0: for ever.
func (p *Policies) Suspicion() time.Duration {
	return p.shortest(func(p Policy) []time.Duration { return []time.Duration{p.Held} })
}

// Calls is how long it is kept which requests have delivered something: as long as any
// delivery can be kept by its time; 0: for ever.
func (p *Policies) Calls() (longest time.Duration) {
	all := p.settled()
	for _, form := range p.Forms {
		all = append(all, form.settled()...)
	}
	for _, d := range append(all, p.Events) {
		if d == 0 {
			return 0
		}
		longest = max(longest, d)
	}
	return longest
}

func (p Policy) settled() []time.Duration {
	return []time.Duration{p.Delivered, p.Dead, p.Unknown, p.Discarded}
}

func (p Policy) all() []time.Duration { return append(p.settled(), p.Held) }

// shortest finds the shortest of some periods, of all forms; 0: all are for ever.
func (p *Policies) shortest(of func(Policy) []time.Duration) (shortest time.Duration) {
	all := of(p.Policy)
	for _, form := range p.Forms {
		all = append(all, of(form)...)
	}
	for _, d := range all {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}

// Kind is what a slice looks at.
type Kind string

// The kinds, in the order in which they are looked at.
const (
	Registrations Kind = "registrations"
	Events        Kind = "events"
	Attempts      Kind = "attempts" // what was sent in them, and answered
	Calls         Kind = "calls"    // that delivered everything in them
)

// Kinds lists all of them.
func Kinds() []Kind { return []Kind{Registrations, Events, Attempts, Calls} }

// Slice is what one write has done.
type Slice struct {
	Removed int64 // how much
	More    bool  // there may be more to do
}

// Removed is how much of something was removed, ever.
type Removed struct {
	Count  int64
	LastAt time.Time
}
