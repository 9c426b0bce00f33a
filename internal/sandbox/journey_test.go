package sandbox_test

import (
	"encoding/json"
	"regexp"
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
		return refusal("10002", "The field "+name+" is required by the data extension of the event definition.")
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
