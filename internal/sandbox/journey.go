package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"
)

// journey is a running journey with the API event that it listens to. The
// sandbox's mutex guards it.
type journey struct {
	eventKey  string
	extension *dataExtension
	contacts  []Contact
}

// Contact is one entry of a contact into a journey.
type Contact struct {
	ContactKey      string    `json:"contact_key"`
	EventInstanceID string    `json:"event_instance_id"` // what the call answered
	At              time.Time `json:"at"`                // on the sandbox's clock
	// Data is what the event carried, under the columns' exact names and with
	// the primary key filled in.
	Data map[string]any `json:"data"`
}

// eventFault is one of the documented failure classes of POST
// /interaction/v1/events.
type eventFault int

const (
	eventBadJSON eventFault = iota
	eventMissingParameter
	eventWrongType
	eventKeyHasPeriod
	eventUnknownDefinition
	eventUnknownField
	eventMissingField
	eventBadValue
)

// eventError is the table of that route's 400s. Vendor page postEvent names the
// classes; undocumented: their codes and words. about is what the message is
// about: a parameter, a field, a key, or for eventBadValue the column's
// complaint.
func eventError(fault eventFault, about string) *apiError {
	row := func(code int, format string) *apiError {
		return failuref(http.StatusBadRequest, code, "%s", strings.ReplaceAll(format, "{}", about))
	}
	switch fault {
	case eventMissingParameter:
		return row(codeMissingField, "The parameter {} is required.")
	case eventWrongType:
		return row(codeInvalidType, "The parameter {} is not of the expected type.")
	case eventKeyHasPeriod:
		return row(codeIncorrectFormat, "The event definition key {} must not contain a period.")
	case eventUnknownDefinition:
		return row(codeNotFound, "Event Definition not found: {}")
	case eventUnknownField:
		return row(codeInvalidValue, "The field {} does not exist in the data extension of the event definition.")
	case eventMissingField:
		return row(codeMissingField, "The field {} is required by the data extension of the event definition.")
	case eventBadValue:
		return row(codeInvalidType, "{}")
	default: // eventBadJSON
		return failure(http.StatusBadRequest, codeInvalidFormat)
	}
}

// eventRequest is the body of POST /interaction/v1/events. encoding/json
// matches its names in any case, as the vendor does. EstablishContactKey, in
// old samples, is accepted and ignored.
type eventRequest struct {
	ContactKey         json.RawMessage
	EventDefinitionKey json.RawMessage
	Data               json.RawMessage
}

// fireEvent answers POST /interaction/v1/events, vendor page postEvent: it
// writes the row of the event's data extension and enters the contact.
func (s *Sandbox) fireEvent(c *call) (answer, error) {
	var sent *eventRequest
	if json.Unmarshal(c.body, &sent) != nil || sent == nil {
		return answer{}, eventError(eventBadJSON, "")
	}
	contactKey, err := requiredText("ContactKey", sent.ContactKey)
	if err != nil {
		return answer{}, err
	}
	eventKey, err := requiredText("EventDefinitionKey", sent.EventDefinitionKey)
	if err != nil {
		return answer{}, err
	}
	if strings.Contains(eventKey, ".") {
		return answer{}, eventError(eventKeyHasPeriod, eventKey)
	}
	var data map[string]any
	if len(sent.Data) > 0 {
		if data, err = decodeScalars(sent.Data); err != nil {
			return answer{}, eventError(eventWrongType, "Data")
		}
	}
	id := newGUID()

	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.world.journeys[eventKey]
	if j == nil {
		return answer{}, eventError(eventUnknownDefinition, eventKey)
	}
	key, values, err := j.extension.understandEvent(contactKey, id, data)
	if err != nil {
		return answer{}, err
	}
	j.extension.save(key, values)
	j.contacts = append(j.contacts, Contact{
		ContactKey: contactKey, EventInstanceID: id, At: s.now(), Data: j.extension.eventData(key, values),
	})
	return jsonAnswer(http.StatusCreated, map[string]string{"eventInstanceId": id}), nil
}

// requiredText reads a parameter that must be a string with something in it.
func requiredText(name string, raw json.RawMessage) (string, error) {
	var text *string
	if len(raw) > 0 && json.Unmarshal(raw, &text) != nil {
		return "", eventError(eventWrongType, name)
	}
	if text == nil || *text == "" {
		return "", eventError(eventMissingParameter, name)
	}
	return *text, nil
}

// understandEvent finds and checks the columns of an event's data, which is
// stricter than a rowset: unknown fields are refused, and required ones must
// be there even when the row exists (vendor page how-to-fire-an-event). The
// primary key alone may be missing: the contact key stands in for it.
func (d *dataExtension) understandEvent(contactKey, id string, data map[string]any) (key []any, values []cell, err error) {
	// "eventInstanceId" is reserved: the value sent is dropped, and a column of
	// that name gets the id of the event (vendor page postEvent).
	const reserved = "eventInstanceId"
	sent := make(map[string]any, len(data)+1)
	maps.Copy(sent, data)
	maps.DeleteFunc(sent, func(name string, _ any) bool { return strings.EqualFold(name, reserved) })
	if _, ok := d.column(reserved); ok {
		sent[reserved] = id
	}
	known, unknown, err := d.cells(sent)
	if err != nil {
		return nil, nil, eventError(eventBadJSON, "")
	}
	if len(unknown) > 0 {
		return nil, nil, eventError(eventUnknownField, unknown[0])
	}

	given := make([]any, len(d.columns)) // null counts as not given
	for _, k := range known {
		given[k.ordinal] = k.value
	}
	if len(d.primary) == 1 && textOf(given[d.primary[0]]) == "" {
		given[d.primary[0]] = contactKey
	}
	for i, c := range d.columns {
		switch {
		case given[i] == nil && !c.Nullable && c.Default == nil,
			c.PrimaryKey && textOf(given[i]) == "":
			return nil, nil, eventError(eventMissingField, c.Name)
		case given[i] != nil:
			if p := c.check(given[i]); p != "" {
				return nil, nil, eventError(eventBadValue, p)
			}
		}
		switch {
		case c.PrimaryKey:
			key = append(key, given[i])
		case given[i] != nil:
			values = append(values, cell{i, given[i]})
		}
	}
	return key, values, nil
}

// eventData is an event's data under the columns' exact names.
func (d *dataExtension) eventData(key []any, values []cell) map[string]any {
	m := make(map[string]any, len(key)+len(values))
	for i, ordinal := range d.primary {
		m[d.columns[ordinal].Name] = key[i]
	}
	for _, v := range values {
		m[d.columns[v.ordinal].Name] = v.value
	}
	return m
}
