package setup

import (
	"context"
	"errors"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// The states of a subscription. Vendor page "Update Subscription".
const (
	statusActive = "active"
	statusPaused = "paused"
)

// unmanagedSubscriptions lists those of a callback in Marketing Cloud that are not
// in the configuration.
func (p *plan) unmanagedSubscriptions(cb *callback, c sfmc.Callback) []sfmc.Subscription {
	var list []sfmc.Subscription
	for _, actual := range p.actual.subscriptions[c.CallbackID] {
		if !slices.ContainsFunc(cb.Subscriptions, func(s onramp.Subscription) bool { return s.Name == actual.SubscriptionName }) {
			list = append(list, actual)
		}
	}
	return list
}

func (p *plan) planUnmanagedSubscriptions(cb *callback, prune bool) {
	if cb.actual == nil {
		return
	}
	for _, actual := range p.unmanagedSubscriptions(cb, *cb.actual) {
		if prune {
			p.deleteSubscription(cb.Name, actual, notConfigured)
		} else {
			p.leave(Subscription, actual.SubscriptionName, "of callback "+cb.Name+": "+leftAsItIs)
		}
	}
}

func (p *plan) planSubscriptions(cb *callback) {
	for i := range cb.Subscriptions {
		desired := &cb.Subscriptions[i]
		if actual := p.actual.subscriptionOf(cb, desired.Name); actual == nil {
			p.createSubscription(cb, desired)
		} else {
			p.planSubscriptionChanges(cb, desired, actual)
		}
	}
}

// subscriptionOf finds a subscription of a callback by its name; nil when either is
// not in Marketing Cloud.
func (h *inventory) subscriptionOf(cb *callback, name string) *sfmc.Subscription {
	if cb.actual == nil {
		return nil
	}
	list := h.subscriptions[cb.actual.CallbackID]
	i := slices.IndexFunc(list, func(s sfmc.Subscription) bool { return s.SubscriptionName == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func describeSubscription(callback string, s *onramp.Subscription) string {
	text := "of callback " + callback + ": " + strings.Join(s.Types, ", ")
	if len(s.Filters) > 0 {
		text += ", where " + strings.Join(s.Filters, " and ")
	}
	return text
}

var errNoSubscriptionID = errors.New("the answer has no subscriptionId")

const hintSubscription = "its name must be unique in the account (another environment of the same account may use it: rename it under subscriptions, or delete the other one there with --prune), " +
	"the account must have its types, and its filters must be ones that all of its types have"

func (p *plan) createSubscription(cb *callback, desired *onramp.Subscription) {
	created := &sfmc.Subscription{}
	p.add(step{
		Step: Step{Kind: Create, Object: Subscription, Name: desired.Name, Detail: describeSubscription(cb.Name, desired)},
		do: func(ctx context.Context) error {
			s, err := p.cfg.Account.CreateSubscription(ctx, sfmc.Subscription{
				SubscriptionName: desired.Name, CallbackID: cb.record.CallbackID, EventCategoryTypes: desired.Types, Filters: desired.Filters,
			})
			*created = s
			return err
		},
		hint: hintSubscription,
	})
	if desired.Paused {
		// a new one is always active
		p.updateSubscription(Pause, cb, desired, created)
	}
}

// planSubscriptionChanges plans what is still to do about a subscription that
// exists.
func (p *plan) planSubscriptionChanges(cb *callback, desired *onramp.Subscription, actual *sfmc.Subscription) {
	switch toggled := desired.Paused != isPaused(actual); {
	case subscriptionDiffers(desired, actual):
		p.updateSubscription(Update, cb, desired, actual)
	case toggled && desired.Paused:
		p.updateSubscription(Pause, cb, desired, actual)
	case toggled:
		p.updateSubscription(Resume, cb, desired, actual)
	default:
		p.keep(Subscription, desired.Name, describeSubscription(cb.Name, desired))
	}
}

// subscriptionDiffers says whether types or filters differ, in whatever order.
func subscriptionDiffers(desired *onramp.Subscription, actual *sfmc.Subscription) bool {
	return !same(desired.Types, actual.EventCategoryTypes) || !same(desired.Filters, actual.Filters)
}

// isPaused also says so of a state that the vendor does not document.
func isPaused(s *sfmc.Subscription) bool {
	return s.Status != "" && !strings.EqualFold(s.Status, statusActive)
}

// updateSubscription submits a subscription again, with its state if that is to
// change.
func (p *plan) updateSubscription(kind Kind, cb *callback, desired *onramp.Subscription, actual *sfmc.Subscription) {
	detail := describeSubscription(cb.Name, desired)
	toggled := desired.Paused != isPaused(actual)
	switch {
	case toggled && desired.Paused:
		detail += "; events are dropped while it is paused"
	case toggled:
		detail += "; it was " + actual.Status
		if actual.StatusReason != "" {
			detail += " (" + actual.StatusReason + ")"
		}
	}
	p.add(step{
		Step: Step{Kind: kind, Object: Subscription, Name: desired.Name, Detail: detail},
		do: func(ctx context.Context) error {
			if actual.SubscriptionID == "" {
				return errNoSubscriptionID
			}
			s := sfmc.Subscription{
				SubscriptionID: actual.SubscriptionID, SubscriptionName: desired.Name,
				EventCategoryTypes: desired.Types, Filters: desired.Filters,
			}
			switch {
			case toggled && desired.Paused:
				s.Status, s.StatusReason = statusPaused, "paused in the configuration of Onramp"
			case toggled:
				s.Status, s.StatusReason = statusActive, "active in the configuration of Onramp"
			}
			_, err := p.cfg.Account.UpdateSubscription(ctx, s)
			return err
		},
		hint: hintSubscription,
	})
}
