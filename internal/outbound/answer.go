package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

var errTimeout = errors.New("no answer within the time-out")

// The vendor's error codes that decide about an outcome (vendor pages "Error
// Handling" and "Rate Limiting Errors").
const (
	codeAggregate   = 10006 // look at the additional errors; without any, a passing trouble
	codeRateLimit   = 50100
	codeBlocked     = 50200
	codeUnavailable = 50300
)

// serviceNotFound is how the vendor's gateway answers an unknown route.
const serviceNotFound = 596

// judge tells what an error of a call means for the delivery. harmful says that
// the call has left and must not be made twice.
func judge(err error, harmful bool) onramp.Outcome {
	if e, ok := errors.AsType[*tokenError](err); ok {
		return judgeToken(e.err)
	}
	answer, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		return judgeSilence(err, harmful)
	}
	o := onramp.Outcome{Status: answer.Status, Code: answer.Code, RetryAfter: answer.RetryAfter, Answer: string(answer.Body)}
	o.Detail = describeAnswer(answer)
	o.Verdict, o.Mend = judgeAnswer(answer)
	if answer.Err != nil && harmful {
		o.Verdict, o.Mend = onramp.Unknown, mendUnknown
	}
	return o
}

const (
	mendUnknown = "it may have been accepted all the same: retry it by hand if a second message does no harm"
	mendToken   = "check client_id, client_secret and account_id, and that the installed package is enabled"
	mendScopes  = "give the installed package the scopes data_extensions_write, journeys_read and list_and_subscribers_read, and allow this machine's address"
	mendHost    = "check marketing_cloud.subdomain or auth_url, the network and Marketing Cloud's status"
	mendLimit   = "nothing to do, unless it lasts: then ask Salesforce about the account's limits"
	mendData    = "compare the form's columns with those of the data extension, then retry it"
)

// judgeAnswer is the table of outcomes (architecture, section 7).
func judgeAnswer(e *sfmc.Error) (verdict onramp.Verdict, mend string) {
	switch e.Status {
	case http.StatusUnauthorized:
		return onramp.Blocked, "a fresh token was refused, too: " + mendToken
	case http.StatusForbidden:
		return onramp.Blocked, mendScopes
	case serviceNotFound:
		return onramp.Blocked, mendHost
	case http.StatusTooManyRequests:
		return judgeLimit(e.Code), mendLimit
	case http.StatusServiceUnavailable:
		if e.RetryAfter > 0 {
			return onramp.Throttled, mendLimit
		}
		return onramp.Retry, ""
	case http.StatusRequestTimeout:
		return onramp.Retry, ""
	}
	switch {
	case e.Status >= 500 || e.Status >= 300 && e.Status < 400 || e.Err != nil:
		return onramp.Retry, ""
	case e.Status < 300 && (e.Code == codeRateLimit || e.Code == codeBlocked || e.Code == codeUnavailable):
		return judgeLimit(e.Code), mendLimit
	case isPassing(e):
		return onramp.Retry, ""
	}
	return onramp.Rejected, mendData
}

func judgeLimit(code int) onramp.Verdict {
	if code == codeBlocked {
		return onramp.Blocked
	}
	return onramp.Throttled
}

// isPassing recognises the troubles that Marketing Cloud reports like a fault of
// the data, though the same call works a moment later.
func isPassing(e *sfmc.Error) bool {
	if e.Code == codeAggregate && len(e.Additional) == 0 {
		return true
	}
	const deadlock = "Rerun the transaction."
	if strings.HasSuffix(strings.TrimSpace(e.Message), deadlock) {
		return true
	}
	for _, d := range e.Additional {
		if strings.HasSuffix(strings.TrimSpace(d.Message), deadlock) {
			return true
		}
	}
	return false
}

// judgeToken reads why no token could be had. It concerns every delivery alike,
// so none is blamed for it.
func judgeToken(err error) onramp.Outcome {
	o := onramp.Outcome{Verdict: onramp.Blocked, Mend: mendHost, Detail: "no access token: " + err.Error()}
	answer, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		return o
	}
	o.Status, o.Code, o.RetryAfter, o.Answer = answer.Status, answer.Code, answer.RetryAfter, string(answer.Body)
	o.Detail = "no access token: " + describeAnswer(answer)
	switch {
	case answer.Status == http.StatusTooManyRequests:
		o.Verdict, o.Mend = judgeLimit(answer.Code), mendLimit
	case answer.Status >= 400 && answer.Status < 500:
		o.Mend = mendToken
	}
	return o
}

// judgeSilence reads an error that came without an answer.
func judgeSilence(err error, harmful bool) onramp.Outcome {
	o := onramp.Outcome{Verdict: onramp.Retry, Detail: err.Error()}
	switch {
	case errors.Is(err, sfmc.ErrHost):
		o.Verdict, o.Mend = onramp.Blocked, mendHost
	case errors.Is(err, sfmc.ErrInvalid):
		o.Verdict, o.Mend = onramp.Rejected, mendData
	case harmful:
		o.Verdict, o.Mend = onramp.Unknown, mendUnknown
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeout) {
		o.Detail = "no answer within the time-out"
	}
	return o
}

// describeAnswer gives status, code and messages in one line.
func describeAnswer(e *sfmc.Error) string {
	text := strconv.Itoa(e.Status)
	if e.CodeText != "" {
		text += " " + e.CodeText
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	for i, d := range e.Additional {
		if i == 3 {
			return fmt.Sprintf("%s; and %d more", text, len(e.Additional)-i)
		}
		text += "; " + d.Message
	}
	if e.Err != nil {
		text += "; " + e.Err.Error()
	}
	return text
}
