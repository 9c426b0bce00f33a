package api

import (
	"context"
	"errors"
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/internal/web"
)

// EnsSetup makes Marketing Cloud's Event Notification Service match the
// configuration.
type EnsSetup interface {
	EnsPlanner
	EnsChanger
	Status(ctx context.Context) (setup.Status, error)
}

// EnsPlanner says what would be done, and does nothing.
type EnsPlanner interface {
	Plan(ctx context.Context, prune bool) ([]setup.Step, error)
	PlanRemoval(ctx context.Context, callbacks []string) ([]setup.Step, error)
}

// EnsChanger does it. The steps are those that were taken, also with an error.
type EnsChanger interface {
	Apply(ctx context.Context, prune bool) ([]setup.Step, error)
	Remove(ctx context.Context, callbacks []string) ([]setup.Step, error)
}

// EnsRequest says what is meant by a request to /api/ens/plan, setup or remove.
type EnsRequest struct {
	Prune     bool     `json:"prune,omitempty"`     // delete what the configuration no longer names, too
	Remove    bool     `json:"remove,omitempty"`    // plan a removal
	Callbacks []string `json:"callbacks,omitempty"` // to remove, by name; none: all
}

// EnsSteps is the answer to such a request. A setup that has begun is answered
// with 200, so that the answer can tell what was done; Failed says whether and
// where it stopped.
type EnsSteps struct {
	Items  []setup.Step `json:"items"`
	Failed *setup.Error `json:"failed,omitempty"`
}

func (a *Admin) ensRoutes() map[string]web.HandlerFunc {
	return map[string]web.HandlerFunc{
		"GET /api/ens":         a.ensStatus,
		"POST /api/ens/plan":   a.ensPlan,
		"POST /api/ens/setup":  a.ensSetup,
		"POST /api/ens/remove": a.ensRemove,
	}
}

var errNoEns = &onramp.Error{Kind: onramp.Conflict, Message: "this gateway has no Event Notification Service: name a callback under ens.callbacks, and the account under marketing_cloud"}

func (a *Admin) ensStatus(w http.ResponseWriter, r *http.Request) error {
	if a.Ens == nil {
		return errNoEns
	}
	status, err := a.Ens.Status(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, status)
}

func (a *Admin) readEns(r *http.Request, example string) (meant EnsRequest, err error) {
	if a.Ens == nil {
		return meant, errNoEns
	}
	return meant, readJSON(r, &meant, example)
}

var errSomeCallbacks = invalidField("callbacks", "goes with remove", "a setup is always of all callbacks; only a removal can be of some")

func (a *Admin) ensPlan(w http.ResponseWriter, r *http.Request) error {
	meant, err := a.readEns(r, `{"prune":true}, or {"remove":true,"callbacks":["events"]}`)
	if err != nil {
		return err
	}
	if !meant.Remove && len(meant.Callbacks) > 0 {
		return errSomeCallbacks
	}
	var steps []setup.Step
	if meant.Remove {
		steps, err = a.Ens.PlanRemoval(r.Context(), meant.Callbacks)
	} else {
		steps, err = a.Ens.Plan(r.Context(), meant.Prune)
	}
	if failed, ok := errors.AsType[*setup.Error](err); ok {
		return &onramp.Error{Kind: onramp.Unavailable, Message: failed.Error(), Err: failed.Err}
	}
	return answerEns(w, steps, err)
}

func (a *Admin) ensSetup(w http.ResponseWriter, r *http.Request) error {
	meant, err := a.readEns(r, `{"prune":true}`)
	if err != nil {
		return err
	}
	switch {
	case meant.Remove:
		return invalidField("remove", "does not go with a setup", "POST /api/ens/remove removes")
	case len(meant.Callbacks) > 0:
		return errSomeCallbacks
	}
	steps, err := a.Ens.Apply(r.Context(), meant.Prune)
	return answerEns(w, steps, err)
}

func (a *Admin) ensRemove(w http.ResponseWriter, r *http.Request) error {
	meant, err := a.readEns(r, `{"callbacks":["events"]}`)
	if err != nil {
		return err
	}
	if meant.Prune {
		return invalidField("prune", "does not go with a removal", "POST /api/ens/setup prunes")
	}
	steps, err := a.Ens.Remove(r.Context(), meant.Callbacks)
	return answerEns(w, steps, err)
}

// answerEns answers with the steps that were taken, and the one at which it
// stopped.
func answerEns(w http.ResponseWriter, steps []setup.Step, err error) error {
	failed, stopped := errors.AsType[*setup.Error](err)
	if err != nil && !stopped {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, EnsSteps{Items: append([]setup.Step{}, steps...), Failed: failed})
}
