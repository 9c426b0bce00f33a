package sandbox_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// account sets up a part of the sandbox's account.
func account(t testing.TB, s *sandbox.Sandbox, body string) {
	t.Helper()
	if w := send(t, s, "PUT", "/_sandbox/account", body); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

const members = `"columns":[{"name":"Key","type":"Text","length":50,"primary_key":true},{"name":"City","type":"Text","length":4,"truncates":true},
	{"name":"Note","type":"Text","nullable":true,"drops":true}]`

// The answers to what is missing in an account, on each route.
func TestAccount(t *testing.T) {
	t.Parallel()
	const (
		toMembers  = "/hub/v1/dataevents/key:Members/rowset"
		row        = `[{"keys":{"Key":"1"},"values":{"City":"Rome","Ctiy":"x"}}]`
		definition = `{"definitionKey":"bye","recipient":{"contactKey":"u-1","to":"a@example.org"}}`
		privileges = `{"message":"Insufficient privileges to complete this action.","documentation":""}`
		plain      = `{"message":"Insufficient Privileges","errorcode":20002,"documentation":"` + errorDocs + `"}`
		notFound   = `{"message":"Object Not Found","errorcode":30003,"documentation":""}`
	)
	refused := func(code, message string) string {
		return `{"message":"` + message + `","errorcode":` + code + `,"documentation":""}`
	}
	for _, c := range []struct {
		name, account, method, target, body string
		status                              int
		want                                string
	}{
		{"no such data extension", `{"data_extensions":{"Web_Registrations":null}}`, "POST", rowset, `[]`, 404, notFound},
		{"another data extension", `{"data_extensions":{"Members":{` + members + `}}}`, "POST", toMembers, row, 200, row},
		{"unknown column refused", `{"data_extensions":{"Members":{"unknown_columns":"refuse",` + members + `}}}`, "POST", toMembers, `[{"keys":{"Kee":"1"},"values":{}}]`, 400, refused("10000", "Primary key 'kee' does not exist.")},
		{"draft", `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}}}`, "POST", eventsPath, event(goodData), 400, refused("30001", "The journey of the event definition APIEvent-sandbox-welcome is not published.")},
		{"stopped", `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Stopped"}}}`, "POST", "/interaction/v1/async/events", `{"eventDefinitionKey":"APIEvent-sandbox-welcome","members":[{"contactKey":"u-1"}]}`, 400, refused("30001", "The journey of the event definition APIEvent-sandbox-welcome is not published.")},
		{"no such event", `{"journeys":{"APIEvent-sandbox-welcome":null}}`, "POST", eventsPath, event(goodData), 400, refused("30003", "Event Definition not found: APIEvent-sandbox-welcome")},
		{"no such message", `{"message_definitions":{"bye":null}}`, "POST", "/messaging/v1/email/messages/m1", definition, 400, refused("109111", "MCMS_UTM_Validation_InvalidValue_definitionKey: The definition does not exist.")},
		{"scope of rows", `{"package":{"scopes":["journeys_read"]}}`, "POST", rowset, `[]`, 401, notAuthorized()},
		{"scope of rows, 403", `{"package":{"scopes":[]},"missing_scope":403}`, "POST", rowset, `[]`, 403, `{"message":"Not Authorized","errorcode":20002,"documentation":"` + errorDocs + `"}`},
		{"scope of asynchronous rows", `{"package":{"scopes":[]}}`, "PUT", "/data/v1/async/dataextensions/key:Nope/rows", `{}`, 403, privileges},
		{"scope of events", `{"package":{"scopes":["journeys_read"]}}`, "POST", eventsPath, `{}`, 403, plain},
		{"scope of messages", `{"package":{"scopes":["journeys_read"]}}`, "POST", "/messaging/v1/email/messages/m1", definition, 403, plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			account(t, s, c.account)
			same(t, send(t, s, c.method, c.target, c.body, authorize(t, s)), c.status, c.want)
		})
	}
}

