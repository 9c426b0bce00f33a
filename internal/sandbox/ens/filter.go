package ens

import (
	"slices"
	"strings"
)

// checkEventTypes refuses a list of eventCategoryTypes. Undocumented: what a
// type does that is not on the list. A misspelt one would never bring an event,
// so it is refused.
func checkEventTypes(types []string) error {
	if len(types) == 0 {
		_, err := required("eventCategoryTypes", nil)
		return err
	}
	known := EventTypes()
	for _, t := range types {
		if !slices.Contains(known, t) {
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
