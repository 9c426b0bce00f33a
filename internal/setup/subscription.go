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

// extraSubscriptions lists those of a callback that the configuration does not
// name.
func (p *plan) extraSubscriptions(pl *place, c sfmc.Callback) []sfmc.Subscription {
	var list []sfmc.Subscription
	for _, there := range p.have.subscriptions[c.CallbackID] {
		if !slices.ContainsFunc(pl.Subscriptions, func(s onramp.Subscription) bool { return s.Name == there.SubscriptionName }) {
			list = append(list, there)
		}
	}
	return list
}

func (p *plan) drawExtraSubscriptions(pl *place, prune bool) {
	if pl.there == nil {
		return
	}
	for _, there := range p.extraSubscriptions(pl, *pl.there) {
		if prune {
			p.deleteSubscription(pl.Name, there, "not in the configuration")
		} else {
			p.leave(Subscription, there.SubscriptionName, "of callback "+pl.Name+": "+leftAlone)
		}
	}
}

func (p *plan) drawSubscriptions(pl *place) {
	for i := range pl.Subscriptions {
		want := &pl.Subscriptions[i]
		var there *sfmc.Subscription
		if pl.there != nil {
			there = subscriptionOf(p.have.subscriptions[pl.there.CallbackID], want.Name)
		}
		if there == nil {
			p.createSubscription(pl, want)
		} else {
			p.adjustSubscription(pl, want, there)
		}
	}
}

func subscriptionOf(list []sfmc.Subscription, name string) *sfmc.Subscription {
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

var errNoSubscriptionID = errors.New("the answer names no subscriptionId")

const hintSubscription = "its name must be free in the whole account (another environment that shares it may have it: change it under subscriptions, or let --prune delete ours elsewhere), " +
	"its types must be ones that this account has, and its filters ones that all of them have"

func (p *plan) createSubscription(pl *place, want *onramp.Subscription) {
	made := &sfmc.Subscription{}
	p.add(step{
		Step: Step{Kind: Create, Object: Subscription, Name: want.Name, Detail: describeSubscription(pl.Name, want)},
		do: func(ctx context.Context) error {
			s, err := p.Account.CreateSubscription(ctx, sfmc.Subscription{
				SubscriptionName: want.Name, CallbackID: pl.record.CallbackID, EventCategoryTypes: want.Types, Filters: want.Filters,
			})
			*made = s
			return err
		},
		hint: hintSubscription,
	})
	if want.Paused {
		// each one begins as active
		p.updateSubscription(Pause, pl, want, made, true)
	}
}

// adjustSubscription draws what is still to do about a subscription that is there.
func (p *plan) adjustSubscription(pl *place, want *onramp.Subscription, there *sfmc.Subscription) {
	turned := want.Paused != isPaused(there)
	switch {
	case !same(want.Types, there.EventCategoryTypes) || !same(want.Filters, there.Filters):
		p.updateSubscription(Update, pl, want, there, turned)
	case turned && want.Paused:
		p.updateSubscription(Pause, pl, want, there, true)
	case turned:
		p.updateSubscription(Resume, pl, want, there, true)
	default:
		p.keep(Subscription, want.Name, describeSubscription(pl.Name, want))
	}
}

// isPaused also says so of a state that no page names.
func isPaused(s *sfmc.Subscription) bool {
	return s.Status != "" && !strings.EqualFold(s.Status, statusActive)
}

// updateSubscription submits a subscription again. What happens while it is paused
// is dropped by Marketing Cloud.
func (p *plan) updateSubscription(kind Kind, pl *place, want *onramp.Subscription, there *sfmc.Subscription, turned bool) {
	detail := describeSubscription(pl.Name, want)
	switch {
	case turned && want.Paused:
		detail += "; events are dropped while it is paused"
	case turned:
		detail += "; it was " + there.Status
		if there.StatusReason != "" {
			detail += " (" + there.StatusReason + ")"
		}
	}
	p.add(step{
		Step: Step{Kind: kind, Object: Subscription, Name: want.Name, Detail: detail},
		do: func(ctx context.Context) error {
			if there.SubscriptionID == "" {
				return errNoSubscriptionID
			}
			s := sfmc.Subscription{
				SubscriptionID: there.SubscriptionID, SubscriptionName: want.Name,
				EventCategoryTypes: want.Types, Filters: want.Filters,
			}
			switch {
			case turned && want.Paused:
				s.Status, s.StatusReason = statusPaused, "paused in the configuration of Onramp"
			case turned:
				s.Status, s.StatusReason = statusActive, "active in the configuration of Onramp"
			}
			_, err := p.Account.UpdateSubscription(ctx, s)
			return err
		},
		hint: hintSubscription,
	})
}
