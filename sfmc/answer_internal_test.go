package sfmc

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a stranger answers, there is a result or an *Error within its bounds,
// and the secret does not come back.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		``, `""`, `null`, `[]`, `{}`, `[{"keys":{"k":"1"},"values":{"a":1}}]`, `{"eventInstanceId":"a"}`,
		`{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"m"}]}`,
		`{"message":"m","errorcode":10006,"documentation":"","additionalErrors":[{"message":"m","errorcode":10000}]}`,
		`{"error":"invalid_client","error_description":"sesame-1","error_uri":"u"}`, `{"ERRORCODE":1e999,"errorcode ":-0}`,
		`{"access_token":"a","expires_in":"1079"}`, `<html>`, `Too Many Requests`, `{"":1,"resultMessages":[{"resultClass":"Error"}]}`,
		"\ufeff\x00\xff", `{"retryAfter":"NaN","errors":["sesame-1"]}`, `sesame-1`,
		`[{"keys":{"a\"":[{}],"b":"\\"},"values":{"errorcode":1}}, {"values":{}}]`, `[{"keys":{},"errorcode":1}]`, `[{"keys":{}},[{"errorcode":1}]]`,
		`[{"Keys":{},"k\u0065ys":{}}]`, `[1]`, `["keys"]`, `[[{"keys":{}}]]`, `[{"keys":{}} 1]`, `{"requestId":7}`, `[{"keys":{},"values":null}]`,
		`[{"keys":{},"values":{}},{"values":{},"keys":{}}]`, `[{"keys":[],"values":{}}]`, `[{"keys":"values","values":{}}]`, `{"keys":{}}`,
		`{"results":[{"rows":1,"status":"OK"},{"rows":"1","status":"ok","errorcode":0}]}`, `{"requestId":"sesame-1","responses":[{"messageKey":"m-1"}]}`,
	} {
		for _, status := range []int{200, 400, 429} {
			f.Add(status, "5", "application/json", body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, retryAfter, contentType, body string) {
		a := &answer{op: OpUpsertRows, status: status, body: []byte(body), hide: "sesame-1"}
		a.header = http.Header{"Retry-After": {retryAfter}, "Content-Type": {contentType}}
		good := status >= 200 && status <= 299
		for n := 1; n <= 2; n++ {
			rows, err := a.rows(n)
			checkFailure(t, err, rows == nil, good)
			if stored := a.stored(n); (err == nil) != (stored == nil) {
				t.Errorf("rows fails with %v, stored with %v", err, stored)
			}
			if err == nil && rows != nil && len(rows) != n {
				t.Errorf("%d rows of %d", len(rows), n)
			}
		}
		for _, name := range []string{"eventInstanceId", "requestId"} {
			id, err := a.named(name)
			checkFailure(t, err, id == "", good)
			if err == nil && id == "" {
				t.Errorf("success without %s", name)
			}
		}
		id, err := a.sentMessage("m-1")
		checkFailure(t, err, id == "", good)
		a.op = OpToken
		tok, err := a.token(time.Now())
		checkFailure(t, err, tok == nil, good)
		if err == nil && (tok.AccessToken == "" || !tok.ExpiresAt.After(time.Now())) {
			t.Errorf("token is %+v; want a token that lives", tok)
		}
	})
}

// What the answers to things sent together say of each: there is one result for
// each, and none is good under a status that is not.
func FuzzBatchAnswer(f *testing.F) {
	for _, body := range []string{
		``, `""`, `[]`, `{}`, `<html>`, `{"members":[{"contactKey":"u-1","eventInstanceId":"sesame-1"},{"errorcode":"1","message":"sesame-1"}],"notQueuedCount":1}`,
		`{"requestId":"sesame-1","errorcode":109001,"message":"m","responses":[{"messageKey":"m-2","errorcode":109110},{"messageKey":"m-1"}]}`,
		`{"responses":[{},{"messageKey":"m-1"}],"members":[{},{"message":"m"}]}`, `{"members":[null,1],"responses":["a",{}]}`,
		`{"errorcode":10000,"members":[]}`, `{"notQueuedCount":"9","members":[{},{}]}`,
	} {
		for _, status := range []int{202, 400, 403} {
			f.Add(status, body)
		}
	}
	members := []Member{{ContactKey: "u-1"}, {ContactKey: "u-2"}}
	to := []Recipient{{ContactKey: "u-1", MessageKey: "m-1"}, {ContactKey: "u-2"}}
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := &answer{op: OpFireEvents, status: status, body: []byte(body), hide: "sesame-1"}
		var errs []*Error
		fired, err := a.firedEvents(members)
		checkFailure(t, err, fired.RequestID == "" && fired.Members == nil, a.isGood() || status == 400)
		for i, m := range fired.Members {
			errs = append(errs, m.Err)
			if m.ContactKey != members[i].ContactKey || strings.Contains(m.EventInstanceID, "sesame-1") {
				t.Errorf("member %d is %+v", i, m)
			}
		}
		sent, sentErr := a.sentMessages(to)
		checkFailure(t, sentErr, sent.RequestID == "" && sent.Messages == nil, a.isGood() || status == 400)
		for i, m := range sent.Messages {
			errs = append(errs, m.Err)
			if m.ContactKey != to[i].ContactKey || i == 0 && m.MessageKey != "m-1" || strings.Contains(m.MessageKey, "sesame-1") {
				t.Errorf("message %d is %+v", i, m)
			}
		}
		if err == nil && len(fired.Members) != 2 || sentErr == nil && len(sent.Messages) != 2 {
			t.Errorf("%d events, %d messages; want 2", len(fired.Members), len(sent.Messages))
		}
		for _, e := range errs {
			if e != nil {
				checkFailure(t, e, true, true)
			} else if !a.isGood() {
				t.Errorf("success with status %d", status)
			}
		}
	})
}

