package sink

import (
	"iter"

	"onramp/internal/onramp"
)

// traceHeaders gives the headers by which a receiver goes on with a trace: those of W3C
// Trace Context, by their names in lower case; none without a trace. The baggage of
// whoever has sent the event is not passed on.
func traceHeaders(t onramp.Trace) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if t == "" || !yield("traceparent", t.Parent()) || t.State() == "" {
			return
		}
		yield("tracestate", t.State())
	}
}
