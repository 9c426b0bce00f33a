package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const contactsPath = "/contacts/v1/contacts"

// signed is the body of an answer of the contacts API with what all of them have.
func signed(body string) string {
	return strings.TrimSuffix(body, "}") + `,"requestServiceMessageID":"GUID","serviceMessageID":"GUID","resultMessages":[],"responseDateTime":"2026-06-23T14:52:45Z"}`
}

// refusedContact is a refusal of the contacts API.
func refusedContact(code, message string) string {
	return `{"operationStatus":"Error","hasErrors":true,"requestServiceMessageID":"GUID","serviceMessageID":"GUID",
		"resultMessages":[{"resultType":"Validation","resultClass":"Error","resultCode":"` + code + `","message":"` + message + `"}]}`
}

func required(name string) string {
	return refusedContact("MissingParameter", "The parameter "+name+" is required.")
}

func address(key, address string) string {
	return `{"contactKey":"` + key + `","attributeSets":[{"name":"Email Addresses","items":[{"values":[{"name":"Email Address","value":"` + address + `"},{"name":"HTML Enabled","value":true}]}]}]}`
}

// Contacts are made by the API, events and messages, and found by their addresses.
func TestContacts(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	made := func(key, id string, isNew bool, rows int) string {
		return signed(fmt.Sprintf(`{"operationStatus":"OK","rowsAffected":%d,"contactKey":%q,"contactID":%s,"contactTypeID":0,"isNewContactKey":%t,"hasErrors":false}`, rows, key, id, isNew))
	}
	alike(t, send(t, s, "POST", contactsPath, address("api-1", "ana@example.org"), auth), 200, made("api-1", "510100002", true, 2))
	alike(t, send(t, s, "POST", contactsPath, `{"contactKey":"api-2","attributeSets":[]}`, auth), 200, made("api-2", "510100003", true, 1))
	alike(t, send(t, s, "PATCH", contactsPath, address("api-2", "Ana@Example.org"), auth), 200, made("api-2", "510100003", false, 2))
	entered(t, s, auth, event(goodData))
	if w := send(t, s, "POST", messagesPath+"/m1", oneMessage(ana), auth); w.Code != 202 {
		t.Fatal(w.Body)
	}
	type person struct{ Key, Email string }
	var got []person
	for _, c := range s.State().Contacts {
		got = append(got, person{c.Key, c.Email})
	}
	if diff := cmp.Diff([]person{{"api-1", "ana@example.org"}, {"api-2", "Ana@Example.org"}, {"u-1", "a@example.org"}}, got[:3]); diff != "" || len(got) != 4 {
		t.Error(diff, got)
	}

	search := func(body, entities string) {
		t.Helper()
		alike(t, send(t, s, "POST", "/contacts/v1/addresses/email/search", body, auth), 200, signed(`{"channelAddressResponseEntities":[`+entities+`]}`))
	}
	entity := func(address string, keys ...string) string {
		for i, key := range keys {
			keys[i] = `{"contactKey":"` + key + `","createDate":"2026-06-23T08:52:45.00"}`
		}
		return `{"channelAddress":"` + address + `","contactKeyDetails":[` + strings.Join(keys, ",") + `]}`
	}
	search(`{"ChannelAddressList":["ANA@example.org","nobody@example.org"],"MaximumCount":1}`, entity("ANA@example.org", "api-1")+","+entity("nobody@example.org"))
	search(`{"channelAddressList":["ana@example.org"],"maximumCount":9}`, entity("ana@example.org", "api-1", "api-2", "ana"))

	alike(t, send(t, s, "GET", contactsPath+"/key:api-1/preferences", "", auth), 200, signed(`{"items":[{"contactID":510100002,"hasOptedOutTracking":false}],"rowsAffected":1}`))
	alike(t, send(t, s, "GET", contactsPath+"/id:510100002/Preferences", "", auth), 200, signed(`{"items":[{"contactID":510100002,"hasOptedOutTracking":false}],"rowsAffected":1}`))
	alike(t, send(t, s, "GET", contactsPath+"/key:nobody/preferences", "", auth), 200, signed(`{"items":[],"rowsAffected":0}`))
}

func TestContactRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for _, c := range []struct{ call, body, want string }{
		{"POST " + contactsPath, `[]`, badFormat},
		{"POST " + contactsPath, `{"attributeSets":[]}`, required("contactKey")},
		{"PATCH " + contactsPath, `{"contactKey":"a"}`, required("attributeSets")},
		{"POST " + contactsPath, address("a", "ana"), refusedContact("InvalidParameter", "The parameter Email Address is not a valid email address.")},
		{"POST /contacts/v1/addresses/email/search", `{}`, required("ChannelAddressList")},
		{"POST /contacts/v1/addresses/email/search", `{"ChannelAddressList":["a"],"MaximumCount":0}`, refusedContact("InvalidParameter", "The parameter MaximumCount must be 1 or more.")},
		{"POST " + contactsPath + "/actions/delete?type=keys", `{"values":["a"]}`, refusedContact("InvalidParameter", "The parameter DeleteOperationType must be ContactAndAttributes.")},
		{"POST " + contactsPath + "/actions/delete?type=keys", `{"DeleteOperationType":"ContactAndAttributes"}`, required("values")},
		{"POST " + contactsPath + "/actions/delete?type=keys", `{"values":[1],"DeleteOperationType":"ContactAndAttributes"}`, refusedContact("InvalidParameter", "The parameter values must be contact keys.")},
		{"POST " + contactsPath + "/actions/delete?type=ids", `{"values":["a"],"DeleteOperationType":"ContactAndAttributes"}`, refusedContact("InvalidParameter", "The parameter values must be contact ids.")},
		{"POST " + contactsPath + "/actions/delete", `{"values":["a"],"DeleteOperationType":"ContactAndAttributes"}`, refusedContact("InvalidParameter", "The parameter type must be keys, ids or listReference.")},
		{"POST " + contactsPath + "/actions/restrict?type=listReference", `{"targetList":{"listType":{"listTypeID":3},"listKey":"Nope"}}`, refusedContact("InvalidParameter", "The parameter targetList.listKey is not the key of a sendable data extension.")},
		{"POST " + contactsPath + "/actions/restrict?type=listReference", `{"targetList":{"listType":{"listTypeID":1},"listKey":"Web_Registrations"}}`, refusedContact("InvalidParameter", "The parameter targetList.listType.listTypeID must be 3.")},
		{"POST " + contactsPath + "/actions/restrict?type=listReference", `{}`, required("targetList.listKey")},
		{"GET " + contactsPath + "/actions/delete/status", "", required("operationID")},
		{"GET " + contactsPath + "/actions/delete/status?operationID=7", "", noObject},
		{"POST /contacts/v1/operations/delete/7/retry", "", noObject},
		{"POST " + contactsPath + "/actions/delete/configSettings", `{"items":[{"settingKey":"Other","value":"1"}]}`, refusedContact("InvalidParameter", "The parameter items must be SuppressionRestoreUntilDays with a number of days.")},
		{"GET " + contactsPath + "/analytics/deleterequests?enddateutc=2026-06-24T00:00:00", "", refusedContact("InvalidParameter", "The parameter startdateutc must be a time.")},
	} {
		method, target, _ := strings.Cut(c.call, " ")
		w := send(t, s, method, target, c.body, auth)
		if w.Code != 400 && w.Code != 404 {
			t.Errorf("%s: %d", c.call, w.Code)
		}
		alike(t, w, w.Code, c.want)
	}
	if st := s.State(); len(st.Contacts) != 0 || len(st.ContactOperations) != 0 {
		t.Errorf("%v %v", st.Contacts, st.ContactOperations)
	}
}

// shops are two business units; the second one has a sendable data extension, and one that
// is not.
const shops = `{"business_units":{"510000002":{"data_extensions":{
	"Customers":{"sendable":{"column":"Key"},"columns":[{"name":"Row","type":"Number","primary_key":true},{"name":"Key","type":"Text","length":50}]},
	"Log":{"columns":[{"name":"Key","type":"Text","length":50,"primary_key":true}]}}}},
	"data_extensions":{"Leads":{"sendable":{"column":"Id","subscriber":"_SubscriberID"},"columns":[{"name":"Id","type":"Number"}]}},
	"packages":{"shop":{"secret":"shop-secret","business_units":["510000002"]}}}`

