package operator

import (
	"context"
	"encoding/json"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

// Registration is a registration as operators see it.
type Registration struct {
	ID            string          `json:"id"`
	Form          string          `json:"form"`
	Status        string          `json:"status"`
	SubscriberKey string          `json:"subscriber_key"`
	ReceivedAt    time.Time       `json:"received_at"`
	Held          *Held           `json:"held,omitempty"`       // why it is held; not in lists
	Fields        json.RawMessage `json:"fields"`               // what was submitted and filled in
	Values        json.RawMessage `json:"values,omitempty"`     // by column, as they are sent now; none when the form is gone
	Edits         []Edit          `json:"edits,omitempty"`      // not in lists
	Deliveries    []Delivery      `json:"deliveries,omitempty"` // not in lists
}

// Held is why a registration is held.
type Held struct {
	Reason string     `json:"reason"` // confirmation or suspicion
	Detail string     `json:"detail,omitempty"`
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty"` // when it expires
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
	if err := maySearch(ctx, f.Query); err != nil {
		return Page[Registration]{}, err
	}
	found, next, looked, err := d.Registrations.ListRegistrations(ctx, f)
	return shownPage(ctx, d, reveal{what: "registrations.reveal"}, newPage(found, next, looked, d.registration), err)
}

// FindRegistration returns a registration with its edits and deliveries, or an
// error of kind NotFound.
func (d *Desk) FindRegistration(ctx context.Context, id string) (Registration, error) {
	found, err := d.Registrations.FindRegistration(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	return shown(ctx, d, reveal{"registrations.reveal", found.ID}, d.registration(&found), nil)
}

// Timeline returns what happened to a registration, or an error of kind NotFound.
func (d *Desk) Timeline(ctx context.Context, id string) (Timeline, error) {
	items, err := d.Registrations.Timeline(ctx, id)
	return Timeline{items}, err
}

func (d *Desk) registration(r *onramp.Registration) Registration {
	v := Registration{
		ID: r.ID, Form: r.Form, Status: r.State.String(), SubscriberKey: r.SubscriberKey, ReceivedAt: r.ReceivedAt,
		Fields: r.Values, Edits: edits(r.Edits),
	}
	if r.Hold.Reason != 0 {
		v.Held = &Held{Reason: r.Hold.Reason.String(), Detail: r.Hold.Detail, Since: r.Hold.Since, Until: timePointer(r.Hold.Until)}
	}
	v.Values, _ = d.columns(r)
	for i := range r.Deliveries {
		v.Deliveries = append(v.Deliveries, d.delivery(&r.Deliveries[i]))
	}
	return v
}

// columns makes what is sent of a registration now, and names the fields that are left
// out because its form no longer has them; nil when the form is gone.
func (d *Desk) columns(r *onramp.Registration) (columns json.RawMessage, gone []string) {
	form := d.Forms[r.Form]
	if form == nil {
		return nil, nil
	}
	columns, gone, err := form.Columns(r)
	if err != nil {
		return nil, nil // whoever sends it says so
	}
	return columns, gone
}

func edits(all []onramp.Edit) []Edit {
	var views []Edit
	for _, e := range all {
		views = append(views, Edit{At: e.At, Fields: e.Fields, SubscriberKey: e.SubscriberKey, Values: e.Values})
	}
	return views
}

// Again says how one registration is sent again. Zero values are the whole route, and
// nothing that could do harm.
type Again struct {
	Step           int  `json:"step,omitempty"`            // only this one of the route, from 1
	RepeatJourneys bool `json:"repeat_journeys,omitempty"` // also journeys and messages that the person got for it
	OverwriteNewer bool `json:"overwrite_newer,omitempty"` // also if it would overwrite a newer row of the person
	Again          bool `json:"again,omitempty"`           // also if the same was sent again before
	DryRun         bool `json:"dry_run,omitempty"`         // only say what it would do
}

// Resent is what a resend of one registration would do, or the run that does it.
type Resent struct {
	Plan   *resend.Plan `json:"plan,omitempty"`
	Resend *resend.Run  `json:"resend,omitempty"`
}

// ResendRegistration sends one registration again, by today's route of its form. The error
// is of kind NotFound, Invalid, or Conflict when it is left out, was sent again before, or
// another resend is under way.
func (d *Desk) ResendRegistration(ctx context.Context, id string, a Again) (Resent, error) {
	if a.DryRun {
		return d.resendRegistration(ctx, id, a)
	}
	return audited(ctx, d, change{what: "registrations.resend", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Resent, error) {
		return d.resendRegistration(ctx, id, a)
	})
}

func (d *Desk) resendRegistration(ctx context.Context, id string, a Again) (Resent, error) {
	filter, err := json.Marshal(resend.RegistrationFilter{ID: id, Step: a.Step, RepeatJourneys: a.RepeatJourneys, OverwriteNewer: a.OverwriteNewer})
	if err != nil {
		return Resent{}, err
	}
	request := resend.Request{Kind: resend.Registrations, Filter: filter, Again: a.Again}
	if a.DryRun {
		plan, err := d.Resends.Plan(ctx, request)
		return Resent{Plan: &plan}, err
	}
	run, err := d.Resends.Start(ctx, request)
	return Resent{Resend: &run}, err
}
