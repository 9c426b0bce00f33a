// Package erasure removes a person, here and in Marketing Cloud, or has Marketing Cloud
// restrict the processing of the person's data, and tells of each place how far it is.
//
// A [Desk] carries runs out. A run begins here: the person's key is destroyed, and what is
// stored becomes empty. Then the rows of data extensions go, and the contact, whose deletion
// is followed until Marketing Cloud says that it is completed. What was on its way meanwhile
// may have been written after its row was removed, so rows are looked at once more. Until
// then the run keeps what Marketing Cloud must be told (contact keys, keys of rows),
// encrypted with a key of its own, which is destroyed when it ends.
//
// Runs go on after a restart, and end only when every part is done or an operator closes
// them.
package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// Subject names one person: by an address or by a subscriber key.
type Subject struct {
	Email         string `json:"email,omitempty"`
	SubscriberKey string `json:"subscriber_key,omitempty"`
}

// Checked returns the subject without blanks around it, or an error of kind Invalid unless it
// names a person in one way.
func (s Subject) Checked() (Subject, error) {
	s.Email, s.SubscriberKey = strings.TrimSpace(s.Email), strings.TrimSpace(s.SubscriberKey)
	if (s.Email == "") == (s.SubscriberKey == "") {
		return Subject{}, &onramp.Error{
			Kind: onramp.Invalid, Message: "either an email address or a subscriber key is required",
			Fields: []onramp.FieldError{{Field: "email", Message: "is required, or subscriber_key"}},
		}
	}
	return s, nil
}

// Kind is what a run does.
type Kind string

// The kinds of runs. The names are stored: never change them.
const (
	Erase    Kind = "erase"
	Restrict Kind = "restrict"
)

// State is how far a run or a part of one is.
type State string

// The states. The names are stored: never change them.
const (
	Running State = "running" // it goes on by itself
	Waiting State = "waiting" // for Marketing Cloud, or for a time
	Open    State = "open"    // somebody has to do something; it is tried again now and then
	Done    State = "done"
	Closed  State = "closed" // by an operator, with parts that are not done
)

// Run is one person's erasure or restriction. It holds nothing personal.
type Run struct {
	ID      string     `json:"id"` // UUIDv7
	Kind    Kind       `json:"kind"`
	State   State      `json:"state"`
	BeganAt time.Time  `json:"began_at"`
	EndedAt *time.Time `json:"ended_at,omitempty"`
	Reason  string     `json:"reason,omitempty"` // why an operator has closed it
	Parts   []Part     `json:"parts"`

	// Late is until when calls that had begun before may still be carried out.
	Late time.Time `json:"-"`
}

// Part is one place that a person is removed from.
type Part struct {
	What      string    `json:"what"`             // one of the constants Stored, File, Row, Contact
	Where     string    `json:"where"`            // such as a destination's name
	Count     int64     `json:"count"`            // how much was removed there
	State     State     `json:"state"`            //
	Detail    string    `json:"detail,omitempty"` // what was found, or why it is not done
	Hint      string    `json:"hint,omitempty"`   // who has to do what
	Operation int64     `json:"operation,omitempty"`
	Tries     int       `json:"tries,omitempty"` // that have failed since the last success
	NextAt    time.Time `json:"next_at,omitzero"`
}

// What a part is.
const (
	Stored  = "stored"  // what the gateway has stored
	File    = "file"    // lines of a file that a sink writes
	Row     = "row"     // rows of a data extension
	Contact = "contact" // the contact in Marketing Cloud
)

// Found is what there is of a person here.
type Found struct {
	Registrations int64 `json:"registrations"`
	Deliveries    int64 `json:"deliveries"`
	Events        int64 `json:"events"`
	OnTheirWay    int64 `json:"on_their_way"` // deliveries that are not settled yet
	// SubscriberKeys are those that the person's registrations have.
	SubscriberKeys []string `json:"-"`
	Addresses      []string `json:"-"`
	Sends          []string `json:"-"` // jobId.batchId.subscriberId of mails that they got
	// IDs are those of the registrations, the oldest first; EventIDs those of the events.
	IDs, EventIDs []string `json:"-"`
	// Persons are those whose keys are to be destroyed, and Work is what is to be emptied, as
	// the store knows them.
	Persons []string        `json:"-"`
	Work    json.RawMessage `json:"-"`
}

