// Package web is the HTTP plumbing that every listener shares: handlers that
// return errors, one log line a request, limits, headers and the client's
// address.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// HandlerFunc is a handler that may fail before it has answered. Handle answers
// for it then.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type   string              `json:"type"`
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Detail string              `json:"detail"`
	Errors []onramp.FieldError `json:"errors,omitempty"`
}

// Status gives the HTTP status of a kind of error.
func Status(k onramp.Kind) int {
	switch k {
	case onramp.Malformed:
		return http.StatusBadRequest
	case onramp.Denied:
		return http.StatusUnauthorized
	case onramp.Forbidden:
		return http.StatusForbidden
	case onramp.NotFound:
		return http.StatusNotFound
	case onramp.Conflict:
		return http.StatusConflict
	case onramp.TooLarge:
		return http.StatusRequestEntityTooLarge
	case onramp.Unsupported:
		return http.StatusUnsupportedMediaType
	case onramp.Invalid:
		return http.StatusUnprocessableEntity
	case onramp.Limited:
		return http.StatusTooManyRequests
	case onramp.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// PublicError gives what may be shown of an error: itself when it is an
// *onramp.Error, else one that says nothing but "internal error".
func PublicError(err error) *onramp.Error {
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		return e
	}
	return &onramp.Error{Kind: onramp.Internal, Message: "internal error", Err: err}
}

// WriteProblem answers with the problem document of an error.
func WriteProblem(w http.ResponseWriter, e *onramp.Error) {
	PrepareError(w, e)
	writeProblem(w, Status(e.Kind), e.Message, e.Fields)
}

func writeProblem(w http.ResponseWriter, status int, detail string, fields []onramp.FieldError) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// a client that has gone away is nobody's error
	_ = json.NewEncoder(w).Encode(Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields,
	})
}

