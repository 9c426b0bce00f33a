package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

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
	return web.WriteJSON(w, http.StatusOK, viewEnsStatus(status))
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

// answerEns tells what was done, with the step at which it stopped.
func answerEns(w http.ResponseWriter, steps []setup.Step, err error) error {
	answer := EnsSteps{Items: []EnsStep{}}
	failed, stopped := errors.AsType[*setup.Error](err)
	switch {
	case stopped:
		answer.Failed = &EnsFailure{Step: failed.Step, Cause: failed.Cause, Hint: failed.Hint}
	case err != nil:
		return err
	}
	for _, st := range steps {
		answer.Items = append(answer.Items, EnsStep{What: st.What, Name: st.Name, Detail: st.Detail, Kept: st.Kept})
	}
	return web.WriteJSON(w, http.StatusOK, answer)
}

func viewEnsStatus(s setup.Status) EnsStatus {
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

func findings(wrong []setup.Finding) []EnsFinding {
	views := []EnsFinding{}
	for _, f := range wrong {
		views = append(views, EnsFinding{f.What, f.Hint})
	}
	return views
}
