package setup

import (
	"encoding/json"
	"time"

	"onramp/internal/onramp"
)

// State is the actual state of something, compared with the configuration.
type State string

// The states. A callback is missing, unverified or verified; a scheme missing,
// differs or present; a subscription missing, differs, active or paused.
// Everything is unknown while Marketing Cloud can't be asked, and extra when it is
// there without the configuration naming it.
const (
	StateMissing    State = "missing"
	StateUnverified State = "unverified"
	StateVerified   State = "verified"
	StateDiffers    State = "differs"
	StatePresent    State = "present"
	StateActive     State = "active"
	StatePaused     State = "paused"
	StateUnknown    State = "unknown"
	StateExtra      State = "extra"
)

// Status is the state of the Event Notification Service. Its lists and counts, and
// those within it, are never null in JSON.
type Status struct {
	Unreachable string           `json:"unreachable,omitempty"` // why Marketing Cloud could not be asked; "" when it could
	Schemes     []SchemeStatus   `json:"schemes"`
	Callbacks   []CallbackStatus `json:"callbacks"`
	Wrong       []Finding        `json:"wrong"` // what concerns none of them, such as something stored that can't be read
}

// SchemeStatus is the state of an authentication scheme.
type SchemeStatus struct {
	Name   string    `json:"name"`
	AuthID string    `json:"auth_id,omitempty"` // Marketing Cloud's id of it; "" when there is none
	State  State     `json:"state"`
	Wrong  []Finding `json:"wrong"`
}

// CallbackStatus is the state of a callback.
type CallbackStatus struct {
	Name          string                   `json:"name"`
	URL           string                   `json:"url"`
	CallbackID    string                   `json:"callback_id,omitempty"` // Marketing Cloud's id of it; "" when there is none
	State         State                    `json:"state"`
	Scheme        string                   `json:"scheme,omitempty"` // name of its scheme; "" when the signature alone protects it
	LastEvent     *time.Time               `json:"last_event"`       // when the newest event came; nil: none yet
	Taken         map[string]int64         `json:"taken"`            // requests accepted since the start, by what proved them
	Refused       map[onramp.Refusal]int64 `json:"refused"`          // requests refused since the start, by reason
	Subscriptions []SubscriptionStatus     `json:"subscriptions"`
	Wrong         []Finding                `json:"wrong"`
}

// SubscriptionStatus is the state of a subscription.
type SubscriptionStatus struct {
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Types   []string `json:"types"`   // in Marketing Cloud, or as configured when it is missing
	Filters []string `json:"filters"` // likewise
}

// Finding is something that is wrong.
type Finding struct {
	What string `json:"what"`
	Hint string `json:"hint"` // what the operator can do about it
}

// MarshalJSON writes lists that are nil as empty ones.
func (s Status) MarshalJSON() ([]byte, error) {
	type fields Status
	s.Schemes, s.Callbacks, s.Wrong = notNil(s.Schemes), notNil(s.Callbacks), notNil(s.Wrong)
	return json.Marshal(fields(s))
}

// MarshalJSON writes lists that are nil as empty ones.
func (s SchemeStatus) MarshalJSON() ([]byte, error) {
	type fields SchemeStatus
	s.Wrong = notNil(s.Wrong)
	return json.Marshal(fields(s))
}

// MarshalJSON writes lists and counts that are nil as empty ones.
func (s CallbackStatus) MarshalJSON() ([]byte, error) {
	type fields CallbackStatus
	s.Subscriptions, s.Wrong = notNil(s.Subscriptions), notNil(s.Wrong)
	s.Taken, s.Refused = counts(s.Taken), counts(s.Refused)
	return json.Marshal(fields(s))
}

// MarshalJSON writes lists that are nil as empty ones.
func (s SubscriptionStatus) MarshalJSON() ([]byte, error) {
	type fields SubscriptionStatus
	s.Types, s.Filters = notNil(s.Types), notNil(s.Filters)
	return json.Marshal(fields(s))
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func counts[K comparable](n map[K]int64) map[K]int64 {
	if n == nil {
		return map[K]int64{}
	}
	return n
}
