package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const definitions = "/messaging/v1/email/definitions"

// definitionView is a message definition as it is answered; more is what depends on it.
func definitionView(id, key, name, more string) string {
	return `{"requestId":"GUID","name":"` + name + `","definitionKey":"` + key + `","definitionId":"` + id + `",
		"createdDate":"2026-06-23T08:52:45.00","modifiedDate":"2026-06-23T08:52:45.00",` + more + `}`
}

// A message definition from its making to its end.
func TestMessageDefinitions(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const welcomeID = "7e3c1a52-94d8-4f06-8b1e-0f5100000003"
	alike(t, send(t, s, "GET", definitions+"/welcome", "", auth), 200, definitionView(welcomeID, "welcome", "welcome",
		`"description":"","classification":"Default Transactional","status":"Active","content":{"customerKey":"welcome"},
		"subscriptions":{"list":"All Subscribers - 60845871","autoAddSubscriber":true,"updateSubscriber":true},"options":{"trackLinks":true}`))
	w := send(t, s, "POST", definitions, `{"name":"Bye","definitionKey":"bye","description":"d","classification":"Other","status":"inactive","content":{"customerKey":"asset"},
		"subscriptions":{"list":"L","dataExtension":"D","autoAddSubscriber":false},"options":{"trackLinks":false}}`, auth)
	var made struct{ DefinitionID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	rest := `"description":"d","classification":"Other","status":"Inactive","content":{"customerKey":"asset"},
		"subscriptions":{"list":"L","dataExtension":"D","autoAddSubscriber":false,"updateSubscriber":true},"options":{"trackLinks":false}`
	alike(t, w, 201, definitionView(made.DefinitionID, "bye", "Bye", rest))
	item := func(key, name, status string) string {
		return `{"name":"` + name + `","definitionKey":"` + key + `","status":"` + status + `","createdDate":"2026-06-23T08:52:45.00","modifiedDate":"2026-06-23T08:52:45.00"}`
	}
	// count is that of the page
	alike(t, send(t, s, "GET", definitions+"?$pageSize=1", "", auth), 200, `{"requestId":"GUID","count":1,"page":1,"pageSize":1,"definitions":[`+item("bye", "Bye", "Inactive")+`]}`)
	alike(t, send(t, s, "GET", definitions, "", auth), 200, `{"requestId":"GUID","count":2,"page":1,"pageSize":50,"definitions":[`+item("bye", "Bye", "Inactive")+`,`+item("welcome", "welcome", "Active")+`]}`)
	alike(t, send(t, s, "PATCH", definitions+"/bye", `{"status":"Active","name":"Adieu","definitionKey":"other"}`, auth), 200,
		definitionView(made.DefinitionID, "bye", "Adieu", strings.Replace(rest, "Inactive", "Active", 1)))
	if w := send(t, s, "POST", messagesPath+"/m1", strings.Replace(oneMessage(ana), "welcome", "bye", 1), auth); w.Code != 202 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	alike(t, send(t, s, "DELETE", definitions+"/bye", "", auth), 200, `{"requestId":"GUID","message":"Success","deletedDefinitionKey":"bye","journey":{}}`)

	missing := func(name string) string {
		return `{"message":"` + name + ` is a required parameter","errorcode":10002,"documentation":""}`
	}
	const gone = `{"message":"MCMS_UTM_Runtime_ObjectNotFound: Definition not found","errorcode":30003,"documentation":""}`
	for _, c := range []struct{ call, body, want string }{
		{"GET " + definitions + "/bye", "", gone},
		{"PATCH " + definitions + "/bye", "{}", gone},
		{"DELETE " + definitions + "/bye", "", gone},
		{"GET " + definitions + "?$page=x", "", `{"message":"request parameter $page could not be resolved","errorcode":10003,"documentation":""}`},
		{"POST " + definitions, `{"name":"a"}`, missing("definitionKey")},
		{"POST " + definitions, `{"definitionKey":"a"}`, missing("name")},
		{"POST " + definitions, `{"definitionKey":"a","name":"a","content":{}}`, missing("content.customerKey")},
		{"POST " + definitions, `{"definitionKey":"a","name":"a","content":{"customerKey":"c"},"status":"Off"}`, `{"message":"status must be Active or Inactive","errorcode":10005,"documentation":""}`},
		{"POST " + definitions, `{"definitionKey":"welcome","name":"a","content":{"customerKey":"c"}}`, `{"message":"A definition with the key welcome already exists.","errorcode":30004,"documentation":""}`},
	} {
		method, target, _ := strings.Cut(c.call, " ")
		w := send(t, s, method, target, c.body, auth)
		same(t, w, w.Code, c.want)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s: %d", c.call, w.Code)
		}
	}
}

