package outbound_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// account is a Marketing Cloud of the test, reached without a network, so that a
// bubble of synctest can hold it. It answers as its function says.
type account struct {
	answer func(r *http.Request, body string) reply
	token  func() // called for each token request; may be nil

	mu    sync.Mutex
	calls []string // method and path of each, token requests left out
}

func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if r.URL.Path == "/v2/token" {
		if a.token != nil {
			a.token()
		}
		return answered(reply{status: 200, body: goodToken}), nil
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	a.mu.Lock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	a.mu.Unlock()
	answer := a.answer(r, string(body))
	if answer.drop {
		return nil, errors.New("connection lost")
	}
	return answered(answer), nil
}

func answered(r reply) *http.Response {
	w := httptest.NewRecorder()
	r.write(w)
	return w.Result()
}

// sends makes a sender for the account.
func (a *account) sends(t *testing.T) *outbound.Sender {
	t.Helper()
	s, err := outbound.New(outbound.Config{
		AuthURL: "http://cloud.test", ClientID: "id", ClientSecret: "secret", AccountID: "1", Transport: a,
	}, noKeeper{}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// several are deliveries of the persons p0, p1 and so on.
func several(n int) []onramp.Delivery {
	deliveries := make([]onramp.Delivery, n)
	for i := range deliveries {
		key := fmt.Sprint("p", i)
		deliveries[i] = onramp.Delivery{
			RegistrationID: "r" + key, Step: 1, SubscriberKey: key, Values: json.RawMessage(`{"EmailAddress":"` + key + `@example.org"}`),
		}
	}
	return deliveries
}

func verdicts(outcomes []onramp.Outcome) map[onramp.Verdict][]int {
	by := map[onramp.Verdict][]int{}
	for i, o := range outcomes {
		by[o.Verdict] = append(by[o.Verdict], i)
	}
	return by
}

// rowset is a data extension that refuses the persons in bad, as Marketing Cloud
// does: what comes before the first bad row is saved, and the answer names none.
type rowset struct {
	bad   []string
	saved map[string]int
}

func (r *rowset) answer(_ *http.Request, body string) reply {
	var rows []struct{ Keys map[string]string }
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		return reply{status: 400, body: `{"message":"JSON","errorcode":10004}`}
	}
	for _, row := range rows {
		if slices.Contains(r.bad, row.Keys["SubscriberKey"]) {
			return reply{status: 400, body: `{"message":"Unable to save rows","errorcode":10006,"additionalErrors":[{"message":"EmailAddress: The value for column [EmailAddress] is not a valid email address.","errorcode":10000}]}`}
		}
		r.saved[row.Keys["SubscriberKey"]]++
	}
	return reply{status: 200, body: body}
}

// A bad row is found by halves; the good ones beside it are delivered, and only
// the bad one is rejected, with the request and the answer of its own call.
func TestSplit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		n     int
		bad   []int
		calls int // at most
	}{
		{"none", 50, nil, 1},
		{"one alone", 1, []int{0}, 1},
		{"the first", 50, []int{0}, 13},
		{"the last", 50, []int{49}, 8},
		{"one within", 50, []int{31}, 13},
		{"one of two", 2, []int{1}, 3},
		{"two", 50, []int{3, 40}, 25},
		{"all", 8, []int{0, 1, 2, 3, 4, 5, 6, 7}, 15},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := &rowset{saved: map[string]int{}}
			for _, i := range row.bad {
				r.bad = append(r.bad, fmt.Sprint("p", i))
			}
			a := &account{answer: r.answer}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: several(row.n)})
			want := map[onramp.Verdict][]int{}
			for i := range row.n {
				verdict := onramp.Delivered
				if slices.Contains(row.bad, i) {
					verdict = onramp.Rejected
				} else if r.saved[fmt.Sprint("p", i)] == 0 {
					t.Errorf("row %d was never saved", i)
				}
				want[verdict] = append(want[verdict], i)
			}
			if diff := cmp.Diff(want, verdicts(got)); diff != "" {
				t.Error(diff)
			}
			for _, i := range row.bad {
				o := got[i]
				if want := fmt.Sprintf("POST /hub/v1/dataevents/key:DE1/rowset\n"+`[{"keys":{"SubscriberKey":"p%d"},"values":{"EmailAddress":"p%d@example.org"}}]`, i, i); o.Request != want {
					t.Errorf("request of %d: got %q, want %q", i, o.Request, want)
				}
				if !strings.Contains(o.Detail, "[EmailAddress] is not a valid") || o.Answer == "" {
					t.Errorf("outcome of %d: %+v", i, o)
				}
			}
			if len(a.calls) > row.calls {
				t.Errorf("%d calls, want at most %d", len(a.calls), row.calls)
			}
		})
	}
}

