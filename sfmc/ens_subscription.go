package sfmc

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const subscriptionsPath = "platform/v1/ens-subscriptions"

// Subscription is which events the Event Notification Service sends to a callback.
type Subscription struct {
	// SubscriptionID is Marketing Cloud's id of the subscription.
	SubscriptionID string
	// SubscriptionName is its name, which has to be unique.
	SubscriptionName string
	// CallbackID is the id of the callback that gets the events. It cannot be
	// changed.
	CallbackID string
	// EventCategoryTypes are the events, such as
	// "TransactionalSendEvents.EmailSent" (vendor page "Supported Notification
	// Events").
	EventCategoryTypes []string
	// Filters are conditions such as "definitionKey=welcome", all of which an
	// event has to meet (vendor page "Subscription Filters"). None means all
	// events.
	Filters []string
	// Status is "active" or "paused". Events of a time when the subscription was
	// paused are lost.
	Status string
	// StatusReason says why. Give one whenever you change the status.
	StatusReason string
}

type subscriptionRequest struct {
	SubscriptionID     string    `json:"subscriptionId,omitempty"`
	CallbackID         string    `json:"callbackId,omitempty"`
	SubscriptionName   string    `json:"subscriptionName,omitempty"`
	EventCategoryTypes []string  `json:"eventCategoryTypes"`
	Filters            *[]string `json:"filters,omitempty"`
	Status             string    `json:"status,omitempty"`
	StatusReason       string    `json:"statusReason,omitempty"`
}

// CreateSubscription makes a subscription: POST /platform/v1/ens-subscriptions
// (vendor page "Create Subscription"). It needs the scope
// event_notification_subscription_create.
//
// The callback must be verified, and can have 200 subscriptions. A new one is
// active, and takes up to two minutes to have an effect; Status and StatusReason are
// not sent, so to begin with a pause, follow up with [Client.UpdateSubscription].
//
// It returns the subscription with its id; what the answer leaves out is as it was
// sent. A callback that does not exist is an [*Error] with Status 404, a
// subscription that exists already one with 304, and a 2xx answer without an id one
// with [ErrAnswer]. A missing callback id, name or event type is refused with
// [ErrInvalid] before anything is sent.
func (c *Client) CreateSubscription(ctx context.Context, s Subscription) (Subscription, error) {
	err := checkTypes(s)
	switch {
	case s.CallbackID == "":
		err = fmt.Errorf("callback id: %w: empty", ErrInvalid)
	case s.SubscriptionName == "":
		err = fmt.Errorf("name: %w: empty", ErrInvalid)
	}
	if err != nil {
		return Subscription{}, fmt.Errorf("%s: %w", OpCreateSubscription, err)
	}
	in := subscriptionRequest{
		CallbackID:         s.CallbackID,
		SubscriptionName:   s.SubscriptionName,
		EventCategoryTypes: s.EventCategoryTypes,
	}
	if len(s.Filters) > 0 {
		in.Filters = &s.Filters
	}
	s.SubscriptionID, s.Status, s.StatusReason = "", "", ""
	a, err := c.submit(ctx, OpCreateSubscription, http.MethodPost, subscriptionsPath, []subscriptionRequest{in})
	if err != nil {
		return Subscription{}, err
	}
	return a.savedSubscription(s)
}

// UpdateSubscription changes a subscription: PUT /platform/v1/ens-subscriptions
// (vendor page "Update Subscription"). It needs the scope
// event_notification_subscription_update. A change takes up to two minutes to have
// an effect.
//
// The id and the event types are needed. Types and filters replace those there are:
// a subscription without Filters is one for all events. An empty name, Status or
// StatusReason is left out; the callback is not sent, since it cannot be changed.
//
// It returns the subscription; what the answer leaves out is as it was given. A 304,
// by which Marketing Cloud says that the update "already exists", is success. For a
// subscription that does not exist no status is documented: expect an [*Error] with
// 400 or 404. A missing id or type is refused with [ErrInvalid] before anything is
// sent.
func (c *Client) UpdateSubscription(ctx context.Context, s Subscription) (Subscription, error) {
	err := checkTypes(s)
	if err == nil {
		err = checkID("subscription", s.SubscriptionID)
	}
	if err != nil {
		return Subscription{}, fmt.Errorf("%s: %w", OpUpdateSubscription, err)
	}
	filters := append([]string{}, s.Filters...) // not nil, which would be null
	a, err := c.submit(ctx, OpUpdateSubscription, http.MethodPut, subscriptionsPath, []subscriptionRequest{{
		SubscriptionID:     s.SubscriptionID,
		SubscriptionName:   s.SubscriptionName,
		EventCategoryTypes: s.EventCategoryTypes,
		Filters:            &filters,
		Status:             s.Status,
		StatusReason:       s.StatusReason,
	}})
	if err != nil {
		return Subscription{}, err
	}
	if a.isUnchanged() {
		return s, nil
	}
	return a.savedSubscription(s)
}

