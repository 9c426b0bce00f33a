package onramp

import (
	"math"
	"strings"
	"time"
)

// Destination is where a step of a route goes. Everything that a request to
// Marketing Cloud needs in addition to the registration is here, so that a
// delivery can still be sent after its form was changed.
type Destination struct {
	ID                  int // small integer, given by the store; 0 until registered
	Kind                DestinationKind
	Key                 string     // external key of the data extension, event definition key, definition key of the message, or name of the sink
	KeyColumns          []string   // of a row's key; the one that no field fills holds the subscriber key. None: it is left out of a journey's data
	Mode                Mode       // data extension only
	InsertOnly          bool       // data extension only: the asynchronous route inserts (POST) and does not upsert (PUT)
	OnExisting          OnExisting // data extension only
	EstablishContactKey bool       // journey only
	OnUnknown           OnUnknown  // journey only
	ToColumn            string     // of a message, and of a journey that takes confirmations: column that holds the address to send to
	Batch               int        // most deliveries in one call; 0: what suits the call
}

// DestinationKind is the kind of a route's step.
type DestinationKind uint8

// The kinds of destinations.
const (
	DataExtension DestinationKind = iota + 1
	Journey
	Message
	SinkDestination // takes events, and nothing else does
	SMTP            // a mail server; takes confirmations, and nothing else
)

var destinationKinds = []string{"", "data_extension", "journey", "message", "sink", "smtp"}

// String gives the name that the configuration uses.
func (k DestinationKind) String() string { return destinationKinds[k] }

// Name identifies the destination to people and in the store, such as
// "data_extension:Web_Registrations".
func (d Destination) Name() string { return d.Kind.String() + ":" + d.Key }

// KindOf gives the kind of a destination by its name; 0: it is none.
func KindOf(name string) DestinationKind {
	kind, _, _ := strings.Cut(name, ":")
	return DestinationKind(max(index(destinationKinds, kind), 0))
}

// IsSinkName says whether a destination's name is that of a sink.
func IsSinkName(name string) bool {
	return KindOf(name) == SinkDestination
}

// The most deliveries in one call, unless the step says less. Vendor pages
// "Upsert a Data Extension Rowset by Key" (50 rows recommended), "Enter Contacts
// into a Journey in Batches" (100 members), "Send Message to Multiple Recipients"
// (500 with attributes); the asynchronous route takes 32,000 rows, but its body
// must stay below 5 MB.
const (
	syncBatch    = 50
	asyncBatch   = 3000
	journeyBatch = 100
	messageBatch = 500
)

// MostInCall is the most deliveries that one call to the destination carries.
func (d Destination) MostInCall(async bool) int {
	switch {
	case d.Kind == DataExtension && async && d.Mode == Auto:
		return asyncBatch // Batch is that of the synchronous calls
	case d.Batch > 0:
		return d.Batch
	case d.Kind == Journey:
		return journeyBatch
	case d.Kind == Message:
		return messageBatch
	case d.Kind == SinkDestination, d.Kind == SMTP:
		return 1
	case async:
		return asyncBatch
	}
	return syncBatch
}

const (
	// Marketing Cloud takes 5 MB; what stands around the values needs some of it.
	mostBytes = 4 << 20
	// Marketing Cloud surely knows a message key for so long: 72 hours by some of
	// its pages, two days by others. A message that is tried again later could be
	// sent twice.
	messageMemory = 47 * time.Hour

	forEver = math.MaxInt64
)

// MostBytes is how large the values of all deliveries in one call may be together.
func (d Destination) MostBytes() int { return mostBytes }

// RepeatFor is how long after its first try a failing delivery may be tried again:
// later, one more try could do harm.
func (k DestinationKind) RepeatFor() time.Duration {
	if k == Message {
		return messageMemory
	}
	return forEver
}

// MayBeAsync says whether calls by the asynchronous route can occur.
func (d Destination) MayBeAsync() bool { return d.Kind == DataExtension && d.Mode != Sync }

// Upserts says whether a delivery writes over what earlier ones of its key have
// written, so that the last one stands and each may be repeated.
func (d Destination) Upserts() bool { return d.Kind == DataExtension && d.OnExisting == Update }

// OnlyAsync says whether calls by any other route must not occur: an existing
// row can be left alone only there, since Marketing Cloud has no synchronous
// insert.
func (d Destination) OnlyAsync() bool {
	return d.MayBeAsync() && (d.Mode == Async || d.OnExisting == Skip)
}

// Mode is by which route rows get into a data extension.
type Mode uint8

// The modes of a data extension.
const (
	Auto  Mode = iota // Sync while the queue is short, Async when it is deep
	Sync              // the answer is the outcome
	Async             // the answer is a receipt; the outcome is asked for later
)

var modes = []string{"auto", "sync", "async"}

// String gives the name that the configuration uses.
func (m Mode) String() string { return modes[m] }

// ParseMode finds a mode by its name in the configuration.
func ParseMode(name string) (Mode, bool) {
	i := index(modes, name)
	return Mode(max(i, 0)), i >= 0
}

// OnExisting says what happens when a row with the same key exists already
// (section 9 of the specification, question 5).
type OnExisting uint8

// What can happen to an existing row.
const (
	Update    OnExisting = iota // it gets the new values
	Skip                        // it stays as it is
	CreateNew                   // there is never one: the registration's id is the row's key
)

var onExistings = []string{"update", "skip", "new"}

// String gives the name that the configuration uses.
func (o OnExisting) String() string { return onExistings[o] }

// ParseOnExisting finds the value by its name in the configuration.
func ParseOnExisting(name string) (OnExisting, bool) {
	i := index(onExistings, name)
	return OnExisting(max(i, 0)), i >= 0
}

// OnUnknown says what happens to a delivery whose answer was lost, and which
// would do harm if it were carried out twice.
type OnUnknown uint8

// What can happen to a delivery with an unknown outcome.
const (
	LeaveUnknown OnUnknown = iota // an operator decides
	Again                         // it is tried again, and may arrive twice
)

var onUnknowns = []string{"hold", "retry"}

// String gives the name that the configuration uses.
func (o OnUnknown) String() string { return onUnknowns[o] }

// ParseOnUnknown finds the value by its name in the configuration.
func ParseOnUnknown(name string) (OnUnknown, bool) {
	i := index(onUnknowns, name)
	return OnUnknown(max(i, 0)), i >= 0
}
