package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// EventReader reads the events that callbacks have got.
type EventReader interface {
	ListEvents(ctx context.Context, f onramp.EventFilter) (page []onramp.Event, next string, err error)
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
	Body          json.RawMessage `json:"body"`                   // the JSON that came, but for white space
	Deliveries    []Delivery      `json:"deliveries,omitempty"`   // not in lists
}

// EventCounts is how many events have come.
type EventCounts struct {
	Stored   int64 `json:"stored"`
	Repeated int64 `json:"repeated"` // came again, and were not stored
}

func (a *Admin) eventRoutes() map[string]web.HandlerFunc {
	if a.Events == nil {
		return nil
	}
	return map[string]web.HandlerFunc{
		"GET /api/events":      a.listEvents,
		"GET /api/events/{id}": a.findEvent,
	}
}

// mostStars keeps a pattern from costing more than the reading of the events.
const mostStars = 4

func (a *Admin) listEvents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	filter := onramp.EventFilter{Type: q.Get("type"), Callback: q.Get("callback"), Query: q.Get("q"), Cursor: q.Get("cursor")}
	if strings.Count(filter.Type, "*") > mostStars {
		return malformed("type may hold four * at the most")
	}
	var err error
	if filter.Limit, err = readLimit(q); err != nil {
		return err
	}
	found, next, err := a.Events.ListEvents(r.Context(), filter)
	if err != nil {
		return err
	}
	page := Page[Event]{Items: []Event{}, Next: next}
	for i := range found {
		page.Items = append(page.Items, a.event(&found[i]))
	}
	return web.WriteJSON(w, http.StatusOK, page)
}

func (a *Admin) findEvent(w http.ResponseWriter, r *http.Request) error {
	found, err := a.Events.FindEvent(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a.event(&found))
}

func (a *Admin) event(e *onramp.Event) Event {
	v := Event{
		ID: e.ID, Type: e.Type, Callback: e.Callback, At: timePointer(e.At), ReceivedAt: e.ReceivedAt,
		SubscriberKey: e.SubscriberKey, MessageKey: e.MessageKey, Send: e.Send, Body: e.Body,
	}
	if id, ours := e.Registration(); ours {
		v.Registration = id
	}
	for i := range e.Deliveries {
		v.Deliveries = append(v.Deliveries, a.delivery(&e.Deliveries[i]))
	}
	return v
}

func countEvents(c onramp.Counts) EventCounts {
	var n EventCounts
	for _, stored := range c.Events {
		n.Stored += stored
	}
	for _, repeated := range c.Repeated {
		n.Repeated += repeated
	}
	return n
}
