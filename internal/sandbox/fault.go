package sandbox

import (
	"time"

	"onramp/internal/sandbox/ens"
)

// The named faults. Each comment says which other fields the fault takes
// beside Match, Method, Contains, Count, For and DelayMS, which all of them
// take.
const (
	// FaultRevokeTokens makes all tokens given out so far invalid, once: as soon
	// as it is set, or when it has a Match, Method or Contains, at the next call that
	// matches (Count: at that many calls). The call then goes on.
	FaultRevokeTokens = "revoke_tokens"
	// FaultDropRequest closes the connection before anything is done.
	FaultDropRequest = "drop_request"
	// FaultDropAnswer does what was asked for and closes the connection without
	// an answer.
	FaultDropAnswer = "drop_answer"
	// FaultEmptyBody answers Status with no body. RetryAfter.
	FaultEmptyBody = "empty_body"
	// FaultPlainText answers Status with its name in plain text, such as "Too
	// Many Requests", or Message. RetryAfter.
	FaultPlainText = "plain_text"
	// FaultHTML answers Status with a gateway's HTML page. Message, RetryAfter.
	FaultHTML = "html"
	// FaultForeignJSON answers Status with JSON that is not the vendor's: Body, or
	// {"ok":true}.
	FaultForeignJSON = "foreign_json"
	// FaultRedirect answers Status, by default 302, with a Location.
	FaultRedirect = "redirect"
	// FaultCutBody does what was asked for and closes the connection in the middle
	// of the answer. With a Status that is an answer of the fault's own, and nothing
	// is done.
	FaultCutBody = "cut_body"
	// FaultHang never answers: it waits until the caller hangs up, for an hour, or
	// until the sandbox is reset.
	FaultHang = "hang"
	// FaultReset resets the connection (TCP's RST) before anything is done.
	FaultReset = "reset"
	// FaultBare10006 answers 400 with errorcode 10006 and no additionalErrors,
	// which the vendor gives for locks and load, with good data. Message.
	FaultBare10006 = "bare_10006"
)

// The named faults that change what a good call does, on the routes that they
// are about and nowhere else. A call that is refused for another reason does not
// use one up. DelayMS is taken by the two times only, and is no wait there.
const (
	// FaultRowDeadlock makes rows of asynchronous jobs fail with errorCode 2 and
	// a message that ends in "Rerun the transaction."; they are not stored. Count
	// counts rows, and Contains chooses those with the text in a value. It is
	// decided when the job is submitted.
	FaultRowDeadlock = "row_deadlock"
	// FaultRowError makes rows of asynchronous jobs fail with errorCode 2 and an
	// error of one column: the first whose value has the text of Contains.
	// Otherwise as FaultRowDeadlock. Message.
	FaultRowError = "row_error"
	// FaultJobTime gives jobs that are submitted DelayMS from submission to
	// completion, in place of 300; 0 is at once. Count counts jobs.
	FaultJobTime = "job_time"
	// FaultStatusTime hides the status of jobs that are submitted for DelayMS,
	// in place of 50: it is not found until then. Count counts jobs.
	FaultStatusTime = "status_time"
	// FaultStatusMissing makes calls for a job's status find none.
	FaultStatusMissing = "status_missing"
	// FaultOldNotFound answers a job for an unknown data extension as old
	// documents show it: status 200, resultType "Operational".
	FaultOldNotFound = "old_not_found"
	// FaultMemberError refuses members of POST /interaction/v1/async/events for
	// what they hold: errorcode 10005. Count counts members, and Contains
	// chooses those with the text in the contact key or in a value. Errorcode,
	// Message.
	FaultMemberError = "member_error"
	// FaultNotQueued is FaultMemberError for members that are good but have no
	// room: errorcode 10000.
	FaultNotQueued = "not_queued"
)

// late reports whether a fault is one that changes what a good call does.
func (f Fault) late() bool {
	switch f.Name {
	case FaultRowDeadlock, FaultRowError, FaultJobTime, FaultStatusTime, FaultStatusMissing, FaultOldNotFound,
		FaultMemberError, FaultNotQueued:
		return true
	}
	return ens.IsFault(f.Name)
}

