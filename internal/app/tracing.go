package app

import (
	"context"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store"
	"onramp/internal/tracing"
)

// startTracing makes the tracer, if there is to be one, and has the log name traces.
func (a *App) startTracing(ctx context.Context, cfg *config.Config) (err error) {
	t := cfg.Tracing
	a.tracer, err = tracing.New(ctx, tracing.Config{
		Endpoint: t.Endpoint, Headers: t.Headers, Sample: t.Sample, TrustParent: t.TrustParent,
		Version: a.options.Version, Log: a.options.Log.With("part", "tracing"),
	})
	a.options.Log = a.tracer.Log(a.options.Log)
	return err
}

// tracingStatus tells how the sending of spans is doing; nil while tracing is off.
func (a *App) tracingStatus() *operator.Tracing {
	if a.tracer == nil {
		return nil
	}
	s := a.tracer.Status()
	return &operator.Tracing{Sent: s.Sent, Waiting: s.Waiting, Failed: s.Failed, Dropped: s.Dropped, Reason: s.Reason}
}

// tracedEvents stores events with the trace in which they came.
type tracedEvents struct {
	*store.Store
	tracer *tracing.Tracer
}

// SaveEvents stores the events of a batch that are not known yet.
func (s tracedEvents) SaveEvents(ctx context.Context, callback string, events []onramp.Event) (stored int, err error) {
	ctx, at, end := s.tracer.AcceptEvents(ctx, callback, len(events))
	for i := range events {
		events[i].Trace = at
	}
	stored, err = s.Store.SaveEvents(ctx, callback, events)
	end(stored, err)
	return stored, err
}
