package resend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"onramp/internal/onramp"
)

// Registrations is the kind of resends that send registrations again, by today's routes
// of their forms; their filter is a RegistrationFilter.
const Registrations = "registrations"

// Routes is the target of these runs: one at a time, whatever forms they are of.
const Routes = "today's routes"

// RegistrationFilter selects registrations, and says how they are sent again. Zero values
// do not narrow it.
type RegistrationFilter struct {
	ID          string    `json:"id,omitempty"`
	Form        string    `json:"form,omitempty"`
	Destination string    `json:"destination,omitempty"` // one that they went to when they were accepted
	Since       time.Time `json:"since,omitzero"`        // when they were received: not before this
	Until       time.Time `json:"until,omitzero"`        // and before this
	State       string    `json:"state,omitempty"`
	All         bool      `json:"all,omitempty"` // needed if nothing narrows it

	Step           int  `json:"step,omitempty"`            // only this step of the route, from 1
	RepeatJourneys bool `json:"repeat_journeys,omitempty"` // also journeys and messages that the person got for it
	OverwriteNewer bool `json:"overwrite_newer,omitempty"` // also what would overwrite a newer row of the person
}

func (f *RegistrationFilter) narrowed() bool {
	return f.ID != "" || f.Form != "" || f.Destination != "" || f.State != "" || !f.Since.IsZero() || !f.Until.IsZero()
}

// RegistrationKind sends registrations again, in the order in which they were accepted.
type RegistrationKind struct {
	Forms map[string]*onramp.Form // by name, as configured
	Store RegistrationStore
}

// RegistrationStore sends registrations again.
type RegistrationStore interface {
	// PlanRegistrationResend counts what would be sent. The error is of kind NotFound when
	// there is no registration with the filter's id, or Malformed when it names something
	// that there is not.
	PlanRegistrationResend(ctx context.Context, f RegistrationFilter, forms map[string]*onramp.Form) (Plan, error)
	// ResendRegistrations queues the next portion; waits is true when it is too early for that.
	ResendRegistrations(ctx context.Context, run *Run, f RegistrationFilter, forms map[string]*onramp.Form) (waits bool, err error)
}

// Plan counts the registrations of a filter. The error is of kind Invalid when it is wrong.
func (k RegistrationKind) Plan(ctx context.Context, filter json.RawMessage) (Plan, error) {
	var f RegistrationFilter
	decoder := json.NewDecoder(bytes.NewReader(filter))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return Plan{}, invalid("filter", `must be like {"form":"registration","since":"2026-06-01T00:00:00Z"}`, "the filter of registrations can't be read")
	}
	f.Since, f.Until = f.Since.UTC(), f.Until.UTC() // equal filters are the same text
	if err := k.check(&f); err != nil {
		return Plan{}, err
	}
	p, err := k.Store.PlanRegistrationResend(ctx, f, k.Forms)
	if err != nil {
		return p, err
	}
	p.Target = Routes
	p.Filter, err = json.Marshal(f)
	return p, err
}

func (k RegistrationKind) check(f *RegistrationFilter) error {
	form := k.Forms[f.Form]
	switch {
	case !f.narrowed() && !f.All:
		return invalid("filter", "must have an id, form, destination, state, since or until, or all", "this would send every registration again: narrow it, or set all")
	case !f.Until.IsZero() && !f.Since.Before(f.Until):
		return invalid("filter.until", "must be after since", "the time ends before it begins")
	case f.Step < 0:
		return invalid("filter.step", "must be 1 or more", "there is no such step")
	case form != nil && f.Step > len(form.Route):
		return invalid("filter.step", fmt.Sprintf("must be %d at most", len(form.Route)), fmt.Sprintf("the route of form %s has no step %d", form.Name, f.Step))
	}
	return nil
}

// Next queues the next registrations of a run.
func (k RegistrationKind) Next(ctx context.Context, run *Run) (waits bool, err error) {
	var f RegistrationFilter
	if err := json.Unmarshal(run.Filter, &f); err != nil {
		return true, err
	}
	return k.Store.ResendRegistrations(ctx, run, f, k.Forms)
}
