package sandbox_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// submit sends rows to the asynchronous route and returns the job's id.
func submit(t testing.TB, s *sandbox.Sandbox, auth, method, target, body string) string {
	t.Helper()
	w := send(t, s, method, target, body, auth)
	var got struct {
		RequestID      string `json:"requestId"`
		ResultMessages []any  `json:"resultMessages"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 202 || !guidForm.MatchString(got.RequestID) || got.ResultMessages == nil || len(got.ResultMessages) > 0 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return got.RequestID
}

// ask reads a job's status or results, without the id of the call, which must
// be there and must not be the job's.
func ask(t testing.TB, s *sandbox.Sandbox, auth, id, what string) any {
	t.Helper()
	w := send(t, s, "GET", "/data/v1/async/"+id+"/"+what, "", auth)
	if w.Code != 200 {
		t.Fatalf("status %d %s", w.Code, w.Body)
	}
	got, _ := decode(t, w.Body.String()).(map[string]any)
	if call, _ := got["requestId"].(string); !guidForm.MatchString(call) || call == id {
		t.Errorf("the call's id is %q, the job's %q", call, id)
	}
	delete(got, "requestId")
	return got
}

// wantJSON compares what was decoded with the wanted JSON.
func wantJSON(t testing.TB, got any, want string) {
	t.Helper()
	if diff := cmp.Diff(decode(t, want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func notFound(id string) string {
	return `{"resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"AsyncRequestStatusNotFound",
		"message":"Unable to locate an Async Request Status Record for the provided RequestId: ` + id + `."}]}`
}

// flat is a good row for the asynchronous route; its values can be extended.
func flat(key, more string) string {
	return `{"SubscriberKey":"` + key + `","EmailAddress":"` + key + `@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z"` + more + `}`
}

func items(rows ...string) string { return `{"items":[` + strings.Join(rows, ",") + `]}` }

func advance(t testing.TB, s *sandbox.Sandbox, d time.Duration) {
	t.Helper()
	if err := s.Advance(d); err != nil {
		t.Fatal(err)
	}
}

const (
	upserted = `{"message":"Upserted DataExtensionObject","status":"OK"}`
	inserted = `{"message":"Inserted DataExtensionObject","status":"OK"}`
	deadlock = `{"errorCode":2,"status":"Error","message":"Transaction (Process ID 62) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction."}`
)

// nullColumns is a failed row whose columns, or keys, are missing.
func nullColumns(message string, columns ...string) string {
	var list []string
	for _, name := range columns {
		list = append(list, `{"errorMessage":"Column [`+name+`] does not allow null value.","name":"`+name+`","errorCode":70001}`)
	}
	return `{"errorCode":2,"status":"Error","message":"` + message + `","errors":[` + strings.Join(list, ",") + `]}`
}

func wrongColumn(name, what string) string {
	m := "The value for column [" + name + "] " + what
	return `{"errorCode":2,"status":"Error","message":"` + m + `","errors":[{"errorMessage":"` + m + `","name":"` + name + `","errorCode":70001}]}`
}

func duplicate(key string) string {
	return `{"errorCode":2,"status":"Error","message":"Violation of PRIMARY KEY constraint 'PK_C510000001_` + registrationsID +
		`'. Cannot insert duplicate key in object 'C510000001.Web_Registrations'. The duplicate key value is (` + key +
		`).\r\nThe statement has been terminated."}`
}

func results(n int, list ...string) string {
	return fmt.Sprintf(`{"page":1,"pageSize":%d,"count":%d,"items":[%s],"resultMessages":[]}`, max(n, 1), n, strings.Join(list, ","))
}

