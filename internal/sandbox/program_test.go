package sandbox_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// What mcdev 8 (SFMC DevTools) asks for on "mcdev retrieve" and the sandbox has none of:
// the call, with its query, and the whole answer.
func TestVacantLists(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	items := func(size string) string { return `{"count":0,"page":1,"pageSize":` + size + `,"items":[]}` }
	const (
		assets  = `{"count":0,"page":1,"pageSize":50,"links":{},"items":[]}`
		entries = `{"startIndex":0,"itemsPerPage":50,"totalResults":0,"entry":[]}`
		none    = `{"requestId":"GUID","definitions":[],"count":0,"page":1,"pageSize":100}`
		context = `"responseContext":{"operationStatus":"OK","schemaType":"Contacts","populateInternalProperties":false},"requestServiceMessageID":"GUID",
			"responseDateTime":"2026-06-23T08:52:45.00","resultMessages":[],"serviceMessageID":"GUID"}`
	)
	for call, want := range map[string]string{
		"GET /asset/v1/content/assets/?$filter=customerKey%20eq%20'x'":                assets,
		"GET /asset/v1/content/categories?$pageSize=9&$page=3":                        `{"count":0,"page":3,"pageSize":9,"links":{},"items":[]}`,
		"POST /asset/v1/content/assets/query?scope=shared":                            assets,
		"GET /automation/v1/automations":                                              items("500"),
		"GET /automation/v1/dataextracts/?$pageSize=500&$page=1":                      items("500"),
		"GET /automation/v1/dataextracttypes/":                                        `[]`,
		"GET /automation/v1/filetransfers/?$pageSize=500&$page=1":                     items("500"),
		"GET /automation/v1/filters/?$pageSize=500&$page=1":                           items("500"),
		"GET /automation/v1/ftplocations/":                                            items("500"),
		"GET /automation/v1/imports/?$pageSize=100&$page=1":                           items("100"),
		"GET /automation/v1/queries/?$filter=Name%20eq%20x":                           items("500"),
		"GET /automation/v1/scripts/?$pageSize=500&$page=1":                           items("500"),
		"GET /hub/v1/campaigns":                                                       assets,
		"GET /hub/v1/contacts/schema/attributeGroups":                                 `{"attributeGroupDefinitions":[],` + context,
		"GET /hub/v1/contacts/schema/setDefinitions":                                  `{"setDefinition":[],` + context,
		"GET /legacy/v1/beta/bulk/automations/automation/definition/?$top=50&$skip=0": entries,
		"GET /legacy/v1/beta/messaging/deliverypolicy/":                               entries,
		"GET /legacy/v1/beta/mobile/code/?$top=10&$skip=20":                           `{"startIndex":20,"itemsPerPage":10,"totalResults":0,"entry":[]}`,
		"GET /legacy/v1/beta/mobile/imports/":                                         entries,
		"GET /legacy/v1/beta/mobile/keyword/":                                         entries,
		"GET /legacy/v1/beta/mobile/message/":                                         entries,
		"GET /legacy/v1/beta2/data/campaign/":                                         entries,
		"GET /messaging/v1/domainverification/?$pageSize=500&$page=1":                 items("500"),
		"GET /messaging/v1/push/definitions/?$pagesize=100":                           none,
		"GET /messaging/v1/sms/definitions/?$pagesize=100":                            none,
		"GET /platform/v1/setup/quickflow/data": `{"languages":[],"roles":[],"timeZones":[{"id":"10","description":"(GMT-06:00) Central Time (No Daylight Saving)"}],
			"defaultUserData":{"defaultTimeZone":"10","defaultLanguage":"en-US"}}`,
	} {
		t.Run(call, func(t *testing.T) {
			method, path, _ := strings.Cut(call, " ")
			body := ""
			if method == "POST" {
				body = `{"page":{"page":1,"pageSize":50},"query":{"property":"assetType.id","simpleOperator":"in","value":[207]},"fields":["name"]}`
			}
			alike(t, send(t, s, method, path, body, auth), 200, want)
		})
	}
	account(t, s, `{"package":{"scopes":["journeys_read"]}}`)
	if w := send(t, s, "GET", "/automation/v1/queries", "", authorize(t, s)); w.Code != 403 {
		t.Errorf("without a scope: %d %s", w.Code, w.Body)
	}
}

