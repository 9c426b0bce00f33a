package setup

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// statusPatience is how long Status waits for Marketing Cloud.
const statusPatience = 20 * time.Second

const (
	hintSetup = "run onramp ens setup"
	hintPrune = "add it there, or run onramp ens setup --prune"
)

// Status compares everything that the configuration names with its actual state,
// and lists what else there is of ours. When Marketing Cloud can't be asked it says
// so, and what is known without it; an error is one of the store. It changes
// nothing, and may be called while a setup is running.
func (s *Setup) Status(ctx context.Context) (Status, error) {
	actual, err := s.readStored(ctx)
	if err != nil {
		return Status{}, err
	}
	status := Status{}
	if s.cfg.Unreadable != nil {
		unreadable, err := s.cfg.Unreadable(ctx)
		if err != nil {
			return Status{}, err
		}
		for _, u := range unreadable {
			status.Wrong = append(status.Wrong, Finding{What: fmt.Sprintf("the stored %s %s can't be read", u.Kind, u.Name), Hint: u.Hint})
		}
	}
	patience, stop := context.WithTimeout(ctx, statusPatience)
	defer stop()
	if err := s.readAccount(patience, actual); err != nil {
		status.Unreachable = err.Error()
	}
	return status, s.compare(ctx, actual, &status)
}

// compare fills a status in.
func (s *Setup) compare(ctx context.Context, actual *inventory, status *Status) error {
	v := &view{plan: &plan{Setup: s, actual: actual, observed: newObserved()}, unreachable: status.Unreachable != ""}
	status.Schemes = v.schemeStatuses()
	for i := range s.cfg.Callbacks {
		c, err := v.callbackStatus(ctx, &s.cfg.Callbacks[i])
		if err != nil {
			return err
		}
		status.Callbacks = append(status.Callbacks, c)
	}
	for _, u := range actual.unmanaged(s.cfg.Callbacks) {
		c, err := v.unmanagedStatus(ctx, u)
		if err != nil {
			return err
		}
		status.Callbacks = append(status.Callbacks, c)
	}
	return nil
}

// view compares the actual state with the desired one.
type view struct {
	*plan
	unreachable bool // Marketing Cloud could not be asked
	desired     []*scheme
}

func (v *view) schemeStatuses() []SchemeStatus {
	v.desired, _ = v.desiredSchemes(v.actual) // a missing secret is reported with the callback
	var list []SchemeStatus
	for _, s := range v.desired {
		list = append(list, v.schemeStatus(s))
	}
	for _, s := range v.actual.unmanagedSchemes(v.tokenURL(), v.desired) {
		list = append(list, SchemeStatus{Name: s.Name, AuthID: s.AuthID, State: StateExtra, Wrong: unmanagedFinding()})
	}
	return list
}

func unmanagedFinding() []Finding {
	return []Finding{{What: "it is not in the configuration", Hint: hintPrune}}
}

func (v *view) schemeStatus(s *scheme) SchemeStatus {
	status := SchemeStatus{Name: s.name, State: StateMissing}
	record := v.actual.recordOf(s.name, v.observed)
	if record != nil {
		s.desired.AuthID, status.AuthID = record.AuthID, record.AuthID
	}
	switch {
	case v.unreachable:
		status.State = StateUnknown
	case record == nil:
		status.Wrong = []Finding{{What: "it is not in Marketing Cloud", Hint: hintSetup}}
	case !v.actual.matches(s, record):
		status.State = StateDiffers
		status.Wrong = []Finding{{What: "its secrets or its token endpoint differ from the configuration", Hint: hintSetup}}
	default:
		status.State = StatePresent
	}
	return status
}

func (v *view) callbackStatus(ctx context.Context, c *onramp.Callback) (CallbackStatus, error) {
	cb := v.newCallback(c, v.desired)
	cb.record = v.actual.records[c.Name]
	status := CallbackStatus{
		Name: c.Name, URL: cb.url, CallbackID: cb.record.CallbackID, State: StateUnknown, Scheme: schemeName(c),
	}
	if err := v.traffic(ctx, &status); err != nil {
		return status, err
	}
	if status.Scheme != "" && v.cfg.StoredClients != nil {
		if _, err := v.submission(v.actual, c); err != nil {
			status.Wrong = append(status.Wrong, Finding{What: err.Error(), Hint: "set its client and user to ones that have a secret; onramp keys new creates one"})
		}
	}
	if !v.unreachable {
		status.Wrong = append(status.Wrong, v.compare(cb)...)
		status.State, status.CallbackID = StateMissing, ""
		if cb.actual != nil {
			status.State, status.CallbackID = StateUnverified, cb.actual.CallbackID
		}
		if cb.verified {
			status.State = StateVerified
		}
	}
	for i := range cb.Subscriptions {
		one, wrong := v.subscriptionStatus(cb, &cb.Subscriptions[i])
		status.Subscriptions, status.Wrong = append(status.Subscriptions, one), append(status.Wrong, wrong...)
	}
	if cb.actual != nil {
		for _, actual := range v.unmanagedSubscriptions(cb, *cb.actual) {
			status.Subscriptions = append(status.Subscriptions, existing(&actual, StateExtra))
			status.Wrong = append(status.Wrong, Finding{
				What: "subscription " + actual.SubscriptionName + " is not in the configuration", Hint: hintPrune,
			})
		}
	}
	if n := status.Refused[onramp.RefusedWrongSignature]; n > 0 {
		status.Wrong = append(status.Wrong, Finding{
			What: fmt.Sprintf("%d calls had a wrong signature since the start", n),
			Hint: "if they come from Marketing Cloud, its signature key was regenerated elsewhere: run onramp ens remove " + c.Name + ", then onramp ens setup",
		})
	}
	if n := status.Refused[onramp.RefusedNoSignature]; n > 0 && c.Auth != onramp.SignatureOnly {
		status.Wrong = append(status.Wrong, Finding{
			What: fmt.Sprintf("%d batches came with a token but without a signature since the start, and were refused", n),
			Hint: "if they come from Marketing Cloud, which has signed its batches before, set ens.callbacks." + c.Name + ".unsigned: allow; " +
				"otherwise the client's secret or a token has leaked: give the client a new secret",
		})
	}
	return status, nil
}

