package attempt

import "onramp/internal/onramp"

// Try makes one request for several items and returns an outcome for each, in their
// order. suspects are the places of those that were refused together: some of them
// may be good, and the answer does not say which.
type Try[T any] func(items []T) (outcomes []onramp.Outcome, suspects []int)

// Isolate makes a request for all items, and then further ones for parts of those
// that were refused together, until each of them is refused alone or taken. It
// returns one outcome for each item, in their order.
//
// When the destination itself gets into trouble meanwhile, those that are left share
// that outcome, and are not sent.
func Isolate[T any](items []T, try Try[T]) []onramp.Outcome {
	s := &search[T]{try: try}
	outcomes, _ := s.all(items)
	return outcomes
}

// All are the places of n items that were refused together.
func All(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}

// search is an Isolate under way.
type search[T any] struct {
	try     Try[T]
	trouble *onramp.Outcome
}

// all makes a request for all items, and searches among those that were refused
// together. bad says that there is one at least that can't be taken.
func (s *search[T]) all(items []T) (outcomes []onramp.Outcome, bad bool) {
	if s.trouble != nil {
		return Alike(len(items), *s.trouble), false
	}
	outcomes, suspects := s.try(items)
	if trouble := Trouble(outcomes); trouble != nil {
		shared := *trouble
		// for the others there was no request, so that nothing is unknown of them
		shared.Request, shared.RequestID, shared.MayHaveArrived = "", "", false
		if shared.Verdict == onramp.Unknown {
			shared.Verdict, shared.Hint = onramp.Retry, ""
		}
		s.trouble = &shared
	}
	switch {
	case len(suspects) == 0 || len(items) == 1:
		return outcomes, len(suspects) > 0
	case len(suspects) == len(items):
		return s.halves(items)
	}
	part := make([]T, len(suspects))
	for i, at := range suspects {
		part[i] = items[at]
	}
	found, bad := s.all(part)
	for i, at := range suspects {
		outcomes[at] = found[i]
	}
	return outcomes, bad
}

// halves searches among items of which one at least is bad: if it is not in the
// first half it is in the second, which then needs no request as a whole.
func (s *search[T]) halves(items []T) (outcomes []onramp.Outcome, bad bool) {
	half := len(items) / 2
	first, bad := s.all(items[:half])
	second := items[half:]
	if bad || s.trouble != nil || len(second) == 1 {
		outcomes, _ = s.all(second)
	} else {
		outcomes, _ = s.halves(second)
	}
	return append(first, outcomes...), true
}