// PrepareError sets the headers that an error brings, whatever its body.
func PrepareError(w http.ResponseWriter, e *onramp.Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if e.Kind == onramp.Denied && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="onramp"`)
	}
	if errors.Is(e, errCoding) {
		w.Header().Set("Accept-Encoding", Codings)
	}
	w.Header().Set("Cache-Control", "no-store")
}

var contentJSON = []string{"application/json"}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header()["Content-Type"] = contentJSON
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone away is nobody's error
	return nil
}

// Server is what all handlers of a listener share.
type Server struct {
	Log *slog.Logger
	// Part names the listener in the log.
	Part string
	// Meter is told of every answer. Optional.
	Meter Meter
	// Failed answers an error in another form than a problem document; it says
	// whether it did. Optional.
	Failed func(w http.ResponseWriter, r *http.Request, e *onramp.Error) bool
	// Tracer puts requests into traces. Optional.
	Tracer Tracer

	refusals ration
	named    sync.Once
	log      *slog.Logger // see partLog
}

// Handle makes an http.Handler of a HandlerFunc: it answers errors and panics,
// and writes the one log line of the request.
func (s *Server) Handle(h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		cover(r.Context())
		recorder := &recorder{ResponseWriter: w}
		if s.Tracer != nil {
			r, recorder.traced = s.Tracer.Begin(r)
		}
		err := run(h, recorder, r)
		answered := recorder.status != 0
		switch {
		case err == http.ErrAbortHandler:
			defer panic(err) // for net/http, which closes the connection
		case err == nil:
			err = recorder.misuse
		case !answered:
			s.answer(recorder, r, PublicError(err))
		}
		s.logRequest(r, recorder, time.Since(begin), err, answered)
	})
}

// answer answers an error, also when the context has ended: the client may have
// closed only its half of the connection, and net/http would answer it with 200.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, e *onramp.Error) {
	if s.Failed == nil || !s.Failed(w, r, e) {
		WriteProblem(w, e)
	}
}

// run turns a panic into an error with its stack, but for the one by which a
// handler asks net/http to close the connection: that becomes the error itself.
func run(h HandlerFunc, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = http.ErrAbortHandler
		default:
			err = panicked(p, debug.Stack())
		}
	}()
	return h(w, r)
}

// statusClientGone is what the log shows for a client that did not wait.
const statusClientGone = 499

// logRequest writes the line of a request. An error after the answer was begun is one of
// ours, whatever the status: the client got another answer. Of refusals, which
// strangers can cause at will, it writes a few in a second and counts the others.
func (s *Server) logRequest(r *http.Request, w *recorder, took time.Duration, err error, answered bool) {
	level := slog.LevelInfo
	status := w.status
	switch {
	case r.Context().Err() != nil && errors.Is(err, context.Canceled):
		status = statusClientGone
	case err == http.ErrAbortHandler:
	case status == 0:
		status = http.StatusOK
	case status >= 500 || answered && err != nil:
		level = slog.LevelError
	}
	var reason string
	if status >= 400 {
		reason = reasonOf(status, err)
	}
	if s.Meter != nil {
		s.Meter.Answered(Answer{s.Part, r.Pattern, w.note.Form, status, reason, took})
	}
	w.endTrace(status)
	if !s.Log.Enabled(r.Context(), level) {
		return
	}
	// the pattern, not the path: a path may hold what a stranger typed
	attributes := [10]slog.Attr{
		slog.String("method", methodName(r.Method)), slog.String("route", r.Pattern),
		slog.Int("status", status), slog.String("took", took.Round(time.Microsecond).String()),
	}
	n := 4
	add := func(key, value string) {
		if value != "" {
			attributes[n] = slog.String(key, value)
			n++
		}
	}
	add("form", w.note.Form)
	add("registration_id", w.note.Registration)
	add("fields", w.note.Fields)
	add("held", w.note.Held)
	add("operator", w.note.Operator)
	if reason != "" {
		if !s.refusals.allow(refusalKind{status, reason}, func(more int) { s.logMore(level, status, reason, more) }) {
			return
		}
		add("reason", reason)
	}
	if err != nil {
		add("err", err.Error())
	}
	s.partLog().LogAttrs(r.Context(), level, "request", attributes[:n]...)
}

// partLog is the log with the name of the listener, which is written out only once.
func (s *Server) partLog() *slog.Logger {
	s.named.Do(func() { s.log = s.Log.With("part", s.Part) })
	return s.log
}

// logMore writes the line for all refusals of a second that had none.
func (s *Server) logMore(level slog.Level, status int, reason string, count int) {
	s.partLog().LogAttrs(context.Background(), level, "more of the same",
		slog.Int("status", status), slog.String("reason", reason), slog.Int("count", count))
}

// recorder notes the status that a handler writes.
type recorder struct {
	http.ResponseWriter
	status int
	misuse error                         // what the handler did wrong, for the log
	traced func(form string, status int) // ends the request's span; nil: it has none
	note   Note
}

// Note is what the log line of a request names beside the request itself. None of it
// may be what a stranger typed.
type Note struct {
	Form         string // its name
	Registration string // id
	Fields       string // names of those that were refused
	Held         string // why the registration is under suspicion
	Operator     string // name of the admin token
}

// Annotate sets the note of a request. w is what the handler of a Server was given.
func Annotate(w http.ResponseWriter, n Note) {
	if r, ok := w.(*recorder); ok {
		r.note = n
	}
}

// endTrace ends the request's span, if it has one.
func (w *recorder) endTrace(status int) {
	if w.traced != nil {
		w.traced(w.note.Form, status)
	}
}

var errSecondStatus = errors.New("the handler set a second status, which was dropped")

// WriteHeader notes the first status; a second one is dropped.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		w.misuse = errSecondStatus
		return
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Network returns the address by which limits count: an IPv4 address itself, and for
// IPv6 the first of its /64, since a subscriber has all of those. It has no zone; an
// invalid one stays invalid.
func Network(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}

// NotFound answers routes that do not exist.
func NotFound(http.ResponseWriter, *http.Request) error {
	return &onramp.Error{Kind: onramp.NotFound, Message: "there is nothing at this address"}
}
