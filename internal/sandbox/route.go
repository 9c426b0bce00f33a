package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxBody is the largest request body, in bytes. Vendor page
	// postDataExtensionRowsetByKey: "maximum payload size is 5 MB".
	maxBody = 5 << 20
	// maxDrain is how much of a body that is too large is read and thrown away,
	// so that the caller sees the 413 and not a broken connection.
	maxDrain = 32 << 20
	// unknownRoute is the name under which calls to no route are counted: one
	// name, so that strangers' paths do not fill the memory.
	unknownRoute = "(unknown route)"
)

// route is one operation of the vendor's API.
type route struct {
	method  string
	pattern string   // segments in braces match any one segment
	scopes  []string // all of them are needed
	open    bool     // no token is needed
	json    bool     // the body must be JSON
	handle  func(*Sandbox, *call) (answer, error)

	name string // method and pattern; set by routes
}

// routes lists every operation. Scopes: vendor page "REST API Permission IDs
// and Scopes".
func routes() []route {
	list := []route{
		{method: "POST", pattern: "/v2/token", open: true, handle: (*Sandbox).token},
		{method: "GET", pattern: "/v2/userinfo", handle: (*Sandbox).userinfo},
		{method: "GET", pattern: "/platform/v1/tokenContext", handle: (*Sandbox).tokenContext},
		{method: "GET", pattern: "/platform/v1/endpoints", handle: (*Sandbox).endpoints},
		{method: "GET", pattern: "/platform/v1/endpoints/{type}", handle: (*Sandbox).endpoint},
		{
			method: "POST", pattern: "/hub/v1/dataevents/{id}/rowset", json: true,
			scopes: []string{"data_extensions_write"}, handle: (*Sandbox).upsertRows,
		},
		{
			method: "PUT", pattern: "/hub/v1/dataevents/{id}/rows/{primaryKeys}", json: true,
			scopes: []string{"data_extensions_write"}, handle: (*Sandbox).upsertRow,
		},
		{
			method: "GET", pattern: "/data/v1/customobjectdata/key/{key}/rowset",
			scopes: []string{"data_extensions_read"}, handle: (*Sandbox).readRows,
		},
		{
			method: "GET", pattern: "/data/v1/customobjectdata/token/{token}/rowset",
			scopes: []string{"data_extensions_read"}, handle: (*Sandbox).readMoreRows,
		},
		{
			method: "POST", pattern: "/interaction/v1/events", json: true,
			scopes: []string{"journeys_read", "list_and_subscribers_read"}, handle: (*Sandbox).fireEvent,
		},
		{
			method: "POST", pattern: "/interaction/v1/async/events", json: true,
			scopes: []string{"journeys_read", "list_and_subscribers_read"}, handle: (*Sandbox).fireEvents,
		},
		{
			method: "POST", pattern: "/data/v1/async/dataextensions/{id}/rows", json: true,
			scopes: []string{"data_extensions_write"}, handle: (*Sandbox).insertRows,
		},
		{
			method: "PUT", pattern: "/data/v1/async/dataextensions/{id}/rows", json: true,
			scopes: []string{"data_extensions_write"}, handle: (*Sandbox).putRows,
		},
		{
			method: "GET", pattern: "/data/v1/async/{requestId}/status",
			scopes: []string{"data_extensions_read"}, handle: (*Sandbox).jobStatus,
		},
		{
			method: "GET", pattern: "/data/v1/async/{requestId}/results",
			scopes: []string{"data_extensions_read"}, handle: (*Sandbox).jobResults,
		},
		{
			method: "POST", pattern: "/messaging/v1/email/messages", json: true,
			scopes: []string{"email_send"}, handle: (*Sandbox).sendMessages,
		},
		{
			method: "POST", pattern: "/messaging/v1/email/messages/{messageKey}", json: true,
			scopes: []string{"email_send"}, handle: (*Sandbox).sendMessage,
		},
		{
			method: "GET", pattern: "/messaging/v1/email/messages/{messageKey}",
			scopes: []string{"email_read"}, handle: (*Sandbox).messageStatus,
		},
	}
	list = append(list, ensRoutes()...)
	for i := range list {
		list[i].name = list[i].method + " " + list[i].pattern
	}
	return list
}

// call is one request, read to its end.
type call struct {
	request  *http.Request
	body     []byte
	tooLarge bool
	route    *route            // nil when no route fits
	params   map[string]string // segments in braces, still percent-encoded
	token    token             // set when the route needs one
}

// name is the call's route in counts and logs.
func (c *call) name() string {
	if c.route == nil {
		return unknownRoute
	}
	return c.route.name
}

// param is a segment of the path, decoded. A segment that cannot be decoded
// never gets here: net/url refuses it.
func (c *call) param(name string) string {
	raw := c.params[name]
	if s, err := url.PathUnescape(raw); err == nil {
		return s
	}
	return raw
}

