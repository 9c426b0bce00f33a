package metadata

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"onramp/sfmc"
)

// EventDefinition is an API event, by which contacts enter journeys.
type EventDefinition struct {
	ID   string // Marketing Cloud's own, a GUID
	Key  string // by which events are fired
	Name string
	// DataExtensionID is the id of the data extension to which its events are written.
	DataExtensionID string
	// Schema has the columns, where Marketing Cloud gives them; nil is no evidence of
	// anything. Those of the data extension are what counts.
	Schema []Field
	// PublishedJourneys is how many journeys that run use the event.
	PublishedJourneys int
}

// eventField is a column in the schema of an event definition.
type eventField struct {
	Name         string  `json:"name"`
	Type         string  `json:"dataType"`
	Length       integer `json:"maxLength"`
	Scale        integer `json:"scale"`
	IsNullable   bool    `json:"isNullable"`
	IsPrimaryKey bool    `json:"isPrimaryKey"`
	Default      string  `json:"defaultValue"`
}

// eventDefinition is an event definition as REST gives it.
type eventDefinition struct {
	ID              string  `json:"id"`
	Key             string  `json:"eventDefinitionKey"`
	Name            string  `json:"name"`
	DataExtensionID string  `json:"dataExtensionId"`
	Published       integer `json:"publishedInteractionCount"`
	Schema          struct {
		Fields []eventField `json:"fields"`
	} `json:"schema"`
}

func (e *eventDefinition) known(op string) (*EventDefinition, error) {
	if e.ID == "" {
		return nil, unfit(op, "no id")
	}
	made := &EventDefinition{ID: e.ID, Key: e.Key, Name: e.Name, DataExtensionID: e.DataExtensionID, PublishedJourneys: int(e.Published)}
	for i, f := range e.Schema.Fields {
		if f.Type == "Email" {
			f.Type = EmailAddress
		}
		made.Schema = append(made.Schema, Field{
			Name: f.Name, Type: f.Type, Length: int(f.Length), Scale: int(f.Scale), PrimaryKey: f.IsPrimaryKey, Required: !f.IsNullable, Default: f.Default, Ordinal: i,
		})
	}
	return made, nil
}

const eventDefinitionsPath = "/interaction/v1/eventDefinitions"

// EventDefinition reads an event definition by its key: GET
// /interaction/v1/eventDefinitions/key:KEY. If there is none, errors.Is(err, [ErrNotFound]).
func (c *Client) EventDefinition(ctx context.Context, key string) (*EventDefinition, error) {
	if strings.TrimSpace(key) == "" {
		return nil, invalid(OpEventDefinition, "empty key")
	}
	var e eventDefinition
	err := c.rest(ctx, sfmc.Request{Op: OpEventDefinition, Method: http.MethodGet, Path: eventDefinitionsPath + "/key:" + url.PathEscape(key)}, &e)
	if err != nil {
		return nil, err
	}
	return e.known(OpEventDefinition)
}

// newEventDefinition is an event definition to create. The id is that of the application
// behind API events, the same in all accounts.
type newEventDefinition struct {
	Type            string `json:"type"`
	Name            string `json:"name"`
	Key             string `json:"eventDefinitionKey"`
	Mode            string `json:"mode"`
	Category        string `json:"category"`
	DataExtensionID string `json:"dataExtensionId"`
	Visible         bool   `json:"isVisibleInPicker"`
	Icon            string `json:"iconUrl"`
	Application     string `json:"sourceApplicationExtensionId"`
}

// CreateEventDefinition creates an API event that is bound to a data extension: POST
// /interaction/v1/eventDefinitions. Key, Name and DataExtensionID are needed, nothing else
// is sent. A journey that uses it has to be made in Journey Builder.
func (c *Client) CreateEventDefinition(ctx context.Context, e EventDefinition) (*EventDefinition, error) {
	if strings.TrimSpace(e.Key) == "" || strings.TrimSpace(e.Name) == "" || e.DataExtensionID == "" {
		return nil, invalid(OpCreateEventDefinition, "no key, no name or no data extension")
	}
	var made eventDefinition
	err := c.post(ctx, OpCreateEventDefinition, eventDefinitionsPath, newEventDefinition{
		Type: "APIEvent", Name: e.Name, Key: e.Key, Mode: "Production", Category: "Event", DataExtensionID: e.DataExtensionID, Visible: true,
		Icon: "/images/icon_journeyBuilder-event-api-blue.svg", Application: "7db1f972-f8b7-49b6-91b5-fa218e13953d",
	}, &made)
	if err != nil {
		return nil, err
	}
	return made.known(OpCreateEventDefinition)
}

// Journey is one version of a journey.
type Journey struct {
	ID, Key, Name string
	Version       int
	Status        string // "Draft", "Published", "Stopped", "Paused", …
}

