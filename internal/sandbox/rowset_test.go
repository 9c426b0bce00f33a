package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// specExample is the request of section 4.2 of the specification.
const specExample = `[{"keys":{"SubscriberKey":"user@example.com"},"values":{"EmailAddress":"user@example.com","FirstName":"Jane","LastName":"Doe","OptInStatus":true,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.168.1.1","UserAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)","PageURL":"https://example.com/register"}}]`

// person is a good row; its values can be extended.
func person(key, more string) string {
	return `{"keys":{"SubscriberKey":"` + key + `"},"values":{"EmailAddress":"` + key + `@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z"` + more + `}}`
}

func stored(key string, more map[string]any) map[string]any {
	row := map[string]any{
		"SubscriberKey": key, "EmailAddress": key + "@example.org", "OptInStatus": false,
		"RegistrationTimestamp": "2026-06-23T14:52:45Z",
	}
	for k, v := range more {
		row[k] = v
	}
	return row
}

// unsaved is the body of a refused rowset; bare without messages.
func unsaved(messages ...string) string {
	body := `{"message":"Unable to save rows for data extension ID ` + registrationsID + `","errorcode":10006,"documentation":""`
	if len(messages) == 0 {
		return body + `}`
	}
	var list []string
	for _, m := range messages {
		list = append(list, fmt.Sprintf(`{"message":%q,"errorcode":10000,"documentation":""}`, m))
	}
	return body + `,"additionalErrors":[` + strings.Join(list, ",") + `]}`
}

const (
	badEmail  = "EmailAddress: The value for column [EmailAddress] is not a valid email address. Parse error [InvalidEmailAddress]"
	badFlag   = "OptInStatus: The value for column [OptInStatus] is not a valid boolean."
	badDate   = "RegistrationTimestamp: The value for column [RegistrationTimestamp] is not a valid date."
	longName  = "FirstName: The value for column [FirstName] exceeds the column's maximum length."
	noEmail   = "EmailAddress: Column [EmailAddress] does not allow null value."
	noDate    = "RegistrationTimestamp: Column [RegistrationTimestamp] does not allow null value."
	noColumns = "At least one existing field is required in the values property"
	badFormat = `{"message":"JSON Deserialization Exception: Location Unknown","errorcode":10004,"documentation":""}`
	badGUID   = `{"message":"Parameter {guid} is invalid.","errorcode":10001,"documentation":""}`
	noObject  = `{"message":"Object Not Found","errorcode":30003,"documentation":""}`
	noKeys    = `{"message":"Cannot locate the existing record. Required keys are missing.","errorcode":10000,"documentation":""}`
)

