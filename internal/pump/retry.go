package pump

import (
	"math/rand/v2"
	"time"

	"onramp/internal/onramp"
)

const (
	quickTries = 3           // tries before a delivery is parked for longer
	quickDelay = time.Second // after the first try; doubles
	parkDelay  = time.Minute // after the last quick try; doubles
	maxDelay   = onramp.LongestRetry

	withholdFor = 50 * time.Minute // unless a changed configuration frees it before
)

// retryDelay is how long to wait after the given number of tries: exponential, with up to a
// half taken off by chance, so that what failed together is not retried together.
func retryDelay(tries int) time.Duration {
	delay := quickDelay << min(tries-1, quickTries)
	if tries >= quickTries {
		delay = min(parkDelay<<min(tries-quickTries, 10), maxDelay)
	}
	return delay - rand.N(delay/2)
}

// patience is for how long a failing delivery is tried again.
type patience struct {
	from  time.Time
	lasts time.Duration
}

func (p patience) ended(now time.Time) bool { return now.Sub(p.from) >= p.lasts }

// patience counts from the acceptance of a delivery, or from the end of a pause that
// it has waited for: nothing is to be given up because an operator has paused
// something. Where a late repeat could do harm, it also counts from the first try.
func (l *lane) patience(d *onramp.Delivery, startedAt time.Time) patience {
	accepted := patience{d.QueuedAt(), l.pump.cfg.GiveUpAfter}
	if resumed := l.resumedAt(d); resumed.After(accepted.from) {
		accepted.from = resumed
	}
	tried := patience{startedAt, l.destination.Kind.RepeatFor()}
	if !d.FirstFailure.IsZero() {
		tried.from = d.FirstFailure
	}
	if tried.from.Add(tried.lasts).Before(accepted.from.Add(accepted.lasts)) {
		return tried
	}
	return accepted
}

// resumedAt is when the last pause ended that a delivery may have waited for; a later
// step of a route may have waited for any destination.
func (l *lane) resumedAt(d *onramp.Delivery) time.Time {
	resumed := l.pump.outbox.Pause(l.destination.ID).Ended
	if d.Step == 1 {
		return resumed
	}
	for _, other := range l.pump.order {
		if at := l.pump.outbox.Pause(other.destination.ID).Ended; at.After(resumed) {
			resumed = at
		}
	}
	return resumed
}

// decide turns the outcome of an attempt into what is to be recorded.
func decide(d *onramp.Delivery, a *onramp.Attempt, p patience, now time.Time) onramp.Settlement {
	if d.Resend {
		return decideResend(d, a, p, now)
	}
	s := onramp.Settlement{Delivery: d, State: onramp.DeliveryPending, Tries: d.Tries, DueAt: d.DueAt, At: now, Attempt: a}
	switch a.Verdict {
	case onramp.Throttled, onramp.Blocked:
		return s // the destination waits; this is not the delivery's fault
	case onramp.Withheld:
		s.DueAt, s.Attempt = now.Add(withholdFor-rand.N(withholdFor/8)), nil
		return s
	case onramp.Retry:
		s.Tries++
		if s.Tries <= quickTries || !p.ended(now) { // an old one that an operator retries has its quick tries, too
			s.DueAt = now.Add(retryDelay(s.Tries))
			return s
		}
		s.State = onramp.DeliveryDead
		a.Hint = "given up after " + p.lasts.String() + "; retry it when the destination works again"
	case onramp.Delivered:
		s.Tries++
		s.State = onramp.DeliveryDelivered
	case onramp.Unknown:
		s.Tries++
		s.State = onramp.DeliveryUnknown
	default:
		s.Tries++
		s.State = onramp.DeliveryDead
	}
	s.DueAt = time.Time{}
	return s
}

// decideResend does the same for a delivery that is sent once more: it stays
// delivered, and what is recorded is whether it is to be sent yet again.
func decideResend(d *onramp.Delivery, a *onramp.Attempt, p patience, now time.Time) onramp.Settlement {
	attempt := *a
	attempt.Detail += "; sent once more, since an earlier call for this person may have been carried out late"
	s := onramp.Settlement{Delivery: d, State: onramp.DeliveryDelivered, Tries: d.Tries, At: now, Attempt: &attempt}
	switch a.Verdict {
	case onramp.Throttled, onramp.Blocked:
		s.State, s.DueAt = onramp.DeliveryPending, d.DueAt
	case onramp.Withheld:
		s.Attempt = nil
	case onramp.Retry:
		if !p.ended(now) {
			s.State, s.DueAt = onramp.DeliveryPending, now.Add(retryDelay(quickTries))
		}
	}
	return s
}

// mayBeLate says whether a call may write a row later than now, over a newer one:
// its outcome is not known, or it is an event of a journey, which Marketing Cloud
// carries out after it has answered.
func mayBeLate(to onramp.Destination, o *onramp.Outcome) bool {
	if to.Kind == onramp.Journey {
		return o.MayHaveArrived || o.Verdict == onramp.Delivered
	}
	return to.Upserts() && o.MayHaveArrived
}
