package sandbox

import (
	"cmp"
	"errors"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/soap"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

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
	case FaultForeignJSON:
		a = wire.Answer{Status: f.Status, ContentType: wire.JSONType, Body: []byte(cmp.Or(f.Body, `{"ok":true}`))}
	case FaultRedirect:
		a = wire.Answer{Status: cmp.Or(f.Status, http.StatusFound), Location: cmp.Or(f.Location, "https://proxy.invalid/")}
	case FaultCutBody:
		a = wire.JSON(f.Status, map[string]any{"requestId": wire.NewGUID(), "resultMessages": []resultMessage{}})
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
	if soap.Serves(c.Request) && f.Status != wire.StatusServiceNotFound {
		return s.soap.Planted(c, f.Status, f.message(wire.StatusText(f.Status)))
	}
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
		return wire.ServiceNotFound{}
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
		if _, d, err := s.extension(c); err == nil {
			return d.ID
		}
	}
	return account.RegistrationsID
}