// A deletion takes a contact's rows out of the sendable data extensions of all business
// units and the contact out of journeys, and nothing else.
func TestDeleteContacts(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	account(t, s, shops)
	shop := authorizeWith(t, s, `{"grant_type":"client_credentials","client_id":"shop","client_secret":"shop-secret"}`)
	post := func(target, body, auth string) {
		t.Helper()
		same(t, send(t, s, "POST", target, body, auth), 200, body)
	}
	entered(t, s, auth, event(goodData))                                       // contact u-1
	entered(t, s, auth, strings.ReplaceAll(event(goodData), `"u-1"`, `"u-2"`)) // contact u-2
	post(rowset, "["+person("u-3", "")+"]", auth)                              // a row alone is no contact
	post("/hub/v1/dataevents/key:Customers/rowset", `[{"keys":{"Row":1},"values":{"Key":"u-1"}},{"keys":{"Row":2},"values":{"Key":"u-2"}},{"keys":{"Row":3},"values":{"Key":"u-1"}}]`, shop)
	post("/hub/v1/dataevents/key:Log/rowset", `[{"keys":{"Key":"u-1"},"values":{"Key":"u-1"}}]`, shop)
	contacts := s.State().Contacts
	submitLead(t, s, auth, contacts[0].ID, contacts[1].ID)

	alike(t, send(t, s, "POST", contactsPath+"/actions/delete?type=keys", `{"values":["u-1","u-3"],"DeleteOperationType":"ContactAndAttributes"}`, auth), 200,
		strings.Replace(signed(`{"operationInitiated":true,"operationID":1,"hasErrors":false}`), "45Z", "45.3Z", 1))
	state := func() (string, string) {
		t.Helper()
		var answer struct {
			NumberofRestorableDays      int
			Operation                   struct{ Status string }
			BackgroundOperationsSummary []struct{ BackgroundOperationStatusID string }
		}
		w := send(t, s, "GET", contactsPath+"/actions/delete/status?operationID=1", "", auth)
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer.BackgroundOperationsSummary) != 1 || answer.NumberofRestorableDays != 14 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return answer.Operation.Status, answer.BackgroundOperationsSummary[0].BackgroundOperationStatusID
	}
	if a, b := state(); a != "Completed" || b != "Processing" {
		t.Errorf("at first: %s %s", a, b)
	}
	advance(t, s, 1999*time.Millisecond)
	if n := len(s.State().Contacts); n != 2 {
		t.Errorf("%d contacts before it is done", n)
	}
	advance(t, s, time.Millisecond)
	if a, b := state(); a != "Completed" || b != "Completed" {
		t.Errorf("then: %s %s", a, b)
	}
	st := s.State()
	left := map[string]any{
		"registrations": keysOf(st.DataExtensions["Web_Registrations"].Rows, "SubscriberKey"),
		"customers":     keysOf(st.BusinessUnits["510000002"].DataExtensions["Customers"].Rows, "Key"),
		"log":           keysOf(st.BusinessUnits["510000002"].DataExtensions["Log"].Rows, "Key"),
		"leads":         keysOf(st.DataExtensions["Leads"].Rows, "Id"),
		"entries":       len(st.Journeys["APIEvent-sandbox-welcome"].Contacts),
		"contacts":      st.Contacts[0].Key,
	}
	want := map[string]any{
		"registrations": "u-2 u-3", "customers": "u-2", "log": "u-1", "leads": fmt.Sprint(contacts[1].ID), "entries": 1, "contacts": "u-2",
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
	same(t, send(t, s, "POST", interactions+"/contactMembership", `{"ContactKeyList":["u-1"]}`, auth), 200, `{"results":{"contactMemberships":[],"contactsNotFound":["u-1"]}}`)
}