// What concerns the destination, and not a row, is not looked for among the rows.
func TestNoSplit(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]reply{
		"unknown data extension":  {status: 404, body: `{"message":"Object Not Found","errorcode":30003}`},
		"key: forgotten":          {status: 400, body: `{"message":"Parameter {guid} is invalid.","errorcode":10001}`},
		"wrong primary key":       {status: 400, body: `{"message":"Primary key 'subscriberkey' does not exist.","errorcode":10000}`},
		"bare 10006":              {status: 400, body: `{"message":"Unable to save rows","errorcode":10006}`},
		"blocked":                 {status: 429, body: `{"message":"blocked","errorcode":50200}`},
		"server error":            {status: 500},
		"connection lost":         {drop: true},
		"not found asynchronous":  {status: 400, body: `{"requestId":"x","resultMessages":[{"resultClass":"Error","resultCode":"CustomObjectNotFound","message":"no such"}]}`},
		"not found, 200, old one": {status: 200, body: `{"requestId":"x","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"CustomObjectNotFound","message":"no such"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{answer: func(*http.Request, string) reply { return answer }}
			c := onramp.Call{Destination: dataExtension, Deliveries: several(50), Async: strings.HasPrefix(name, "not found")}
			got := a.sends(t).Send(t.Context(), c)
			if len(got) != 50 || len(a.calls) != 1 {
				t.Errorf("%d outcomes after %d calls", len(got), len(a.calls))
			}
			for i := range got {
				if got[i].Verdict == onramp.Delivered || got[i].Verdict != got[0].Verdict {
					t.Errorf("outcome %d: %+v", i, got[i])
				}
			}
		})
	}
}

// A split that meets trouble of the destination stops: nobody is blamed, and
// nobody hammers it.
func TestSplitInTrouble(t *testing.T) {
	t.Parallel()
	calls := 0
	r := &rowset{bad: []string{"p0"}, saved: map[string]int{}}
	a := &account{answer: func(req *http.Request, body string) reply {
		if calls++; calls == 3 {
			return reply{status: 429, body: `{"message":"blocked","errorcode":50200}`}
		}
		return r.answer(req, body)
	}}
	got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: several(8)})
	if diff := cmp.Diff(map[onramp.Verdict][]int{onramp.Blocked: {0, 1, 2, 3, 4, 5, 6, 7}}, verdicts(got)); diff != "" || calls != 3 {
		t.Errorf("%d calls: %s", calls, diff)
	}
	if got[0].Request == "" || got[7].Request != "" {
		t.Errorf("shown as sent: %q of the one that was, %q of one that was not", got[0].Request, got[7].Request)
	}
}

// job is an asynchronous request of the test: what its status and its pages of
// results answer, call by call; the last one of each stays.
type job struct {
	submit   reply
	statuses []reply
	pages    []reply

	asked int
}

func (j *job) answer(r *http.Request, body string) reply {
	switch {
	case strings.HasSuffix(r.URL.Path, "/rows"):
		return j.submit
	case strings.HasSuffix(r.URL.Path, "/status"):
		j.asked++
		return j.statuses[min(j.asked, len(j.statuses))-1]
	}
	page := 1
	_, _ = fmt.Sscan(r.URL.Query().Get("$page"), &page)
	return j.pages[min(page, len(j.pages))-1]
}

func status(request, result string, errors bool) reply {
	return reply{status: 200, body: fmt.Sprintf(`{"status":{"hasErrors":%v,"requestStatus":%q,"resultStatus":%q,"requestId":"j1"},"requestId":"c1","resultMessages":[]}`, errors, request, result)}
}

func results(page, count int, items ...string) reply {
	return reply{status: 200, body: fmt.Sprintf(`{"page":%d,"pageSize":%d,"count":%d,"requestId":"c2","resultMessages":[],"items":[%s]}`,
		page, len(items), count, strings.Join(items, ","))}
}

const (
	rowOK               = `{"message":"Upserted DataExtensionObject","status":"OK"}`
	rowNull             = `{"errorCode":2,"status":"Error","message":"Cannot locate the existing record. Required keys are missing.","errors":[{"errorMessage":"Column [subscriberkey] does not allow null value.","name":"subscriberkey","errorCode":70001}]}`
	rowDeadlockMore     = `{"errorCode":2,"status":"Error","message":"Transaction (Process ID 52) was deadlocked. RERUN THE TRANSACTION.\r\nThe statement has been terminated."}`
	rowDeadlockInColumn = `{"errorCode":2,"status":"Error","message":"Row failed.","errors":[{"errorMessage":"Violation: deadlock victim. Rerun the transaction. The statement has been terminated. (1205)","errorCode":2}]}`
	rowDeadlock         = `{"errorCode":2,"status":"Error","message":"Transaction (Process ID 52) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction."}`
	rowExists           = `{"errorCode":2,"status":"Error","message":"Violation of PRIMARY KEY constraint 'PK_X'. Cannot insert duplicate key in object 'C1.X'. The duplicate key value is (p0).\r\nThe statement has been terminated."}`
	rowNoKey            = `{"errorCode":2,"status":"Error","message":"This Data Extension does not have any primary keys defined."}`
	rowUnknown          = `{"errorCode":"UnexpectedError","status":"Error","message":""}`
)

// TestAsyncAnswers is the table of what the asynchronous route can say of a row.
func TestAsyncAnswers(t *testing.T) {
	t.Parallel()
	submitted := reply{status: 202, body: `{"requestId":"j1","resultMessages":[]}`}
	missing := reply{status: 200, body: `{"requestId":"c1","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"AsyncRequestStatusNotFound","message":"Unable to locate an Async Request Status Record for the provided RequestId: j1"}]}`}
	done, failed := status("Complete", "OK", false), status("Complete", "Has Errors", true)
	stored := onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored, request j1", RequestID: "j1"}
	sent := func(i, of int) string {
		return fmt.Sprintf("PUT /data/v1/async/dataextensions/key:DE1/rows (one of %d)\n"+`{"items":[{"SubscriberKey":"p%d","EmailAddress":"p%d@example.org"}]}`, of, i, i)
	}
	insert := dataExtension
	insert.InsertOnly, insert.OnExisting = true, onramp.Skip
	for _, row := range []struct {
		name string
		to   onramp.Destination
		job  job
		want []onramp.Outcome
		took time.Duration
	}{
		{"all stored", dataExtension, job{submitted, []reply{done}, nil, 0}, []onramp.Outcome{stored, stored}, ms(500)},
		{"accepted with 200", dataExtension, job{reply{status: 200, body: submitted.body}, []reply{done}, nil, 0}, []onramp.Outcome{stored, stored}, ms(500)},
		{"status comes late", dataExtension, job{submitted, []reply{missing, {status: 200, body: `{"requestId":"c","resultMessages":[]}`}, status("Pending", "", false), status("Executing", "", false), done}, nil, 0}, []onramp.Outcome{stored, stored}, ms(500) + ms(750) + ms(1125) + ms(1687) + 500*time.Microsecond + ms(2531) + 250*time.Microsecond},
		{"a bad row", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 2, rowOK, rowNull)}, 0}, []onramp.Outcome{
			stored,
			{Verdict: onramp.Rejected, Status: 200, Code: 2, Hint: strings.Replace(hintNull, "contactkey", "subscriberkey", 1), Request: sent(1, 2), Detail: "Cannot locate the existing record. Required keys are missing.; Column [subscriberkey] does not allow null value."},
		}, ms(500)},
		{"deadlock", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 2, rowDeadlock, rowOK)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 200, Code: 2, Request: sent(0, 2), Detail: "Transaction (Process ID 52) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction."}, stored,
		}, ms(500)},
		{"deadlock, and more said", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 3, rowDeadlockMore, rowDeadlockInColumn, rowOK)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 200, Code: 2, Request: sent(0, 3), Detail: "Transaction (Process ID 52) was deadlocked. RERUN THE TRANSACTION.  The statement has been terminated."},
			{Verdict: onramp.Retry, Status: 200, Code: 2, Request: sent(1, 3), Detail: "Row failed.; Violation: deadlock victim. Rerun the transaction. The statement has been terminated. (1205)"},
			stored,
		}, ms(500)},
		{"no primary key", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 1, rowNoKey)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Blocked, Status: 200, Code: 2, Hint: hintNoPrimary, Request: sent(0, 1), Detail: "This Data Extension does not have any primary keys defined."},
		}, ms(500)},
		{"a code in words", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 1, rowUnknown)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Rejected, Status: 200, Hint: hintData, Request: sent(0, 1), Detail: ""},
		}, ms(500)},
		{"pages", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 3, rowOK), results(2, 3, rowDeadlock), results(3, 3, rowOK)}, 0}, []onramp.Outcome{
			stored, {Verdict: onramp.Retry, Status: 200, Code: 2, Request: sent(1, 3), Detail: "Transaction (Process ID 52) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction."}, stored,
		}, ms(500)},
		{"too few results", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 1, rowOK)}, 0}, []onramp.Outcome{
			stored, {Verdict: onramp.Retry, Status: 200, Request: sent(1, 2), MayHaveArrived: true, Detail: `request j1 is "Complete" and says nothing of this row`},
		}, ms(500)},
		{"job failed whole", dataExtension, job{submitted, []reply{status("Error", "", true)}, []reply{results(1, 0)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 200, Request: sent(0, 1), MayHaveArrived: true, Detail: `request j1 is "Error" and says nothing of this row`},
		}, ms(500)},
		{"exists, insert only", insert, job{submitted, []reply{failed}, []reply{results(1, 2, rowExists, rowOK)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Delivered, Status: 200, Detail: "a row with this key exists already and stays as it is"}, stored,
		}, ms(500)},
		{"exists, upsert", dataExtension, job{submitted, []reply{failed}, []reply{results(1, 1, rowExists)}, 0}, []onramp.Outcome{
			{Verdict: onramp.Rejected, Status: 200, Code: 2, Hint: hintDuplicate, Request: sent(0, 1), Detail: "Violation of PRIMARY KEY constraint 'PK_X'. Cannot insert duplicate key in object 'C1.X'. The duplicate key value is (p0).  The statement has been terminated."},
		}, ms(500)},
		{"a poll fails", dataExtension, job{submitted, []reply{{status: 503}, {drop: true}, done}, nil, 0}, []onramp.Outcome{stored}, ms(500) + ms(750) + ms(1125)},
		{"polls are throttled", dataExtension, job{submitted, []reply{{status: 429, header: map[string]string{"Retry-After": "7"}, body: `{"errorcode":50100,"message":"slow"}`}, done}, nil, 0}, []onramp.Outcome{stored}, ms(7500)},
		{"polls are refused", dataExtension, job{submitted, []reply{{status: 403, body: `{"message":"Insufficient Privileges","errorcode":20002}`}}, nil, 0}, []onramp.Outcome{
			{Verdict: onramp.Blocked, Status: 403, Code: 20002, Hint: hintReadScope, Request: sent(0, 1), MayHaveArrived: true, Detail: "result of request j1: 403 20002: Insufficient Privileges", Answer: `{"message":"Insufficient Privileges","errorcode":20002}`},
		}, ms(500) + ms(750) + ms(1125) + ms(1687) + 500*time.Microsecond + ms(2531) + 250*time.Microsecond},
		{"no trace", dataExtension, job{submitted, []reply{missing}, nil, 0}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 200, Request: sent(0, 1), MayHaveArrived: true, Detail: "Marketing Cloud knows no request j1 after 2m0s"},
		}, 0},
		{"never ends", dataExtension, job{submitted, []reply{status("Executing", "", false)}, nil, 0}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 200, Request: sent(0, 1), MayHaveArrived: true, Detail: `request j1 is "Executing" after 15m0s`},
		}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &account{answer: row.job.answer}
				begun, told := time.Now(), time.Duration(-1)
				got := a.sends(t).Send(t.Context(), onramp.Call{
					Destination: row.to, Async: true, Deliveries: several(len(row.want)), Submitted: func(string, []onramp.Delivery) { told = time.Since(begun) },
				})
				for i := range row.want {
					row.want[i].RequestID = "j1"
					if row.want[i].Verdict != onramp.Delivered && len(row.want) == 1 {
						row.want[i].Request = strings.Replace(row.want[i].Request, " (one of 1)", "", 1)
					}
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(begun); row.took > 0 && took != row.took {
					t.Errorf("took %v, want %v", took, row.took)
				}
				if told != 0 {
					t.Errorf("told of the submission after %v", told)
				}
			})
		})
	}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// Rows that the asynchronous insert refuses because they exist are updated by
