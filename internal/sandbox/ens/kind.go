package ens

import (
	"strconv"
	"strings"
	"time"
)

// eventKind is a type of event that the Event Notification Service has, and how
// one is made. Vendor page ens-supported-events and those of the families.
type eventKind struct {
	category, name string
	fields         func(k eventKind, m Mail, at time.Time) object
}

// fullName is the kind as events and subscriptions name it.
func (k eventKind) fullName() string { return k.category + "." + k.name }

// event makes an event of the kind about a mail. Kinds that are not about mails
// take of it who it went to.
func (k eventKind) event(m Mail, at time.Time) *event {
	at = at.UTC()
	return &event{kind: k.fullName(), at: at, fields: k.fields(k, m, at), member: m.Member}
}

// aboutMail reports whether events of the kind are about a mail that was sent.
func (k eventKind) aboutMail() bool { return strings.HasPrefix(k.name, "Email") }

// isSend reports whether an event of the kind is about a send by itself.
func (k eventKind) isSend() bool { return k.category == "TransactionalSendEvents" }

// eventKinds lists every type. Of two with one name the first is meant when the
// category is left out.
func eventKinds() []eventKind {
	const transactional, engagement, other = "TransactionalSendEvents", "EngagementEvents", "SendEvents"
	list := []eventKind{
		{transactional, "EmailSent", emailSent},
		{transactional, "EmailNotSent", emailNotSent},
		{transactional, "EmailBounced", emailBounced},
		{engagement, "EmailOpen", emailOpen},
		{engagement, "EmailClick", emailClick},
		{engagement, "EmailUnsubscribe", emailUnsubscribe},
		{transactional, "SmsSent", smsSent},
		{transactional, "SmsNotSent", smsNotSent},
		{transactional, "SmsTransient", smsStatus},
		{transactional, "SmsDelivered", smsStatus},
		{transactional, "SmsBounced", smsStatus},
		{transactional, "OttNotSent", ottNotSent},
		{other, "OttNotSent", ottNotSent},
		{engagement, "OttMobileOriginated", ottMobileOriginated},
	}
	add := func(category string, make func(eventKind, Mail, time.Time) object, names ...string) {
		for _, name := range names {
			list = append(list, eventKind{category, name, make})
		}
	}
	add(engagement, ottStatus, "OttSent", "OttDelivered", "OttRead", "OttFailed")
	add(other, push, "PushSent", "PushNotSent", "PushBounced")
	add(engagement, push, "PushOpen", "PushDeliveryReceipt", "PushInstall", "PushInactive", "PushImageClick", "PushButtonClick",
		"InAppDisplay", "InAppDismiss", "InAppClick", "InboxOpen")
	add(other, automation, "AutomationInstanceStarted", "AutomationInstanceCompleted", "AutomationInstanceStopped",
		"AutomationInstanceErrored", "AutomationInstanceSkipped")
	return list
}

// EventTypes are the types of events that there are, as subscriptions name them.
func EventTypes() []string {
	kinds := eventKinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.fullName()
	}
	return names
}

// findEventKind finds a type by its whole name or by that without the category,
// in any case.
func findEventKind(name string) (eventKind, bool) {
	for _, k := range eventKinds() {
		if strings.EqualFold(k.name, name) || strings.EqualFold(k.fullName(), name) {
			return k, true
		}
	}
	return eventKind{}, false
}

// head is what nearly every event begins with.
func head(k eventKind, at time.Time) object {
	return object{{"eventCategoryType", k.fullName()}, {"timestampUTC", at.UnixMilli()}}
}

// account is the business unit and the enterprise. They are numbers, but for
// OTT events.
func (m Mail) account() object {
	return object{{"mid", int64(m.Member)}, {"eid", int64(m.Member)}}
}

// composite names the mail's send. All of it are strings.
func (m Mail) composite() object {
	return object{
		{"jobId", m.Job},
		{"batchId", strconv.Itoa(m.Batch)},
		{"listId", mailListID},
		{"subscriberId", SubscriberID(m.ContactKey)},
	}
}

// recipient is what the events of a send say about whom it went to.
func (m Mail) recipient(more ...property) object {
	return append(object{{"to", m.To}, {"subscriberKey", m.ContactKey}, {"messageKey", m.MessageKey}}, more...)
}