// A column that there is not is passed over, or refused on both routes, as the account
// says; what a column drops or truncates the caller is not told.
func TestAccountColumns(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const upsert = "/hub/v1/dataevents/key:Members/rowset"
	account(t, s, `{"data_extensions":{"Members":{`+members+`}}}`)
	const long = `[{"keys":{"Key":"1"},"values":{"City":"Lisbon","Note":"n","Ctiy":"x"}}]`
	same(t, send(t, s, "POST", upsert, long, auth), 200, long)
	wantRows := []map[string]any{{"Key": "1", "City": "Lisb"}}
	if diff := cmp.Diff(wantRows, s.State().DataExtensions["Members"].Rows); diff != "" {
		t.Error(diff)
	}
	account(t, s, `{"data_extensions":{"Members":{"unknown_columns":"refuse"}}}`)
	id := s.State().DataExtensions["Members"].ID
	same(t, send(t, s, "POST", upsert, long, auth), 400, `{"message":"Unable to save rows for data extension ID `+id+`","errorcode":10006,"documentation":"",
		"additionalErrors":[{"message":"Ctiy: Column [Ctiy] does not exist.","errorcode":10000,"documentation":""}]}`)
	job := submit(t, s, auth, "PUT", "/data/v1/async/dataextensions/key:Members/rows", `{"items":[{"Key":"2","City":"Rome","Ctiy":"x"},{"Key":"3","City":"Bonn"}]}`)
	advance(t, s, 300*time.Millisecond)
	wantJSON(t, ask(t, s, auth, job, "results"), results(2,
		`{"errorCode":2,"message":"Ctiy: Column [Ctiy] does not exist.","status":"Error","errors":[{"errorMessage":"Ctiy: Column [Ctiy] does not exist.","name":"ctiy","errorCode":70001}]}`,
		`{"message":"Upserted DataExtensionObject","status":"OK"}`))
	// rows stay when a column is added
	account(t, s, `{"data_extensions":{"Members":{"unknown_columns":"ignore","columns":[{"name":"Ctiy","type":"Text","nullable":true},{"name":"Key","type":"Text","primary_key":true},{"name":"City","type":"Text"}]}}}`)
	wantRows = []map[string]any{{"Key": "1", "City": "Lisb"}, {"Key": "3", "City": "Bonn"}}
	if diff := cmp.Diff(wantRows, s.State().DataExtensions["Members"].Rows); diff != "" {
		t.Error(diff)
	}
	same(t, send(t, s, "POST", upsert, long, auth), 200, long)
}