// "mcdev retrieve" reads the index of every section, and expects a document of each.
func TestSections(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for _, section := range strings.Fields("address/v1/rest asset/v1/rest automation/v1/rest contacts/v1/rest data/v1/rest device/v1/rest email/v1/rest guide/v1/rest hub/v1/rest " +
		"interaction/v1/rest interaction-experimental/v1/rest legacy/v1/rest messaging/v1/rest messaging-experimental/v1/rest ott/v1/rest ott/v1/rest/experimental " +
		"platform/v1/rest platform/v1/rest/experimental provisioning/v1/rest push/v1/rest sms/v1/rest") {
		w := send(t, s, "GET", "/"+section, "", auth)
		var index struct{ Methods map[string]any }
		if err := json.Unmarshal(w.Body.Bytes(), &index); w.Code != 200 || err != nil || index.Methods == nil {
			t.Errorf("%s: %d %s", section, w.Code, w.Body)
		}
	}
}

// Every kind of content has its root, or mcdev fails on the first kind without one; the
// folders of what the enterprise shares are the top business unit's alone.
func TestSOAPRoots(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	account(t, c.s, `{"business_units":{"510000002":{"name":"Austria"}},"package":{"business_units":["510000001","510000002"]}}`)
	all := []string{
		"dataextension", "Hidden", "SSJSActivity", "asset", "asset-shared", "automations", "cloudpages", "contextual_suppression_list", "journey", "list", "mysubs",
		"publication", "queryactivity", "salesforcedataextension", "shared_data", "suppression_list", "triggered_send", "triggered_send_journeybuilder", "userinitiatedsends",
	}
	roots := func(more string) (kinds []string) {
		for part := range strings.SplitSeq(c.retrieve(t, "DataFolder", "ID,ContentType", where("ParentFolder.ID", "equals", "0")+more), "<Results ") {
			if kind := between(part, "<ContentType>", "<"); kind != "" {
				kinds = append(kinds, kind)
			}
		}
		return kinds
	}
	if got := roots(""); !slices.Equal(got, all) {
		t.Errorf("at the top %q", got)
	}
	own := slices.DeleteFunc(slices.Clone(all), func(kind string) bool { return kind == "asset-shared" || kind == "shared_data" })
	if got := roots("<ClientIDs><ID>510000002</ID></ClientIDs>"); !slices.Equal(got, own) {
		t.Errorf("below %q", got)
	}
	sameXML(t, "one", c.retrieve(t, "DataFolder", "Name,ContentType,CustomerKey,Description,IsEditable", where("ContentType", "equals", "ssjsactivity")), found+
		`<Results xsi:type="DataFolder"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><CustomerKey>SSJSActivity_default</CustomerKey><Name>Scripts</Name><Description /><ContentType>SSJSActivity</ContentType><IsEditable>false</IsEditable></Results>`)
	list := c.retrieve(t, "List", "Category,CustomerKey", "")
	mine := between(c.retrieve(t, "DataFolder", "ID", where("ContentType", "equals", "mysubs")), "<ID>", "<")
	if between(list, "<Category>", "<") != mine || between(list, "<CustomerKey>", "<") != "All Subscribers - "+mine {
		t.Errorf("the list is not in the folder %s: %s", mine, list)
	}
}

