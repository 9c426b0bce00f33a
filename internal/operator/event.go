package operator

import (
	"context"
	"encoding/json"
	"time"

	"onramp/internal/onramp"
)

// Events reads the events that callbacks have got.
type Events interface {
	// ListEvents returns a page as Registrations.ListRegistrations does.
	ListEvents(ctx context.Context, f onramp.EventFilter) (page []onramp.Event, next string, looked time.Time, err error)
	// FindEvent returns one with its deliveries, or an error of kind NotFound.
	FindEvent(ctx context.Context, id string) (onramp.Event, error)
}

// Event is an event as operators see it.
type Event struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"` // Category.Type; "" when it names none
	Callback      string          `json:"callback"`
	At            *time.Time      `json:"at"` // when it happened; null when it doesn't say
	ReceivedAt    time.Time       `json:"received_at"`
	SubscriberKey string          `json:"subscriber_key,omitempty"`
	MessageKey    string          `json:"message_key,omitempty"`
	Registration  string          `json:"registration,omitempty"` // whose message it is about, when Onramp has sent that
	Send          string          `json:"send,omitempty"`         // jobId.batchId.subscriberId
	CutFrom       int             `json:"cut_from,omitempty"`     // bytes that it had, when it was too long and only a part is kept
	Body          json.RawMessage `json:"body"`                   // the JSON that came, but for white space
	Deliveries    []Delivery      `json:"deliveries,omitempty"`   // not in lists
}

// longestType keeps a pattern from costing more than reading the events.
const longestType = 1000

// ListEvents lists events, the newest first. The error is of kind Malformed when
// the type of the filter is too long.
func (d *Desk) ListEvents(ctx context.Context, f onramp.EventFilter) (Page[Event], error) {
	if len(f.Type) > longestType {
		return Page[Event]{}, &onramp.Error{Kind: onramp.Malformed, Message: "type can have at most 1000 characters"}
	}
	if err := maySearch(ctx, f.Query); err != nil {
		return Page[Event]{}, err
	}
	found, next, looked, err := d.Events.ListEvents(ctx, f)
	return shownPage(ctx, d, reveal{what: "events.reveal"}, newPage(found, next, looked, d.event), err)
}

// FindEvent returns an event with its deliveries, or an error of kind NotFound.
func (d *Desk) FindEvent(ctx context.Context, id string) (Event, error) {
	found, err := d.Events.FindEvent(ctx, id)
	if err != nil {
		return Event{}, err
	}
	return shown(ctx, d, reveal{"events.reveal", found.ID}, d.event(&found), nil)
}

func (d *Desk) event(e *onramp.Event) Event {
	v := Event{
		ID: e.ID, Type: e.Type, Callback: e.Callback, At: timePointer(e.At), ReceivedAt: e.ReceivedAt,
		SubscriberKey: e.SubscriberKey, MessageKey: e.MessageKey, Send: e.Send, CutFrom: e.CutFrom, Body: e.Body,
	}
	if id, ours := e.Registration(); ours {
		v.Registration = id
	}
	for i := range e.Deliveries {
		v.Deliveries = append(v.Deliveries, d.delivery(&e.Deliveries[i]))
	}
	return v
}
