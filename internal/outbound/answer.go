package outbound

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// judge decides what an error of a call means for its deliveries. sent says that
// the call has left: one that does harm when it is made twice is not repeated then.
func judge(err error, to onramp.Destination, sent bool) onramp.Outcome {
	if o, unsent := attempt.Unsent(err); unsent {
		return o
	}
	harmful := sent && to.Kind == onramp.Journey && to.OnUnknown == onramp.LeaveUnknown
	if e, ok := errors.AsType[*tokenError](err); ok {
		return judgeToken(e.err)
	}
	answer, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		return judgeSilence(err, sent, harmful)
	}
	o := onramp.Outcome{Status: answer.Status, Code: answer.Code, RetryAfter: answer.RetryAfter, Answer: clip(answer.Body)}
	o.Detail = describeAnswer(answer)
	o.Verdict, o.Hint = judgeAnswer(answer, to)
	o.Hint = advise(answer, to, o.Hint)
	o.Refused = answer.Status == http.StatusUnauthorized
	o.MayHaveArrived = isInconclusive(answer)
	o.Late = answer.Status == http.StatusRequestTimeout || answer.Status == http.StatusGatewayTimeout || attempt.IsLate(answer.Err)
	switch {
	case isForeign(answer) && harmful:
		o.Verdict, o.Hint = onramp.Unknown, hintForeign+"; "+hintUnknown
	case answer.Err != nil && harmful:
		o.Verdict, o.Hint = onramp.Unknown, hintUnknown
	}
	return o
}

// isInconclusive says that an answer does not tell whether the call was carried out,
// or will be: one of a proxy or a server in trouble. 503 with code 50300 and a
// Retry-After is Marketing Cloud's own refusal (vendor page "Rate Limiting Errors"),
// 596 its gateway's of an address.
func isInconclusive(e *sfmc.Error) bool {
	switch {
	case e.Err != nil, e.Status/100 == 3, e.Status == http.StatusRequestTimeout:
		return true
	case e.Status == http.StatusServiceUnavailable && e.Code == sfmc.CodeUnavailable && e.RetryAfter > 0:
		return false
	}
	return e.Status >= 500 && e.Status != sfmc.StatusServiceNotFound
}

// isForeign says that an answer is not Marketing Cloud's own: a 2xx without what the
// route answers, or a redirect, of which it has none.
func isForeign(e *sfmc.Error) bool {
	return errors.Is(e.Err, sfmc.ErrAnswer) || e.Status/100 == 3
}

func clip(body []byte) string {
	if len(body) > attempt.MaxAnswer {
		return string(body[:attempt.MaxAnswer]) + " …"
	}
	return string(body)
}

// isAboutSome says that a call was refused for the sake of some of its deliveries.
func isAboutSome(err error) bool {
	if _, token := errors.AsType[*tokenError](err); token {
		return false
	}
	e, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		return errors.Is(err, sfmc.ErrInvalid) // one of them does not make a request
	}
	verdict, _ := judgeAnswer(e, onramp.Destination{})
	return verdict == onramp.Rejected
}

const (
	hintUnknown = "it may have arrived: retry it only if a second message does no harm"
	hintForeign = "something in between seems to answer in Marketing Cloud's place, such as a proxy, a firewall (WAF) or a captive portal: let this machine reach Marketing Cloud without it"
	hintToken   = "check client_id, client_secret and account_id, and that the installed package is enabled" + SeeCheck + "credentials"
	hintScopes  = "grant the installed package the scopes that the route needs (data_extensions_read, data_extensions_write, journeys_read, list_and_subscribers_read, email_send), and allow this machine's IP address" + SeeCheck + "scopes"
	hintHost    = "check marketing_cloud.subdomain or auth_url, the network, and Marketing Cloud's status" + SeeCheck + "subdomain,credentials"
	hintLimit   = "nothing to do yet; if it lasts, ask Salesforce about your account's limits"
	hintData    = "compare the form's columns with the data extension's, then retry it" + SeeCheck + "data-extension"
)

