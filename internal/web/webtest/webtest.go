// Package webtest asks HTTP handlers in tests, compares whole answers, and finds free addresses.
package webtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Answer is all that a client sees.
type Answer struct {
	Status int
	Header http.Header // but for Content-Length, Date and Connection
	Body   string
}

// Do sends a request, such as "GET /healthz", from 192.0.2.1; headers are given as
// "Name: value".
func Do(ctx context.Context, h http.Handler, request, body string, headers ...string) Answer {
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return AnswerOf(w.Result())
}

// AnswerOf reads a response to its end and closes it.
func AnswerOf(r *http.Response) Answer {
	defer r.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, r.Body); err != nil {
		body.WriteString(err.Error())
	}
	r.Header.Del("Content-Length")
	r.Header.Del("Date")
	r.Header.Del("Connection")
	return Answer{r.StatusCode, r.Header, body.String()}
}

// Headers is the set that an answer should have, given as "Name: value", beside
// the one that all have.
func Headers(lines ...string) http.Header {
	h := http.Header{"X-Content-Type-Options": {"nosniff"}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// Problem is the whole answer to a refused request. more is what follows "detail"
// in the document, and lines are further headers.
func Problem(status int, detail, more string, lines ...string) Answer {
	return Answer{
		Status: status,
		Header: Headers(append([]string{"Content-Type: application/problem+json", "Cache-Control: no-store"}, lines...)...),
		Body:   fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q%s}`+"\n", http.StatusText(status), status, detail, more),
	}
}

// Check fails the test unless an answer is the wanted one.
func Check(t *testing.T, want, got Answer) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// Good is an answer that refuses nothing.
func Good(status int, header http.Header, body string) Answer {
	return Answer{Status: status, Header: header, Body: body}
}

// FieldErrors is the list of a problem document that names fields: pairs of a field and
// what is wrong with it.
func FieldErrors(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, fmt.Sprintf(`{"field":%q,"message":%q%s}`, pairs[i], pairs[i+1], codeOf(pairs[i+1])))
	}
	return `,"errors":[` + strings.Join(list, ",") + `]`
}

// codeOf is the code that goes with a message about a field of a form.
func codeOf(message string) string {
	for begin, code := range map[string]string{
		"is required": "required", "is not a field of this form": "unknown", "is given more than once": "doubled",
		"must be a valid email address": "email", "must be at most ": "too_long", "must be true or false": "boolean",
		"must be text": "text", "must not contain control characters": "text",
		"must not contain half of a surrogate pair": "surrogate", "must be valid UTF-8": "text", "must be a whole number": "integer", "must be a decimal number": "decimal",
		"must be a date": "date", "must have an offset": "date", "must be between the years": "date", "must end with its time zone": "date_zone",
		"must be a phone number": "phone", "must be a complete phone number": "phone", "must be a locale": "locale", "must be one of the choices": "choice",
		"does not have the required format": "pattern",
	} {
		if strings.HasPrefix(message, begin) {
			return fmt.Sprintf(`,"code":%q`, code)
		}
	}
	return ""
}
