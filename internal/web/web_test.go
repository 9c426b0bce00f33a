package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// seen is what a client gets and what an operator finds in the log.
type seen struct {
	Status int
	Header http.Header
	Body   string
	Log    []line
}

// line is one record of the log, without its time and how long it took.
type line struct {
	Level, Msg, Part, Method, Route string
	Status                          int
	Err                             string
}

// call sends GET /people/jane@example.org with a body to a handler.
func call(t *testing.T, h web.HandlerFunc, change func(*web.Server), r *http.Request) seen {
	t.Helper()
	var log bytes.Buffer
	s := &web.Server{Log: slog.New(slog.NewJSONHandler(&log, nil)), Part: "public"}
	if change != nil {
		change(s)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /people/{address}", s.Handle(h))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if strings.Contains(log.String(), "jane") || strings.Contains(log.String(), "secret") {
		t.Errorf("the path or the body is in the log:\n%s", log.String())
	}
	got := seen{Status: w.Code, Header: w.Header(), Body: w.Body.String()}
	for record := range strings.Lines(log.String()) {
		var l line
		if err := json.Unmarshal([]byte(record), &l); err != nil {
			t.Fatal(err)
		}
		l.Err, _, _ = strings.Cut(l.Err, "\n") // a stack follows
		got.Log = append(got.Log, l)
	}
	return got
}

func request(ctx context.Context) *http.Request {
	return httptest.NewRequestWithContext(ctx, "GET", "/people/jane@example.org?q=secret", strings.NewReader("secret"))
}

func logged(level string, status int, err string) []line {
	return []line{{level, "request", "public", "GET", "GET /people/{address}", status, err}}
}