// Published reports whether the version takes in contacts.
func (j Journey) Published() bool { return strings.EqualFold(j.Status, "Published") }

// interaction is a journey as REST gives it.
type interaction struct {
	ID       string  `json:"id"`
	Key      string  `json:"key"`
	Name     string  `json:"name"`
	Version  integer `json:"version"`
	Status   string  `json:"status"`
	Triggers []struct {
		MetaData struct {
			EventKey string `json:"eventDefinitionKey"`
		} `json:"metaData"`
	} `json:"triggers"`
}

func (i *interaction) startedBy(eventKey string) bool {
	for _, trigger := range i.Triggers {
		if strings.EqualFold(trigger.MetaData.EventKey, eventKey) {
			return true
		}
	}
	return false
}

// Journeys lists the journeys that an event starts: of each the newest version and, where
// that is not published, the ones before it, since one of those may be. It is GET
// /interaction/v1/interactions, 50 at a time, and …/interactions/status/key:KEY.
func (c *Client) Journeys(ctx context.Context, eventKey string) ([]Journey, error) {
	if strings.TrimSpace(eventKey) == "" {
		return nil, invalid(OpJourneys, "empty key")
	}
	newest, err := c.interactions(ctx)
	if err != nil {
		return nil, err
	}
	var all []Journey
	for i := range newest {
		if !newest[i].startedBy(eventKey) {
			continue
		}
		j := Journey{ID: newest[i].ID, Key: newest[i].Key, Name: newest[i].Name, Version: int(newest[i].Version), Status: newest[i].Status}
		all = append(all, j)
		if j.Published() || j.Version < 2 {
			continue
		}
		older, err := c.olderVersions(ctx, j)
		if err != nil {
			return nil, err
		}
		all = append(all, older...)
	}
	return all, nil
}

// interactions lists the newest version of each journey.
func (c *Client) interactions(ctx context.Context) ([]interaction, error) {
	const pageSize, maxPages = 50, 400
	var all []interaction
	for page := 1; page <= maxPages; page++ {
		var a struct {
			Count integer       `json:"count"`
			Items []interaction `json:"items"`
		}
		path := fmt.Sprintf("/interaction/v1/interactions?$page=%d&$pageSize=%d", page, pageSize)
		if err := c.rest(ctx, sfmc.Request{Op: OpJourneys, Method: http.MethodGet, Path: path}, &a); err != nil {
			return nil, err
		}
		if all = append(all, a.Items...); len(a.Items) == 0 || len(all) >= int(a.Count) {
			return all, nil
		}
	}
	return nil, unfit(OpJourneys, fmt.Sprintf("more than %d journeys", pageSize*maxPages))
}

// olderVersions lists the versions of a journey before this one, newest first.
func (c *Client) olderVersions(ctx context.Context, newest Journey) ([]Journey, error) {
	var a []struct {
		ID      string  `json:"id"`
		Status  string  `json:"status"`
		Version integer `json:"versionNumber"`
	}
	path := "/interaction/v1/interactions/status/key:" + url.PathEscape(newest.Key) + "?AllVersions=true"
	if err := c.rest(ctx, sfmc.Request{Op: OpJourneys, Method: http.MethodGet, Path: path}, &a); err != nil {
		return nil, err
	}
	var older []Journey
	for _, v := range a {
		if int(v.Version) < newest.Version {
			older = append(older, Journey{ID: v.ID, Key: newest.Key, Name: newest.Name, Version: int(v.Version), Status: v.Status})
		}
	}
	slices.SortFunc(older, func(a, b Journey) int { return b.Version - a.Version })
	return older, nil
}

// MessageDefinition is the definition of a transactional message.
type MessageDefinition struct {
	Key, Name string
	Status    string // "Active", "Inactive" or "Deleted"
}

// Active reports whether messages are sent; otherwise they stay queued.
func (m MessageDefinition) Active() bool { return strings.EqualFold(m.Status, "Active") }

// MessageDefinition reads the definition of a transactional email by its key: GET
// /messaging/v1/email/definitions/KEY. If there is none, errors.Is(err, [ErrNotFound]).
func (c *Client) MessageDefinition(ctx context.Context, key string) (*MessageDefinition, error) {
	if strings.TrimSpace(key) == "" {
		return nil, invalid(OpMessageDefinition, "empty key")
	}
	var m struct {
		Key    string `json:"definitionKey"`
		Name   string `json:"name"`
		Status string `json:"status"`
	}
	err := c.rest(ctx, sfmc.Request{Op: OpMessageDefinition, Method: http.MethodGet, Path: "/messaging/v1/email/definitions/" + url.PathEscape(key)}, &m)
	if err != nil {
		return nil, err
	}
	if m.Key == "" {
		return nil, unfit(OpMessageDefinition, "no key")
	}
	return &MessageDefinition{m.Key, m.Name, m.Status}, nil
}