// judgeAnswer is the table of outcomes (architecture, section 7).
func judgeAnswer(e *sfmc.Error, to onramp.Destination) (verdict onramp.Verdict, hint string) {
	switch e.Status {
	case http.StatusConflict:
		if to.InsertOnly {
			return onramp.Delivered, "" // there is such a row (section 6 of the specification)
		}
	case http.StatusUnauthorized:
		return onramp.Blocked, hintToken
	case http.StatusForbidden:
		return onramp.Blocked, hintScopes
	case sfmc.StatusServiceNotFound:
		return onramp.Blocked, hintHost
	case http.StatusTooManyRequests:
		return judgeLimit(e.Code), hintLimit
	case http.StatusServiceUnavailable:
		if e.RetryAfter > 0 {
			return onramp.Throttled, hintLimit
		}
		return onramp.Retry, ""
	case http.StatusRequestTimeout:
		return onramp.Retry, ""
	}
	switch {
	case isForeign(e):
		return onramp.Retry, hintForeign
	case e.Status >= 500 || e.Err != nil:
		return onramp.Retry, ""
	case e.Status < 300 && (e.Code == sfmc.CodeRateLimit || e.Code == sfmc.CodeBlocked || e.Code == sfmc.CodeUnavailable):
		return judgeLimit(e.Code), hintLimit
	}
	return judgeRefusal(e)
}

// judgeRefusal tells those that pass, and those that concern all, from those of what
// was sent.
func judgeRefusal(e *sfmc.Error) (verdict onramp.Verdict, hint string) {
	switch {
	case isPassing(e):
		return onramp.Retry, ""
	case concernsAll(e):
		return onramp.Blocked, hintObject
	}
	return onramp.Rejected, hintData
}

func judgeLimit(code int) onramp.Verdict {
	if code == sfmc.CodeBlocked {
		return onramp.Blocked
	}
	return onramp.Throttled
}

// isPassing recognises the troubles that Marketing Cloud reports like a fault of
// the data, though the same call works a moment later.
func isPassing(e *sfmc.Error) bool {
	if e.Code == sfmc.CodeAggregate && len(e.Additional) == 0 {
		return true
	}
	return sayQueueFull.in(e.Message) || sayDeadlock.in(append(texts(e.Additional), e.Message)...)
}

// texts are the messages of errors.
func texts(details []sfmc.Detail) []string {
	all := make([]string, len(details))
	for i, d := range details {
		all[i] = d.Message
	}
	return all
}

// judgeRow decides what a row's error in the results of an asynchronous request
// means. exists says that it was to be inserted and exists already.
func judgeRow(to onramp.Destination, row sfmc.RowResult) (o onramp.Outcome, exists bool) {
	messages := append([]string{row.Message}, texts(row.Errors)...)
	o = onramp.Outcome{
		Verdict: onramp.Rejected, Status: http.StatusOK, Code: row.Code, Hint: hintData, Detail: strings.TrimPrefix(strings.Join(messages, "; "), "; "),
	}
	o.Hint = advise(&sfmc.Error{Status: http.StatusOK, Code: row.Code, Message: row.Message, Additional: row.Errors}, to, o.Hint)
	switch {
	case sayDeadlock.in(messages...):
		o.Verdict, o.Hint = onramp.Retry, ""
	case to.InsertOnly && sayExists.in(messages...):
		return onramp.Outcome{Verdict: onramp.Delivered, Status: http.StatusOK, Detail: "a row with this key exists already and stays as it is"}, true
	case sayNoKeys.in(messages...):
		o.Verdict = onramp.Blocked
		if o.Hint == hintData {
			o.Hint = hintObject
		}
	}
	return o, false
}

// judgeToken reads why there is no token. It concerns every delivery alike,
// so none is blamed for it.
func judgeToken(err error) onramp.Outcome {
	o := onramp.Outcome{Verdict: onramp.Blocked, Hint: hintHost, Detail: "no access token: " + err.Error(), NotSent: true}
	answer, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		return o
	}
	o.Status, o.Code, o.RetryAfter, o.Answer = answer.Status, answer.Code, answer.RetryAfter, string(answer.Body)
	o.Detail = "no access token: " + describeAnswer(answer)
	switch {
	case answer.Status == http.StatusTooManyRequests:
		o.Verdict, o.Hint = judgeLimit(answer.Code), hintLimit
	case isForeign(answer):
		o.Hint = hintForeign
	case answer.Status >= 400 && answer.Status < 500:
		o.Hint, o.Refused = advise(answer, onramp.Destination{}, hintToken), true
	}
	return o
}

// judgeSilence reads an error that came without an answer.
func judgeSilence(err error, sent, harmful bool) onramp.Outcome {
	o := onramp.Outcome{Verdict: onramp.Retry, Detail: err.Error(), MayHaveArrived: sent, NotSent: !sent}
	switch {
	case errors.Is(err, sfmc.ErrHost):
		o.Verdict, o.Hint = onramp.Blocked, hintHost
	case errors.Is(err, sfmc.ErrInvalid):
		o.Verdict, o.Hint = onramp.Rejected, hintData
	case harmful:
		o.Verdict, o.Hint = onramp.Unknown, hintUnknown
	}
	if attempt.IsLate(err) {
		o.Detail, o.Late = attempt.ErrTimeout.Error(), true
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
