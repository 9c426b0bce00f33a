package setup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// statusPatience is how long Status waits for Marketing Cloud.
const statusPatience = 20 * time.Second

const (
	hintSetup = "run onramp ens setup"
	hintPrune = "name it there, or run onramp ens setup --prune"
)

// Status tells how everything stands that the configuration names, what is wrong
// with it, and what of ours there is beyond it. When Marketing Cloud can't be
// asked it says so, and tells what is known without it; an error is one of the
// store. It changes nothing, and may be called while a setup is under way.
func (s *Setup) Status(ctx context.Context) (Status, error) {
	have, err := s.lookHere(ctx)
	if err != nil {
		return Status{}, err
	}
	status := Status{}
	patience, stop := context.WithTimeout(ctx, statusPatience)
	defer stop()
	if err := s.lookThere(patience, have); err != nil {
		status.Unreachable = err.Error()
	}
	v := &view{plan: &plan{Setup: s, have: have, learned: newLessons()}, blind: status.Unreachable != ""}
	status.Schemes = v.schemes()
	for i := range s.Callbacks {
		c, err := v.callback(ctx, &s.Callbacks[i])
		if err != nil {
			return status, err
		}
		status.Callbacks = append(status.Callbacks, c)
	}
	for _, o := range have.extra(s.Callbacks) {
		c, err := v.extraCallback(ctx, o)
		if err != nil {
			return status, err
		}
		status.Callbacks = append(status.Callbacks, c)
	}
	return status, nil
}

// view compares what there is with what is to be.
type view struct {
	*plan
	blind  bool // Marketing Cloud could not be asked
	wanted []*scheme
}

// schemes tells how the schemes stand.
func (v *view) schemes() []SchemeStatus {
	v.wanted, _ = v.Setup.schemes(v.have) // who lacks a secret is told of with the callback
	var list []SchemeStatus
	for _, s := range v.wanted {
		list = append(list, v.schemeStatus(s))
	}
	for _, s := range v.have.ownSchemes(v.PublicURL + v.TokenPath) {
		isWanted := slices.ContainsFunc(v.wanted, func(w *scheme) bool { return w.name == s.Name || w.want.AuthID == s.AuthID })
		if !isWanted {
			list = append(list, SchemeStatus{Name: s.Name, AuthID: s.AuthID, State: StateExtra, Wrong: notNamed()})
		}
	}
	return list
}

func notNamed() []Finding {
	return []Finding{{What: "the configuration does not name it", Hint: hintPrune}}
}

func (v *view) schemeStatus(s *scheme) SchemeStatus {
	status := SchemeStatus{Name: s.name, State: StateMissing}
	kept := v.have.kept(s.name, v.learned)
	if kept != nil {
		s.want.AuthID, status.AuthID = kept.AuthID, kept.AuthID
	}
	switch {
	case v.blind:
		status.State = StateUnknown
	case kept == nil:
		status.Wrong = []Finding{{What: "it is not in Marketing Cloud", Hint: hintSetup}}
	case !v.have.matches(s, kept):
		status.State = StateDiffers
		status.Wrong = []Finding{{What: "its secrets or its token endpoint are not those of the configuration", Hint: hintSetup}}
	default:
		status.State = StatePresent
	}
	return status
}

func (v *view) callback(ctx context.Context, c *onramp.Callback) (CallbackStatus, error) {
	pl := v.newPlace(c, v.wanted)
	pl.record = v.have.records[c.Name]
	status := CallbackStatus{
		Name: c.Name, URL: pl.url, CallbackID: pl.record.CallbackID, State: StateUnknown, Scheme: schemeName(c),
	}
	if err := v.traffic(ctx, &status); err != nil {
		return status, err
	}
	if _, err := v.submission(v.have, c); status.Scheme != "" && err != nil {
		status.Wrong = append(status.Wrong, Finding{What: err.Error(), Hint: "give it one"})
	}
	if !v.blind {
		status.Wrong = append(status.Wrong, v.judge(pl)...)
		status.State, status.CallbackID = StateMissing, ""
		if pl.there != nil {
			status.State, status.CallbackID = StateUnverified, pl.there.CallbackID
		}
		if pl.verified {
			status.State = StateVerified
		}
	}
	status.Wrong = append(status.Wrong, v.subscriptions(pl, &status)...)
	if n := status.Refused[onramp.RefusedWrongSignature]; n > 0 {
		status.Wrong = append(status.Wrong, Finding{
			What: fmt.Sprintf("%d calls came with a wrong signature since the start", n),
			Hint: "if they are Marketing Cloud's, its key was made anew elsewhere: onramp ens remove " + c.Name + ", then onramp ens setup",
		})
	}
	return status, nil
}

