package sandbox

import (
	"slices"
	"strings"
)

// eventTypes lists the types of a category of events: the union of what the
// revisions of vendor page ens-supported-events list.
func eventTypes(category string) []string {
	switch category {
	case "TransactionalSendEvents":
		return []string{
			"EmailSent", "EmailNotSent", "EmailBounced", "SmsSent", "SmsNotSent", "SmsTransient", "SmsDelivered", "SmsBounced",
			"OttNotSent",
		}
	case "EngagementEvents":
		return []string{
			"EmailOpen", "EmailClick", "EmailUnsubscribe", "OttMobileOriginated", "OttSent", "OttDelivered", "OttRead", "OttFailed",
			"PushOpen", "InAppDisplay", "InAppDismiss", "InAppClick", "InboxOpen", "PushDeliveryReceipt", "PushInstall",
			"PushInactive", "PushImageClick", "PushButtonClick",
		}
	case "SendEvents":
		return []string{
			"OttNotSent", "PushSent", "PushNotSent", "PushBounced", "AutomationInstanceStarted", "AutomationInstanceCompleted",
			"AutomationInstanceStopped", "AutomationInstanceErrored", "AutomationInstanceSkipped",
		}
	}
	return nil
}

// checkEventTypes refuses a list of eventCategoryTypes. Undocumented: what a
// type does that is not on the list. A misspelt one would never bring an event,
// so it is refused.
func checkEventTypes(types []string) error {
	if len(types) == 0 {
		_, err := required("eventCategoryTypes", nil)
		return err
	}
	for _, t := range types {
		category, kind, _ := strings.Cut(t, ".")
		if !slices.Contains(eventTypes(category), kind) {
			return invalid("eventCategoryTypes", "has an unknown event type '"+t+"'")
		}
	}
	return nil
}

// checkFilters refuses filters that are no "name=value" or have a name that no
// event can be filtered by: vendor page ens-subscription-filters. (The page of
// createSubscription calls them key:value; its samples, like all others, have
// the equals sign.) Undocumented: a name that is for other types than those of
// the subscription; it is taken.
func checkFilters(filters []string) error {
	names := []string{
		"definitionKey", "statusCode", "bounceCode", "smtpReason", "automationName", "automationCustomerKey", "automationType",
		"sendMethod",
	}
	for _, f := range filters {
		name, value, ok := strings.Cut(f, "=")
		switch {
		case !ok || value == "":
			return invalid("filters", "has '"+f+"', which is not in the form name=value")
		case !slices.Contains(names, name):
			return invalid("filters", "has an unknown name '"+name+"'")
		}
	}
	return nil
}
