package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/retention"
	"onramp/internal/watch"
)

const (
	// stateFor is how long the state may take: less than Prometheus waits for a scrape.
	stateFor = 5 * time.Second
	// causesEvery is how old the causes may be: they are counted by reading all failed
	// deliveries.
	causesEvery = 30 * time.Second
	// mostCauses are told apart; the others are one.
	mostCauses = 50
)

// Desk tells how everything is. An [operator.Desk] is one.
type Desk interface {
	Overview() operator.Overview
	Status(ctx context.Context) (operator.Status, error)
	ListCauses(ctx context.Context, f onramp.Filter) (operator.Causes, error)
}

// state collects what the gateway is like at the moment of a scrape.
type state struct {
	desk Desk

	mu       sync.Mutex // held while it is collected
	causes   []operator.Cause
	failed   int64 // deliveries, when the causes were read
	causesAt time.Time
}

var (
	up            = describe("status_up", "1 if the whole state could be read within 5 s; 0: what needs the database is missing from this scrape.")
	accepted      = describe("registrations_accepted_total", "Registrations that were accepted, ever.")
	registrations = describe("registrations", "Registrations, by state.", "state")
	deliveries    = describe("deliveries", "Deliveries, by destination and state.", "destination", "state")
	inFlight      = describe("deliveries_in_flight", "Deliveries on their way: sending, or submitted to the asynchronous route and not confirmed yet.", "destination", "stage")
	standing      = describe("destination_state", "1 for the state that a destination is in, 0 for the others.", "destination", "state")
	oldest        = describe("oldest_waiting_seconds", "Age of the oldest registration or event that is still to be sent to a destination; 0: there is none.", "destination")
	failures      = describe("failed_deliveries", "Dead and unknown deliveries by cause, as onramp deliveries list --by-cause names it; the 50 largest groups, the rest is the cause other.", "destination", "state", "cause")
	stored        = describe("events_stored_total", "Events that came and were stored, ever.", "callback")
	repeated      = describe("events_repeated_total", "Events that came again and were not stored, ever.", "callback")

	writable   = describe("database_writable", "1 if the database can be written to; 0: registrations are answered with 503.")
	notices    = describe("database_notices", "What is unusual about the database; see onramp status.")
	diskFree   = describe("disk_free_bytes", "Free space on the database's disk.")
	diskSize   = describe("disk_size_bytes", "Size of the database's disk.")
	tokenAge   = describe("token_age_seconds", "Age of the access token for Marketing Cloud.")
	tokenBad   = describe("token_failed", "1 if the last request for an access token has failed.")
	clockAhead = describe("clock_ahead_seconds", "By how much Marketing Cloud's clock is ahead of this machine's; below 0: it is behind.")
	expires    = describe("certificate_expires_timestamp_seconds", "When the certificate that a listener shows for a host expires; missing: there is none.", "listener", "host")
	checks     = describe("check_state", "1 for the state of a check of what the configuration names in Marketing Cloud, 0 for the others.", "check", "state")
	yearCalls  = describe("year_calls", "Calls to Marketing Cloud in the contract's year, by what they are for.", "route")
	yearLimit  = describe("year_calls_limit", "marketing_cloud.calls_per_year; missing if it is 0.")

	canaries   = describe("canary_state", "1 for the state of a form's canaries, 0 for the others.", "form", "state")
	canaryAt   = describe("canary_arrived_timestamp_seconds", "When a canary of a form has arrived last.", "form")
	quiet      = describe("quiet_forms", "Forms that have had no registration for much longer than usual; see onramp status.")
	surges     = describe("surging_forms", "Forms that get far more submissions than usual; see onramp status.")
	suspects   = describe("suspects", "Registrations that were held under suspicion, by its reason and what became of them: waiting, released (held for nothing) or discarded.", "reason", "outcome")
	drifted    = describe("columns_drifted", "1 for a data extension whose columns no longer take what the forms send: nothing is sent to it.", "destination")
	loadedAt   = describe("configuration_loaded_timestamp_seconds", "When the configuration that runs was loaded.")
	reloadBad  = describe("configuration_reload_failed", "1 if the last reload was refused; see onramp status.")
	spans      = describe("spans_total", "Spans of distributed traces that were sent, refused by the collector (failed), or too many (dropped).", "result")
	keptBehind = describe("retention_behind", "1 if what is kept too long has not been removed for more than a day; missing: everything is kept for ever.")
	keptRun    = describe("retention_run_timestamp_seconds", "When everything had been looked at the last time that is to be removed after its time.")
	keptGone   = describe("retention_removed_total", "What was removed after its time, ever: registrations by what had become of them, events, and the requests and answers of attempts.", "what")
	keptOldest = describe("retention_oldest_timestamp_seconds", "When the oldest was received that is stored, by what it is.", "what")
	needsStart = describe("configuration_needs_restart", "Settings that the file has changed and that hold from the next start on.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// descriptions are all of them.
func descriptions() []*prometheus.Desc {
	return []*prometheus.Desc{
		up, accepted, registrations, deliveries, inFlight, standing, oldest, failures, stored, repeated,
		writable, notices, diskFree, diskSize, tokenAge, tokenBad, clockAhead, expires, checks, yearCalls, yearLimit,
		canaries, canaryAt, quiet, surges, suspects, drifted, spans, loadedAt, reloadBad, keptBehind, keptRun, keptGone, keptOldest, needsStart,
	}
}

// Describe gives what Collect may give.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions() {
		out <- d
	}
}

