package tracing

import (
	"crypto/rand"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// sampler decides which traces are recorded.
//
// A span goes by its parent, so that a trace is recorded as a whole, also what happens
// to a registration days later. The exception is the parent that a request names: anyone
// on the internet can send a traceparent with the flag "sampled", and could have us
// export every request. Such a trace keeps its id, but whether it is recorded here is
// decided as for our own ones, unless TrustParent says that callers may.
func (c *Config) sampler() sdktrace.Sampler {
	own, byParent := c.ownSampler()
	var stranger []sdktrace.ParentBasedSamplerOption
	if !c.TrustParent || !byParent {
		stranger = []sdktrace.ParentBasedSamplerOption{
			sdktrace.WithRemoteParentSampled(asOwn{own}), sdktrace.WithRemoteParentNotSampled(asOwn{own}),
		}
	}
	return linked{sdktrace.ParentBased(own, stranger...)}
}

// ownSampler decides about traces that begin here. byParent says that those of others go
// by their flag, if they are trusted.
func (c *Config) ownSampler() (own sdktrace.Sampler, byParent bool) {
	if c.Sample > 0 {
		return sdktrace.TraceIDRatioBased(c.Sample), true
	}
	given := strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")))
	name, byParent := strings.CutPrefix(given, "parentbased_")
	switch name {
	case "always_on":
		return sdktrace.AlwaysSample(), byParent
	case "always_off":
		return sdktrace.NeverSample(), byParent
	case "traceidratio":
		argument := os.Getenv("OTEL_TRACES_SAMPLER_ARG")
		share, err := strconv.ParseFloat(strings.TrimSpace(argument), 64)
		if argument != "" && (err != nil || share < 0 || share > 1) {
			c.Log.Warn("all traces are recorded: OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")
		} else if argument != "" {
			return sdktrace.TraceIDRatioBased(share), byParent
		}
	case "":
	default:
		c.Log.Warn("all traces are recorded: OTEL_TRACES_SAMPLER is none of always_on, always_off and traceidratio, each also with parentbased_ before it",
			"OTEL_TRACES_SAMPLER", given)
	}
	return sdktrace.AlwaysSample(), byParent || given == ""
}

// asOwn decides about the trace of a stranger as if it had begun here: by an id of ours,
// for the stranger has chosen its id as well as its flag.
type asOwn struct{ sdktrace.Sampler }

// ShouldSample decides about a span.
func (s asOwn) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	_, _ = rand.Read(p.TraceID[:]) // it never fails
	return s.Sampler.ShouldSample(p)
}

// linked records a span without a parent that has links: those are to spans that are
// recorded, and without it they would lead nowhere.
type linked struct{ sdktrace.Sampler }

// ShouldSample decides about a span.
func (s linked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if len(p.Links) > 0 && !trace.SpanContextFromContext(p.ParentContext).IsValid() {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	}
	return s.Sampler.ShouldSample(p)
}
