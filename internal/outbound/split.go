package outbound

import "onramp/internal/onramp"

// try makes one request for several deliveries. spoiled says that it was refused
// for the sake of some of them, and the answer does not say which.
type try func(deliveries []onramp.Delivery) (outcomes []onramp.Outcome, spoiled bool)

// isolate makes a request for all, and when that is spoiled for halves of them,
// until the bad ones are alone: the rows of a rowset before the first bad one are
// saved, the rest are not, and the answer does not say which one it was.
//
// When the destination itself gets into trouble meanwhile, those that are left
// share that outcome, and are not sent.
func isolate(deliveries []onramp.Delivery, request try) []onramp.Outcome {
	s := &splitting{request: request}
	outcomes, _ := s.isolate(deliveries, false)
	return outcomes
}

type splitting struct {
	request try
	trouble *onramp.Outcome
}

// isolate is told when the deliveries are known to spoil a request: what is not
// bad in one half is bad in the other.
func (s *splitting) isolate(deliveries []onramp.Delivery, known bool) (outcomes []onramp.Outcome, spoiled bool) {
	if s.trouble != nil {
		return alike(deliveries, *s.trouble), false
	}
	if !known || len(deliveries) == 1 {
		if outcomes, spoiled = s.request(deliveries); !spoiled || len(deliveries) == 1 {
			s.notice(outcomes)
			return outcomes, spoiled
		}
	}
	half := len(deliveries) / 2
	first, bad := s.isolate(deliveries[:half], false)
	second, _ := s.isolate(deliveries[half:], !bad && s.trouble == nil)
	return append(first, second...), true
}

// notice keeps an outcome that concerns the destination: to go on would only
// cost time.
func (s *splitting) notice(outcomes []onramp.Outcome) {
	for i := range outcomes {
		o := &outcomes[i]
		silent := o.Verdict == onramp.Retry && (o.Status == 0 || o.Status >= 500)
		if silent || o.Verdict == onramp.Throttled || o.Verdict == onramp.Blocked {
			s.trouble = o
			return
		}
	}
}
