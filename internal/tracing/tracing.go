// Package tracing follows what comes through the gateway in distributed traces
// (OpenTelemetry): from the request that brings a registration or a batch of events,
// through the queue, to the answers of Marketing Cloud and of sinks. It is the only
// package that knows OpenTelemetry.
//
// Use New; it returns nil while nothing asks for traces, and a nil *Tracer costs
// nothing. Spans never hold a value that somebody submitted, an address, a path or a
// query: each attribute is chosen here, none is taken from a library.
//
// Spans are sent in the background, by OTLP over HTTP. Nothing waits for that: what the
// collector does not take in time is dropped, and counted.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"onramp/internal/onramp"
)

// Config is where spans go, and of which traces. What it leaves out the standard
// variables say: OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES. OTEL_SDK_DISABLED=true turns all of it off.
type Config struct {
	Endpoint    string                   // base URL of the collector; "": as the variables say, and if they don't there is no tracing
	Headers     map[string]onramp.Secret // sent with every export
	Sample      float64                  // the share of traces that are recorded, up to 1; 0: as the variables say, else all
	TrustParent bool                     // whether a caller decides that its trace is recorded here, too
	Version     string                   // of Onramp
	Log         *slog.Logger             // default: nowhere
}

// Tracer makes spans. It is safe for concurrent use. All methods of a nil one do nothing.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
	queue    *queue
	log      *slog.Logger
}

// New makes a tracer, or nil if neither the configuration nor the variables name a
// collector. It connects to nothing, so it does not fail while the collector is down.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if !cfg.isAsked() {
		return nil, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Log.Warn("tracing reported an error", "err", err) }))
	sender, err := newClient(&cfg)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	exporter, err := otlptrace.New(ctx, sender)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	who, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "onramp"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		cfg.Log.Warn("OTEL_RESOURCE_ATTRIBUTES can't be read as a whole", "err", err)
	}
	limits := sdktrace.NewSpanLimits()
	limits.LinkCountLimit = -1 // a call has a link to each of its deliveries, and their number has its own limit
	q := newQueue(exporter, cfg.Log)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(q), sdktrace.WithResource(who), sdktrace.WithSampler(cfg.sampler()),
		sdktrace.WithRawSpanLimits(limits))
	return &Tracer{tracer: provider.Tracer("onramp"), provider: provider, queue: q, log: cfg.Log}, nil
}

// isAsked says whether there is a collector to send to.
func (c *Config) isAsked() bool {
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"):
		return false
	case c.Endpoint != "":
		return true
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "otlp": // by the standard to this machine, if no variable says otherwise
		return true
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	case "none":
		return false
	default:
		c.Log.Warn("there is no tracing: traces can only be sent by OTLP", "OTEL_TRACES_EXPORTER", exporter)
		return false
	}
}

// flushWithin is how long a stop waits for the collector to take the last spans: less
// than the usual drain, for a collector that is down must not make every stop that long.
const flushWithin = 5 * time.Second

// Close sends what has not been sent yet, until ctx ends or five seconds are over. What
// is left then is lost, and logged.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	t.queue.stop()
	if s := t.Status(); err != nil || s.Waiting > 0 {
		t.log.Warn("the last spans could not be sent", "spans", s.Waiting, "err", err)
	}
}

// Status is how the sending of spans is doing: counts since the start.
type Status struct {
	Sent    int64
	Failed  int64 // the collector has refused them, or could not be reached
	Dropped int64 // they ended while too many were waiting
	Waiting int64
	Reason  string // why the last ones failed; "": they did not
}

// Status returns at once.
func (t *Tracer) Status() Status { return t.queue.status() }
