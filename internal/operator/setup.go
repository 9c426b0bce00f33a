package operator

import (
	"context"
	"errors"
	"maps"
	"time"

	"onramp/internal/onramp"
)

// Setup makes Marketing Cloud's Event Notification Service match the
// configuration.
type Setup interface {
	Status(ctx context.Context) (onramp.SetupStatus, error)
	// Plan and PlanRemoval say what would be done, and do nothing.
	Plan(ctx context.Context, prune bool) ([]onramp.SetupStep, error)
	PlanRemoval(ctx context.Context, callbacks []string) ([]onramp.SetupStep, error)
	// Apply and Remove do it. The steps are those that were taken, also with an error.
	Apply(ctx context.Context, prune bool) ([]onramp.SetupStep, error)
	Remove(ctx context.Context, callbacks []string) ([]onramp.SetupStep, error)
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
	Items  []EnsStep   `json:"items"`
	Failed *EnsFailure `json:"failed,omitempty"`
}

// EnsStep is one thing to do, or that was done.
type EnsStep struct {
	What   string `json:"what"`
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
	Kept   bool   `json:"kept"` // nothing is changed
}

// EnsFailure says where a setup stopped.
type EnsFailure struct {
	Step  string `json:"step"`
	Cause string `json:"cause"`
	Hint  string `json:"hint"`
}

// EnsStatus is the answer of /api/ens.
type EnsStatus struct {
	Unreachable string        `json:"unreachable,omitempty"` // why Marketing Cloud could not be asked
	Schemes     []EnsScheme   `json:"schemes"`
	Callbacks   []EnsCallback `json:"callbacks"`
}

// EnsScheme is how an authentication scheme stands: missing, differs, present,
// extra or unknown.
type EnsScheme struct {
	Name   string       `json:"name"`
	AuthID string       `json:"auth_id,omitempty"`
	State  string       `json:"state"`
	Wrong  []EnsFinding `json:"wrong"`
}

// EnsCallback is how a callback stands: missing, unverified, verified, extra or
// unknown.
type EnsCallback struct {
	Name          string            `json:"name"`
	URL           string            `json:"url"`
	CallbackID    string            `json:"callback_id,omitempty"`
	State         string            `json:"state"`
	Scheme        string            `json:"scheme,omitempty"` // none: its signature alone protects it
	LastEvent     *time.Time        `json:"last_event"`
	Taken         map[string]int64  `json:"taken"`   // since the start, by what proved it
	Refused       map[string]int64  `json:"refused"` // since the start, by reason
	Subscriptions []EnsSubscription `json:"subscriptions"`
	Wrong         []EnsFinding      `json:"wrong"`
}

// EnsSubscription is how a subscription stands: missing, differs, active, paused,
// extra or unknown.
type EnsSubscription struct {
	Name    string   `json:"name"`
	State   string   `json:"state"`
	Types   []string `json:"types"`
	Filters []string `json:"filters"`
}

// EnsFinding is something that is wrong.
type EnsFinding struct {
	What string `json:"what"`
	Hint string `json:"hint"`
}

var errNoEns = &onramp.Error{Kind: onramp.Conflict, Message: "this gateway has no Event Notification Service: name a callback under ens.callbacks, and the account under marketing_cloud"}

// SetupStatus tells how the Event Notification Service is set up.
func (d *Desk) SetupStatus(ctx context.Context) (EnsStatus, error) {
	if d.Setup == nil {
		return EnsStatus{}, errNoEns
	}
	status, err := d.Setup.Status(ctx)
	return viewEnsStatus(status), err
}

var errSomeCallbacks = invalidField("callbacks", "goes with remove", "a setup is always of all callbacks; only a removal can be of some")

