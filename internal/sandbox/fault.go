package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// The named faults. Each comment says which other fields the fault takes
// beside Match, Method, Contains, Count, For and DelayMS, which all of them
// take.
const (
	// FaultRevokeTokens makes all tokens given out so far invalid, once: as soon
	// as it is set, or when it has a Match, Method or Contains, at the next call that
	// matches (Count: at that many calls). The call then goes on.
	FaultRevokeTokens = "revoke_tokens"
	// FaultDropRequest closes the connection before anything is done.
	FaultDropRequest = "drop_request"
	// FaultDropAnswer does what was asked for and closes the connection without
	// an answer.
	FaultDropAnswer = "drop_answer"
	// FaultEmptyBody answers Status with no body. RetryAfter.
	FaultEmptyBody = "empty_body"
	// FaultPlainText answers Status with its name in plain text, such as "Too
	// Many Requests", or Message. RetryAfter.
	FaultPlainText = "plain_text"
	// FaultHTML answers Status with a gateway's HTML page. Message, RetryAfter.
	FaultHTML = "html"
	// FaultBare10006 answers 400 with errorcode 10006 and no additionalErrors,
	// which the vendor gives for locks and load, with good data. Message.
	FaultBare10006 = "bare_10006"
)

// The named faults that change what a good call does, on the routes that they
// are about and nowhere else. A call that is refused for another reason does not
// use one up. DelayMS is taken by the two times only, and is no wait there.
const (
	// FaultRowDeadlock makes rows of asynchronous jobs fail with errorCode 2 and
	// a message that ends in "Rerun the transaction."; they are not stored. Count
	// counts rows, and Contains chooses those with the text in a value. It is
	// decided when the job is submitted.
	FaultRowDeadlock = "row_deadlock"
	// FaultRowError makes rows of asynchronous jobs fail with errorCode 2 and an
	// error of one column: the first whose value has the text of Contains.
	// Otherwise as FaultRowDeadlock. Message.
	FaultRowError = "row_error"
	// FaultJobTime gives jobs that are submitted DelayMS from submission to
	// completion, in place of 300; 0 is at once. Count counts jobs.
	FaultJobTime = "job_time"
	// FaultStatusTime hides the status of jobs that are submitted for DelayMS,
	// in place of 50: it is not found until then. Count counts jobs.
	FaultStatusTime = "status_time"
	// FaultStatusMissing makes calls for a job's status find none.
	FaultStatusMissing = "status_missing"
	// FaultOldNotFound answers a job for an unknown data extension as old
	// documents show it: status 200, resultType "Operational".
	FaultOldNotFound = "old_not_found"
	// FaultMemberError refuses members of POST /interaction/v1/async/events for
	// what they hold: errorcode 10005. Count counts members, and Contains
	// chooses those with the text in the contact key or in a value. Errorcode,
	// Message.
	FaultMemberError = "member_error"
	// FaultNotQueued is FaultMemberError for members that are good but have no
	// room: errorcode 10000.
	FaultNotQueued = "not_queued"
)

// late reports whether a fault is one that changes what a good call does.
func (f Fault) late() bool {
	switch f.Name {
	case FaultRowDeadlock, FaultRowError, FaultJobTime, FaultStatusTime, FaultStatusMissing, FaultOldNotFound,
		FaultMemberError, FaultNotQueued:
		return true
	}
	return ens.IsFault(f.Name)
}

// perRow reports whether a fault hits rows or members and not calls.
func (f Fault) perRow() bool {
	switch f.Name {
	case FaultRowDeadlock, FaultRowError, FaultMemberError, FaultNotQueued:
		return true
	}
	return false
}

// maxDelay bounds a fault's delay: more than any client waits.
const maxDelay = time.Hour