// sendEvent is an event of a transactional mail. Vendor page
// transactional_email_events.
func sendEvent(k eventKind, m Mail, at time.Time, where, classification string, info object) object {
	o := append(head(k, at), object{
		{"compositeId", m.DefinitionID + "." + m.Job + "." + mailListID + "." + where},
		{"composite", append(m.composite(), property{"emailId", mailEmailID})},
		{"definitionKey", m.DefinitionKey},
		{"definitionId", m.DefinitionID},
	}...)
	o = append(o, m.account()...)
	if classification != "" {
		o = append(o, property{"sendClassificationType", classification})
	}
	return append(o, property{"info", info})
}

func (m Mail) sendID() string { return strconv.Itoa(m.Batch) + "." + SubscriberID(m.ContactKey) }

func emailSent(k eventKind, m Mail, at time.Time) object {
	return sendEvent(k, m, at, m.sendID(), "Operational",
		m.recipient(property{"status", "Sent"}, property{"renderedSubject", mailSubject}))
}

// emailNotSent has the reason of the vendor's sample. Its compositeId ends in
// ".0.0", as there.
func emailNotSent(k eventKind, m Mail, at time.Time) object {
	return sendEvent(k, m, at, "0.0", "", m.recipient(
		property{"reason", "The subscriber ExactTarget system status is unsubscribed"},
		property{"statusCode", "1"}, property{"statusMessage", "Unsubscribed"}))
}

func emailBounced(k eventKind, m Mail, at time.Time) object {
	code, message, reason := "HARD", "5.1.1 (bad destination mailbox address) User Unknown", "5.1.1"
	if tagged(m.To, "softbounce") {
		code, message, reason = "SOFT", "4.2.2 (mailbox full) Over Quota", "4.2.2"
	}
	return sendEvent(k, m, at, m.sendID(), "", m.recipient(
		property{"bounceCode", code}, property{"bounceMessage", message}, property{"smtpReason", reason}))
}

// engagementEvent is an event of what somebody did with a mail. It names no
// message key and no definition. Vendor page engagement_email_events.
func engagementEvent(k eventKind, m Mail, at time.Time, channel string, info object) object {
	o := append(head(k, at), object{
		{"compositeId", m.Job + "." + mailListID + "." + m.sendID()},
		{"definitionKey", "NA"},
		{"definitionId", "NA"},
	}...)
	if channel != "" {
		o = append(o, property{"channel", channel})
	}
	return append(append(o, m.account()...), property{"composite", m.composite()}, property{"info", info})
}

// reader is who opens and clicks: an address of documentation (RFC 5737).
const (
	readerAddress = "203.0.113.25"
	readerAgent   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)

func emailOpen(k eventKind, m Mail, at time.Time) object {
	return engagementEvent(k, m, at, "email", object{{"ipAddress", readerAddress}, {"userAgent", readerAgent}, {"location", object{}}})
}

func emailClick(k eventKind, m Mail, at time.Time) object {
	return engagementEvent(k, m, at, "email", object{
		{"ipAddress", readerAddress},
		{"jobUrlId", "74165311"},
		{"contentLink", "https://www.example.com/welcome?utm_source=mail&utm_campaign=it's+<spring>"},
		{"impressionRegion", "0"},
		{"userAgent", readerAgent},
		{"location", object{
			{"country", "US"},
			{"region", "VA"},
			{"city", "ASHBURN"},
			{"postalCode", "20146-20149"},
			{"latitude", "39.0438"},
			{"longitude", "-77.4879"},
		}},
	})
}

// emailUnsubscribe has no channel, as in the vendor's sample.
func emailUnsubscribe(k eventKind, m Mail, at time.Time) object {
	return engagementEvent(k, m, at, "", object{
		{"to", m.To},
		{"domain", m.To[strings.LastIndexByte(m.To, '@')+1:]},
		{"unsubscribeDate", at.UnixMilli()},
		{"unsubscribeMethod", "Click"},
		{"renderedSubject", mailSubject},
	})
}

// The numbers of the telephones that messages go between.
const (
	ourNumber   = "15550001"
	theirNumber = "15550002"
)

// phone is the recipient's number, when it is one.
func (m Mail) phone() string {
	if strings.Trim(m.To, "+0123456789") == "" && m.To != "" {
		return m.To
	}
	return theirNumber
}

// smsEvent is an event of a text message. Vendor page transactional_sms_events.
func smsEvent(k eventKind, m Mail, at time.Time, composite object, more ...property) object {
	o := append(head(k, at), property{"compositeId", "api." + m.MessageKey + "." + m.DefinitionID + "." + strconv.Itoa(m.Batch) + "." + m.phone() + ".0"})
	if composite != nil {
		o = append(o, property{"composite", composite})
	}
	o = append(o, property{"definitionKey", m.DefinitionKey}, property{"definitionId", m.DefinitionID})
	m.To = m.phone()
	return append(append(o, m.account()...), property{"info", m.recipient(more...)})
}