// Object types of which the account has nothing are found empty, and the one user is
// found as mcdev asks for it.
func TestSOAPVacant(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	for _, kind := range []string{
		"Automation", "ContentArea", "DataExtensionTemplate", "Email", "EmailSendDefinition", "ImportDefinition", "Program", "QueryDefinition", "Role", "Send",
		"SendClassification", "SenderProfile", "TriggeredSendDefinition",
	} {
		sameXML(t, kind, c.retrieve(t, kind, "ObjectID,Name", where("CustomerKey", "equals", "x")), found)
	}
	users := func(active string) string {
		return c.retrieve(t, "AccountUser", "AccountUserID,Name,UserPermissions.ID,TimeZone.ID,Roles", `<QueryAllAccounts>true</QueryAllAccounts><Filter xsi:type="ComplexFilterPart"><LeftOperand xsi:type="SimpleFilterPart">`+
			condition("ActiveFlag", "equals", active)+`</LeftOperand><LogicalOperator>AND</LogicalOperator><RightOperand xsi:type="SimpleFilterPart">`+condition("Email", "like", "@")+`</RightOperand></Filter>`)
	}
	sameXML(t, "users", users("true"), found+`<Results xsi:type="AccountUser"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><AccountUserID>510000777</AccountUserID><Name>Sandbox API User</Name><TimeZone><ID>10</ID></TimeZone></Results>`)
	sameXML(t, "inactive", users("false"), found)
	sameXML(t, "access", c.retrieve(t, "AccountUserAccount", "AccountUser.AccountUserID,Account.ID", where("AccountUser.AccountUserID", "equals", "510000777")), found+
		`<Results xsi:type="AccountUserAccount"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><AccountUser><AccountUserID>510000777</AccountUserID></AccountUser><Account><ID>510000001</ID></Account></Results>`)
}

// Subscribers are on the list, in the state, and gone with the contact.
func TestSubscriberIsContact(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	c := &soapCaller{s, strings.TrimPrefix(auth, "Authorization: Bearer ")}
	c.write(t, "Create", strings.NewReplacer("<Name>Subscriber Key<", "<Name>Email Address<", "Field><Name>SubscriberKey<", "Field><Name>Mail<", "<FieldType>Text<", "<FieldType>EmailAddress<").Replace(membersExtension))
	if got := between(c.retrieve(t, "DataExtension", "SendableSubscriberField.Name", where("CustomerKey", "equals", "Members")), "<Name>", "<"); got != "_EmailAddress" {
		t.Errorf("the send relationship is %q", got)
	}
	row := `[{"keys":{"Mail":"a@example.org"},"values":{"City":"Rome"}},{"keys":{"Mail":"b@example.org"},"values":{"City":"Bern"}}]`
	same(t, send(t, s, "POST", "/hub/v1/dataevents/key:Members/rowset", row, auth), 200, row)
	c.write(t, "Create", `<Objects xsi:type="Subscriber"><EmailAddress>a@example.org</EmailAddress><SubscriberKey>u-1</SubscriberKey></Objects>`)
	sameXML(t, "on the list", c.retrieve(t, "ListSubscriber", "SubscriberKey,ListID,Status", where("SubscriberKey", "equals", "u-1")), found+
		`<Results xsi:type="ListSubscriber"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Status>Active</Status><ListID>510100001</ListID><SubscriberKey>u-1</SubscriberKey></Results>`)
	wantJSON(t, decode(t, encode(t, s.State().Subscribers)), `[{"id":510100002,"key":"u-1","email":"a@example.org","status":"Active","format":"HTML",
		"created_at":"2026-06-23T14:52:45Z","modified_at":"2026-06-23T14:52:45Z"}]`)
	if w := send(t, s, "POST", contactsPath+"/actions/delete?type=keys", `{"values":["u-1"],"deleteOperationType":"ContactAndAttributes"}`, auth); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	same(t, send(t, s, "POST", "/_sandbox/clock", `{"advance":"1m"}`), 200, `{"clock":"2026-06-23T14:53:45Z"}`)
	state := s.State()
	if len(state.Subscribers)+len(state.Contacts) != 0 || len(state.DataExtensions["Members"].Rows) != 1 {
		t.Errorf("left: %v, %v, %v", state.Subscribers, state.Contacts, state.DataExtensions["Members"].Rows)
	}
}