// Plan is what a run would do.
type Plan struct {
	Found
	Rows     map[string]int64 `json:"rows"` // by destination
	Contacts int64            `json:"contacts"`
	Files    []string         `json:"files,omitempty"` // sinks that write files
}

// Removed is what a portion has removed.
type Removed struct {
	Registrations, Deliveries, Attempts, Events int64

	Seqs []int64 // of deliveries that were still to be sent
}

// Store has what is stored of a person, and keeps runs.
type Store interface {
	// FindSubject tells what is stored of a person, and shows each delivery to a data
	// extension of theirs, with its registration's values, to each.
	// A registration that has the address or the key in it is the person's if owns says so: it
	// may name somebody else's.
	FindSubject(ctx context.Context, s Subject, owns func(*onramp.Registration) bool, each func(onramp.Delivery) error) (Found, error)
	// BeginErasure keeps a run with what Marketing Cloud must be told. From then on nobody
	// finds what is stored of the person, and nothing of it is sent. late is until when
	// calls that had begun may still be carried out.
	BeginErasure(ctx context.Context, r *Run, found *Found, targets []byte) (late time.Time, err error)
	// ErasePortion removes a portion of what is stored of the person of a run.
	ErasePortion(ctx context.Context, id string) (removed Removed, more bool, err error)
	// FindTargets returns what BeginErasure was given.
	FindTargets(ctx context.Context, id string) ([]byte, error)
	// SaveErasure keeps how far a run is. One that is Done or Closed loses its targets.
	SaveErasure(ctx context.Context, r *Run) error
	// ListErasures lists runs, the newest first; open: only those that have not ended.
	ListErasures(ctx context.Context, open bool) ([]Run, error)
	// FindErasure returns one, or an error of kind NotFound.
	FindErasure(ctx context.Context, id string) (Run, error)
}

// About is a person whose events are looked for.
type About struct {
	SubscriberKeys []string
	Addresses      []string
	Sends          []string // jobId.batchId.subscriberId of mails that the person got
}

// ErrUnreadable is that rows can't be read back, since the package may not.
var ErrUnreadable = errors.New("rows can't be read back: the scope data_extensions_read is missing")

// Judged is an error of a call to Marketing Cloud that says what it means. Any other one is
// tried again soon.
type Judged interface {
	error
	Judgement() onramp.Outcome
}

// Account is the account in Marketing Cloud. Errors of calls are Judged, or ErrUnreadable.
type Account interface {
	RowKeys(to onramp.Destination, d onramp.Delivery) (map[string]any, error)
	RemoveRows(ctx context.Context, to onramp.Destination, keys []map[string]any) error
	HasRow(ctx context.Context, to onramp.Destination, keys map[string]any) (bool, error)
	FindContacts(ctx context.Context, address string) ([]string, error)
	BeginDeletion(ctx context.Context, keys []string, restrict bool) (operation int64, err error)
	FindDeletion(ctx context.Context, operation int64, restrict bool) (sfmc.ContactOperation, error)
}

// Files are those that sinks of ours write.
type Files interface {
	// Files are the names of the sinks.
	Files() []string
	// RemoveLines takes a person's events out of a sink's file, and returns how many there
	// were.
	RemoveLines(ctx context.Context, sink string, who About) (int64, error)
}

// targets are what Marketing Cloud, and files, must be told of a person. They are kept
// encrypted, and only while the run needs them.
type targets struct {
	Rows      []rows   `json:"rows,omitempty"`
	Contacts  []string `json:"contacts,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Sends     []string `json:"sends,omitempty"`
}

// rows are those of one data extension.
type rows struct {
	To   onramp.Destination `json:"to"`
	Keys []map[string]any   `json:"keys"`
}