func TestUpsertRows(t *testing.T) {
	t.Parallel()
	good := []map[string]any{stored("a", nil)}
	list := func(rows ...string) string { return "[" + strings.Join(rows, ",") + "]" }
	wrongKey := func(name string) string {
		return `{"message":"Primary key '` + name + `' does not exist.","errorcode":10000,"documentation":""}`
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = person("same", "")
	}
	for _, row := range []struct {
		name, target, body string
		status             int
		want               string // "" is the request, echoed
		rows               []map[string]any
	}{
		{"one", rowset, list(person("a", "")), 200, "", good},
		{"by encoded key", "/hub/v1/dataevents/key%3AWeb_Registrations/rowset", list(person("a", "")), 200, "", good},
		{"by key in lower case, as fuel-rest sends it", "/hub/v1/dataevents/key:web_registrations/rowset", list(person("a", "")), 200, "", good},
		{"by GUID", "/hub/v1/dataevents/" + strings.ToUpper(registrationsID) + "/rowset", list(person("a", "")), 200, "", good},
		{"by id: and GUID", "/hub/v1/dataevents/id:" + registrationsID + "/rowset", list(person("a", "")), 200, "", good},
		{
			"names in any case, stored exactly", rowset,
			`[{"keys":{"SUBSCRIBERKEY":"a"},"values":{"emailaddress":"a@example.org","registrationTimestamp":"2026-06-23T14:52:45Z"}}]`, 200, "", good,
		},
		{
			"an update merges", rowset,
			list(person("a", `,"FirstName":"Ana","OptInStatus":true`), `{"keys":{"SubscriberKey":"a"},"values":{"LastName":"Díaz"}}`), 200, "",
			[]map[string]any{stored("a", map[string]any{"FirstName": "Ana", "LastName": "Díaz", "OptInStatus": true})},
		},
		{
			"values as sent", rowset, list(person("a", `,"FirstName":12.50,"OptInStatus":"TRUE","Source":"<&>"`)), 200, "",
			[]map[string]any{stored("a", map[string]any{"FirstName": json.Number("12.50"), "OptInStatus": "TRUE", "Source": "<&>"})},
		},
		{
			"a key is letter for letter", rowset, list(person("a", ""), person("A", "")), 200, "",
			[]map[string]any{stored("a", nil), stored("A", nil)},
		},
		{"unknown columns beside a known one", rowset, list(person("a", `,"Nothing":{"deep":1}`)), 400, badFormat, nil},
		{"unknown columns are ignored", rowset, list(person("a", `,"Nothing":"x"`)), 200, "", good},
		{"the key among the values changes nothing", rowset, list(person("a", `,"SubscriberKey":"b"`)), 200, "", good},
		{"more than fifty", rowset, list(many...), 200, "", []map[string]any{stored("same", nil)}},
		{"none", rowset, `[]`, 200, "", nil},
		{
			"empty text in a nullable column", rowset, list(person("a", `,"FirstName":""`)), 200, "",
			[]map[string]any{stored("a", map[string]any{"FirstName": ""})},
		},

		{"no known column", rowset, `[{"keys":{"SubscriberKey":"a"},"values":{"Nothing":"x"}}]`, 400, unsaved(noColumns), nil},
		{"no values", rowset, `[{"keys":{"SubscriberKey":"a"}}]`, 400, unsaved(noColumns), nil},
		{
			"no known column comes first", rowset,
			list(person("a", ""), person("b", `,"OptInStatus":"perhaps"`), `{"keys":{"SubscriberKey":"c"},"values":{}}`), 400, unsaved(noColumns, badFlag), good,
		},
		{
			"rows before the first bad one are saved", rowset,
			list(person("a", ""), person("not an address", ""), person("c", "")), 400, unsaved(badEmail), good,
		},
		{
			"complaints are listed once", rowset,
			list(person("x y", ""), person("x z", `,"OptInStatus":2`), person("x w", `,"OptInStatus":3`)), 400, unsaved(badEmail, badFlag), nil,
		},
		{
			"complaints in order of columns", rowset,
			`[{"keys":{"SubscriberKey":"a"},"values":{"RegistrationTimestamp":"soon","OptInStatus":"yes","EmailAddress":"@"}}]`, 400,
			unsaved(badEmail, badFlag, badDate), nil,
		},
		{"missing columns", rowset, `[{"keys":{"SubscriberKey":"a"},"values":{"FirstName":"Ana"}}]`, 400, unsaved(noEmail, noDate), nil},
		{"null in a required column", rowset, `[{"keys":{"SubscriberKey":"a"},"values":{"EmailAddress":null,"RegistrationTimestamp":"2026-06-23"}}]`, 400, unsaved(noEmail), nil},
		{"null in a nullable column", rowset, list(person("a", ""), person("b", `,"FirstName":null`)), 400, unsaved(), good},
		{"null and a bad value", rowset, list(person("b", `,"FirstName":null,"OptInStatus":""`)), 400, unsaved(badFlag), nil},
		{
			"text too long in UTF-16", rowset, list(person("a", `,"FirstName":"`+strings.Repeat("😀", 50)+`"`), person("b", `,"FirstName":"`+strings.Repeat("😀", 50)+`x"`)), 400,
			unsaved(longName),
			[]map[string]any{stored("a", map[string]any{"FirstName": strings.Repeat("😀", 50)})},
		},

		{"wrong key column", rowset, `[{"keys":{"ContactKey":"a"},"values":{"FirstName":"x"}}]`, 400, wrongKey("contactkey"), nil},
		{"a column that is no key", rowset, `[{"keys":{"SubscriberKey":"a","EmailAddress":"b"},"values":{"FirstName":"x"}}]`, 400, wrongKey("emailaddress"), nil},
		{"wrong key column after a good row", rowset, list(person("a", ""), `{"keys":{"Id":"a"},"values":{"FirstName":"x"}}`), 400, wrongKey("id"), good},
		{"no keys", rowset, `[{"values":{"FirstName":"x"}}]`, 400, noKeys, nil},
		{"empty keys", rowset, `[{"keys":{},"values":{"FirstName":"x"}}]`, 400, noKeys, nil},
		{"null key", rowset, `[{"keys":{"SubscriberKey":null},"values":{"FirstName":"x"}}]`, 400, noKeys, nil},
		{"empty key", rowset, `[{"keys":{"SubscriberKey":""},"values":{"FirstName":"x"}}]`, 400, noKeys, nil},

		{"key: forgotten", "/hub/v1/dataevents/Web_Registrations/rowset", list(person("a", "")), 400, badGUID, nil},
		{"unknown key", "/hub/v1/dataevents/key:Nothing/rowset", list(person("a", "")), 404, noObject, nil},
		{"unknown GUID", "/hub/v1/dataevents/00000000-0000-0000-0000-000000000000/rowset", list(person("a", "")), 404, noObject, nil},
		{"items", rowset, `{"items":[` + person("a", "") + `]}`, 400, badFormat, nil},
		{"broken JSON", rowset, `[{`, 400, badFormat, nil},
		{"empty body", rowset, ``, 400, badFormat, nil},
		{"null", rowset, `null`, 400, badFormat, nil},
		{"null for a row", rowset, `[null]`, 400, badFormat, nil},
		{"bytes after it", rowset, `[] x`, 400, badFormat, nil},
		{"keys that are a list", rowset, `[{"keys":[],"values":{}}]`, 400, badFormat, nil},
		{"a value that is a list", rowset, list(person("a", `,"FirstName":["x"]`)), 400, badFormat, nil},
		{"a column twice", rowset, list(person("a", `,"FirstName":"x","firstname":"y"`)), 400, badFormat, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			want := row.want
			if want == "" {
				want = row.body
			}
			same(t, send(t, s, "POST", row.target, row.body, authorize(t, s)), row.status, want)
			if diff := cmp.Diff(append([]map[string]any{}, row.rows...), rows(s)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpsertSpecExample(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	same(t, send(t, s, "POST", rowset, specExample, authorize(t, s)), 200, specExample)
	want := []map[string]any{{
		"SubscriberKey": "user@example.com", "EmailAddress": "user@example.com", "FirstName": "Jane", "LastName": "Doe",
		"OptInStatus": true, "RegistrationTimestamp": "2026-06-23T14:52:45Z", "Source": "Website Registration",
		"IPAddress": "192.168.1.1", "UserAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
		"PageURL": "https://example.com/register",
	}}
	if diff := cmp.Diff(want, rows(s)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestUpsertSpecDialect(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, target, body string
		status             int
		want               string
	}{
		{"success", rowset, specExample, 200, `{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`},
		{
			"two rows", rowset, `[` + person("a", "") + `,` + person("b", "") + `]`, 200,
			`{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":1,"errorcode":0,"status":"OK"}]}`,
		},
		{
			"bad value", rowset, `[` + person("x y", "") + `]`, 400,
			`{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"Unable to save rows for data extension ID ` + registrationsID + `"}]}`,
		},
		{
			"not a GUID", "/hub/v1/dataevents/x/rowset", specExample, 400,
			`{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"Parameter {guid} is invalid."}]}`,
		},
		{"unknown key", "/hub/v1/dataevents/key:x/rowset", specExample, 404, noObject},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newDialect(t, sandbox.DialectSpec)
			same(t, send(t, s, "POST", row.target, row.body, authorize(t, s)), row.status, row.want)
		})
	}
}

func TestUpsertRow(t *testing.T) {
	t.Parallel()
	values := `{"values":{"EmailAddress":"a@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z"}}`
	badKeys := `{"message":"Parameter {primaryKeys} is invalid.","errorcode":10001,"documentation":""}`
	base := "/hub/v1/dataevents/key:Web_Registrations/rows/"
	for _, row := range []struct {
		name, target, body string
		status             int
		want               string
		key                string // of the one row stored; "" is none
	}{
		{"plain", base + "SubscriberKey:u-1", values, 200, `{"keys":{"SubscriberKey":"u-1"},` + values[1:], "u-1"},
		{"by GUID, other case", "/hub/v1/dataevents/" + registrationsID + "/rows/subscriberkey:u-1", values, 200, `{"keys":{"subscriberkey":"u-1"},` + values[1:], "u-1"},
		{"escaped", base + "SubscriberKey:a%40b.org%3Ax%2Cy%2Fz%20%2B+", values, 200, `{"keys":{"SubscriberKey":"a@b.org:x,y/z ++"},` + values[1:], "a@b.org:x,y/z ++"},
		{"bare at sign", base + "SubscriberKey:a@b.org", values, 200, `{"keys":{"SubscriberKey":"a@b.org"},` + values[1:], "a@b.org"},
		{"a time as the value", base + "SubscriberKey:12:30", values, 200, `{"keys":{"SubscriberKey":"12:30"},` + values[1:], "12:30"},
		{"all of it escaped", base + "SubscriberKey%3Au-1", values, 200, `{"keys":{"SubscriberKey":"u-1"},` + values[1:], "u-1"},
		{"keys in the body count for nothing", base + "SubscriberKey:u-1", `{"keys":{"SubscriberKey":"x"},` + values[1:], 200, `{"keys":{"SubscriberKey":"u-1"},` + values[1:], "u-1"},
		{"no colon", base + "u-1", values, 400, badKeys, ""},
		{"no name", base + ":u-1", values, 400, badKeys, ""},
		{"a bare comma", base + "SubscriberKey:a,b", values, 400, badKeys, ""},
		{"twice", base + "SubscriberKey:a,SubscriberKey:b", values, 400, badKeys, ""},
		{"empty value", base + "SubscriberKey:", values, 400, noKeys, ""},
		{"another column", base + "Email:a", values, 400, `{"message":"Primary key 'email' does not exist.","errorcode":10000,"documentation":""}`, ""},
		{"a list", base + "SubscriberKey:u-1", `[` + values + `]`, 400, badFormat, ""},
		{"null", base + "SubscriberKey:u-1", `null`, 400, badFormat, ""},
		{"bad value", base + "SubscriberKey:u-1", `{"values":{"EmailAddress":"x"}}`, 400, unsaved(badEmail, noDate), ""},
		{"not a GUID", "/hub/v1/dataevents/Web/rows/SubscriberKey:u-1", values, 400, badGUID, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			same(t, send(t, s, "PUT", row.target, row.body, authorize(t, s)), row.status, row.want)
			want := []map[string]any{}
			if row.key != "" {
				want = append(want, stored(row.key, map[string]any{"EmailAddress": "a@example.org"}))
			}
			if diff := cmp.Diff(want, rows(s)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompositeKey(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.AddDataExtension("11111111-1111-4111-8111-111111111111", "Orders", []sandbox.Column{
		{Name: "Shop", Type: "Text", Length: 10, PrimaryKey: true},
		{Name: "Note", Type: "Text", Nullable: true},
		{Name: "Number", Type: "Number", PrimaryKey: true},
	})
	auth := authorize(t, s)
	for _, row := range []struct{ method, target, body string }{
		{"POST", "/hub/v1/dataevents/key:Orders/rowset", `[{"keys":{"Number":7,"Shop":"a"},"values":{"Note":"first"}},{"keys":{"Shop":"a","Number":"8"},"values":{"Note":"second"}}]`},
		{"PUT", "/hub/v1/dataevents/key:Orders/rows/shop:a,number:007", `{"values":{"Note":"third"}}`},
	} {
		if w := send(t, s, row.method, row.target, row.body, auth); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	same(t, send(t, s, "POST", "/hub/v1/dataevents/key:Orders/rowset", `[{"keys":{"Shop":"a"},"values":{"Note":"x"}}]`, auth), 400, noKeys)
	want := []map[string]any{
		{"Shop": "a", "Number": json.Number("7"), "Note": "third"},
		{"Shop": "a", "Number": "8", "Note": "second"},
	}
	if diff := cmp.Diff(want, s.State().DataExtensions["Orders"].Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