// the synchronous route, unless they are to be skipped.
func TestInsertThenUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &job{reply{status: 202, body: `{"requestId":"j1"}`}, []reply{status("Complete", "Has Errors", true)}, []reply{results(1, 2, rowExists, rowOK)}, 0}
		r := &rowset{saved: map[string]int{}}
		a := &account{answer: func(req *http.Request, body string) reply {
			if strings.HasPrefix(req.URL.Path, "/hub/") {
				return r.answer(req, body)
			}
			return j.answer(req, body)
		}}
		to := dataExtension
		to.InsertOnly = true
		got := a.sends(t).Send(t.Context(), onramp.Call{Destination: to, Async: true, Deliveries: several(2)})
		want := []onramp.Outcome{
			{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}, {Verdict: onramp.Delivered, Status: 200, Detail: "row stored, request j1", RequestID: "j1"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]int{"p0": 1}, r.saved); diff != "" {
			t.Error(diff)
		}
		wantCalls := []string{
			"POST /data/v1/async/dataextensions/key:DE1/rows", "GET /data/v1/async/j1/status", "GET /data/v1/async/j1/results",
			"POST /hub/v1/dataevents/key:DE1/rowset",
		}
		if diff := cmp.Diff(wantCalls, a.calls); diff != "" {
			t.Error(diff)
		}
	})
}

