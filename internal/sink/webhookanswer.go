package sink

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

// maxRetryAfter bounds what an endpoint can ask for.
const maxRetryAfter = time.Hour

const (
	hintRedirect = "set the sink's url to the address it redirects to"
	hintSecret   = "check the sink's headers, and that the endpoint knows its secret"
	hintURL      = "check the sink's url, and that the endpoint accepts POST"
	hintType     = "make the endpoint accept the content types application/cloudevents+json and, for batches, application/cloudevents-batch+json"
	hintEndpoint = "find out why the endpoint refuses requests of this kind"
	hintEvent    = "find out why the endpoint refuses this event, then retry it; the endpoint should answer 2xx to an event it already has"
	hintLimit    = "nothing to do yet; if it lasts, raise the endpoint's capacity"
	hintNetwork  = "check the sink's url, the network, and that the endpoint is running"
)

// judgeAnswer is the table of outcomes. Standard Webhooks knows two, 2xx and
// trouble to be tried again. But an endpoint that is misconfigured must not make a
// dead letter of every event, nor may one bad event hold up all others:
//
//	2xx                                     delivered
//	3xx                                     blocked: redirects are not followed, since they would carry events elsewhere
//	408 423 424 425, 5xx                    retry; late with 408 and 504
//	429, 503 with Retry-After               throttled
//	401 402 403 404 405 406 407 410 411     blocked: it is about the endpoint, or what all requests
//	414 415 417 421 426 428 431 451         have in common
//	400 409 413 422 and every other 4xx     rejected: it is about this event
//
// A batch that is rejected is halved until the bad event is alone.
func judgeAnswer(resp *http.Response, body []byte) onramp.Outcome {
	status := resp.StatusCode
	o := onramp.Outcome{Status: status, Detail: strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))}
	if status/100 == 2 {
		o.Verdict = onramp.Delivered
		return o
	}
	o.Answer = string(body)
	o.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	o.Verdict, o.Hint = judgeStatus(status, o.RetryAfter)
	o.Refused = status == http.StatusUnauthorized
	o.Late = status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout
	return o
}

func judgeStatus(status int, retryAfter time.Duration) (verdict onramp.Verdict, hint string) {
	switch status {
	case http.StatusTooManyRequests:
		return onramp.Throttled, hintLimit
	case http.StatusServiceUnavailable:
		if retryAfter > 0 {
			return onramp.Throttled, hintLimit
		}
		return onramp.Retry, ""
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusFailedDependency, http.StatusTooEarly:
		return onramp.Retry, ""
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return onramp.Blocked, hintSecret
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusMisdirectedRequest, http.StatusRequestURITooLong:
		return onramp.Blocked, hintURL
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		return onramp.Blocked, hintType
	case http.StatusPaymentRequired, http.StatusLengthRequired, http.StatusExpectationFailed, http.StatusUpgradeRequired,
		http.StatusPreconditionRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons:
		return onramp.Blocked, hintEndpoint
	}
	switch {
	case status < 400:
		return onramp.Blocked, hintRedirect
	case status < 500:
		return onramp.Rejected, hintEvent
	}
	return onramp.Retry, ""
}

// retryAfter reads the header: seconds or an HTTP date (RFC 9110, 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// judgeSilence reads an error that came without an answer.
func judgeSilence(err error) onramp.Outcome {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which may hold a secret
	}
	if o, unsent := attempt.Unsent(err); unsent {
		return o
	}
	o := onramp.Outcome{Verdict: onramp.Retry, Detail: err.Error(), Hint: hintNetwork}
	switch {
	case isUntrusted(err):
		o.Verdict, o.Hint = onramp.Blocked, hintCertificate
	case attempt.IsLate(err):
		o.Detail, o.Late = attempt.ErrTimeout.Error(), true
	}
	return o
}
