package onramp

// Filter narrows a list. Zero values do not narrow it.
type Filter struct {
	State  string // public name of a state
	Form   string
	Query  string // part of a subscriber key or of a value
	Cause  string // of dead and unknown deliveries only
	Cursor string // where the page before this one ended
	Limit  int    // default 50, at most 500
}