// origin is the scheme and host by which the caller reached the sandbox, so
// that the addresses in answers lead back here through any port or proxy.
func origin(r *http.Request) string {
	scheme := "http"
	forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	if r.TLS != nil || strings.EqualFold(strings.TrimSpace(forwarded), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// ServeHTTP answers as Marketing Cloud would, after the faults that match. The
// order of refusals is: 596, 401, 403, 415, 413, then what the route says.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; p == "/_sandbox" || strings.HasPrefix(p, "/_sandbox/") {
		s.control(w, r)
		return
	}
	c := s.match(r)
	// The body is read before any delay: net/http notices that a caller hung up
	// only once the body is read.
	var err error
	if c.body, err = readBody(r); err != nil {
		panic(http.ErrAbortHandler) // nobody is left to answer
	}
	if c.tooLarge = len(c.body) > maxBody; c.tooLarge {
		c.body = nil
		if _, err := io.CopyN(io.Discard, r.Body, maxDrain); err != nil && !errors.Is(err, io.EOF) {
			panic(http.ErrAbortHandler)
		}
	}

	f := s.arrive(c)
	if !wait(r.Context(), f.delay) || f.dropRequest {
		s.logCall(c, 0)
		panic(http.ErrAbortHandler)
	}
	var a answer
	if f.answer != nil {
		a = f.answer(s, c)
	} else {
		a = s.process(c)
	}
	if f.dropAnswer {
		s.logCall(c, 0)
		panic(http.ErrAbortHandler)
	}
	s.logCall(c, a.status)
	a.write(w)
}

// readBody reads a body to its end, or as far as tells that it is too large.
func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, maxBody)) + bytes.MinRead) // so that it does not grow
	}
	_, err := b.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	return b.Bytes(), err
}

// logCall writes the one line of a call; status 0 is a connection that was
// closed without an answer.
func (s *Sandbox) logCall(c *call, status int) {
	s.log.LogAttrs(c.request.Context(), slog.LevelDebug, "answered",
		slog.String("route", c.name()), slog.Int("status", status), slog.Int("request_bytes", len(c.body)))
}

// wait returns after d, or at once with false when the context ends.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// process does what the call asks for and turns a refusal into its answer.
func (s *Sandbox) process(c *call) answer {
	a, err := s.perform(c)
	if err == nil {
		return a
	}
	if r, ok := errors.AsType[refusal](err); ok {
		return r.answer()
	}
	s.log.ErrorContext(c.request.Context(), "call failed", "route", c.name(), "err", err)
	return failure(http.StatusInternalServerError, codeInternal).answer()
}

// perform checks what all routes have in common, then runs the call's own.
func (s *Sandbox) perform(c *call) (answer, error) {
	if c.route == nil {
		return answer{}, gatewayRefusal{}
	}
	if !c.route.open {
		t, err := s.authenticate(c.request)
		if err != nil {
			return answer{}, err
		}
		for _, scope := range c.route.scopes {
			if !t.allows(scope) {
				return answer{}, failure(http.StatusForbidden, codeInsufficientPrivileges)
			}
		}
		c.token = t
	}
	if c.route.json && !isJSON(c.request) {
		return answer{}, failure(http.StatusUnsupportedMediaType, noCode)
	}
	if c.tooLarge {
		return answer{}, failure(http.StatusRequestEntityTooLarge, noCode)
	}
	return c.route.handle(s, c)
}

// isJSON tells whether the body is declared as JSON, with any parameters. A
// request that declares nothing is taken as JSON: curl users forget.
func isJSON(r *http.Request) bool {
	declared := r.Header.Get("Content-Type")
	if declared == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(declared)
	return err == nil && media == "application/json"
}

// match finds the call's route. It works on the path as it was sent, since an
// external key or a primary key may hold an encoded slash, colon or comma.
func (s *Sandbox) match(r *http.Request) *call {
	c := &call{request: r}
	path := r.URL.EscapedPath()
	// Vendor pages getEndpoints, getTokenContext and sendMessageMultipleRecipients
	// show both with and without a slash at the end.
	if strings.HasPrefix(path, "/platform/") || path == "/messaging/v1/email/messages/" {
		path = strings.TrimSuffix(path, "/")
	}
	segments := strings.Split(path, "/")
	for i := range s.routes {
		candidate := &s.routes[i]
		if candidate.method != r.Method {
			continue
		}
		if params, ok := matchSegments(candidate.pattern, segments); ok {
			c.route, c.params = candidate, params
			return c
		}
	}
	return c
}

// matchSegments compares a path with a pattern, segment by segment.
func matchSegments(pattern string, segments []string) (map[string]string, bool) {
	var params map[string]string
	for _, segment := range segments {
		var want string
		var more bool
		want, pattern, more = strings.Cut(pattern, "/")
		if strings.HasPrefix(want, "{") && segment != "" {
			if params == nil {
				params = make(map[string]string, 2)
			}
			params[strings.Trim(want, "{}")] = segment
		} else if want != segment {
			return nil, false
		}
		if !more {
			pattern = "\x00" // nothing may follow: no segment equals this
		}
	}
	return params, pattern == "\x00"
}

// authenticate finds the token of an "Authorization: Bearer" header. Missing,
// invented, revoked and expired tokens get one and the same answer.
func (s *Sandbox) authenticate(r *http.Request) (token, error) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return token{}, failure(http.StatusUnauthorized, codeNotAuthorized)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.world.tokens.find(strings.TrimSpace(value), s.now())
	if !ok {
		return token{}, failure(http.StatusUnauthorized, codeNotAuthorized)
	}
	return t, nil
}

// decodeBody reads a JSON body into v. Trailing bytes and wrong types are
// refused like broken JSON.
func decodeBody(body []byte, v any) error {
	if json.Unmarshal(body, v) != nil {
		return failure(http.StatusBadRequest, codeInvalidFormat)
	}
	return nil
}
