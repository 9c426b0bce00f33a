package pump

import (
	"time"

	"onramp/internal/onramp"
)

// setHealth publishes how the destination is doing.
func (l *lane) setHealth(settlements []onramp.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range settlements {
		switch {
		case s.State == onramp.DeliveryDead && s.Attempt.Verdict == onramp.Retry:
			l.state.GivenUp++
		case s.State == onramp.DeliveryUnknown:
			l.state.Unknown++
		}
	}
	h := &l.state
	bar := l.bars.oldest()
	switch {
	case l.pace.paused():
		why := &l.pace.why
		h.State, h.Reason, h.Hint, h.Refused, h.Cause = l.pace.state, why.Detail, why.Hint, why.Refused, why.Cause()
	case bar != nil:
		h.State, h.Reason, h.Hint, h.Refused, h.Cause = blocked, bar.reason(), bar.why.Hint, false, bar.why.Cause()
	default:
		l.before = onramp.Health{}
		h.State, h.Reason, h.Hint, h.Refused, h.Cause, h.Since = running, "", "", false, "", time.Time{}
		return
	}
	if h.Since.IsZero() {
		h.Since = time.Now().UTC()
		if l.before.State == h.State && l.before.Cause == h.Cause { // nothing got through in between
			h.Since = l.before.Since
		}
	}
}

func (l *lane) health() onramp.Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.state
	if p := l.pump.outbox.Pause(l.destination.ID); p.Lasts() {
		h.State, h.Reason, h.Hint, h.Refused, h.Cause, h.Since = paused, p.Reason, "", false, "", p.Since
	}
	for _, state := range l.flying {
		if state == onramp.DeliverySubmitted {
			h.Submitted++
		} else {
			h.Sending++
		}
	}
	return h
}

func (l *lane) flight(seq int64) onramp.DeliveryState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying[seq]
}

// setFlying notes how far the deliveries of a call are, 0 when they have landed.
func (l *lane) setFlying(c *call, state onramp.DeliveryState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range c.entries {
		if state == 0 {
			delete(l.flying, e.delivery.Seq)
		} else {
			l.flying[e.delivery.Seq] = state
		}
	}
}
