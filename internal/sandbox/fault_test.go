package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

func setFaults(t *testing.T, s *sandbox.Sandbox, faults ...sandbox.Fault) {
	t.Helper()
	if err := s.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
}

// faulted is what a caller sees of an answer.
type faulted struct {
	Status      int
	ContentType string
	RetryAfter  string
	Body        string
}

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	const isJSON, isHTML, isText = "application/json; charset=utf-8", "text/html; charset=utf-8", "text/plain; charset=utf-8"
	body := func(message, code, documentation string) string {
		return `{"message":"` + message + `",` + code + `"documentation":"` + documentation + `"}`
	}
	bare := body("Unable to save rows for data extension ID "+registrationsID, `"errorcode":10006,`, "")
	limit := func(seconds string) string {
		return body("Rate limit exceeded", `"errorcode":50100,"retryAfter":`+seconds+`,`, errorDocs)
	}
	blocked := body("Your requests are temporarily blocked.", `"errorcode":50200,`, errorDocs)
	oauth := func(name, description string) string {
		return `{"error":"` + name + `","error_description":"` + description + `","error_uri":"https://developer.salesforce.com/docs"}`
	}
	for _, row := range []struct {
		name, target string
		fault        sandbox.Fault
		want         faulted
	}{
		{"429 without retry", rowset, sandbox.Fault{Status: 429}, faulted{429, isJSON, "", blocked}},
		{"429 with retry", rowset, sandbox.Fault{Status: 429, RetryAfter: 7}, faulted{429, isJSON, "7", limit("7")}},
		{"429 50100", rowset, sandbox.Fault{Status: 429, Errorcode: 50100}, faulted{429, isJSON, "5", limit("5")}},
		{"429 50200 with retry", rowset, sandbox.Fault{Status: 429, Errorcode: 50200, RetryAfter: 5}, faulted{429, isJSON, "5", blocked}},
		{"429 with a date", rowset, sandbox.Fault{Status: 429, RetryAfter: 5, RetryAfterDate: true}, faulted{429, isJSON, "Tue, 23 Jun 2026 14:52:50 GMT", limit("5")}},
		{"503", rowset, sandbox.Fault{Status: 503, RetryAfter: 2}, faulted{503, isJSON, "2", body("Service Unavailable", `"errorcode":50300,`, errorDocs)}},
		{"401", rowset, sandbox.Fault{Status: 401}, faulted{401, isJSON, "", body("Not Authorized", `"errorcode":0,`, errorDocs)}},
		{"403", rowset, sandbox.Fault{Status: 403}, faulted{403, isJSON, "", body("Insufficient Privileges", `"errorcode":20002,`, errorDocs)}},
		{"404", rowset, sandbox.Fault{Status: 404}, faulted{404, isJSON, "", body("Object Not Found", `"errorcode":30003,`, "")}},
		{"409 30004", rowset, sandbox.Fault{Status: 409, Errorcode: 30004}, faulted{409, isJSON, "", body("Object already exists.", `"errorcode":30004,`, "")}},
		{"400", rowset, sandbox.Fault{Status: 400}, faulted{400, isJSON, "", bare}},
		{"400 10004", rowset, sandbox.Fault{Status: 400, Errorcode: 10004}, faulted{400, isJSON, "", badFormat}},
		{"500", rowset, sandbox.Fault{Status: 500}, faulted{500, isJSON, "", body("Internal Server Error", `"errorcode":500,`, "")}},
		{"500 with a message", rowset, sandbox.Fault{Status: 500, Errorcode: 30000, Message: "{{{ERROR}}}"}, faulted{500, isJSON, "", body("{{{ERROR}}}", `"errorcode":30000,`, "")}},
		{"502", rowset, sandbox.Fault{Status: 502}, faulted{502, isJSON, "", body("Bad Gateway", "", "")}},
		{"596", rowset, sandbox.Fault{Status: 596}, faulted{596, "text/xml", "", "<h1>596 Service Not Found</h1>"}},
		{"bare", rowset, sandbox.Fault{Name: "bare_10006"}, faulted{400, isJSON, "", bare}},
		{"bare elsewhere", eventsPath, sandbox.Fault{Name: "bare_10006"}, faulted{400, isJSON, "", bare}},
		{"empty body", rowset, sandbox.Fault{Name: "empty_body", Status: 200}, faulted{200, "", "", ""}},
		{"plain text", rowset, sandbox.Fault{Name: "plain_text", Status: 429, RetryAfter: 1}, faulted{429, isText, "1", "Too Many Requests"}},
		{"202 without a body", rowset, sandbox.Fault{Name: "empty_body", Status: 202}, faulted{202, "", "", ""}},
		{"204", rowset, sandbox.Fault{Name: "empty_body", Status: 204}, faulted{204, "", "", ""}},
		{"captive portal", rowset, sandbox.Fault{Name: "html", Status: 200, Message: "Sign in"}, faulted{200, isHTML, "", "<html><body><h1>Sign in</h1></body></html>"}},
		{"foreign JSON", rowset, sandbox.Fault{Name: "foreign_json", Status: 200}, faulted{200, isJSON, "", `{"ok":true}`}},
		{"other foreign JSON", rowset, sandbox.Fault{Name: "foreign_json", Status: 201, Body: "[]"}, faulted{201, isJSON, "", "[]"}},
		{"redirect", rowset, sandbox.Fault{Name: "redirect"}, faulted{302, "", "", ""}},
		{"HTML", rowset, sandbox.Fault{Name: "html", Status: 502}, faulted{502, isHTML, "", "<html><body><h1>502 Bad Gateway</h1></body></html>"}},
		{"HTML with a message", rowset, sandbox.Fault{Name: "html", Status: 502, Message: "<b>"}, faulted{502, isHTML, "", "<html><body><h1>&lt;b&gt;</h1></body></html>"}},
		{"token 401", "/v2/token", sandbox.Fault{Status: 401}, faulted{401, isJSON, "", oauth("invalid_client", "Invalid client ID. Use the client ID in Marketing Cloud Installed Packages.")}},
		{"token 400", "/v2/token", sandbox.Fault{Status: 400}, faulted{400, isJSON, "", oauth("invalid_request", "The request is invalid.")}},
		{"token 429", "/v2/token", sandbox.Fault{Status: 429}, faulted{429, isJSON, "", blocked}},
		{"another path", eventsPath, sandbox.Fault{Match: "/hub/v1/", Status: 500}, faulted{401, isJSON, "", body("Not Authorized", `"errorcode":0,`, errorDocs)}},
		{"another method", rowset, sandbox.Fault{Method: "PUT", Status: 500}, faulted{401, isJSON, "", body("Not Authorized", `"errorcode":0,`, errorDocs)}},
		{"path and method", rowset, sandbox.Fault{Match: "/hub/v1/dataevents/key:Web", Method: "POST", Status: 502}, faulted{502, isJSON, "", body("Bad Gateway", "", "")}},
		{"an unknown route", "/nowhere", sandbox.Fault{Match: "/no", Status: 502}, faulted{502, isJSON, "", body("Bad Gateway", "", "")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			setFaults(t, s, row.fault)
			w := send(t, s, "POST", row.target, "[]")
			got := faulted{w.Code, w.Header().Get("Content-Type"), w.Header().Get("Retry-After"), w.Body.String()}
			if got.ContentType == isJSON { // the order of members does not count
				same(t, w, row.want.Status, row.want.Body)
				got.Body = row.want.Body
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// Faults are taken in order, each as often as it says.
func TestFaultCounts(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	setFaults(t, s, sandbox.Fault{Match: "/hub/", Status: 429, Count: 2}, sandbox.Fault{Match: "/hub/", Status: 503, Count: 1})
	if err := s.Fault(sandbox.Fault{Match: "/interaction/", Status: 500}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 5 {
		got = append(got, send(t, s, "POST", rowset, "[]", auth).Code)
	}
	for range 3 {
		got = append(got, send(t, s, "POST", eventsPath, "{}", auth).Code)
	}
	if diff := cmp.Diff([]int{429, 429, 503, 200, 200, 500, 500, 500}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sandbox.Fault{{Match: "/interaction/", Status: 500}}, s.State().Faults); diff != "" {
		t.Errorf("faults left (-want +got):\n%s", diff)
	}
	setFaults(t, s)
	same(t, send(t, s, "POST", eventsPath, "", auth), 400, badFormat)
}

func TestRevokeTokens(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	works := func(auth string) int { return send(t, s, "POST", rowset, "[]", auth).Code }
	first := authorize(t, s)
	setFaults(t, s, sandbox.Fault{Name: "revoke_tokens"})
	second := authorize(t, s)
	got := []int{works(first), works(second)}
	setFaults(t, s, sandbox.Fault{Name: "revoke_tokens", Match: "/hub/"})
	third := authorize(t, s)
	got = append(got, works(third), works(authorize(t, s)))
	if diff := cmp.Diff([]int{401, 200, 401, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if faults := s.State().Faults; len(faults) != 0 {
		t.Errorf("faults left: %v", faults)
	}
}

// A dropped request does nothing, a dropped answer has done everything, and
// the caller cannot tell them apart.
func TestDrop(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		rows int
	}{{"drop_request", 0}, {"drop_answer", 1}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			auth := authorize(t, s)
			setFaults(t, s, sandbox.Fault{Name: row.name, Match: "/hub/", Count: 1})
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+rowset, strings.NewReader(specExample))
			if err != nil {
				t.Fatal(err)
			}
			name, value, _ := strings.Cut(auth, ": ")
			r.Header.Set(name, value)
			res, err := server.Client().Do(r)
			if err == nil {
				_ = res.Body.Close()
				t.Fatalf("got an answer: %s", res.Status)
			}
			if n := len(rows(s)); n != row.rows {
				t.Errorf("%d rows, want %d", n, row.rows)
			}
			same(t, send(t, s, "POST", rowset, specExample, auth), 200, specExample)
		})
	}
}

// Delays add up, and the call then goes on as if nothing had been.
func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		auth := authorize(t, s)
		setFaults(t, s, sandbox.Fault{DelayMS: 2000}, sandbox.Fault{Match: "/hub/", DelayMS: 500, Count: 1}, sandbox.Fault{Match: "/hub/", DelayMS: 100, Status: 502})
		began := time.Now()
		if w := send(t, s, "POST", rowset, "[]", auth); w.Code != 502 {
			t.Errorf("status %d", w.Code)
		}
		if took := time.Since(began); took != 2600*time.Millisecond {
			t.Errorf("took %v, want 2.6s", took)
		}
	})
}