// submitLead stores rows in a data extension without a primary key.
func submitLead(t *testing.T, s *sandbox.Sandbox, auth string, ids ...int64) {
	t.Helper()
	var items []string
	for _, id := range ids {
		items = append(items, fmt.Sprintf(`{"Id":%d}`, id))
	}
	submit(t, s, auth, "POST", "/data/v1/async/dataextensions/key:Leads/rows", `{"items":[`+strings.Join(items, ",")+`]}`)
	advance(t, s, 300*time.Millisecond)
}

// keysOf are the values of a column.
func keysOf(rows []map[string]any, column string) string {
	var keys []string
	for _, row := range rows {
		keys = append(keys, fmt.Sprint(row[column]))
	}
	return strings.Join(keys, " ")
}

// Operations run one after the other, by key, number or list, and are listed.
func TestContactOperations(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	account(t, s, `{"data_extensions":{"Gone":{"sendable":{"column":"Key"},"columns":[{"name":"Key","type":"Text","length":50,"primary_key":true},{"name":"Note","type":"Text","nullable":true,"length":5}]}}}`)
	for _, key := range []string{"a", "b", "c", "d"} {
		send(t, s, "POST", contactsPath, `{"contactKey":"`+key+`","attributeSets":[]}`, auth)
	}
	const row = `[{"keys":{"Key":"c"},"values":{"Note":"x"}}]`
	same(t, send(t, s, "POST", "/hub/v1/dataevents/key:Gone/rowset", row, auth), 200, row)
	id := s.State().Contacts[1].ID
	started := func(n int) string {
		return signed(fmt.Sprintf(`{"operationInitiated":true,"operationID":%d,"hasErrors":false}`, n))
	}
	alike(t, send(t, s, "POST", contactsPath+"/actions/delete?type=ids", fmt.Sprintf(`{"values":[%d,1],"DeleteOperationType":"ContactAndAttributes"}`, id), auth), 200, started(1))
	alike(t, send(t, s, "POST", contactsPath+"/actions/restrict?type=keys", `{"values":["a"]}`, auth), 200, started(2))
	extensionID := s.State().DataExtensions["Gone"].ID
	alike(t, send(t, s, "POST", contactsPath+"/actions/delete?type=listReference",
		`{"deleteOperationType":"ContactAndAttributes","targetList":{"listType":{"listTypeID":3},"listKey":"Gone"},"deleteListWhenCompleted":false,"deleteListContentsWhenCompleted":true}`, auth), 200,
		strings.TrimSuffix(started(3), "}")+`,"targetListInformation":{"listName":{"value":"Gone"},"listItemType":"ContactReference","operationSupport":{"canDeleteList":true,"canDeleteListContents":true},
		"listType":{"listTypeID":3,"listTypeKey":"DataExtension"},"listIdentifier":"`+extensionID+`","listKey":"Gone"}}`)
	alike(t, send(t, s, "POST", contactsPath+"/actions/delete?type=keys", `{"values":["nobody"],"DeleteOperationType":"ContactAndAttributes"}`, auth), 200, started(4))
	keys := func() string {
		var list []string
		for _, c := range s.State().Contacts {
			if c.Restricted {
				c.Key += "!"
			}
			list = append(list, c.Key)
		}
		return strings.Join(list, " ")
	}
	for _, want := range []string{"a b c d", "a c d", "a! c d", "a! d", "a! d"} {
		if got := keys(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		advance(t, s, 2*time.Second)
	}
	if n := len(s.State().DataExtensions["Gone"].Rows); n != 0 {
		t.Errorf("%d rows in the list", n)
	}

	now := func(body string) string {
		return strings.Replace(signed(body), "T14:52:45Z", "T14:52:55Z", 1)
	}
	request := func(id, contacts, found int, state, last, method string) string {
		return fmt.Sprintf(`{"operationId":%d,"totalContactCount":%d,"completedContactCount":%d,"receivedDateUtc":"2026-06-23T14:52:45","status":%q,"lastStatusDateUtc":"2026-06-23T14:52:%s","deleteMethod":%q}`, id, contacts, found, state, last, method)
	}
	const during = contactsPath + "/analytics/deleterequests?startdateutc=2026-06-23T00%3A00%3A00&enddateutc=2026-06-24T00:00:00Z"
	list := func(size int, requests ...string) string {
		return now(fmt.Sprintf(`{"startDateUtc":"2026-06-23T00:00:00","endDateUtc":"2026-06-24T00:00:00","statusAsOfDateUtc":"2026-06-23T14:52:55Z","pageNumber":1,"pageSize":%d,"operations":[%s]}`, size, strings.Join(requests, ",")))
	}
	fourth, third, first := request(4, 1, 0, "Invalid", "53", "Contact Key/ID"), request(3, 1, 1, "Completed", "51", "List"), request(1, 2, 1, "Completed", "47", "Contact Key/ID")
	alike(t, send(t, s, "GET", during, "", auth), 200, list(20, fourth, third, first))
	alike(t, send(t, s, "GET", during+"&statusid=5&%24pagesize=1", "", auth), 200, list(1, third))

	operation := func(id int, restrict bool, listType int, key string, found int) string {
		return fmt.Sprintf(`{"contextType":0,"isRestrictedForProcessing":%t,"listTypeID":%d,"listIdentifier":%q,"listKey":%q,"expectedListCount":1,"actualListCount":%d,
			"deleteType":"ContactAndAttributes","deleteListOnCompleted":false,"errorsOccurredInBatchProcess":false,"lastProcessedMilestone":"Completed","operationID":%d,
			"operationRequestID":"GUID","requestID":"GUID","eID":510000001,"mID":510000001,"employeeID":510000777,"status":"Completed","retryCount":0,
			"scheduledDate":"2026-06-23T08:52:45.00","startDate":"2026-06-23T08:52:45.00","endDate":"2026-06-23T08:52:45.00","createdDate":"2026-06-23T08:52:45.00","createdBy":510000777,
			"modifiedDate":"2026-06-23T08:52:45.00","modifiedBy":510000777}`, restrict, listType, key, key, found, id)
	}
	alike(t, send(t, s, "GET", contactsPath+"/actions/restrict/status?operationId=2", "", auth), 200,
		now(`{"operationMappings":[],"backgroundOperationsSummary":[],"numberofRestorableDays":-1,"operation":`+operation(2, true, 5, "GUID", 1)+`}`))
	alike(t, send(t, s, "POST", contactsPath+"/actions/delete/configSettings", `{"items":[{"settingKey":"SuppressionRestoreUntilDays","value":"-1"}]}`, auth), 200, now(`{"rowsEffected":1}`))
	alike(t, send(t, s, "GET", contactsPath+"/actions/delete/status?operationID=3", "", auth), 200,
		now(`{"operationMappings":[],"backgroundOperationsSummary":[{"backgroundOperationID":3,"createdDate":"2026-06-23T08:52:45.00","backgroundOperationStatusID":"Completed"}],
		"numberofRestorableDays":0,"operation":`+operation(3, false, 3, "Gone", 1)+`}`))
	alike(t, send(t, s, "GET", contactsPath+"/deleteOperations?$pageSize=1&$page=2", "", auth), 200, now(`{"count":3,"page":2,"pageSize":1,"items":[`+operation(3, false, 3, "Gone", 1)+`]}`))

	// once more
	send(t, s, "POST", contactsPath, `{"contactKey":"nobody","attributeSets":[]}`, auth)
	alike(t, send(t, s, "POST", "/contacts/v1/operations/delete/4/retry", "", auth), 200, strings.Replace(started(5), "T14:52:45Z", "T14:52:55Z", 1))
	same(t, send(t, s, "POST", "/contacts/v1/operations/delete/5/retry", "", auth), 409, `{"message":"The operation is being processed.","errorcode":30002,"documentation":""}`)
	advance(t, s, 2*time.Second)
	if got := keys(); got != "a! d" {
		t.Errorf("got %s", got)
	}
	if o := s.State().ContactOperations[4]; o.Retries != 1 || !o.Done || o.Found != 1 {
		t.Errorf("%+v", o)
	}
}
