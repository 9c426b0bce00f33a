// Package webtest asks HTTP handlers in tests, and compares whole answers.
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
