package store

import (
	"context"
	"slices"

	"onramp/internal/onramp"
)

// RetryDeliveries does for all dead deliveries that a filter lets through, or all unknown
// ones if it says so, what RetryDelivery does for one, oldest first.
// Each one that was dead when it began is taken once, whatever comes of it
// meanwhile. It stops when ctx ends; what was retried until then stays so. Left alone are
// those that newer ones have overtaken, unless overwrite is set, and those that are not
// sendable; nil: all are.
func (s *Store) RetryDeliveries(ctx context.Context, f onramp.Filter, overwrite bool, sendable func(*onramp.Delivery) bool) (r onramp.Retried, err error) {
	seqs, err := s.listFailed(ctx, f)
	for part := range slices.Chunk(seqs, lookedUpTogether) {
		if err == nil {
			part, err = s.leaveUnsendable(ctx, &r, part, sendable, nil)
		}
		if err == nil {
			err = s.retryPart(ctx, &r, part, f, overwrite)
		}
	}
	return r, wrapUnlessKnown("retry deliveries", err)
}

// PlanRetry says what RetryDeliveries would do, and changes nothing.
func (s *Store) PlanRetry(ctx context.Context, f onramp.Filter, overwrite bool, sendable func(*onramp.Delivery) bool) (r onramp.Retried, err error) {
	r.To = map[string]int64{}
	seqs, err := s.listFailed(ctx, f)
	for part := range slices.Chunk(seqs, lookedUpTogether) {
		var retries *retries
		to := map[int64]string{}
		if err == nil {
			part, err = s.leaveUnsendable(ctx, &r, part, sendable, to)
		}
		if err == nil {
			retries, err = s.lookUpRetries(ctx, part, overwrite)
		}
		if err != nil {
			break
		}
		for _, seq := range part {
			if retries.overtaken(seq) != 0 {
				r.Superseded++
				continue
			}
			r.Count++
			r.To[to[seq]]++
		}
	}
	return r, wrapUnlessKnown("plan retry", err)
}

// lookedUpTogether is for how many deliveries it is looked up together what has
// overtaken them.
const lookedUpTogether = 5000

// leaveUnsendable counts those that are not sendable, and returns the others. It notes in
// to, unless that is nil, where these go.
func (s *Store) leaveUnsendable(
	ctx context.Context, r *onramp.Retried, seqs []int64, sendable func(*onramp.Delivery) bool, to map[int64]string,
) (rest []int64, err error) {
	if sendable == nil || len(seqs) == 0 {
		return seqs, nil
	}
	found, err := s.listDeliveries(ctx, `WHERE d.seq IN (`+numberList(seqs)+`) ORDER BY d.seq`)
	for i := range found {
		if !sendable(&found[i]) {
			r.Unsendable++
			continue
		}
		rest = append(rest, found[i].Seq)
		if to != nil {
			to[found[i].Seq] = found[i].Destination
		}
	}
	return rest, readerErr("list deliveries to retry", err)
}

func (s *Store) retryPart(ctx context.Context, r *onramp.Retried, seqs []int64, f onramp.Filter, overwrite bool) error {
	if len(seqs) == 0 {
		return nil
	}
	retries, end, err := s.beginRetries(ctx, seqs, overwrite)
	if err != nil {
		return err
	}
	defer end()
	overtaken := map[int64]bool{}
	n, err := s.changePortions(ctx, f, seqs, func(t *tx, d *onramp.Delivery, woken map[int]wakeUp) error {
		if overtaken[d.Seq] = retries.decide(t, d.Seq) != 0; overtaken[d.Seq] {
			return errLeftAlone
		}
		return t.retry(d, woken)
	})
	r.Count += n
	for _, is := range overtaken {
		if is {
			r.Superseded++
		}
	}
	return err
}