func smsSent(k eventKind, m Mail, at time.Time) object { return smsEvent(k, m, at, nil) }

func smsNotSent(k eventKind, m Mail, at time.Time) object {
	return smsEvent(k, m, at, nil, property{"reason", "Mobile Address not found"}, property{"statusCode", "47"})
}

// smsStatus is what an aggregator reports. The samples of the vendor write "Info",
// and the same type for all three; the tables do not, and neither does this.
func smsStatus(k eventKind, m Mail, at time.Time) object {
	code, message := "3000", "Enroute"
	switch k.name {
	case "SmsDelivered":
		code, message = "4000", "Delivered"
	case "SmsBounced":
		code, message = "4501", "Expired"
	}
	composite := object{
		{"Tsid", "api." + m.MessageKey},
		{"jobId", m.DefinitionID},
		{"batchId", strconv.Itoa(m.Batch)},
		{"mobileNumber", m.phone()},
		{"subscriberId", "0"},
	}
	return smsEvent(k, m, at, composite, property{"ordinal", "0"}, property{"statusCode", code}, property{"statusMessage", message},
		property{"fromAddress", ourNumber}, property{"countryCode", "US"})
}

// ott begins the flat events of WhatsApp and other messengers, whose account is two
// strings. Vendor pages engagement_ott_events and transactional_ott_events.
func ott(k eventKind, m Mail, at time.Time) object {
	member := strconv.Itoa(m.Member)
	return append(head(k, at), property{"eid", member}, property{"mid", member})
}

func ottMobileOriginated(k eventKind, m Mail, at time.Time) object {
	return append(ott(k, m, at), object{
		{"senderType", "WhatsApp"},
		{"messageType", "text"},
		{"channelId", ourNumber},
		{"messageId", "wamid." + m.MessageKey},
		{"mobileNumber", m.phone()},
		{"contactId", SubscriberID(m.ContactKey)},
		{"messageBody", object{{"text", object{{"body", "hello"}}}}},
	}...)
}

func ottStatus(k eventKind, m Mail, at time.Time) object {
	o := append(ott(k, m, at), object{
		{"contactKey", m.ContactKey},
		{"messageKey", m.MessageKey},
		{"sendMethod", "JourneyBuilder"},
		{"journeyId", "3b1f7c9e-2d54-4a83-9f60-0f5100000004"},
		{"journeyName", "Welcome"},
		{"journeyVersion", int64(1)},
		{"activityId", "c2a9d4f1-6e37-4b08-8d15-0f5100000005"},
		{"activityName", "WHATSAPPACTIVITY-1"},
	}...)
	if k.name == "OttFailed" {
		o = append(o, property{"reason", "131026"})
	}
	return o
}

func ottNotSent(k eventKind, m Mail, at time.Time) object {
	return append(ott(k, m, at), object{
		{"senderType", "WhatsApp"},
		{"channelId", ourNumber},
		{"sendType", "text"},
		{"contactKey", m.ContactKey},
		{"messageKey", m.MessageKey},
		{"status", "NOTSENT"},
		{"reason", "131026"},
	}...)
}

// push is an event of a notification on a telephone, whose compositeId is the
// event's own id. Vendor page mobilepush_events. Undocumented: where sendMethod
// stands, and what is in info.
func push(k eventKind, m Mail, at time.Time) object {
	o := append(head(k, at), object{
		{"compositeId", m.MessageKey},
		{"composite", object{{"jobId", m.Job}, {"subscriberId", SubscriberID(m.ContactKey)}, {"deviceId", "d-" + SubscriberID(m.ContactKey)}}},
		{"sendMethod", "JourneyBuilder"},
	}...)
	return append(append(o, m.account()...), property{"info", object{{"subscriberKey", m.ContactKey}}})
}

// automation is an event of a run of an automation. Vendor page
// automation_studio_events.
func automation(k eventKind, m Mail, at time.Time) object {
	return append(append(head(k, at), m.account()...), object{
		{"automationName", "nightly"},
		{"automationCustomerKey", "nightly"},
		{"automationType", "Schedule"},
		{"automationInstanceID", m.MessageKey},
		{"automationInstanceStatus", strings.TrimPrefix(k.name, "AutomationInstance")},
		{"info", object{{"automationInstanceScheduledTimeUTC", at.Truncate(time.Minute).UnixMilli()}}},
	}...)
}
