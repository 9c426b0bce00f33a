package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const objectsPath = "/data/v1/customobjects"

var guid = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// alike is same, but that a GUID which is not in what is wanted reads GUID.
func alike(t testing.TB, w *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	body := guid.ReplaceAllStringFunc(w.Body.String(), func(id string) string {
		if strings.Contains(strings.ToLower(want), strings.ToLower(id)) {
			return id
		}
		return "GUID"
	})
	w.Body.Reset()
	w.Body.WriteString(body)
	same(t, w, status, want)
}

// flags are those of a column that the sandbox has no use for.
const flags = `"isTemplateField":false,"isInheritable":true,"isOverridable":true,"isHidden":false,"isReadOnly":false,"mustOverride":false`

// sentColumn is a column as a client sends it.
func sentColumn(name, kind string, ordinal int, more string) string {
	return fmt.Sprintf(`{"name":%q,"type":%q,"ordinal":%d,%s,%s}`, name, kind, ordinal, more, flags)
}

// folder is the id of the folder of all data extensions.
func folder(t testing.TB, s *sandbox.Sandbox, auth string) string {
	t.Helper()
	var answer struct{ CategoryID json.Number }
	if err := json.Unmarshal(send(t, s, "GET", objectsPath+"/"+registrationsID, "", auth).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.CategoryID.String()
}

// idOf is the id in an answer.
func idOf(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	var answer struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.ID == "" {
		t.Fatalf("no id: %d %s", w.Code, w.Body)
	}
	return answer.ID
}

// object is a data extension as it is answered; more is what depends on it.
func object(id, name, key, category, more string) string {
	return `{"id":"` + id + `","name":"` + name + `","key":"` + key + `","isActive":true,"isTestable":false,"categoryId":` + category + `,"ownerId":510000777,
		"isObjectDeletable":true,"isFieldAdditionAllowed":true,"isFieldModificationAllowed":true,
		"createdDate":"2026-06-23T08:52:45.00","createdById":510000777,"createdByName":"sandbox-api-user","modifiedById":510000777,"modifiedByName":"sandbox-api-user",
		"ownerName":"sandbox-api-user","partnerApiObjectTypeId":310,"partnerApiObjectTypeName":"DataExtension",` + more + `}`
}

const noRetention = `"dataRetentionProperties":{"isDeleteAtEndOfRetentionPeriod":false,"isRowBasedRetention":false,"isResetRetentionPeriodOnImport":false}`

// A data extension from its making to its end.
func TestCustomObject(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	category := folder(t, s, auth)
	body := `{"name":"Members","key":"members-key","description":"All of them","categoryId":` + category + `,"isSendable":true,"isTestable":false,
		"sendableCustomObjectField":"key","sendableSubscriberField":"_SubscriberKey",
		"dataRetentionProperties":{"dataRetentionPeriodLength":6,"dataRetentionPeriodUnitOfMeasure":"Months","isRowBasedRetention":true},
		"fields":[` + sentColumn("Points", "Decimal", 2, `"length":9,"scale":2,"isPrimaryKey":false,"isNullable":true,"defaultValue":1.5`) + `,` +
		sentColumn("Key", "Text", 0, `"length":40,"isPrimaryKey":true,"isNullable":false,"storageType":"Plain","maskType":"None","description":""`) + `,` +
		sentColumn("Mail", "EmailAddress", 1, `"length":254,"isPrimaryKey":false,"isNullable":true`) + `]}`
	w := send(t, s, "POST", objectsPath, body, auth)
	id := idOf(t, w)
	view := func(rest string) string {
		return object(id, "Members", "members-key", category, `"modifiedDate":"2026-06-23T08:52:45.00","description":"All of them","isSendable":true,
			"sendableCustomObjectField":"Key","sendableSubscriberField":"_SubscriberKey","fieldCount":3,
			"dataRetentionProperties":{"dataRetentionPeriodLength":6,"dataRetentionPeriodUnitOfMeasure":5,"isDeleteAtEndOfRetentionPeriod":false,"isRowBasedRetention":true,"isResetRetentionPeriodOnImport":false},`+rest)
	}
	same(t, w, 201, view(`"rowCount":0`))
	same(t, send(t, s, "GET", objectsPath+"/"+strings.ToUpper(id), "", auth), 200, view(`"rowCount":0`))
	column := func(name, kind string, ordinal int, more string) string {
		return fmt.Sprintf(`{"id":"GUID","name":%q,"type":%q,"ordinal":%d,"maskType":"None","storageType":"Plain","description":"",%s,%s}`, name, kind, ordinal, more, flags)
	}
	fields := []string{
		column("Key", "Text", 0, `"length":40,"isPrimaryKey":true,"isNullable":false`),
		column("Mail", "EmailAddress", 1, `"length":254,"isPrimaryKey":false,"isNullable":true`),
		column("Points", "Decimal", 2, `"length":9,"scale":2,"isPrimaryKey":false,"isNullable":true,"defaultValue":"1.5"`),
	}
	list := func() string {
		return fmt.Sprintf(`{"id":%q,"fieldCount":%d,"fields":[%s]}`, id, len(fields), strings.Join(fields, ","))
	}
	alike(t, send(t, s, "GET", objectsPath+"/"+id+"/fields", "", auth), 200, list())

	// it takes rows, which are counted roughly
	var rows []string
	for i := range 38 {
		rows = append(rows, fmt.Sprintf(`{"keys":{"Key":"%d"},"values":{"Mail":"a@example.org"}}`, i))
	}
	sent := "[" + strings.Join(rows, ",") + "]"
	same(t, send(t, s, "POST", "/hub/v1/dataevents/"+id+"/rowset", sent, auth), 200, sent)
	same(t, send(t, s, "GET", objectsPath+"/"+id, "", auth), 200, view(`"rowCount":30`))

	// fields are added and lengthened a moment later, and by PATCH never
	same(t, send(t, s, "PATCH", objectsPath+"/"+id, `{"fields":[{"name":"Nope"}],"key":"other","categoryId":1}`, auth), 200, view(`"rowCount":30`))
	alike(t, send(t, s, "POST", objectsPath+"async/"+id+"/fields", `{"fields":[`+sentColumn("City", "Text", 0, `"length":20,"isPrimaryKey":false,"isNullable":false,"defaultValue":"Rome"`)+`]}`, auth), 202, `{"requestId":"GUID","resultMessages":[]}`)
	alike(t, send(t, s, "PATCH", objectsPath+"async/"+id+"/fields", `[{"name":"key","length":80},{"name":"Mail","type":"Number","length":10}]`, auth), 202, `{"requestId":"GUID","resultMessages":[]}`)
	alike(t, send(t, s, "GET", objectsPath+"/"+id+"/fields", "", auth), 200, list())
	advance(t, s, 300*time.Millisecond)
	fields[0] = strings.Replace(fields[0], `"length":40`, `"length":80`, 1)
	fields = append(fields, column("City", "Text", 3, `"length":20,"isPrimaryKey":false,"isNullable":false,"defaultValue":"Rome"`))
	alike(t, send(t, s, "GET", objectsPath+"/"+id+"/fields", "", auth), 200, list())
	if diff := cmp.Diff(map[string]any{"Key": "0", "Mail": "a@example.org", "Points": json.Number("1.5"), "City": "Rome"}, s.State().DataExtensions["members-key"].Rows[0]); diff != "" {
		t.Error(diff)
	}

	// PATCH changes the rest
	same(t, send(t, s, "PATCH", objectsPath+"/"+id, `{"name":"People","description":"","isSendable":false,"dataRetentionProperties":{}}`, auth), 200,
		object(id, "People", "members-key", category, `"modifiedDate":"2026-06-23T08:52:45.30","description":"","isSendable":false,"rowCount":30,"fieldCount":4,`+noRetention))
	same(t, send(t, s, "POST", objectsPath+"/"+id+"/cleardata", "", auth), 200, `{}`)
	if n := len(s.State().DataExtensions["members-key"].Rows); n != 0 {
		t.Errorf("%d rows after cleardata", n)
	}
	same(t, send(t, s, "DELETE", objectsPath+"/"+id, "", auth), 200, `{}`)
	same(t, send(t, s, "GET", objectsPath+"/"+id, "", auth), 404, noObject)
	same(t, send(t, s, "POST", "/hub/v1/dataevents/"+id+"/rowset", `[]`, auth), 404, noObject)
}

// What a new data extension must have, one thing at a time.
func TestCustomObjectRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	category := folder(t, s, auth)
	column := sentColumn("Key", "Text", 0, `"length":40,"isPrimaryKey":true,"isNullable":false`)
	good := `{"name":"M","key":"m","categoryId":` + category + `,"fields":[` + column + `]}`
	without := func(what, with string) string { return strings.Replace(good, what, with, 1) }
	required := func(name string) string {
		return `{"message":"` + name + ` is a required parameter","errorcode":10002,"documentation":""}`
	}
	invalid := func(message string) string {
		return `{"message":"` + message + `","errorcode":10005,"documentation":""}`
	}
	taken := func(what string) string {
		return `{"message":"A data extension with the ` + what + ` already exists.","errorcode":30004,"documentation":""}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"no JSON", `{`, 400, badFormat},
		{"a list", `[]`, 400, badFormat},
		{"a wrong type", `{"name":1}`, 400, `{"message":"The parameter Name is not of the expected type.","errorcode":10001,"documentation":""}`},
		{"no name", without(`"name":"M",`, ""), 400, required("name")},
		{"no folder", without(`"categoryId":`+category+`,`, ""), 400, required("categoryId")},
		{"an unknown folder", without(category, "7"), 400, invalid("categoryId is not the id of a folder of data extensions")},
		{"no fields", without(column, ""), 400, required("fields")},
		{"name taken", without(`"name":"M"`, `"name":"web_registrations"`), 409, taken("name web_registrations")},
		{"key taken", without(`"key":"m"`, `"key":"Web_Registrations"`), 409, taken("key Web_Registrations")},
		{"a long key", without(`"key":"m"`, `"key":"`+strings.Repeat("m", 201)+`"`), 400, invalid("key is longer than 200 characters")},
		{"field without name", without(`"name":"Key",`, ""), 400, required("name")},
		{"field without type", without(`"type":"Text",`, ""), 400, required("type")},
		{"field without ordinal", without(`"ordinal":0,`, ""), 400, required("ordinal")},
		{"field without primary key", without(`"isPrimaryKey":true,`, ""), 400, required("isPrimaryKey")},
		{"field without nullability", without(`,"isNullable":false`, ""), 400, required("isNullable")},
		{"field without a flag", without(`"isHidden":false,`, ""), 400, required("isHidden")},
		{"field without several flags", without(`"isInheritable":true,"isOverridable":true,`, ""), 400, required("isInheritable")},
		{"maxLength", without(`"length"`, `"maxLength"`), 400, required("length")},
		{"no length", without(`"length":40`, `"length":0`), 400, invalid("length must be from 1 to 4000")},
		{"an unknown type", without(`"Text"`, `"Email"`), 400, invalid(`type \"Email\" is not supported`)},
		{"a nullable key", without(`"isNullable":false`, `"isNullable":true`), 400, invalid("isNullable must be false for a primary key")},
		{"a large decimal", without(`"Text"`, `"Decimal"`), 400, invalid("length must be from 1 to 29")},
		{"a large scale", without(`"Text"`, `"Decimal","scale":41`), 400, invalid("length must be from 1 to 29")},
		{"a scale beyond the length", strings.Replace(without(`"Text"`, `"Decimal","scale":7`), `"length":40`, `"length":6`, 1), 400, invalid("scale must be from 0 to the length")},
		{"a wrong default", without(`"type":"Text"`, `"defaultValue":"x","type":"Number"`), 400, invalid("defaultValue does not fit the type")},
		{"two fields of a name", without(column, column+","+strings.Replace(column, "Key", "KEY", 1)), 400, invalid(`fields: column \"KEY\" is there twice, or has no name`)},
		{"sendable by nothing", without(`"key":"m"`, `"key":"m","isSendable":true`), 400, `{"message":"SendableCustomObjectField cannot be blank when creating a sendable Data Extension","errorcode":10002,"documentation":""}`},
		{"sendable by no field", without(`"key":"m"`, `"isSendable":true,"sendableCustomObjectField":"x","sendableSubscriberField":"_SubscriberKey"`), 400, invalid("sendableCustomObjectField is not a field of the data extension")},
		{"sendable as SOAP has it", without(`"key":"m"`, `"isSendable":true,"sendableCustomObjectField":"Key","sendableSubscriberField":"Subscriber Key"`), 400, invalid("sendableSubscriberField must be _SubscriberKey or _SubscriberID")},
		{"a period of nothing", without(`"key":"m"`, `"dataRetentionProperties":{"dataRetentionPeriodLength":6}`), 400, invalid("dataRetentionProperties needs a period and its unit: 3 for days, 4 for weeks, 5 for months, 6 for years")},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, send(t, s, "POST", objectsPath, c.body, auth), c.status, c.want)
		})
	}
	if n := len(s.State().DataExtensions); n != 1 {
		t.Errorf("%d data extensions; want the one from the start", n)
	}
	for target, want := range map[string]string{
		objectsPath + "/Web_Registrations":                       `{"message":"Parameter {id} is invalid.","errorcode":10001,"documentation":""}`,
		objectsPath + "/5a0d8c1e-7b1f-4c55-9d52-0f5100000009":    noObject,
		objectsPath + "/category/x":                              `{"message":"Parameter {categoryId} is invalid.","errorcode":10001,"documentation":""}`,
		objectsPath:                                              required("$search"),
		objectsPath + "?categoryId=" + category:                  required("$search"),
		objectsPath + "?$search=a&$page=0":                       `{"message":"request parameter $page could not be resolved","errorcode":10003,"documentation":""}`,
		objectsPath + "/5a0d8c1e-7b1f-4c55-9d52-0f51000000/more": `{"message":"Not Found","errorcode":404,"documentation":""}`,
	} {
		w := send(t, s, "GET", target, "", auth)
		same(t, w, w.Code, want)
	}
	async := objectsPath + "async/" + registrationsID + "/fields"
	same(t, send(t, s, "POST", async, `{"fields":[]}`, auth), 400, required("fields"))
	same(t, send(t, s, "POST", async, `[`+sentColumn("source", "Text", 0, `"length":5,"isPrimaryKey":false,"isNullable":true`)+`]`, auth), 409,
		`{"message":"A field with the name source already exists.","errorcode":30004,"documentation":""}`)
	same(t, send(t, s, "PATCH", async, `[{"name":"Nope"}]`, auth), 400, invalid(`name \"Nope\" is not a field of the data extension`))
	same(t, send(t, s, "POST", rowset, "["+person("a", "")+"]", auth), 200, "["+person("a", "")+"]")
	same(t, send(t, s, "POST", async, `[`+sentColumn("New", "Text", 0, `"length":5,"isPrimaryKey":false,"isNullable":false`)+`]`, auth), 400,
		invalid("defaultValue is required for a field that is not nullable, since the data extension has rows"))
}

