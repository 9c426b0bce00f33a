package operator

import (
	"context"
	"encoding/json"
	"time"

	"onramp/internal/onramp"
)

// Registration is a registration as operators see it.
type Registration struct {
	ID            string          `json:"id"`
	Form          string          `json:"form"`
	Status        string          `json:"status"`
	SubscriberKey string          `json:"subscriber_key"`
	ReceivedAt    time.Time       `json:"received_at"`
	Values        json.RawMessage `json:"values"`
	Edits         []Edit          `json:"edits,omitempty"`      // not in lists
	Deliveries    []Delivery      `json:"deliveries,omitempty"` // not in lists
}

// Edit is a change of a registration by an operator: what it held before.
type Edit struct {
	At            time.Time       `json:"at"`
	Fields        []string        `json:"fields"`
	SubscriberKey string          `json:"subscriber_key"`
	Values        json.RawMessage `json:"values"`
}

// Timeline is what happened to one registration, oldest first.
type Timeline struct {
	Items []onramp.TimelineItem `json:"items"`
}

// ListRegistrations lists registrations, the newest first.
func (d *Desk) ListRegistrations(ctx context.Context, f onramp.Filter) (Page[Registration], error) {
	found, next, err := d.Registrations.ListRegistrations(ctx, f)
	return newPage(found, next, d.registration), err
}

// FindRegistration returns a registration with its edits and deliveries, or an
// error of kind NotFound.
func (d *Desk) FindRegistration(ctx context.Context, id string) (Registration, error) {
	found, err := d.Registrations.FindRegistration(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	return d.registration(&found), nil
}

// Timeline returns what happened to a registration, or an error of kind NotFound.
func (d *Desk) Timeline(ctx context.Context, id string) (Timeline, error) {
	items, err := d.Registrations.Timeline(ctx, id)
	return Timeline{items}, err
}

func (d *Desk) registration(r *onramp.Registration) Registration {
	v := Registration{
		ID: r.ID, Form: r.Form, Status: r.State.String(), SubscriberKey: r.SubscriberKey, ReceivedAt: r.ReceivedAt, Values: r.Values,
		Edits: edits(r.Edits),
	}
	for i := range r.Deliveries {
		v.Deliveries = append(v.Deliveries, d.delivery(&r.Deliveries[i]))
	}
	return v
}

func edits(all []onramp.Edit) []Edit {
	var views []Edit
	for _, e := range all {
		views = append(views, Edit{At: e.At, Fields: e.Fields, SubscriberKey: e.SubscriberKey, Values: e.Values})
	}
	return views
}
