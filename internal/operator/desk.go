// Package operator is what an operator can see and do, once for every door: the
// admin API, and later the console. Desk has a method for each; the types that it
// returns are the views, with their names in JSON. Errors that are meant for the
// operator are of type [onramp.Error].
package operator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/bundle"
	"onramp/internal/health"
	"onramp/internal/ignored"
	"onramp/internal/importer"
	"onramp/internal/onramp"
	"onramp/internal/resend"
	"onramp/internal/retention"
	"onramp/internal/watch"
)

// Desk is what operators work at. Its fields say what it works on and are not
// changed once it is in use; its methods are safe for concurrent use.
type Desk struct {
	Registrations Registrations
	Deliveries    Deliveries
	Changes       Changes
	Audit         AuditLog    // nil: what is done is not recorded
	Consents      Consents    // nil: no consents are kept
	Chains        LogVerifier // nil: there are no logs to verify
	Counts        Counts
	Suspects      Suspects                                   // nil: nothing is held under suspicion
	Ask           func(ctx context.Context, id string) error // the person of a suspect to confirm it, who was not asked yet; used of forms with double opt-in
	Surges        func() []Surge                             // forms that get far more submissions than usual; may be nil
	Pump          Pump
	Events        Events
	Rows          Rows     // nil: nobody reads rows back
	Setup         Setup    // nil: there is no Event Notification Service to set up
	Clients       *Clients // nil: there is no token endpoint
	Erasures      Erasures
	Persons       Persons
	Resends       *resend.Desk            // what operators have sent again
	Forms         map[string]*onramp.Form // by name, as configured
	Ignored       *ignored.Names          // what came with forms and is no field of theirs; may be nil
	Notices       []string                // what was unusual about the database at the start
	Left          func() []onramp.Left    // what no route leads to any more; may be nil
	Health        health.Sources
	Watch         func() watch.Status                 // whether what is sent arrives; may be nil
	Guessing      func() Guessing                     // whether someone guesses admin tokens; may be nil
	Tracing       func() *Tracing                     // how the sending of spans is doing; may be nil, and return nil
	Confirmations Confirmations                       // double opt-in; nil: no form has it
	Configuration func() Configuration                // when it was loaded; may be nil
	Sources       func(BundleRequest) []bundle.Source // what a debug bundle holds beside the status; nil: there are none
	Imports       *importer.Desk                      // what is taken over from elsewhere
	Retention     *retention.Runner                   // removes what is kept long enough; nil: nothing is
	Log           *slog.Logger

	bundling sync.Mutex // held while a debug bundle is made
	revealed reveals
}

// Registrations reads registrations.
type Registrations interface {
	// ListRegistrations returns a page and the cursor of the next one, "" at the end. The
	// page may end early so as not to take long: then looked is when the oldest was
	// received that it has looked at.
	ListRegistrations(ctx context.Context, f onramp.Filter) (page []onramp.Registration, next string, looked time.Time, err error)
	// FindRegistration returns one with its deliveries, or an error of kind NotFound.
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
	// Timeline lists what happened to one, oldest first.
	Timeline(ctx context.Context, id string) ([]onramp.TimelineItem, error)
}

// Deliveries reads deliveries.
type Deliveries interface {
	// ListDeliveries returns a page as ListRegistrations does.
	ListDeliveries(ctx context.Context, f onramp.Filter) (page []onramp.Delivery, next string, looked time.Time, err error)
	// FindDelivery returns one with its attempts, or an error of kind NotFound.
	FindDelivery(ctx context.Context, id string) (onramp.Delivery, error)
	// ListCauses groups dead and unknown deliveries by what they have in common.
	ListCauses(ctx context.Context, f onramp.Filter) ([]onramp.CauseGroup, error)
	// PlanRetry says what RetryDeliveries of Changes would do.
	PlanRetry(ctx context.Context, f onramp.Filter, overwrite bool, sendable func(*onramp.Delivery) bool) (onramp.Retried, error)
}

