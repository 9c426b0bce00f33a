package sandbox_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// initial is the whole state at the start, without the columns.
const initial = `{"clock":"2026-06-23T14:52:45Z",
	"data_extensions":{"Web_Registrations":{"id":"` + registrationsID + `","name":"Web_Registrations","columns":[
		{"name":"SubscriberKey","type":"Text","length":254,"primary_key":true,"nullable":false},
		{"name":"EmailAddress","type":"EmailAddress","length":254,"primary_key":false,"nullable":false},
		{"name":"FirstName","type":"Text","length":100,"primary_key":false,"nullable":true},
		{"name":"LastName","type":"Text","length":100,"primary_key":false,"nullable":true},
		{"name":"OptInStatus","type":"Boolean","primary_key":false,"nullable":false,"default":false},
		{"name":"RegistrationTimestamp","type":"Date","primary_key":false,"nullable":false},
		{"name":"Source","type":"Text","length":50,"primary_key":false,"nullable":true},
		{"name":"IPAddress","type":"Text","length":45,"primary_key":false,"nullable":true},
		{"name":"UserAgent","type":"Text","length":255,"primary_key":false,"nullable":true},
		{"name":"PageURL","type":"Text","length":500,"primary_key":false,"nullable":true}],"rows":[]}},
	"journeys":{"APIEvent-sandbox-welcome":{"contacts":[]}},
	"message_definitions":{"welcome":{"name":"welcome","status":"Active"}},
	"messages":[],"subscribers":[],"jobs":[],"tokens":[],"callbacks":[],"subscriptions":[],"deliveries":[],"calls":{},"faults":[],
	"contacts":[],"contact_operations":[],"totals":{"persons":0,"rows":{"Web_Registrations":0},"contacts":{"APIEvent-sandbox-welcome":0},"messages":0,"jobs":0,"tokens":0,"callbacks":0,"subscriptions":0,"deliveries":0,"coming":0,"late":0}}`

func TestState(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	same(t, send(t, s, "GET", "/_sandbox/state", ""), 200, initial)

	auth := authorizeWith(t, s, `{`+credentials+`,"scope":"data_extensions_write journeys_read list_and_subscribers_read"}`)
	id := entered(t, s, auth, event(goodData))
	send(t, s, "POST", rowset, `[`+person("u-2", `,"FirstName":7`)+`]`, auth)
	send(t, s, "GET", "/one", "")
	send(t, s, "GET", "/two", "")
	setFaults(t, s, sandbox.Fault{Match: "/hub/v1/", Status: 429, Errorcode: 50200, RetryAfter: 5, Count: 3})
	if err := s.Advance(90 * time.Second); err != nil {
		t.Fatal(err)
	}

	want, _ := decode(t, initial).(map[string]any)
	want["clock"] = "2026-06-23T14:54:15Z"
	row := map[string]any{"SubscriberKey": "u-1", "EmailAddress": "a@example.org", "RegistrationTimestamp": start, "OptInStatus": false}
	extension, _ := want["data_extensions"].(map[string]any)["Web_Registrations"].(map[string]any)
	extension["rows"] = []any{row, map[string]any{
		"SubscriberKey": "u-2", "EmailAddress": "u-2@example.org", "RegistrationTimestamp": start, "OptInStatus": false, "FirstName": 7.0,
	}}
	want["journeys"] = map[string]any{"APIEvent-sandbox-welcome": map[string]any{"contacts": []any{map[string]any{
		"contact_key": "u-1", "event_instance_id": id, "at": start,
		"data": map[string]any{"SubscriberKey": "u-1", "EmailAddress": "a@example.org", "RegistrationTimestamp": start},
	}}}}
	want["contacts"] = []any{map[string]any{"id": 510100002.0, "key": "u-1", "email": "a@example.org", "created_at": start, "restricted": false}}
	want["tokens"] = []any{map[string]any{
		"token": "…" + auth[len(auth)-8:], "issued_at": start, "expires_at": "2026-06-23T15:12:45Z",
		"scope": "data_extensions_write journeys_read list_and_subscribers_read", "client_id": "sandbox-client",
	}}
	want["calls"] = map[string]any{
		"POST /v2/token": 1.0, "POST /interaction/v1/events": 1.0, "POST /hub/v1/dataevents/{id}/rowset": 1.0, "(unknown route)": 2.0,
	}
	want["totals"] = decode(t, `{"rows":{"Web_Registrations":2},"contacts":{"APIEvent-sandbox-welcome":1},"persons":1,"messages":0,"jobs":0,"tokens":1,"callbacks":0,"subscriptions":0,"deliveries":0,"coming":0,"late":0}`)
	want["faults"] = []any{map[string]any{"match": "/hub/v1/", "status": 429.0, "errorcode": 50200.0, "retry_after": 5.0, "count": 3.0}}
	w := send(t, s, "GET", "/_sandbox/state", "")
	if diff := cmp.Diff(any(want), decode(t, w.Body.String())); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}

	same(t, send(t, s, "POST", "/_sandbox/reset", ""), 200, `{"clock":"2026-06-23T14:52:45Z"}`)
	same(t, send(t, s, "GET", "/_sandbox/state", ""), 200, initial)
	same(t, send(t, s, "POST", rowset, "[]", auth), 401, notAuthorized())
}

