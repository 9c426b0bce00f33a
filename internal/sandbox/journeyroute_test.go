package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	eventDefinitions = "/interaction/v1/eventDefinitions"
	interactions     = "/interaction/v1/interactions"
	noGUID           = "00000000-0000-0000-0000-000000000000"
	welcomeEventID   = "c41f0a6d-58e2-4b7a-9e13-0f5100000004"
	welcomeJourneyID = "0d9b7e34-6a1c-4f82-8d57-0f5100000005"
)

// eventView is an event definition as it is answered; more is what depends on it.
func eventView(id, key, name, extensionID, extensionName, more string) string {
	return `{"id":"` + id + `","type":"APIEvent","name":"` + name + `","description":"","createdDate":"2026-06-23T08:52:45.00","createdBy":510000777,
		"modifiedBy":510000777,"mode":"Production","eventDefinitionKey":"` + key + `","dataExtensionId":"` + extensionID + `","dataExtensionName":"` + extensionName + `",
		"sourceApplicationExtensionId":"7db1f972-f8b7-49b6-91b5-fa218e13953d","filterDefinitionId":"` + noGUID + `","filterDefinitionTemplate":"",
		"iconUrl":"/images/icon_journeyBuilder-event-api-blue.svg",
		"arguments":{"serializedObjectType":11,"eventDefinitionId":"` + id + `","eventDefinitionKey":"` + key + `","dataExtensionId":"` + extensionID + `","criteria":""},
		"metaData":{"scheduleState":"No Schedule"},"isVisibleInPicker":false,"isPlatformObject":false,"category":"Event","automationId":"` + noGUID + `",
		"disableDEDataLogging":false,` + more + `}`
}

const welcomeCounts = `"modifiedDate":"2026-06-23T08:52:45.00","interactionCount":1,"publishedInteractionCount":1`

