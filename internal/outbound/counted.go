package outbound

import (
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/budget"
)

// counted counts the calls that leave for Marketing Cloud, whoever makes them: those
// that were answered, and those whose answer was lost. What never got onto a connection
// is none.
type counted struct {
	base  http.RoundTripper
	calls *budget.Meter
	made  func(kind budget.Kind, status int, took time.Duration)
}

// RoundTrip makes a request.
func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	var left atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { left.Store(true) }}
	begun := time.Now()
	answer, err := c.base.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	_, fenced := attempt.Unsent(err)
	if err == nil || left.Load() && !fenced && !unwritten(err) {
		kind, status := budget.KindOf(r.Method, r.URL.Path), 0
		if answer != nil {
			status = answer.StatusCode
		}
		c.calls.Count(kind)
		c.made(kind, status, time.Since(begun))
	}
	return answer, err
}