func problem(status int, detail string, lines ...string) seen {
	h := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Set(name, value)
	}
	return seen{
		Status: status, Header: h,
		Body: fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q}`+"\n", http.StatusText(status), status, detail),
	}
}

// Every kind of error: what the client gets, and the one line of the log.
func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("SELECT failed")
	withLog := func(s seen, log []line) seen { s.Log = log; return s }
	known := func(k onramp.Kind) error { return &onramp.Error{Kind: k, Message: "a message"} }
	for name, row := range map[string]struct {
		err  error
		want seen
	}{
		"malformed":   {known(onramp.Malformed), withLog(problem(400, "a message"), logged("INFO", 400, "a message"))},
		"denied":      {known(onramp.Denied), withLog(problem(401, "a message", `WWW-Authenticate: Bearer realm="onramp"`), logged("INFO", 401, "a message"))},
		"not found":   {known(onramp.NotFound), withLog(problem(404, "a message"), logged("INFO", 404, "a message"))},
		"conflict":    {known(onramp.Conflict), withLog(problem(409, "a message"), logged("INFO", 409, "a message"))},
		"too large":   {known(onramp.TooLarge), withLog(problem(413, "a message"), logged("INFO", 413, "a message"))},
		"unsupported": {known(onramp.Unsupported), withLog(problem(415, "a message"), logged("INFO", 415, "a message"))},
		"internal":    {known(onramp.Internal), withLog(problem(500, "a message"), logged("ERROR", 500, "a message"))},
		"unavailable": {
			&onramp.Error{Kind: onramp.Unavailable, Message: "try again", RetryAfter: 1500 * time.Millisecond, Err: cause},
			withLog(problem(503, "try again", "Retry-After: 2"), logged("ERROR", 503, "try again: SELECT failed")),
		},
		"soon": {
			&onramp.Error{Kind: onramp.Unavailable, Message: "try again", RetryAfter: time.Millisecond},
			withLog(problem(503, "try again", "Retry-After: 1"), logged("ERROR", 503, "try again")),
		},
		"invalid": {
			&onramp.Error{Kind: onramp.Invalid, Message: "some fields", Fields: []onramp.FieldError{{Field: "a", Message: "is <wrong>"}, {Field: "", Message: "x"}}},
			seen{
				422,
				http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}},
				`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"some fields",` +
					`"errors":[{"field":"a","message":"is \u003cwrong\u003e"},{"field":"","message":"x"}]}` + "\n",
				logged("INFO", 422, "some fields"),
			},
		},
		"wrapped":       {fmt.Errorf("find: %w", known(onramp.NotFound)), withLog(problem(404, "a message"), logged("INFO", 404, "find: a message"))},
		"anything else": {fmt.Errorf("find: %w", cause), withLog(problem(500, "internal error"), logged("ERROR", 500, "find: SELECT failed"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, func(http.ResponseWriter, *http.Request) error { return row.err }, nil, request(t.Context()))
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A panic is an error like another, with its stack in the log.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := func(http.ResponseWriter, *http.Request) error {
		var none []int
		_ = none[len(none)]
		return nil
	}
	got := call(t, h, func(s *web.Server) {
		s.Log = slog.New(slog.NewJSONHandler(&log, nil))
	}, request(t.Context()))
	if diff := cmp.Diff(problem(500, "internal error"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "TestPanic") || strings.Contains(log.String(), "jane") || strings.Contains(log.String(), "secret") {
		t.Errorf("should be one line with the stack, without path and body:\n%s", log.String())
	}
	want := problem(500, "internal error")
	want.Log = logged("ERROR", 500, "panic: runtime error: index out of range [0] with length 0")
	if diff := cmp.Diff(want, call(t, h, nil, request(t.Context()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A handler that gives up on a connection is left to net/http, which closes it.
func TestAbort(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &web.Server{Log: slog.New(slog.NewJSONHandler(&log, nil)), Part: "public"}
	server := httptest.NewServer(s.Handle(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }))
	defer server.Close()
	if r, err := server.Client().Get(server.URL); err == nil {
		r.Body.Close()
		t.Errorf("got status %d, want a closed connection", r.StatusCode)
	}
	server.Close() // the handler has ended
	if n := strings.Count(log.String(), `"level":"INFO"`); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("want one line, no error:\n%s", log.String())
	}
}

// Good answers, and handlers that fail when they have answered already.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		handler web.HandlerFunc
		want    seen
	}{
		"JSON": {
			func(w http.ResponseWriter, _ *http.Request) error {
				return web.WriteJSON(w, 202, map[string]string{"a": "<"})
			},
			seen{202, http.Header{"Content-Type": {"application/json"}, "Content-Length": {"15"}}, `{"a":"\u003c"}` + "\n", logged("INFO", 202, "")},
		},
		"what is no JSON": {
			func(w http.ResponseWriter, _ *http.Request) error { return web.WriteJSON(w, 200, func() {}) },
			seen{
				500, problem(500, "internal error").Header, problem(500, "internal error").Body,
				logged("ERROR", 500, "encode answer: json: unsupported type: func()"),
			},
		},
		"without a status": {
			func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "hello"); return err },
			seen{200, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "hello", logged("INFO", 200, "")},
		},
		"nothing": {
			func(http.ResponseWriter, *http.Request) error { return nil },
			seen{200, http.Header{}, "", logged("INFO", 200, "")},
		},
		"a second status": {
			func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(404)
				w.WriteHeader(200)
				return nil
			},
			seen{404, http.Header{}, "", logged("ERROR", 404, "the handler set a second status, which was dropped")},
		},
		"a status after the body": {
			func(w http.ResponseWriter, _ *http.Request) error {
				_, err := io.WriteString(w, "hello")
				w.WriteHeader(500)
				return err
			},
			seen{200, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "hello", logged("ERROR", 200, "the handler set a second status, which was dropped")},
		},
		"an error after the answer": {
			func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(204)
				return errors.New("too late")
			},
			seen{204, http.Header{}, "", logged("ERROR", 204, "too late")},
		},
		"not found": {web.NotFound, seen{
			404, problem(404, "").Header, problem(404, "there is nothing at this address").Body, logged("INFO", 404, "there is nothing at this address"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(row.want, call(t, row.handler, nil, request(t.Context()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Another form of error answer, where there is one.
func TestFailed(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]bool{"takes it": true, "leaves it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told *onramp.Error
			got := call(t, func(http.ResponseWriter, *http.Request) error { return errors.New("SELECT failed") }, func(s *web.Server) {
				s.Failed = func(w http.ResponseWriter, _ *http.Request, e *onramp.Error) bool {
					told = e
					if takes {
						w.WriteHeader(web.Status(e.Kind))
						_, _ = io.WriteString(w, e.Message)
					}
					return takes
				}
			}, request(t.Context()))
			want := problem(500, "internal error")
			if takes {
				want = seen{Status: 500, Header: http.Header{}, Body: "internal error"}
			}
			want.Log = logged("ERROR", 500, "SELECT failed")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if told == nil || told.Message != "internal error" {
				t.Errorf("told %+v", told)
			}
		})
	}
}

// A client that has gone is nobody's error. Should it still listen, it is not
// left with a 200.
func TestClientGone(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want seen
	}{
		"while something was done for it": {
			fmt.Errorf("query: %w", context.Canceled),
			seen{500, problem(500, "").Header, problem(500, "internal error").Body, logged("INFO", 499, "query: context canceled")},
		},
		"while it was sending": {
			&onramp.Error{Kind: onramp.Malformed, Message: "broken off", Err: io.ErrUnexpectedEOF},
			seen{400, problem(400, "").Header, problem(400, "broken off").Body, logged("INFO", 400, "broken off: unexpected EOF")},
		},
		"while something broke": {
			errors.New("disk"), seen{500, problem(500, "").Header, problem(500, "internal error").Body, logged("ERROR", 500, "disk")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			got := call(t, func(http.ResponseWriter, *http.Request) error { leave(); return row.err }, nil, request(ctx))
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A log that does not want good requests is not bothered with them.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	quiet := func(s *web.Server) {
		s.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	call(t, func(http.ResponseWriter, *http.Request) error { return nil }, quiet, request(t.Context()))
	if log.Len() != 0 {
		t.Errorf("logged %s", log.String())
	}
	call(t, func(http.ResponseWriter, *http.Request) error { return errors.New("disk") }, quiet, request(t.Context()))
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %s", log.String())
	}
}

// A handler reaches the connection through the recorder.
func TestResponseController(t *testing.T) {
	t.Parallel()
	got := call(t, func(w http.ResponseWriter, _ *http.Request) error {
		return http.NewResponseController(w).Flush()
	}, nil, request(t.Context()))
	if got.Log[0].Err != "" {
		t.Errorf("could not flush: %s", got.Log[0].Err)
	}
}
