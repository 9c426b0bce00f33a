package onramp

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Delivery is one registration or event on its way to one destination.
//
// Event is set when it is an event that goes on to a sink, and also when an
// event has caused it: then RegistrationID names whose row is to be changed, and
// Values are only what is to be changed in it. Either way it is the one step of
// its route.
type Delivery struct {
	Event           *Event // without its body when a list is read
	Seq             int64  // place in the order in which it was stored; given by the store
	Age             int64  // place of what it brings in the order of acceptance: of a registration that is sent again, that of the first time
	RegistrationSeq int64
	RegistrationID  string
	Form            string
	Step            int // from 1
	Steps           int // of the whole route
	DestinationID   int
	Destination     string // name
	State           DeliveryState
	Tries           int // attempts that count towards giving up, since it was accepted or last retried by an operator
	OrderingKey     int64
	SubscriberKey   string
	ReceivedAt      time.Time // of an event that is sent again: when it was queued for that
	ResentAt        time.Time // when it was queued to be sent again; zero: it is not
	Run             int64     // of the resend that sends it again; 0: none
	DueAt           time.Time // when it is tried again; zero: not in the retry set; Never: behind another one
	Behind          bool      // fresh, with an earlier delivery of its key in the retry set
	Resend          bool      // delivered, and sent once more, because an earlier row may have been written after it
	FirstFailure    time.Time // when the first of its tries began that failed and may be repeated; only known of parked ones
	SettledAt       time.Time // zero until it is settled
	Reason          string    // why it is dead, unknown, discarded or skipped
	Cause           string    // what dead and unknown ones have in common, see Outcome.Cause; empty: neither
	Values          json.RawMessage
	Confirmation    *Confirmation              // set of one that asks a person to confirm a registration: no step of a route, but Step 0
	Address         string                     // of a confirmation that is sent: where it goes
	Keys            map[string]json.RawMessage // of a row that is sent: the columns of its key that fields fill; Values has the others
	Of              *Registration              // whose row an event changes: id, form, time and values; nil: no event does
	Trace           Trace                      // of the acceptance that it goes on with; in a call that is traced, of this attempt
	PersonKey       uint64                     // where the key is that its personal data are encrypted with; 0: they are not
	Unreadable      error                      // why its personal data can't be read, and are left out; nil: they can
	WaitsFor        string                     // id of the earlier one of its key that it is behind
	Later           []Delivery                 // steps of its route after it; only set when a whole delivery is read
	Attempts        []Attempt                  // only set when a whole delivery is read
	Edits           []Edit                     // of its registration, oldest first; the same
}

// Never is the due time of a delivery that waits for another one and is woken
// by it.
var Never = time.UnixMicro(1<<62 - 1).UTC()

// LongestRetry is the longest time to the next try of a delivery. A time further
// away was set by a clock that was ahead; and with a clock that is set back by an
// hour, as happens, it is a little further away.
const LongestRetry = 55 * time.Minute

// QueuedAt is from when on it is to be sent.
func (d *Delivery) QueuedAt() time.Time {
	if d.ResentAt.IsZero() {
		return d.ReceivedAt
	}
	return d.ResentAt
}

// ID is the delivery's public name: the registration's id, a dot, and the step;
// or the event's id, a dot, and the number of the destination. What is sent again has
// a dot and the number of the resend after that. Confirmations of a registration have the
// step 0 and their own number.
func (d *Delivery) ID() string {
	id := DeliveryID(d.RegistrationID, d.Step)
	if d.Event != nil {
		id = DeliveryID(d.Event.ID, d.DestinationID)
	}
	if d.Run != 0 {
		id += "." + strconv.FormatInt(d.Run, 10)
	}
	return id
}

// DeliveryID is the name of a delivery that isn't one of a resend.
func DeliveryID(registration string, step int) string {
	return registration + "." + strconv.Itoa(step)
}

// ParseDeliveryID splits a delivery's public name; run is 0 where it has none.
func ParseDeliveryID(id string) (registration string, step int, run int64, ok bool) {
	registration, rest, _ := strings.Cut(id, ".")
	number, resent, isResent := strings.Cut(rest, ".")
	step, err := strconv.Atoi(number)
	ok = err == nil && step > 0
	if isResent {
		ok = err == nil && step >= 0
		run, err = strconv.ParseInt(resent, 10, 64)
		ok = ok && err == nil && run > 0
	}
	return registration, step, run, ok
}

// Parked says that the delivery is in the retry set: found by its due time and
// no longer by the cursor over fresh deliveries.
func (d *Delivery) Parked() bool { return !d.DueAt.IsZero() }

// DeliveryState is where a delivery stands.
type DeliveryState uint8

// The states of a delivery. The numbers are stored: never change them.
const (
	DeliveryWaiting    DeliveryState = 1 // for the step before it
	DeliveryPending    DeliveryState = 2 // to be sent
	DeliverySending    DeliveryState = 3 // in flight; known to the pump, never stored
	DeliverySubmitted  DeliveryState = 4 // given to an asynchronous route, not yet confirmed
	DeliveryDelivered  DeliveryState = 5
	DeliveryDead       DeliveryState = 6 // not tried again by itself
	DeliveryDiscarded  DeliveryState = 7 // given up by an operator
	DeliveryErased     DeliveryState = 8
	DeliveryUnknown    DeliveryState = 9  // sent, but the answer was lost, and a repeat could reach the person twice: an operator decides
	DeliveryOutOfReach DeliveryState = 10 // waiting, while the step before it is dead, unknown or discarded
	DeliveryHeld       DeliveryState = 11 // not to be sent yet: its registration waits to be confirmed, or is under suspicion
	DeliverySkipped    DeliveryState = 12 // not sent: the condition of its step did not hold
	DeliveryRemoved    DeliveryState = 13 // kept long enough, and no longer stored: it is only counted
)