func FuzzAsyncAnswer(f *testing.F) {
	for _, body := range []string{
		``, `""`, `[]`, `{}`, `<html>`, `{"status":{"requestStatus":"Complete","resultStatus":"OK","hasErrors":false}}`,
		`{"status":"Error"}`, `{"status":{"requestStatus":"Complete","requestId":"J-1"}}`, `{"status":{"requestStatus":"Complete","requestId":"j-2"}}`, `{"status":{"requestStatus":"sesame-1"}}`, `{"resultMessages":[{"resultCode":"AsyncRequestStatusNotFound"}]}`,
		`{"page":2,"pageSize":50,"count":9,"items":[{"status":"OK","message":"sesame-1"},{"status":"OK","errorCode":2},{"errors":[{"name":"sesame-1"}]},null,[]]}`,
		`{"page":"1e9","count":-1,"items":[{}]}`, `{"items":{}}`,
	} {
		for _, status := range []int{200, 404} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := &answer{op: OpAsyncStatus, status: status, body: []byte(body), hide: "sesame-1"}
		s, err := a.asyncStatus("j-1")
		checkFailure(t, err, s == AsyncStatus{}, true)
		switch {
		case (s.Found || err == nil && !isAsyncNotFound(fuzzed(a))) && !a.isGood():
			t.Errorf("%+v, error %v with status %d", s, err, status)
		case s.AllOK() && (!s.Done() || s.HasErrors) || s.Done() && !s.Found:
			t.Errorf("%+v contradicts itself", s)
		case strings.Contains(s.RequestStatus+s.ResultStatus, "sesame-1"):
			t.Errorf("status shows the secret: %+v", s)
		}
		r, err := a.asyncResults(2)
		checkFailure(t, err, !r.Found && r.Items == nil, true)
		if r.Found && !a.isGood() || r.Found != (r.Page == 2) || r.Count < 0 || r.PageSize < 0 {
			t.Errorf("results %+v with status %d", r, status)
		}
		for _, row := range r.Items {
			if row.OK && (row.Code != 0 || len(row.Errors) > 0) || len(row.Errors) > maxDetails {
				t.Errorf("row is %+v", row)
			}
			for _, d := range append(row.Errors, row.Detail) {
				if strings.Contains(d.Message+"\n"+d.Name+"\n"+d.CodeText, "sesame-1") {
					t.Errorf("row shows the secret: %+v", row)
				}
			}
		}
	})
}

func fuzzed(a *answer) any {
	v, _ := a.decode()
	return v
}

func checkFailure(t *testing.T, err error, empty, good bool) {
	t.Helper()
	if err == nil {
		if !good {
			t.Error("no error for a bad status")
		}
		return
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		t.Errorf("error is %v; want an *Error", err)
	case !empty:
		t.Errorf("a result beside error %v", err)
	case len(e.Body) > maxBody || len(e.Additional) > maxDetails || e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter:
		t.Errorf("error is out of bounds: %+v", e)
	case strings.Contains(e.Error(), "sesame-1") || strings.Contains(string(e.Body), "sesame-1"):
		t.Errorf("error shows the secret: %v", e)
	case strings.ContainsAny(e.Error(), "\r\n\x00") || !utf8.ValidString(e.Error()):
		t.Errorf("error is not one line of text: %q", e.Error())
	case e.Err != nil && !good:
		t.Errorf("bad status has a cause: %v", e.Err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)
	const body = 7 * time.Second
	for header, want := range map[string]time.Duration{
		"":                              body,
		"soon":                          body,
		"5":                             5 * time.Second,
		" 5 ":                           5 * time.Second,
		"1.5":                           1500 * time.Millisecond,
		"0":                             0,
		"-1":                            0,
		"99999999999999999999":          24 * time.Hour,
		"NaN":                           0,
		"Tue, 23 Jun 2026 14:53:45 GMT": time.Minute,
		"Tue, 23 Jun 2026 14:51:45 GMT": 0,
		"Tue, 23 Jun 2099 14:51:45 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(header, body, now); got != want {
			t.Errorf("retryAfter(%q) = %v; want %v", header, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for want, vs := range map[time.Duration][]any{
		0:               {nil, "", "x", true, []any{}, json.Number("-1"), json.Number("0"), "NaN", "-Inf"},
		5 * time.Second: {json.Number("5"), "5", " 5 ", json.Number("5.0")},
		time.Hour:       {json.Number("3600"), json.Number("1e999"), "Inf", json.Number("18446744073709551615")},
	} {
		for _, v := range vs {
			if got := seconds(v, time.Hour); got != want {
				t.Errorf("seconds(%v) = %v; want %v", v, got, want)
			}
		}
	}
}

// Long lists and long texts of an answer are bounded.
func TestBounds(t *testing.T) {
	t.Parallel()
	item := `{"message":"` + strings.Repeat("é", maxText) + `"}`
	list := "[" + strings.Repeat(item+",", maxDetails+5) + item + "]"
	f := readFault(map[string]any{"additionalErrors": decoded(t, list), "errors": decoded(t, list), "message": "m"})
	if len(f.additional) != maxDetails || len(f.additional[0].Message) != maxText {
		t.Errorf("%d details, the first of %d bytes; want %d of %d", len(f.additional), len(f.additional[0].Message), maxDetails, maxText)
	}
}

func decoded(t *testing.T, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
