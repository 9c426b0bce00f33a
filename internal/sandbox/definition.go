package sandbox

import (
	"net/http"
	"strings"

	"onramp/internal/sandbox/wire"
)

// definitionRoutes read what the destinations of others' calls are: event
// definitions and message definitions. Scopes: vendor page "REST API Permission IDs
// and Scopes".
func (s *Sandbox) definitionRoutes() []wire.Route {
	return []wire.Route{
		{Method: "GET", Pattern: "/interaction/v1/eventDefinitions/{id}", Scopes: []string{"journeys_read"}, Handle: s.eventDefinition},
		{Method: "GET", Pattern: "/messaging/v1/email/definitions/{key}", Scopes: []string{"email_read"}, Handle: s.messageDefinition},
	}
}

// eventDefinition answers GET /interaction/v1/eventDefinitions/key:{key} with the
// fields that recorded answers have and clients use. Undocumented: the words for a
// key that is not there.
func (s *Sandbox) eventDefinition(c *wire.Call) (wire.Answer, error) {
	key, isKey := strings.CutPrefix(c.Param("id"), "key:")
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.world.unit(c).Journeys[key]
	if !isKey || j == nil {
		return wire.Answer{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "Event Definition not found: %s", key)
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"id": j.EventID, "type": "APIEvent", "name": j.EventName, "mode": "Production", "eventDefinitionKey": j.EventKey,
		"dataExtensionId": j.Extension.ID, "dataExtensionName": j.Extension.Name,
		"arguments": map[string]any{
			"serializedObjectType": 11, "eventDefinitionId": j.EventID, "eventDefinitionKey": j.EventKey, "dataExtensionId": j.Extension.ID,
		},
		"metaData": map[string]any{}, "interactionCount": 1, "publishedInteractionCount": 1, "isVisibleInPicker": false, "category": "Event",
	}), nil
}

// messageDefinition answers GET /messaging/v1/email/definitions/{key} with the
// fields that recorded answers have.
func (s *Sandbox) messageDefinition(c *wire.Call) (wire.Answer, error) {
	key := c.Param("key")
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.world.unit(c).Definitions[key]
	if d == nil {
		return wire.Answer{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "%s: Definition not found", messageErrorName(wire.CodeNotFound))
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"requestId": wire.NewGUID(), "name": d.Name, "definitionKey": key, "definitionId": d.ID, "status": d.Status, "options": map[string]any{"trackLinks": true},
	}), nil
}
