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
	maxDelay   = time.Hour
)

// retryDelay is how long to wait after so many tries: exponential, with up to a
// half taken off by chance, so that what failed together is not retried together.
func retryDelay(tries int) time.Duration {
	delay := quickDelay << min(tries-1, quickTries)
	if tries >= quickTries {
		delay = min(parkDelay<<min(tries-quickTries, 10), maxDelay)
	}
	return delay - rand.N(delay/2)
}

// decide turns the outcome of an attempt into what is to be recorded.
func (p *Pump) decide(d *onramp.Delivery, o onramp.Outcome, startedAt, now time.Time) onramp.Settlement {
	s := onramp.Settlement{
		Delivery: d, State: onramp.DeliveryPending, Tries: d.Tries, DueAt: d.DueAt, At: now,
		Attempt: &onramp.Attempt{StartedAt: startedAt, Took: now.Sub(startedAt), Outcome: o},
	}
	switch o.Verdict {
	case onramp.Throttled, onramp.Blocked:
		return s // the destination waits; this is not the delivery's fault
	case onramp.Retry:
		s.Tries++
		if now.Sub(d.ReceivedAt) < p.cfg.GiveUpAfter {
			s.DueAt = now.Add(retryDelay(s.Tries))
			return s
		}
		s.State = onramp.DeliveryDead
		s.Attempt.Mend = "given up after " + p.cfg.GiveUpAfter.String() + "; retry it when Marketing Cloud is well again"
	case onramp.Delivered:
		s.Tries++
		s.State = onramp.DeliveryDelivered
	case onramp.Unknown:
		s.Tries++
		s.State = onramp.DeliveryHeld
	default:
		s.Tries++
		s.State = onramp.DeliveryDead
	}
	s.DueAt = time.Time{}
	return s
}
