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
	paused    = "paused" // by an operator; the lane knows, its pace does not
)

const (
	outageAfter   = 5                // keys whose calls failed, with none between them that got through
	mostDoubts    = 4                // doubles this with each outage that was probably none
	throttleDelay = time.Second      // when the answer named none; doubles up to
	maxThrottle   = 8 * time.Second  // the spec's 1, 2, 4, 8 s
	outageDelay   = time.Second      // doubles up to
	maxOutage     = 8 * time.Second  // what is healthy must not wait long for the end of what was no outage
	probeDelay    = time.Second      // of a blocked destination; doubles up to
	maxProbe      = time.Minute      //
	maxShrink     = 12               // 4,000 deliveries shrink to one
	growAfter     = 8                // successes after which calls grow again
	mixedFor      = 64               // calls
	throughFor    = 10 * time.Second // after one that got through, a destination is known to work
)

// pace is how fast a destination may be sent to. Calls in flight grow by one
// with each success and halve with each setback; a destination that throttles,
// blocks or is down is left alone for a while, and then probed by one delivery.
// Calls that time out are made smaller, and larger again as they succeed.
//
// Where some calls fail and others get through, the deliveries are at fault: then
// every other call begins with the newest, so that those that fail, which may be all
// of the oldest, hold up only half of what goes.
type pace struct {
	limit, max int
	shrink     int            // how often the largest call has been halved
	successes  int            // since calls last shrank or grew
	failed     map[int64]bool // keys that calls failed with since one got through
	pauses     int            // pauses in a row that ended in another one
	probes     int            // made, ever
	probing    bool           // a probe is in flight
	doubts     int            // how many outages there were while some calls got through
	mixed      int            // calls for which it is known that some get through
	calls      int            // made, ever
	throughAt  time.Time      // when the last one got through

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
	case now.Before(p.until) || p.probing:
		return inFlight
	}
	return inFlight + 1 // the probe, whatever else has not come back yet
}

// nextProbe begins a probe and returns its number.
func (p *pace) nextProbe() int {
	p.probing = true
	p.probes++
	return p.probes - 1
}

// newestFirst begins a call, and says whether it takes the newest.
func (p *pace) newestFirst() bool {
	p.calls++
	return p.mixed > 0 && p.calls%2 == 0
}

// getsThrough says whether the destination is known to work.
func (p *pace) getsThrough(now time.Time) bool { return now.Sub(p.throughAt) < throughFor }

// adapt takes into account the outcome of a call. Failures of calls that were in
// flight when a pause began say nothing new; only the probe's do.
func (p *pace) adapt(o onramp.Outcome, c *call, now time.Time) {
	if c.probe {
		p.probing = false
	}
	p.mixed = max(p.mixed-1, 0)
	if o.Late && len(c.entries) > 1 {
		p.shrink, p.successes = min(p.shrink+1, maxShrink), 0
	}
	switch o.Verdict {
	case onramp.Throttled:
		p.pause(throttled, o, delay(o.RetryAfter, throttleDelay, maxThrottle, p.pauses), c.probe, now)
	case onramp.Blocked:
		if o.Columns {
			p.succeed(c, now)
			return
		}
		p.pause(blocked, o, delay(0, probeDelay, maxProbe, p.pauses), c.probe, now)
	case onramp.Retry, onramp.Unknown:
		p.fail(o, c, now)
	case onramp.Withheld: // nothing was sent
	default:
		if o.Verdict == onramp.Rejected && o.NotSent {
			return // the same
		}
		p.succeed(c, now)
	}
}

// fail counts a failed call by its first key: those of one key are one failure.
func (p *pace) fail(o onramp.Outcome, c *call, now time.Time) {
	if p.mixed == 0 || o.Late {
		p.limit = max(p.limit/2, 1)
	}
	p.failed[c.entries[0].delivery.OrderingKey] = true
	if c.probe || len(p.failed) >= outageAfter<<p.doubts {
		if p.mixed > 0 && !p.paused() {
			p.doubts = min(p.doubts+1, mostDoubts)
		}
		clear(p.failed)
		p.pause(throttled, o, delay(o.RetryAfter, outageDelay, maxOutage, p.pauses), c.probe, now)
	}
}

// succeed ends a pause, unless the destination itself has said how long it is.
func (p *pace) succeed(c *call, now time.Time) {
	switch {
	case p.paused() || len(p.failed) > 0:
		p.mixed = mixedFor
	case p.mixed == 0:
		p.doubts = 0
	}
	p.throughAt = now
	clear(p.failed)
	p.limit = min(p.limit+1, p.max)
	if c.probe || p.why.RetryAfter == 0 || !now.Before(p.until) {
		p.state, p.why, p.pauses, p.until = "", onramp.Outcome{}, 0, time.Time{}
	}
	if p.successes++; p.successes >= growAfter {
		p.shrink, p.successes = max(p.shrink-1, 0), 0
	}
}

// summary is what the outcomes of one call say of the destination, not of the
// single delivery: one that was taken, or refused for its own sake or its columns,
// shows that the destination works.
func summary(outcomes []onramp.Outcome) onramp.Outcome {
	weight := func(o onramp.Outcome) int {
		switch o.Verdict {
		case onramp.Blocked:
			if !o.Columns {
				return 3
			}
		case onramp.Throttled:
			return 2
		case onramp.Retry, onramp.Unknown:
			return 0
		case onramp.Withheld:
			return -1
		case onramp.Rejected:
			if o.NotSent {
				return -1
			}
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
	if state == blocked || o.Verdict == onramp.Throttled || p.mixed == 0 {
		p.limit = max(p.limit/2, 1)
	}
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