// An event definition from its making to its end, with the data extension that there is,
// and with one that is made of a schema.
func TestEventDefinitions(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	welcome := eventView(welcomeEventID, "APIEvent-sandbox-welcome", "APIEvent-sandbox-welcome", registrationsID, "Web_Registrations", welcomeCounts)
	same(t, send(t, s, "GET", eventDefinitions+"/key:APIEvent-sandbox-welcome", "", auth), 200, welcome)
	same(t, send(t, s, "GET", eventDefinitions+"/"+strings.ToUpper(welcomeEventID), "", auth), 200, welcome)

	w := send(t, s, "POST", eventDefinitions, `{"type":"APIEvent","name":"Sign-up","eventDefinitionKey":"APIEvent-signup","mode":"Production","isVisibleInPicker":true,
		"dataExtensionId":"`+registrationsID+`","category":"Event","iconUrl":"","sourceApplicationExtensionId":"7db1f972-f8b7-49b6-91b5-fa218e13953d"}`, auth)
	id := idOf(t, w)
	const unused = `"modifiedDate":"2026-06-23T08:52:45.00","interactionCount":0,"publishedInteractionCount":0`
	same(t, w, 200, eventView(id, "APIEvent-signup", "Sign-up", registrationsID, "Web_Registrations", unused))

	w = send(t, s, "POST", eventDefinitions, `{"type":"APIEvent","name":"Order","eventDefinitionKey":"Order","schema":{"sendableCustomObjectField":"Id","fields":[
		{"name":"Id","dataType":"Text","maxLength":"18","isNullable":false,"isPrimaryKey":true,"isDevicePreference":false},
		{"name":"Mail","dataType":"Email","maxLength":"","isNullable":true,"isPrimaryKey":false},{"name":"Sum","dataType":"Decimal","maxLength":"9","isNullable":true},
		{"name":"Note","dataType":"Text","isNullable":true,"defaultValue":"-"},{"name":"At","dataType":"Date","isNullable":true,"defaultValue":""}]}}`, auth)
	var made struct{ ID, DataExtensionID, DataExtensionName string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	const extensionName = "Order - 2026-06-23T145245000"
	field := func(name, kind, length string, more string) string {
		return fmt.Sprintf(`{"name":%q,"dataType":%q,"maxLength":%q,"isDevicePreference":false,%s}`, name, kind, length, more)
	}
	order := eventView(made.ID, "Order", "Order", made.DataExtensionID, extensionName, unused+`,"schema":{"id":"`+made.DataExtensionID+`","name":"`+extensionName+`","isPlatformObject":false,
		"sendableCustomObjectField":"Id","sendableSubscriberField":"_SubscriberKey","fields":[`+strings.Join([]string{
		field("Id", "Text", "18", `"isNullable":false,"isPrimaryKey":true`), field("Mail", "Email", "254", `"isNullable":true,"isPrimaryKey":false`),
		field("Sum", "Decimal", "9", `"isNullable":true,"isPrimaryKey":false,"scale":0`), field("Note", "Text", "50", `"isNullable":true,"isPrimaryKey":false,"defaultValue":"-"`),
		field("At", "Date", "", `"isNullable":true,"isPrimaryKey":false`),
	}, ",")+`]}`)
	same(t, w, 200, order)

	// lists
	page := func(count, number, size int, items ...string) string {
		return fmt.Sprintf(`{"count":%d,"page":%d,"pageSize":%d,"links":{},"items":[%s]}`, count, number, size, strings.Join(items, ","))
	}
	signup := eventView(id, "APIEvent-signup", "Sign-up", registrationsID, "Web_Registrations", unused)
	same(t, send(t, s, "GET", eventDefinitions, "", auth), 200, page(3, 1, 50, welcome, signup, order))
	same(t, send(t, s, "GET", eventDefinitions+"?$pageSize=2", "", auth), 200, page(3, 1, 2, welcome, signup))
	same(t, send(t, s, "GET", eventDefinitions+"?$pageSize=2&$page=2", "", auth), 200, page(3, 2, 2, order))
	same(t, send(t, s, "GET", eventDefinitions+"?name=sign", "", auth), 200, page(1, 1, 50, signup))

	// changes
	renamed := eventView(id, "APIEvent-signup", "Joined", made.DataExtensionID, extensionName, unused)
	same(t, send(t, s, "PUT", eventDefinitions+"/"+id, `{"name":"Joined","eventDefinitionKey":"other","dataExtensionId":"`+made.DataExtensionID+`"}`, auth), 200, renamed)
	same(t, send(t, s, "GET", eventDefinitions+"/key:APIEvent-signup", "", auth), 200, renamed)
	same(t, send(t, s, "DELETE", eventDefinitions+"/key:APIEvent-signup", "", auth), 200, `{}`)
	same(t, send(t, s, "GET", eventDefinitions+"/key:APIEvent-signup", "", auth), 404, `{"message":"Event Definition not found: APIEvent-signup","errorcode":30003,"documentation":""}`)
	same(t, send(t, s, "DELETE", eventDefinitions+"/key:APIEvent-signup", "", auth), 400, `{"message":"{{{ERROR_OPEN_SUPPORT_CASE}}}","errorcode":30000,"documentation":""}`)
	same(t, send(t, s, "DELETE", eventDefinitions+"/"+welcomeEventID, "", auth), 400, `{"message":"The event definition APIEvent-sandbox-welcome is used by a journey.","errorcode":30001,"documentation":""}`)
}

func TestEventDefinitionRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const good = `"type":"APIEvent","name":"E","eventDefinitionKey":"e"`
	required := func(name string) string {
		return `{"message":"` + name + ` is a required parameter","errorcode":10002,"documentation":""}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"no JSON", `x`, 400, badFormat},
		{"no type", `{"name":"E"}`, 400, required("type")},
		{"another type", `{"type":"EmailAudience"}`, 400, `{"message":"type must be APIEvent: the sandbox has no others","errorcode":10005,"documentation":""}`},
		{"no name", `{"type":"APIEvent"}`, 400, required("name")},
		{"no data extension", `{` + good + `}`, 400, required("dataExtensionId")},
		{"an unknown data extension", `{` + good + `,"dataExtensionId":"x"}`, 400, `{"message":"dataExtensionId is not the id of a data extension","errorcode":10005,"documentation":""}`},
		{"no data extension in letters", `{` + good + `,"dataExtensionId":"` + noGUID + `"}`, 400, required("dataExtensionId")},
		{"an empty schema", `{` + good + `,"schema":{"fields":[]}}`, 400, required("fields")},
		{"a schema of an unknown type", `{` + good + `,"schema":{"fields":[{"name":"A","dataType":"Blob"}]}}`, 400, `{"message":"type \"Blob\" is not supported","errorcode":10005,"documentation":""}`},
		{"a key with a period", `{"type":"APIEvent","name":"E","eventDefinitionKey":"a.b"}`, 400, `{"message":"eventDefinitionKey must not contain a period","errorcode":10005,"documentation":""}`},
		{"a key that is there", `{"type":"APIEvent","name":"E","eventDefinitionKey":"APIEvent-sandbox-welcome"}`, 409, `{"message":"An event definition with the key APIEvent-sandbox-welcome already exists.","errorcode":30004,"documentation":""}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, send(t, s, "POST", eventDefinitions, c.body, auth), c.status, c.want)
		})
	}
	if st := s.State(); len(st.Journeys) != 1 || len(st.DataExtensions) != 1 {
		t.Errorf("%d event definitions, %d data extensions", len(st.Journeys), len(st.DataExtensions))
	}
}