// Collect gives the state. Without the database it gives what is in memory.
func (s *state) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, stop := context.WithTimeout(context.Background(), stateFor)
	defer stop()
	g := gauges{out, time.Now()}
	overview := s.desk.Overview()
	g.overview(&overview)
	g.watched(&overview.Watch)
	status, err := s.desk.Status(ctx)
	if err == nil {
		err = s.readCauses(ctx, &overview, g.now)
		g.status(&status)
		g.failures(s.causes)
	}
	g.yes(up, err == nil)
}

// readCauses reads the causes anew if there may be others.
func (s *state) readCauses(ctx context.Context, o *operator.Overview, now time.Time) error {
	var failed int64
	for _, d := range o.Destinations {
		failed += d.Deliveries[onramp.DeliveryDead] + d.Deliveries[onramp.DeliveryUnknown]
	}
	if failed == s.failed && failed == 0 || now.Sub(s.causesAt) < causesEvery {
		return nil
	}
	found, err := s.desk.ListCauses(ctx, onramp.Filter{})
	if err == nil {
		s.causes, s.failed, s.causesAt = found.Items, failed, now
	}
	return err
}

// gauges writes one collection.
type gauges struct {
	out chan<- prometheus.Metric
	now time.Time
}

func (g gauges) set(d *prometheus.Desc, value float64, labels ...string) {
	g.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (g gauges) count(d *prometheus.Desc, value int64, labels ...string) {
	g.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (g gauges) yes(d *prometheus.Desc, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	g.set(d, value, labels...)
}

// one says which of several states something is in.
func (g gauges) one(d *prometheus.Desc, of, is string, states ...string) {
	for _, s := range states {
		g.yes(d, s == is, of, s)
	}
}

// at gives a time, unless it is not known.
func (g gauges) at(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		g.set(d, float64(t.UnixMilli())/1000, labels...)
	}
}

// overview is what is in memory.
func (g gauges) overview(o *operator.Overview) {
	var all int64
	for _, state := range onramp.RegistrationStates() {
		n := o.Counts.Registrations[state]
		all += n
		g.set(registrations, float64(n), state.String())
	}
	removed := o.Counts.Registrations[onramp.RegistrationRemoved]
	all += removed
	g.set(registrations, float64(removed), onramp.RegistrationRemoved.String())
	g.count(accepted, all)
	for callback, n := range o.Counts.Events {
		g.count(stored, n, callback)
	}
	for callback, n := range o.Counts.Repeated {
		g.count(repeated, n, callback)
	}
	for i := range o.Destinations {
		g.destination(&o.Destinations[i])
	}
	if c := o.Health.Clock; c != nil && !c.CheckedAt.IsZero() {
		g.set(clockAhead, c.Ahead)
	}
	for _, c := range o.Health.Certificates {
		for _, host := range c.Hosts {
			g.at(expires, c.ExpiresAt, c.Listener, host)
		}
	}
	for i := range o.Health.Checks {
		c := &o.Health.Checks[i]
		g.one(checks, c.Name, string(c.State), states(health.CheckPending, health.CheckPassed, health.CheckFailed, health.CheckUnchecked, health.CheckAway)...)
	}
	if calls := o.Health.Calls; calls != nil {
		for kind, n := range calls.Year {
			g.set(yearCalls, float64(n), string(kind))
		}
		if calls.PerYear > 0 {
			g.set(yearLimit, float64(calls.PerYear))
		}
	}
}

func states[S ~string](all ...S) []string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return names
}

