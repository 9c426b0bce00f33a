package metadata

import (
	"net/http"
	"strconv"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// readJourneys is the scope that all routes of events and journeys need, those that change
// something, too (vendor page "REST API Permission IDs and Scopes").
const readJourneys = "journeys_read"

// eventRoutes are the routes of event definitions.
func eventRoutes() []operation {
	return []operation{
		{"GET", "/interaction/v1/eventDefinitions", readJourneys, listEvents},
		{"POST", "/interaction/v1/eventDefinitions", readJourneys, createEvent},
		{"GET", "/interaction/v1/eventDefinitions/{id}", readJourneys, getEvent},
		{"PUT", "/interaction/v1/eventDefinitions/{id}", readJourneys, changeEvent},
		{"DELETE", "/interaction/v1/eventDefinitions/{id}", readJourneys, deleteEvent},
	}
}

// apiEventExtension is the vendor's id of the application that makes API events.
const apiEventExtension = "7db1f972-f8b7-49b6-91b5-fa218e13953d"

// noGUID is how the vendor's answers say that there is none.
const noGUID = "00000000-0000-0000-0000-000000000000"

// listEvents answers GET /interaction/v1/eventDefinitions?name=. Undocumented: that name is
// a part of the name, in any case.
func listEvents(c *call) (wire.Answer, error) {
	name := strings.ToLower(c.Query("name"))
	var found []*account.Journey
	for _, j := range c.unit.AllJourneys() {
		if strings.Contains(strings.ToLower(j.EventName), name) {
			found = append(found, j)
		}
	}
	return paged(c, found, 0, viewEvent)
}

// event is the event definition that a path names, by key:KEY or by its GUID. Undocumented:
// the words for one that there is not.
func (c *call) event() (*account.Journey, error) {
	key, byKey := strings.CutPrefix(c.Param("id"), "key:")
	j := c.unit.Journeys[key]
	if !byKey {
		j = c.unit.JourneyByEventID(key)
	}
	if j == nil {
		return nil, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "Event Definition not found: %s", key)
	}
	return j, nil
}

// getEvent answers GET /interaction/v1/eventDefinitions/{id}.
func getEvent(c *call) (wire.Answer, error) {
	j, err := c.event()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, viewEvent(j)), nil
}

// viewEvent is an event definition as recorded answers have it. Only those that were made
// with a schema have one.
func viewEvent(j *account.Journey) any {
	used, published := 0, 0
	if j.Status != account.NoJourney {
		used = 1
	}
	if j.TakesEvents() {
		published = 1
	}
	v := map[string]any{
		"id": j.EventID, "type": "APIEvent", "name": j.EventName, "description": "",
		"createdDate": shown(j.Created), "createdBy": account.UserID, "modifiedDate": shown(j.Modified), "modifiedBy": account.UserID,
		"mode": "Production", "eventDefinitionKey": j.EventKey,
		"dataExtensionId": j.Extension.ID, "dataExtensionName": j.Extension.Name,
		"sourceApplicationExtensionId": apiEventExtension, "filterDefinitionId": noGUID, "filterDefinitionTemplate": "",
		"iconUrl": "/images/icon_journeyBuilder-event-api-blue.svg",
		"arguments": map[string]any{
			"serializedObjectType": 11, "eventDefinitionId": j.EventID, "eventDefinitionKey": j.EventKey,
			"dataExtensionId": j.Extension.ID, "criteria": "",
		},
		"metaData":         map[string]any{"scheduleState": "No Schedule"},
		"interactionCount": used, "publishedInteractionCount": published,
		"isVisibleInPicker": false, "isPlatformObject": false, "category": "Event", "automationId": noGUID, "disableDEDataLogging": false,
	}
	if j.HasSchema {
		v["schema"] = viewSchema(j.Extension)
	}
	return v
}

// eventTypes are the types of a schema that differ from a data extension's.
var eventTypes = map[string]string{table.TypeEmail: "Email"}

// viewSchema is a data extension as the schema of an event. Lengths are texts.
func viewSchema(e *account.Extension) any {
	type schemaField struct {
		Name             string `json:"name"`
		DataType         string `json:"dataType"`
		MaxLength        string `json:"maxLength"`
		IsNullable       bool   `json:"isNullable"`
		IsPrimaryKey     bool   `json:"isPrimaryKey"`
		IsDevice         bool   `json:"isDevicePreference"`
		DefaultValue     string `json:"defaultValue,omitempty"`
		SchemaScaleDigit *int   `json:"scale,omitempty"`
	}
	fields := make([]schemaField, len(e.Columns))
	for i := range e.Columns {
		column := &e.Columns[i]
		fields[i] = schemaField{
			Name: column.Name, DataType: column.Type, IsNullable: column.Nullable, IsPrimaryKey: column.PrimaryKey,
			DefaultValue: table.ValueOf(column.Default).Text,
		}
		if other := eventTypes[column.Type]; other != "" {
			fields[i].DataType = other
		}
		if column.Length > 0 {
			fields[i].MaxLength = strconv.Itoa(column.Length)
		}
		if column.Type == table.TypeDecimal {
			fields[i].SchemaScaleDigit = &column.Scale
		}
	}
	v := map[string]any{"id": e.ID, "name": e.Name, "fields": fields, "isPlatformObject": false}
	if e.Sendable {
		v["sendableCustomObjectField"], v["sendableSubscriberField"] = e.SendableField, e.SubscriberField
	}
	return v
}