// Fault makes calls go wrong. The faults that are set are looked at in order:
// delays of all that match add up, and the first that answers, or drops,
// decides. Calls under /_sandbox/ are never touched.
//
// Without a Name, Status says what is answered, in the body that the vendor
// has for it: 400 10006, 401 0, 403 20002, 404 30003, 409 30002, 429 50100
// when RetryAfter is set and else 50200, 500 500, 503 50300; others have no
// errorcode, and 596 is the gateway's page. On /v2/token a 400 and a 401 have
// OAuth's body. Without Status and Name a Fault only delays.
type Fault struct {
	// Name is one of the Fault… constants, or "".
	Name string `json:"name,omitempty"`
	// Match is the beginning of the paths to match; "" matches all.
	Match string `json:"match,omitempty"`
	// Method is the HTTP method to match; "" matches all.
	Method string `json:"method,omitempty"`
	// Contains is a text that must stand in the call's body, letter for letter
	// as it was sent; "" matches all, and calls without a body too. For faults
	// of rows and members it must stand in a value of theirs.
	Contains string `json:"contains,omitempty"`
	// Status is the HTTP status to answer, 400 to 599; a Name that takes it
	// allows 200 to 599.
	Status int `json:"status,omitempty"`
	// Errorcode replaces the status's usual errorcode.
	Errorcode int `json:"errorcode,omitempty"`
	// Message replaces the usual message.
	Message string `json:"message,omitempty"`
	// RetryAfter is the Retry-After header in seconds. Errorcode 50100 always
	// carries one; it is 5 when this is 0.
	RetryAfter int `json:"retry_after,omitempty"`
	// RetryAfterDate sends the header as a date: RetryAfter seconds from now
	// on the clock of Config.Now, which Advance does not move, since the caller's
	// clock does not move either.
	RetryAfterDate bool `json:"retry_after_date,omitempty"`
	// Count is how many calls it hits; 0 means until it is cleared. In a State
	// it is how many are left.
	Count int `json:"count,omitempty"`
	// For is a duration such as "10m" on the sandbox's clock, after which the
	// fault ends by itself; "" means no end. In a State it is what is left.
	For string `json:"for,omitempty"`
	// DelayMS is how many milliseconds the call waits first, at most an hour.
	DelayMS int `json:"delay_ms,omitempty"`
}