// traffic tells what came to a callback.
func (v *view) traffic(ctx context.Context, status *CallbackStatus) error {
	last, err := v.Store.LastEvent(ctx, status.Name)
	if err != nil {
		return fmt.Errorf("find last event of callback %s: %w", status.Name, err)
	}
	if !last.IsZero() {
		status.LastEvent = &last
	}
	if v.Refusals != nil {
		status.Refused = v.Refusals(status.Name)
	}
	if v.Taken != nil {
		status.Taken = v.Taken(status.Name)
	}
	return nil
}

// judge finds a callback in Marketing Cloud and says what is wrong with it.
func (v *view) judge(pl *place) (wrong []Finding) {
	finding := func(what string) { wrong = append(wrong, Finding{What: what, Hint: hintSetup}) }
	for _, c := range v.have.callbacksOf(pl.Name) {
		if name, ok := cutBase(c.URL, v.have.base); ok && name == pl.Name {
			pl.there = &c
		} else {
			finding("Marketing Cloud still has one at " + c.URL)
		}
	}
	if pl.there == nil {
		finding("it is not in Marketing Cloud")
		return wrong
	}
	why := v.obstacle(pl, *pl.there) // before what Marketing Cloud tells is taken over
	keyless := pl.find(v.Now())
	switch differences := pl.differences(); {
	case why != "":
		finding("it must be deleted and made again, since " + why)
	case !pl.verified:
		finding("it is not verified, so it can have no subscriptions")
	case keyless:
		finding("its signature key is not known here")
	case differences != "":
		finding("it is to be otherwise: " + differences)
	}
	return wrong
}

// subscriptions tells how the subscriptions of a callback stand.
func (v *view) subscriptions(pl *place, status *CallbackStatus) (wrong []Finding) {
	finding := func(what string) { wrong = append(wrong, Finding{What: what, Hint: hintSetup}) }
	for i := range pl.Subscriptions {
		want := &pl.Subscriptions[i]
		one := SubscriptionStatus{Name: want.Name, State: StateUnknown, Types: want.Types, Filters: want.Filters}
		var there *sfmc.Subscription
		if pl.there != nil {
			there = subscriptionOf(v.have.subscriptions[pl.there.CallbackID], want.Name)
		}
		switch {
		case v.blind:
		case there == nil:
			one.State = StateMissing
			finding("subscription " + want.Name + " is not in Marketing Cloud")
		default:
			one = present(there)
			if !same(want.Types, there.EventCategoryTypes) || !same(want.Filters, there.Filters) {
				one.State = StateDiffers
				finding("subscription " + want.Name + " has other types or filters than configured")
			}
			if isPaused(there) && !want.Paused {
				finding(fmt.Sprintf("subscription %s is %s (%s), and events are dropped", want.Name, there.Status, cmp.Or(there.StatusReason, "no reason is given")))
			}
			if !isPaused(there) && want.Paused {
				finding("subscription " + want.Name + " is active, though it is to be paused")
			}
		}
		status.Subscriptions = append(status.Subscriptions, one)
	}
	if pl.there != nil {
		for _, there := range v.extraSubscriptions(pl, *pl.there) {
			status.Subscriptions = append(status.Subscriptions, extra(&there))
			wrong = append(wrong, Finding{
				What: "the configuration does not name subscription " + there.SubscriptionName, Hint: hintPrune,
			})
		}
	}
	return wrong
}

// present is how a subscription stands in Marketing Cloud.
func present(there *sfmc.Subscription) SubscriptionStatus {
	one := SubscriptionStatus{
		Name: there.SubscriptionName, State: StateActive, Types: there.EventCategoryTypes, Filters: there.Filters,
	}
	if isPaused(there) {
		one.State = StatePaused
	}
	return one
}

func extra(there *sfmc.Subscription) SubscriptionStatus {
	one := present(there)
	one.State = StateExtra
	return one
}

// extraCallback tells of a callback that the configuration does not name.
func (v *view) extraCallback(ctx context.Context, o orphan) (CallbackStatus, error) {
	record := v.have.records[o.name]
	status := CallbackStatus{Name: o.name, URL: record.URL, CallbackID: record.CallbackID, State: StateExtra}
	status.Wrong = notNamed()
	for _, c := range o.callbacks {
		status.URL, status.CallbackID = c.URL, c.CallbackID
		for _, there := range v.have.subscriptions[c.CallbackID] {
			status.Subscriptions = append(status.Subscriptions, extra(&there))
		}
	}
	return status, v.traffic(ctx, &status)
}
