package web

import "time"

// Meter is told what listeners answer and refuse. Its methods return at once and are
// safe for concurrent use. Nothing that it is told is what a stranger typed.
type Meter interface {
	// Answered tells that a handler has answered.
	Answered(a Answer)
	// Refused tells that a listener has refused a request or closed a connection before a
	// handler saw it.
	Refused(part, reason string)
}

// Answer is how a handler has answered a request.
type Answer struct {
	Part   string        // name of the listener
	Route  string        // the pattern that the request has matched; "" if it has matched none
	Form   string        // name of the form that it was about; "" if it was about none
	Status int           // of HTTP; 499: the client did not wait
	Reason string        // why the client did not get what it asked for; "" if it did
	Took   time.Duration // from the header of the request to the end of the answer
}

// unmetered is told everything, and forgets it.
type unmetered struct{}

func (unmetered) Answered(Answer)        {}
func (unmetered) Refused(string, string) {}
