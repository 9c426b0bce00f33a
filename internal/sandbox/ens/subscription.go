package ens

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"onramp/internal/sandbox/wire"
)

// maxSubscriptions is the most subscriptions of a callback. Vendor page
// createSubscription.
const maxSubscriptions = 200

// The statuses of a subscription. Vendor page updateSubscription.
const (
	subscriptionActive = "active"
	subscriptionPaused = "paused"
)

// sentSubscription is a member of POST and PUT /platform/v1/ens-subscriptions.
type sentSubscription struct {
	SubscriptionID     *string  `json:"subscriptionId"`
	SubscriptionName   *string  `json:"subscriptionName"`
	CallbackID         *string  `json:"callbackId"`
	EventCategoryTypes []string `json:"eventCategoryTypes"`
	Filters            []string `json:"filters"` // nil: not sent, or null
	Status             *string  `json:"status"`
	StatusReason       *string  `json:"statusReason"`
}

// subscriptionAnswer is a subscription as calls return it.
type subscriptionAnswer struct {
	CallbackID         string   `json:"callbackId"`
	CallbackName       string   `json:"callbackName"`
	URL                string   `json:"url,omitempty"`
	MaxBatchSize       int      `json:"maxBatchSize,omitempty"`
	SubscriptionID     string   `json:"subscriptionId"`
	SubscriptionName   string   `json:"subscriptionName"`
	EventCategoryTypes []string `json:"eventCategoryTypes"`
	Filters            []string `json:"filters"`
	Status             string   `json:"status"`
	StatusReason       *string  `json:"statusReason,omitempty"`
}

// answer is the subscription as POST returns it. Undocumented: that no filters
// are an empty list.
func (sub *subscription) answer(cb *callback) subscriptionAnswer {
	return subscriptionAnswer{
		CallbackID: cb.id, CallbackName: cb.name, SubscriptionID: sub.id, SubscriptionName: sub.name,
		EventCategoryTypes: sub.types, Filters: append([]string{}, sub.filters...), Status: sub.status,
	}
}

// whole is the subscription as all other calls return it.
func (sub *subscription) whole(cb *callback) subscriptionAnswer {
	a := sub.answer(cb)
	reason := sub.statusReason
	a.URL, a.MaxBatchSize, a.StatusReason = cb.url, cb.maxBatchSize, &reason
	return a
}

// effective is what of a subscription has effect at a time: which types of
// events, the filters all of which must match, and whether there is anything to
// send at all. A change has effect after a while, as a new subscription has;
// until then it is as before. A pause has effect at once. The caller must not
// change the lists. It needs the host's lock.
func (w *world) effective(sub *subscription, now time.Time) (types, filters []string, active bool) {
	switch {
	case sub.status != subscriptionActive:
		return nil, nil, false
	case !now.Before(sub.activeFrom):
		return sub.types, sub.filters, true
	default:
		return sub.beforeTypes, sub.beforeFilters, sub.beforeTypes != nil
	}
}

// findSubscription is the subscription with the id, or nil.
func (w *world) findSubscription(id string) *subscription {
	for _, sub := range w.subscriptions {
		if sub.id == id {
			return sub
		}
	}
	return nil
}

// checkSubscriptionName refuses a name that another subscription has.
// Undocumented: that names are unique in the account, and not for each callback.
func (w *world) checkSubscriptionName(name, id string) error {
	if slices.ContainsFunc(w.subscriptions, func(sub *subscription) bool { return sub.name == name && sub.id != id }) {
		return invalid("subscriptionName", "is the name of another subscription")
	}
	return nil
}

// check refuses what both POST and PUT refuse.
func (m sentSubscription) check() error {
	if err := checkEventTypes(m.EventCategoryTypes); err != nil {
		return err
	}
	return checkFilters(m.Filters)
}

