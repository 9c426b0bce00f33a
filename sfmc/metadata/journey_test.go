package metadata_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc/metadata"
)

const definition = `{"id":"e-1","type":"APIEvent","name":"Welcome","eventDefinitionKey":"APIEvent-1","dataExtensionId":"guid-1","publishedInteractionCount":2,` +
	`"schema":{"id":"s","fields":[{"name":"Email","dataType":"Email","maxLength":"254","isNullable":false,"isPrimaryKey":true},{"name":"N","dataType":"Number","isNullable":true,"defaultValue":"1"}]}}`

func welcome() *metadata.EventDefinition {
	return &metadata.EventDefinition{
		ID: "e-1", Key: "APIEvent-1", Name: "Welcome", DataExtensionID: "guid-1", PublishedJourneys: 2,
		Schema: []metadata.Field{{Name: "Email", Type: metadata.EmailAddress, Length: 254, PrimaryKey: true, Required: true}, {Name: "N", Type: metadata.Number, Default: "1", Ordinal: 1}},
	}
}

func TestEventDefinition(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"GET /interaction/v1/eventDefinitions/key:APIEvent%2F1": definition, "POST /interaction/v1/eventDefinitions": definition}}
	c := a.client(t)
	got, err := c.EventDefinition(within(t), "APIEvent/1")
	if diff := cmp.Diff(welcome(), got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	made, err := c.CreateEventDefinition(within(t), metadata.EventDefinition{Key: "APIEvent-1", Name: "Welcome", DataExtensionID: "guid-1"})
	if diff := cmp.Diff(welcome(), made); diff != "" || err != nil {
		t.Error(err, diff)
	}
	const want = `{"type":"APIEvent","name":"Welcome","eventDefinitionKey":"APIEvent-1","mode":"Production","category":"Event","dataExtensionId":"guid-1","isVisibleInPicker":true,"iconUrl":"/images/icon_journeyBuilder-event-api-blue.svg","sourceApplicationExtensionId":"7db1f972-f8b7-49b6-91b5-fa218e13953d"}`
	if diff := cmp.Diff(values(t, want), values(t, a.seen()[1].Body)); diff != "" {
		t.Error(diff)
	}
}

// The list has the newest version of each journey; a draft may hide one that is published.
func TestJourneys(t *testing.T) {
	t.Parallel()
	const list = "GET /interaction/v1/interactions?$page="
	a := &account{answers: map[string]string{
		list + "1&$pageSize=50": `{"count":3,"page":1,"items":[
			{"id":"j-1","key":"k-1","name":"One","version":3,"status":"Published","triggers":[{"metaData":{"eventDefinitionKey":"apievent-1"}}]},
			{"id":"j-2","key":"k-2","name":"Two","version":2,"status":"Published","triggers":[{"metaData":{"eventDefinitionKey":"APIEvent-2"}},{}]}]}`,
		list + "2&$pageSize=50": `{"count":3,"page":2,"items":[{"id":"j-3","key":"k/3","name":"Three","version":3,"status":"Draft","triggers":[{"metaData":{"eventDefinitionKey":"APIEvent-1"}}]}]}`,
		"GET /interaction/v1/interactions/status/key:k%2F3?AllVersions=true": `[{"id":"j-3-1","status":"Stopped","versionNumber":1},{"id":"j-3-2","status":"Published","versionNumber":2},{"id":"j-3","status":"Draft","versionNumber":3}]`,
	}}
	got, err := a.client(t).Journeys(within(t), "APIEvent-1")
	want := []metadata.Journey{
		{ID: "j-1", Key: "k-1", Name: "One", Version: 3, Status: "Published"},
		{ID: "j-3", Key: "k/3", Name: "Three", Version: 3, Status: "Draft"},
		{ID: "j-3-2", Key: "k/3", Name: "Three", Version: 2, Status: "Published"},
		{ID: "j-3-1", Key: "k/3", Name: "Three", Version: 1, Status: "Stopped"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || !got[2].Published() || got[1].Published() {
		t.Error(err, diff)
	}
}

func TestMessageDefinition(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"GET /messaging/v1/email/definitions/welcome": `{"requestId":"r","name":"Welcome","definitionKey":"welcome","status":"Inactive"}`}}
	got, err := a.client(t).MessageDefinition(within(t), "welcome")
	if diff := cmp.Diff(&metadata.MessageDefinition{Key: "welcome", Name: "Welcome", Status: "Inactive"}, got); diff != "" || err != nil || got.Active() {
		t.Error(err, diff)
	}
}
