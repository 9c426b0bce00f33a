package setup

import "time"

// Step is one thing that the setup of the Event Notification Service does
// in Marketing Cloud, or leaves as it is.
type Step struct {
	What   string // such as "create callback"; "keep callback" or "leave callback" with Kept
	Name   string // of the scheme, callback or subscription
	Detail string // what it will be, or why
	Kept   bool   // nothing is changed: it is as it should be, or not ours to change
}

// Error says at which step the setup stopped. It holds no secret.
type Error struct {
	Step  string // such as "create callback events"
	Cause string // what went wrong
	Hint  string // what the operator can do about it
	Err   error  // for the log; may be nil
}

// Error gives step, cause and hint.
func (e *Error) Error() string { return e.Step + ": " + e.Cause + "; " + e.Hint }

// Unwrap gives the error itself.
func (e *Error) Unwrap() error { return e.Err }

// State is how something that the configuration names stands in Marketing
// Cloud.
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

// Status is how the setup of the Event Notification Service stands.
type Status struct {
	Unreachable string // why Marketing Cloud could not be asked; "" when it could
	Schemes     []SchemeStatus
	Callbacks   []CallbackStatus
}

// SchemeStatus is how an authentication scheme stands.
type SchemeStatus struct {
	Name   string
	AuthID string // Marketing Cloud's id of it; "" when there is none
	State  State
	Wrong  []Finding
}

// CallbackStatus is how a callback stands.
type CallbackStatus struct {
	Name          string
	URL           string
	CallbackID    string // Marketing Cloud's id of it; "" when there is none
	State         State
	Scheme        string           // name of its scheme; "" when the signature alone protects it
	LastEvent     time.Time        // when the newest event came; zero: none yet
	Taken         map[string]int64 // probes and batches that were taken since the start, by what proved them
	Refused       map[string]int64 // requests that were refused since the start, by the reason
	Subscriptions []SubscriptionStatus
	Wrong         []Finding
}

// SubscriptionStatus is how a subscription stands.
type SubscriptionStatus struct {
	Name    string
	State   State
	Types   []string // in Marketing Cloud, or as configured when it is missing
	Filters []string // in the same way
}

// Finding is something that is wrong.
type Finding struct {
	What string
	Hint string // what the operator can do about it
}
