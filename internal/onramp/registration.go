package onramp

import (
	"encoding/json"
	"time"
)

// Registration is one accepted submission of a form.
type Registration struct {
	Seq           int64  // place in the order of acceptance; given by the store
	ID            string // UUIDv7
	Form          string
	SubscriberKey string
	ReceivedAt    time.Time       // UTC, microseconds
	Values        json.RawMessage // object: what was submitted and filled in, by field; see Form.Columns
	State         RegistrationState
	Hold          Hold          // set on acceptance, and when a whole registration is read that is held
	Route         []Destination // where it goes, step by step; only set on acceptance
	Consent       *ConsentEntry // that it gives or withdraws; only set on acceptance
	Visitor       Visitor       // who has submitted it; only set on acceptance, of a form with double opt-in; later the language in which they were asked
	OptIn         *OptIn        // how it is confirmed; only set on acceptance, nil: it need not be
	Asked         bool          // its person was asked to confirm it; only set when a whole registration is read
	ConfirmedAt   time.Time     // when they did; the same
	Trace         Trace         // of its acceptance, which its deliveries go on with; only set on acceptance
	Deliveries    []Delivery    // only set when a whole registration is read
	Edits         []Edit        // by an operator, oldest first; the same
}

// Accepted is what became of a registration that was to be stored.
type Accepted struct {
	Registration Registration // the stored one: an earlier one when Repeated
	Repeated     bool         // the idempotency key was known: nothing was stored
	// Outcome yields the state in which the registration settles; nil unless it was asked for.
	Outcome <-chan RegistrationState
}

// RegistrationState is how far a registration has come. It follows from the
// states of its deliveries.
type RegistrationState uint8

// The states of a registration. The numbers are stored: never change them.
const (
	RegistrationHeld       RegistrationState = 1 // stored, not yet to be sent: it waits to be confirmed, or is under suspicion
	RegistrationQueued     RegistrationState = 2 // no attempt yet
	RegistrationDelivering RegistrationState = 3 // attempted or partly delivered
	RegistrationDelivered  RegistrationState = 4 // every step is delivered, or was skipped
	RegistrationFailed     RegistrationState = 5 // a step is a dead letter or was discarded
	RegistrationErased     RegistrationState = 6 // its personal data are gone
	RegistrationUnknown    RegistrationState = 7 // the answer to a step was lost, and a repeat could reach the person twice
	RegistrationRemoved    RegistrationState = 8 // kept long enough, and no longer stored: it is only counted
)

var registrationStates = []string{"", "held", "queued", "delivering", "delivered", "failed", "erased", "unknown", "removed"}

// String gives the state's public name.
func (s RegistrationState) String() string { return registrationStates[s] }

// ParseRegistrationState finds a state by its public name; one that is only counted is
// none in which a registration can be found.
func ParseRegistrationState(name string) (RegistrationState, bool) {
	i := index(registrationStates, name)
	return RegistrationState(max(i, 0)), i > 0 && RegistrationState(i) != RegistrationRemoved
}

// RegistrationStates lists all states that a stored registration can have, in the order of
// its life. With RegistrationRemoved the counts of all add up to what was accepted.
func RegistrationStates() []RegistrationState {
	return []RegistrationState{
		RegistrationHeld, RegistrationQueued, RegistrationDelivering, RegistrationDelivered,
		RegistrationUnknown, RegistrationFailed, RegistrationErased,
	}
}

// Settled says that nothing more will happen to the registration by itself.
func (s RegistrationState) Settled() bool {
	return s == RegistrationDelivered || s == RegistrationFailed || s == RegistrationErased
}
