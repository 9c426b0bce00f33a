// Package resend sends again what is stored: an operator plans a resend and starts it,
// and the gateway carries it out in portions, over restarts. What it selects and sends
// differs by kind; Desk is what all of them have in common, and the store keeps how far
// each one is.
package resend

import (
	"encoding/json"
	"time"
)

// Why something that the filter selects is left out.
const (
	Filtered = "filtered" // the destination doesn't take it
	Waiting  = "waiting"  // it is still on its way there

	Superseded   = "superseded"   // it would overwrite a newer row of the person
	Got          = "got"          // a journey or message that the person got for it, or may have got
	Skipped      = "skipped"      // the condition of its step does not hold
	Erased       = "erased"       // its personal data are gone
	Unconfigured = "unconfigured" // its form is no longer in the configuration
	NoStep       = "no_step"      // today's route doesn't have the step
)

// Plan is what a resend would do.
type Plan struct {
	Kind    string           `json:"kind"`
	Target  string           `json:"target"`            // where to; two runs of a kind with the same one exclude each other
	Filter  json.RawMessage  `json:"filter"`            // the same text for the same selection
	After   int64            `json:"-"`                 // it looks at what is stored after this,
	Last    int64            `json:"-"`                 // up to this
	Count   int64            `json:"count"`             // how many would be sent
	From    time.Time        `json:"from,omitzero"`     // when the first of these came
	To      time.Time        `json:"to,omitzero"`       // and the last
	LeftOut map[string]int64 `json:"left_out"`          // how many would not be sent, by the reason
	Oldest  time.Time        `json:"oldest,omitzero"`   // when the oldest came that is kept at all
	Running *Run             `json:"running,omitempty"` // to the same target: another one can't be started

	// What only registrations have.
	Destinations map[string]int64 `json:"destinations,omitempty"`   // how many would go to each one
	StepsLeftOut map[string]int64 `json:"steps_left_out,omitempty"` // how many steps of these would not be sent, by the reason
	Elsewhere    int64            `json:"elsewhere,omitempty"`      // how many would go to a destination to which they have not gone before
	FieldsGone   map[string]int64 `json:"fields_gone,omitempty"`    // how many would go without a field that their form no longer has, by form and field
	DeadLetters  int64            `json:"dead_letters,omitempty"`   // of them, which are discarded, so that a retry does not send them twice
}

// State is where a run stands.
type State string

// The states of a run. The texts are stored: never change them.
const (
	Running   State = "running"
	Done      State = "done" // everything is queued
	Cancelled State = "cancelled"
)

// Run is a resend that was started.
type Run struct {
	ID        int64            `json:"id"` // from 1
	Kind      string           `json:"kind"`
	Target    string           `json:"target"`
	Filter    json.RawMessage  `json:"filter"`
	State     State            `json:"state"`
	StartedAt time.Time        `json:"started_at"`
	EndedAt   time.Time        `json:"ended_at,omitzero"`   // zero while it is running
	Planned   int64            `json:"planned"`             // how many there were to be sent when it started
	Sent      int64            `json:"sent"`                // queued so far
	LeftOut   map[string]int64 `json:"left_out"`            // how many were not, by the reason
	HeldUp    string           `json:"held_up,omitempty"`   // why the target takes nothing now; not stored
	Continued bool             `json:"continued,omitempty"` // in the answer to a start: it was running already

	Position    int64 `json:"-"` // everything up to this is done
	Last        int64 `json:"-"` // the position at which all is done
	PortionFrom int64 `json:"-"` // the seqs of the deliveries of the newest portion
	PortionTo   int64 `json:"-"`
}

// Request asks for a resend.
type Request struct {
	Kind   string          `json:"kind"`
	Filter json.RawMessage `json:"filter"`          // what to send again: the flags of onramp events resend or registrations resend, with underscores
	Again  bool            `json:"again,omitempty"` // also when the same was sent again before
}

// Runs are runs, the newest first. Next is always "": it has the shape of a page.
type Runs struct {
	Items []Run  `json:"items"`
	Next  string `json:"next"`
}