// Changes changes deliveries and destinations. The methods for several change all that are dead or,
// if the filter's state says so, unknown; they return how many.
type Changes interface {
	// RetryDelivery leaves one alone that would overwrite a newer row, with an error
	// of kind Conflict, unless overwrite is set.
	RetryDelivery(ctx context.Context, id string, overwrite bool) error
	// RetryDeliveries leaves those alone, too, and those that are not sendable.
	RetryDeliveries(ctx context.Context, f onramp.Filter, overwrite bool, sendable func(*onramp.Delivery) bool) (onramp.Retried, error)
	// DiscardDelivery also discards the later steps of the same registration.
	DiscardDelivery(ctx context.Context, id, reason string) error
	// DiscardDeliveries also returns how many such steps there were.
	DiscardDeliveries(ctx context.Context, f onramp.Filter, reason string) (n, later int64, err error)
	// MoveDeliveries has what is not delivered or discarded go from one destination to
	// another one, and returns how much; dry only counts.
	MoveDeliveries(ctx context.Context, from, to string, dry bool) (int64, error)
	// EditDelivery gives the registration of a dead or unknown delivery the values
	// and the subscriber key of r. The error is of kind Conflict when the delivery
	// no longer holds what edit says it held.
	EditDelivery(ctx context.Context, id string, edit onramp.Edit, r onramp.Registration) error

	// PauseDestination stops a destination, across restarts; one that is paused already
	// gets the new reason. The pump goes by it by itself.
	PauseDestination(ctx context.Context, name, reason string) error
	// ResumeDestination returns how many messages have become unknown, since a repeat
	// after so long could reach the person twice. The error is of kind Conflict when
	// the destination is not paused.
	ResumeDestination(ctx context.Context, name string) (unknown int, err error)
}

// Confirmations have registrations confirmed by their persons.
type Confirmations interface {
	// Send asks the person of a held registration once more, unless a limit keeps it back. The
	// error is of kind NotFound, or Conflict when the registration doesn't wait for anybody.
	Send(ctx context.Context, id, ip string) (onramp.Limit, error)
	// Status tells how the confirmations of each form are doing; it returns at once.
	Status() []onramp.ConfirmationStatus
}

// Counts reports how much is stored.
type Counts interface {
	// Count counts everything by state, as of the last commit.
	Count() onramp.Counts
	// Oldest returns when the oldest registration was accepted that is still to
	// be sent to a destination; zero when there is none.
	Oldest(ctx context.Context, destination string) (time.Time, error)
	// Late tells for how many keys a call to a destination may still be carried out,
	// until when, and how many deliveries are to be sent once more for that reason.
	Late(ctx context.Context, destination string) (keys, resends int64, until time.Time, err error)
	// Behind tells how many deliveries to a destination wait for earlier ones of their
	// keys, how many those are, each up to 10,000, and the oldest of these.
	Behind(ctx context.Context, destination string) (waiting, earlier int64, oldest onramp.Delivery, err error)
}

// Pump is what is being sent.
type Pump interface {
	Health() []onramp.Health
	// Flight is DeliverySending or DeliverySubmitted while a delivery is in
	// flight, else 0.
	Flight(destination int, seq int64) onramp.DeliveryState
	// Forget drops a delivery that was discarded from the pump's memory.
	Forget(seq int64)
}

// Rows reads delivered rows back from Marketing Cloud.
type Rows interface {
	// Warnings are the columns of a destination that were sent and not stored, each
	// with what to do.
	Warnings(destination string) []string
	// LeftOut says which fields deliveries were sent without, one line for each.
	LeftOut() []string
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next page; "" at the end

	// LookedTo is set of a page that has ended early, with more to look through: when the
	// oldest was received that it has looked at.
	LookedTo *time.Time `json:"looked_to,omitempty"`
}

// newPage makes the views of a page.
func newPage[T, V any](found []T, next string, looked time.Time, view func(*T) V) Page[V] {
	page := Page[V]{Items: make([]V, len(found)), Next: next, LookedTo: timePointer(looked)}
	for i := range found {
		page.Items[i] = view(&found[i])
	}
	return page
}

// invalidField is the error of a request with a field that is wrong.
func invalidField(field, what, message string) error {
	return &onramp.Error{
		Kind: onramp.Invalid, Message: message, Fields: []onramp.FieldError{{Field: field, Message: what}},
	}
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
