package sfmctest

import "encoding/json"

// Fault makes calls go wrong. The faults that are set are looked at in order: delays of
// all that match add up, and the first that answers, or drops, decides. Without a Name,
// Status says what is answered, in the body that Marketing Cloud has for it; without
// both, a Fault only delays.
type Fault struct {
	// Name is a named fault of docs/sandbox.md, such as "drop_answer", or "".
	Name string `json:"name"`
	// Match is the beginning of the paths to match; "" matches all.
	Match string `json:"match"`
	// Method is the HTTP method to match; "" matches all.
	Method string `json:"method"`
	// Contains is a text that must stand in the call's body; "" matches all. For faults of
	// rows and members it must stand in a value of theirs.
	Contains string `json:"contains"`
	// Status is the HTTP status to answer, 400 to 599; a Name that takes it allows 200 to
	// 599.
	Status int `json:"status"`
	// Errorcode replaces the status's usual errorcode, and Message the usual message.
	Errorcode int    `json:"errorcode"`
	Message   string `json:"message"`
	// RetryAfter is the Retry-After header in seconds. Errorcode 50100 always carries one;
	// it is 5 when this is 0. With RetryAfterDate the header is a date.
	RetryAfter     int  `json:"retry_after"`
	RetryAfterDate bool `json:"retry_after_date"`
	// Count is how many calls it hits; 0 means until it is cleared. In a State it is how
	// many are left.
	Count int `json:"count"`
	// For is a duration such as "10m" on the server's clock, after which the fault ends by
	// itself; "" means no end. In a State it is what is left.
	For string `json:"for"`
	// DelayMS is how many milliseconds the call waits first, at most an hour.
	DelayMS int `json:"delay_ms"`
	// Apply carries the call out as soon as it comes, whatever its caller is answered, and
	// ApplyAfterMS after so many milliseconds on the server's clock, at most an hour.
	Apply        bool `json:"apply"`
	ApplyAfterMS int  `json:"apply_after_ms"`
	// Body is the JSON of "foreign_json".
	Body string `json:"body"`
	// Location is where "redirect" leads.
	Location string `json:"location"`
}

// Events asks for events of the Event Notification Service to be sent now.
type Events struct {
	// Type is a type of the Event Notification Service, such as
	// "EngagementEvents.EmailOpen", or without its category, in any case. It is required
	// unless there are Events.
	Type string
	// MessageKey, ContactKey and To choose the newest send that fits all that are given,
	// for events about mails. Without them it is the newest send, and when there is none
	// it is made up.
	MessageKey, ContactKey, To string
	// Count is how many events, each a millisecond after the one before: 1 when it is 0,
	// and at most 100,000.
	Count int
	// Callback is the name or the id of the only callback to send to; "" is all.
	Callback string
	// Fields are laid over each event; objects are merged, and "info.reason" reaches into
	// info.
	Fields map[string]json.RawMessage
	// Events are events, JSON objects, that are sent exactly as they are. With them nothing
	// else but Callback is given.
	Events []json.RawMessage
}

// SentEvents is the result of [Events].
type SentEvents struct {
	// Queued counts the events that at least one subscription takes.
	Queued int
	// Subscriptions counts the subscriptions that they are sent for, one for each callback
	// and event.
	Subscriptions int
	// Message says in words what happens, or why nothing does.
	Message string
}
