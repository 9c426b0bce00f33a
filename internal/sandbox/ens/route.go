package ens

import (
	"net/http"

	"onramp/internal/sandbox/wire"
)

// Routes are the operations of the Event Notification Service. Vendor pages
// createCallback, createSubscription and their like; that of the schemes is in
// the sequence diagram of ens-oauth2-support. Undocumented: the scopes of
// ens-authentications, which no page lists; they are those of callbacks.
func (s *Service) Routes() []wire.Route {
	type operation struct {
		method, name, scope string
		handle              func(*wire.Call) (wire.Answer, error)
	}
	operations := []operation{
		{"POST", "authentications", "callback_create", s.createSchemes},
		{"PUT", "authentications", "callback_update", s.updateSchemes},
		{"GET", "authentications", "callback_read", s.listSchemes},
		{"GET", "authentications/{authId}", "callback_read", s.getScheme},
		{"DELETE", "authentications/{authId}", "callback_delete", s.deleteScheme},
		{"POST", "callbacks", "callback_create", s.createCallbacks},
		{"PUT", "callbacks", "callback_update", s.updateCallbacks},
		{"GET", "callbacks", "callback_read", s.listCallbacks},
		{"GET", "callbacks/{callbackId}", "callback_read", s.getCallback},
		{"DELETE", "callbacks/{callbackId}", "callback_delete", s.deleteCallback},
		{"POST", "verify", "callback_update", s.verifyCallbacks},
		{"PUT", "regenerate", "callback_update", s.regenerateKeys},
		{"POST", "subscriptions", "subscription_create", s.createSubscriptions},
		{"PUT", "subscriptions", "subscription_update", s.updateSubscriptions},
		{"GET", "subscriptions/{subscriptionId}", "subscription_read", s.getSubscription},
		{"DELETE", "subscriptions/{subscriptionId}", "subscription_delete", s.deleteSubscription},
		{"GET", "subscriptions-by-cb/{callbackId}", "subscription_read", s.listSubscriptions},
	}
	list := make([]wire.Route, len(operations))
	for i, o := range operations {
		list[i] = wire.Route{
			Method: o.method, Pattern: "/platform/v1/ens-" + o.name, Scopes: []string{"event_notification_" + o.scope},
			JSON: o.method == http.MethodPost || o.method == http.MethodPut, Handle: o.handle,
		}
	}
	return list
}