func (g gauges) destination(d *operator.Destination) {
	by := map[string]int64{}
	for _, state := range onramp.DeliveryStates() {
		by[state.String()] = 0
	}
	for state, n := range d.Deliveries { // two states have one public name
		by[state.String()] += n
	}
	// what is in flight is stored as pending, and has a metric of its own
	delete(by, onramp.DeliverySending.String())
	delete(by, onramp.DeliverySubmitted.String())
	for state, n := range by {
		g.set(deliveries, float64(n), d.Name, state)
	}
	g.set(inFlight, float64(d.Sending), d.Name, "sending")
	g.set(inFlight, float64(d.Submitted), d.Name, "submitted")
}

// watched is whether what is sent arrives.
func (g gauges) watched(w *watch.Status) {
	for i := range w.Canaries {
		c := &w.Canaries[i]
		g.one(canaries, c.Form, string(c.State), states(watch.CanaryPending, watch.CanaryArrived, watch.CanaryFailed, watch.CanaryUnfit)...)
		g.at(canaryAt, c.ArrivedAt, c.Form)
	}
	g.set(quiet, float64(len(w.Quiet)))
	for i := range w.Schemas {
		g.yes(drifted, w.Schemas[i].State == watch.SchemaDrifted, w.Schemas[i].Destination)
	}
}

// kept is how the removal of what is kept long enough is doing.
func (g gauges) kept(s *retention.Status) {
	if s == nil {
		return
	}
	g.yes(keptBehind, s.State == retention.Behind)
	g.at(keptRun, s.LastRun)
	for i := range s.Kept {
		k := &s.Kept[i]
		g.count(keptGone, k.Removed, k.What)
		g.at(keptOldest, k.Oldest, k.What)
	}
}

// status is what only the whole status tells.
func (g gauges) status(s *operator.Status) {
	for i := range s.Destinations {
		d := &s.Destinations[i]
		g.one(standing, d.Name, d.State, "running", "throttled", "blocked", "paused", "unconfigured")
		age := 0.0
		if d.Oldest != nil {
			age = max(g.now.Sub(*d.Oldest).Seconds(), 0)
		}
		g.set(oldest, age, d.Name)
	}
	g.set(surges, float64(len(s.Surges)))
	for i := range s.Suspicions {
		one := &s.Suspicions[i]
		for outcome, n := range map[string]int64{"waiting": one.Waiting, "released": one.Released, "discarded": one.Discarded} {
			g.set(suspects, float64(n), one.Reason, outcome)
		}
	}
	g.yes(writable, s.Store.State == "ok")
	g.kept(s.Retention)
	g.set(notices, float64(len(s.Notices)))
	if s.Disk != nil && s.Disk.Total > 0 {
		g.set(diskFree, float64(s.Disk.Free))
		g.set(diskSize, float64(s.Disk.Total))
	}
	if s.Token != nil {
		g.yes(tokenBad, !s.Token.FailedAt.IsZero())
		if !s.Token.Since.IsZero() {
			g.set(tokenAge, g.now.Sub(s.Token.Since).Seconds())
		}
	}
	if s.Tracing != nil {
		g.count(spans, s.Tracing.Sent, "sent")
		g.count(spans, s.Tracing.Failed, "failed")
		g.count(spans, s.Tracing.Dropped, "dropped")
	}
	if c := s.Configuration; c != nil {
		g.at(loadedAt, c.LoadedAt)
		g.yes(reloadBad, c.Refused != nil)
		g.set(needsStart, float64(len(c.NeedsRestart)))
	}
}

// failures are the failed deliveries by cause, the largest groups first.
func (g gauges) failures(causes []operator.Cause) {
	type group struct{ destination, state string }
	rest := map[group]int64{}
	for i := range causes {
		c := &causes[i]
		if i < mostCauses {
			g.set(failures, float64(c.Count), c.Destination, c.State, c.Cause)
		} else {
			rest[group{c.Destination, c.State}] += c.Count
		}
	}
	for of, n := range rest {
		g.set(failures, float64(n), of.destination, of.state, "other")
	}
}
