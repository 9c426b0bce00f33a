package operator

import (
	"context"
	"maps"
	"slices"
	"time"

	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/resend"
	"onramp/internal/retention"
	"onramp/internal/watch"
)

// Status is how the gateway is doing.
type Status struct {
	Accepted      int64                       `json:"accepted"`
	Registrations map[string]int64            `json:"registrations"` // by state; adds up to Accepted
	Deliveries    map[string]int64            `json:"deliveries"`    // by state
	Destinations  []DestinationStatus         `json:"destinations"`
	Events        EventCounts                 `json:"events"`
	Forms         []FormStatus                `json:"forms,omitempty"`         // those that something came with that is no field of theirs
	Confirmations []onramp.ConfirmationStatus `json:"confirmations,omitempty"` // of forms with double opt-in
	health.Status
	Watch         watch.Status   `json:"watch,omitzero"`
	Suspicions    []Suspicion    `json:"suspicions,omitempty"` // what registrations were held for, and what became of them
	Surges        []Surge        `json:"surges,omitempty"`     // forms that get far more submissions than usual
	Tracing       *Tracing       `json:"tracing,omitempty"`    // nil: it is off
	Notices       []string       `json:"notices,omitempty"`    // what is unusual about the database, each with what to do
	Configuration *Configuration `json:"configuration,omitempty"`

	Retention *retention.Status `json:"retention,omitempty"` // nil: everything is kept for ever
}

// Tracing is how the sending of spans to the collector is doing: counts since the start.
type Tracing struct {
	Sent    int64  `json:"sent"`
	Waiting int64  `json:"waiting"`
	Failed  int64  `json:"failed"`           // the collector has refused them, or could not be reached
	Dropped int64  `json:"dropped"`          // ended while too many were waiting
	Reason  string `json:"reason,omitempty"` // why the last ones failed
}

// Configuration is when the configuration that runs was loaded, and in what it differs
// from the file that was read last.
type Configuration struct {
	LoadedAt     time.Time `json:"loaded_at"`
	NeedsRestart []string  `json:"needs_restart,omitempty"` // settings that the file has changed, and that hold from the next start on
	Refused      *Refusal  `json:"refused,omitempty"`       // the last reload; nil: it was not refused, or there was none
}

// Refusal is a reload that has changed nothing.
type Refusal struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // one line for each mistake
}