// PlanSetup lists the steps that ApplySetup or RemoveSetup would take, and takes
// none. The error is of kind Unavailable when Marketing Cloud could not be asked.
func (d *Desk) PlanSetup(ctx context.Context, r EnsRequest) (EnsSteps, error) {
	switch {
	case d.Setup == nil:
		return EnsSteps{}, errNoEns
	case !r.Remove && len(r.Callbacks) > 0:
		return EnsSteps{}, errSomeCallbacks
	}
	var steps []onramp.SetupStep
	var err error
	if r.Remove {
		steps, err = d.Setup.PlanRemoval(ctx, r.Callbacks)
	} else {
		steps, err = d.Setup.Plan(ctx, r.Prune)
	}
	if failed, ok := errors.AsType[*onramp.SetupError](err); ok {
		return EnsSteps{}, &onramp.Error{Kind: onramp.Unavailable, Message: failed.Error(), Err: failed.Err}
	}
	return viewSteps(steps, err)
}

// ApplySetup makes Marketing Cloud match the configuration, and returns the steps
// that it took. A step that failed is no error but stands in the answer.
func (d *Desk) ApplySetup(ctx context.Context, r EnsRequest) (EnsSteps, error) {
	switch {
	case d.Setup == nil:
		return EnsSteps{}, errNoEns
	case r.Remove:
		return EnsSteps{}, invalidField("remove", "does not go with a setup", "POST /api/ens/remove removes")
	case len(r.Callbacks) > 0:
		return EnsSteps{}, errSomeCallbacks
	}
	return viewSteps(d.Setup.Apply(ctx, r.Prune))
}

// RemoveSetup removes what ApplySetup has made, of some callbacks or of all, and
// returns the steps that it took. A step that failed stands in the answer.
func (d *Desk) RemoveSetup(ctx context.Context, r EnsRequest) (EnsSteps, error) {
	switch {
	case d.Setup == nil:
		return EnsSteps{}, errNoEns
	case r.Prune:
		return EnsSteps{}, invalidField("prune", "does not go with a removal", "POST /api/ens/setup prunes")
	}
	return viewSteps(d.Setup.Remove(ctx, r.Callbacks))
}

// viewSteps tells what was done, with the step at which it stopped.
func viewSteps(steps []onramp.SetupStep, err error) (EnsSteps, error) {
	v := EnsSteps{Items: []EnsStep{}}
	failed, stopped := errors.AsType[*onramp.SetupError](err)
	switch {
	case stopped:
		v.Failed = &EnsFailure{Step: failed.Step, Cause: failed.Cause, Hint: failed.Hint}
	case err != nil:
		return v, err
	}
	for _, st := range steps {
		v.Items = append(v.Items, EnsStep{What: st.What, Name: st.Name, Detail: st.Detail, Kept: st.Kept})
	}
	return v, nil
}

func viewEnsStatus(s onramp.SetupStatus) EnsStatus {
	v := EnsStatus{Unreachable: s.Unreachable, Schemes: []EnsScheme{}, Callbacks: []EnsCallback{}}
	for _, one := range s.Schemes {
		v.Schemes = append(v.Schemes, EnsScheme{Name: one.Name, AuthID: one.AuthID, State: string(one.State), Wrong: findings(one.Wrong)})
	}
	for i := range s.Callbacks {
		c := &s.Callbacks[i]
		one := EnsCallback{
			Name: c.Name, URL: c.URL, CallbackID: c.CallbackID, State: string(c.State), Scheme: c.Scheme, LastEvent: timePointer(c.LastEvent),
			Taken: map[string]int64{}, Refused: map[string]int64{}, Subscriptions: []EnsSubscription{}, Wrong: findings(c.Wrong),
		}
		maps.Copy(one.Taken, c.Taken)
		maps.Copy(one.Refused, c.Refused)
		for _, sub := range c.Subscriptions {
			one.Subscriptions = append(one.Subscriptions, EnsSubscription{
				Name: sub.Name, State: string(sub.State), Types: append([]string{}, sub.Types...), Filters: append([]string{}, sub.Filters...),
			})
		}
		v.Callbacks = append(v.Callbacks, one)
	}
	return v
}

func findings(wrong []onramp.Finding) []EnsFinding {
	views := []EnsFinding{}
	for _, f := range wrong {
		views = append(views, EnsFinding{f.What, f.Hint})
	}
	return views
}
