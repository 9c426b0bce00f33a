package resend

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Events is the kind of resends that send events to a sink again; their filter is an
// EventFilter.
const Events = "events"

// EventFilter selects events for a sink. Zero values do not narrow it.
type EventFilter struct {
	Sink     string    `json:"sink"`
	Since    time.Time `json:"since,omitzero"` // when they came: not before this
	Until    time.Time `json:"until,omitzero"` // and before this
	Types    []string  `json:"types,omitempty"`
	Callback string    `json:"callback,omitempty"`
	Person   string    `json:"person,omitempty"` // subscriber key
}

// longestType keeps a pattern from costing more than reading the events.
const longestType = 1000

// EventKind sends stored events to a sink again, in the order in which they came.
type EventKind struct {
	Sinks  []onramp.Sink // as configured
	Events EventStore
}

// EventStore sends events again.
type EventStore interface {
	// PlanEventResend counts what would be sent.
	PlanEventResend(ctx context.Context, f EventFilter, sink *onramp.Sink) (Plan, error)
	// ResendEvents queues the next portion; waits is true when it is too early for that.
	ResendEvents(ctx context.Context, run *Run, f EventFilter, sink *onramp.Sink) (waits bool, err error)
}

// Plan counts the events of a filter. The error is of kind Invalid when it is wrong.
func (k EventKind) Plan(ctx context.Context, filter json.RawMessage) (Plan, error) {
	var f EventFilter
	decoder := json.NewDecoder(bytes.NewReader(filter))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return Plan{}, invalid("filter", `must be like {"sink":"crm","since":"2026-06-01T00:00:00Z","types":["EngagementEvents.*"]}`,
			"the filter of events can't be read")
	}
	sink, err := k.check(&f)
	if err != nil {
		return Plan{}, err
	}
	p, err := k.Events.PlanEventResend(ctx, f, sink)
	if err != nil {
		return p, err
	}
	p.Target = sink.Destination().Name()
	p.Filter, err = json.Marshal(f)
	return p, err
}

// check finds the sink, and brings the filter into the form in which equal ones are
// the same text.
func (k EventKind) check(f *EventFilter) (*onramp.Sink, error) {
	sink := k.find(f.Sink)
	f.Since, f.Until = f.Since.UTC(), f.Until.UTC()
	slices.Sort(f.Types)
	f.Types = slices.Compact(f.Types)
	tooLong := slices.ContainsFunc(f.Types, func(pattern string) bool { return pattern == "" || len(pattern) > longestType })
	switch {
	case sink == nil:
		return nil, invalid("filter.sink", "must be one of: "+k.names(), "there is no sink of this name")
	case !f.Until.IsZero() && !f.Since.Before(f.Until):
		return nil, invalid("filter.until", "must be after since", "the time ends before it begins")
	case tooLong:
		return nil, invalid("filter.types", "must have 1 to 1000 characters each", "a type is empty or too long")
	}
	return sink, nil
}

func (k EventKind) find(name string) *onramp.Sink {
	i := slices.IndexFunc(k.Sinks, func(s onramp.Sink) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &k.Sinks[i]
}

func (k EventKind) names() string {
	names := make([]string, len(k.Sinks))
	for i, s := range k.Sinks {
		names[i] = s.Name
	}
	if len(names) == 0 {
		return "none is configured"
	}
	return strings.Join(names, ", ")
}

// Next queues the next events of a run. A run to a sink that is no longer configured
// waits until it is again.
func (k EventKind) Next(ctx context.Context, run *Run) (waits bool, err error) {
	var f EventFilter
	if err := json.Unmarshal(run.Filter, &f); err != nil {
		return true, err
	}
	sink := k.find(f.Sink)
	if sink == nil {
		return true, nil
	}
	return k.Events.ResendEvents(ctx, run, f, sink)
}