// A delay ends when the caller hangs up, and nothing is done.
func TestDelayEndsWithCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		auth := authorize(t, s)
		setFaults(t, s, sandbox.Fault{DelayMS: 60_000})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := newRequest(t, "POST", rowset, auth, "Content-Type: application/json").WithContext(ctx)
		began := time.Now()
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("recovered %v, want http.ErrAbortHandler", err)
				}
			}()
			serve(s, r)
		}()
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
	})
}

// The same over a real connection, where the server has to notice it.
func TestDelayEndsWithConnection(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	setFaults(t, s, sandbox.Fault{DelayMS: 60_000})
	server := httptest.NewServer(s)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", server.URL+rowset, strings.NewReader(specExample))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := server.Client().Do(r); err == nil {
		_ = res.Body.Close()
		t.Fatalf("got an answer: %s", res.Status)
	}
	server.Close() // waits for the handler, which must not take the minute
	if t.Context().Err() != nil {
		t.Error("the test ran out of time")
	}
}

func TestFaultsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ body, want string }{
		{`{}`, "the body does not fit: json: cannot unmarshal object into Go value of type []sandbox.Fault"},
		{`null`, "want a list of faults; [] clears them"},
		{`[] []`, "something follows the JSON value"},
		{`[{"status":500,"nonsense":1}]`, `the body does not fit: json: unknown field "nonsense"`},
		{`[{}]`, "fault 1: nothing to do: want a name, a status, a delay_ms, apply or apply_after_ms"},
		{`[{"status":500},{"name":"explode"}]`, `fault 2: unknown name "explode"`},
		{`[{"status":200}]`, "fault 1: status 200 is not in 400 to 599"},
		{`[{"status":600,"count":-1}]`, "fault 1: count -1 is negative\nstatus 600 is not in 400 to 599"},
		{`[{"status":500,"match":"hub"}]`, `fault 1: match "hub" does not begin with /`},
		{`[{"status":500,"match":"/_sandbox/"}]`, `fault 1: match "/_sandbox/": the sandbox's own pages have no faults`},
		{`[{"status":500,"method":"post"}]`, `fault 1: method "post" is not in capitals`},
		{`[{"delay_ms":-1}]`, "fault 1: delay_ms -1 is not in 0 to 3600000"},
		{`[{"delay_ms":3600001}]`, "fault 1: delay_ms 3600001 is not in 0 to 3600000"},
		{`[{"errorcode":50100}]`, "fault 1: errorcode, message and retry_after need a status\nnothing to do: want a name, a status, a delay_ms, apply or apply_after_ms"},
		{`[{"status":429,"retry_after":-1}]`, "fault 1: retry_after -1 is negative"},
		{`[{"status":429,"retry_after_date":true}]`, "fault 1: retry_after_date without retry_after"},
		{`[{"status":429,"errorcode":-1}]`, "fault 1: errorcode -1 is negative"},
		{`[{"name":"drop_request","status":500}]`, "fault 1: drop_request answers nothing: no status, errorcode, message or retry_after"},
		{`[{"name":"empty_body"}]`, "fault 1: empty_body needs a status in 200 to 599, not 0"},
		{`[{"name":"empty_body","status":500,"message":"x"}]`, "fault 1: empty_body has no message"},
		{`[{"name":"html","status":500,"errorcode":1}]`, "fault 1: html has no errorcode"},
		{`[{"name":"bare_10006","status":500}]`, "fault 1: bare_10006 has status 400, not 500"},
		{`[{"status":500,"for":"10"}]`, `fault 1: for "10" is not a duration above zero, such as "10m"`},
		{`[{"status":500,"for":"-1s"}]`, `fault 1: for "-1s" is not a duration above zero, such as "10m"`},
		{`[{"status":500,"for":60}]`, "the body does not fit: json: cannot unmarshal number into Go struct field Fault.for of type string"},
		{`[{"contains":"x"}]`, "fault 1: nothing to do: want a name, a status, a delay_ms, apply or apply_after_ms"},
		{`[{"name":"row_deadlock","message":"x"}]`, "fault 1: row_deadlock has no status, errorcode, message or retry_after"},
		{`[{"name":"row_deadlock","delay_ms":1}]`, "fault 1: row_deadlock has no delay_ms"},
		{`[{"name":"row_error","errorcode":1}]`, "fault 1: row_error has no status, errorcode or retry_after"},
		{`[{"name":"job_time","status":500}]`, "fault 1: job_time has no status, errorcode, message or retry_after"},
		{`[{"name":"status_time","delay_ms":3600001}]`, "fault 1: delay_ms 3600001 is not in 0 to 3600000"},
		{`[{"name":"status_missing","delay_ms":1}]`, "fault 1: status_missing has no delay_ms"},
		{`[{"name":"old_not_found","retry_after":1}]`, "fault 1: old_not_found has no status, errorcode, message or retry_after"},
		{`[{"name":"member_error","status":500}]`, "fault 1: member_error has no status and no retry_after"},
		{`[{"apply_after_ms":3600001}]`, "fault 1: apply_after_ms 3600001 is not in 0 to 3600000"},
		{`[{"name":"drop_request","apply":true}]`, "fault 1: drop_request has no apply and no apply_after_ms"},
		{`[{"name":"row_error","apply_after_ms":1}]`, "fault 1: row_error has no apply and no apply_after_ms"},
		{`[{"name":"hang","status":500}]`, "fault 1: hang answers nothing: no status, errorcode, message or retry_after"},
		{`[{"name":"reset","message":"x"}]`, "fault 1: reset answers nothing: no status, errorcode, message or retry_after"},
		{`[{"name":"cut_body","status":204}]`, "fault 1: cut_body needs a status with a body, not 204"},
		{`[{"name":"cut_body","apply_after_ms":1}]`, "fault 1: cut_body with apply_after_ms needs a status: there is no true answer yet"},
		{`[{"name":"redirect","status":200}]`, "fault 1: redirect needs a status in 300 to 399, not 200"},
		{`[{"name":"foreign_json"}]`, "fault 1: foreign_json needs a status in 200 to 599, not 0"},
		{`[{"name":"foreign_json","status":200,"body":"{"}]`, "fault 1: body is not JSON"},
		{`[{"name":"html","status":200,"body":"{}","location":"/"}]`, "fault 1: only foreign_json has a body\nonly redirect has a location"},
		{`[{"name":"not_queued","retry_after":1}]`, "fault 1: not_queued has no status and no retry_after"},
	} {
		t.Run(row.body, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			before := sandbox.Fault{Match: "/x", Status: 500}
			setFaults(t, s, before)
			w := send(t, s, "PUT", "/_sandbox/faults", row.body)
			if w.Code != 400 {
				t.Errorf("status %d", w.Code)
			}
			if diff := cmp.Diff(map[string]any{"message": row.want}, decode(t, w.Body.String())); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]sandbox.Fault{before}, s.State().Faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// A fault with a text hits the calls that have it in their body, and no other.
func TestFaultContains(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	setFaults(t, s, sandbox.Fault{Match: "/hub/", Contains: "poison", Status: 500, Count: 2}, sandbox.Fault{Name: "revoke_tokens", Contains: "revoke"})
	upsert := func(keys ...string) int {
		var list []string
		for _, key := range keys {
			list = append(list, person(key, ""))
		}
		return send(t, s, "POST", rowset, "["+strings.Join(list, ",")+"]", auth).Code
	}
	got := []int{upsert("a"), upsert("b", "poison", "c"), upsert("b"), upsert("poison"), upsert("poison"), upsert("revoke"), upsert("d")}
	if diff := cmp.Diff([]int{200, 500, 200, 500, 200, 401, 401}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if left := s.State().Faults; len(left) != 0 {
		t.Errorf("faults left: %v", left)
	}
	auth = authorize(t, s)
	setFaults(t, s, sandbox.Fault{Contains: "x", Status: 500})
	if w := send(t, s, "GET", "/v2/userinfo", "", auth); w.Code != 200 {
		t.Errorf("a call without a body: %d", w.Code)
	}
}

// A fault with a time ends by itself, whatever its count.
func TestFaultFor(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	same(t, send(t, s, "PUT", "/_sandbox/faults", `[{"match":"/hub/","status":503,"for":"10m"},{"match":"/hub/","status":500,"for":"10m0.001s","count":9},{"name":"row_deadlock","for":"5m"}]`), 200,
		`{"faults":[{"match":"/hub/","status":503,"for":"10m0s"},{"match":"/hub/","status":500,"for":"10m0.001s","count":9},{"name":"row_deadlock","for":"5m0s"}]}`)
	var got []int
	for _, wait := range []time.Duration{0, 5 * time.Minute, 5*time.Minute - 1, 1, time.Millisecond} {
		advance(t, s, wait)
		got = append(got, send(t, s, "POST", rowset, "[]", auth).Code)
	}
	if diff := cmp.Diff([]int{503, 503, 503, 500, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if left := s.State().Faults; len(left) != 0 {
		t.Errorf("faults left: %v", left)
	}
	id := submit(t, s, auth, "PUT", asyncPath, items(flat("a", "")))
	advance(t, s, time.Second)
	wantJSON(t, ask(t, s, auth, id, "results"), results(1, upserted))
	setFaults(t, s, sandbox.Fault{Match: "/x", Status: 500, For: "1h", Count: 2})
	advance(t, s, 15*time.Minute)
	if diff := cmp.Diff([]sandbox.Fault{{Match: "/x", Status: 500, For: "45m0s", Count: 2}}, s.State().Faults); diff != "" {
		t.Errorf("faults left (-want +got):\n%s", diff)
	}
}

// However many callers there are, a fault hits as often as it says.
func TestFaultCountsAreExact(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const callers, each = 8, 25
	setFaults(t, s,
		sandbox.Fault{Match: "/hub/", Contains: "poison", Status: 500, Count: 17}, sandbox.Fault{Name: "row_deadlock", Count: 31},
		sandbox.Fault{Name: "not_queued", Count: 43}, sandbox.Fault{Match: "/hub/", Status: 503, For: "1h", Count: 5})
	var failed, busy, notQueued atomic.Int64
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("u-%d-%d", n, i)
				switch send(t, s, "POST", rowset, "["+person("poison-"+key, "")+"]", auth).Code {
				case 500:
					failed.Add(1)
				case 503:
					busy.Add(1)
				}
				submit(t, s, auth, "PUT", asyncPath, items(flat(key, "")))
				got, _ := enteredAll(t, s, auth, batch(batchMember("e"+key, "")))
				if got["notQueuedCount"] == 1.0 {
					notQueued.Add(1)
				}
			}
		})
	}
	wg.Wait()
	advance(t, s, time.Second)
	st := s.State()
	deadlocked := 0
	for _, j := range st.Jobs {
		deadlocked += j.FailedRows
	}
	const all = callers * each
	got := []int{int(failed.Load()), int(busy.Load()), deadlocked, int(notQueued.Load()), len(st.Faults), len(st.DataExtensions["Web_Registrations"].Rows)}
	if diff := cmp.Diff([]int{17, 5, 31, 43, 0, 3*all - 17 - 5 - 31 - 43}, got); diff != "" {
		t.Errorf("failed, busy, deadlocked, not queued, faults left, rows (-want +got):\n%s", diff)
	}
}
