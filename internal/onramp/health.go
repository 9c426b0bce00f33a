package onramp

import "time"

// Health is how a destination is doing.
type Health struct {
	Destination Destination
	State       string    // "running", "throttled", "blocked", or "paused" by an operator
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

// Left is what no route leads to any more: the form is gone, or the step.
type Left struct {
	Form        string
	Destination string
	Deliveries  int64 // that are not delivered or discarded
}
