package pump

import (
	"time"

	"onramp/internal/onramp"
)

// The states of a destination.
const (
	running   = "running"
	throttled = "throttled"
	blocked   = "blocked"
)

const (
	outageAfter   = 5                // failed attempts in a row that are the destination's fault, not the deliveries'
	throttleDelay = time.Second      // when the answer named none; doubles up to
	maxThrottle   = 8 * time.Second  // the spec's 1, 2, 4, 8 s
	outageDelay   = time.Second      // doubles up to
	maxOutage     = 30 * time.Second //
	probeDelay    = 5 * time.Second  // of a blocked destination; doubles up to
	maxProbe      = time.Minute      //
)

// pace is how fast a destination may be sent to. Calls in flight grow by one
// with each success and halve with each setback; a destination that throttles,
// blocks or is down is left alone for a while, and then probed by one delivery.
type pace struct {
	limit, max int
	failures   int // failed attempts in a row
	pauses     int // pauses in a row that ended in another one

	state  string // "" while running
	reason string
	until  time.Time // of the pause; then a probe may go
}

func (p *pace) paused() bool { return p.state != "" }

// allowed is how many calls may be in flight.
func (p *pace) allowed(now time.Time, inFlight int) int {
	switch {
	case !p.paused():
		return p.limit
	case now.Before(p.until):
		return inFlight
	}
	return 1 // the probe
}

// learn adapts to an outcome. Outcomes of calls that were in flight when a
// pause began tell nothing new; only the probe does.
func (p *pace) learn(o onramp.Outcome, probe bool, now time.Time) {
	switch o.Verdict {
	case onramp.Throttled:
		p.pause(throttled, o, delay(o.RetryAfter, throttleDelay, maxThrottle, p.pauses), probe, now)
	case onramp.Blocked:
		p.pause(blocked, o, delay(0, probeDelay, maxProbe, p.pauses), probe, now)
	case onramp.Retry, onramp.Unknown:
		p.limit = max(p.limit/2, 1)
		if p.failures++; p.failures >= outageAfter || probe {
			p.pause(throttled, o, delay(o.RetryAfter, outageDelay, maxOutage, p.pauses), probe, now)
		}
	default:
		p.failures = 0
		p.limit = min(p.limit+1, p.max)
		if probe {
			p.state, p.reason, p.pauses, p.until = "", "", 0, time.Time{}
		}
	}
}

func (p *pace) pause(state string, o onramp.Outcome, wait time.Duration, probe bool, now time.Time) {
	if p.paused() && !probe && (state == p.state || p.state == blocked) {
		return
	}
	p.limit = max(p.limit/2, 1)
	p.pauses++
	p.state, p.until = state, now.Add(wait)
	p.reason = o.Detail
	if o.Mend != "" {
		p.reason += "; " + o.Mend
	}
}

// delay is what the answer asked for, or else the first delay doubled with
// every pause in a row.
func delay(asked, first, longest time.Duration, pauses int) time.Duration {
	if asked > 0 {
		return asked
	}
	return min(first<<min(pauses, 10), longest)
}
