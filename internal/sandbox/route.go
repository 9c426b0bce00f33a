package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/wire"
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

// route is a wire.Route with its name in counts and logs: method and pattern.
type route struct {
	wire.Route
	name string
}

// operations lists every operation. Scopes: vendor page "REST API Permission IDs
// and Scopes".
func (s *Sandbox) operations() []route {
	list := []wire.Route{
		{Method: "POST", Pattern: "/v2/token", Open: true, Handle: s.token},
		{
			Method: "POST", Pattern: "/hub/v1/dataevents/{id}/rowset", JSON: true,
			Scopes: []string{"data_extensions_write"}, Handle: s.upsertRows,
		},
		{
			Method: "PUT", Pattern: "/hub/v1/dataevents/{id}/rows/{primaryKeys}", JSON: true,
			Scopes: []string{"data_extensions_write"}, Handle: s.upsertRow,
		},
		{
			Method: "GET", Pattern: "/data/v1/customobjectdata/key/{key}/rowset",
			Scopes: []string{"data_extensions_read"}, Handle: s.readRows,
		},
		{
			Method: "GET", Pattern: "/data/v1/customobjectdata/token/{token}/rowset",
			Scopes: []string{"data_extensions_read"}, Handle: s.readMoreRows,
		},
		{
			Method: "POST", Pattern: "/interaction/v1/events", JSON: true,
			Scopes: []string{"journeys_read", "list_and_subscribers_read"}, Handle: s.fireEvent,
		},
		{
			Method: "POST", Pattern: "/interaction/v1/async/events", JSON: true,
			Scopes: []string{"journeys_read", "list_and_subscribers_read"}, Handle: s.fireEvents,
		},
		{
			Method: "POST", Pattern: "/data/v1/async/dataextensions/{id}/rows", JSON: true,
			Scopes: []string{"data_extensions_write"}, Handle: s.insertRows,
		},
		{
			Method: "PUT", Pattern: "/data/v1/async/dataextensions/{id}/rows", JSON: true,
			Scopes: []string{"data_extensions_write"}, Handle: s.putRows,
		},
		{
			Method: "GET", Pattern: "/data/v1/async/{requestId}/status",
			Scopes: []string{"data_extensions_read"}, Handle: s.jobStatus,
		},
		{
			Method: "GET", Pattern: "/data/v1/async/{requestId}/results",
			Scopes: []string{"data_extensions_read"}, Handle: s.jobResults,
		},
		{
			Method: "POST", Pattern: "/messaging/v1/email/messages", JSON: true,
			Scopes: []string{"email_send"}, Handle: s.sendMessages,
		},
		{
			Method: "POST", Pattern: "/messaging/v1/email/messages/{messageKey}", JSON: true,
			Scopes: []string{"email_send"}, Handle: s.sendMessage,
		},
		{
			Method: "GET", Pattern: "/messaging/v1/email/messages/{messageKey}",
			Scopes: []string{"email_read"}, Handle: s.messageStatus,
		},
	}
	list = append(list, s.rowRoutes()...)
	list = append(list, s.newMetadata().Routes()...)
	list = append(list, s.newContacts().Routes()...)
	list = append(list, s.ens.Routes()...)
	list = append(list, s.soap.Route())
	named := make([]route, len(list))
	for i, r := range list {
		named[i] = route{r, r.Method + " " + r.Pattern}
	}
	return named
}

// call is a wire.Call on its way to its route.
type call struct {
	wire.Call
	tooLarge bool
	route    *route // nil when no route fits
}

// name is the call's route in counts and logs.
func (c *call) name() string {
	if c.route == nil {
		return unknownRoute
	}
	return c.route.name
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

// addressOf is where an API ("auth", "rest" or "soap") is reached: for callers who use
// names such as Marketing Cloud's, TENANT.auth.…, at the API's own; for all others where
// they are now.
func addressOf(r *http.Request, api string) string {
	here := origin(r)
	for _, label := range []string{".auth.", ".rest.", ".soap."} {
		if tenant, domain, found := strings.Cut(here, label); found {
			return tenant + "." + api + "." + domain
		}
	}
	return here
}

// ServeHTTP answers as Marketing Cloud would, after the faults that match; web
// pages of another origin are refused before all else. The order of refusals is: 404, 401, 403, 415, 413, then what the route says.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refused := s.guard.Refusal(r); refused != "" {
		s.log.DebugContext(r.Context(), "call refused", "reason", refused)
		(&controlError{http.StatusForbidden, refused}).answer().Write(w)
		return
	}
	if p := r.URL.Path; p == "/_sandbox" || strings.HasPrefix(p, "/_sandbox/") {
		s.control(w, r)
		return
	}
	c := s.match(r)
	// The body is read before any delay: net/http notices that a caller hung up
	// only once the body is read.
	var err error
	if c.Body, err = readBody(r); err == nil && len(c.Body) > maxBody {
		c.tooLarge, c.Body = true, nil
		_, err = io.CopyN(io.Discard, r.Body, maxDrain)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		// the caller has gone, or whoever serves the sandbox has no room for the body
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}

	f := s.arrive(c)
	var taken *deferredCall
	if f.applies() {
		taken = s.take(c, f.applyAfter())
	}
	a, answered := wire.Answer{}, false
	if wait(r.Context(), f.delay) {
		a, answered = s.answer(r.Context(), c, f.Fault, taken)
	}
	s.logCall(c, a.Status)
	switch {
	case f.Name == FaultReset:
		wire.Reset(w)
	case !answered:
		panic(http.ErrAbortHandler)
	case f.Name == FaultCutBody:
		a.WriteHalf(w)
	default:
		a.Write(w)
	}
}

