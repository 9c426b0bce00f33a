package operator

import (
	"context"
	"errors"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

// Setup makes Marketing Cloud's Event Notification Service match the
// configuration.
type Setup interface {
	Status(ctx context.Context) (setup.Status, error)
	// Plan and PlanRemoval say what would be done, and do nothing.
	Plan(ctx context.Context, prune bool) ([]setup.Step, error)
	PlanRemoval(ctx context.Context, callbacks []string) ([]setup.Step, error)
	// Apply and Remove do it. The steps are those that were taken, also with an error.
	Apply(ctx context.Context, prune bool) ([]setup.Step, error)
	Remove(ctx context.Context, callbacks []string) ([]setup.Step, error)
}

// SetupRequest says what is to be planned, set up or removed.
type SetupRequest struct {
	Prune     bool     `json:"prune,omitempty"`     // also delete what is no longer in the configuration
	Remove    bool     `json:"remove,omitempty"`    // plan a removal
	Callbacks []string `json:"callbacks,omitempty"` // to remove, by name; none: all
}

// SetupSteps is what is to be done, or was done. Failed says whether and where it
// stopped.
type SetupSteps struct {
	Items  []setup.Step `json:"items"`
	Failed *setup.Error `json:"failed,omitempty"`
}

var (
	errNoCallbacks   = &onramp.Error{Kind: onramp.Conflict, Message: "this gateway has no callbacks: configure ens.callbacks and marketing_cloud"}
	errSomeCallbacks = invalidField("callbacks", "can only be used with remove", "setup always covers all callbacks; only remove can be limited to some")
)

// SetupStatus reports how the Event Notification Service is set up.
func (d *Desk) SetupStatus(ctx context.Context) (setup.Status, error) {
	if d.Setup == nil {
		return setup.Status{}, errNoCallbacks
	}
	return d.Setup.Status(ctx)
}

// PlanSetup lists the steps that ApplySetup or RemoveSetup would take, and takes
// none. The error is of kind Unavailable when Marketing Cloud could not be asked.
func (d *Desk) PlanSetup(ctx context.Context, r SetupRequest) (SetupSteps, error) {
	switch {
	case d.Setup == nil:
		return SetupSteps{}, errNoCallbacks
	case !r.Remove && len(r.Callbacks) > 0:
		return SetupSteps{}, errSomeCallbacks
	}
	var steps []setup.Step
	var err error
	if r.Remove {
		steps, err = d.Setup.PlanRemoval(ctx, r.Callbacks)
	} else {
		steps, err = d.Setup.Plan(ctx, r.Prune)
	}
	if failed, ok := errors.AsType[*setup.Error](err); ok {
		return SetupSteps{}, &onramp.Error{Kind: onramp.Unavailable, Message: failed.Error(), Err: failed.Err}
	}
	return stepsTaken(steps, err)
}

// ApplySetup makes Marketing Cloud match the configuration, and returns the steps
// that it took. A step that failed is no error but stands in what is returned.
func (d *Desk) ApplySetup(ctx context.Context, r SetupRequest) (SetupSteps, error) {
	return audited(ctx, d, change{what: "ens.setup", role: onramp.RoleOperate}, func(ctx context.Context) (SetupSteps, error) {
		return d.applySetup(ctx, r)
	})
}

func (d *Desk) applySetup(ctx context.Context, r SetupRequest) (SetupSteps, error) {
	switch {
	case d.Setup == nil:
		return SetupSteps{}, errNoCallbacks
	case r.Remove:
		return SetupSteps{}, invalidField("remove", "can't be used with setup", "POST /api/ens/remove removes")
	case len(r.Callbacks) > 0:
		return SetupSteps{}, errSomeCallbacks
	}
	return stepsTaken(d.Setup.Apply(ctx, r.Prune))
}

// RemoveSetup removes what ApplySetup has made, of some callbacks or of all, and
// returns the steps that it took. A step that failed stands in what is returned.
func (d *Desk) RemoveSetup(ctx context.Context, r SetupRequest) (SetupSteps, error) {
	return audited(ctx, d, change{what: "ens.remove", role: onramp.RoleOperate, object: strings.Join(r.Callbacks, "...")}, func(ctx context.Context) (SetupSteps, error) {
		return d.removeSetup(ctx, r)
	})
}

func (d *Desk) removeSetup(ctx context.Context, r SetupRequest) (SetupSteps, error) {
	switch {
	case d.Setup == nil:
		return SetupSteps{}, errNoCallbacks
	case r.Prune:
		return SetupSteps{}, invalidField("prune", "can't be used with remove", "POST /api/ens/setup prunes")
	}
	return stepsTaken(d.Setup.Remove(ctx, r.Callbacks))
}

// stepsTaken are the steps that were taken, with the one that failed.
func stepsTaken(steps []setup.Step, err error) (SetupSteps, error) {
	failed, stopped := errors.AsType[*setup.Error](err)
	if err != nil && !stopped {
		return SetupSteps{}, err
	}
	return SetupSteps{Items: append([]setup.Step{}, steps...), Failed: failed}, nil
}