// With on_existing: new each registration is a row of its own.
func TestNewRows(t *testing.T) {
	t.Parallel()
	to := dataExtension
	to.OnExisting = onramp.CreateNew
	var sent string
	a := &account{answer: func(_ *http.Request, body string) reply { sent = body; return reply{status: 200, body: body} }}
	a.sends(t).Send(t.Context(), onramp.Call{Destination: to, Deliveries: several(1)})
	if want := `[{"keys":{"SubscriberKey":"rp0"},"values":{"EmailAddress":"p0@example.org"}}]`; sent != want {
		t.Errorf("sent %s, want %s", sent, want)
	}
}

// Work that is abandoned while a result is waited for ends at once, and blames
// nobody.
func TestAbandonedPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &job{reply{status: 202, body: `{"requestId":"j1"}`}, []reply{status("Executing", "", false)}, nil, 0}
		a := &account{answer: j.answer}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		got := a.sends(t).Send(ctx, onramp.Call{Destination: dataExtension, Async: true, Deliveries: several(2)})
		if took := time.Since(begun); took != 3*time.Second || got[0].Verdict != onramp.Retry || got[1].Verdict != onramp.Retry {
			t.Errorf("after %v: %+v", took, got)
		}
	})
}

var message = onramp.Destination{Kind: onramp.Message, Key: "welcome", ToColumn: "EmailAddress"}

