package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/wire"
)

// check returns what is wrong with a fault: all of it at once.
func (f Fault) check() error {
	m := &mistakes{}
	f.checkTarget(m)
	f.checkApply(m)
	if f.Name == "" {
		f.checkPlain(m)
	} else {
		f.checkNamed(m)
	}
	return errors.Join(*m...)
}

// mistakes are what is wrong with a fault so far.
type mistakes []error

// add adds a mistake if it was made.
func (m *mistakes) add(made bool, format string, args ...any) {
	if made {
		*m = append(*m, fmt.Errorf(format, args...))
	}
}

// checkTarget checks what all faults take: which calls they hit, how often and
// how long.
func (f Fault) checkTarget(m *mistakes) {
	m.add(f.Match != "" && !strings.HasPrefix(f.Match, "/"), "match %q does not begin with /", f.Match)
	m.add(strings.HasPrefix(f.Match, "/_sandbox"), "match %q: the sandbox's own pages have no faults", f.Match)
	m.add(strings.Trim(f.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "", "method %q is not in capitals", f.Method)
	m.add(f.Count < 0, "count %d is negative", f.Count)
	m.add(f.For != "" && f.life() <= 0, `for %q is not a duration above zero, such as "10m"`, f.For)
	m.add(f.DelayMS < 0 || f.DelayMS > int(maxDelay.Milliseconds()), "delay_ms %d is not in 0 to %d", f.DelayMS, maxDelay.Milliseconds())
	m.add(f.RetryAfter < 0, "retry_after %d is negative", f.RetryAfter)
	m.add(f.RetryAfterDate && f.RetryAfter == 0, "retry_after_date without retry_after")
	m.add(f.Errorcode < 0, "errorcode %d is negative", f.Errorcode)
}

// checkApply checks when a call is carried out, and what only one name takes.
func (f Fault) checkApply(m *mistakes) {
	most := maxDelay.Milliseconds()
	m.add(f.ApplyAfterMS < 0 || f.ApplyAfterMS > int(most), "apply_after_ms %d is not in 0 to %d", f.ApplyAfterMS, most)
	m.add(f.applies() && (f.late() || f.Name == FaultRevokeTokens || f.Name == FaultDropRequest), "%s has no apply and no apply_after_ms", f.Name)
	m.add(f.Body != "" && f.Name != FaultForeignJSON, "only %s has a body", FaultForeignJSON)
	m.add(f.Body != "" && !json.Valid([]byte(f.Body)), "body is not JSON")
	m.add(f.Location != "" && f.Name != FaultRedirect, "only %s has a location", FaultRedirect)
}

// hasDetails reports whether the fault sets a part of an answer beside its
// status.
func (f Fault) hasDetails() bool { return f.Errorcode != 0 || f.Message != "" || f.RetryAfter != 0 }

// checkPlain checks a fault without a name.
func (f Fault) checkPlain(m *mistakes) {
	m.add(f.Status != 0 && (f.Status < 400 || f.Status > 599), "status %d is not in 400 to 599", f.Status)
	m.add(f.Status == 0 && f.hasDetails(), "errorcode, message and retry_after need a status")
	m.add(f.Status == 0 && f.DelayMS == 0 && !f.applies(), "nothing to do: want a name, a status, a delay_ms, apply or apply_after_ms")
}

// checkNamed checks that a fault sets only what its name takes.
func (f Fault) checkNamed(m *mistakes) {
	switch f.Name {
	case FaultRevokeTokens, FaultDropRequest, FaultDropAnswer, FaultHang, FaultReset:
		m.add(f.Status != 0 || f.hasDetails(), "%s answers nothing: no status, errorcode, message or retry_after", f.Name)
	case FaultBare10006:
		m.add(f.Status != 0 && f.Status != http.StatusBadRequest, "%s has status 400, not %d", f.Name, f.Status)
		m.add(f.Errorcode != 0 && f.Errorcode != wire.CodeAggregate, "%s has errorcode 10006, not %d", f.Name, f.Errorcode)
		m.add(f.RetryAfter != 0, "%s has no retry_after", f.Name)
	case FaultRedirect:
		m.add(f.Status != 0 && f.Status/100 != 3, "%s needs a status in 300 to 399, not %d", f.Name, f.Status)
		m.add(f.hasDetails(), "%s has no errorcode, message or retry_after", f.Name)
	case FaultCutBody:
		m.add(f.Status != 0 && !hasBody(f.Status), "%s needs a status with a body, not %d", f.Name, f.Status)
		m.add(f.Status == 0 && f.ApplyAfterMS > 0, "%s with apply_after_ms needs a status: there is no true answer yet", f.Name)
		m.add(f.hasDetails(), "%s has no errorcode, message or retry_after", f.Name)
	case FaultEmptyBody, FaultPlainText, FaultHTML, FaultForeignJSON:
		m.add(f.Status < 200 || f.Status > 599, "%s needs a status in 200 to 599, not %d", f.Name, f.Status)
		m.add(f.Errorcode != 0, "%s has no errorcode", f.Name)
		m.add(f.Message != "" && f.Name != FaultPlainText && f.Name != FaultHTML, "%s has no message", f.Name)
	default:
		f.checkLate(m)
	}
}

// hasBody reports whether answers with the status can have a body.
func hasBody(status int) bool {
	return status >= 200 && status <= 599 && status != http.StatusNoContent && status != http.StatusNotModified
}

// checkLate checks a fault that changes what a good call does.
func (f Fault) checkLate(m *mistakes) {
	switch {
	case !f.late():
		m.add(true, "unknown name %q", f.Name)
		return
	case f.Name == FaultMemberError || f.Name == FaultNotQueued:
		m.add(f.Status != 0 || f.RetryAfter != 0, "%s has no status and no retry_after", f.Name)
	case f.Name == FaultRowError:
		m.add(f.Status != 0 || f.Errorcode != 0 || f.RetryAfter != 0, "%s has no status, errorcode or retry_after", f.Name)
	default:
		m.add(f.Status != 0 || f.hasDetails(), "%s has no status, errorcode, message or retry_after", f.Name)
	}
	m.add(ens.IsFault(f.Name) && f.Method != "", "%s has no method", f.Name)
	switch f.Name {
	case FaultSlowToken:
		m.add(f.DelayMS == 0, "%s needs a delay_ms", f.Name)
		m.add(f.Match != "" || f.Contains != "", "%s has no match and no contains", f.Name)
	case FaultJobTime, FaultStatusTime: // take a delay_ms of 0 or more
	default:
		m.add(f.DelayMS != 0, "%s has no delay_ms", f.Name)
	}
}
