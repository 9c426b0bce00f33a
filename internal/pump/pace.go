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
	maxShrink     = 12               // 4,000 deliveries shrink to one
	growAfter     = 8                // successes after which calls grow again
)

// pace is how fast a destination may be sent to. Calls in flight grow by one
// with each success and halve with each setback; a destination that throttles,
// blocks or is down is left alone for a while, and then probed by one delivery.
// Calls that time out are made smaller, and larger again as they succeed.
type pace struct {
	limit, max int
	shrink     int // how often the largest call has been halved
	successes  int // since calls last shrank or grew
	failures   int // failed attempts in a row
	pauses     int // pauses in a row that ended in another one

	state string         // "" while running
	why   onramp.Outcome // of the pause
	until time.Time      // of the pause; then a probe may go
}

// most is the most deliveries for one call, of those that the call could carry.
func (p *pace) most(n int) int { return max(n>>p.shrink, 1) }

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

// adapt takes into account the outcome of a call with that many deliveries. Calls
// that were in flight when a pause began say nothing new; only the probe does.
func (p *pace) adapt(o onramp.Outcome, deliveries int, probe bool, now time.Time) {
	if o.Late && deliveries > 1 {
		p.shrink, p.successes = min(p.shrink+1, maxShrink), 0
	}
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
			p.state, p.why, p.pauses, p.until = "", onramp.Outcome{}, 0, time.Time{}
		}
		if p.successes++; p.successes >= growAfter {
			p.shrink, p.successes = max(p.shrink-1, 0), 0
		}
	}
}

// summary is what the outcomes of one call say of the destination, not of the
// single delivery: one that was taken, or refused for its own sake, shows that
// the destination works.
func summary(outcomes []onramp.Outcome) onramp.Outcome {
	weight := func(o onramp.Outcome) int {
		switch o.Verdict {
		case onramp.Blocked:
			return 3
		case onramp.Throttled:
			return 2
		case onramp.Retry, onramp.Unknown:
			return 0
		}
		return 1
	}
	all := outcomes[0]
	for _, o := range outcomes[1:] {
		late := all.Late || o.Late
		if weight(o) > weight(all) {
			all = o
		}
		all.Late = late
	}
	return all
}

func (p *pace) pause(state string, o onramp.Outcome, wait time.Duration, probe bool, now time.Time) {
	if p.paused() && !probe && (state == p.state || p.state == blocked) {
		return
	}
	p.limit = max(p.limit/2, 1)
	p.pauses++
	p.state, p.until, p.why = state, now.Add(wait), o
}

// delay is what the answer asked for, or else the first delay doubled with
// every pause in a row.
func delay(asked, first, longest time.Duration, pauses int) time.Duration {
	if asked > 0 {
		return asked
	}
	return min(first<<min(pauses, 10), longest)
}