// $search finds a new data extension only after 8 seconds, by key, name and description;
// 25 are on a page whatever is asked for.
func TestSearchCustomObjects(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	category := folder(t, s, auth)
	for i := range 30 {
		body := fmt.Sprintf(`{"name":"Name %02d","key":"k%02d","description":"about %d","categoryId":%s,"fields":[%s]}`, i, i, i%2,
			category, sentColumn("Key", "Text", 0, `"length":40,"isPrimaryKey":true,"isNullable":false`))
		if w := send(t, s, "POST", objectsPath, body, auth); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	type found struct {
		Count, Page, PageSize int
		Keys                  []string
	}
	search := func(query string) found {
		t.Helper()
		var answer struct {
			Count, Page, PageSize int
			Items                 []struct{ Key string }
		}
		w := send(t, s, "GET", "/data/v1/customObjects"+query, "", auth)
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		f := found{answer.Count, answer.Page, answer.PageSize, nil}
		for _, item := range answer.Items {
			f.Keys = append(f.Keys, item.Key)
		}
		return f
	}
	keys := func(from, to, step int) []string {
		var list []string
		for i := from; i < to; i += step {
			list = append(list, fmt.Sprintf("k%02d", i))
		}
		return list
	}
	first := found{1, 1, 25, []string{"Web_Registrations"}}
	if diff := cmp.Diff(first, search("?$search=_")); diff != "" {
		t.Error("before 8 seconds:", diff)
	}
	if got := search("/category/" + category); got.Count != 31 {
		t.Errorf("the folder has %d", got.Count)
	}
	advance(t, s, 7999*time.Millisecond)
	if diff := cmp.Diff(first, search("?$search=_")); diff != "" {
		t.Error("just before 8 seconds:", diff)
	}
	advance(t, s, time.Millisecond)
	for query, want := range map[string]found{
		"?$search=k0":                         {10, 1, 25, keys(0, 10, 1)},
		"?$search=NAME%2007":                  {1, 1, 25, keys(7, 8, 1)},
		"?search=About%201&$pageSize=2":       {15, 1, 25, keys(1, 30, 2)},
		"?$search=name&$page=2":               {30, 2, 25, keys(25, 30, 1)},
		"?$search=name&$page=3":               {30, 3, 25, nil},
		"?$search=name&$page=2000000000":      {30, 2000000000, 25, nil},
		"?$search=k%25_5":                     {3, 1, 25, []string{"k05", "k15", "k25"}},
		"?$search=(&$page=1":                  {0, 1, 25, nil},
		"?$search=k0&categoryId=1":            {0, 1, 25, nil},
		"?$search=k00&categoryId=" + category: {1, 1, 25, keys(0, 1, 1)},
	} {
		if diff := cmp.Diff(want, search(query)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	same(t, send(t, s, "GET", objectsPath+"?$search=nothing", "", auth), 200, `{"count":0,"page":1,"pageSize":25,"links":{},"items":[]}`)
}

// A date's default that is a function is the time of the insert, whoever made the column
// and the row, and a key that is not sent is made up.
func TestCustomObjectDefaults(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	w := send(t, s, "POST", objectsPath, `{"name":"Visits","categoryId":`+folder(t, s, auth)+`,"fields":[`+
		sentColumn("Key", "Text", 0, `"length":40,"isPrimaryKey":true,"isNullable":false`)+`,`+
		sentColumn("At", "Date", 1, `"isPrimaryKey":false,"isNullable":false,"defaultValue":"GetDate()"`)+`,`+
		sentColumn("On", "Boolean", 2, `"isPrimaryKey":false,"isNullable":true,"defaultValue":false`)+`,`+
		sentColumn("Off", "Boolean", 3, `"isPrimaryKey":false,"isNullable":true,"defaultValue":""`)+`]}`, auth)
	var answer struct{ Key string }
	if json.Unmarshal(w.Body.Bytes(), &answer) != nil || !guid.MatchString(answer.Key) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := send(t, s, "POST", "/_sandbox/clock", `{"advance":"1h"}`); w.Code != 200 {
		t.Fatal(w.Body)
	}
	auth = authorize(t, s)
	const row = `[{"keys":{"Key":"a"},"values":{"On":true}},{"keys":{"Key":"b"},"values":{"Off":"1"}}]`
	same(t, send(t, s, "POST", "/hub/v1/dataevents/key:"+answer.Key+"/rowset", row, auth), 200, row)
	wantJSON(t, decode(t, encode(t, s.State().DataExtensions[answer.Key].Rows)),
		`[{"Key":"a","At":"2026-06-23T09:52:45","On":true},{"Key":"b","At":"2026-06-23T09:52:45","On":false,"Off":"1"}]`)
	account(t, s, `{"data_extensions":{"Calls":{"columns":[{"name":"Key","type":"Text","length":9,"primary_key":true},{"name":"At","type":"Date","default":"Now()"},{"name":"To","type":"Text","length":9,"nullable":true}]}}}`)
	c := &soapCaller{s, strings.TrimPrefix(auth, "Authorization: Bearer ")}
	c.write(t, "Create", strings.Replace(membersExtension, "</Fields>", "<Field><Name>Joined</Name><FieldType>Date</FieldType><DefaultValue>getdate()</DefaultValue></Field></Fields>", 1))
	const call = `[{"keys":{"Key":"a"},"values":{"To":"b"}}]`
	same(t, send(t, s, "POST", "/hub/v1/dataevents/key:Calls/rowset", call, auth), 200, call)
	c.write(t, "Create", `<Objects xsi:type="DataExtensionObject"><CustomerKey>Members</CustomerKey><Properties><Property><Name>SubscriberKey</Name><Value>a</Value></Property></Properties></Objects>`)
	joined := c.retrieve(t, "DataExtensionField", "DefaultValue", where("Name", "equals", "Joined"))
	state := s.State().DataExtensions
	wantJSON(t, decode(t, encode(t, state["Calls"].Rows)), `[{"Key":"a","At":"2026-06-23T09:52:45","To":"b"}]`)
	if got := state["Members"].Rows; len(got) != 1 || got[0]["Joined"] != "2026-06-23T09:52:45" || between(joined, "<DefaultValue>", "<") != "getdate()" {
		t.Errorf("row %v, default %s", got, joined)
	}
}

// A call without its scope is refused before its key and body are looked at.
func TestMetadataScopes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	account(t, s, `{"package":{"scopes":["campaign_read"]}}`)
	auth := authorize(t, s)
	privileges := `{"message":"Insufficient privileges to complete this action.","documentation":""}`
	plain := `{"message":"Insufficient Privileges","errorcode":20002,"documentation":"` + errorDocs + `"}`
	for call, want := range map[string]string{
		"GET /data/v1/customObjects":                       privileges,
		"POST //data/v1/customObjects":                     privileges,
		"GET /data/v1/customobjects/x":                     privileges,
		"PATCH /data/v1/customobjects/x":                   privileges,
		"DELETE /data/v1/customobjects/x":                  privileges,
		"GET /data/v1/customobjects/x/fields":              privileges,
		"POST /data/v1/customobjects/x/cleardata":          privileges,
		"POST /data/v1/customobjectsasync/x/fields":        privileges,
		"GET /interaction/v1/eventDefinitions":             plain,
		"POST /interaction/v1/interactions":                plain,
		"POST /interaction/v1/interactions/contactexit":    plain,
		"GET /messaging/v1/email/definitions":              plain,
		"POST /messaging/v1/email/definitions":             plain,
		"GET /messaging/v1/email/messages/?type=notSent":   plain,
		"GET /messaging/v1/jobs/1/stats/sends":             plain,
		"POST /interaction/v1/interactions/publishAsync/x": plain,
	} {
		method, target, _ := strings.Cut(call, " ")
		same(t, send(t, s, method, target, "", auth), 403, want)
	}
	// a business unit that is gone has nothing, and takes nothing
	both := newSandbox(t)
	account(t, both, `{"business_units":{"510000002":{}},"package":{"business_units":["510000002"],"scopes":["data_extensions_write"]}}`)
	auth = authorize(t, both)
	account(t, both, `{"package":{"business_units":["510000001"]},"business_units":{"510000002":null}}`)
	same(t, send(t, both, "POST", objectsPath, `{}`, auth), 401, notAuthorized())
}
