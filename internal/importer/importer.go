// Package importer takes registrations over that were made elsewhere, with their past: a
// client reads a file and hands its rows over, portion by portion, and Desk has them stored.
// How far each import is the store keeps, so that it goes on after an interruption.
package importer

import (
	"encoding/json"
	"time"

	"onramp/internal/onramp"
)

// Spec is what is imported, and how.
type Spec struct {
	Form         string            `json:"form"`
	SHA256       string            `json:"sha256"`                  // of the file, in hexadecimal
	Text         bool              `json:"text,omitempty"`          // its values are texts, as in CSV
	Map          map[string]string `json:"map,omitempty"`           // columns of the file by what they are: a field, received_at, ip, user_agent or page_url; "" leaves one out
	WithJourneys bool              `json:"with_journeys,omitempty"` // journeys and messages are triggered, too
}

// Start asks for an import.
type Start struct {
	Spec
	Again bool `json:"again,omitempty"` // also if the file was imported before
}

// What a column can be beside a field of the form.
const (
	ReceivedAt = "received_at"
	IP         = "ip"
	UserAgent  = "user_agent"
	PageURL    = "page_url"
)

// Row is one line of a file.
type Row struct {
	Line   int64                      `json:"line"`
	Values map[string]json.RawMessage `json:"values,omitempty"` // by column
	Wrong  string                     `json:"wrong,omitempty"`  // why it can't be read; then there are no values
}

// Portion are the next rows of a file.
type Portion struct {
	Position int64 `json:"position"` // the last line of the portion before; 0 at first
	Rows     []Row `json:"rows"`
	End      bool  `json:"end,omitempty"` // there are no more
}

// Trial is a portion of a dry run, which stores nothing.
type Trial struct {
	Spec
	Rows []Row `json:"rows"`
}

// MostRows is how many rows a portion may have.
const MostRows = 250

// Why a row is refused that is valid.
const (
	Superseded = "a newer registration of the person is stored"
	Left       = "the person has left since"
	Erased     = "the person was erased since"
	NotRead    = "the line can't be read"
)

// Refusal is why a row was not taken. It repeats no value.
type Refusal struct {
	Line   int64  `json:"line"`
	Field  string `json:"field"` // "": the whole row
	Reason string `json:"reason"`
}

// Refusals are a page of them, in the order of the lines.
type Refusals struct {
	Items []Refusal `json:"items"`
	Next  string    `json:"next"` // cursor of the next page; "" at the end
}

// Tried is what a dry run has found in a portion.
type Tried struct {
	Accepted int64     `json:"accepted"`
	Refused  []Refusal `json:"refused"`
}

// State is where an import stands.
type State string

// The states. The texts are stored: never change them.
const (
	Running State = "running"
	Done    State = "done"
)

// Run is an import that was started.
type Run struct {
	ID        int64     `json:"id"` // from 1
	Spec      Spec      `json:"spec"`
	State     State     `json:"state"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Position  int64     `json:"position"`        // the last line that was looked at
	Accepted  int64     `json:"accepted"`        // rows that became registrations
	Refused   int64     `json:"refused"`         // rows that did not
	Waits     bool      `json:"waits,omitempty"` // in the answer to a portion: it was too early for it, and nothing was done

	PortionFrom int64 `json:"-"` // the seqs of the deliveries of the newest portions
	PortionTo   int64 `json:"-"`
}

// Runs are imports, the newest first. Next is always "": it has the shape of a page.
type Runs struct {
	Items []Run  `json:"items"`
	Next  string `json:"next"`
}

// Checked is a portion whose rows were checked.
type Checked struct {
	To       int64 // the last line
	End      bool
	Forms    []string // that write the same rows: a newer registration by one of them counts
	Accepted []Accepted
	Refused  []Refusal
}

// Accepted is a row that is a valid registration.
type Accepted struct {
	Line         int64
	Registration *onramp.Registration
	OriginalAt   time.Time // when it was made
}