// journeyView is a journey as it is answered; more is what depends on it. Its trigger is of
// the event definition with the key, unless that is "".
func journeyView(id, key, name, eventID, eventKey, more string) string {
	trigger := ""
	if eventKey != "" {
		trigger = `{"id":"GUID","key":"TRIGGER","name":"TRIGGER","description":"","type":"APIEvent","outcomes":[],"arguments":{},"configurationArguments":{},
			"metaData":{"eventDefinitionId":"` + eventID + `","eventDefinitionKey":"` + eventKey + `","chainType":"none","configurationRequired":false,"title":"",
			"iconUrl":"/images/icon_journeyBuilder-event-api-blue.svg"}}`
	}
	return `{"id":"` + id + `","key":"` + key + `","name":"` + name + `","version":1,"workflowApiVersion":1,
		"createdDate":"2026-06-23T08:52:45.00","triggers":[` + trigger + `],"goals":[],"exits":[],"notifiers":[],
		"stats":{"currentPopulation":0,"cumulativePopulation":0,"metGoal":0,"metExitCriteria":0,"goalPerformance":0},
		"entryMode":"MultipleEntries","definitionType":"Multistep","channel":"","defaults":{"properties":{}},"metaData":{},"executionMode":"Production",
		"categoryId":80825811,"definitionId":"` + id + `","scheduledStatus":"Draft",` + more + `}`
}

