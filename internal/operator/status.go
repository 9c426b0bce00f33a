package operator

import (
	"context"
	"maps"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// Status is how the gateway is doing.
type Status struct {
	Accepted      int64               `json:"accepted"`
	Registrations map[string]int64    `json:"registrations"` // by state; adds up to Accepted
	Deliveries    map[string]int64    `json:"deliveries"`    // by state
	Destinations  []DestinationStatus `json:"destinations"`
	Events        EventCounts         `json:"events"`
}

// DestinationStatus is how one destination is doing.
type DestinationStatus struct {
	Name    string     `json:"name"`
	State   string     `json:"state"` // running, throttled, blocked, or unconfigured
	Reason  string     `json:"reason,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Waiting int64      `json:"waiting"` // deliveries that are still to be made
	Oldest  *time.Time `json:"oldest"`  // when the longest waiting registration was accepted
}

// EventCounts is how many events have come.
type EventCounts struct {
	Stored   int64 `json:"stored"`
	Repeated int64 `json:"repeated"` // came again, and were not stored
}

// Status counts everything, and tells how each destination is doing: those that
// are configured, and those that have deliveries from before. What is counted as
// sending or submitted is a look at the pump's memory, a moment later.
func (d *Desk) Status(ctx context.Context) (Status, error) {
	counts := d.Counts.Count()
	s := Status{
		Registrations: map[string]int64{}, Deliveries: map[string]int64{}, Destinations: []DestinationStatus{},
		Events: EventCounts{Stored: sum(counts.Events), Repeated: sum(counts.Repeated)},
	}
	for _, state := range onramp.RegistrationStates() {
		n := counts.Registrations[state]
		s.Registrations[state.String()] = n
		s.Accepted += n
	}
	for _, state := range onramp.DeliveryStates() {
		s.Deliveries[state.String()] = 0
	}
	health := map[string]onramp.Health{}
	names := slices.Collect(maps.Keys(counts.Deliveries))
	for _, h := range d.Pump.Health() {
		health[h.Destination.Name()] = h
		names = append(names, h.Destination.Name())
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		h, configured := health[name]
		destination, err := d.destinationStatus(ctx, name, counts.Deliveries[name], h, configured)
		if err != nil {
			return Status{}, err
		}
		s.Destinations = append(s.Destinations, destination)
		s.countDeliveries(counts.Deliveries[name], h)
	}
	return s, nil
}

// countDeliveries adds those of one destination. What is in flight is stored as
// pending.
func (s *Status) countDeliveries(counts map[onramp.DeliveryState]int64, h onramp.Health) {
	for state, n := range counts {
		s.Deliveries[state.String()] += n
	}
	pending := counts[onramp.DeliveryPending]
	submitted := min(int64(h.Submitted), pending)
	sending := min(int64(h.Sending), pending-submitted)
	s.Deliveries[onramp.DeliverySending.String()] += sending
	s.Deliveries[onramp.DeliverySubmitted.String()] += submitted
	s.Deliveries[onramp.DeliveryPending.String()] -= sending + submitted
}

func (d *Desk) destinationStatus(ctx context.Context, name string, n map[onramp.DeliveryState]int64, h onramp.Health, configured bool) (DestinationStatus, error) {
	s := DestinationStatus{Name: name, State: h.State, Reason: h.Explain(), Since: timePointer(h.Since)}
	if !configured {
		s.State, s.Reason = "unconfigured", "no form uses it any more"
		if onramp.IsSinkName(name) {
			s.Reason = "it is no longer configured as a sink"
		}
	}
	s.Waiting = n[onramp.DeliveryPending] + n[onramp.DeliveryWaiting] + n[onramp.DeliverySubmitted]
	if s.Waiting == 0 {
		return s, nil
	}
	oldest, err := d.Counts.Oldest(ctx, name)
	s.Oldest = timePointer(oldest)
	return s, err
}

func sum(counts map[string]int64) (n int64) {
	for _, one := range counts {
		n += one
	}
	return n
}