// perRow reports whether a fault hits rows or members and not calls.
func (f Fault) perRow() bool {
	switch f.Name {
	case FaultRowDeadlock, FaultRowError, FaultMemberError, FaultNotQueued:
		return true
	}
	return false
}

// maxDelay bounds a fault's delay: more than any client waits.
const maxDelay = time.Hour

// Fault makes calls go wrong. The faults that are set are looked at in order:
// delays of all that match add up, and the first that answers, or drops,
// decides. Calls under /_sandbox/ are never touched.
//
// Without a Name, Status says what is answered, in the body that the vendor
// has for it: 400 10006, 401 0, 403 20002, 404 30003, 409 30002, 429 50100
// when RetryAfter is set and else 50200, 500 500, 503 50300; others have no
// errorcode, and 596 is the gateway's page. On /v2/token a 400 and a 401 have
// OAuth's body. Without Status and Name a Fault only delays.
//
// What a fault answers stands for a call that was not carried out. Apply and
// ApplyAfterMS carry it out all the same, as a vendor does whose answer is lost.
type Fault struct {
	// Name is one of the Fault… constants, or "".
	Name string `json:"name,omitempty"`
	// Match is the beginning of the paths to match; "" matches all.
	Match string `json:"match,omitempty"`
	// Method is the HTTP method to match; "" matches all.
	Method string `json:"method,omitempty"`
	// Contains is a text that must stand in the call's body, letter for letter
	// as it was sent; "" matches all, and calls without a body too. For faults
	// of rows and members it must stand in a value of theirs.
	Contains string `json:"contains,omitempty"`
	// Status is the HTTP status to answer, 400 to 599; a Name that takes it
	// allows 200 to 599.
	Status int `json:"status,omitempty"`
	// Errorcode replaces the status's usual errorcode.
	Errorcode int `json:"errorcode,omitempty"`
	// Message replaces the usual message.
	Message string `json:"message,omitempty"`
	// RetryAfter is the Retry-After header in seconds. Errorcode 50100 always
	// carries one; it is 5 when this is 0.
	RetryAfter int `json:"retry_after,omitempty"`
	// RetryAfterDate sends the header as a date: RetryAfter seconds from now
	// on the clock of Config.Now, which Advance does not move, since the caller's
	// clock does not move either.
	RetryAfterDate bool `json:"retry_after_date,omitempty"`
	// Count is how many calls it hits; 0 means until it is cleared. In a State
	// it is how many are left.
	Count int `json:"count,omitempty"`
	// For is a duration such as "10m" on the sandbox's clock, after which the
	// fault ends by itself; "" means no end. In a State it is what is left.
	For string `json:"for,omitempty"`
	// DelayMS is how many milliseconds the call waits first, at most an hour.
	DelayMS int `json:"delay_ms,omitempty"`
	// Apply carries the call out as soon as it comes, whatever its caller is
	// answered and whether it waits for that. A call that would be refused (no
	// token, no such route) is not carried out.
	Apply bool `json:"apply,omitempty"`
	// ApplyAfterMS is Apply after so many milliseconds on the sandbox's clock, at
	// most an hour. Without Name and Status the caller gets the true answer then,
	// if it is still there.
	ApplyAfterMS int `json:"apply_after_ms,omitempty"`
	// Body is the JSON of FaultForeignJSON.
	Body string `json:"body,omitempty"`
	// Location is where FaultRedirect leads; by default https://proxy.invalid/.
	Location string `json:"location,omitempty"`
}

// applies reports whether the calls are carried out from their arrival on.
func (f Fault) applies() bool { return f.Apply || f.ApplyAfterMS > 0 }

// answers reports whether the fault has an answer of its own.
func (f Fault) answers() bool {
	return f.Status != 0 || f.Name == FaultRedirect || f.Name == FaultBare10006
}

// applyAfter is ApplyAfterMS as a duration.
func (f Fault) applyAfter() time.Duration {
	return time.Duration(f.ApplyAfterMS) * time.Millisecond
}

// delay is DelayMS as a duration.
func (f Fault) delay() time.Duration {
	return time.Duration(f.DelayMS) * time.Millisecond
}

// life is For as a duration; 0 when it is none.
func (f Fault) life() time.Duration {
	d, err := time.ParseDuration(f.For)
	if err != nil {
		return 0
	}
	return d
}