// What State returns is the caller's to change.
func TestStateIsCopy(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	entered(t, s, auth, event(goodData))
	setFaults(t, s, sandbox.Fault{Match: "/x", Status: 500})
	before, err := json.Marshal(s.State())
	if err != nil {
		t.Fatal(err)
	}
	st := s.State()
	st.DataExtensions["Web_Registrations"].Rows[0]["EmailAddress"] = "changed"
	st.DataExtensions["Web_Registrations"].Columns[0].Name = "changed"
	st.Journeys["APIEvent-sandbox-welcome"].Contacts[0].Data["EmailAddress"] = "changed"
	st.Journeys["APIEvent-sandbox-welcome"].Contacts[0].ContactKey = "changed"
	st.Tokens[0].Scope = "changed"
	st.Faults[0].Status = 1
	st.Calls["POST /v2/token"] = 99
	delete(st.DataExtensions, "Web_Registrations")
	same(t, send(t, s, "GET", "/_sandbox/state", ""), 200, string(before))
}

// A limit leaves out the oldest of each kind, and the totals count them.
func TestStateLimit(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for _, key := range []string{"a", "b", "c"} {
		submit(t, s, auth, "PUT", asyncPath, items(flat(key, "")))
		posted(t, s, auth, messagesPath+"/"+key, oneMessage(ana), 202)
		advance(t, s, time.Second)
	}
	for _, key := range []string{"d", "e"} {
		enteredAll(t, s, auth, batch(batchMember(key, "")))
	}
	authorize(t, s)
	totals := sandbox.Totals{Rows: map[string]int{"Web_Registrations": 5}, Contacts: map[string]int{"APIEvent-sandbox-welcome": 2}, Persons: 3, Messages: 3, Jobs: 3, Tokens: 2}
	for _, row := range []struct {
		query string
		want  []int
		last  string
	}{{"", []int{5, 2, 3, 3, 2}, "e"}, {"?limit=", []int{5, 2, 3, 3, 2}, "e"}, {"?limit=9", []int{5, 2, 3, 3, 2}, "e"}, {"?limit=2", []int{2, 2, 2, 2, 2}, "e"}, {"?limit=0", []int{0, 0, 0, 0, 0}, ""}} {
		var st sandbox.State
		w := send(t, s, "GET", "/_sandbox/state"+row.query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || w.Code != 200 {
			t.Fatal(w.Code, err)
		}
		list := st.DataExtensions["Web_Registrations"].Rows
		got := []int{len(list), len(st.Journeys["APIEvent-sandbox-welcome"].Contacts), len(st.Messages), len(st.Jobs), len(st.Tokens)}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: rows, contacts, messages, jobs, tokens (-want +got):\n%s", row.query, diff)
		}
		if len(list) > 0 && list[len(list)-1]["SubscriberKey"] != row.last {
			t.Errorf("%s: the last row is %v", row.query, list[len(list)-1])
		}
		if diff := cmp.Diff(totals, st.Totals); diff != "" {
			t.Errorf("%s: totals (-want +got):\n%s", row.query, diff)
		}
		if st.Calls["PUT /data/v1/async/dataextensions/{id}/rows"] != 3 {
			t.Errorf("%s: calls are %v", row.query, st.Calls)
		}
	}
	same(t, send(t, s, "GET", "/_sandbox/state?limit=-1", ""), 400, `{"message":"limit \"-1\" is not a number from 0 up"}`)
	same(t, send(t, s, "GET", "/_sandbox/state?limit=x", ""), 400, `{"message":"limit \"x\" is not a number from 0 up"}`)
}