// Messages that were not sent are read on from the last one; sends of a job name no address.
func TestMailsTold(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	recipient := func(key, to string) string {
		return `{"contactKey":"` + key + `","to":"` + to + `","messageKey":"m-` + key + `"}`
	}
	var list []string
	for i := range 30 {
		list = append(list, recipient(fmt.Sprintf("k%02d", i), fmt.Sprintf("k%02d@example.org", i)))
	}
	list = append(list, recipient("n1", "n1+notsent@example.org"), recipient("k00", "k00@example.org"), recipient("n2", "n2+notsent@example.org"))
	list[31] = strings.Replace(list[31], "m-k00", "m-again", 1)
	if w := send(t, s, "POST", messagesPath, `{"definitionKey":"welcome","recipients":[`+strings.Join(list, ",")+`]}`, auth); w.Code != 202 {
		t.Fatal(w.Body)
	}
	entered(t, s, auth, event(goodData))
	refused := func(id int, key string) string {
		return fmt.Sprintf(`{"eventCategoryType":"TransactionalSendEvents.EmailNotSent","timestamp":"2026-06-23T08:52:45.00","definitionKey":"welcome","eventID":%d,
			"statusCode":1,"statusMessage":"Unsubscribed","info":{"messageKey":"m-%s","contactKey":"%s"}}`, id, key, key)
	}
	const notSent = messagesPath + "/?type=notSent"
	same(t, send(t, s, "GET", notSent, "", auth), 200, `{"lastEventID":33,"count":2,"messages":[`+refused(31, "n1")+`,`+refused(33, "n2")+`]}`)
	same(t, send(t, s, "GET", notSent+"&$pagesize=1", "", auth), 200, `{"lastEventID":31,"count":1,"messages":[`+refused(31, "n1")+`]}`)
	same(t, send(t, s, "GET", notSent+"&lastEventId=31", "", auth), 200, `{"lastEventID":33,"count":1,"messages":[`+refused(33, "n2")+`]}`)
	same(t, send(t, s, "GET", notSent+"&lastEventId=33", "", auth), 200, `{"lastEventID":33,"count":0,"messages":[]}`)
	same(t, send(t, s, "GET", notSent+"&lastEventId=x", "", auth), 400, `{"message":"lastEventId must be a number","errorcode":10005,"documentation":""}`)
	same(t, send(t, s, "GET", messagesPath+"?type=sent", "", auth), 400, `{"message":"type must be notSent","errorcode":10005,"documentation":""}`)

	type page struct {
		Count, Page, PageSize, Items, Stats int
	}
	sends := func(target string) (p page) {
		t.Helper()
		var answer struct {
			Count, Page, PageSize int
			Items                 []struct {
				SubscriberID string
				Stats        []struct{ ID, TransactionTime, Domain string }
			}
		}
		w := send(t, s, "GET", target, "", auth)
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || w.Code != 200 || strings.Contains(w.Body.String(), "@") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		p = page{answer.Count, answer.Page, answer.PageSize, len(answer.Items), 0}
		for _, item := range answer.Items {
			p.Stats += len(item.Stats)
		}
		return p
	}
	const job = "/messaging/v1/jobs/%s/stats/sends"
	welcome := sandbox.JobOf("message welcome")
	for target, want := range map[string]page{
		fmt.Sprintf(job, welcome) + "?$pageSize=100": {30, 1, 25, 25, 26},
		fmt.Sprintf(job, welcome) + "?$page=2":       {30, 2, 25, 5, 5},
		fmt.Sprintf(job, "1"):                        {0, 1, 25, 0, 0},
	} {
		if diff := cmp.Diff(want, sends(target)); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
}

// The routes are listed as they are, and where the account's addresses are.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	type method struct{ ID, Path, HTTPMethod string }
	for section, want := range map[string]method{
		"data":        {"getCustomobjectsByIdFields", "customobjects/{id}/fields", "GET"},
		"hub":         {"postDataeventsByIdRowsetDelete", "dataevents/{id}/rowset/delete", "POST"},
		"platform":    {"postEnsAuthentications", "ens-authentications", "POST"},
		"interaction": {"postEvents", "events", "POST"},
		"messaging":   {"getEmailDefinitionsByKey", "email/definitions/{key}", "GET"},
		"contacts":    {"patchContacts", "contacts", "PATCH"},
	} {
		var answer struct {
			Kind    string
			Methods map[string]method
		}
		w := send(t, s, "GET", "/"+section+"/v1/rest", "", auth)
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if diff := cmp.Diff(want, answer.Methods[want.ID]); diff != "" {
			t.Errorf("%s: %s", section, diff)
		}
		if flat := section == "data"; flat != (answer.Kind == "") {
			t.Errorf("%s is of kind %q", section, answer.Kind)
		}
		for _, m := range answer.Methods { // each is a route
			target := "/" + section + "/v1/" + strings.NewReplacer("{", "", "}", "").Replace(m.Path)
			if w := send(t, s, m.HTTPMethod, target, "", "Authorization: Bearer no"); w.Code != 401 {
				t.Errorf("%s %s: %d", m.HTTPMethod, target, w.Code)
			}
		}
	}
	same(t, send(t, s, "GET", "/data/v1/rest", ""), 401, notAuthorized())
	same(t, send(t, s, "GET", "/v2/discovery?client_id=x&resource=acct:ana", ""), 200,
		`{"subject":"acct:ana","links":[{"rel":"auth_instance_url","href":"http://127.0.0.1:8090"},{"rel":"rest_instance_url","href":"http://127.0.0.1:8090"}]}`)
	same(t, send(t, s, "GET", "/v2/discovery?client_id=x&resource=ana", ""), 400, `{"message":"resource must be acct:USERNAME","errorcode":10005,"documentation":""}`)
	same(t, send(t, s, "GET", "/v2/discovery", ""), 400, `{"message":"client_id is a required parameter","errorcode":10002,"documentation":""}`)
	same(t, send(t, s, "POST", "/v1/requestToken", `{"clientId":"a","clientSecret":"b"}`), 403, `{"message":"This integration is not eligible to use the legacy /v1/requestToken endpoint because the integration uses enhanced OAuth 2.0 functionality. To obtain a token for this integration, use the applicable Marketing Cloud OAuth 2.0 endpoint for authentication. For a web or public app, use /v2/authorize and then /v2/token. For a server-to-server integration, use /v2/token.","errorcode":10007,"documentation":""}`)
}

