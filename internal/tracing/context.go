package tracing

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"onramp/internal/onramp"
)

// w3c reads and writes traceparent and tracestate. Baggage is neither: it would carry
// whatever a stranger sends to Marketing Cloud and to sinks.
var w3c propagation.TraceContext

const (
	parentHeader = "traceparent"
	stateHeader  = "tracestate"
	longestState = 512 // characters, which W3C Trace Context asks for at least; whatever is longer is left out
)

// fromRequest puts the caller's span into the context of a request. What is no
// traceparent counts for nothing, as the standard has it.
func fromRequest(r *http.Request) context.Context {
	parents := r.Header.Values(parentHeader)
	if len(parents) != 1 {
		return r.Context()
	}
	return w3c.Extract(r.Context(), carrier(parents[0], strings.Join(r.Header.Values(stateHeader), ",")))
}

// carrier has what the propagator reads.
func carrier(parent, state string) propagation.MapCarrier {
	if len(state) > longestState {
		state = ""
	}
	return propagation.MapCarrier{parentHeader: parent, stateHeader: state}
}

// within goes on with a trace that was stored. It is our own, so its flag holds.
func within(ctx context.Context, t onramp.Trace) context.Context {
	if t == "" {
		return ctx
	}
	stored := trace.SpanContextFromContext(w3c.Extract(context.Background(), carrier(t.Parent(), t.State())))
	return trace.ContextWithSpanContext(ctx, stored.WithRemote(false))
}

// placeOf writes down where a span stands.
func placeOf(s trace.Span) onramp.Trace {
	headers := propagation.MapCarrier{}
	w3c.Inject(trace.ContextWithSpan(context.Background(), s), headers)
	if state := headers[stateHeader]; state != "" {
		return onramp.Trace(headers[parentHeader] + " " + state)
	}
	return onramp.Trace(headers[parentHeader])
}