// What becomes of the rows of one job, in a table that holds the row "old".
func TestAsyncRows(t *testing.T) {
	t.Parallel()
	const (
		badEmailEnd = "is not a valid email address. Parse error [InvalidEmailAddress]"
		noKeysRow   = "Cannot locate the existing record. Required keys are missing."
	)
	old := stored("old", map[string]any{"FirstName": "Ana"})
	for _, row := range []struct {
		name, method string
		items        []string
		want         []string
		rows         []map[string]any // after the old one; nil for the old one alone
	}{
		{"none", "PUT", nil, nil, nil},
		{"new", "PUT", []string{flat("a", "")}, []string{upserted}, []map[string]any{old, stored("a", nil)}},
		{"inserted", "POST", []string{flat("a", "")}, []string{inserted}, []map[string]any{old, stored("a", nil)}},
		{
			"an update merges", "PUT",
			[]string{`{"subscriberkey":"old","LASTNAME":"Díaz","Nothing":"x"}`},
			[]string{upserted},
			[]map[string]any{stored("old", map[string]any{"FirstName": "Ana", "LastName": "Díaz"})},
		},
		{
			"null clears a nullable column", "PUT",
			[]string{`{"SubscriberKey":"old","FirstName":null}`},
			[]string{upserted},
			[]map[string]any{stored("old", nil)},
		},
		{
			"good rows are stored though others fail", "PUT",
			[]string{
				flat("a", ""), flat("x y", ""), `{"EmailAddress":"b@example.org"}`, `{"SubscriberKey":"b"}`, flat("c", `,"OptInStatus":null`),
				flat("d", `,"OptInStatus":true`), `{"SubscriberKey":"e","EmailAddress":"@","RegistrationTimestamp":"soon"}`,
			},
			[]string{
				upserted, wrongColumn("emailaddress", badEmailEnd), nullColumns(noKeysRow, "subscriberkey"),
				nullColumns("Column [emailaddress] does not allow null value.", "emailaddress", "registrationtimestamp"),
				nullColumns("Column [optinstatus] does not allow null value.", "optinstatus"), upserted,
				`{"errorCode":2,"status":"Error","message":"The value for column [emailaddress] ` + badEmailEnd + `","errors":[
					{"errorMessage":"The value for column [emailaddress] ` + badEmailEnd + `","name":"emailaddress","errorCode":70001},
					{"errorMessage":"The value for column [registrationtimestamp] is not a valid date.","name":"registrationtimestamp","errorCode":70001}]}`,
			},
			[]map[string]any{old, stored("a", nil), stored("d", map[string]any{"OptInStatus": true})},
		},
		{
			"keys that are empty", "PUT",
			[]string{flat("", ""), `{"SubscriberKey":null}`, `{}`},
			[]string{nullColumns(noKeysRow, "subscriberkey"), nullColumns(noKeysRow, "subscriberkey"), nullColumns(noKeysRow, "subscriberkey")},
			nil,
		},
		{"a key that exists", "POST", []string{flat("old", `,"FirstName":"Eve"`)}, []string{duplicate("old")}, nil},
		{
			"a key twice in one insert", "POST",
			[]string{flat("a", ""), flat("a", `,"FirstName":"Eve"`), flat("b", "")},
			[]string{inserted, duplicate("a"), inserted},
			[]map[string]any{old, stored("a", nil), stored("b", nil)},
		},
		{
			"a key twice in one upsert", "PUT",
			[]string{flat("a", `,"FirstName":"x"`), flat("a", `,"FirstName":"y"`)},
			[]string{upserted, upserted},
			[]map[string]any{old, stored("a", map[string]any{"FirstName": "y"})},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, target := range []string{asyncPath, strings.Replace(asyncPath, "key:Web_Registrations", registrationsID, 1)} {
				s := newSandbox(t)
				auth := authorize(t, s)
				send(t, s, "POST", rowset, `[`+person("old", `,"FirstName":"Ana"`)+`]`, auth)
				id := submit(t, s, auth, row.method, target, items(row.items...))
				if diff := cmp.Diff([]map[string]any{old}, rows(s)); diff != "" {
					t.Errorf("rows before the job is complete (-want +got):\n%s", diff)
				}
				advance(t, s, 300*time.Millisecond)
				wantJSON(t, ask(t, s, auth, id, "results"), results(len(row.want), row.want...))
				hasErrors, outcome := "false", "OK"
				if strings.Contains(strings.Join(row.want, ""), "errorCode") {
					hasErrors, outcome = "true", "Has Errors"
				}
				wantJSON(t, ask(t, s, auth, id, "status"), `{"status":{"callDateTime":"2026-06-23T08:52:45.00","pickupDateTime":"2026-06-23T08:52:45.15",
					"completionDateTime":"2026-06-23T08:52:45.30","hasErrors":`+hasErrors+`,"requestStatus":"Complete","resultStatus":"`+outcome+`","requestId":"`+id+`"},"resultMessages":[]}`)
				want := row.rows
				if want == nil {
					want = []map[string]any{old}
				}
				if diff := cmp.Diff(want, rows(s)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestAsyncRowsRefused(t *testing.T) {
	t.Parallel()
	badID := `{"message":"Parameter {id} is invalid.","errorcode":10001,"documentation":""}`
	many := func(n int) string { return items(strings.Repeat("{},", n-1) + "{}") }
	for _, row := range []struct {
		name, target, body string
		status             int
		want               string
	}{
		{"key: forgotten", "/data/v1/async/dataextensions/Web_Registrations/rows", items(), 400, badID},
		{"wrapped", asyncPath, items(person("a", "")), 400, badFormat},
		{"a list as a value", asyncPath, items(`{"Nothing":[]}`), 400, badFormat},
		{"a bare list", asyncPath, `[` + flat("a", "") + `]`, 400, badFormat},
		{"no items", asyncPath, `{}`, 400, badFormat},
		{"items null", asyncPath, `{"items":null}`, 400, badFormat},
		{"a row null", asyncPath, items("null"), 400, badFormat},
		{"a row a text", asyncPath, items(`"x"`), 400, badFormat},
		{"a column in two spellings", asyncPath, items(`{"FirstName":"a","firstname":"b"}`), 400, badFormat},
		{"broken", asyncPath, `{"items":[{}`, 400, badFormat},
		{"something after it", asyncPath, items() + "x", 400, badFormat},
		{"empty", asyncPath, ``, 400, badFormat},
		{"too many", asyncPath, many(32_001), 400, `{"message":"The request has 32001 items; the most is 32000.","errorcode":10000,"documentation":""}`},
		{"too large", asyncPath, strings.Repeat(" ", 5<<20+1), 413, `{"message":"Request Entity Too Large","documentation":""}`},
	} {
		for _, method := range []string{"POST", "PUT"} {
			t.Run(row.name+" "+method, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t)
				same(t, send(t, s, method, row.target, row.body, authorize(t, s)), row.status, row.want)
				if n := len(s.State().Jobs); n != 0 {
					t.Errorf("%d jobs", n)
				}
			})
		}
	}
	t.Run("as many as allowed", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		submit(t, s, authorize(t, s), "PUT", asyncPath, many(32_000))
	})
}

func TestAsyncUnknownDataExtension(t *testing.T) {
	t.Parallel()
	want := func(kind, id, key string) string {
		return `{"resultMessages":[{"resultType":"` + kind + `","resultClass":"Error","resultCode":"CustomObjectNotFound",
			"message":"Failed to resolve the Custom Object from the provided ObjectReferenceIdentifier [Id: ` + id + `, Key: ` + key + `]."}]}`
	}
	const none = "00000000-0000-0000-0000-000000000000"
	for _, row := range []struct{ ref, id, key string }{{"key:Nothing", "", "Nothing"}, {none, none, ""}, {"id:" + none, none, ""}} {
		s := newSandbox(t)
		auth := authorize(t, s)
		setFaults(t, s, sandbox.Fault{Name: "old_not_found", Count: 1})
		submit(t, s, auth, "PUT", asyncPath, items()) // uses no fault up
		for _, then := range []struct {
			status int
			kind   string
		}{{200, "Operational"}, {400, "Validation"}} {
			w := send(t, s, "POST", "/data/v1/async/dataextensions/"+row.ref+"/rows", items(), auth)
			got, _ := decode(t, w.Body.String()).(map[string]any)
			if id, _ := got["requestId"].(string); w.Code != then.status || !guidForm.MatchString(id) {
				t.Errorf("%s: %d, request id %q", row.ref, w.Code, id)
			}
			delete(got, "requestId")
			wantJSON(t, got, want(then.kind, row.id, row.key))
		}
	}
}

// A job's status is not there at first, then goes from one word to the next;
// a second job for the same table waits for the first, another table's does not.
func TestJobLife(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.AddDataExtension("11111111-1111-4111-8111-111111111111", "T", []sandbox.Column{{Name: "Id", Type: "Text", PrimaryKey: true}})
	auth := authorize(t, s)
	setFaults(t, s, sandbox.Fault{Name: "job_time", DelayMS: 1000, Count: 1})
	first := submit(t, s, auth, "PUT", asyncPath, items(flat("a", `,"FirstName":"x"`)))
	second := submit(t, s, auth, "POST", asyncPath, items(flat("a", `,"FirstName":"y"`), flat("b", "")))
	other := submit(t, s, auth, "PUT", "/data/v1/async/dataextensions/key:T/rows", items(`{"Id":"1"}`))

	// status is what the clock shows after so long.
	status := func(id, request, picked, completed string) string {
		body := `{"status":{"callDateTime":"2026-06-23T08:52:45.00","requestId":"` + id + `","requestStatus":"` + request + `"`
		if picked != "" {
			body += `,"pickupDateTime":"2026-06-23T08:52:4` + picked + `"`
		}
		if completed != "" {
			return body + `,"completionDateTime":"2026-06-23T08:52:4` + completed + `","hasErrors":false,"resultStatus":"OK"},"resultMessages":[]}`
		}
		return body + `,"hasErrors":false},"resultMessages":[]}`
	}
	for _, step := range []struct {
		wait                 time.Duration
		first, second, other string
		rows                 int
	}{
		{0, notFound(first), notFound(second), notFound(other), 0},
		{49 * time.Millisecond, notFound(first), notFound(second), notFound(other), 0},
		{time.Millisecond, status(first, "Pending", "", ""), status(second, "Pending", "", ""), status(other, "Pending", "", ""), 0},
		{250 * time.Millisecond, status(first, "Pending", "", ""), status(second, "Pending", "", ""), status(other, "Complete", "5.15", "5.30"), 0},
		{200 * time.Millisecond, status(first, "Executing", "5.50", ""), status(second, "Pending", "", ""), status(other, "Complete", "5.15", "5.30"), 0},
		{499 * time.Millisecond, status(first, "Executing", "5.50", ""), status(second, "Pending", "", ""), status(other, "Complete", "5.15", "5.30"), 0},
	} {
		advance(t, s, step.wait)
		wantJSON(t, ask(t, s, auth, first, "status"), step.first)
		wantJSON(t, ask(t, s, auth, second, "status"), step.second)
		wantJSON(t, ask(t, s, auth, other, "status"), step.other)
		wantJSON(t, ask(t, s, auth, first, "results"), notFound(first))
	}
	if n := len(rows(s)); n != 0 {
		t.Errorf("%d rows before the jobs are complete", n)
	}
	advance(t, s, time.Millisecond)
	wantJSON(t, ask(t, s, auth, first, "status"), status(first, "Complete", "5.50", "6.00"))
	wantJSON(t, ask(t, s, auth, second, "results"), results(2, duplicate("a"), inserted))
	if diff := cmp.Diff([]map[string]any{stored("a", map[string]any{"FirstName": "x"}), stored("b", nil)}, rows(s)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	at, _ := time.Parse(time.RFC3339, start)
	done := at.Add(time.Second)
	want := []sandbox.Job{
		{RequestID: first, DataExtension: "Web_Registrations", Status: "Complete", Rows: 1, SubmittedAt: at, CompleteAt: done},
		{RequestID: second, DataExtension: "Web_Registrations", Insert: true, Status: "Complete", Rows: 2, FailedRows: 1, SubmittedAt: at, CompleteAt: done},
		{RequestID: other, DataExtension: "T", Status: "Complete", Rows: 1, SubmittedAt: at, CompleteAt: at.Add(300 * time.Millisecond)},
	}
	if diff := cmp.Diff(want, s.State().Jobs); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// Every other way to the table finds the rows of a job that is complete, though
// nobody asked for its status.
func TestJobIsAppliedByAnyCall(t *testing.T) {
	t.Parallel()
	for name, see := range map[string]func(t *testing.T, s *sandbox.Sandbox, auth string){
		"an upsert keeps its columns": func(t *testing.T, s *sandbox.Sandbox, auth string) {
			send(t, s, "POST", rowset, `[{"keys":{"SubscriberKey":"a"},"values":{"LastName":"y"}}]`, auth)
		},
		"an event keeps its columns": func(t *testing.T, s *sandbox.Sandbox, auth string) {
			entered(t, s, auth, strings.Replace(event(`"EmailAddress":"a@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z","LastName":"y"`), "u-1", "a", 1))
		},
		"a read shows it": func(t *testing.T, s *sandbox.Sandbox, auth string) {
			if w := send(t, s, "GET", readPath, "", auth); !strings.Contains(w.Body.String(), `"count":1`) {
				t.Errorf("got %s", w.Body)
			}
			send(t, s, "POST", rowset, `[{"keys":{"SubscriberKey":"a"},"values":{"LastName":"y"}}]`, auth)
		},
		"another job keeps its columns": func(t *testing.T, s *sandbox.Sandbox, auth string) {
			submit(t, s, auth, "PUT", asyncPath, items(`{"SubscriberKey":"a","LastName":"y"}`))
			advance(t, s, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			auth := authorize(t, s)
			submit(t, s, auth, "PUT", asyncPath, items(flat("a", `,"FirstName":"x"`)))
			advance(t, s, 300*time.Millisecond)
			see(t, s, auth)
			if diff := cmp.Diff([]map[string]any{stored("a", map[string]any{"FirstName": "x", "LastName": "y"})}, rows(s)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// resultsOf are page, size, count, items, and the place of the first failed row, of a page
// of results.
func resultsOf(t *testing.T, s *sandbox.Sandbox, auth, id, query string) []any {
	t.Helper()
	got, _ := ask(t, s, auth, id, "results"+query).(map[string]any)
	list, _ := got["items"].([]any)
	wrong := slices.IndexFunc(list, func(item any) bool {
		m, _ := item.(map[string]any)
		return m["status"] == "Error"
	})
	return []any{got["page"], got["pageSize"], got["count"], len(list), wrong}
}

func TestResultPages(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	var list []string
	for i := range 120 {
		if i%50 == 49 {
			list = append(list, `{}`)
		} else {
			list = append(list, flat(fmt.Sprint("u-", i), ""))
		}
	}
	id := submit(t, s, auth, "PUT", asyncPath, items(list...))
	advance(t, s, time.Second)
	for _, row := range []struct {
		query                string
		page, size, n, wrong int // wrong is the place on the page of the first failed row; -1 for none
	}{
		{"", 1, 120, 120, 49},
		{"?includeDetail=true", 1, 120, 120, 49},
		{"?$page=2", 2, 120, 0, -1},
		{"?$page=4611686018427387900", 4611686018427387900, 120, 0, -1},
		{"?$pageSize=50", 1, 50, 50, 49},
		{"?$page=3&$pageSize=50", 3, 50, 20, -1},
		{"?page=3&pageSize=50", 3, 50, 20, -1},
		{"?$pageSize=2500", 1, 2500, 120, 49},
		{"?%24pagesize=9999", 1, 2500, 120, 49},
		{"?$page=5&$pageSize=10", 5, 10, 10, 9},
		{"?$page=2&$pageSize=120", 2, 120, 0, -1},
	} {
		want := []any{float64(row.page), float64(row.size), 120.0, row.n, row.wrong}
		if diff := cmp.Diff(want, resultsOf(t, s, auth, id, row.query)); diff != "" {
			t.Errorf("%s: page, size, count, items, first wrong (-want +got):\n%s", row.query, diff)
		}
	}
	account(t, s, `{"results_page_size":50}`)
	for query, want := range map[string][]any{
		"":                {1.0, 50.0, 120.0, 50, 49},
		"?$pageSize=2500": {1.0, 50.0, 120.0, 50, 49},
		"?page=3":         {3.0, 50.0, 120.0, 20, -1},
		"?$page=4":        {4.0, 50.0, 120.0, 0, -1},
		"?$pageSize=10":   {1.0, 50.0, 120.0, 50, 49},
	} {
		if diff := cmp.Diff(want, resultsOf(t, s, auth, id, query)); diff != "" {
			t.Errorf("pages of 50: %s (-want +got):\n%s", query, diff)
		}
	}
	account(t, s, `{"results_page_size":0}`)
	if diff := cmp.Diff([]any{1.0, 120.0, 120.0, 120, 49}, resultsOf(t, s, auth, id, "")); diff != "" {
		t.Errorf("all again (-want +got):\n%s", diff)
	}
	same(t, send(t, s, "GET", "/data/v1/async/"+id+"/results?$page=0", "", auth), 400,
		`{"message":"request parameter $page could not be resolved","errorcode":10003,"documentation":""}`)
	wantJSON(t, ask(t, s, auth, "nobody", "results"), notFound("nobody"))
	wantJSON(t, ask(t, s, auth, "nobody", "status"), notFound("nobody"))
}

func TestAsyncWithoutPrimaryKey(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.AddDataExtension("11111111-1111-4111-8111-111111111111", "Log", []sandbox.Column{
		{Name: "Line", Type: "Text", Length: 5}, {Name: "Level", Type: "Number", Nullable: true},
	})
	auth := authorize(t, s)
	const target = "/data/v1/async/dataextensions/key:Log/rows"
	put := submit(t, s, auth, "PUT", target, items(`{"Line":"a"}`))
	post := submit(t, s, auth, "POST", target, items(`{"Line":"a","Level":1}`, `{"Line":"a"}`, `{"Line":"too long"}`, `{}`))
	advance(t, s, time.Second)
	wantJSON(t, ask(t, s, auth, put, "results"), results(1, `{"errorCode":2,"status":"Error","message":"This Data Extension does not have any primary keys defined."}`))
	wantJSON(t, ask(t, s, auth, post, "results"), results(4, inserted, inserted,
		wrongColumn("line", "exceeds the column's maximum length."), nullColumns("Column [line] does not allow null value.", "line")))
	want := []map[string]any{{"Line": "a", "Level": json.Number("1")}, {"Line": "a"}}
	if diff := cmp.Diff(want, s.State().DataExtensions["Log"].Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// What a job came to can be asked for a day, and of a thousand jobs; rows of a
// job are never lost.
func TestJobsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	first := submit(t, s, auth, "PUT", asyncPath, items(flat("first", "")))
	last := ""
	for i := range 1000 {
		last = submit(t, s, auth, "PUT", asyncPath, items(flat(fmt.Sprint("u-", i), "")))
	}
	if n := len(s.State().Jobs); n != 1001 {
		t.Errorf("%d jobs; none that is not complete may be forgotten", n)
	}
	advance(t, s, time.Second)
	submit(t, s, auth, "PUT", asyncPath, items())
	if st := s.State(); len(st.Jobs) != 1000 || st.Totals.Rows["Web_Registrations"] != 1001 {
		t.Errorf("%d jobs, %d rows", len(st.Jobs), st.Totals.Rows["Web_Registrations"])
	}
	wantJSON(t, ask(t, s, auth, first, "status"), notFound(first))
	wantJSON(t, ask(t, s, auth, last, "results"), results(1, upserted))
	wantJSON(t, ask(t, s, auth, strings.ToUpper(last), "results"), results(1, upserted))
	advance(t, s, 24*time.Hour-time.Second)
	auth = authorize(t, s)
	wantJSON(t, ask(t, s, auth, last, "results"), results(1, upserted))
	advance(t, s, time.Second)
	wantJSON(t, ask(t, s, auth, last, "results"), notFound(last))
	advance(t, s, time.Second)
	submit(t, s, auth, "PUT", asyncPath, items())
	if n := len(s.State().Jobs); n != 1 {
		t.Errorf("%d jobs after a day, want the new one", n)
	}
}

func TestRowFaults(t *testing.T) {
	t.Parallel()
	notValid := wrongColumn("source", "is not valid.")
	four := []string{flat("a", ""), flat("b", `,"Source":"poison"`), flat("c", ""), flat("d", `,"Source":"poison"`)}
	for _, row := range []struct {
		name   string
		faults []sandbox.Fault
		want   []string
		keys   []string // of the rows stored
		left   []sandbox.Fault
	}{
		{"the first rows", []sandbox.Fault{{Name: "row_deadlock", Count: 2}}, []string{deadlock, deadlock, upserted, upserted}, []string{"c", "d"}, nil},
		{
			"rows with a text",
			[]sandbox.Fault{{Name: "row_deadlock", Contains: "poison", Count: 3}},
			[]string{upserted, deadlock, upserted, deadlock},
			[]string{"a", "c"},
			[]sandbox.Fault{{Name: "row_deadlock", Contains: "poison", Count: 1}},
		},
		{
			"a column error",
			[]sandbox.Fault{{Name: "row_error", Contains: "poison", Match: "/data/v1/async/", Method: "PUT"}},
			[]string{upserted, notValid, upserted, notValid},
			[]string{"a", "c"},
			[]sandbox.Fault{{Name: "row_error", Contains: "poison", Match: "/data/v1/async/", Method: "PUT"}},
		},
		{
			"its own words",
			[]sandbox.Fault{{Name: "row_error", Contains: "c@example", Message: "No."}},
			[]string{upserted, upserted, `{"errorCode":2,"status":"Error","message":"No.","errors":[{"errorMessage":"No.","name":"emailaddress","errorCode":70001}]}`, upserted},
			[]string{"a", "b", "d"},
			[]sandbox.Fault{{Name: "row_error", Contains: "c@example", Message: "No."}},
		},
		{
			"one after the other",
			[]sandbox.Fault{{Name: "row_deadlock", Count: 1}, {Name: "row_error", Contains: "poison", Count: 1}},
			[]string{deadlock, notValid, upserted, upserted},
			[]string{"c", "d"},
			nil,
		},
		{
			"another route",
			[]sandbox.Fault{{Name: "row_deadlock", Match: "/hub/"}},
			[]string{upserted, upserted, upserted, upserted},
			[]string{"a", "b", "c", "d"},
			[]sandbox.Fault{{Name: "row_deadlock", Match: "/hub/"}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			auth := authorize(t, s)
			setFaults(t, s, row.faults...)
			same(t, send(t, s, "PUT", asyncPath, "{", auth), 400, badFormat) // uses none up
			id := submit(t, s, auth, "PUT", asyncPath, items(four...))
			if diff := cmp.Diff(append([]sandbox.Fault{}, row.left...), s.State().Faults); diff != "" {
				t.Errorf("faults left (-want +got):\n%s", diff)
			}
			advance(t, s, time.Second)
			wantJSON(t, ask(t, s, auth, id, "results"), results(4, row.want...))
			var keys []string
			for _, r := range rows(s) {
				keys = append(keys, fmt.Sprint(r["SubscriberKey"]))
			}
			if diff := cmp.Diff(row.keys, keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJobFaults(t *testing.T) {
	t.Parallel()
	word := func(t *testing.T, s *sandbox.Sandbox, auth, id string) string {
		t.Helper()
		got, _ := ask(t, s, auth, id, "status").(map[string]any)
		st, ok := got["status"].(map[string]any)
		if !ok {
			return "not found"
		}
		return fmt.Sprint(st["requestStatus"])
	}
	t.Run("times", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		auth := authorize(t, s)
		setFaults(t, s, sandbox.Fault{Name: "job_time", Count: 1}, sandbox.Fault{Name: "status_time", Count: 1}, sandbox.Fault{Name: "status_time", DelayMS: 5000})
		at := submit(t, s, auth, "PUT", asyncPath, items(flat("a", "")))
		hidden := submit(t, s, auth, "PUT", asyncPath, items(flat("b", "")))
		got := []string{word(t, s, auth, at), word(t, s, auth, hidden)}
		if n := len(rows(s)); n != 1 {
			t.Errorf("%d rows, want the one of the job that takes no time", n)
		}
		advance(t, s, 4999*time.Millisecond)
		got = append(got, word(t, s, auth, hidden))
		if n := len(rows(s)); n != 2 {
			t.Errorf("%d rows, want those of the job whose status is hidden too", n)
		}
		advance(t, s, time.Millisecond)
		got = append(got, word(t, s, auth, hidden))
		if diff := cmp.Diff([]string{"Complete", "not found", "not found", "Complete"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("status_missing", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		auth := authorize(t, s)
		id := submit(t, s, auth, "PUT", asyncPath, items())
		advance(t, s, time.Second)
		setFaults(t, s, sandbox.Fault{Name: "status_missing", Count: 2})
		got := []string{word(t, s, auth, id), word(t, s, auth, id), word(t, s, auth, id)}
		if diff := cmp.Diff([]string{"not found", "not found", "Complete"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