// createSubscriptions answers POST /platform/v1/ens-subscriptions. Status and
// reason are not among its parameters.
func (s *Service) createSubscriptions(c *wire.Call) (wire.Answer, error) {
	return eachMember(c, http.StatusCreated, func(m sentSubscription) (any, error) {
		callbackID, err := required("callbackId", m.CallbackID)
		if err != nil {
			return nil, err
		}
		name, err := required("subscriptionName", m.SubscriptionName)
		if err != nil {
			return nil, err
		}
		if err := m.check(); err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		w := s.world
		cb := w.callback(callbackID)
		switch {
		case cb == nil:
			return nil, unknownID("callback")
		case !cb.verified:
			return nil, invalid("callbackId", "is that of a callback that is not verified")
		case len(w.subscriptionsOf(cb.id)) >= maxSubscriptions:
			return nil, invalid("callbackId", fmt.Sprintf("is that of a callback with %d subscriptions, which is the most", maxSubscriptions))
		}
		if err := w.checkSubscriptionName(name, ""); err != nil {
			return nil, err
		}
		sub := &subscription{
			id: wire.NewGUID(), name: name, callbackID: cb.id, status: subscriptionActive, types: m.EventCategoryTypes, filters: m.Filters,
			activeFrom: s.host.Now().Add(s.activation),
		}
		w.subscriptions = append(w.subscriptions, sub)
		return sub.answer(cb), nil
	})
}

// updateSubscriptions answers PUT /platform/v1/ens-subscriptions. Undocumented:
// what is not sent stays; an id that is not known answers 400, since the page
// lists no 404.
func (s *Service) updateSubscriptions(c *wire.Call) (wire.Answer, error) {
	return eachMember(c, http.StatusOK, func(m sentSubscription) (any, error) {
		id, err := required("subscriptionId", m.SubscriptionID)
		if err != nil {
			return nil, err
		}
		if err := m.check(); err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		w := s.world
		known := w.findSubscription(id)
		if known == nil {
			return nil, invalid("subscriptionId", "is that of no subscription")
		}
		sub, err := m.over(*known)
		if err != nil {
			return nil, err
		}
		if err := w.checkSubscriptionName(sub.name, sub.id); err != nil {
			return nil, err
		}
		if sub.differs(known) {
			now := s.host.Now()
			sub.beforeTypes, sub.beforeFilters, _ = w.effective(known, now)
			sub.activeFrom = now.Add(s.activation)
		}
		*known = sub
		return sub.whole(w.callback(sub.callbackID)), nil
	})
}

// over is a subscription with what was sent laid over it. Vendor page
// updateSubscription wants a reason with each change of the status.
// Undocumented: that a change without one is refused.
func (m sentSubscription) over(sub subscription) (subscription, error) {
	sub.types = m.EventCategoryTypes
	if m.Filters != nil {
		sub.filters = m.Filters
	}
	if m.SubscriptionName != nil {
		name, err := required("subscriptionName", m.SubscriptionName)
		if err != nil {
			return sub, err
		}
		sub.name = name
	}
	if m.Status != nil && *m.Status != sub.status {
		if *m.Status != subscriptionActive && *m.Status != subscriptionPaused {
			return sub, invalid("status", "is neither active nor paused")
		}
		if _, err := required("statusReason", m.StatusReason); err != nil {
			return sub, err
		}
		sub.status = *m.Status
	}
	if m.StatusReason != nil {
		sub.statusReason = *m.StatusReason
	}
	return sub, nil
}

// differs reports whether the two are not for the same events.
func (sub *subscription) differs(other *subscription) bool {
	return sub.status != other.status || !slices.Equal(sub.types, other.types) || !slices.Equal(sub.filters, other.filters)
}

// getSubscription answers GET /platform/v1/ens-subscriptions/{subscriptionId}.
func (s *Service) getSubscription(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	sub := w.findSubscription(c.Param("subscriptionId"))
	if sub == nil {
		return wire.Answer{}, unknownID("subscription")
	}
	return wire.JSON(http.StatusOK, sub.whole(w.callback(sub.callbackID))), nil
}

// listSubscriptions answers GET /platform/v1/ens-subscriptions-by-cb/{callbackId}.
func (s *Service) listSubscriptions(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	cb := w.callback(c.Param("callbackId"))
	if cb == nil {
		return wire.Answer{}, unknownID("callback")
	}
	list := []subscriptionAnswer{}
	for _, sub := range w.subscriptionsOf(cb.id) {
		list = append(list, sub.whole(cb))
	}
	return wire.JSON(http.StatusOK, list), nil
}

// deleteSubscription answers DELETE
// /platform/v1/ens-subscriptions/{subscriptionId}.
func (s *Service) deleteSubscription(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	sub := w.findSubscription(c.Param("subscriptionId"))
	if sub == nil {
		return wire.Answer{}, unknownID("subscription")
	}
	w.subscriptions = slices.DeleteFunc(w.subscriptions, func(other *subscription) bool { return other == sub })
	return done(), nil
}