// sentEvent is the body of a call that makes or changes an event definition. What else
// clients send (iconUrl, isVisibleInPicker, category) has no effect.
type sentEvent struct {
	Type, Name, EventDefinitionKey, DataExtensionID *string

	Schema *sentSchema
}

type sentSchema struct {
	Fields []struct {
		Name, DataType, DefaultValue *string
		MaxLength                    any // text or number
		IsNullable, IsPrimaryKey     bool
	}
	SendableCustomObjectField, SendableSubscriberField *string
}

// createEvent answers POST /interaction/v1/eventDefinitions, vendor page
// createEventDefinition, with 200 and the event definition. Undocumented: the words of all
// refusals; a key that is not sent is made up; a key that is there is refused with the
// vendor's status for what exists.
func createEvent(c *call) (wire.Answer, error) {
	var sent sentEvent
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	key := text(sent.EventDefinitionKey, "APIEvent-"+wire.NewGUID())
	switch {
	case text(sent.Type, "") == "":
		return wire.Answer{}, missing("type")
	case *sent.Type != "APIEvent" && *sent.Type != "Event":
		return wire.Answer{}, invalid("type", "must be APIEvent: the sandbox has no others")
	case text(sent.Name, "") == "":
		return wire.Answer{}, missing("name")
	case strings.Contains(key, "."):
		return wire.Answer{}, invalid("eventDefinitionKey", "must not contain a period")
	case c.unit.Journeys[key] != nil:
		return wire.Answer{}, taken("An event definition with the key %s already exists.", key)
	}
	e, err := sent.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	j := c.unit.AddEvent(key, *sent.Name, e, c.now)
	j.HasSchema = text(sent.DataExtensionID, noGUID) == noGUID
	return wire.JSON(http.StatusOK, viewEvent(j)), nil
}

// extension is the data extension of a new event definition: one that there is, or a new
// one by the schema.
func (s *sentEvent) extension(c *call) (*account.Extension, error) {
	switch id := text(s.DataExtensionID, noGUID); {
	case id != noGUID:
		e := c.unit.ExtensionByID(id)
		if e == nil {
			return nil, invalid("dataExtensionId", "is not the id of a data extension")
		}
		return e, nil
	case s.Schema != nil:
		return s.Schema.make(c, *s.Name)
	}
	return nil, missing("dataExtensionId")
}

// make makes the data extension of a schema, in the root folder, as the vendor does:
// named for the event and the time.
func (s *sentSchema) make(c *call, eventName string) (*account.Extension, error) {
	var o sentObject
	no, yes := false, true
	for i, f := range s.Fields {
		sent := sentField{
			Name: f.Name, Type: f.DataType, Ordinal: &i, IsPrimaryKey: &f.IsPrimaryKey, IsNullable: &f.IsNullable,
			IsTemplateField: &no, IsInheritable: &yes, IsOverridable: &yes, IsHidden: &no, IsReadOnly: &no, MustOverride: &no,
		}
		if f.DefaultValue != nil {
			sent.DefaultValue = *f.DefaultValue
		}
		for ours, theirs := range eventTypes {
			if text(f.DataType, "") == theirs {
				sent.Type = &ours
			}
		}
		length := 50 // the vendor's default
		switch l := f.MaxLength.(type) {
		case string:
			if n, err := strconv.Atoi(l); err == nil {
				length = n
			}
		case float64:
			length = int(min(max(l, 0), maxText+1))
		}
		if kind := text(sent.Type, ""); kind == table.TypeText || kind == table.TypeDecimal {
			sent.Length = &length
		}
		o.Fields = append(o.Fields, sent)
	}
	name := eventName + " - " + c.now.UTC().Format("2006-01-02T150405") + c.now.UTC().Format(".000")[1:]
	o.Name, o.CategoryID = &name, &c.unit.Folders[0].ID
	if s.SendableCustomObjectField != nil {
		subscriber := text(s.SendableSubscriberField, account.SubscriberKey)
		o.IsSendable, o.SendableCustomObjectField, o.SendableSubscriberField = &yes, s.SendableCustomObjectField, &subscriber
	}
	return o.make(c)
}

// changeEvent answers PUT /interaction/v1/eventDefinitions/{id}: the name, and the data
// extension of an event definition that no journey uses. Undocumented: that all else is
// passed over.
func changeEvent(c *call) (wire.Answer, error) {
	j, err := c.event()
	if err != nil {
		return wire.Answer{}, err
	}
	var sent sentEvent
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	if id := text(sent.DataExtensionID, noGUID); id != noGUID && j.Status == account.NoJourney {
		e := c.unit.ExtensionByID(id)
		if e == nil {
			return wire.Answer{}, invalid("dataExtensionId", "is not the id of a data extension")
		}
		j.Extension, j.HasSchema = e, false
	}
	j.EventName, j.Modified = text(sent.Name, j.EventName), c.now
	return wire.JSON(http.StatusOK, viewEvent(j)), nil
}

// deleteEvent answers DELETE /interaction/v1/eventDefinitions/{id}. The words for one that
// there is not are reported. Undocumented: their status, and that one which a journey
// uses is refused.
func deleteEvent(c *call) (wire.Answer, error) {
	j, err := c.event()
	if err != nil {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, codeOpenCase, "{{{ERROR_OPEN_SUPPORT_CASE}}}")
	}
	if j.Status != account.NoJourney {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidOperation, "The event definition %s is used by a journey.", j.EventKey)
	}
	delete(c.unit.Journeys, j.EventKey)
	return done()
}

// codeOpenCase is the errorcode of a runtime error of Journey Builder.
const codeOpenCase = 30000