// DestinationStatus is how one destination is doing.
type DestinationStatus struct {
	Name    string     `json:"name"`
	State   string     `json:"state"` // running, throttled, blocked, paused, or unconfigured
	Reason  string     `json:"reason,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Waiting int64      `json:"waiting"`           // deliveries that are still to be made
	Unknown int64      `json:"unknown,omitempty"` // deliveries that an operator must decide about
	Oldest  *time.Time `json:"oldest"`            // when the longest waiting registration was accepted
	Behind  *Behind    `json:"behind,omitempty"`
	Late    *Late      `json:"late,omitempty"`

	Warnings []string `json:"warnings,omitempty"` // columns that were sent and not stored, each with what to do
}

// Late is what may be written late, over something newer: calls whose outcome is
// unknown, and journeys' events. When they are over, what was delivered after them
// is sent once more.
type Late struct {
	Keys   int64      `json:"keys"`            // subscriber keys that they are about; at most 10,000 are counted
	Until  *time.Time `json:"until,omitempty"` // when the last one is over
	Resend int64      `json:"resend"`          // deliveries to be sent once more; at most 10,000 are counted
}

// Behind is what waits for a retry of something else: deliveries with the same
// destination and ordering key go one after the other.
type Behind struct {
	Waiting int64      `json:"waiting"`          // at most 10,000 are counted
	Earlier int64      `json:"earlier"`          // deliveries that they wait for; the same
	Oldest  string     `json:"oldest,omitempty"` // id of the oldest of these
	Tries   int        `json:"tries"`            // of the oldest
	DueAt   *time.Time `json:"due_at,omitempty"` // of its next try
}

// EventCounts is how many events have come.
type EventCounts struct {
	Stored   int64 `json:"stored"`
	Repeated int64 `json:"repeated"` // came again, and were not stored
}

// Destination is a destination, how it is doing, and the deliveries that it has.
type Destination struct {
	Name          string
	Configured    bool     // else it only has deliveries from before, and Health is empty
	onramp.Health          // as the pump sees it
	Warnings      []string // columns that were sent and not stored, each with what to do
	Deliveries    map[onramp.DeliveryState]int64
}

// Waiting counts the deliveries that are still to be made.
func (d *Destination) Waiting() int64 {
	return d.Deliveries[onramp.DeliveryPending] + d.Deliveries[onramp.DeliveryWaiting] + d.Deliveries[onramp.DeliverySubmitted]
}

// Overview is how everything is at one moment, as far as it is in memory. It is
// what Status and the alerts go by.
type Overview struct {
	Counts       onramp.Counts // as of the last commit
	Destinations []Destination // by name: those that are configured, and those that have deliveries from before
	Notices      []string      // what was unusual about the database at the start
	Health       health.Status // as far as alerts look at it
	Watch        watch.Status  // whether what is sent arrives
	Guessing     Guessing      // of admin tokens
	Surges       []Surge       // forms that get far more submissions than usual

	Confirmations []onramp.ConfirmationStatus // by form; none without double opt-in

	Retention retention.Progress // how the removal of what is kept long enough is doing
}

// Guessing is a lasting burst of wrong admin tokens. The zero value: there is none.
type Guessing struct {
	Since, Last time.Time
	Wrong       int64 // tokens
}

// Overview returns at once.
func (d *Desk) Overview() Overview {
	o := Overview{Counts: d.Counts.Count(), Notices: d.Notices, Health: d.Health.Quick(), Confirmations: d.confirmations()}
	if d.Watch != nil {
		o.Watch = d.Watch()
	}
	if d.Surges != nil {
		o.Surges = d.Surges()
	}
	if d.Retention != nil {
		o.Retention = d.Retention.Progress()
	}
	if d.Guessing != nil {
		o.Guessing = d.Guessing()
	}
	known := map[string]Destination{}
	for name := range o.Counts.Deliveries {
		known[name] = Destination{Name: name, Deliveries: o.Counts.Deliveries[name]}
	}
	for _, h := range d.Pump.Health() {
		name := h.Destination.Name()
		known[name] = Destination{Name: name, Configured: true, Health: h, Warnings: d.warnings(name), Deliveries: o.Counts.Deliveries[name]}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		o.Destinations = append(o.Destinations, known[name])
	}
	return o
}

func (d *Desk) warnings(destination string) []string {
	if d.Rows == nil {
		return nil
	}
	return d.Rows.Warnings(destination)
}

// Oldest returns when the oldest registration was accepted that is still to be
// sent to a destination; zero when there is none.
func (d *Desk) Oldest(ctx context.Context, destination string) (time.Time, error) {
	return d.Counts.Oldest(ctx, destination)
}

// Status counts everything, and tells how each destination is doing. What is
// counted as sending or submitted is a look at the pump's memory, a moment later.
func (d *Desk) Status(ctx context.Context) (Status, error) {
	o := d.Overview()
	s := Status{
		Status: d.Health.Status(), Watch: o.Watch, Surges: o.Surges, Forms: d.ignoredFields(), Confirmations: o.Confirmations,
		Registrations: map[string]int64{}, Deliveries: map[string]int64{}, Destinations: []DestinationStatus{},
		Events: EventCounts{Stored: sum(o.Counts.Events), Repeated: sum(o.Counts.Repeated)}, Notices: append(slices.Clip(o.Notices), d.leftNotices()...),
	}
	if d.Tracing != nil {
		s.Tracing = d.Tracing()
	}
	if d.Configuration != nil {
		configuration := d.Configuration()
		s.Configuration = &configuration
	}
	trouble := d.trouble()
	if trouble != nil {
		s.Notices = append(slices.Clip(s.Notices), "the database can't be written: "+trouble.Error())
	}
	var err error
	if s.Suspicions, err = d.suspicions(ctx); err != nil && trouble == nil {
		return Status{}, err
	}
	s.countRegistrations(o.Counts.Registrations)
	for _, state := range onramp.DeliveryStates() {
		s.Deliveries[state.String()] = 0
	}
	for i := range o.Destinations {
		one, err := d.destinationStatus(ctx, &o.Destinations[i])
		if err != nil && trouble == nil { // with trouble, what can be had is better than nothing
			return Status{}, err
		}
		s.Destinations = append(s.Destinations, one)
		s.countDeliveries(&o.Destinations[i])
	}
	if d.Retention != nil && o.Retention.State != retention.Off {
		kept, err := d.Retention.Status(ctx)
		if err != nil && trouble == nil {
			return Status{}, err
		}
		s.Retention = &kept
	}
	return s, nil
}

// countRegistrations counts them by state; those that retention has removed have a line only
// if there are any.
func (s *Status) countRegistrations(counts map[onramp.RegistrationState]int64) {
	for _, state := range onramp.RegistrationStates() {
		s.Registrations[state.String()] = counts[state]
		s.Accepted += counts[state]
	}
	if n := counts[onramp.RegistrationRemoved]; n > 0 {
		s.Registrations[onramp.RegistrationRemoved.String()] = n
		s.Accepted += n
	}
}

// trouble is why the database can't be written, or nil.
func (d *Desk) trouble() error {
	if d.Health.Trouble == nil {
		return nil
	}
	return d.Health.Trouble()
}

// countDeliveries adds those of one destination. What is in flight is stored as
// pending.
func (s *Status) countDeliveries(d *Destination) {
	for state, n := range d.Deliveries {
		s.Deliveries[state.String()] += n
	}
	pending := d.Deliveries[onramp.DeliveryPending]
	submitted := min(int64(d.Submitted), pending)
	sending := min(int64(d.Sending), pending-submitted)
	s.Deliveries[onramp.DeliverySending.String()] += sending
	s.Deliveries[onramp.DeliverySubmitted.String()] += submitted
	s.Deliveries[onramp.DeliveryPending.String()] -= sending + submitted
}

func (d *Desk) destinationStatus(ctx context.Context, one *Destination) (DestinationStatus, error) {
	s := DestinationStatus{
		Name: one.Name, State: one.State, Reason: one.Explain(), Since: timePointer(one.Since), Waiting: one.Waiting(),
		Unknown: one.Deliveries[onramp.DeliveryUnknown], Warnings: one.Warnings,
	}
	if !one.Configured {
		s.State, s.Reason = unconfigured, whyUnconfigured(one.Name)
	}
	late, err := d.late(ctx, one.Name)
	if s.Late = late; s.Waiting == 0 || err != nil {
		return s, err
	}
	oldest, err := d.Oldest(ctx, one.Name)
	if err != nil {
		return s, err
	}
	s.Oldest = timePointer(oldest)
	s.Behind, err = d.behind(ctx, one.Name)
	return s, err
}

// unconfigured is the state of a destination that has deliveries from before only.
const unconfigured = "unconfigured"

func whyUnconfigured(destination string) string {
	if onramp.IsSinkName(destination) {
		return "it is no longer configured as a sink"
	}
	return "no form uses it any more"
}

// HeldUp is why the target of a resend takes nothing now, "" when it does: a destination,
// or any of those that routes lead to.
func (d *Desk) HeldUp(target string) string {
	for _, one := range d.Overview().Destinations {
		switch {
		case target == resend.Routes && !onramp.IsSinkName(one.Name) && one.Configured && one.State != "running":
			return one.Name + " is " + one.State + ": " + one.Explain()
		case one.Name != target || one.Configured && one.State == "running":
		case !one.Configured:
			return "it is no longer configured"
		default:
			return one.State + ": " + one.Explain()
		}
	}
	return ""
}

func (d *Desk) late(ctx context.Context, destination string) (*Late, error) {
	keys, resends, until, err := d.Counts.Late(ctx, destination)
	if err != nil || keys+resends == 0 {
		return nil, err
	}
	return &Late{Keys: keys, Until: timePointer(until), Resend: resends}, nil
}

func (d *Desk) behind(ctx context.Context, destination string) (*Behind, error) {
	waiting, earlier, oldest, err := d.Counts.Behind(ctx, destination)
	if err != nil || waiting == 0 {
		return nil, err
	}
	b := &Behind{Waiting: waiting, Earlier: earlier}
	if oldest.Seq > 0 {
		b.Oldest, b.Tries, b.DueAt = oldest.ID(), oldest.Tries, timePointer(oldest.DueAt)
	}
	return b, nil
}

func sum(counts map[string]int64) (n int64) {
	for _, one := range counts {
		n += one
	}
	return n
}
