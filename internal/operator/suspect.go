package operator

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// Suspects are the registrations that are held under suspicion.
type Suspects interface {
	// ReleaseRegistration has a held registration sent. The error is of kind NotFound, or
	// Conflict when it is not held, or would overwrite a newer row and overwrite is not set.
	ReleaseRegistration(ctx context.Context, id string, values json.RawMessage, overwrite bool) error
	// DiscardHeld gives one up, with the same errors.
	DiscardHeld(ctx context.Context, id, reason string) error
	// ReleaseSuspects and DiscardSuspects do so with all that a filter lets through;
	// PlanRelease and PlanDiscard say what they would do.
	ReleaseSuspects(ctx context.Context, f onramp.SuspectFilter) (onramp.Retried, error)
	DiscardSuspects(ctx context.Context, f onramp.SuspectFilter, reason string) (int64, error)
	PlanRelease(ctx context.Context, f onramp.SuspectFilter) (onramp.Retried, error)
	PlanDiscard(ctx context.Context, f onramp.SuspectFilter) (int64, error)
	// ListSuspects lists the ids of all that a filter lets through, oldest first.
	ListSuspects(ctx context.Context, f onramp.SuspectFilter) ([]string, error)
	// ListSuspicions tells how many were held under each suspicion, and what became of them.
	ListSuspicions(ctx context.Context) ([]onramp.Suspicion, error)
}

// Suspected says which registrations that are held under suspicion are to be released or
// discarded together.
type Suspected struct {
	Form   string `json:"form,omitempty"`
	Reason string `json:"reason,omitempty"` // what they are suspected of, such as honeypot
	Since  string `json:"since,omitempty"`  // received then or later, see ParsePeriod
	Until  string `json:"until,omitempty"`  // received before
	All    bool   `json:"all,omitempty"`    // confirms that they are not narrowed
	DryRun bool   `json:"dry_run,omitempty"`
}

// Narrowed says whether it means less than all suspects.
func (s Suspected) Narrowed() bool {
	return s.Form != "" || s.Reason != "" || s.Since != "" || s.Until != ""
}

func (s Suspected) filter() (onramp.SuspectFilter, error) {
	if !s.Narrowed() && !s.All && !s.DryRun {
		return onramp.SuspectFilter{}, invalidField("all", "must be true", `this would change every suspect: specify a form, reason or time, or add "all": true`)
	}
	since, until, err := ParsePeriod(s.Since, s.Until, time.Now())
	return onramp.SuspectFilter{Form: s.Form, Reason: s.Reason, Since: since, Until: until}, err
}

// ReleaseSuspects has suspects sent, or says what it would do. Left alone are those that
// newer rows of their person have overtaken. Those of a form with double opt-in are not sent:
// their persons are asked.
func (d *Desk) ReleaseSuspects(ctx context.Context, s Suspected) (Count, error) {
	return audited(ctx, d, change{what: "registrations.release_all", role: onramp.RoleOperate, object: s.Form}, func(ctx context.Context) (Count, error) {
		return d.releaseSuspects(ctx, s)
	})
}

func (d *Desk) releaseSuspects(ctx context.Context, s Suspected) (Count, error) {
	filter, err := s.filter()
	if err != nil {
		return Count{}, err
	}
	release := d.Suspects.ReleaseSuspects
	if s.DryRun {
		release = d.Suspects.PlanRelease
	}
	asks := d.formsThatAsk(filter.Form)
	filter.Not = asks
	r, err := release(ctx, filter)
	n := Count{Count: r.Count, Superseded: r.Superseded}
	for _, form := range asks {
		if err != nil {
			break
		}
		filter.Form, filter.Not = form, nil
		var asked int64
		asked, err = d.askSuspects(ctx, filter, s.DryRun)
		n.Count += asked
	}
	return n, err
}

// formsThatAsk are the forms with double opt-in, or the one of them that is named.
func (d *Desk) formsThatAsk(only string) []string {
	var asks []string
	for name, form := range d.Forms {
		if form.DoubleOptIn != nil && (only == "" || only == name) {
			asks = append(asks, name)
		}
	}
	slices.Sort(asks)
	return asks
}