var deliveryStates = []string{
	"", "waiting", "pending", "sending", "submitted", "delivered", "dead", "discarded", "erased", "unknown", "waiting", "held", "skipped", "removed",
}

// String gives the state's public name. OutOfReach is "waiting" in public: the
// step before it may yet be retried.
func (s DeliveryState) String() string { return deliveryStates[s] }

// ParseDeliveryState finds a state by its public name; one that is only counted is none in
// which a delivery can be found.
func ParseDeliveryState(name string) (DeliveryState, bool) {
	i := index(deliveryStates, name)
	return DeliveryState(max(i, 0)), i > 0 && DeliveryState(i) != DeliveryRemoved
}

// DeliveryStates lists the public states that a stored delivery can have, in the order of
// its life.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{
		DeliveryHeld, DeliveryWaiting, DeliveryPending, DeliverySending, DeliverySubmitted,
		DeliveryDelivered, DeliverySkipped, DeliveryUnknown, DeliveryDead, DeliveryDiscarded, DeliveryErased,
	}
}

// Verdict is what an answer means for a delivery (architecture, section 7).
type Verdict uint8

// The verdicts. The numbers are stored: never change them.
const (
	Delivered Verdict = 1 // next step of the route
	Rejected  Verdict = 2 // dead letter at once
	Retry     Verdict = 3 // again later, as often as allowed
	Throttled Verdict = 4 // the destination waits; no try is used up
	Blocked   Verdict = 5 // it concerns all deliveries alike, or all with the same columns: they wait until a probe works; no try is used up
	Unknown   Verdict = 6 // may have been carried out, and twice would harm: an operator decides
	Withheld  Verdict = 7 // not sent: the configuration no longer says how; it waits, and no try is used up
)

var verdicts = []string{"", "delivered", "rejected", "retry", "throttled", "blocked", "unknown", "withheld"}

// String gives the word that a timeline uses.
func (v Verdict) String() string { return verdicts[v] }

// Outcome is what came of one attempt.
type Outcome struct {
	Verdict    Verdict
	Status     int           // HTTP status; 0: no answer came
	Code       int           // the vendor's errorcode, or 0
	Detail     string        // for the timeline; no personal data
	Hint       string        // what an operator can do, when it is not delivered
	RetryAfter time.Duration // as the answer said; 0: it said nothing
	Late       bool          // the time-out ended it, here or there: a smaller call may get through
	Refused    bool          // our credentials were refused: it is they that block the destination
	Columns    bool          // with Blocked: it is for the columns that were sent, and concerns deliveries with the same ones only
	// MayHaveArrived says that the request has left and that no answer tells what
	// became of it: it may have been carried out, or may yet be, after newer ones.
	// False of what was surely not sent, of what was refused, and when Delivered.
	MayHaveArrived bool
	// NotSent says that nothing of it has left this machine as a whole: there was no
	// access token, no connection, or no request could be made. Detail says why.
	NotSent bool
	Request string // what was sent, when it was not delivered
	Answer  string // what came back, when it was not delivered

	RequestID string // the vendor's name for the request, for its support; "": it gave none
}

// Call is one attempt for one or several deliveries to the same destination, of
// which no two have the same ordering key.
type Call struct {
	Destination Destination
	Async       bool // by the asynchronous route of a data extension
	Deliveries  []Delivery
	// Submitted is called when the asynchronous route has taken deliveries under a
	// request id and their outcome is not known yet: all of them, or, after a refused
	// one was looked for, several times with a part. It may be nil.
	Submitted func(requestID string, deliveries []Delivery)
	// RequestID is that of an earlier call by the asynchronous route whose outcome is
	// not known: nothing is submitted, it is only asked for. Deliveries are then those
	// that were submitted under it, all of them in their order.
	RequestID string
	// Trace is where the call stands in a trace, for a receiver to go on with.
	Trace Trace
}

// Job is a request by the asynchronous route that Marketing Cloud has taken.
type Job struct {
	RequestID   string
	SubmittedAt time.Time
	Deliveries  []Delivery // in the order of its rows
}

// Reason is what came back and what can be done about it, in one line.
func (o *Outcome) Reason() string {
	if o.Detail == "" || o.Hint == "" {
		return o.Detail + o.Hint
	}
	return o.Detail + "; " + o.Hint
}

// Attempt is one try of a delivery, as it is stored. Those that one call has
// delivered share it.
type Attempt struct {
	Number    int
	StartedAt time.Time
	Took      time.Duration
	Outcome
}

// Settlement is what the pump has decided about a delivery after an attempt.
type Settlement struct {
	Delivery *Delivery
	State    DeliveryState // the new one; DeliveryPending: it is tried again
	Tries    int
	DueAt    time.Time // with DeliveryPending: when
	At       time.Time // now
	Attempt  *Attempt  // nil: nothing to record
	Reason   string    // with DeliverySkipped: why
	Late     bool      // the call may be carried out later than now
}

// TimelineItem is one thing that happened to a registration.
type TimelineItem struct {
	At          time.Time `json:"at"`
	What        string    `json:"what"`
	Destination string    `json:"destination,omitempty"`
	Detail      string    `json:"detail,omitempty"`
}
