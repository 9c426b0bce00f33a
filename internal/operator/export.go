package operator

import (
	"context"
	"time"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
)

// Persons finds what is stored of one person.
type Persons interface {
	// FindSubject is that of erasure.Store.
	FindSubject(ctx context.Context, s erasure.Subject, owns func(*onramp.Registration) bool, each func(onramp.Delivery) error) (erasure.Found, error)
}

// Export is what is stored of one person (GDPR, articles 15 and 20).
type Export struct {
	ExportedAt    time.Time              `json:"exported_at"`
	Email         string                 `json:"email,omitempty"` // as it was asked for
	SubscriberKey string                 `json:"subscriber_key,omitempty"`
	Registrations []ExportedRegistration `json:"registrations"`
	Events        []Event                `json:"events"`
}

// ExportedRegistration is a registration with what happened to it.
type ExportedRegistration struct {
	Registration
	Timeline []onramp.TimelineItem `json:"timeline"`
}

// mostExported bounds an answer. Who has more registrations than this is not a person.
const mostExported = 10_000

// ExportPerson returns what is stored of a person. The error is of kind Invalid when nobody is
// named, or Conflict when there is more than an answer can hold.
func (d *Desk) ExportPerson(ctx context.Context, p Person) (Export, error) {
	return audited(ctx, d, change{what: "registrations.export", role: onramp.RolePrivacy}, func(ctx context.Context) (Export, error) {
		return d.exportPerson(ctx, p)
	})
}

func (d *Desk) exportPerson(ctx context.Context, p Person) (Export, error) {
	subject, err := p.subject().Checked()
	if err != nil {
		return Export{}, err
	}
	found, err := d.Persons.FindSubject(ctx, subject, d.Erasures.Owns(subject), nil)
	if err != nil {
		return Export{}, err
	}
	if len(found.IDs) > mostExported || len(found.EventIDs) > mostExported {
		return Export{}, &onramp.Error{Kind: onramp.Conflict, Message: "there is more than an export can hold: use the lists of registrations and events"}
	}
	e := Export{
		ExportedAt: time.Now().UTC(), Email: subject.Email, SubscriberKey: subject.SubscriberKey,
		Registrations: make([]ExportedRegistration, 0, len(found.IDs)), Events: make([]Event, 0, len(found.EventIDs)),
	}
	for _, id := range found.IDs {
		one, err := d.FindRegistration(ctx, id)
		if err != nil {
			return Export{}, err
		}
		timeline, err := d.Timeline(ctx, id)
		if err != nil {
			return Export{}, err
		}
		e.Registrations = append(e.Registrations, ExportedRegistration{one, timeline.Items})
	}
	for _, id := range found.EventIDs {
		one, err := d.FindEvent(ctx, id)
		if err != nil {
			return Export{}, err
		}
		e.Events = append(e.Events, one)
	}
	return e, nil
}
