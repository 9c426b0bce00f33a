package store

import (
	"context"
	"database/sql"
	"slices"

	"onramp/internal/onramp"
)

// ReleaseSuspects releases all registrations that are held under suspicion and that a filter
// lets through, oldest first, as ReleaseRegistration does one. It stops when ctx ends; what
// was released until then stays so. Left alone are those that newer ones have overtaken.
func (s *Store) ReleaseSuspects(ctx context.Context, f onramp.SuspectFilter) (r onramp.Retried, err error) {
	seqs, err := s.listSuspects(ctx, f)
	for part := range slices.Chunk(seqs, lookedUpTogether) {
		if err == nil {
			err = s.releasePart(ctx, &r, part)
		}
	}
	return r, wrapUnlessKnown("release registrations", err)
}

// PlanRelease says what ReleaseSuspects would do, and changes nothing.
func (s *Store) PlanRelease(ctx context.Context, f onramp.SuspectFilter) (r onramp.Retried, err error) {
	seqs, err := s.listSuspects(ctx, f)
	for part := range slices.Chunk(seqs, lookedUpTogether) {
		var retries *retries
		if err == nil {
			retries, err = s.lookUpRetries(ctx, part, false)
		}
		if err != nil {
			break
		}
		for _, seq := range part {
			if retries.overtaken(seq) != 0 {
				r.Superseded++
			} else {
				r.Count++
			}
		}
	}
	return r, wrapUnlessKnown("plan release", err)
}

func (s *Store) releasePart(ctx context.Context, r *onramp.Retried, seqs []int64) error {
	retries, end, err := s.beginRetries(ctx, seqs, false)
	if err != nil {
		return err
	}
	defer end()
	overtaken := map[int64]bool{} // by the delivery: a write can be carried out twice
	n, err := s.changeSuspects(ctx, seqs, func(t *tx, d *onramp.Delivery, woken map[int]wakeUp) (bool, error) {
		if overtaken[d.Seq] = retries.decide(t, d.Seq) != 0; overtaken[d.Seq] {
			return false, nil
		}
		return true, t.release(d, woken)
	})
	r.Count += n
	for _, is := range overtaken {
		if is {
			r.Superseded++
		}
	}
	return err
}

// DiscardSuspects gives up all registrations that are held under suspicion and that a filter
// lets through, as DiscardHeld does one, and returns how many.
func (s *Store) DiscardSuspects(ctx context.Context, f onramp.SuspectFilter, reason string) (int64, error) {
	seqs, err := s.listSuspects(ctx, f)
	if err != nil {
		return 0, wrapUnlessKnown("discard registrations", err)
	}
	n, err := s.changeSuspects(ctx, seqs, func(t *tx, d *onramp.Delivery, _ map[int]wakeUp) (bool, error) {
		return true, t.discardHeld(d, reason)
	})
	return n, wrapUnlessKnown("discard registrations", err)
}

// PlanDiscard says how many registrations DiscardSuspects would give up.
func (s *Store) PlanDiscard(ctx context.Context, f onramp.SuspectFilter) (int64, error) {
	seqs, err := s.listSuspects(ctx, f)
	return int64(len(seqs)), wrapUnlessKnown("plan discard", err)
}

// changeSuspects changes held registrations by the seqs of their first deliveries, in
// portions that hold up nobody, and returns how many were changed.
func (s *Store) changeSuspects(ctx context.Context, seqs []int64, change func(*tx, *onramp.Delivery, map[int]wakeUp) (bool, error)) (n int64, err error) {
	for seqs := range slices.Chunk(seqs, portion) {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var changed int64
		err := s.writer.write(ctx, &op{run: func(t *tx) error {
			changed = 0
			woken := map[int]wakeUp{}
			for _, seq := range seqs {
				d, still, err := t.findChange(`WHERE d.seq = $1 AND d.state = $2`, seq, uint8(onramp.DeliveryHeld))
				if err == nil && still {
					still, err = change(t, &d, woken)
				}
				if err != nil {
					return err
				}
				if still {
					changed++
				}
			}
			t.wakeAfter(woken)
			return nil
		}})
		if err != nil {
			return n, err
		}
		n += changed
	}
	return n, nil
}

// listSuspects lists the first deliveries of the registrations that are held under suspicion
// and that a filter lets through, oldest first.
func (s *Store) listSuspects(ctx context.Context, f onramp.SuspectFilter) ([]int64, error) {
	where, err := s.chosenSuspects(f)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT r.delivery_seq FROM hold h JOIN registration r ON r.seq = h.registration_seq WHERE `+
		where.text+` ORDER BY h.registration_seq`, where.args...)
	seqs, err := collect(rows, err, scanSeq)
	return seqs, readerErr("list suspects", err)
}

// ListSuspects lists the ids of the registrations that are held under suspicion and that a
// filter lets through, oldest first.
func (s *Store) ListSuspects(ctx context.Context, f onramp.SuspectFilter) ([]string, error) {
	where, err := s.chosenSuspects(f)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT r.id FROM hold h JOIN registration r ON r.seq = h.registration_seq WHERE `+
		where.text+` ORDER BY h.registration_seq`, where.args...)
	ids, err := collect(rows, err, func(rows *sql.Rows) (id string, err error) {
		err = rows.Scan(&id)
		return id, err
	})
	return ids, readerErr("list suspects", err)
}

// chosenSuspects is the condition of a filter.
func (s *Store) chosenSuspects(f onramp.SuspectFilter) (where chosen, err error) {
	where.and(`h.reason = ?`, int64(onramp.HoldSuspicion))
	if f.Form != "" {
		form, ok := s.names.form(f.Form)
		if !ok {
			return where, &onramp.Error{Kind: onramp.Malformed, Message: "there is no form of this name, and none was ever registered"}
		}
		where.and(`r.form_id = ?`, form)
	}
	for _, name := range f.Not {
		if form, ok := s.names.form(name); ok {
			where.and(`r.form_id <> ?`, form)
		}
	}
	if f.Reason != "" {
		where.and(`h.suspicion = ?`, storable(f.Reason))
	}
	where.within("r.received_at", f.Since, f.Until)
	return where, nil
}
