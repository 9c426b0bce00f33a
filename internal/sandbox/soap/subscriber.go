package soap

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
)

// unsubscribed is the status of a subscriber who gets no mail.
const unsubscribed = "Unsubscribed"

func subscriberKind() kind {
	return kind{
		read: "list_and_subscribers_read", write: "list_and_subscribers_write",
		list: listSubscribers, create: createSubscriber, update: updateSubscriber, remove: removeSubscriber,
	}
}

// subscriberOf is a subscriber of a business unit.
type subscriberOf struct {
	*account.Subscriber
	unit *account.Unit
}

// listSubscribers lists subscribers with the properties that a recorded Describe calls
// retrievable.
func listSubscribers(_ *call, units []*account.Unit) list {
	columns := []column[subscriberOf]{
		{property{name: "Client.ID", dataType: "Int32"}, func(s subscriberOf) string { return s.unit.MID }},
		{property{"Client.PartnerClientKey", "String", true}, func(subscriberOf) string { return "" }},
		{property: property{name: partnerKey, dataType: "String"}},
		{property{name: "CreatedDate", dataType: "DateTime"}, func(s subscriberOf) string { return showDate(s.Created) }},
		{property{name: "ID", dataType: "Int32"}, func(s subscriberOf) string { return strconv.FormatInt(s.ID, 10) }},
		{property: property{name: objectID, dataType: "String"}},
		{property{name: "EmailAddress", dataType: "String"}, func(s subscriberOf) string { return s.Email }},
		{property{name: "SubscriberKey", dataType: "String"}, func(s subscriberOf) string { return s.Key }},
		{property{"UnsubscribedDate", "DateTime", true}, func(s subscriberOf) string { return showDate(s.Unsubscribed) }},
		{property{name: "Status", dataType: "SubscriberStatus"}, func(s subscriberOf) string { return s.Status }},
		{property{name: "EmailTypePreference", dataType: "EmailType"}, func(s subscriberOf) string { return s.Format }},
	}
	return listOf("Subscriber", columns, subscribersOf(units))
}

// subscriber is the one that an object names: by its ID, or by its key, which is the
// address where there is none.
func (w *write) subscriber(o *node) *account.Subscriber {
	id := o.value("ID")
	if id == "" || id == "0" {
		return w.unit.Subscribers[subscriberKey(o)]
	}
	for _, s := range w.unit.Subscribers {
		if strconv.FormatInt(s.ID, 10) == id {
			return s
		}
	}
	return nil
}

func subscriberKey(o *node) string { return cmp.Or(o.value("SubscriberKey"), o.value("EmailAddress")) }

func createSubscriber(w *write, o *node) result {
	email := o.value("EmailAddress")
	if w.unit.Subscribers[subscriberKey(o)] != nil {
		if w.upsert {
			return updateSubscriber(w, o)
		}
		return refusedSubscriber(o, codeOnList, "The subscriber is already on the list")
	}
	if r := checkSubscriber(o, true); r.code != 0 {
		return r
	}
	s := w.unit.AddSubscriber(subscriberKey(o), email, w.now)
	w.change(s, o)
	return result{message: "Created Subscriber.", id: s.ID, object: echo(o, text("ID", strconv.FormatInt(s.ID, 10)))}
}

// updateSubscriber changes a subscriber. Undocumented: what is said of one that there is
// not.
func updateSubscriber(w *write, o *node) result {
	s := w.subscriber(o)
	if s == nil {
		if w.upsert {
			return createSubscriber(w, o)
		}
		return refusedSubscriber(o, codeUnexpected, "The subscriber does not exist.")
	}
	if r := checkSubscriber(o, false); r.code != 0 {
		return r
	}
	w.change(s, o)
	return result{message: "Updated Subscriber.", object: echo(o, text("ID", strconv.FormatInt(s.ID, 10)))}
}

func removeSubscriber(w *write, o *node) result {
	s := w.subscriber(o)
	if s == nil {
		return failed(codeUnexpected, "The subscriber does not exist.")
	}
	delete(w.unit.Subscribers, s.Key)
	return result{message: "Subscriber deleted"}
}

func refusedSubscriber(o *node, code int, why string) result {
	r := failed(code, why)
	r.object = echo(o)
	return r
}

// checkSubscriber refuses a subscriber that cannot be stored. Undocumented: the words.
func checkSubscriber(o *node, isNew bool) result {
	if email := o.value("EmailAddress"); (isNew || email != "") && !table.ValidEmail(email) {
		return refusedSubscriber(o, codeInvalidEmail, "InvalidEmailAddress")
	}
	if status := o.value("Status"); status != "" && !slices.Contains([]string{account.Active, unsubscribed, "Held", "Bounced", "Deleted"}, status) {
		return refusedSubscriber(o, codeUnexpected, invalid(status, "SubscriberStatus").text)
	}
	if format := o.value("EmailTypePreference"); format != "" && format != "HTML" && format != "Text" {
		return refusedSubscriber(o, codeUnexpected, invalid(format, "EmailType").text)
	}
	return result{}
}

// change stores what an object names.
func (w *write) change(s *account.Subscriber, o *node) {
	s.Email = cmp.Or(o.value("EmailAddress"), s.Email)
	s.Format = cmp.Or(o.value("EmailTypePreference"), s.Format)
	status := cmp.Or(o.value("Status"), s.Status)
	switch {
	case status != unsubscribed:
		s.Unsubscribed = time.Time{}
	case s.Status != unsubscribed:
		s.Unsubscribed = w.now
	}
	s.Status, s.Modified = status, w.now
}

// memberKind is ListSubscriber: who is on which list. The sandbox has one list for each
// business unit.
func memberKind() kind { return kind{read: "list_and_subscribers_read", list: listMembers} }

// listMembers lists subscribers with the properties that a recorded Describe calls
// retrievable.
func listMembers(_ *call, units []*account.Unit) list {
	columns := []column[subscriberOf]{
		{property{name: "Client.ID", dataType: "Int32"}, func(s subscriberOf) string { return s.unit.MID }},
		{property{"Client.PartnerClientKey", "String", true}, func(subscriberOf) string { return "" }},
		{property: property{name: partnerKey, dataType: "String"}},
		{property{name: "CreatedDate", dataType: "DateTime"}, func(s subscriberOf) string { return showDate(s.Created) }},
		{property{name: "ModifiedDate", dataType: "DateTime"}, func(s subscriberOf) string { return showDate(s.Modified) }},
		{property{name: "ID", dataType: "Int32"}, func(s subscriberOf) string { return strconv.FormatInt(s.ID, 10) }},
		{property: property{name: objectID, dataType: "String"}},
		{property{name: "Status", dataType: "SubscriberStatus"}, func(s subscriberOf) string { return s.Status }},
		{property{name: "ListID", dataType: "Int32"}, func(s subscriberOf) string { return strconv.FormatInt(s.unit.Folders[0].ID, 10) }},
		{property{name: "SubscriberKey", dataType: "String"}, func(s subscriberOf) string { return s.Key }},
		{property{"UnsubscribedDate", "DateTime", true}, func(s subscriberOf) string { return showDate(s.Unsubscribed) }},
	}
	return listOf("ListSubscriber", columns, subscribersOf(units))
}

// subscribersOf are those of business units, by their keys.
func subscribersOf(units []*account.Unit) []subscriberOf {
	var subscribers []subscriberOf
	for _, u := range units {
		for _, key := range slices.Sorted(maps.Keys(u.Subscribers)) {
			subscribers = append(subscribers, subscriberOf{u.Subscribers[key], u})
		}
	}
	return subscribers
}
