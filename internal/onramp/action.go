package onramp

import "time"

// Action is something that an operator did, as the audit log has it. Nothing in it is
// personal but Reason, which an operator has typed.
type Action struct {
	Number int64
	At     time.Time
	By     string       // name of the token
	What   string       // such as "deliveries.retry"
	Object string       // id or name of what it was done to; "": several, or none
	Reason string       // why, in the operator's words
	Result ActionResult // zero value: it has begun, and its end was not recorded
}

// ActionResult is how an action ended.
type ActionResult struct {
	At    time.Time
	Kind  string // "done", or why not: the kind of the error
	Count int64  // how much was changed, where several can be
}

// ActionDone is the kind of a result without an error.
const ActionDone = "done"

// ActionFilter selects actions. The zero value: all.
type ActionFilter struct {
	By, What     string
	Since, Until time.Time
	Cursor       string
	Limit        int // 0: 50
}