func TestClock(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	same(t, send(t, s, "POST", "/_sandbox/clock", `{"advance":"21m"}`), 200, `{"clock":"2026-06-23T15:13:45Z"}`)
	for _, row := range []struct{ body, want string }{
		{``, "the body does not fit: EOF"},
		{`null`, `want {"advance":"21m"}`},
		{`{}`, `want {"advance":"21m"}`},
		{`{"advance":21}`, "the body does not fit: json: cannot unmarshal number into Go struct field .advance of type string"},
		{`{"advance":"21"}`, `time: missing unit in duration "21"`},
		{`{"advance":"-1s"}`, "advance by -1s: the clock does not go back"},
		{`{"advance":"2562047h40m"}`, "advance: too far for a clock"},
		{`{"advance":"1s","to":"x"}`, `the body does not fit: json: unknown field "to"`},
		{`{"advance":"1s"}{}`, "something follows the JSON value"},
	} {
		w := send(t, s, "POST", "/_sandbox/clock", row.body)
		if w.Code != 400 {
			t.Errorf("%s: status %d", row.body, w.Code)
		}
		if diff := cmp.Diff(map[string]any{"message": row.want}, decode(t, w.Body.String())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.body, diff)
		}
	}
	if got := s.Now().Format(time.RFC3339); got != "2026-06-23T15:13:45Z" {
		t.Errorf("the clock is at %s", got)
	}
}

func TestFaultsSet(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	contract := `[{"match":"/hub/v1/","status":429,"errorcode":50200,"retry_after":5,"count":3,"delay_ms":0}]`
	same(t, send(t, s, "PUT", "/_sandbox/faults", contract), 200,
		`{"faults":[{"match":"/hub/v1/","status":429,"errorcode":50200,"retry_after":5,"count":3}]}`)
	same(t, send(t, s, "PUT", "/_sandbox/faults", `[]`), 200, `{"faults":[]}`)
	same(t, send(t, s, "PUT", "/_sandbox/faults", strings.Repeat(" ", 1<<20+1)), 413, `{"message":"the body is larger than 1048576 bytes"}`)
}

func TestControlRoutes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	setFaults(t, s, sandbox.Fault{Status: 500}) // not for these pages
	same(t, send(t, s, "GET", "/_sandbox/nothing", ""), 404, `{"message":"no such page; see /_sandbox/"}`)
	same(t, send(t, s, "GET", "/_sandbox/reset", ""), 405, `{"message":"the method here is POST"}`)
	same(t, send(t, s, "POST", "/_sandbox/state", ""), 405, `{"message":"the method here is GET"}`)
	if calls := s.State().Calls; len(calls) != 0 {
		t.Errorf("calls were counted: %v", calls)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	entered(t, s, auth, event(goodData+`,"FirstName":"<script>alert(1)</script>"`))
	for range 60 {
		entered(t, s, auth, event(goodData))
	}
	submit(t, s, auth, "PUT", asyncPath, items(flat("a", ""), "{}"))
	posted(t, s, auth, messagesPath+"/m-1", oneMessage(ana), 202)
	advance(t, s, time.Second)
	submit(t, s, auth, "POST", asyncPath, items())
	setFaults(t, s, sandbox.Fault{Match: "/hub/", Name: "drop_answer", Count: 2, For: "1h"}, sandbox.Fault{Name: "row_error", Contains: "<poison>"})
	for _, target := range []string{"/_sandbox", "/_sandbox/"} {
		w := send(t, s, "GET", target, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
		page := w.Body.String()
		for _, part := range []string{
			"&lt;script&gt;alert(1)&lt;/script&gt;", "61 contacts entered, the newest 50 first", "drop_answer",
			"POST /interaction/v1/events", "curl -s http://127.0.0.1:8090/v2/token", "2026-06-23 14:52:45 UTC", "2 rows, newest first",
			"ana@example.org", "1 message sent", "2 jobs", "upsert", "Complete", "Pending", "&lt;poison&gt;", "1h0m0s",
		} {
			if !strings.Contains(page, part) {
				t.Errorf("%s: the page lacks %q", target, part)
			}
		}
		for _, part := range []string{"<script", "src=", strings.TrimPrefix(auth, "Authorization: Bearer ")} {
			if strings.Contains(page, part) {
				t.Errorf("%s: the page has %q", target, part)
			}
		}
	}
}
