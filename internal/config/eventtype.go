package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/spelling"
)

// eventKind is a type of event that is known, and what its subscriptions can be
// filtered by. Vendor pages "Supported Notification Events" and "Subscription
// Filters".
type eventKind struct {
	name    string
	filters []string
}

func eventKinds() []eventKind {
	definition := []string{"definitionKey"}
	notSent := []string{"definitionKey", "statusCode"}
	bounced := []string{"definitionKey", "bounceCode", "smtpReason"}
	method := []string{"sendMethod"}
	automation := []string{"automationName", "automationCustomerKey", "automationType"}
	return []eventKind{
		{"TransactionalSendEvents.EmailSent", definition},
		{"TransactionalSendEvents.EmailNotSent", notSent},
		{"TransactionalSendEvents.EmailBounced", bounced},
		{"TransactionalSendEvents.SmsSent", definition},
		{"TransactionalSendEvents.SmsNotSent", notSent},
		{"TransactionalSendEvents.SmsTransient", nil},
		{"TransactionalSendEvents.SmsDelivered", nil},
		{"TransactionalSendEvents.SmsBounced", nil},
		{"TransactionalSendEvents.OttNotSent", nil},
		{"EngagementEvents.EmailOpen", nil},
		{"EngagementEvents.EmailClick", nil},
		{"EngagementEvents.EmailUnsubscribe", nil},
		{"EngagementEvents.OttMobileOriginated", method},
		{"EngagementEvents.OttSent", method},
		{"EngagementEvents.OttDelivered", method},
		{"EngagementEvents.OttRead", method},
		{"EngagementEvents.OttFailed", method},
		{"EngagementEvents.PushOpen", method},
		{"EngagementEvents.InAppDisplay", nil},
		{"EngagementEvents.InAppDismiss", nil},
		{"EngagementEvents.InAppClick", nil},
		{"EngagementEvents.InboxOpen", nil},
		{"EngagementEvents.PushDeliveryReceipt", method},
		{"EngagementEvents.PushInstall", nil},
		{"EngagementEvents.PushInactive", nil},
		{"EngagementEvents.PushImageClick", method},
		{"EngagementEvents.PushButtonClick", method},
		{"SendEvents.OttNotSent", nil},
		{"SendEvents.PushSent", method},
		{"SendEvents.PushNotSent", method},
		{"SendEvents.PushBounced", method},
		{"SendEvents.AutomationInstanceStarted", automation},
		{"SendEvents.AutomationInstanceCompleted", automation},
		{"SendEvents.AutomationInstanceStopped", automation},
		{"SendEvents.AutomationInstanceErrored", automation},
		{"SendEvents.AutomationInstanceSkipped", automation},
	}
}

// EventTypes are the types of events that can be subscribed to, each with the names of
// its filters, nil where it has none.
func EventTypes() map[string][]string {
	types := map[string][]string{}
	for _, k := range eventKinds() {
		types[k.name] = k.filters
	}
	return types
}

var eventCategories = []string{"TransactionalSendEvents", "EngagementEvents", "SendEvents"}

// filterNames gives what subscriptions to some types can be filtered by. It is
// not sure when a type is not known.
func filterNames(types []string) (names []string, sure bool) {
	kinds := eventKinds()
	for _, t := range types {
		at := slices.IndexFunc(kinds, func(k eventKind) bool { return k.name == t })
		if at < 0 {
			return nil, false
		}
		for _, name := range kinds[at].filters {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, true
}

var (
	typeShape    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*\.[A-Za-z][A-Za-z0-9]*$`)
	patternShape = regexp.MustCompile(`^[A-Za-z0-9.*]*\*[A-Za-z0-9.*]*$`)
)

// eventType checks the type of a subscription. New types appear, so one that is
// not known is only refused when it looks like a typo.
func (s scalar) eventType() error {
	if strings.Contains(s.text, "*") {
		example := eventKinds()[0].name
		for _, k := range eventKinds() {
			if onramp.MatchesType(s.text, k.name) {
				example = k.name
				break
			}
		}
		return fmt.Errorf("patterns are not supported by Marketing Cloud: list each type, such as %s", example)
	}
	meant := likelyType(s.text)
	switch {
	case meant == s.text && meant != "":
		return nil
	case meant != "":
		return fmt.Errorf("%s is not known; did you mean %s?", s.quoted(), meant)
	case !typeShape.MatchString(s.text):
		return fmt.Errorf("%s must be Category.Type, such as TransactionalSendEvents.EmailSent", s.quoted())
	}
	return nil
}

// eventPattern checks what chooses among the events that arrive. Letters count
// in any case, as in onramp.MatchesType.
func (s scalar) eventPattern() error {
	if !strings.Contains(s.text, "*") {
		meant := likelyType(s.text)
		switch {
		case strings.EqualFold(meant, s.text) && meant != "":
			return nil
		case meant != "":
			return fmt.Errorf("%s is not known; did you mean %s?", s.quoted(), meant)
		case typeShape.MatchString(s.text):
			return nil
		}
	}
	if !patternShape.MatchString(s.text) {
		return fmt.Errorf("%s must be Category.Type, or a pattern such as TransactionalSendEvents.* or *Unsubscribe", s.quoted())
	}
	category, _, qualified := strings.Cut(s.text, ".")
	if meant := likelyCategory(category); qualified && !strings.Contains(category, "*") && meant != "" && !strings.EqualFold(meant, category) {
		return fmt.Errorf("%s is not known; did you mean %s.…?", s.quoted(), meant)
	}
	return nil
}

// maxTypo is the most letters in which a typo differs from what is meant.
const maxTypo = 2

// likelyType gives the known type that is meant: the same, the same name in
// another case or category, or one that differs by a letter or two; "" when
// there is none. Of a typo in the category of an unknown name it corrects that.
func likelyType(text string) string {
	category, name, qualified := strings.Cut(text, ".")
	if !qualified {
		category, name = "", text
	}
	best, bestDistance := "", maxTypo+1
	for _, k := range eventKinds() {
		knownCategory, knownName, _ := strings.Cut(k.name, ".")
		d := spelling.Distance(strings.ToLower(text), strings.ToLower(k.name))
		if k.name == text {
			return text
		}
		if d > 0 && strings.EqualFold(name, knownName) {
			// the name is right; of several the category decides
			d = 1
			if likelyCategory(category) != knownCategory {
				d = maxTypo
			}
		}
		if d < bestDistance {
			best, bestDistance = k.name, d
		}
	}
	if meant := likelyCategory(category); best == "" && meant != "" && meant != category {
		return meant + ".…" // without the name: a reference may have given it
	}
	return best
}

// likelyCategory gives the known category that is meant, or "".
func likelyCategory(text string) string {
	best, bestDistance := "", maxTypo+1
	for _, c := range eventCategories {
		if d := spelling.Distance(strings.ToLower(text), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}