// check returns what is wrong with a fault: all of it at once.
func (f Fault) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(f.Match != "" && !strings.HasPrefix(f.Match, "/"), "match %q does not begin with /", f.Match)
	bad(strings.HasPrefix(f.Match, "/_sandbox"), "match %q: the sandbox's own pages have no faults", f.Match)
	bad(f.Method != "" && strings.Trim(f.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "", "method %q is not in capitals", f.Method)
	bad(f.Count < 0, "count %d is negative", f.Count)
	bad(f.For != "" && f.life() <= 0, `for %q is not a duration above zero, such as "10m"`, f.For)
	bad(f.DelayMS < 0 || f.DelayMS > int(maxDelay.Milliseconds()), "delay_ms %d is not in 0 to %d", f.DelayMS, maxDelay.Milliseconds())
	bad(f.RetryAfter < 0, "retry_after %d is negative", f.RetryAfter)
	bad(f.RetryAfterDate && f.RetryAfter == 0, "retry_after_date without retry_after")
	bad(f.Errorcode < 0, "errorcode %d is negative", f.Errorcode)

	answers := f.Errorcode != 0 || f.Message != "" || f.RetryAfter != 0
	switch f.Name {
	case "":
		bad(f.Status != 0 && (f.Status < 400 || f.Status > 599), "status %d is not in 400 to 599", f.Status)
		bad(f.Status == 0 && answers, "errorcode, message and retry_after need a status")
		bad(f.Status == 0 && f.DelayMS == 0, "nothing to do: want a name, a status or a delay_ms")
	case FaultRevokeTokens, FaultDropRequest, FaultDropAnswer:
		bad(f.Status != 0 || answers, "%s answers nothing: no status, errorcode, message or retry_after", f.Name)
	case FaultBare10006:
		bad(f.Status != 0 && f.Status != http.StatusBadRequest, "%s has status 400, not %d", f.Name, f.Status)
		bad(f.Errorcode != 0 && f.Errorcode != wire.CodeAggregate, "%s has errorcode 10006, not %d", f.Name, f.Errorcode)
		bad(f.RetryAfter != 0, "%s has no retry_after", f.Name)
	case FaultEmptyBody, FaultPlainText, FaultHTML:
		bad(f.Status < 200 || f.Status > 599, "%s needs a status in 200 to 599, not %d", f.Name, f.Status)
		bad(f.Errorcode != 0, "%s has no errorcode", f.Name)
		bad(f.Name == FaultEmptyBody && f.Message != "", "%s has no message", f.Name)
	case FaultMemberError, FaultNotQueued:
		bad(f.Status != 0 || f.RetryAfter != 0, "%s has no status and no retry_after", f.Name)
	case FaultRowError:
		bad(f.Status != 0 || f.Errorcode != 0 || f.RetryAfter != 0, "%s has no status, errorcode or retry_after", f.Name)
	case FaultRowDeadlock, FaultJobTime, FaultStatusTime, FaultStatusMissing, FaultOldNotFound:
		bad(f.Status != 0 || answers, "%s has no status, errorcode, message or retry_after", f.Name)
	default:
		if !ens.IsFault(f.Name) {
			bad(true, "unknown name %q", f.Name)
			break
		}
		bad(f.Status != 0 || answers, "%s has no status, errorcode, message or retry_after", f.Name)
		bad(f.Method != "", "%s has no method", f.Name)
		slow := f.Name == FaultSlowToken
		bad(slow && f.DelayMS == 0, "%s needs a delay_ms", f.Name)
		bad(slow && (f.Match != "" || f.Contains != ""), "%s has no match and no contains", f.Name)
	}
	times := f.Name == FaultJobTime || f.Name == FaultStatusTime || f.Name == FaultSlowToken
	bad(f.late() && !times && f.DelayMS != 0, "%s has no delay_ms", f.Name)
	return errors.Join(errs...)
}

// delay is DelayMS as a duration.
func (f Fault) delay() time.Duration {
	return time.Duration(f.DelayMS) * time.Millisecond
}

// life is For as a duration; 0 when it is none.
func (f Fault) life() time.Duration {
	d, err := time.ParseDuration(f.For)
	if err != nil {
		return 0
	}
	return d
}

// activeFault is a fault that is set. The sandbox's mutex guards it.
type activeFault struct {
	Fault
	left int       // calls, or rows, still to hit; negative means no end
	ends time.Time // zero means never
}

// over reports whether the fault hits nothing any more.
func (f *activeFault) over(now time.Time) bool {
	return f.left == 0 || !f.ends.IsZero() && !now.Before(f.ends)
}

// fits reports whether the fault is for a call. For faults of rows and members
// that says nothing yet about their Contains.
func (f *activeFault) fits(c *wire.Call) bool {
	return (f.Method == "" || f.Method == c.Request.Method) && strings.HasPrefix(c.Request.URL.Path, f.Match) &&
		(f.Contains == "" || f.perRow() || bytes.Contains(c.Body, []byte(f.Contains)))
}

// hit uses the fault up by one.
func (f *activeFault) hit() {
	if f.left > 0 {
		f.left--
	}
}

// lateFaults are those of certain names that are for one call. The sandbox's
// mutex guards them.
type lateFaults []*activeFault

// late finds the faults of the names for a call; most often there are none. It
// needs the sandbox's mutex.
func (w *world) late(c *wire.Call, now time.Time, names ...string) lateFaults {
	var list lateFaults
	for _, f := range w.faults {
		if slices.Contains(names, f.Name) && !f.over(now) && f.fits(c) {
			list = append(list, f)
		}
	}
	return list
}