// A journey is made as a draft, published, paused, resumed and stopped.
func TestJourney(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const never = `"lastPublishedDate":"0001-01-01T00:00:00"`
	const since = `"modifiedDate":"2026-06-23T08:52:45.00"`
	welcome := journeyView(welcomeJourneyID, "welcome-journey", "Welcome", welcomeEventID, "APIEvent-sandbox-welcome",
		`"description":"","status":"Published","lastPublishedDate":"2026-06-23T08:52:45.00",`+since)
	alike(t, send(t, s, "GET", interactions+"/key:welcome-journey", "", auth), 200, welcome)
	alike(t, send(t, s, "GET", interactions+"/"+welcomeJourneyID+"?extras=activities", "", auth), 200, strings.TrimSuffix(welcome, "}")+`,"activities":[]}`)
	eventID := idOf(t, send(t, s, "POST", eventDefinitions, `{"type":"APIEvent","name":"E","eventDefinitionKey":"e","dataExtensionId":"`+registrationsID+`"}`, auth))
	w := send(t, s, "POST", interactions, `{"key":"mine","name":"Mine","description":"d","workflowApiVersion":1.0,"triggers":[{"type":"APIEvent","metaData":{"eventDefinitionKey":"e"}}]}`, auth)
	id := idOf(t, w)
	mine := func(more string) string {
		return journeyView(id, "mine", "Mine", eventID, "e", `"description":"d",`+more)
	}
	alike(t, w, 201, mine(`"status":"Draft",`+never+`,`+since))
	w = send(t, s, "POST", interactions, `{"key":"bare","name":"Bare","workflowApiVersion":1.0}`, auth)
	bareID := idOf(t, w)
	bare := journeyView(bareID, "bare", "Bare", "", "", `"description":"","status":"Draft",`+never+`,`+since)
	alike(t, w, 201, bare)
	list := func(items ...string) string {
		return fmt.Sprintf(`{"count":%d,"page":1,"pageSize":50,"links":{},"items":[%s]}`, len(items), strings.Join(items, ","))
	}
	alike(t, send(t, s, "GET", interactions+"?$pageSize=1&$filter=x", "", auth), 200, list(welcome, mine(`"status":"Draft",`+never+`,`+since), bare))
	alike(t, send(t, s, "GET", interactions+"?status=published&extras=all", "", auth), 200, list(strings.TrimSuffix(welcome, "}")+`,"activities":[]}`))

	fire := func() int {
		return send(t, s, "POST", eventsPath, strings.Replace(event(goodData), "APIEvent-sandbox-welcome", "e", 1), auth).Code
	}
	status := func() string {
		t.Helper()
		var answer []struct{ ID, Status string }
		w := send(t, s, "GET", interactions+"/status/key:mine?AllVersions=true", "", auth)
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer) != 1 || answer[0].ID != id {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return answer[0].Status
	}
	publication := func(path string, version int) string {
		t.Helper()
		w := send(t, s, "POST", fmt.Sprintf("%s/publishAsync/%s?versionNumber=%d", interactions, path, version), "", auth)
		var answer struct{ StatusURL, StatusID string }
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || w.Code != 202 || answer.StatusURL != interactions+"/publishStatus/"+answer.StatusID {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return answer.StatusURL
	}
	state := func(name, errors string) string {
		return `{"status":"` + name + `","errors":[` + errors + `],"warnings":[]}`
	}
	if got := fire(); got != 400 {
		t.Errorf("a draft takes events: %d", got)
	}
	url := publication(id, 1)
	same(t, send(t, s, "GET", url, "", auth), 200, state("PublishInProcess", ""))
	same(t, send(t, s, "GET", publication("key:bare", 1), "", auth), 200, state("Error", `{"errorDetail":"The journey has no entry source.","errorCode":"121000","errorType":"Error","additionalInfo":{}}`))
	advance(t, s, 300*time.Millisecond)
	if got := fire(); got != 201 {
		t.Errorf("a published journey refuses events: %d", got)
	}
	same(t, send(t, s, "GET", url, "", auth), 200, state("PublishCompleted", ""))

	const acceptedAnswer = `{"status":"Accepted"}`
	wrong := func(code, message string) string {
		return `{"message":"` + message + `","errorcode":` + code + `,"documentation":""}`
	}
	for _, step := range []struct {
		target string
		status int
		want   string
		state  string // afterwards
	}{
		{"/pause/" + id, 202, wrong("10005", "AllVersions=true or VersionNumber required."), "Published"},
		{"/pause/" + id + "?versionNumber=2", 202, wrong("10000", "The journey has no version 2."), "Published"},
		{"/resume/key:mine?versionNumber=1", 202, wrong("10000", "The journey is Published."), "Published"},
		{"/pause/" + id + "?versionNumber=1", 202, acceptedAnswer, "Paused"},
		{"/resume/key:mine?allVersions=true", 202, acceptedAnswer, "Published"},
		{"/stop/" + id + "?versionNumber=1", 200, `{"message":"Journey stopped successfully"}`, "Stopped"},
		{"/stop/" + id + "?versionNumber=1", 400, wrong("10000", "The journey is Stopped."), "Stopped"},
		{"/stop/key:nope?versionNumber=1", 404, wrong("30003", "Interaction not found: key:nope"), "Stopped"},
		{"/publishAsync/" + id, 400, wrong("10002", "versionNumber is a required parameter"), "Stopped"},
		{"/publishAsync/" + id + "?versionNumber=9", 404, wrong("30003", "Interaction not found: version 9"), "Stopped"},
	} {
		same(t, send(t, s, "POST", interactions+step.target, "", auth), step.status, step.want)
		if got := status(); got != step.state {
			t.Errorf("%s: %s", step.target, got)
		}
	}
	same(t, send(t, s, "GET", publication(id, 1), "", auth), 200, state("Error", `{"errorDetail":"The journey is stopped.","errorCode":"121000","errorType":"Error","additionalInfo":{}}`))
	same(t, send(t, s, "GET", interactions+"/publishStatus/nope", "", auth), 404, noObject)
	same(t, send(t, s, "GET", interactions+"/status/key:mine", "", auth), 400, wrong("10005", "AllVersions=true or VersionNumber required"))
	same(t, send(t, s, "GET", interactions+"/status/key:mine?VersionNumber=1", "", auth), 200, `[{"id":"`+id+`","status":"Stopped","versionNumber":1}]`)
	same(t, send(t, s, "GET", interactions+"/status/key:mine?VersionNumber=2", "", auth), 200, `[]`)
	if got := fire(); got != 400 {
		t.Errorf("a stopped journey takes events: %d", got)
	}
}

func TestJourneyRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for body, want := range map[string]string{
		`{"workflowApiVersion":1}`: `{"message":"name is a required parameter","errorcode":10002,"documentation":""}`,
		`{"name":"J"}`:             `{"message":"workflowApiVersion is a required parameter","errorcode":10002,"documentation":""}`,
		`{"name":"J","workflowApiVersion":1,"triggers":{}}`:                                                            `{"message":"The parameter Triggers is not of the expected type.","errorcode":10001,"documentation":""}`,
		`{"name":"J","workflowApiVersion":1,"key":"welcome-journey"}`:                                                  `{"message":"A journey with the key welcome-journey already exists.","errorcode":30004,"documentation":""}`,
		`{"name":"J","workflowApiVersion":1,"triggers":[{"metaData":{"eventDefinitionKey":"nope"}}]}`:                  `{"message":"eventDefinitionKey is not the key of an event definition","errorcode":10005,"documentation":""}`,
		`{"name":"J","workflowApiVersion":1,"triggers":[{"metaData":{"eventDefinitionId":"` + welcomeEventID + `"}}]}`: `{"message":"A journey of the event definition APIEvent-sandbox-welcome already exists; the sandbox has one for each.","errorcode":30004,"documentation":""}`,
	} {
		w := send(t, s, "POST", interactions, body, auth)
		same(t, w, w.Code, want)
		if w.Code != 400 && w.Code != 409 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}

// Contacts are in journeys until they leave.
func TestMemberships(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	enter := func(key string) {
		t.Helper()
		if w := send(t, s, "POST", eventsPath, strings.ReplaceAll(event(goodData), "u-1", key), auth); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	members := func(keys string) string {
		t.Helper()
		w := send(t, s, "POST", interactions+"/contactMembership", `{"ContactKeyList":[`+keys+`]}`, auth)
		if w.Code != 200 {
			t.Errorf("%d", w.Code)
		}
		return w.Body.String()
	}
	in := func(members, strangers string) string {
		list := []string{}
		for key := range strings.SplitSeq(members, ",") {
			if key != "" {
				list = append(list, `{"contactKey":"`+key+`","definitionKey":"welcome-journey","version":1}`)
			}
		}
		return `{"results":{"contactMemberships":[` + strings.Join(list, ",") + `],"contactsNotFound":[` + strangers + `]}}`
	}
	wantState := func(keys, want string) {
		t.Helper()
		if diff := cmp.Diff(decode(t, want), decode(t, members(keys))); diff != "" {
			t.Error(diff)
		}
	}
	enter("u-1")
	wantState(`"u-1","nobody"`, in("u-1", `"nobody"`))
	exit := `[{"ContactKey":"u-1","DefinitionKey":"welcome-journey"},{"contactKey":"u-1","definitionKey":"nope","versions":[2]},
		{"ContactKey":"u-1","DefinitionKey":"welcome-journey","Versions":[1,2]},{"ContactKey":"nobody","DefinitionKey":"welcome-journey"}]`
	result := func(key, journey, states string) string {
		return `{"contactKey":"` + key + `","definitionKey":"` + journey + `","status":[` + states + `]}`
	}
	const noName = `{"version":2,"message":"Exit request Ignored - Invalid Interaction Name."}`
	const noVersion = `{"version":2,"message":"Exit request Ignored - Invalid Interaction Version."}`
	same(t, send(t, s, "POST", interactions+"/contactexit", exit, auth), 202, `{"errors":[`+result("u-1", "nope", noName)+`,`+result("u-1", "welcome-journey", noVersion)+`]}`)
	states := func(mine string) string {
		return `[` + result("u-1", "welcome-journey", mine) + `,` + result("u-1", "nope", noName) + `,` + result("u-1", "welcome-journey", mine+`,`+noVersion) + `,` +
			result("nobody", "welcome-journey", `{"version":1,"message":"Exit request Ignored - Contact not in Interaction."}`) + `]`
	}
	same(t, send(t, s, "POST", interactions+"/contactexit/status", exit, auth), 200, states(`{"version":1,"message":"Exit request received for processing"}`))
	wantState(`"u-1"`, in("u-1", ""))
	advance(t, s, 300*time.Millisecond)
	same(t, send(t, s, "POST", interactions+"/contactexit/status", exit, auth), 200, states(`{"version":1,"message":"Exit process Completed.","definitionInstanceId":"`+welcomeJourneyID+`"}`))
	wantState(`"u-1"`, in("", `"u-1"`))
	advance(t, s, time.Millisecond)
	enter("u-1")
	wantState(`"u-1"`, in("u-1", ""))

	many := strings.TrimSuffix(strings.Repeat(`{"ContactKey":"a","DefinitionKey":"b"},`, 51), ",")
	for target, body := range map[string]string{"/contactexit": "[" + many + "]", "/contactexit/status": `[]`, "/contactMembership": `{"ContactKeyList":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 51), ",") + `]}`} {
		if w := send(t, s, "POST", interactions+target, body, auth); w.Code != 400 || !strings.Contains(w.Body.String(), `"errorcode":10005`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	for target, body := range map[string]string{"/contactexit": `[{"ContactKey":"a"}]`, "/contactexit/status": `[{"DefinitionKey":"a"}]`, "/contactMembership": `{}`} {
		if w := send(t, s, "POST", interactions+target, body, auth); w.Code != 400 || !strings.Contains(w.Body.String(), `"errorcode":10002`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}