// A package is enabled for business units, each of which has data extensions of its own;
// a token is for one of them.
func TestBusinessUnits(t *testing.T) {
	t.Parallel()
	const (
		other = "510000002"
		row   = `[{"keys":{"Key":"1"},"values":{"City":"Rome"}}]`
		path  = "/hub/v1/dataevents/key:Members/rowset"
	)
	s := newSandbox(t)
	account(t, s, `{
		"business_units":{"510000002":{"name":"Shop","data_extensions":{"Members":{`+members+`}},
			"journeys":{"Joined":{"data_extension":"Members"}},"message_definitions":{"hello":{}}}},
		"packages":{"shop":{"secret":"shop-secret","scopes":["data_extensions_write"],"business_units":["510000002"]},
			"both":{"secret":"both-secret","business_units":["510000001","510000002"]}}}`)
	token := func(id, account string) string {
		t.Helper()
		w := send(t, s, "POST", "/v2/token", `{"grant_type":"client_credentials","client_id":"`+id+`","client_secret":"`+id+`-secret","account_id":"`+account+`"}`)
		var answer struct {
			Token string `json:"access_token"`
		}
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return "Bearer " + answer.Token
	}
	as := func(token string) string { return "Authorization: " + token }
	who := func(token string) *httptest.ResponseRecorder {
		return send(t, s, "GET", "/platform/v1/tokenContext", "", as(token))
	}
	top, shop := token("both", ""), token("both", other)
	same(t, who(top), 200, `{"enterprise":{"id":510000001},"organization":{"id":510000001},"user":{"id":510000777}}`)
	same(t, who(shop), 200, `{"enterprise":{"id":510000001},"organization":{"id":510000002},"user":{"id":510000777}}`)
	same(t, send(t, s, "POST", path, row, as(top)), 404, `{"message":"Object Not Found","errorcode":30003,"documentation":""}`)
	same(t, send(t, s, "POST", path, row, as(token("shop", ""))), 200, row)
	same(t, send(t, s, "POST", "/v2/token", `{"grant_type":"client_credentials","client_id":"shop","client_secret":"shop-secret","account_id":"510000001"}`), 400,
		`{"error":"unauthorized_client","error_description":"The client is not accessible for this account.","error_uri":"https://developer.salesforce.com/docs"}`)
	same(t, send(t, s, "POST", "/interaction/v1/events", `{"ContactKey":"1","EventDefinitionKey":"Joined","Data":{"City":"Bonn"}}`, as(top)), 400,
		`{"message":"Event Definition not found: Joined","errorcode":30003,"documentation":""}`)
	if w := send(t, s, "POST", "/interaction/v1/events", `{"ContactKey":"2","EventDefinitionKey":"Joined","Data":{"City":"Bonn"}}`, as(shop)); w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if page := send(t, s, "GET", "/_sandbox/", "").Body.String(); !strings.Contains(page, "external key <code>Members</code>, business unit <code>510000002</code>") {
		t.Error("the page lacks the business unit's data extension")
	}
	got := s.State().BusinessUnits[other]
	account(t, s, `{"business_units":{"510000002":null}}`) // and its tokens with it
	for _, path := range []string{"/platform/v1/tokenContext", "/v2/userinfo", "/data/v1/customobjects?$search=_", "/interaction/v1/interactions"} {
		same(t, send(t, s, "GET", path, "", as(shop)), 401, notAuthorized())
	}
	want := sandbox.BusinessUnit{
		DataExtensions: map[string]sandbox.DataExtension{"Members": {
			ID: got.DataExtensions["Members"].ID, Name: "Members", Columns: got.DataExtensions["Members"].Columns,
			Rows: []map[string]any{{"Key": "1", "City": "Rome"}, {"Key": "2", "City": "Bonn"}},
		}},
		Journeys:           map[string]sandbox.Journey{"Joined": {Contacts: got.Journeys["Joined"].Contacts}},
		MessageDefinitions: map[string]sandbox.MessageDefinition{"hello": {Name: "hello", Status: "Active"}},
		Totals:             sandbox.UnitTotals{Rows: map[string]int{"Members": 2}, Contacts: map[string]int{"Joined": 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Journeys["Joined"].Contacts) != 1 {
		t.Error(diff, len(got.Journeys["Joined"].Contacts))
	}
}

// Rows of a job that was submitted before the columns changed are stored under the names
// that they were sent with.
func TestColumnsChangeUnderJob(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	account(t, s, `{"data_extensions":{"Members":{`+members+`}}}`)
	submit(t, s, auth, "PUT", "/data/v1/async/dataextensions/key:Members/rows", `{"items":[{"Key":"2","City":"Rome"}]}`)
	account(t, s, `{"data_extensions":{"Members":{"columns":[{"name":"City","type":"Text","length":50},{"name":"Age","type":"Number","default":7},{"name":"Key","type":"Text","length":50,"primary_key":true}]}}}`)
	advance(t, s, 300*time.Millisecond)
	want := []map[string]any{{"Key": "2", "City": "Rome", "Age": json.Number("7")}}
	if diff := cmp.Diff(want, s.State().DataExtensions["Members"].Rows); diff != "" {
		t.Error(diff)
	}
}

// An emptied account has nothing but what comes with it.
func TestEmptyAccount(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	account(t, s, `{"empty":true,"data_extensions":{"Members":{"sendable":{"column":"Key"},"retention":{"days":30,"rows":true},`+members+`}},
		"journeys":{"Joined":{"data_extension":"Members","status":"None"}}}`)
	state := s.State()
	if diff := cmp.Diff([]string{"Members"}, slices.Collect(maps.Keys(state.DataExtensions))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Joined"}, slices.Collect(maps.Keys(state.Journeys))); diff != "" {
		t.Error(diff)
	}
	same(t, send(t, s, "POST", eventsPath, `{"ContactKey":"1","EventDefinitionKey":"Joined","Data":{"City":"Bonn"}}`, authorize(t, s)), 400,
		`{"message":"The journey of the event definition Joined is not published.","errorcode":30001,"documentation":""}`)
}

func TestAccountRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"journeys":{"J":{"data_extension":"nope"}}}`:                                                           `journeys: J: no data extension \"nope\"`,
		`{"journeys":{"APIEvent-sandbox-welcome":{"status":"Off"}}}`:                                             `journeys: APIEvent-sandbox-welcome: unknown status \"Off\"`,
		`{"data_extensions":{"X":{}}}`:                                                                           `data_extensions: X: columns are missing`,
		`{"data_extensions":{"X":{"columns":[{"name":"a","type":"Tex"}]}}}`:                                      `data_extensions: X: column a: unknown type \"Tex\"`,
		`{"data_extensions":{"X":{"columns":[{"name":"a","type":"Text"},{"name":"A","type":"Text"}]}}}`:          `data_extensions: X: column \"A\" is there twice, or has no name`,
		`{"message_definitions":{"m":{"status":"Off"}}}`:                                                         `message_definitions: m: unknown status \"Off\"`,
		`{"package":{"scopes":["all"]}}`:                                                                         `package: unknown scope \"all\"`,
		`{"data_extensions":{"Web_Registrations":{"sendable":{"column":"Nope"}}}}`:                               `data_extensions: Web_Registrations: sendable: no column \"Nope\"`,
		`{"data_extensions":{"Web_Registrations":{"sendable":{"column":"SubscriberKey","subscriber":"Email"}}}}`: `data_extensions: Web_Registrations: sendable: subscriber is \"Email\", want _SubscriberKey or _SubscriberID`,
		`{"data_extensions":{"Web_Registrations":{"retention":{"days":-1,"rows":true}}}}`:                        `data_extensions: Web_Registrations: retention: days are negative`,
		`{"packages":{"p":{"secret":"s","business_units":["510000002"]}}}`:                                       `packages: p: no business unit \"510000002\"`,
		`{"packages":{"p":{"scopes":[]}}}`:                                                                       `packages: p: secret is missing`,
		`{"business_units":{"top":{}}}`:                                                                          `business_units: top: a MID has 6 to 15 digits`,
		`{"business_units":{"510000001":null}}`:                                                                  `business_units: 510000001: the business unit at the top can't be taken away`,
		`{"business_units":{"510000002":{"journeys":{"J":{"data_extension":"Web_Registrations"}}}}}`:             `business_units: 510000002: journeys: J: no data extension \"Web_Registrations\"`,
		`{"empty":true,"journeys":{"J":{"data_extension":"Web_Registrations"}}}`:                                 `journeys: J: no data extension \"Web_Registrations\"`,
		`{"missing_scope":404}`:                                                                                  `missing_scope is 404, want 401 or 403`,
	} {
		same(t, send(t, newSandbox(t), "PUT", "/_sandbox/account", body), 400, `{"message":"`+want+`"}`)
	}
}
