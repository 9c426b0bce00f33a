package onramp

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// IdempotencyKey stands for the key that a request brought and for its body.
// The zero value stands for none.
type IdempotencyKey struct {
	Hash, Body int64
}

// NewIdempotencyKey makes the key of a request. The same key may be used for
// different forms without harm.
func NewIdempotencyKey(form, key string, body []byte) IdempotencyKey {
	k := sha256.Sum256([]byte(form + "\x00" + key))
	b := sha256.Sum256(body)
	// never 0, which would mean that there is none
	return IdempotencyKey{int64(binary.BigEndian.Uint64(k[:8]) | 1), int64(binary.BigEndian.Uint64(b[:8]))}
}

// Given says whether there is a key.
func (k IdempotencyKey) Given() bool { return k.Hash != 0 }

// Accepted is what became of a registration that was to be stored.
type Accepted struct {
	Registration Registration // the stored one: an earlier one when Repeated
	Repeated     bool         // the idempotency key was known: nothing was stored
	// Outcome yields the state in which the registration settles; nil unless it was asked for.
	Outcome <-chan RegistrationState
}

// Filter narrows a list. Zero values do not narrow it.
type Filter struct {
	State  string // public name of a state
	Form   string
	Query  string // part of a subscriber key or of a value
	Cause  string // of dead and unknown deliveries only
	Cursor string // where the page before this one ended
	Limit  int    // default 50, at most 500
}

// Counts is how much is stored, by state.
type Counts struct {
	Registrations map[RegistrationState]int64
	Deliveries    map[string]map[DeliveryState]int64 // by destination
	Events        map[string]int64                   // by callback
	Repeated      map[string]int64                   // by callback: came again, and were not stored
}

// Health is how a destination is doing.
type Health struct {
	Destination Destination
	State       string    // "running", "throttled" or "blocked"
	Reason      string    // why it is not running
	Hint        string    // what an operator can do about it
	Refused     bool      // it is our credentials that were refused
	Cause       string    // the same for all destinations that stopped alike, see Outcome.Cause
	Since       time.Time // when it stopped running; zero while it runs
	Sending     int       // deliveries in flight, but for the submitted ones
	Submitted   int       // deliveries that an asynchronous route has taken and not confirmed yet
	GivenUp     int64     // deliveries that became dead letters by their age, since the start
	Unknown     int64     // deliveries whose answer was lost and that an operator must decide about, since the start
}

// Explain gives the reason and the hint in one line.
func (h *Health) Explain() string {
	if h.Reason == "" || h.Hint == "" {
		return h.Reason
	}
	return h.Reason + "; " + h.Hint
}
