package operator

import (
	"context"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
)

// Erasures begins erasures and looks after them.
type Erasures interface {
	// Plan tells what an erasure would do; it changes nothing.
	Plan(ctx context.Context, s erasure.Subject) (erasure.Plan, error)
	// Begin begins one, which goes on by itself.
	Begin(ctx context.Context, kind erasure.Kind, s erasure.Subject) (erasure.Run, error)
	List(ctx context.Context) ([]erasure.Run, error)
	Find(ctx context.Context, id string) (erasure.Run, error)
	// Owns says of registrations whether they are a person's own.
	Owns(s erasure.Subject) func(*onramp.Registration) bool
	// Close ends one whose open parts were done by hand.
	Close(ctx context.Context, id, reason string) (erasure.Run, error)
}

// Named is the person whose data is to be erased or restricted.
type Named struct {
	Person
	DryRun bool `json:"dry_run,omitempty"` // only say what it would do
}

func (p Person) subject() erasure.Subject {
	return erasure.Subject{Email: p.Email, SubscriberKey: p.SubscriberKey}
}

// Erasure is what an erasure would do, or the run that does it.
type Erasure struct {
	Plan *erasure.Plan `json:"plan,omitempty"`
	Run  *erasure.Run  `json:"run,omitempty"`
}

// ErasePerson removes a person, here and in Marketing Cloud. The error is of kind Invalid
// when nobody is named.
func (d *Desk) ErasePerson(ctx context.Context, p Named) (Erasure, error) {
	return audited(ctx, d, change{what: "registrations.erase", role: onramp.RolePrivacy}, func(ctx context.Context) (Erasure, error) {
		return d.erasePerson(ctx, p)
	})
}

func (d *Desk) erasePerson(ctx context.Context, p Named) (Erasure, error) {
	return d.beginErasure(ctx, erasure.Erase, p)
}

// RestrictPerson has Marketing Cloud restrict the processing of a person's data (GDPR,
// article 18). The error is of kind Invalid when nobody is named.
func (d *Desk) RestrictPerson(ctx context.Context, p Named) (Erasure, error) {
	return audited(ctx, d, change{what: "registrations.restrict", role: onramp.RolePrivacy}, func(ctx context.Context) (Erasure, error) {
		return d.restrictPerson(ctx, p)
	})
}

func (d *Desk) restrictPerson(ctx context.Context, p Named) (Erasure, error) {
	return d.beginErasure(ctx, erasure.Restrict, p)
}

func (d *Desk) beginErasure(ctx context.Context, kind erasure.Kind, p Named) (Erasure, error) {
	if p.DryRun {
		plan, err := d.Erasures.Plan(ctx, p.subject())
		return Erasure{Plan: &plan}, err
	}
	run, err := d.Erasures.Begin(ctx, kind, p.subject())
	return Erasure{Run: &run}, err
}

// ListErasures lists erasures and restrictions, the newest first.
func (d *Desk) ListErasures(ctx context.Context) (Page[erasure.Run], error) {
	runs, err := d.Erasures.List(ctx)
	if runs == nil {
		runs = []erasure.Run{}
	}
	return Page[erasure.Run]{Items: runs}, err
}

// FindErasure returns one, or an error of kind NotFound.
func (d *Desk) FindErasure(ctx context.Context, id string) (erasure.Run, error) {
	return d.Erasures.Find(ctx, id)
}

// CloseErasure ends one whose open parts were done by hand. The error is of kind NotFound,
// Invalid without a reason, or Conflict.
func (d *Desk) CloseErasure(ctx context.Context, id, reason string) (erasure.Run, error) {
	return audited(ctx, d, change{what: "erasures.close", role: onramp.RolePrivacy, object: id, reason: reason}, func(ctx context.Context) (erasure.Run, error) {
		return d.closeErasure(ctx, id, reason)
	})
}

func (d *Desk) closeErasure(ctx context.Context, id, reason string) (erasure.Run, error) {
	return d.Erasures.Close(ctx, id, reason)
}