func checkTypes(s Subscription) error {
	if len(s.EventCategoryTypes) == 0 || slices.Contains(s.EventCategoryTypes, "") {
		return fmt.Errorf("event types: %w: none, or an empty one", ErrInvalid)
	}
	return nil
}

// ListSubscriptions lists the subscriptions of a callback: GET
// /platform/v1/ens-subscriptions-by-cb/CALLBACKID (vendor page "Get All
// Subscriptions for Callback"). It needs the scope
// event_notification_subscription_read. A callback that does not exist is an
// [*Error] with Status 404. An empty id is refused with [ErrInvalid].
func (c *Client) ListSubscriptions(ctx context.Context, callbackID string) ([]Subscription, error) {
	a, err := c.aboutOne(ctx, OpListSubscriptions, http.MethodGet, subscriptionsPath+"-by-cb", "callback", callbackID)
	if err != nil {
		return nil, err
	}
	ms, err := a.records("subscriptionId")
	if err != nil {
		return nil, err
	}
	subscriptions := make([]Subscription, len(ms))
	for i, m := range ms {
		subscriptions[i] = a.subscription(m, Subscription{CallbackID: callbackID})
	}
	return subscriptions, nil
}

// FindSubscription gives one subscription: GET /platform/v1/ens-subscriptions/ID
// (vendor page "Get Subscription"). It needs the scope
// event_notification_subscription_read. If there is none of that id, it is an
// [*Error] with Status 404. An empty id is refused with [ErrInvalid].
func (c *Client) FindSubscription(ctx context.Context, subscriptionID string) (Subscription, error) {
	a, err := c.aboutOne(ctx, OpFindSubscription, http.MethodGet, subscriptionsPath, "subscription", subscriptionID)
	if err != nil {
		return Subscription{}, err
	}
	return a.savedSubscription(Subscription{})
}

// DeleteSubscription deletes a subscription: DELETE
// /platform/v1/ens-subscriptions/ID (vendor page "Delete Subscription"). It needs
// the scope event_notification_subscription_delete. If there is none of that id, it
// is an [*Error] with Status 404. An empty id is refused with [ErrInvalid].
func (c *Client) DeleteSubscription(ctx context.Context, subscriptionID string) error {
	a, err := c.aboutOne(ctx, OpDeleteSubscription, http.MethodDelete, subscriptionsPath, "subscription", subscriptionID)
	if err != nil {
		return err
	}
	return a.done()
}

// savedSubscription reads an answer about one subscription; what it leaves out is as
// in the other.
func (a *answer) savedSubscription(other Subscription) (Subscription, error) {
	m, err := a.record("subscriptionId")
	if err != nil {
		return Subscription{}, err
	}
	return a.subscription(m, other), nil
}

// subscription reads a subscription; what m leaves out is as in the other.
func (a *answer) subscription(m map[string]any, other Subscription) Subscription {
	s := Subscription{
		SubscriptionID:     a.cut(text(m, "subscriptionId")),
		SubscriptionName:   cmp.Or(a.cut(text(m, "subscriptionName")), other.SubscriptionName),
		CallbackID:         cmp.Or(a.cut(text(m, "callbackId")), other.CallbackID),
		EventCategoryTypes: other.EventCategoryTypes,
		Filters:            other.Filters,
		Status:             cmp.Or(a.cut(text(m, "status")), other.Status),
		StatusReason:       cmp.Or(a.cut(text(m, "statusReason")), other.StatusReason),
	}
	if types, ok := words(m, "eventCategoryTypes"); ok {
		s.EventCategoryTypes = nil
		for _, list := range types {
			// An array in the vendor's samples, "comma-separated" in its prose.
			for t := range strings.SplitSeq(list, ",") {
				s.EventCategoryTypes = append(s.EventCategoryTypes, a.cut(strings.TrimSpace(t)))
			}
		}
	}
	if filters, ok := words(m, "filters"); ok {
		s.Filters = nil
		for _, f := range filters {
			s.Filters = append(s.Filters, a.cut(f))
		}
	}
	return s
}