// strike takes the first of the faults that is for a row with the cells, or
// returns nil.
func (fs lateFaults) strike(cells []table.Value, more ...table.Value) *Fault {
	for _, f := range fs {
		has := func(v table.Value) bool { return !v.Empty() && strings.Contains(v.Text, f.Contains) }
		if f.left == 0 || f.perRow() && f.Contains != "" && !slices.ContainsFunc(cells, has) && !slices.ContainsFunc(more, has) {
			continue
		}
		f.hit()
		hit := f.Fault
		return &hit
	}
	return nil
}

// rowError is what a fault says about a row of a job.
func (f Fault) rowError(d *table.Table, r *table.SentRow) (message string, columns []columnError) {
	if f.Name == FaultRowDeadlock {
		return "Transaction (Process ID 62) was deadlocked on lock resources with another process and has been chosen as " +
			"the deadlock victim. Rerun the transaction.", nil
	}
	at := max(0, slices.IndexFunc(r.Cells, func(v table.Value) bool { return !v.Empty() && strings.Contains(v.Text, f.Contains) }))
	e := asyncError(&d.Columns[at], "is not valid.")
	e.Message = f.message(e.Message)
	return e.Message, []columnError{e}
}

// memberError is what a fault says about a member of a batch of events.
// Undocumented: the words; the page of the route names the error of the second.
func (f Fault) memberError() (code int, message string) {
	code, message = wire.CodeInvalidValue, "Invalid value."
	if f.Name == FaultNotQueued {
		code, message = wire.CodeGeneric, "Interaction Count Limit Exceeded: We could not queue your event."
	}
	if f.Errorcode != 0 {
		code = f.Errorcode
	}
	return code, f.message(message)
}

// Fault adds faults after those that are set. It refuses all of them when one
// is wrong, and then changes nothing.
func (s *Sandbox) Fault(faults ...Fault) error {
	return s.setFaults(faults, true)
}

// SetFaults replaces the faults that are set; none clears them. It refuses all
// of them when one is wrong, and then changes nothing.
func (s *Sandbox) SetFaults(faults []Fault) error {
	return s.setFaults(faults, false)
}

func (s *Sandbox) setFaults(faults []Fault, keep bool) error {
	for i, f := range faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep {
		s.world.faults = nil
	}
	now := s.now()
	for _, f := range faults {
		if f == (Fault{Name: FaultRevokeTokens, Count: min(f.Count, 1), For: f.For}) {
			s.world.tokens.revoke()
			continue
		}
		if f.Name == FaultRevokeTokens && f.Count == 0 {
			f.Count = 1 // "once"
		}
		left := f.Count
		if left == 0 {
			left = -1
		}
		active := &activeFault{Fault: f, left: left}
		if f.For != "" {
			active.ends = now.Add(f.life())
		}
		s.world.faults = append(s.world.faults, active)
	}
	return nil
}

// faultEffect is what the faults do to one call.
type faultEffect struct {
	delay       time.Duration
	dropRequest bool
	dropAnswer  bool
	answer      func(*wire.Call) wire.Answer // nil: the true one
}

// arrive counts the call and takes the faults that hit it.
func (s *Sandbox) arrive(c *call) faultEffect {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.calls[c.name()]++
	var m faultEffect
	if len(s.world.faults) == 0 {
		return m
	}
	now := s.now()
	for _, f := range s.world.faults {
		if f.late() || f.over(now) || !f.fits(&c.Call) {
			continue
		}
		f.hit()
		m.delay += f.delay()
		switch {
		case f.Name == FaultRevokeTokens:
			s.world.tokens.revoke()
			continue
		case f.Name == FaultDropRequest:
			m.dropRequest = true
		case f.Name == FaultDropAnswer:
			m.dropAnswer = true
		case f.Name != "" || f.Status != 0:
			fault := f.Fault
			m.answer = func(c *wire.Call) wire.Answer { return s.faultAnswer(fault, c) }
		default:
			continue // a delay only
		}
		break
	}
	s.world.faults = slices.DeleteFunc(s.world.faults, func(f *activeFault) bool { return f.over(now) })
	return m
}

