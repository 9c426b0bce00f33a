package sfmc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

const asyncNotFound = `{"requestId":"x","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"AsyncRequestStatusNotFound","message":"Unable to locate an Async Request Status Record for the provided RequestId: r-1"}]}`

func TestAsyncRequests(t *testing.T) {
	t.Parallel()
	rec := &recorder{header: []string{"Authorization", "Content-Type", "Accept"}, next: reply{status: 202, body: `{"requestId":"r-1"}`}.ServeHTTP}
	c := newClient(t, newServer(t, rec))
	rows := []any{
		json.RawMessage(` {"SubscriberKey":"u-1001","Name":"Żółć <&>"} `),
		map[string]any{"SubscriberKey": "u-1002"},
		struct{ SubscriberKey string }{"u-1003"},
	}
	for _, submit := range []func() (string, error){
		func() (string, error) { return c.UpsertRowsAsync(within(t), "Web Reg/1", rows) },
		func() (string, error) { return c.InsertRowsAsync(within(t), "DE1", rows[1:2]) },
	} {
		if id, err := submit(); err != nil || id != "r-1" {
			t.Errorf("request id is %q, error %v; want r-1", id, err)
		}
	}
	if _, err := c.AsyncStatus(within(t), "r/1"); err != nil {
		t.Error(err)
	}
	for _, page := range []int{1, 3} {
		if _, err := c.AsyncResults(within(t), "r-1", page); err != nil {
			t.Error(err)
		}
	}
	get := map[string]string{"Authorization": "Bearer token-1", "Content-Type": "", "Accept": "application/json"}
	send := map[string]string{"Authorization": "Bearer token-1", "Content-Type": "application/json; charset=UTF-8", "Accept": "application/json"}
	want := []seen{
		{"PUT", "/data/v1/async/dataextensions/key:Web%20Reg%2F1/rows", `{"items":[{"SubscriberKey":"u-1001","Name":"Żółć <&>"},{"SubscriberKey":"u-1002"},{"SubscriberKey":"u-1003"}]}`, send},
		{"POST", "/data/v1/async/dataextensions/key:DE1/rows", `{"items":[{"SubscriberKey":"u-1002"}]}`, send},
		{"GET", "/data/v1/async/r%2F1/status", "", get},
		{"GET", "/data/v1/async/r-1/results?$pageSize=2500&pageSize=2500", "", get},
		{"GET", "/data/v1/async/r-1/results?$page=3&page=3&$pageSize=2500&pageSize=2500", "", get},
	}
	if diff := cmp.Diff(want, rec.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAsyncRequestID(t *testing.T) {
	t.Parallel()
	turnedDown := `{"requestId":"r-1","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"CustomObjectNotFound","message":"Failed to resolve the Custom Object"}]}`
	notFound := sfmc.Error{CodeText: "CustomObjectNotFound", Message: "Failed to resolve the Custom Object"}
	for name, tt := range map[string]struct {
		reply reply
		want  string
		err   *sfmc.Error // with Status and Body left out
	}{
		"accepted":                       {reply{status: 202, body: `{"requestId":"r-1","resultMessages":[]}`}, "r-1", nil},
		"another success":                {reply{status: 200, body: `{"RequestID":"r-1"}`}, "r-1", nil},
		"accepted with a remark":         {reply{status: 202, body: `{"requestId":"r-1","resultMessages":[{"resultClass":"Warning","message":"m"}]}`}, "r-1", nil},
		"no data extension":              {reply{status: 200, body: turnedDown}, "", &notFound},
		"no data extension, bad request": {reply{status: 400, body: strings.Replace(turnedDown, "Operational", "Validation", 1)}, "", &notFound},
		"no id":                          {reply{status: 202, body: `{"resultMessages":[]}`}, "", &sfmc.Error{Err: sfmc.ErrAnswer}},
		"nothing":                        {reply{status: 202}, "", &sfmc.Error{Err: sfmc.ErrAnswer}},
		"two quotes":                     {reply{status: 202, body: `""`}, "", &sfmc.Error{Err: sfmc.ErrAnswer}},
		"a list":                         {reply{status: 202, body: `[]`}, "", &sfmc.Error{Err: sfmc.ErrAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, newServer(t, tt.reply))
			rows := []any{json.RawMessage(`{}`)}
			id, err := c.UpsertRowsAsync(within(t), "DE1", rows)
			inserted, insertErr := c.InsertRowsAsync(within(t), "DE1", rows)
			if id != tt.want || inserted != tt.want {
				t.Errorf("ids are %q and %q; want %q", id, inserted, tt.want)
			}
			if tt.err == nil {
				if err != nil || insertErr != nil {
					t.Errorf("errors are %v and %v; want none", err, insertErr)
				}
				return
			}
			want := *tt.err
			want.Status = tt.reply.status
			if tt.reply.body != "" {
				want.Body = []byte(tt.reply.body)
			}
			want.Op = sfmc.OpUpsertRowsAsync
			diffError(t, want, err)
			want.Op = sfmc.OpInsertRowsAsync
			diffError(t, want, insertErr)
		})
	}
}

func TestAsyncStatus(t *testing.T) {
	t.Parallel()
	type result struct {
		Status      sfmc.AsyncStatus
		Done, AllOK bool
	}
	status := func(request, result string, hasErrors bool) reply {
		return reply{status: 200, body: fmt.Sprintf(`{"status":{"callDateTime":"2026-06-23T08:52:45.10","hasErrors":%t,"requestStatus":%q,"resultStatus":%q,"requestId":"r-1"},"requestId":"x","resultMessages":[]}`, hasErrors, request, result)}
	}
	for name, tt := range map[string]struct {
		reply reply
		want  result
	}{
		"complete":        {status("Complete", "OK", false), result{sfmc.AsyncStatus{true, "Complete", "OK", false}, true, true}},
		"with errors":     {status("Complete", "Has Errors", true), result{sfmc.AsyncStatus{true, "Complete", "Has Errors", true}, true, false}},
		"contradiction":   {status("Complete", "OK", true), result{sfmc.AsyncStatus{true, "Complete", "OK", true}, true, false}},
		"contradiction 2": {status("Complete", "Has Errors", false), result{sfmc.AsyncStatus{true, "Complete", "Has Errors", false}, true, false}},
		"pending":         {status("Pending", "OK", false), result{sfmc.AsyncStatus{true, "Pending", "OK", false}, false, false}},
		"executing":       {status("Executing", "", false), result{sfmc.AsyncStatus{true, "Executing", "", false}, false, false}},
		"failed":          {status("Error", "Has Errors", true), result{sfmc.AsyncStatus{true, "Error", "Has Errors", true}, true, false}},
		"other case":      {reply{status: 200, body: `{"Status":{"RequestStatus":"complete","ResultStatus":"ok"}}`}, result{sfmc.AsyncStatus{true, "complete", "ok", false}, true, true}},
		"empty status":    {reply{status: 200, body: `{"status":{}}`}, result{Status: sfmc.AsyncStatus{Found: true}}},
		"not found":       {reply{status: 200, body: asyncNotFound}, result{}},
		"not found, 404":  {reply{status: 404, body: asyncNotFound}, result{}},
		"no status":       {reply{status: 200, body: `{"requestId":"x","resultMessages":[]}`}, result{}},
		"status is null":  {reply{status: 200, body: `{"status":null}`}, result{}},
		"nothing":         {reply{status: 200}, result{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := newClient(t, newServer(t, tt.reply)).AsyncStatus(within(t), "r-1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, result{s, s.Done(), s.AllOK()}); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
	// One error among others is not passed over for its code.
	both := strings.Replace(asyncNotFound, `}]`, `},{"resultClass":"Information"},{"resultClass":"Error","resultCode":"Other","message":"m"}]`, 1)
	_, err := newClient(t, newServer(t, reply{status: 200, body: both})).AsyncStatus(within(t), "r-1")
	diffError(t, sfmc.Error{
		Op: sfmc.OpAsyncStatus, Status: 200, CodeText: "AsyncRequestStatusNotFound",
		Message:    "Unable to locate an Async Request Status Record for the provided RequestId: r-1",
		Additional: []sfmc.Detail{{CodeText: "Other", Message: "m"}}, Body: []byte(both),
	}, err)
}

func TestAsyncResults(t *testing.T) {
	t.Parallel()
	const mixed = `{"page":2,"pageSize":50,"count":57,"requestId":"x","resultMessages":[],"items":[
		{"message":"Upserted DataExtensionObject","status":"OK"},
		{"errorCode":2,"status":"Error","message":"Cannot locate the existing record. Required keys are missing.",
			"errors":[{"errorMessage":"Column [contactkey] does not allow null value.","name":"contactkey","errorCode":70001},{"errorMessage":"token-1","name":"a"}]},
		{"errorCode":"UnexpectedError","status":"Error","message":"Violation of PRIMARY KEY constraint.\r\nThe statement has been terminated."},
		{"errorCode":0,"status":"ok"},
		{"message":"m"},
		{"status":"Queued"},
		{"status":"OK","errorCode":7},
		{"status":"OK","errors":[{"errorMessage":"n"}]},
		null, "OK"]}`
	row := func(code int, text, message string, errs ...sfmc.Detail) sfmc.RowResult {
		return sfmc.RowResult{Detail: sfmc.Detail{Code: code, CodeText: text, Message: message}, Errors: errs}
	}
	for name, tt := range map[string]struct {
		reply reply
		page  int
		want  sfmc.AsyncResults
	}{
		"mixed": {reply{status: 200, body: mixed}, 2, sfmc.AsyncResults{Found: true, Page: 2, PageSize: 50, Count: 57, Items: []sfmc.RowResult{
			{OK: true, Detail: sfmc.Detail{Message: "Upserted DataExtensionObject"}},
			row(
				2, "2", "Cannot locate the existing record. Required keys are missing.",
				sfmc.Detail{Code: 70001, CodeText: "70001", Message: "Column [contactkey] does not allow null value.", Name: "contactkey"},
				sfmc.Detail{Message: "redacted", Name: "a"},
			),
			row(0, "UnexpectedError", "Violation of PRIMARY KEY constraint.  The statement has been terminated."),
			{OK: true, Detail: sfmc.Detail{CodeText: "0"}},
			row(0, "", "m"),
			{},
			row(7, "7", ""),
			row(0, "", "", sfmc.Detail{Message: "n"}),
			{},
			{},
		}}},
		"not told":        {reply{status: 200, body: `{"Items":[{"Status":"OK"}]}`}, 9, sfmc.AsyncResults{Found: true, Page: 9, Items: []sfmc.RowResult{{OK: true}}}},
		"numbers as text": {reply{status: 202, body: `{"items":[],"page":"1","pageSize":"2500","count":"3"}`}, 1, sfmc.AsyncResults{Found: true, Page: 1, PageSize: 2500, Count: 3, Items: []sfmc.RowResult{}}},
		"no items":        {reply{status: 200, body: `{"page":1,"pageSize":50,"count":0}`}, 1, sfmc.AsyncResults{}},
		"items are null":  {reply{status: 200, body: `{"items":null}`}, 1, sfmc.AsyncResults{}},
		"not found":       {reply{status: 200, body: asyncNotFound}, 1, sfmc.AsyncResults{}},
		"nothing":         {reply{status: 200}, 1, sfmc.AsyncResults{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, newServer(t, tt.reply)).AsyncResults(within(t), "r-1", tt.page)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
	// The first page again, from a server that does not know of pages.
	body := `{"page":1,"items":[{"status":"OK"}]}`
	got, err := newClient(t, newServer(t, reply{status: 200, body: body})).AsyncResults(within(t), "r-1", 2)
	if diff := cmp.Diff(sfmc.AsyncResults{}, got); diff != "" {
		t.Errorf("results of another page (-want +got):\n%s", diff)
	}
	diffError(t, sfmc.Error{Op: sfmc.OpAsyncResults, Status: 200, Body: []byte(body), Err: sfmc.ErrAnswer}, err)
}

// Where a size of the page is refused, it is left out.
func TestAsyncResultsPageSizeRefused(t *testing.T) {
	t.Parallel()
	rec := &recorder{next: func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "pageSize") {
			w.WriteHeader(400)
			return
		}
		fmt.Fprint(w, `{"items":[{"status":"OK"}]}`)
	}}
	c := newClient(t, newServer(t, rec))
	for page := 1; page <= 2; page++ {
		got, err := c.AsyncResults(within(t), "r-1", page)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sfmc.AsyncResults{Found: true, Page: page, Items: []sfmc.RowResult{{OK: true}}}, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	}
	var paths []string
	for _, s := range rec.requests() {
		paths = append(paths, s.Path)
	}
	want := []string{
		"/data/v1/async/r-1/results?$pageSize=2500&pageSize=2500",
		"/data/v1/async/r-1/results",
		"/data/v1/async/r-1/results?$page=2&page=2&$pageSize=2500&pageSize=2500",
		"/data/v1/async/r-1/results?$page=2&page=2",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// An answer has room for a page of rows that all failed at length, and for all the
// rows that one request can have if they are good.
func TestAsyncResultsFit(t *testing.T) {
	t.Parallel()
	for item, n := range map[string]int{
		`{"errorCode":2,"status":"Error","message":"` + strings.Repeat("x", 1000) + `"}`: 2500,
		`{"message":"Upserted DataExtensionObject","status":"OK"}`:                       32_000,
	} {
		body := `{"page":1,"items":[` + strings.Repeat(item+",", n-1) + item + `]}`
		got, err := newClient(t, newServer(t, reply{status: 200, body: body})).AsyncResults(within(t), "r-1", 1)
		if err != nil || len(got.Items) != n {
			t.Errorf("%d items, error %v; want %d of %d bytes", len(got.Items), err, n, len(body))
		}
	}
}