// traffic fills in what came to a callback.
func (v *view) traffic(ctx context.Context, status *CallbackStatus) error {
	if v.cfg.Arrivals == nil {
		return nil
	}
	last, err := v.cfg.Arrivals.LastEvent(ctx, status.Name)
	if err != nil {
		return fmt.Errorf("find last event of callback %s: %w", status.Name, err)
	}
	if !last.IsZero() {
		status.LastEvent = &last
	}
	if v.cfg.Refusals != nil {
		status.Refused = v.cfg.Refusals(status.Name)
	}
	if v.cfg.Taken != nil {
		status.Taken = v.cfg.Taken(status.Name)
	}
	return nil
}

// compare finds a callback in Marketing Cloud and says what is wrong with it.
func (v *view) compare(cb *callback) (wrong []Finding) {
	finding := func(what string) { wrong = append(wrong, Finding{What: what, Hint: hintSetup}) }
	for _, c := range v.actual.callbacksOf(cb.Name) {
		if name, ok := cutBase(c.URL, v.actual.base); ok && name == cb.Name {
			cb.actual = &c
		} else {
			finding("Marketing Cloud still has a callback at " + c.URL)
		}
	}
	if cb.actual == nil {
		finding("it is not in Marketing Cloud")
		return wrong
	}
	why := v.whyRecreate(cb, *cb.actual) // before the record takes over what Marketing Cloud says
	keyKnown := cb.adopt(v.cfg.Now())
	switch differences := cb.differences(); {
	case why != "":
		finding("it must be deleted and recreated, since " + why)
	case !cb.verified:
		finding("it is not verified, so it can have no subscriptions")
	case !keyKnown:
		finding("its signature key is not stored here")
	case differences != "":
		finding("it is not as configured: " + differences)
	}
	return wrong
}

func (v *view) subscriptionStatus(cb *callback, desired *onramp.Subscription) (status SubscriptionStatus, wrong []Finding) {
	finding := func(what string) {
		wrong = append(wrong, Finding{What: "subscription " + desired.Name + " " + what, Hint: hintSetup})
	}
	status = SubscriptionStatus{Name: desired.Name, State: StateUnknown, Types: desired.Types, Filters: desired.Filters}
	if v.unreachable {
		return status, nil
	}
	actual := v.actual.subscriptionOf(cb, desired.Name)
	if actual == nil {
		finding("is not in Marketing Cloud")
		status.State = StateMissing
		return status, wrong
	}
	state := StateActive
	if isPaused(actual) {
		state = StatePaused
	}
	if subscriptionDiffers(desired, actual) {
		finding("has other types or filters than configured")
		state = StateDiffers
	}
	switch {
	case isPaused(actual) && !desired.Paused:
		finding(fmt.Sprintf("is %s (%s), so its events are dropped", actual.Status, cmp.Or(actual.StatusReason, "no reason given")))
	case !isPaused(actual) && desired.Paused:
		finding("is active, but configured as paused")
	}
	return existing(actual, state), wrong
}

// existing is the status of a subscription as Marketing Cloud has it.
func existing(actual *sfmc.Subscription, state State) SubscriptionStatus {
	return SubscriptionStatus{Name: actual.SubscriptionName, State: state, Types: actual.EventCategoryTypes, Filters: actual.Filters}
}

// unmanagedStatus is the status of a callback that is not in the configuration.
func (v *view) unmanagedStatus(ctx context.Context, u unmanagedCallback) (CallbackStatus, error) {
	record := v.actual.records[u.name]
	status := CallbackStatus{Name: u.name, URL: record.URL, CallbackID: record.CallbackID, State: StateExtra, Wrong: unmanagedFinding()}
	for _, c := range u.callbacks {
		status.URL, status.CallbackID = c.URL, c.CallbackID
		for _, actual := range v.actual.subscriptions[c.CallbackID] {
			status.Subscriptions = append(status.Subscriptions, existing(&actual, StateExtra))
		}
	}
	return status, v.traffic(ctx, &status)
}
