package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// maxMembers is the vendor's limit of one FireEvents.
const maxMembers = 100

// JourneyEntry is one contact's entry into the journeys that listen to an event.
type JourneyEntry struct {
	// ContactKey identifies the person. Required.
	ContactKey string
	// EventDefinitionKey is the key of the journey's API event entry source,
	// such as "APIEvent-0a1b2c3d-…"; not the id of the journey. Required.
	EventDefinitionKey string
	// EstablishContactKey asks to create the contact. It is in old samples
	// of the vendor's but in no current table of parameters; it is sent only
	// when true.
	EstablishContactKey bool
	// Data are the columns of the event's data extension: anything that
	// marshals to a JSON object, such as a map, a struct or a
	// [json.RawMessage]. Nil leaves it out. A column named eventInstanceId
	// is reserved: Marketing Cloud replaces its value.
	Data any
}

type entryRequest struct {
	ContactKey          string
	EventDefinitionKey  string
	EstablishContactKey bool            `json:",omitempty"`
	Data                json.RawMessage `json:",omitempty"`
}

// FireEvent lets a contact enter the journeys that listen to an event: POST
// /interaction/v1/events (vendor page "Fire Entry Event"). It needs the scopes
// journeys_read and list_and_subscribers_read.
//
// It returns the id that Marketing Cloud gave to the event. A 2xx answer without one
// is an [*Error] with [ErrAnswer]: whether the event was accepted is not known.
// Success means that the event was accepted; whether the contact
// enters is decided later, by the journey's rules. There is no key to make the
// call idempotent: repeated after a time-out, a contact may enter twice.
//
// A missing ContactKey or EventDefinitionKey, or Data of the wrong kind, is
// refused with [ErrInvalid] before anything is sent.
func (c *Client) FireEvent(ctx context.Context, e JourneyEntry) (eventInstanceID string, err error) {
	if e.ContactKey == "" || e.EventDefinitionKey == "" {
		return "", fmt.Errorf("%s: %w: contact key or event definition key is missing", OpFireEvent, ErrInvalid)
	}
	data, err := object(e.Data)
	if err != nil {
		return "", fmt.Errorf("%s: data: %w", OpFireEvent, err)
	}
	a, err := c.post(ctx, OpFireEvent, "interaction/v1/events", entryRequest{
		ContactKey:          e.ContactKey,
		EventDefinitionKey:  e.EventDefinitionKey,
		EstablishContactKey: e.EstablishContactKey,
		Data:                data,
	})
	if err != nil {
		return "", err
	}
	return a.named("eventInstanceId")
}

// Member is one contact of a [Client.FireEvents].
type Member struct {
	// ContactKey identifies the person. Required; the same one may come
	// several times.
	ContactKey string
	// Data are as in [JourneyEntry].
	Data any
}

// FiredEvents is what became of the members of a [Client.FireEvents].
type FiredEvents struct {
	// RequestID is Marketing Cloud's id of the call, empty if it named none.
	RequestID string
	// Members has one element for each member sent, in that order.
	Members []FiredEvent
}

// FiredEvent is what became of one member.
type FiredEvent struct {
	// ContactKey is that of the member.
	ContactKey string
	// EventInstanceID is the id that Marketing Cloud gave to the event, empty
	// if it gave none.
	EventInstanceID string
	// Err says why the event was not accepted; nil if it was. It has the
	// Status of the whole answer, often 202, and no Body. Its Err is [ErrAnswer]
	// if the answer says neither that the event was accepted nor why not.
	Err *Error
}

type eventsRequest struct {
	EventDefinitionKey string          `json:"eventDefinitionKey"`
	Members            []memberRequest `json:"members"`
}

type memberRequest struct {
	ContactKey string          `json:"contactKey"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// FireEvents lets up to 100 contacts enter the journeys that listen to an event:
// POST /interaction/v1/async/events (vendor page of that name). It needs the scopes
// journeys_read and list_and_subscribers_read.
//
// Each member is accepted or not by itself: the error of the call is nil if only
// some, or none, were accepted, and each [FiredEvent] has its own. An error of
// the call means that no member was accepted or, if its Err is set or it is no
// [*Error], that this is not known: the answer names another number of members,
// or other ones. As with FireEvent, nothing makes the call idempotent, and
// accepted does not mean entered.
//
// No members, more than 100, a missing key, or Data of the wrong kind is refused
// with [ErrInvalid] before anything is sent.
func (c *Client) FireEvents(ctx context.Context, eventDefinitionKey string, members []Member) (FiredEvents, error) {
	in, err := newEventsRequest(eventDefinitionKey, members)
	if err != nil {
		return FiredEvents{}, fmt.Errorf("%s: %w", OpFireEvents, err)
	}
	a, err := c.post(ctx, OpFireEvents, "interaction/v1/async/events", in)
	if err != nil {
		return FiredEvents{}, err
	}
	return a.firedEvents(members)
}

func newEventsRequest(key string, members []Member) (eventsRequest, error) {
	switch n := len(members); {
	case key == "":
		return eventsRequest{}, fmt.Errorf("event definition key: %w: empty", ErrInvalid)
	case n == 0 || n > maxMembers:
		return eventsRequest{}, fmt.Errorf("members: %w: %d, want 1 to %d", ErrInvalid, n, maxMembers)
	}
	in := eventsRequest{EventDefinitionKey: key, Members: make([]memberRequest, len(members))}
	for i, m := range members {
		if m.ContactKey == "" {
			return eventsRequest{}, fmt.Errorf("member %d: %w: no contact key", i, ErrInvalid)
		}
		data, err := object(m.Data)
		if err != nil {
			return eventsRequest{}, fmt.Errorf("member %d: data: %w", i, err)
		}
		in.Members[i] = memberRequest{ContactKey: m.ContactKey, Data: data}
	}
	return in, nil
}

// firedEvents reads the answer to FireEvents.
func (a *answer) firedEvents(members []Member) (FiredEvents, error) {
	b, err := a.batch("members", len(members))
	if err != nil {
		return FiredEvents{}, err
	}
	fired := FiredEvents{RequestID: a.cut(text(b.body, "requestId")), Members: make([]FiredEvent, len(members))}
	failed := 0
	for i, el := range b.elements {
		f := FiredEvent{ContactKey: members[i].ContactKey, EventInstanceID: a.cut(text(el, "eventInstanceId")), Err: b.errs[i]}
		// Members come back in the order in which they were sent (vendor
		// page); a key that is another one says that here they did not.
		if key := text(el, "contactKey"); key != "" && !strings.EqualFold(key, clip(f.ContactKey)) {
			return FiredEvents{}, a.unfit("the members are not those that were sent")
		}
		// A message comes only with a member that failed (vendor page).
		if f.Err == nil && f.EventInstanceID == "" {
			f.Err = a.part(el)
			if f.Err.Message == "" {
				f.Err.Err = fmt.Errorf("%w: no eventInstanceId", ErrAnswer)
			}
		}
		if f.Err != nil {
			failed++
		}
		fired.Members[i] = f
	}
	if whole(b.body, "notQueuedCount") > failed {
		return FiredEvents{}, a.unfit("more members failed than are marked")
	}
	return fired, nil
}
