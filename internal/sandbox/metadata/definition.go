package metadata

import (
	"net/http"
	"slices"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// definitionRoutes are the routes of the definitions of transactional messages.
func definitionRoutes() []operation {
	const path = "/messaging/v1/email/definitions"
	return []operation{
		{"GET", path, "email_read", listDefinitions},
		{"POST", path, "email_write", createDefinition},
		{"GET", path + "/{key}", "email_read", getDefinition},
		{"PATCH", path + "/{key}", "email_write", changeDefinition},
		{"DELETE", path + "/{key}", "email_write", deleteDefinition},
	}
}

// listDefinitions answers GET /messaging/v1/email/definitions. Known from a client of the
// vendor: count is that of the page.
func listDefinitions(c *call) (wire.Answer, error) {
	return definitionPage(c, c.unit.AllDefinitions())
}

// definitionPage is the page that a call asks for, of message definitions.
func definitionPage(c *call, all []*account.Definition) (wire.Answer, error) {
	number, err := c.count("page", 1)
	if err != nil {
		return wire.Answer{}, err
	}
	size, err := c.count("pageSize", 50)
	if err != nil {
		return wire.Answer{}, err
	}
	list := []any{}
	for _, d := range wire.Part(all, number, size) {
		list = append(list, map[string]any{
			"name": d.Name, "definitionKey": d.Key, "status": d.Status, "createdDate": shown(d.Created), "modifiedDate": shown(d.Modified),
		})
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"requestId": wire.NewGUID(), "definitions": list, "count": len(list), "page": number, "pageSize": size,
	}), nil
}

// definition is the one that a path names. Undocumented: the words for one that there is not,
// after the vendor's name for its errorcode.
func (c *call) definition() (*account.Definition, error) {
	d := c.unit.Definitions[c.Param("key")]
	if d == nil {
		return nil, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "MCMS_UTM_Runtime_ObjectNotFound: Definition not found")
	}
	return d, nil
}

// getDefinition answers GET /messaging/v1/email/definitions/{key}.
func getDefinition(c *call) (wire.Answer, error) {
	d, err := c.definition()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, viewDefinition(d)), nil
}

// subscriptions are where a message's recipients are kept.
type subscriptions struct {
	List          *string `json:"list,omitempty"`
	DataExtension *string `json:"dataExtension,omitempty"`
	AutoAdd       *bool   `json:"autoAddSubscriber,omitempty"`
	Update        *bool   `json:"updateSubscriber,omitempty"`
}

// viewDefinition is a message definition as recorded answers have it.
func viewDefinition(d *account.Definition) any {
	s := subscriptions{List: &d.List, AutoAdd: &d.AddsSubscribers, Update: &d.UpdatesSubscribers}
	if d.Extension != "" {
		s.DataExtension = &d.Extension
	}
	return map[string]any{
		"requestId": wire.NewGUID(), "name": d.Name, "definitionKey": d.Key, "definitionId": d.ID, "description": d.Description,
		"classification": d.Classification, "status": d.Status, "createdDate": shown(d.Created), "modifiedDate": shown(d.Modified),
		"content": map[string]any{"customerKey": d.Content}, "subscriptions": s, "options": map[string]any{"trackLinks": d.TracksLinks},
	}
}

// sentDefinition is the body of a call that makes or changes a message definition.
type sentDefinition struct {
	Name, DefinitionKey, Description, Classification, Status *string

	Content       *struct{ CustomerKey string }
	Subscriptions subscriptions
	Options       struct{ TrackLinks *bool }
}

// createDefinition answers POST /messaging/v1/email/definitions with 201. Undocumented: the
// status, and the words of all refusals.
func createDefinition(c *call) (wire.Answer, error) {
	var sent sentDefinition
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	key := text(sent.DefinitionKey, "")
	switch {
	case key == "":
		return wire.Answer{}, missing("definitionKey")
	case text(sent.Name, "") == "":
		return wire.Answer{}, missing("name")
	case sent.Content == nil || sent.Content.CustomerKey == "":
		return wire.Answer{}, missing("content.customerKey")
	case c.unit.Definitions[key] != nil:
		return wire.Answer{}, taken("A definition with the key %s already exists.", key)
	}
	if err := sent.checkStatus(); err != nil {
		return wire.Answer{}, err
	}
	d := c.unit.AddDefinition(key, c.now)
	sent.apply(d)
	return wire.JSON(http.StatusCreated, viewDefinition(d)), nil
}

// checkStatus refuses a state that a message definition does not have.
func (s *sentDefinition) checkStatus() error {
	states := []string{account.Active, account.Inactive}
	if s.Status != nil && !slices.ContainsFunc(states, func(state string) bool { return strings.EqualFold(state, *s.Status) }) {
		return invalid("status", "must be Active or Inactive")
	}
	return nil
}

// apply changes what was sent.
func (s *sentDefinition) apply(d *account.Definition) {
	d.Name, d.Description = text(s.Name, d.Name), text(s.Description, d.Description)
	d.Classification = text(s.Classification, d.Classification)
	if status := text(s.Status, ""); strings.EqualFold(status, account.Inactive) {
		d.Status = account.Inactive
	} else if status != "" {
		d.Status = account.Active
	}
	if s.Content != nil && s.Content.CustomerKey != "" {
		d.Content = s.Content.CustomerKey
	}
	d.List, d.Extension = text(s.Subscriptions.List, d.List), text(s.Subscriptions.DataExtension, d.Extension)
	for sent, kept := range map[*bool]*bool{
		s.Subscriptions.AutoAdd: &d.AddsSubscribers, s.Subscriptions.Update: &d.UpdatesSubscribers, s.Options.TrackLinks: &d.TracksLinks,
	} {
		if sent != nil {
			*kept = *sent
		}
	}
}

// changeDefinition answers PATCH /messaging/v1/email/definitions/{key}. The key stays.
func changeDefinition(c *call) (wire.Answer, error) {
	d, err := c.definition()
	if err != nil {
		return wire.Answer{}, err
	}
	var sent sentDefinition
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	if err := sent.checkStatus(); err != nil {
		return wire.Answer{}, err
	}
	sent.apply(d)
	d.Modified = c.now
	return wire.JSON(http.StatusOK, viewDefinition(d)), nil
}

// deleteDefinition answers DELETE /messaging/v1/email/definitions/{key}.
func deleteDefinition(c *call) (wire.Answer, error) {
	d, err := c.definition()
	if err != nil {
		return wire.Answer{}, err
	}
	delete(c.unit.Definitions, d.Key)
	return wire.JSON(http.StatusOK, map[string]any{
		"requestId": wire.NewGUID(), "message": "Success", "deletedDefinitionKey": d.Key, "journey": struct{}{},
	}), nil
}
