package onramp

import "strings"

// Trace is a place in a distributed trace, as W3C Trace Context writes it: the value of
// the header traceparent and, after a space, that of tracestate where there is one. ""
// is none: tracing was off.
type Trace string

// Parent is the value of the header traceparent; "" if there is none.
func (t Trace) Parent() string {
	parent, _, _ := strings.Cut(string(t), " ")
	return parent
}

// State is the value of the header tracestate; "" if there is none.
func (t Trace) State() string {
	_, state, _ := strings.Cut(string(t), " ")
	return state
}
