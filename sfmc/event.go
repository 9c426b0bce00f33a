package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
)

// Event is one contact's entry into journeys.
type Event struct {
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

type eventRequest struct {
	ContactKey          string
	EventDefinitionKey  string
	EstablishContactKey bool            `json:",omitempty"`
	Data                json.RawMessage `json:",omitempty"`
}

// FireEvent lets a contact enter the journeys that listen to an event: POST
// /interaction/v1/events (vendor page "Fire Entry Event"). It needs the scopes
// journeys_read and list_and_subscribers_read.
//
// It returns the id that Marketing Cloud gave to the event, empty if the answer
// names none. Success means that the event was accepted; whether the contact
// enters is decided later, by the journey's rules. There is no key to make the
// call idempotent: repeated after a time-out, a contact may enter twice.
//
// A missing ContactKey or EventDefinitionKey, or Data of the wrong kind, is
// refused with [ErrInvalid] before anything is sent.
func (c *Client) FireEvent(ctx context.Context, e Event) (eventInstanceID string, err error) {
	if e.ContactKey == "" || e.EventDefinitionKey == "" {
		return "", fmt.Errorf("%s: %w: contact key or event definition key is missing", OpFireEvent, ErrInvalid)
	}
	data, err := object(e.Data)
	if err != nil {
		return "", fmt.Errorf("%s: data: %w", OpFireEvent, err)
	}
	a, err := c.post(ctx, OpFireEvent, "interaction/v1/events", eventRequest{
		ContactKey:          e.ContactKey,
		EventDefinitionKey:  e.EventDefinitionKey,
		EstablishContactKey: e.EstablishContactKey,
		Data:                data,
	})
	if err != nil {
		return "", err
	}
	return a.eventInstanceID()
}
