package sandbox

import "net/http"

// ensRoutes are the operations of the Event Notification Service. Vendor pages
// createCallback, createSubscription and their like; that of the schemes is in
// the sequence diagram of ens-oauth2-support. Undocumented: the scopes of
// ens-authentications, which no page lists; they are those of callbacks.
func ensRoutes() []route {
	type operation struct {
		method, name, scope string
		handle              func(*Sandbox, *call) (answer, error)
	}
	operations := []operation{
		{"POST", "authentications", "callback_create", (*Sandbox).createSchemes},
		{"PUT", "authentications", "callback_update", (*Sandbox).updateSchemes},
		{"GET", "authentications", "callback_read", (*Sandbox).listSchemes},
		{"GET", "authentications/{authId}", "callback_read", (*Sandbox).getScheme},
		{"DELETE", "authentications/{authId}", "callback_delete", (*Sandbox).deleteScheme},
		{"POST", "callbacks", "callback_create", (*Sandbox).createCallbacks},
		{"PUT", "callbacks", "callback_update", (*Sandbox).updateCallbacks},
		{"GET", "callbacks", "callback_read", (*Sandbox).listCallbacks},
		{"GET", "callbacks/{callbackId}", "callback_read", (*Sandbox).getCallback},
		{"DELETE", "callbacks/{callbackId}", "callback_delete", (*Sandbox).deleteCallback},
		{"POST", "verify", "callback_update", (*Sandbox).verifyCallbacks},
		{"PUT", "regenerate", "callback_update", (*Sandbox).regenerateKeys},
		{"POST", "subscriptions", "subscription_create", (*Sandbox).createSubscriptions},
		{"PUT", "subscriptions", "subscription_update", (*Sandbox).updateSubscriptions},
		{"GET", "subscriptions/{subscriptionId}", "subscription_read", (*Sandbox).getSubscription},
		{"DELETE", "subscriptions/{subscriptionId}", "subscription_delete", (*Sandbox).deleteSubscription},
		{"GET", "subscriptions-by-cb/{callbackId}", "subscription_read", (*Sandbox).listSubscriptions},
	}
	list := make([]route, len(operations))
	for i, o := range operations {
		list[i] = route{
			method: o.method, pattern: "/platform/v1/ens-" + o.name, scopes: []string{"event_notification_" + o.scope},
			json: o.method == http.MethodPost || o.method == http.MethodPut, handle: o.handle,
		}
	}
	return list
}
