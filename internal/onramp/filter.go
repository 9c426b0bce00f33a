package onramp

import "time"

// Filter narrows a list. Zero values do not narrow it.
type Filter struct {
	State       string    // public name of a state
	Form        string    // one that is known to the store
	Destination string    // the same, such as data_extension:Web_Registrations; of a registration: one that its route leads to
	Query       string    // part of a subscriber key or of a value
	Cause       string    // of dead and unknown deliveries only
	Since       time.Time // received then or later
	Until       time.Time // received before
	Cursor      string    // where the page before this one ended
	Limit       int       // default 50, at most 500
}
