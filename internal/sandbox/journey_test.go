package sandbox_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const eventsPath = "/interaction/v1/events"

var guidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// entered checks a 201 and returns the event instance id.
func entered(t *testing.T, s *sandbox.Sandbox, auth, body string) string {
	t.Helper()
	w := send(t, s, "POST", eventsPath, body, auth)
	var got map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 201 || len(got) != 1 || !guidForm.MatchString(got["eventInstanceId"]) {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return got["eventInstanceId"]
}

func event(data string) string {
	return `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent-sandbox-welcome","EstablishContactKey":true,"Data":{` + data + `}}`
}

const goodData = `"EmailAddress":"a@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z"`

func TestFireEvent(t *testing.T) {
	t.Parallel()
	values := map[string]any{"SubscriberKey": "u-1", "EmailAddress": "a@example.org", "RegistrationTimestamp": "2026-06-23T14:52:45Z"}
	with := func(more map[string]any) map[string]any {
		m := map[string]any{}
		for _, from := range []map[string]any{values, more} {
			for k, v := range from {
				m[k] = v
			}
		}
		return m
	}
	for _, row := range []struct {
		name, body string
		data       map[string]any // of the contact; the row has the default too
	}{
		{"the contact key stands in for the primary key", event(goodData), values},
		{"names in any case", `{"contactKey":"u-1","eventDefinitionKey":"APIEvent-sandbox-welcome","establishcontactkey":false,"data":{"emailaddress":"a@example.org","registrationtimestamp":"2026-06-23T14:52:45Z"}}`, values},
		{"another primary key", event(goodData + `,"SubscriberKey":"u-2"`), with(map[string]any{"SubscriberKey": "u-2"})},
		{"an empty primary key", event(goodData + `,"SubscriberKey":""`), values},
		{"null is not sent", event(goodData + `,"FirstName":null,"OptInStatus":null`), values},
		{"eventInstanceId is dropped", event(goodData + `,"eventInstanceId":"mine"`), values},
		{
			"specification 5.2", event(`"EmailAddress":"a@example.org","FirstName":"Jane","LastName":"Doe","OptInStatus":true,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration"`),
			with(map[string]any{"FirstName": "Jane", "LastName": "Doe", "OptInStatus": true, "Source": "Website Registration"}),
		},
	} {
		for _, dialect := range []sandbox.Dialect{sandbox.DialectFacts, sandbox.DialectSpec} {
			t.Run(row.name+" "+string(dialect), func(t *testing.T) {
				t.Parallel()
				s := newDialect(t, dialect)
				id := entered(t, s, authorize(t, s), row.body)
				at, _ := time.Parse(time.RFC3339, start)
				want := []sandbox.Contact{{ContactKey: "u-1", EventInstanceID: id, At: at, Data: row.data}}
				if diff := cmp.Diff(want, s.State().Journeys["APIEvent-sandbox-welcome"].Contacts); diff != "" {
					t.Errorf("contacts (-want +got):\n%s", diff)
				}
				wantRow := with(row.data)
				if wantRow["OptInStatus"] == nil {
					wantRow["OptInStatus"] = false
				}
				if diff := cmp.Diff([]map[string]any{wantRow}, rows(s)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			})
		}
	}
	t.Run("the row merges, the contact enters again", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		auth := authorize(t, s)
		first := entered(t, s, auth, event(goodData+`,"FirstName":"Ana","OptInStatus":true`))
		second := entered(t, s, auth, event(goodData+`,"LastName":"Díaz"`))
		if n := len(s.State().Journeys["APIEvent-sandbox-welcome"].Contacts); n != 2 || first == second {
			t.Errorf("%d contacts, ids %s and %s", n, first, second)
		}
		want := []map[string]any{with(map[string]any{"FirstName": "Ana", "LastName": "Díaz", "OptInStatus": true})}
		if diff := cmp.Diff(want, rows(s)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
	t.Run("a column named eventInstanceId gets the id", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		s.AddDataExtension("11111111-1111-4111-8111-111111111111", "T", []sandbox.Column{
			{Name: "Id", Type: "Text", PrimaryKey: true}, {Name: "EventInstanceID", Type: "Text", Length: 36},
		})
		s.AddJourney("APIEvent-t", "T")
		id := entered(t, s, authorize(t, s), `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent-t","Data":{"eventinstanceid":"mine"}}`)
		want := []map[string]any{{"Id": "u-1", "EventInstanceID": id}}
		if diff := cmp.Diff(want, s.State().DataExtensions["T"].Rows); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

func TestFireEventRefused(t *testing.T) {
	t.Parallel()
	refusal := func(code, message string) string {
		return `{"message":"` + message + `","errorcode":` + code + `,"documentation":""}`
	}
	noParameter := func(name string) string { return refusal("10002", "The parameter "+name+" is required.") }
	wrongType := func(name string) string {
		return refusal("10001", "The parameter "+name+" is not of the expected type.")
	}
	noField := func(name string) string {
		return `{"message":"Event Data contains errors:","errorcode":10006,"documentation":"","validationErrors":[` +
			refusal("10000", "Required Event Data fields are missing: "+strings.ToLower(name)) + `]}`
	}
	for _, row := range []struct{ name, body, want string }{
		{"not JSON", `{`, badFormat},
		{"empty", ``, badFormat},
		{"null", `null`, badFormat},
		{"a list", `[]`, badFormat},
		{"no contact key", `{"EventDefinitionKey":"APIEvent-sandbox-welcome"}`, noParameter("ContactKey")},
		{"empty contact key", `{"ContactKey":"","EventDefinitionKey":"APIEvent-sandbox-welcome"}`, noParameter("ContactKey")},
		{"contact key null", `{"ContactKey":null,"EventDefinitionKey":"APIEvent-sandbox-welcome"}`, noParameter("ContactKey")},
		{"contact key a number", `{"ContactKey":1,"EventDefinitionKey":"APIEvent-sandbox-welcome"}`, wrongType("ContactKey")},
		{"no event definition key", `{"ContactKey":"u-1"}`, noParameter("EventDefinitionKey")},
		{"unknown event definition key", `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent-x"}`, refusal("30003", "Event Definition not found: APIEvent-x")},
		{"a period in the key", `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent.x"}`, refusal("10003", "The event definition key APIEvent.x must not contain a period.")},
		{"data a list", `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent-sandbox-welcome","Data":[]}`, wrongType("Data")},
		{"a field an object", event(goodData + `,"FirstName":{}`), wrongType("Data")},
		{"no data", `{"ContactKey":"u-1","EventDefinitionKey":"APIEvent-sandbox-welcome"}`, noField("EmailAddress")},
		{"unknown field", event(goodData + `,"Zebra":"x","Apple":"y"`), refusal("10005", "The field Apple does not exist in the data extension of the event definition.")},
		{"required field missing", event(`"EmailAddress":"a@example.org"`), noField("RegistrationTimestamp")},
		{"required field null", event(goodData[:len(goodData)-len(`"2026-06-23T14:52:45Z"`)] + `null`), noField("RegistrationTimestamp")},
		{"bad address", event(`"EmailAddress":"a","RegistrationTimestamp":"2026-06-23"`), refusal("10001", badEmail)},
		{"bad date", event(`"EmailAddress":"a@example.org","RegistrationTimestamp":"soon"`), refusal("10001", badDate)},
		{"a field twice", event(goodData + `,"FirstName":"x","firstname":"y"`), badFormat},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			same(t, send(t, s, "POST", eventsPath, row.body, authorize(t, s)), 400, row.want)
			if n, m := len(rows(s)), len(s.State().Journeys["APIEvent-sandbox-welcome"].Contacts); n+m != 0 {
				t.Errorf("%d rows and %d contacts were made", n, m)
			}
		})
	}
	t.Run("required fields even when the row exists", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		auth := authorize(t, s)
		entered(t, s, auth, event(goodData))
		same(t, send(t, s, "POST", eventsPath, event(`"FirstName":"Ana"`), auth), 400, noField("EmailAddress"))
	})
}

const batchPath = "/interaction/v1/async/events"

func batch(members ...string) string {
	return `{"eventDefinitionKey":"APIEvent-sandbox-welcome","members":[` + strings.Join(members, ",") + `]}`
}

// batchMember is a good member.
func batchMember(key, more string) string {
	return `{"contactKey":"` + key + `","data":{` + goodData + more + `}}`
}

// enteredAll checks a 202 and returns the body with the ids of events replaced
// by "id" where they are good, and the ids.
func enteredAll(t *testing.T, s *sandbox.Sandbox, auth, body string) (got map[string]any, ids []string) {
	t.Helper()
	w := send(t, s, "POST", batchPath, body, auth)
	got, _ = decode(t, w.Body.String()).(map[string]any)
	if id, _ := got["requestId"].(string); w.Code != 202 || !guidForm.MatchString(id) {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	delete(got, "requestId")
	members, _ := got["members"].([]any)
	for _, m := range members {
		m, _ := m.(map[string]any)
		if id, _ := m["eventInstanceId"].(string); guidForm.MatchString(id) {
			ids = append(ids, id)
			m["eventInstanceId"] = "id"
		}
	}
	return got, ids
}

func TestFireEvents(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	got, ids := enteredAll(t, s, auth, batch(
		batchMember("a", ""), batchMember("b", `,"Zebra":1`), `{"CONTACTKEY":"a","DATA":{`+goodData+`,"LastName":"Díaz"}}`, `{}`, `{"contactKey":7}`,
		batchMember("c", `,"FirstName":{}`), `{"contactKey":"d","data":[]}`, `{"contactKey":"e"}`, batchMember("f", `,"OptInStatus":"maybe"`), batchMember("g", `,"FirstName":"x","firstname":"y"`),
	))
	failed := func(key, code, message string) string {
		return `{"contactKey":"` + key + `","errorcode":` + code + `,"message":"` + message + `"}`
	}
	wantJSON(t, got, `{"count":10,"notQueuedCount":8,"members":[{"contactKey":"a","eventInstanceId":"id"},`+strings.Join([]string{
		failed("b", "10005", "The field Zebra does not exist in the data extension of the event definition."),
		`{"contactKey":"a","eventInstanceId":"id"}`,
		failed("", "10002", "The parameter contactKey is required."),
		failed("", "10001", "The parameter contactKey is not of the expected type."),
		failed("c", "10001", "The parameter Data is not of the expected type."),
		failed("d", "10001", "The parameter Data is not of the expected type."),
		failed("e", "10000", "Required Event Data fields are missing: emailaddress"),
		failed("f", "10001", badFlag),
		failed("g", "10004", "JSON Deserialization Exception: Location Unknown"),
	}, ",")+`]}`)
	at, _ := time.Parse(time.RFC3339, start)
	data := func(more map[string]any) map[string]any {
		m := map[string]any{"SubscriberKey": "a", "EmailAddress": "a@example.org", "RegistrationTimestamp": start}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	if len(ids) != 2 {
		t.Fatalf("%d events", len(ids))
	}
	last := map[string]any{"LastName": "Díaz"}
	want := []sandbox.Contact{
		{ContactKey: "a", EventInstanceID: ids[0], At: at, Data: data(nil)},
		{ContactKey: "a", EventInstanceID: ids[1], At: at, Data: data(last)},
	}
	if diff := cmp.Diff(want, s.State().Journeys["APIEvent-sandbox-welcome"].Contacts); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	last["OptInStatus"] = false
	if diff := cmp.Diff([]map[string]any{data(last)}, rows(s)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestFireEventsRefused(t *testing.T) {
	t.Parallel()
	refusal := func(code, message string) string {
		return `{"message":"` + message + `","errorcode":` + code + `,"documentation":""}`
	}
	many := func(n int) string {
		return batch(strings.Split(strings.Repeat(batchMember("a", "")+"\n", n-1)+batchMember("a", ""), "\n")...)
	}
	noMembers := refusal("10002", "The parameter members is required.")
	for _, row := range []struct{ name, body, want string }{
		{"not JSON", `{`, badFormat},
		{"a list", `[]`, badFormat},
		{"null", `null`, badFormat},
		{"a member that is a text", batch(`"a"`), badFormat},
		{"a member that is null", batch(`null`), badFormat},
		{"no event definition key", `{"members":[{}]}`, refusal("10002", "The parameter eventDefinitionKey is required.")},
		{"unknown event definition key", `{"eventDefinitionKey":"x","members":[{}]}`, refusal("30003", "Event Definition not found: x")},
		{"a period in the key", `{"eventDefinitionKey":"x.y","members":[{}]}`, refusal("10003", "The event definition key x.y must not contain a period.")},
		{"no members", `{"eventDefinitionKey":"APIEvent-sandbox-welcome"}`, noMembers},
		{"members that are no list", `{"eventDefinitionKey":"APIEvent-sandbox-welcome","members":{}}`, noMembers},
		{"none", batch(), noMembers},
		{"101", many(101), refusal("10000", "Interaction Count Limit Exceeded: a request has at most 100 members.")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			same(t, send(t, s, "POST", batchPath, row.body, authorize(t, s)), 400, row.want)
			if st := s.State(); st.Totals.Contacts["APIEvent-sandbox-welcome"]+st.Totals.Rows["Web_Registrations"] != 0 {
				t.Errorf("totals: %+v", st.Totals)
			}
		})
	}
	t.Run("100", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		if _, ids := enteredAll(t, s, authorize(t, s), many(100)); len(ids) != 100 {
			t.Errorf("%d events", len(ids))
		}
	})
}

func TestMemberFaults(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		set  sandbox.Fault
		want map[string]string // what is said of a member that did not enter
	}{
		{"the first", sandbox.Fault{Name: "not_queued", Count: 2}, map[string]string{
			"a": "10000 Interaction Count Limit Exceeded: We could not queue your event.", "b": "10000 Interaction Count Limit Exceeded: We could not queue your event.",
		}},
		{"those with a text", sandbox.Fault{Name: "member_error", Contains: "poison"}, map[string]string{"b": "10005 Invalid value."}},
		{"a contact key", sandbox.Fault{Name: "member_error", Contains: "c", Match: batchPath, Errorcode: 30000, Message: "No."}, map[string]string{"c": "30000 No."}},
		{"another route", sandbox.Fault{Name: "member_error", Match: "/hub/"}, map[string]string{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			auth := authorize(t, s)
			setFaults(t, s, row.set)
			// A member that is bad anyhow uses no fault up.
			data := `"EmailAddress":"x@x.xx","RegistrationTimestamp":"2026-06-23"`
			got, ids := enteredAll(t, s, auth, batch(`{}`, `{"contactKey":"a","data":{`+data+`}}`, `{"contactKey":"b","data":{`+data+`,"LastName":"a poison"}}`, `{"contactKey":"c","data":{`+data+`}}`))
			said := map[string]string{}
			members, _ := got["members"].([]any)
			for _, m := range members[1:] {
				if m, _ := m.(map[string]any); m["errorcode"] != nil {
					said[fmt.Sprint(m["contactKey"])] = fmt.Sprintf("%v %v", m["errorcode"], m["message"])
				}
			}
			if diff := cmp.Diff(row.want, said); diff != "" {
				t.Errorf("failed members (-want +got):\n%s", diff)
			}
			if n := len(s.State().Journeys["APIEvent-sandbox-welcome"].Contacts); n != 3-len(row.want) || len(ids) != n || got["notQueuedCount"] != float64(len(row.want)+1) {
				t.Errorf("%d contacts, %d ids, body %v", n, len(ids), got)
			}
		})
	}
}