// TestBatchAnswers is the table of what the routes for several events or messages
// can say.
func TestBatchAnswers(t *testing.T) {
	t.Parallel()
	event := func(i, of int) string {
		return fmt.Sprintf("POST /interaction/v1/async/events (one of %d)\n"+`{"eventDefinitionKey":"APIEvent-1","members":[{"contactKey":"p%d","data":{"SubscriberKey":"p%d","EmailAddress":"p%d@example.org"}}]}`, of, i, i, i)
	}
	mail := func(i, of int) string {
		return fmt.Sprintf("POST /messaging/v1/email/messages (one of %d)\n"+`{"definitionKey":"welcome","recipients":[{"contactKey":"p%d","to":"p%d@example.org","messageKey":"rp%d.1","attributes":{"EmailAddress":"p%d@example.org"}}]}`, of, i, i, i, i)
	}
	fired := onramp.Outcome{Verdict: onramp.Delivered, Status: 202, Detail: "event accepted, request q1", RequestID: "q1"}
	mailed := onramp.Outcome{Verdict: onramp.Delivered, Status: 202, Detail: "message accepted, request q1", RequestID: "q1"}
	const memberFault = `{"contactKey":"p1","errorcode":10005,"message":"bad contact"}`
	for _, row := range []struct {
		name   string
		to     onramp.Destination
		answer reply
		want   []onramp.Outcome
		calls  int
	}{
		{"events accepted", journey, reply{status: 202, body: `{"requestId":"q1","count":2,"notQueuedCount":0,"members":[{"contactKey":"p0","eventInstanceId":"i0"},{"contactKey":"p1","eventInstanceId":"i1"}]}`}, []onramp.Outcome{fired, fired}, 1},
		{"events, connection lost", journey, reply{drop: true}, []onramp.Outcome{
			{Verdict: onramp.Unknown, MayHaveArrived: true, Hint: hintUnknown, Request: event(0, 2)}, {Verdict: onramp.Unknown, MayHaveArrived: true, Hint: hintUnknown, Request: event(1, 2)},
		}, 1},
		{"events, connection lost, repeated", repeated, reply{drop: true}, []onramp.Outcome{
			{Verdict: onramp.Retry, MayHaveArrived: true, Request: event(0, 2)}, {Verdict: onramp.Retry, MayHaveArrived: true, Request: event(1, 2)},
		}, 1},
		{"events, cut off", journey, reply{status: 202, body: `{"requestId":"q1","mem`}, []onramp.Outcome{
			{Verdict: onramp.Unknown, Status: 202, MayHaveArrived: true, Hint: hintForeign + "; " + hintUnknown, Request: event(0, 2), Detail: "202; not an answer of Marketing Cloud: JSON that is cut off", Answer: `{"requestId":"q1","mem`},
			{Verdict: onramp.Unknown, Status: 202, MayHaveArrived: true, Hint: hintForeign + "; " + hintUnknown, Request: event(1, 2), Detail: "202; not an answer of Marketing Cloud: JSON that is cut off", Answer: `{"requestId":"q1","mem`},
		}, 1},
		{"events, one without an id", journey, reply{status: 202, body: `{"requestId":"q1","members":[{"contactKey":"p0","eventInstanceId":"i0"},{"contactKey":"p1"}]}`}, []onramp.Outcome{
			fired, {Verdict: onramp.Unknown, Status: 202, MayHaveArrived: true, Hint: hintForeign + "; " + hintUnknown, Request: event(1, 2), Detail: "202; not an answer of Marketing Cloud: no eventInstanceId", RequestID: "q1"},
		}, 1},
		{"events, queue is full", journey, reply{status: 400, body: `{"errorcode":10000,"message":"Interaction Count Limit Exceeded: We could not queue your events"}`}, []onramp.Outcome{
			{Verdict: onramp.Retry, Status: 400, Code: 10000, Request: event(0, 2), Detail: "400 10000: Interaction Count Limit Exceeded: We could not queue your events", Answer: `{"errorcode":10000,"message":"Interaction Count Limit Exceeded: We could not queue your events"}`},
			{Verdict: onramp.Retry, Status: 400, Code: 10000, Request: event(1, 2), Detail: "400 10000: Interaction Count Limit Exceeded: We could not queue your events", Answer: `{"errorcode":10000,"message":"Interaction Count Limit Exceeded: We could not queue your events"}`},
		}, 1},
		{"messages accepted", message, reply{status: 202, body: `{"requestId":"q1","errorcode":0,"responses":[{"messageKey":"rp0.1"},{"messageKey":"rp1.1"}]}`}, []onramp.Outcome{mailed, mailed}, 1},
		{"messages, lost and harmless", message, reply{drop: true}, []onramp.Outcome{
			{Verdict: onramp.Retry, MayHaveArrived: true, Request: mail(0, 2)}, {Verdict: onramp.Retry, MayHaveArrived: true, Request: mail(1, 2)},
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := &account{answer: func(*http.Request, string) reply { return row.answer }}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: row.to, Deliveries: several(2)})
			if row.answer.drop {
				for i := range got {
					got[i].Detail = "" // the text of a network error
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			if len(a.calls) != row.calls {
				t.Errorf("calls: %v", a.calls)
			}
		})
	}
	t.Run("events, one refused", func(t *testing.T) {
		t.Parallel()
		a := &account{answer: func(*http.Request, string) reply {
			return reply{status: 202, body: `{"requestId":"q1","count":1,"notQueuedCount":1,"members":[{"contactKey":"p0","eventInstanceId":"i0"},` + memberFault + `]}`}
		}}
		got := a.sends(t).Send(t.Context(), onramp.Call{Destination: journey, Deliveries: several(2)})
		if got[0] != fired || got[1].Verdict != onramp.Rejected || got[1].Code != 10005 || !strings.Contains(got[1].Detail, "bad contact") || got[1].Request != event(1, 2) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("messages, one refused", func(t *testing.T) {
		t.Parallel()
		a := &account{answer: func(*http.Request, string) reply {
			return reply{status: 202, body: `{"requestId":"q1","errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors: 1 subscribers failed to queue out of 2","responses":[{"messageKey":"rp0.1","errorcode":109106,"message":"MCMS_UTM_Validation_MissingRequiredField_to: Invalid subscriber"},{"messageKey":"rp1.1"}]}`}
		}}
		got := a.sends(t).Send(t.Context(), onramp.Call{Destination: message, Deliveries: several(2)})
		if got[1] != mailed || got[0].Verdict != onramp.Rejected || got[0].Code != 109106 || !strings.Contains(got[0].Detail, "MissingRequiredField_to") || got[0].Request != mail(0, 2) {
			t.Errorf("%+v", got)
		}
	})
}