// faultAnswer is the answer of a fault that answers. Vendor pages error-handling
// and rate-limiting-errors.
func (s *Sandbox) faultAnswer(f Fault, c *wire.Call) wire.Answer {
	var a wire.Answer
	retryAfter := f.RetryAfter
	switch f.Name {
	case FaultEmptyBody:
		a = wire.Answer{Status: f.Status}
	case FaultPlainText:
		a = wire.Answer{Status: f.Status, ContentType: wire.PlainType, Body: []byte(f.message(wire.StatusText(f.Status)))}
	case FaultHTML:
		text := f.message(strconv.Itoa(f.Status) + " " + wire.StatusText(f.Status))
		a = wire.Answer{Status: f.Status, ContentType: wire.HTMLType, Body: []byte("<html><body><h1>" + html.EscapeString(text) + "</h1></body></html>")}
	default:
		r := s.faultRefusal(f, c)
		if e, ok := errors.AsType[*wire.Error](r); ok && retryAfter == 0 {
			retryAfter = e.RetryAfter
		}
		a = r.Answer()
	}
	if retryAfter > 0 {
		a.RetryAfter = strconv.Itoa(retryAfter)
		if f.RetryAfterDate {
			// The header has whole seconds: rounded up, so that nobody comes early.
			at := s.base().Add(time.Duration(retryAfter)*time.Second + time.Second - 1).UTC()
			a.RetryAfter = at.Format(http.TimeFormat)
		}
	}
	return a
}

// message is the fault's own message, or the usual one.
func (f Fault) message(usual string) string {
	if f.Message != "" {
		return f.Message
	}
	return usual
}

// faultRefusal is the refusal that the vendor has for the fault's status.
func (s *Sandbox) faultRefusal(f Fault, c *wire.Call) wire.Refusal {
	code := f.Errorcode
	if code == 0 {
		code = usualCode(f)
	}
	if c.Request.URL.Path == "/v2/token" && f.Errorcode == 0 {
		switch f.Status {
		case http.StatusBadRequest:
			return refuseToken("invalid_request", f.message("The request is invalid."))
		case http.StatusUnauthorized:
			return refuseToken("invalid_client",
				f.message("Invalid client ID. Use the client ID in Marketing Cloud Installed Packages."))
		}
	}
	if f.Status == wire.StatusServiceNotFound && f.Errorcode == 0 {
		return gatewayRefusal{}
	}
	status := f.Status
	if f.Name == FaultBare10006 {
		status = http.StatusBadRequest
	}
	e := wire.Failure(status, code)
	switch code {
	case wire.CodeAggregate:
		e.Message = unsavable(s.faultExtension(c), nil).Message
	case wire.CodeRateLimit:
		e.RetryAfter = f.RetryAfter
		if e.RetryAfter == 0 {
			e.RetryAfter = 5 // the vendor's own figure
		}
	}
	e.Message = f.message(e.Message)
	return e
}

// usualCode is the errorcode that goes with a fault's status.
func usualCode(f Fault) int {
	if f.Name == FaultBare10006 {
		return wire.CodeAggregate
	}
	switch f.Status {
	case http.StatusBadRequest:
		return wire.CodeAggregate
	case http.StatusUnauthorized:
		return wire.CodeNotAuthorized
	case http.StatusForbidden:
		return wire.CodeInsufficientPrivileges
	case http.StatusNotFound:
		return wire.CodeNotFound
	case http.StatusConflict:
		return wire.CodeInvalidTransition
	case http.StatusTooManyRequests:
		if f.RetryAfter > 0 {
			return wire.CodeRateLimit
		}
		return wire.CodeBlocked
	case http.StatusInternalServerError:
		return wire.CodeInternal
	case http.StatusServiceUnavailable:
		return wire.CodeUnavailable
	}
	return wire.NoCode
}

// faultExtension is the id of the data extension that a call is about, for a
// message that names it.
func (s *Sandbox) faultExtension(c *wire.Call) string {
	if c.Params["id"] != "" {
		if d, err := s.extension(c); err == nil {
			return d.ID
		}
	}
	return registrationsID
}
