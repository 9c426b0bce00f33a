package sandbox_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// soapCaller calls the SOAP API as the vendor's SDK for Node does.
type soapCaller struct {
	s     *sandbox.Sandbox
	token string
}

func newSOAPCaller(t testing.TB) *soapCaller {
	t.Helper()
	s := newSandbox(t)
	return &soapCaller{s, strings.TrimPrefix(authorize(t, s), "Authorization: Bearer ")}
}

// post sends an envelope. Header lines come last and win.
func (c *soapCaller) post(t testing.TB, action, envelope string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, c.s, "POST", "/Service.asmx", envelope, append([]string{"Content-Type: text/xml", "SOAPAction: " + action}, header...)...)
}

// do sends a body and returns what stands in the body of the answer.
func (c *soapCaller) do(t testing.TB, action, body string) string {
	t.Helper()
	w := c.post(t, action, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Body>`+body+
		`</Body><Header><fueloauth xmlns="http://exacttarget.com">`+c.token+`</fueloauth></Header></Envelope>`)
	got := between(w.Body.String(), "<soap:Body>", "</soap:Body>")
	if want := 200; w.Code != want && !strings.Contains(got, "<soap:Fault>") {
		t.Errorf("%s: status %d, want %d", action, w.Code, want)
	}
	return masked(got)
}

const api = ` xmlns="http://exacttarget.com/wsdl/partnerAPI"`

// write sends objects with Create, Update or Delete, and returns the results.
func (c *soapCaller) write(t testing.TB, action, objects string) string {
	t.Helper()
	got := c.do(t, action, "<"+action+"Request"+api+">"+objects+"</"+action+"Request>")
	return strings.TrimSuffix(strings.TrimPrefix(got, "<"+action+"Response"+api+">"), "</"+action+"Response>")
}

// retrieve asks for properties, in a list with commas, and returns the results.
func (c *soapCaller) retrieve(t testing.TB, kind, properties, more string) string {
	t.Helper()
	request := "<ObjectType>" + kind + "</ObjectType>"
	for name := range strings.SplitSeq(properties, ",") {
		request += "<Properties>" + name + "</Properties>"
	}
	got := c.do(t, "Retrieve", "<RetrieveRequestMsg"+api+"><RetrieveRequest>"+request+more+"</RetrieveRequest></RetrieveRequestMsg>")
	return strings.TrimSuffix(strings.TrimPrefix(got, "<RetrieveResponseMsg"+api+">"), "</RetrieveResponseMsg>")
}

// where is a filter with one condition.
func where(property, operator string, values ...string) string {
	return `<Filter xsi:type="SimpleFilterPart">` + condition(property, operator, values...) + `</Filter>`
}

func condition(property, operator string, values ...string) string {
	s := "<Property>" + property + "</Property><SimpleOperator>" + operator + "</SimpleOperator>"
	for _, v := range values {
		s += "<Value>" + v + "</Value>"
	}
	return s
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

var guids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// masked hides the GUIDs but that of the first data extension.
func masked(s string) string {
	return guids.ReplaceAllStringFunc(s, func(g string) string {
		if g == registrationsID {
			return g
		}
		return "GUID"
	})
}

func sameXML(t testing.TB, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.SplitAfter(want, ">"), strings.SplitAfter(got, ">")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// membersExtension is a data extension as the vendor's documents create one.
const membersExtension = `<Objects xsi:type="DataExtension"><CustomerKey>Members</CustomerKey><Name>Club Members</Name><IsSendable>true</IsSendable>
	<SendableDataExtensionField><Name>SubscriberKey</Name></SendableDataExtensionField><SendableSubscriberField><Name>Subscriber Key</Name></SendableSubscriberField>
	<Fields><Field><Name>SubscriberKey</Name><FieldType>Text</FieldType><MaxLength>254</MaxLength><IsPrimaryKey>true</IsPrimaryKey><IsRequired>true</IsRequired></Field>
	<Field><Name>Points</Name><FieldType>Number</FieldType></Field><Field><Name>Since</Name><FieldType>Date</FieldType></Field><Field><Name>City</Name></Field></Fields></Objects>`

// ok is how results of a write end.
const ok = "<RequestID>GUID</RequestID><OverallStatus>OK</OverallStatus>"

// found is how results of a Retrieve begin.
const found = "<OverallStatus>OK</OverallStatus><RequestID>GUID</RequestID>"

// plainRetrieve is the simplest of envelopes.
func plainRetrieve(token string) string {
	return `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><fueloauth xmlns="http://exacttarget.com">` + token + `</fueloauth></Header><Body><RetrieveRequestMsg` + api +
		`><RetrieveRequest><ObjectType>DataExtension</ObjectType><Properties>Name</Properties></RetrieveRequest></RetrieveRequestMsg></Body></Envelope>`
}

func TestSOAPEnvelope(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	plain := plainRetrieve(c.token)
	const namespaces = `xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` +
		`xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" ` +
		`xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"`
	want := func(action, body string) string {
		return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope ` + namespaces + `><soap:Header><wsa:Action>` + action + `</wsa:Action><wsa:MessageID>urn:uuid:GUID</wsa:MessageID>` +
			`<wsa:RelatesTo>urn:uuid:GUID</wsa:RelatesTo><wsa:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</wsa:To><wsse:Security><wsu:Timestamp wsu:Id="Timestamp-GUID">` +
			`<wsu:Created>2026-06-23T14:52:45Z</wsu:Created><wsu:Expires>2026-06-23T14:57:45Z</wsu:Expires></wsu:Timestamp></wsse:Security></soap:Header><soap:Body>` + body + `</soap:Body></soap:Envelope>`
	}
	result := `<RetrieveResponseMsg` + api + `>` + found + `<Results xsi:type="DataExtension"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>Web_Registrations</Name></Results></RetrieveResponseMsg>`
	fault := func(code, words string) string {
		if code == "q0:Security" {
			code = ` xmlns:q0="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` + code
		} else {
			code = ">" + code
		}
		return `<soap:Fault><faultcode` + code + `</faultcode><faultstring>` + words + `</faultstring><faultactor>http://127.0.0.1:8090/Service.asmx</faultactor></soap:Fault>`
	}
	const unreadable = "Server was unable to read request. ---&gt; There is an error in the XML document. ---&gt; "
	for _, row := range []struct {
		name, action, envelope string
		header                 string
		status                 int
		body                   string
	}{
		{"plain", "Retrieve", plain, "", 200, result},
		{"quotes", `"Retrieve"`, plain, "", 200, result},
		{"charset", "Retrieve", plain, "Content-Type: text/xml; charset=utf-8", 200, result},
		{"Latin-1", "Retrieve", `<?xml version="1.0" encoding="ISO-8859-1"?>` + plain, "Content-Type: text/xml; charset=ISO-8859-1", 200, result},
		{
			"prefixes", "Retrieve", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:e="http://exacttarget.com" xmlns:p="http://exacttarget.com/wsdl/partnerAPI"><s:Header><e:fueloauth> ` + c.token +
				` </e:fueloauth></s:Header><s:Body><p:RetrieveRequestMsg><p:RetrieveRequest><p:ObjectType>DataExtension</p:ObjectType><p:Properties>Name</p:Properties><p:Filter/></p:RetrieveRequest></p:RetrieveRequestMsg></s:Body></s:Envelope>`, "", 500,
			fault("soap:Client", unreadable+"The specified type is abstract: name=&#39;FilterPart&#39;, namespace=&#39;http://exacttarget.com/wsdl/partnerAPI&#39;, at &lt;Filter xmlns=&#39;http://exacttarget.com/wsdl/partnerAPI&#39;&gt;."),
		},
		{"action in the envelope", "", strings.Replace(plain, "<Header>", `<Header><Action xmlns="http://schemas.xmlsoap.org/ws/2004/08/addressing">Retrieve</Action>`, 1), "", 200, result},
		{"no action", "", plain, "", 500, fault("soap:Client", "SOAP Action Could Not Be Determined From HTTP or SOAP Header")},
		{"unknown action", "Do<it>", plain, "", 500, fault("soap:Client", "Server did not recognize the value of HTTP Header SOAPAction: Do&lt;it&gt;.")},
		{"another action", "Create", plain, "", 500, fault("soap:Client", unreadable+"the body of Create is no CreateRequest")},
		{"no token", "Retrieve", strings.Replace(plain, c.token, "", 1), "", 500, fault("q0:Security", "Login Failed")},
		{"token at the wrong place", "Retrieve", strings.NewReplacer("<fueloauth", "<Security><fueloauth", "</fueloauth>", "</fueloauth></Security>").Replace(plain), "", 500, fault("q0:Security", "Login Failed")},
		{"unknown token", "Retrieve", strings.Replace(plain, c.token, "x", 1), "", 500, fault("q0:Security", "Token Expired")},
		{"broken", "Retrieve", plain[:100], "", 500, fault("soap:Client", unreadable+"XML syntax error on line 1: unexpected EOF")},
		{"no envelope", "Retrieve", "<a/>", "", 500, fault("soap:Client", unreadable+"the document is no SOAP envelope with a body")},
		{"nothing", "Retrieve", "", "", 500, fault("soap:Client", unreadable+"the root element is missing")},
		{"a document type", "Retrieve", `<!DOCTYPE a [<!ENTITY b "c">]>` + plain, "", 500, fault("soap:Client", unreadable+"a document type is not allowed")},
		{"an entity", "Retrieve", strings.Replace(plain, "<Properties>Name", "<Properties>&b;", 1), "", 500, fault("soap:Client", unreadable+"XML syntax error on line 1: invalid character entity &amp;b;")},
		{"too deep", "Retrieve", strings.Repeat("<a>", 1001), "", 500, fault("soap:Client", unreadable+"the document is too large or too deep")},
		{"unknown encoding", "Retrieve", plain, "Content-Type: text/xml; charset=utf-7", 500, fault("soap:Client", unreadable+"encoding &#34;utf-7&#34; is not supported")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if row.header != "" {
				header = []string{row.header}
			}
			w := c.post(t, row.action, row.envelope, header...)
			action := "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
			if row.status == 200 {
				action = "RetrieveResponse"
			}
			if w.Code != row.status || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" {
				t.Errorf("got %d %s", w.Code, w.Header().Get("Content-Type"))
			}
			sameXML(t, row.name, masked(w.Body.String()), want(action, row.body))
		})
	}
}

// How a call arrives, and what becomes of its token.
func TestSOAPTransport(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	plain := plainRetrieve(c.token)
	for _, path := range []string{"//service.asmx", "/Service.asmx/"} {
		if w := send(t, c.s, "POST", path, plain, "Content-Type: text/xml", "SOAPAction: Retrieve"); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := c.post(t, "Retrieve", plain, "Content-Type: application/json"); w.Code != 415 {
		t.Errorf("JSON: %d", w.Code)
	}
	if w := c.post(t, "Retrieve", strings.Repeat(" ", 5<<20+1)); w.Code != 413 {
		t.Errorf("too large: %d", w.Code)
	}
	if err := c.s.Advance(21 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if w := c.post(t, "Retrieve", plain); w.Code != 500 || !strings.Contains(w.Body.String(), "<faultstring>Token Expired<") {
		t.Errorf("after 21 minutes: %d %s", w.Code, w.Body)
	}
}

func TestSOAPDataExtension(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	sameXML(t, "create", c.write(t, "Create", membersExtension), `<Results><StatusCode>OK</StatusCode><StatusMessage>Data Extension created.</StatusMessage><OrdinalID>0</OrdinalID><NewID>0</NewID><NewObjectID>GUID</NewObjectID>`+
		`<Object xsi:type="DataExtension"><PartnerKey xsi:nil="true" /><ObjectID>GUID</ObjectID><CustomerKey>Members</CustomerKey><Name>Club Members</Name><IsSendable>true</IsSendable>`+
		`<SendableDataExtensionField><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>SubscriberKey</Name></SendableDataExtensionField><SendableSubscriberField><Name>Subscriber Key</Name></SendableSubscriberField>`+
		`<Fields><Field><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>SubscriberKey</Name><FieldType>Text</FieldType><MaxLength>254</MaxLength><IsPrimaryKey>true</IsPrimaryKey><IsRequired>true</IsRequired></Field>`+
		`<Field><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>Points</Name><FieldType>Number</FieldType></Field>`+
		`<Field><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>Since</Name><FieldType>Date</FieldType></Field>`+
		`<Field><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>City</Name></Field></Fields></Object></Results>`+ok)
	sameXML(t, "read back", c.retrieve(t, "DataExtension", "CustomerKey,Name,IsSendable,SendableSubscriberField.Name,SendableDataExtensionField.Name,CreatedDate,Template.CustomerKey", where("CustomerKey", "equals", "Members")),
		found+`<Results xsi:type="DataExtension"><PartnerKey xsi:nil="true" /><CreatedDate>2026-06-23T08:52:45</CreatedDate><ObjectID xsi:nil="true" /><CustomerKey>Members</CustomerKey><Name>Club Members</Name><IsSendable>true</IsSendable>`+
			`<SendableDataExtensionField><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>SubscriberKey</Name></SendableDataExtensionField><SendableSubscriberField><Name>_SubscriberKey</Name></SendableSubscriberField></Results>`)
	sameXML(t, "field", c.retrieve(t, "DataExtensionField", "ObjectID,CustomerKey,Name,Scale,DefaultValue,MaxLength,IsRequired,Ordinal,IsPrimaryKey,FieldType,DataExtension.CustomerKey",
		where("CustomerKey", "equals", "[Members].[City]")),
		found+`<Results xsi:type="DataExtensionField"><PartnerKey xsi:nil="true" /><ObjectID>GUID</ObjectID><CustomerKey>[Members].[City]</CustomerKey><Name>City</Name><Scale>0</Scale><DefaultValue /><MaxLength>50</MaxLength>`+
			`<IsRequired>false</IsRequired><Ordinal>3</Ordinal><IsPrimaryKey>false</IsPrimaryKey><FieldType>Text</FieldType><DataExtension><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><CustomerKey>Members</CustomerKey></DataExtension></Results>`)
	same(t, send(t, c.s, "POST", "/hub/v1/dataevents/key:Members/rowset", `[{"keys":{"SubscriberKey":"a"},"values":{"City":"Graz"}}]`, "Authorization: Bearer "+c.token), 200,
		`[{"keys":{"SubscriberKey":"a"},"values":{"City":"Graz"}}]`)

	members := func(fields string) string {
		return `<Objects xsi:type="DataExtension"><CustomerKey>Members</CustomerKey><Fields>` + fields + `</Fields></Objects>`
	}
	for _, row := range []struct{ name, action, objects, words string }{
		{"the same again", "Create", membersExtension, "Updating an existing Data Extension definition is not allowed when doing an add-only operation. "},
		{"written as it reads", "Create", strings.NewReplacer("Members", "Others", "Subscriber Key<", "_SubscriberKey<").Replace(membersExtension), "The SendableSubscriberField &#39;_SubscriberKey&#39; is not valid."},
		{"no such field to send by", "Create", strings.NewReplacer("Members", "Others", "Field><Name>SubscriberKey</Name></SendableD", "Field><Name>X</Name></SendableD").Replace(membersExtension), "The SendableDataExtensionField &#39;X&#39; is not a field of the data extension."},
		{"no field", "Create", `<Objects xsi:type="DataExtension"><Name>Others</Name></Objects>`, "At least one field is required."},
		{"no folder", "Create", strings.NewReplacer("Members", "Others", "<Fields>", "<CategoryID>1</CategoryID><Fields>").Replace(membersExtension), "The CategoryID 1 does not exist."},
		{"unknown", "Update", `<Objects xsi:type="DataExtension"><CustomerKey>Others</CustomerKey></Objects>`, "The data extension Others does not exist."},
		{"shorter", "Update", members("<Field><Name>City</Name><MaxLength>49</MaxLength></Field>"), "The MaxLength of the field &#39;City&#39; can not be decreased."},
		{"another type", "Update", members("<Field><Name>City</Name><FieldType>Date</FieldType></Field>"), "The FieldType of the field &#39;City&#39; can not be changed."},
		{"required from now on", "Update", members("<Field><Name>City</Name><IsRequired>true</IsRequired></Field>"), "The field &#39;City&#39; can not become required."},
		{"new and required", "Update", members("<Field><Name>Tier</Name><IsRequired>true</IsRequired></Field>"), "The field &#39;Tier&#39; is required and needs a default value, since the data extension has rows."},
		{"a new type", "Update", members("<Field><Name>Tier</Name><FieldType>Time</FieldType></Field>"), "&#39;Time&#39; is not a valid FieldType."},
		{"the key's field", "Delete", members("<Field><Name>SubscriberKey</Name></Field>"), "The field &#39;SubscriberKey&#39; can not be deleted."},
		{"delete unknown", "Delete", `<Objects xsi:type="DataExtension"><CustomerKey>Others</CustomerKey></Objects>`, "The data extension Others does not exist."},
		{"unknown type", "Create", `<Objects xsi:type="Nothing"/>`, "Unable to find a handler for object type: Nothing. Object types are case-sensitive, check spelling."},
		{"fields alone", "Create", `<Objects xsi:type="DataExtensionField"/>`, "Unable to find a handler for object type: DataExtensionField. Object types are case-sensitive, check spelling."},
	} {
		got := c.write(t, row.action, row.objects)
		if between(got, "<StatusMessage>", "</StatusMessage>") != row.words || !strings.HasSuffix(got, "<OverallStatus>Error</OverallStatus>") || between(got, "<ErrorCode>", "<") != "2" {
			t.Errorf("%s: %s", row.name, got)
		}
	}

	got := c.write(t, "Update", members(`<Field><Name>City</Name><MaxLength>100</MaxLength></Field><Field><Name>Tier</Name><FieldType>Number</FieldType><IsRequired>true</IsRequired><DefaultValue>1</DefaultValue></Field>`))
	if between(got, "<StatusMessage>", "<") != "Data Extension updated." || strings.Contains(got, "NewID") {
		t.Errorf("update: %s", got)
	}
	rows := found + `<Results xsi:type="DataExtensionObject"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Type>DataExtensionObject</Type><Properties>` +
		`<Property><Name>Tier</Name><Value>1</Value></Property><Property><Name>City</Name><Value>Graz</Value></Property></Properties></Results>`
	sameXML(t, "the row has the new column, and keeps the old", c.retrieve(t, "DataExtensionObject[Members]", "Tier,City", ""), rows)
	if got := c.write(t, "Delete", members("<Field><Name>Since</Name></Field>")); between(got, "<StatusMessage>", "<") != "Data Extension Fields deleted" {
		t.Errorf("delete a field: %s", got)
	}
	if got := c.retrieve(t, "DataExtensionField", "Name", where("DataExtension.CustomerKey", "equals", "members")); strings.Count(got, "<Results") != 4 || strings.Contains(got, "Since") {
		t.Errorf("fields: %s", got)
	}
	sameXML(t, "clear", c.do(t, "Perform", `<PerformRequestMsg`+api+`><Action>ClearData</Action><Definitions><Definition xsi:type="DataExtension"><CustomerKey>Members</CustomerKey></Definition></Definitions></PerformRequestMsg>`),
		`<PerformResponseMsg`+api+`><Results><Result><StatusCode>OK</StatusCode><StatusMessage>DataExtension perform called successfully</StatusMessage><Object xsi:type="DataExtension"><PartnerKey xsi:nil="true" /><ObjectID>GUID</ObjectID>`+
			`<CustomerKey>Members</CustomerKey></Object><Task><StatusCode>OK</StatusCode><StatusMessage>DataExtension perform called successfully</StatusMessage></Task></Result></Results><OverallStatus>OK</OverallStatus><OverallStatusMessage /><RequestID>GUID</RequestID></PerformResponseMsg>`)
	sameXML(t, "no row is left", c.retrieve(t, "DataExtensionObject[Members]", "City", ""), found)
	sameXML(t, "delete", c.write(t, "Delete", `<Objects xsi:type="ns:DataExtension"><CustomerKey>Members</CustomerKey></Objects>`),
		`<Results><StatusCode>OK</StatusCode><StatusMessage>Data Extension deleted. / Data Extension Fields deleted</StatusMessage><OrdinalID>0</OrdinalID><Object xsi:type="DataExtension"><PartnerKey xsi:nil="true" /><ObjectID>GUID</ObjectID><CustomerKey>Members</CustomerKey></Object></Results>`+ok)
	sameXML(t, "it is gone", c.retrieve(t, "DataExtension", "Name", where("Name", "equals", "Club Members")), found)
}

func TestSOAPRows(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	c.write(t, "Create", membersExtension)
	row := func(values ...string) string {
		s := `<Objects xsi:type="DataExtensionObject"><CustomerKey>Members</CustomerKey><Properties>`
		for i := 0; i < len(values); i += 2 {
			s += "<Property><Name>" + values[i] + "</Name><Value>" + values[i+1] + "</Value></Property>"
		}
		return s + "</Properties></Objects>"
	}
	const upsert = `<Options><SaveOptions><SaveOption><PropertyName>*</PropertyName><SaveAction>UpdateAdd</SaveAction></SaveOption></SaveOptions></Options>`
	sameXML(t, "create", c.write(t, "Create", row("SubscriberKey", "a &amp; b", "Points", "7")), `<Results xsi:type="DataExtensionCreateResult"><StatusCode>OK</StatusCode><StatusMessage>Created DataExtensionObject</StatusMessage><OrdinalID>0</OrdinalID><NewID>0</NewID>`+
		`<Object xsi:type="DataExtensionObject"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><CustomerKey>Members</CustomerKey><Properties><Property><Name>SubscriberKey</Name><Value>a &amp; b</Value></Property><Property><Name>Points</Name><Value>7</Value></Property></Properties></Object></Results>`+ok)
	for _, r := range []struct{ name, action, objects, words string }{
		{"twice", "Create", row("SubscriberKey", "a &amp; b"), "Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object &#39;C510000001.Club Members&#39;."},
		{"no key", "Create", row("Points", "1"), "The primary key of the row is missing."},
		{"no such column", "Create", row("SubscriberKey", "c", "X", "1"), "Invalid column name &#39;X&#39;."},
		{"no such data extension", "Create", strings.Replace(row("SubscriberKey", "c"), "Members", "Others", 1), "The data extension Others does not exist."},
		{"no number", "Create", row("SubscriberKey", "c", "Points", "many"), "Points: The value for column [Points] is not a valid number."},
		{"no such row", "Update", row("SubscriberKey", "c"), "The row does not exist."},
		{"updated", "Update", row("SubscriberKey", "a &amp; b", "City", "Graz"), "Updated DataExtensionObject"},
		{"upserted", "Update", upsert + row("SubscriberKey", "c", "Points", "10", "Since", "2026-01-31T06:00:00Z"), "Updated DataExtensionObject"},
		{"created or updated", "Create", upsert + row("SubscriberKey", "c", "City", "Wien"), "Updated DataExtensionObject"},
		{"keys apart", "Update", strings.Replace(row("Points", "11"), "<Properties>", "<Keys><Key><Name>SubscriberKey</Name><Value>c</Value></Key></Keys><Properties>", 1), "Updated DataExtensionObject"},
	} {
		if got := c.write(t, r.action, r.objects); between(got, "<StatusMessage>", "</StatusMessage>") != r.words {
			t.Errorf("%s: %s", r.name, got)
		}
	}
	if got := c.write(t, "Create", row("SubscriberKey", "d")+row("SubscriberKey", "d")); !strings.Contains(got, "<OrdinalID>1</OrdinalID><ErrorCode>2</ErrorCode>") || !strings.HasSuffix(got, "<OverallStatus>Has Errors</OverallStatus>") {
		t.Errorf("one of two: %s", got)
	}
	keys := func(more string) string {
		got := c.retrieve(t, "DataExtensionObject[Club Members]", "SubscriberKey", more)
		var list []string
		for _, part := range strings.Split(got, "<Value>")[1:] {
			list = append(list, strings.Split(part, "</Value>")[0])
		}
		if !strings.HasPrefix(got, "<OverallStatus>OK<") {
			return got
		}
		return strings.Join(list, ",")
	}
	both := func(operator string, left, right string) string {
		return `<Filter xsi:type="ComplexFilterPart"><LeftOperand xsi:type="SimpleFilterPart">` + left + `</LeftOperand><LogicalOperator>` + operator + `</LogicalOperator><RightOperand xsi:type="SimpleFilterPart">` + right + `</RightOperand></Filter>`
	}
	const b = "a &amp; b"
	for _, r := range []struct{ filter, want string }{
		{"", b + ",c,d"},
		{where("SubscriberKey", "equals", "c"), "c"},
		{where("SubscriberKey", "equals", "C"), ""},
		{where("SubscriberKey", "notEquals", "c"), b + ",d"},
		{where("subscriberkey", "IN", "c", "d", "e"), "c,d"},
		{where("Points", "greaterThan", "7"), "c"},
		{where("Points", "greaterThanOrEqual", "7.0"), b + ",c"},
		{where("Points", "lessThan", "10"), b},
		{where("Points", "lessThanOrEqual", "11"), b + ",c"},
		{where("Points", "between", "8", "11"), "c"},
		{where("Points", "isNull"), "d"},
		{where("Points", "isNotNull"), b + ",c"},
		{where("City", "like", "%ra%"), b},
		{where("City", "beginsWith", "W"), "c"},
		{where("City", "endsWith", "n"), "c"},
		{where("City", "contains", "ie"), "c"},
		{where("City", "notContains", "ie"), b + ",d"},
		{where("Since", "lessThan", "2026-01-31T06:00:01Z"), "c"},
		{where("Since", "greaterThan", "2026-01-31"), ""},
		{where("Since", "equals", "1/31/2026 12:00:00 AM"), "c"},
		{both("AND", condition("Points", "greaterThan", "1"), condition("City", "equals", "Wien")), "c"},
		{both("OR", condition("SubscriberKey", "equals", "d"), condition("City", "equals", "Wien")), "c,d"},
		{where("X", "equals", "1"), "<OverallStatus>Error: Invalid column name &#39;X&#39;.</OverallStatus><RequestID>GUID</RequestID>"},
	} {
		if got := keys(r.filter); got != r.want {
			t.Errorf("%s: got %s, want %s", r.filter, got, r.want)
		}
	}
	sameXML(t, "all columns is none", c.retrieve(t, "DataExtensionObject[Members]", "*", ""), found)
	sameXML(t, "an unknown column", c.retrieve(t, "DataExtensionObject[Members]", "X", ""), "<OverallStatus>Error: Invalid column name &#39;X&#39;.</OverallStatus><RequestID>GUID</RequestID>")
	sameXML(t, "unknown", c.retrieve(t, "DataExtensionObject[Others]", "X", ""), "<OverallStatus>Error: The data extension Others does not exist.</OverallStatus><RequestID>GUID</RequestID>")
	sameXML(t, "delete", c.write(t, "Delete", `<Objects xsi:type="DataExtensionObject"><CustomerKey>Members</CustomerKey><Keys><Key><Name>SubscriberKey</Name><Value>c</Value></Key></Keys></Objects>`),
		`<Results xsi:type="DataExtensionDeleteResult"><StatusCode>OK</StatusCode><StatusMessage>Deleted DataExtensionObject</StatusMessage><OrdinalID>0</OrdinalID></Results>`+ok)
	if got, want := keys(""), b+",d"; got != want {
		t.Errorf("after a delete: %s, want %s", got, want)
	}
}

func TestSOAPPaging(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	c.write(t, "Create", membersExtension)
	for from := 0; from < 2600; from += 1300 {
		var objects strings.Builder
		for i := from; i < from+1300; i++ {
			fmt.Fprintf(&objects, `<Objects xsi:type="DataExtensionObject"><CustomerKey>Members</CustomerKey><Properties><Property><Name>SubscriberKey</Name><Value>k%d</Value></Property></Properties></Objects>`, i)
		}
		c.write(t, "Create", objects.String())
	}
	page := func(request string) (rows int, status, id string) {
		w := c.post(t, "Retrieve", `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><fueloauth>`+c.token+`</fueloauth></Header><Body><RetrieveRequestMsg`+api+`><RetrieveRequest>`+request+`</RetrieveRequest></RetrieveRequestMsg></Body></Envelope>`)
		got := w.Body.String()
		return strings.Count(got, "<Results"), between(got, "<OverallStatus>", "<"), between(got, "<RequestID>", "<")
	}
	const ask = `<ObjectType>DataExtensionObject[Members]</ObjectType><Properties>SubscriberKey</Properties>`
	rows, status, id := page(ask)
	if rows != 2500 || status != "MoreDataAvailable" {
		t.Errorf("first page: %d rows, %s", rows, status)
	}
	if rows, status, _ := page(ask + "<ContinueRequest>" + id + "</ContinueRequest>"); rows != 100 || status != "OK" {
		t.Errorf("second page: %d rows, %s", rows, status)
	}
	if rows, status, _ := page("<ContinueRequest>" + id + "</ContinueRequest>"); rows != 0 || status != "Error: The request "+id+" can not be continued." {
		t.Errorf("after the last page: %d rows, %s", rows, status)
	}
	var sizes []int
	rows, status, id = page(ask + "<Options><BatchSize>1000</BatchSize></Options>")
	for sizes = append(sizes, rows); status == "MoreDataAvailable"; sizes = append(sizes, rows) {
		rows, status, id = page("<ContinueRequest>" + id + "</ContinueRequest>")
	}
	if diff := cmp.Diff([]int{1000, 1000, 600}, sizes); diff != "" {
		t.Errorf("pages of 1000 (-want +got):\n%s", diff)
	}
}

func TestSOAPSubscribers(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	subscriber := func(key, email, more string) string {
		return `<Objects xsi:type="Subscriber"><EmailAddress>` + email + `</EmailAddress><SubscriberKey>` + key + `</SubscriberKey>` + more + `</Objects>`
	}
	created := c.write(t, "Create", subscriber("u-1", "ana@example.org", ""))
	id := between(created, "<NewID>", "<")
	sameXML(t, "create", created, `<Results><StatusCode>OK</StatusCode><StatusMessage>Created Subscriber.</StatusMessage><OrdinalID>0</OrdinalID><NewID>`+id+`</NewID><Object xsi:type="Subscriber"><PartnerKey xsi:nil="true" /><ID>`+id+
		`</ID><ObjectID xsi:nil="true" /><EmailAddress>ana@example.org</EmailAddress><SubscriberKey>u-1</SubscriberKey></Object></Results>`+ok)
	sameXML(t, "again", c.write(t, "Create", subscriber("u-1", "ana@example.org", "")), `<Results><StatusCode>Error</StatusCode><StatusMessage>The subscriber is already on the list</StatusMessage><OrdinalID>0</OrdinalID><ErrorCode>12014</ErrorCode><NewID>0</NewID>`+
		`<Object xsi:type="Subscriber"><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><EmailAddress>ana@example.org</EmailAddress><SubscriberKey>u-1</SubscriberKey></Object></Results><RequestID>GUID</RequestID><OverallStatus>Error</OverallStatus>`)
	sameXML(t, "update", c.write(t, "Update", `<Objects xsi:type="Subscriber"><SubscriberKey>u-1</SubscriberKey><Status>Unsubscribed</Status></Objects>`), `<Results><StatusCode>OK</StatusCode><StatusMessage>Updated Subscriber.</StatusMessage><OrdinalID>0</OrdinalID>`+
		`<Object xsi:type="Subscriber"><PartnerKey xsi:nil="true" /><ID>`+id+`</ID><ObjectID xsi:nil="true" /><SubscriberKey>u-1</SubscriberKey><Status>Unsubscribed</Status></Object></Results>`+ok)
	sameXML(t, "retrieve", c.retrieve(t, "Subscriber", "ID,SubscriberKey,EmailAddress,Status,UnsubscribedDate,EmailTypePreference", where("EmailAddress", "equals", "ANA@example.org")), found+
		`<Results xsi:type="Subscriber"><PartnerKey xsi:nil="true" /><ID>`+id+`</ID><ObjectID xsi:nil="true" /><EmailAddress>ana@example.org</EmailAddress><SubscriberKey>u-1</SubscriberKey><UnsubscribedDate>2026-06-23T08:52:45</UnsubscribedDate><Status>Unsubscribed</Status><EmailTypePreference>HTML</EmailTypePreference></Results>`)
	for _, row := range []struct{ action, objects, code, words string }{
		{"Create", subscriber("u-2", "nonsense", ""), "12002", "InvalidEmailAddress"},
		{"Create", subscriber("u-2", "bo@example.org", "<Status>Gone</Status>"), "2", "Server was unable to read request. ---&gt; There is an error in the XML document. ---&gt; Instance validation error: &#39;Gone&#39; is not a valid value for SubscriberStatus."},
		{"Update", subscriber("u-2", "bo@example.org", ""), "2", "The subscriber does not exist."},
		{"Delete", subscriber("u-2", "bo@example.org", ""), "2", "The subscriber does not exist."},
	} {
		if got := c.write(t, row.action, row.objects); between(got, "<ErrorCode>", "<") != row.code || between(got, "<StatusMessage>", "<") != row.words {
			t.Errorf("%s %s: %s", row.action, row.objects, got)
		}
	}
	sameXML(t, "delete", c.write(t, "Delete", `<Objects xsi:type="Subscriber"><SubscriberKey>u-1</SubscriberKey></Objects>`), `<Results><StatusCode>OK</StatusCode><StatusMessage>Subscriber deleted</StatusMessage><OrdinalID>0</OrdinalID></Results>`+ok)
	sameXML(t, "gone", c.retrieve(t, "Subscriber", "ID", ""), found)
}

func TestSOAPFolders(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	root := between(c.retrieve(t, "DataFolder", "ID", where("ContentType", "equals", "dataextension")), "<ID>", "<")
	made := c.write(t, "Create", `<Objects xsi:type="DataFolder"><Name>Web</Name><ContentType>dataextension</ContentType><ParentFolder><ID>`+root+`</ID></ParentFolder></Objects>`)
	id := between(made, "<NewID>", "<")
	sameXML(t, "create", made, `<Results><StatusCode>OK</StatusCode><StatusMessage>Folder created successfully.</StatusMessage><OrdinalID>0</OrdinalID><NewID>`+id+`</NewID><NewObjectID>GUID</NewObjectID></Results>`+ok)
	sameXML(t, "retrieve", c.retrieve(t, "DataFolder", "ID,Client.ID,CustomerKey,Description,CreatedDate,ModifiedDate,ContentType,IsActive,IsEditable,AllowChildren,Name,ParentFolder.CustomerKey,ParentFolder.ID", where("ContentType", "IN", "hidden", "dataextension")+"<QueryAllAccounts>false</QueryAllAccounts>"),
		found+
			strings.Replace(strings.Replace(folderResult(root, "0", "Data Extensions", "dataextension"), "<CustomerKey />", "<CustomerKey>dataextension_default</CustomerKey>", 1), "Editable>true", "Editable>false", 1)+
			folderResult(id, root, "Web", "dataextension")+
			strings.NewReplacer("<CustomerKey /><ParentFolder>", "<CustomerKey>HiddenCategory_default</CustomerKey><ParentFolder>", "Editable>true", "Editable>false", "<Description />", "<Description>Hidden folder to store Hidden items</Description>").
				Replace(folderResult("200039475", "0", "HiddenCategory", "Hidden")))
	update := func(name, parent string) string {
		return between(c.write(t, "Update", `<Objects xsi:type="DataFolder"><ID>`+id+`</ID><Name>`+name+`</Name><ParentFolder><ID>`+parent+`</ID></ParentFolder></Objects>`), "<StatusMessage>", "<")
	}
	for _, row := range []struct{ got, want string }{
		{update("Site", root), "Folder updated successfully."},
		{update("Site", id), "The parent folder does not exist, or can not hold the folder."},
		{between(c.write(t, "Create", strings.NewReplacer("Club Members", "M", "<Fields>", "<CategoryID>"+id+"</CategoryID><Fields>").Replace(membersExtension)), "<StatusMessage>", "<"), "Data Extension created."},
		{between(c.write(t, "Delete", `<Objects xsi:type="DataFolder"><ID>`+id+`</ID></Objects>`), "<StatusMessage>", "<"), "The folder is not empty."},
		{between(c.write(t, "Delete", `<Objects xsi:type="DataExtension"><CustomerKey>Members</CustomerKey></Objects>`), "<StatusMessage>", "<"), "Data Extension deleted. / Data Extension Fields deleted"},
		{between(c.write(t, "Delete", `<Objects xsi:type="DataFolder"><ID>`+id+`</ID></Objects>`), "<StatusMessage>", "<"), "Folder deleted successfully."},
		{between(c.write(t, "Delete", `<Objects xsi:type="DataFolder"><ID>`+root+`</ID></Objects>`), "<StatusMessage>", "<"), "The folder can not be deleted."},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}

func folderResult(id, parent, name, contentType string) string {
	return `<Results xsi:type="DataFolder"><Client><ID>510000001</ID></Client><PartnerKey xsi:nil="true" /><CreatedDate>2026-06-23T08:52:45</CreatedDate><ModifiedDate>2026-06-23T08:52:45</ModifiedDate><ID>` + id +
		`</ID><ObjectID xsi:nil="true" /><CustomerKey /><ParentFolder><PartnerKey xsi:nil="true" /><ID>` + parent + `</ID><ObjectID xsi:nil="true" /><CustomerKey /></ParentFolder><Name>` + name +
		`</Name><Description /><ContentType>` + contentType + `</ContentType><IsActive>true</IsActive><IsEditable>true</IsEditable><AllowChildren>true</AllowChildren></Results>`
}

// Business units, and what a token of one sees of another.
func TestSOAPUnits(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	w := send(t, c.s, "PUT", "/_sandbox/account", `{"business_units":{"510000002":{"name":"Austria"},"510000003":{"name":"Chile"}},"package":{"business_units":["510000001","510000002"]}}`)
	if w.Code != 200 {
		t.Fatalf("account: %d %s", w.Code, w.Body)
	}
	unit := func(mid, name, parentID, parentName string) string {
		return `<Results xsi:type="BusinessUnit"><PartnerKey xsi:nil="true" /><ID>` + mid + `</ID><ObjectID xsi:nil="true" /><ParentID>` + parentID + `</ParentID>` + parentName + `<Name>` + name + `</Name><IsActive>1</IsActive></Results>`
	}
	const asked = "Name,ID,ParentName,ParentID,IsActive"
	top := unit("510000001", "Sandbox", "0", "<ParentName />")
	austria := unit("510000002", "Austria", "510000001", "<ParentName>Sandbox</ParentName>")
	sameXML(t, "one", c.retrieve(t, "BusinessUnit", asked, ""), found+top)
	sameXML(t, "all", c.retrieve(t, "BusinessUnit", asked, "<QueryAllAccounts>true</QueryAllAccounts>"), found+top+austria)
	sameXML(t, "another", c.retrieve(t, "BusinessUnit", asked, "<ClientIDs><ID>510000002</ID></ClientIDs>"), found+austria)
	denied := "<OverallStatus>Error: API Permission Failed.</OverallStatus><RequestID>GUID</RequestID>"
	sameXML(t, "one that is not the package's", c.retrieve(t, "BusinessUnit", asked, "<ClientIDs><ID>510000003</ID></ClientIDs>"), denied)
	if got := c.write(t, "Create", strings.Replace(membersExtension, "<CustomerKey>", "<Client><ID>510000002</ID></Client><CustomerKey>", 1)); !strings.Contains(got, "Data Extension created.") {
		t.Errorf("create in another: %s", got)
	}
	sameXML(t, "not here", c.retrieve(t, "DataExtension", "Name", where("Name", "equals", "Club Members")), found)
	sameXML(t, "but there", c.retrieve(t, "DataExtension", "Client.ID,Name", where("Name", "equals", "Club Members")+"<QueryAllAccounts>true</QueryAllAccounts>"),
		found+`<Results xsi:type="DataExtension"><Client><ID>510000002</ID></Client><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>Club Members</Name></Results>`)
}

func TestSOAPScopes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	token := strings.TrimPrefix(authorizeWith(t, s, `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret","scope":"journeys_read"}`), "Authorization: Bearer ")
	c := &soapCaller{s, token}
	for _, kind := range []string{"DataExtension", "DataExtensionField", "DataFolder", "DataExtensionObject[Web_Registrations]", "Subscriber", "List", "BusinessUnit", "Account", "SentEvent"} {
		sameXML(t, kind, c.retrieve(t, kind, "ID", ""), "<OverallStatus>Error: API Permission Failed.</OverallStatus><RequestID>GUID</RequestID>")
	}
	if got := c.write(t, "Create", membersExtension); !strings.Contains(got, "<StatusCode>Error</StatusCode><StatusMessage>API Permission Failed.</StatusMessage>") {
		t.Errorf("create: %s", got)
	}
}

func TestSOAPOther(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	const noHandler = "Unable to find a handler for object type: DeliveryProfile. Object types are case-sensitive, check spelling."
	sameXML(t, "unknown type", c.retrieve(t, "DeliveryProfile", "ID", ""), "<OverallStatus>Error: "+noHandler+"</OverallStatus><RequestID>GUID</RequestID>")
	sameXML(t, "unknown property", c.retrieve(t, "DataExtension", "Name,Bogus", ""), "<OverallStatus>Error: The Request Property(s) Bogus do not match with the fields of DataExtension retrieve</OverallStatus><RequestID>GUID</RequestID>")
	for _, event := range []string{"SentEvent", "OpenEvent", "ClickEvent", "BounceEvent", "UnsubEvent", "NotSentEvent"} {
		sameXML(t, event, c.retrieve(t, event, "SubscriberKey,EventDate", where("EventDate", "greaterThan", "2026-01-01T00:00:00")), found)
	}
	describe := func(kind string) string {
		return c.do(t, "Describe", `<DefinitionRequestMsg`+api+`><DescribeRequests><ObjectDefinitionRequest><ObjectType>`+kind+`</ObjectType></ObjectDefinitionRequest></DescribeRequests></DefinitionRequestMsg>`)
	}
	sameXML(t, "describe nothing", describe("Nothing"), `<DefinitionResponseMsg`+api+`><RequestID>GUID</RequestID></DefinitionResponseMsg>`)
	got := describe("Subscriber")
	if !strings.Contains(got, `<ObjectDefinition><ObjectType>Subscriber</ObjectType><Properties><PartnerKey xsi:nil="true" /><ObjectID xsi:nil="true" /><Name>Client.ID</Name><DataType>Int32</DataType><IsUpdatable>true</IsUpdatable><IsRetrievable>true</IsRetrievable>`) {
		t.Errorf("describe: %s", got)
	}
	// what Describe names can be retrieved: the vendor's SDKs do so when nothing is asked for
	for _, kind := range []string{"DataExtension", "DataExtensionField", "DataFolder", "Subscriber", "List", "BusinessUnit", "Account", "DataExtensionObject[Web_Registrations]"} {
		var names []string
		for _, part := range strings.Split(describe(kind), "<Name>")[1:] {
			names = append(names, strings.Split(part, "<")[0])
		}
		if got := c.retrieve(t, kind, strings.Join(names, ","), ""); len(names) == 0 || !strings.HasPrefix(got, found) {
			t.Errorf("%s: %s", kind, got)
		}
	}
	for action, body := range map[string]string{
		"Schedule":  `<ScheduleRequestMsg` + api + `><Interactions><Interaction xsi:type="DeliveryProfile"/></Interactions></ScheduleRequestMsg>`,
		"Execute":   `<ExecuteRequestMsg` + api + `><Requests><Name>DeliveryProfile</Name></Requests></ExecuteRequestMsg>`,
		"Configure": `<ConfigureRequestMsg` + api + `><Configurations><Configuration xsi:type="DeliveryProfile"/></Configurations></ConfigureRequestMsg>`,
		"Perform":   `<PerformRequestMsg` + api + `><Action>start</Action><Definitions><Definition xsi:type="DeliveryProfile"/></Definitions></PerformRequestMsg>`,
	} {
		if got := c.do(t, action, body); between(got, "<StatusMessage>", "<") != noHandler || between(got, "<OverallStatus>", "<") != "Error" {
			t.Errorf("%s: %s", action, got)
		}
	}
	const abstract = "Server was unable to read request. ---&gt; There is an error in the XML document. ---&gt; The specified type is abstract: name=&#39;APIObject&#39;, namespace=&#39;http://exacttarget.com/wsdl/partnerAPI&#39;, at &lt;Objects xmlns=&#39;http://exacttarget.com/wsdl/partnerAPI&#39;&gt;."
	if got := c.do(t, "Create", `<CreateRequest`+api+`><Objects/></CreateRequest>`); between(got, "<faultstring>", "</faultstring>") != abstract {
		t.Errorf("no type: %s", got)
	}
}

func TestSOAPFault(t *testing.T) {
	t.Parallel()
	c := newSOAPCaller(t)
	words := func(f sandbox.Fault) string {
		f.Match, f.Count = "/service.asmx", 1
		if err := c.s.Fault(f); err != nil {
			t.Fatal(err)
		}
		return between(c.retrieve(t, "List", "ID", ""), "<faultcode", "</faultstring>")
	}
	for _, row := range []struct {
		fault sandbox.Fault
		want  string
	}{
		{sandbox.Fault{Status: 429}, ">soap:Server</faultcode><faultstring>Too Many Requests"},
		{sandbox.Fault{Status: 503, Message: "Busy"}, ">soap:Server</faultcode><faultstring>Busy"},
		{sandbox.Fault{Status: 401}, ` xmlns:q0="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">q0:Security</faultcode><faultstring>Token Expired`},
		{sandbox.Fault{Name: sandbox.FaultRevokeTokens}, ` xmlns:q0="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">q0:Security</faultcode><faultstring>Token Expired`},
	} {
		if got := words(row.fault); got != row.want {
			t.Errorf("%+v: got %s, want %s", row.fault, got, row.want)
		}
	}
}

// Whatever a stranger sends, nothing panics, and each answer is XML that ends.
func FuzzSOAP(f *testing.F) {
	for _, seed := range []string{
		membersExtension, `<Objects xsi:type="DataExtensionObject"><CustomerKey>Web_Registrations</CustomerKey><Keys><Key><Name>SubscriberKey</Name><Value xsi:nil="1"/></Key></Keys></Objects>`,
		`<Objects xsi:type="Subscriber"><SubscriberKey>a</SubscriberKey></Objects>`, `<Objects xsi:type="DataFolder"><ID>1</ID><ParentFolder><ID>2</ID></ParentFolder></Objects>`,
		`<RetrieveRequest><ObjectType>DataExtensionObject[Web_Registrations]</ObjectType><Properties>SubscriberKey</Properties>` + where("OptInStatus", "between", "1", "x") + `</RetrieveRequest>`,
		`<Action>ClearData</Action><Definitions><Definition xsi:type="DataExtension"><CustomerKey>Web_Registrations</CustomerKey></Definition></Definitions>`,
		`<DescribeRequests><ObjectDefinitionRequest><ObjectType>DataExtensionObject[]</ObjectType></ObjectDefinitionRequest></DescribeRequests>`, `<!DOCTYPE a>`, `<![CDATA[<]]>`, `&#0;`, `<a b="c`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := newSOAPCaller(t) // a new one: what is found depends on nothing else
		for _, element := range []string{
			"CreateRequest", "UpdateRequest", "RetrieveRequestMsg", "PerformRequestMsg", "DeleteRequest", "DefinitionRequestMsg", "ScheduleRequestMsg", "ExecuteRequestMsg",
		} {
			action := strings.Replace(strings.TrimSuffix(strings.TrimSuffix(element, "Msg"), "Request"), "Definition", "Describe", 1)
			w := c.post(t, action, `<Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Header><fueloauth>`+c.token+`</fueloauth></Header><Body><`+element+`>`+body+`</`+element+`></Body></Envelope>`)
			if w.Code != 200 && w.Code != 500 {
				t.Errorf("%s: %d %s", action, w.Code, w.Body)
			}
			if err := wellFormed(w.Body); err != nil {
				t.Errorf("%s %q: %v in %s", action, body, err, w.Body)
			}
		}
	})
}

// wellFormed reads an XML document to its end.
func wellFormed(r io.Reader) error {
	d := xml.NewDecoder(r)
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