// answer does what the call asks for, unless it was taken already or a fault stands
// in between, and gives what its caller is answered; ok says whether it is.
func (s *Sandbox) answer(caller context.Context, c *call, f Fault, taken *deferredCall) (a wire.Answer, ok bool) {
	switch {
	case f.Name == FaultDropRequest, f.Name == FaultReset, f.Name == FaultDropAnswer && taken != nil:
		return a, false
	case f.Name == FaultHang:
		s.hang(caller)
		return a, false
	case f.answers():
		return s.faultAnswer(f, &c.Call), true
	case taken != nil:
		return s.await(caller, taken)
	}
	s.carryOut()
	a = s.process(c)
	if f.Name == FaultDropAnswer {
		return wire.Answer{}, false
	}
	return a, true
}

// readBody reads a body to its end, or as far as tells that it is too large.
func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer // grows with what arrives: a Content-Length is only a claim
	_, err := b.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	return b.Bytes(), err
}

// logCall writes the one line of a call; status 0 is a connection that was
// closed without an answer.
func (s *Sandbox) logCall(c *call, status int) {
	s.log.LogAttrs(c.Request.Context(), slog.LevelDebug, "answered",
		slog.String("route", c.name()), slog.Int("status", status), slog.Int("request_bytes", len(c.Body)))
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
func (s *Sandbox) process(c *call) wire.Answer {
	if err := s.admit(c); err != nil {
		return s.refusal(c, err)
	}
	return s.perform(c)
}

// perform does what an admitted call asks for.
func (s *Sandbox) perform(c *call) wire.Answer {
	a, err := c.route.Handle(&c.Call)
	if err != nil {
		return s.refusal(c, err)
	}
	return a
}

// refusal is the answer for an error.
func (s *Sandbox) refusal(c *call, err error) wire.Answer {
	if r, ok := errors.AsType[wire.Refusal](err); ok {
		return r.Answer()
	}
	s.log.ErrorContext(c.Request.Context(), "call failed", "route", c.name(), "err", err)
	return wire.Failure(http.StatusInternalServerError, wire.CodeInternal).Answer()
}

// admit checks what all routes have in common.
func (s *Sandbox) admit(c *call) error {
	if c.route == nil {
		return s.notFound(&c.Call)
	}
	if c.route.Admit != nil {
		if c.tooLarge {
			return wire.Failure(http.StatusRequestEntityTooLarge, wire.NoCode)
		}
		return c.route.Admit(&c.Call)
	}
	if !c.route.Open {
		t, err := s.authenticate(c.Request)
		if err != nil {
			return err
		}
		for _, scope := range c.route.Scopes {
			if !t.Allows(scope) {
				return s.lacksScope(c)
			}
		}
		c.Token = t
	}
	if c.route.JSON && !isJSON(c.Request) {
		return wire.Failure(http.StatusUnsupportedMediaType, wire.NoCode)
	}
	if c.tooLarge {
		return wire.Failure(http.StatusRequestEntityTooLarge, wire.NoCode)
	}
	return nil
}

// isJSON reports whether the body is declared as JSON, with any parameters. A
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
// external key or a primary key may hold an encoded slash, colon or comma. Doubled
// slashes, one at the end, and the case of letters make no difference: the vendor's own
// libraries and pages write /v2/token and //v2/token, tokenContext and tokencontext.
func (s *Sandbox) match(r *http.Request) *call {
	c := &call{Call: wire.Call{Request: r}}
	segments := slices.DeleteFunc(strings.Split(r.URL.EscapedPath(), "/"), func(segment string) bool { return segment == "" })
	for i := range s.routes {
		candidate := &s.routes[i]
		if candidate.Method != r.Method {
			continue
		}
		if params, ok := matchSegments(candidate.Pattern, segments); ok {
			c.route, c.Params = candidate, params
			return c
		}
	}
	return c
}

// matchSegments compares a path with a pattern, segment by segment.
func matchSegments(pattern string, segments []string) (map[string]string, bool) {
	var params map[string]string
	pattern = pattern[1:] // it begins with a slash
	for _, segment := range segments {
		var want string
		var more bool
		want, pattern, more = strings.Cut(pattern, "/")
		if strings.HasPrefix(want, "{") {
			if params == nil {
				params = make(map[string]string, 2)
			}
			params[strings.Trim(want, "{}")] = segment
		} else if !strings.EqualFold(want, segment) {
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
func (s *Sandbox) authenticate(r *http.Request) (wire.Token, error) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return wire.Token{}, wire.Failure(http.StatusUnauthorized, wire.CodeNotAuthorized)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.world.tokens.find(strings.TrimSpace(value), s.now())
	if !ok {
		return wire.Token{}, wire.Failure(http.StatusUnauthorized, wire.CodeNotAuthorized)
	}
	return t, nil
}