// askSuspects has those that were suspected wait for their persons, who are asked now, and
// returns how many. It stops when ctx ends, and goes on when it is repeated.
func (d *Desk) askSuspects(ctx context.Context, f onramp.SuspectFilter, dry bool) (n int64, err error) {
	if dry {
		return d.Suspects.PlanDiscard(ctx, f)
	}
	ids, err := d.Suspects.ListSuspects(ctx, f)
	for _, id := range ids {
		if err == nil {
			err = d.Ask(ctx, id)
		}
		if isConflict(err) {
			err = nil // it was decided meanwhile
			continue
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

func isConflict(err error) bool {
	e, ok := errors.AsType[*onramp.Error](err)
	return ok && e.Kind == onramp.Conflict
}

// whyDiscarded is what the deliveries of a discarded suspect say.
const whyDiscarded = "the registration was under suspicion, and an operator has discarded it"

// DiscardSuspects gives suspects up for good, or says how many it would.
func (d *Desk) DiscardSuspects(ctx context.Context, s Suspected) (Count, error) {
	return audited(ctx, d, change{what: "registrations.discard_all", role: onramp.RoleOperate, object: s.Form}, func(ctx context.Context) (Count, error) {
		return d.discardSuspects(ctx, s)
	})
}

func (d *Desk) discardSuspects(ctx context.Context, s Suspected) (Count, error) {
	filter, err := s.filter()
	if err != nil {
		return Count{}, err
	}
	if s.DryRun {
		n, err := d.Suspects.PlanDiscard(ctx, filter)
		return Count{Count: n}, err
	}
	n, err := d.Suspects.DiscardSuspects(ctx, filter, whyDiscarded)
	return Count{Count: n}, err
}

// ReleaseSuspect has one registration sent that is held under suspicion. overwrite sends it
// even if a newer row of the same person has been delivered.
func (d *Desk) ReleaseSuspect(ctx context.Context, id string, overwrite bool) (Registration, error) {
	return audited(ctx, d, change{what: "registrations.release", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Registration, error) {
		return d.releaseSuspect(ctx, id, overwrite)
	})
}

func (d *Desk) releaseSuspect(ctx context.Context, id string, overwrite bool) (Registration, error) {
	if err := d.findSuspect(ctx, id); err != nil {
		return Registration{}, err
	}
	r, err := d.Registrations.FindRegistration(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	if form := d.Forms[r.Form]; form != nil && form.DoubleOptIn != nil {
		err = d.Ask(ctx, id)
	} else {
		err = d.Suspects.ReleaseRegistration(ctx, id, nil, overwrite)
	}
	if err != nil {
		return Registration{}, err
	}
	return d.FindRegistration(ctx, id)
}

// DiscardSuspect gives one up for good.
func (d *Desk) DiscardSuspect(ctx context.Context, id string) (Registration, error) {
	return audited(ctx, d, change{what: "registrations.discard", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Registration, error) {
		return d.discardSuspect(ctx, id)
	})
}

func (d *Desk) discardSuspect(ctx context.Context, id string) (Registration, error) {
	if err := d.findSuspect(ctx, id); err != nil {
		return Registration{}, err
	}
	if err := d.Suspects.DiscardHeld(ctx, id, whyDiscarded); err != nil {
		return Registration{}, err
	}
	return d.FindRegistration(ctx, id)
}

// findSuspect finds a registration that is held under suspicion. What waits for its person
// is not the operator's to release.
func (d *Desk) findSuspect(ctx context.Context, id string) error {
	r, err := d.Registrations.FindRegistration(ctx, id)
	if err != nil {
		return err
	}
	switch r.Hold.Reason {
	case onramp.HoldSuspicion:
		return nil
	case onramp.HoldConfirmation:
		return &onramp.Error{Kind: onramp.Conflict, Message: "this registration waits for its person to confirm it, and only they can release it"}
	}
	return &onramp.Error{Kind: onramp.Conflict, Message: "this registration is not held"}
}

// Suspicion is how many registrations were held under one suspicion, ever.
type Suspicion struct {
	Reason    string `json:"reason"`
	Held      int64  `json:"held"`
	Released  int64  `json:"released"` // held for nothing
	Discarded int64  `json:"discarded"`
	Waiting   int64  `json:"waiting"` // held now
}

func (d *Desk) suspicions(ctx context.Context) ([]Suspicion, error) {
	if d.Suspects == nil {
		return nil, nil
	}
	found, err := d.Suspects.ListSuspicions(ctx)
	var all []Suspicion
	for _, s := range found {
		all = append(all, Suspicion(s))
	}
	return all, err
}
