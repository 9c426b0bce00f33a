package setup

import "encoding/json"

// Kind is what a step does.
type Kind string

// The kinds of steps. Keep and Leave change nothing.
const (
	Create     Kind = "create"
	Update     Kind = "update"
	Delete     Kind = "delete"
	Verify     Kind = "verify"     // prove to Marketing Cloud that a callback is ours
	Regenerate Kind = "regenerate" // have Marketing Cloud make a new key
	Pause      Kind = "pause"
	Resume     Kind = "resume"
	Keep       Kind = "keep"   // it is as it should be
	Leave      Kind = "leave"  // nothing asks for it, but it is not to be deleted
	Forget     Kind = "forget" // delete the gateway's own record
)

// Object is the kind of thing that a step changes.
type Object string

// The objects of the Event Notification Service.
const (
	Scheme       Object = "scheme" // authentication scheme
	Callback     Object = "callback"
	SignatureKey Object = "signature key of callback"
	Subscription Object = "subscription"
)

// Step is one change in Marketing Cloud, or one thing that stays as it is.
type Step struct {
	Kind   Kind   `json:"kind"`
	Object Object `json:"object"`
	Name   string `json:"name"`             // of the object; that of the callback for a signature key
	Detail string `json:"detail,omitempty"` // what it will be, or why
	Kept   bool   `json:"kept"`             // nothing is changed: it is as it should be, or not ours to change
}

// What says in words what the step does, such as "create callback".
func (s Step) What() string { return string(s.Kind) + " " + string(s.Object) }

// String says it with the name, such as "create callback events".
func (s Step) String() string { return s.What() + " " + s.Name }

// MarshalJSON adds "what", which says in words what kind and object say.
func (s Step) MarshalJSON() ([]byte, error) {
	type fields Step
	return json.Marshal(struct {
		What string `json:"what"`
		fields
	}{s.What(), fields(s)})
}

// Error says at which step a setup stopped. It holds no secret.
type Error struct {
	Step  string `json:"step"`  // such as "create callback events"
	Cause string `json:"cause"` // what went wrong
	Hint  string `json:"hint"`  // what the operator can do about it
	Err   error  `json:"-"`     // for the log; may be nil
}

// Error gives step, cause and hint.
func (e *Error) Error() string { return e.Step + ": " + e.Cause + "; " + e.Hint }

// Unwrap gives the error itself.
func (e *Error) Unwrap() error { return e.Err }
