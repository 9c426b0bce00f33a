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
	} {
		for _, status := range []int{200, 400, 429} {
			f.Add(status, "5", "application/json", body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, retryAfter, contentType, body string) {
		a := &answer{op: OpUpsertRows, status: status, body: []byte(body), hide: "sesame-1"}
		a.header = http.Header{"Retry-After": {retryAfter}, "Content-Type": {contentType}}
		good := status >= 200 && status <= 299
		rows, err := a.rows()
		checkFailure(t, err, rows == nil, good)
		id, err := a.eventInstanceID()
		checkFailure(t, err, id == "", good)
		a.op = OpToken
		tok, err := a.token(time.Now())
		checkFailure(t, err, tok == nil, good)
		if err == nil && (tok.AccessToken == "" || !tok.ExpiresAt.After(time.Now())) {
			t.Errorf("token is %+v; want a token that lives", tok)
		}
	})
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
