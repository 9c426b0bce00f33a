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

// decide turns the outcome of an attempt into what is to be recorded.
func decide(d *onramp.Delivery, a *onramp.Attempt, giveUpAfter time.Duration, now time.Time) onramp.Settlement {
	if d.Resend {
		return decideResend(d, a, giveUpAfter, now)
	}
	s := onramp.Settlement{Delivery: d, State: onramp.DeliveryPending, Tries: d.Tries, DueAt: d.DueAt, At: now, Attempt: a}
	switch a.Verdict {
	case onramp.Throttled, onramp.Blocked:
		return s // the destination waits; this is not the delivery's fault
	case onramp.Retry:
		s.Tries++
		if s.Tries <= quickTries || now.Sub(d.ReceivedAt) < giveUpAfter { // an old one that an operator retries has its quick tries, too
			s.DueAt = now.Add(retryDelay(s.Tries))
			return s
		}
		s.State = onramp.DeliveryDead
		a.Hint = "given up after " + giveUpAfter.String() + "; retry it when the destination works again"
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
func decideResend(d *onramp.Delivery, a *onramp.Attempt, giveUpAfter time.Duration, now time.Time) onramp.Settlement {
	attempt := *a
	attempt.Detail += "; sent once more, since an earlier call for this person may have been carried out late"
	s := onramp.Settlement{Delivery: d, State: onramp.DeliveryDelivered, Tries: d.Tries, At: now, Attempt: &attempt}
	switch a.Verdict {
	case onramp.Throttled, onramp.Blocked:
		s.State, s.DueAt = onramp.DeliveryPending, d.DueAt
	case onramp.Retry:
		if now.Sub(d.ReceivedAt) < giveUpAfter {
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
