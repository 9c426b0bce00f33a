package web

import "net/http"

// Tracer puts requests into traces. Its methods return at once and are safe for
// concurrent use.
type Tracer interface {
	// Begin returns the request with its span in the context, and what ends that: with the
	// name of the form that the request was about, "" if it was about none, and the status
	// of the answer.
	Begin(r *http.Request) (traced *http.Request, end func(form string, status int))
}
