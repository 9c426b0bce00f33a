package tracing

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"onramp/internal/budget"
	"onramp/internal/onramp"
)

// The names of attributes: those of OpenTelemetry's conventions, and ours.
const (
	requestMethod = attribute.Key("http.request.method")
	requestRoute  = attribute.Key("http.route")
	answerStatus  = attribute.Key("http.response.status_code")
	serverAddress = attribute.Key("server.address")
	errorType     = attribute.Key("error.type")

	formName       = attribute.Key("onramp.form")
	callbackName   = attribute.Key("onramp.callback")
	registrationID = attribute.Key("onramp.registration_id")
	wasRepeated    = attribute.Key("onramp.repeated")
	eventCount     = attribute.Key("onramp.events")
	storedCount    = attribute.Key("onramp.events_stored")
	callKind       = attribute.Key("onramp.call")
)

// healthRoute is asked every few seconds by load balancers: nobody looks for that.
const healthRoute = "GET /healthz"

// Begin begins the span of a request to the public listener. Its name and its route are
// those of the pattern that has matched, never the path: that may hold what a stranger
// typed, or a secret.
func (t *Tracer) Begin(r *http.Request) (traced *http.Request, end func(form string, status int)) {
	if t == nil || r.Pattern == healthRoute {
		return r, nil
	}
	method := methodName(r.Method)
	name, route := method, ""
	if _, path, ok := strings.Cut(r.Pattern, " "); ok {
		name, route = r.Pattern, path
	}
	ctx, span := t.tracer.Start(fromRequest(r), name, trace.WithSpanKind(trace.SpanKindServer))
	if span.IsRecording() {
		span.SetAttributes(requestMethod.String(method))
		if route != "" {
			span.SetAttributes(requestRoute.String(route))
		}
	}
	return r.WithContext(ctx), func(form string, status int) {
		if form != "" {
			span.SetAttributes(formName.String(form))
		}
		setStatus(span, status, http.StatusInternalServerError)
		span.End()
	}
}

// setStatus notes the status of an answer, which is an error from a certain one on.
func setStatus(span trace.Span, status, failed int) {
	if status == 0 {
		return
	}
	span.SetAttributes(answerStatus.Int(status))
	if status >= failed {
		span.SetAttributes(errorType.String(strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
}

// methodName is a method of HTTP, or what stands for all others by the conventions.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

// Accept begins the span in which a registration is stored, to its commit. Its deliveries
// go on with at. end is told what became of it.
func (t *Tracer) Accept(ctx context.Context, form string) (traced context.Context, at onramp.Trace, end func(onramp.Accepted, error)) {
	if t == nil {
		return ctx, "", func(onramp.Accepted, error) {}
	}
	ctx, span := t.tracer.Start(ctx, "accept", trace.WithAttributes(formName.String(form)))
	return ctx, placeOf(span), func(a onramp.Accepted, err error) {
		if err == nil {
			span.SetAttributes(registrationID.String(a.Registration.ID), wasRepeated.Bool(a.Repeated))
		}
		endStored(span, err)
	}
}

// AcceptEvents does the same for n events of a batch.
func (t *Tracer) AcceptEvents(ctx context.Context, callback string, n int) (traced context.Context, at onramp.Trace, end func(stored int, err error)) {
	if t == nil {
		return ctx, "", func(int, error) {}
	}
	ctx, span := t.tracer.Start(ctx, "accept", trace.WithAttributes(callbackName.String(callback), eventCount.Int(n)))
	return ctx, placeOf(span), func(stored int, err error) {
		span.SetAttributes(storedCount.Int(stored))
		endStored(span, err)
	}
}

// endStored does not say why something was not stored: the log does, and there it may
// name what no trace should.
func endStored(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "not stored")
	}
	span.End()
}

// Transport makes a span of each request that belongs to a trace; the others pass. It
// says what kind of call it is instead of its URL, which may name a person.
func (t *Tracer) Transport(network http.RoundTripper) http.RoundTripper {
	if t == nil {
		return network
	}
	return transport{t, network}
}

type transport struct {
	tracer  *Tracer
	network http.RoundTripper
}

// RoundTrip makes a request. Its span ends when the answer has begun.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return t.network.RoundTrip(r)
	}
	kind := string(budget.KindOf(r.Method, r.URL.Path))
	method := methodName(r.Method)
	ctx, span := t.tracer.tracer.Start(r.Context(), method+" "+kind, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(requestMethod.String(method), serverAddress.String(r.URL.Hostname()), callKind.String(kind)))
	answer, err := t.network.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetAttributes(errorType.String("no_answer"))
		span.SetStatus(codes.Error, "")
	} else {
		setStatus(span, answer.StatusCode, http.StatusBadRequest)
	}
	span.End()
	return answer, err
}
