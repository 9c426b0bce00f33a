package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"onramp/internal/onramp"
)

const (
	deliveryID      = attribute.Key("onramp.delivery_id")
	destinationName = attribute.Key("onramp.destination")
	callMode        = attribute.Key("onramp.mode")
	attemptNumber   = attribute.Key("onramp.attempt")
	deliveryCount   = attribute.Key("onramp.deliveries")
	wasResumed      = attribute.Key("onramp.resumed")
	verdictName     = attribute.Key("onramp.verdict")
	vendorCode      = attribute.Key("onramp.vendor_code")
	requestID       = attribute.Key("onramp.request_id")
)

// Sender makes calls, as the pump has it.
type Sender interface {
	// Send makes one attempt for the deliveries of a call, and returns one outcome for
	// each, in their order.
	Send(ctx context.Context, c onramp.Call) []onramp.Outcome
}

// Sender makes a span of each delivery in a call, in the trace of its registration or
// event, and one of the call.
func (t *Tracer) Sender(next Sender) Sender {
	if t == nil {
		return next
	}
	return sender{t.tracer, next}
}

type sender struct {
	tracer trace.Tracer
	next   Sender
}

// Send makes the call. Each delivery is then where its attempt stands in its trace, and
// so is the call.
func (s sender) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	spans := make([]trace.Span, len(c.Deliveries))
	for i := range c.Deliveries {
		spans[i] = s.beginDelivery(ctx, &c, &c.Deliveries[i])
		c.Deliveries[i].Trace = placeOf(spans[i])
	}
	ctx, call := s.beginCall(ctx, &c, spans)
	c.Trace = placeOf(call)
	outcomes := s.next.Send(ctx, c)
	call.End()
	for i, span := range spans {
		if span.IsRecording() {
			note(span, &outcomes[i])
		}
		span.End()
	}
	return outcomes
}

// beginDelivery begins the span of one attempt for a delivery. What an event has caused
// is in the trace of the registration whose row it changes, with a link to the event.
func (s sender) beginDelivery(ctx context.Context, c *onramp.Call, d *onramp.Delivery) trace.Span {
	options := []trace.SpanStartOption{trace.WithAttributes(s.describe(c, deliveryID.String(d.ID()), attemptNumber.Int(d.Tries+1))...)}
	if c.Destination.Kind == onramp.SinkDestination {
		options = append(options, trace.WithSpanKind(trace.SpanKindProducer))
	}
	if e := d.Event; e != nil && e.Trace != d.Trace {
		if link := trace.LinkFromContext(within(context.Background(), e.Trace)); link.SpanContext.IsSampled() {
			options = append(options, trace.WithLinks(link))
		}
	}
	_, span := s.tracer.Start(within(ctx, d.Trace), "deliver "+c.Destination.Name(), options...)
	return span
}

// beginCall begins the span of a call: for one delivery as its child, and else in a
// trace of its own, with links to all that are recorded, which have one to it.
func (s sender) beginCall(ctx context.Context, c *onramp.Call, deliveries []trace.Span) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithAttributes(s.describe(c, deliveryCount.Int(len(c.Deliveries)))...)}
	if c.Destination.Kind == onramp.SinkDestination {
		options = append(options, trace.WithSpanKind(trace.SpanKindClient)) // to Marketing Cloud it is that of each request
	}
	var links []trace.Link
	for _, d := range deliveries {
		if len(deliveries) > 1 && d.IsRecording() {
			links = append(links, trace.Link{SpanContext: d.SpanContext()})
		}
	}
	if len(links) == 0 { // without a recorded one it isn't either
		ctx = trace.ContextWithSpan(ctx, deliveries[0])
	}
	ctx, call := s.tracer.Start(ctx, "call "+c.Destination.Name(), append(options, trace.WithLinks(links...))...)
	for _, d := range deliveries {
		if len(links) > 0 {
			d.AddLink(trace.Link{SpanContext: call.SpanContext()})
		}
	}
	return ctx, call
}

// describe adds what a call and its deliveries have in common.
func (s sender) describe(c *onramp.Call, more ...attribute.KeyValue) []attribute.KeyValue {
	all := append(more, destinationName.String(c.Destination.Name()))
	if c.Destination.Kind == onramp.DataExtension {
		mode := onramp.Sync
		if c.Async || c.RequestID != "" {
			mode = onramp.Async
		}
		all = append(all, callMode.String(mode.String()))
	}
	if c.RequestID != "" {
		all = append(all, wasResumed.Bool(true))
	}
	return all
}

// note writes what came of a delivery. The details of an outcome stay out: they may quote
// what was submitted.
func note(span trace.Span, o *onramp.Outcome) {
	span.SetAttributes(verdictName.String(o.Verdict.String()))
	if o.Status != 0 {
		span.SetAttributes(answerStatus.Int(o.Status))
	}
	if o.Code != 0 {
		span.SetAttributes(vendorCode.Int(o.Code))
	}
	if o.RequestID != "" {
		span.SetAttributes(requestID.String(o.RequestID))
	}
	if o.Verdict != onramp.Delivered {
		span.SetStatus(codes.Error, o.Verdict.String())
	}
}