// Whatever a stranger sends to the routes that set up an account, nothing panics and
// nothing is our fault.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "{}", `{"name":"M","key":"m","categoryId":510100001,"fields":[` + sentColumn("Key", "Decimal", 0, `"length":4,"scale":9,"isPrimaryKey":true,"isNullable":false,"defaultValue":[]`) + `]}`,
		`{"type":"APIEvent","name":"E","eventDefinitionKey":"e","schema":{"fields":[{"name":"A","dataType":"Text","maxLength":1e99},{"maxLength":{}}]}}`,
		`{"name":"J","workflowApiVersion":null,"triggers":[{"metaData":null},null]}`, `[{"ContactKey":"a","DefinitionKey":"welcome-journey","Versions":[-1,1e9]}]`,
		`{"ContactKeyList":[null]}`, `{"definitionKey":"d","name":"n","content":{"customerKey":"c"},"options":null}`, address("a", "a@b.cd"),
		`{"values":["a",1,null],"DeleteOperationType":"ContactAndAttributes"}`, `{"targetList":{"listKey":"Web_Registrations","listType":{"listTypeID":3}},"deleteListWhenCompleted":true}`,
		`[{"keys":{"SubscriberKey":"a"},"values":{"FirstName":null}}]`, `{"ChannelAddressList":[""],"MaximumCount":-1}`, `{"items":[{"settingKey":"SuppressionRestoreUntilDays","value":"1e9"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newSandbox(t)
		auth := authorize(t, s)
		for _, call := range []string{
			"POST " + objectsPath, "PATCH " + objectsPath + "/" + registrationsID, "POST " + objectsPath + "async/" + registrationsID + "/fields", "PATCH " + objectsPath + "async/" + registrationsID + "/fields",
			"POST " + eventDefinitions, "PUT " + eventDefinitions + "/key:APIEvent-sandbox-welcome", "POST " + interactions, "POST " + interactions + "/contactexit",
			"POST " + interactions + "/contactexit/status", "POST " + interactions + "/contactMembership", "POST " + definitions, "PATCH " + definitions + "/welcome",
			"POST " + rowset + "/delete", "POST /hub/v1/dataeventsasync/key:Web_Registrations/rowset", "PUT /hub/v1/dataeventsasync/key:Web_Registrations/rows/SubscriberKey:a",
			"POST " + contactsPath, "PATCH " + contactsPath, "POST /contacts/v1/addresses/email/search", "POST " + contactsPath + "/actions/delete?type=keys",
			"POST " + contactsPath + "/actions/delete?type=ids", "POST " + contactsPath + "/actions/restrict?type=listReference", "POST " + contactsPath + "/actions/delete/configSettings",
		} {
			method, target, _ := strings.Cut(call, " ")
			w := send(t, s, method, target, body, auth)
			if w.Code >= 500 {
				t.Errorf("%s: %d %s", call, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
		advance(t, s, 60_000_000_000)
		for _, target := range []string{"/_sandbox/state", objectsPath + "?$search=_", eventDefinitions, interactions, definitions, contactsPath + "/deleteOperations"} {
			if w := send(t, s, "GET", target, "", auth); w.Code != 200 {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
}
