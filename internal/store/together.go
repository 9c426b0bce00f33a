package store

import (
	"fmt"
	"strings"

	"onramp/internal/onramp"
)

// together is a statement over a list of numbers, such as the seqs of deliveries.
// It is prepared for a few lengths only: a shorter list repeats its last number.
type together struct {
	lengths [3]int
	texts   [3]string
}

// newTogether makes a statement from its text before and after the list. Both write
// parameters as ?, which the dialect numbers.
func newTogether(d dialect, before, after string) together {
	s := together{lengths: [3]int{1, 8, 64}}
	for i, length := range s.lengths {
		text := numbered(before) + strings.Repeat("?, ", length-1) + "?" + numbered(after)
		var b strings.Builder
		for n := 1; ; n++ {
			part, rest, more := strings.Cut(text, "?")
			b.WriteString(part)
			if !more {
				break
			}
			b.WriteString(d.placeholder(n))
			text = rest
		}
		s.texts[i] = b.String()
	}
	return s
}

// fit returns the text for a number of seqs, and how many of them it takes.
func (s *together) fit(seqs int) (text string, length int) {
	for i, length := range s.lengths {
		if seqs <= length || i == len(s.lengths)-1 {
			return s.texts[i], length
		}
	}
	return "", 0
}

// arguments are those before the list, the list, and those after it.
func (s *together) arguments(length int, seqs []int64, before, after []any) []any {
	args := append(make([]any, 0, len(before)+length+len(after)), before...)
	for i := range length {
		args = append(args, seqs[min(i, len(seqs)-1)])
	}
	return append(args, after...)
}

// settlements are the statements that settle many deliveries at once.
type settlements struct {
	delivered, skipped, started, mine together
}

func newSettlements(d dialect) settlements {
	return settlements{
		delivered: newTogether(d, `UPDATE delivery SET state = {{delivered}}, tries = 1, settled_at = ?, call_seq = ? WHERE seq IN (`,
			`) AND state = {{pending}} AND tries = 0 AND due_at IS NULL AND `+underLease("?")),
		skipped: newTogether(d, `UPDATE delivery SET state = {{skipped}}, settled_at = ?, reason = ? WHERE seq IN (`,
			`) AND state = {{pending}} AND tries = 0 AND due_at IS NULL AND `+underLease("?")+` RETURNING seq`),
		started: newTogether(d, `UPDATE delivery SET state = {{pending}} WHERE seq IN (`,
			`) AND state = {{waiting}} AND due_at IS NULL RETURNING seq, destination_id`),
		mine: newTogether(d, `SELECT seq FROM delivery WHERE seq IN (`, `) AND call_seq = ?`),
	}
}

// settleTogether settles those that a call delivered at their first try, and those that
// are skipped before any, all by a few statements, and starts the next steps of their
// routes. It returns the other settlements, which must be written one by one.
func (t *tx) settleTogether(all []onramp.Settlement, woken map[int]wakeUp) (rest []onramp.Settlement, followers []onramp.Delivery, err error) {
	for len(all) > 0 {
		n := 0
		for n < len(all) && goTogether(&all[0], &all[n]) {
			n++
		}
		if n == 0 {
			rest, all = append(rest, all[0]), all[1:]
			continue
		}
		settle := t.settleCall
		if all[0].State == onramp.DeliverySkipped {
			settle = t.settleSkipped
		}
		left, next, err := settle(all[:n], woken)
		if err != nil {
			return nil, nil, err
		}
		rest, followers, all = append(rest, left...), append(followers, next...), all[n:]
	}
	return rest, followers, nil
}

// goTogether says that two deliveries were never parked, and were delivered by the same
// call, of which nothing else has to be kept, or are skipped for the same reason.
func goTogether(first, s *onramp.Settlement) bool {
	isFresh := first.State == s.State && !s.Delivery.Parked() && s.Delivery.Tries == 0
	if s.State == onramp.DeliverySkipped {
		return isFresh && s.Reason == first.Reason
	}
	return isFresh && s.State == onramp.DeliveryDelivered && s.Attempt == first.Attempt && s.Attempt != nil && s.Attempt.Request == "" &&
		s.Attempt.Answer == "" && s.Attempt.Hint == "" && s.Attempt.Code == 0
}

// settleSkipped settles those that are skipped for the same reason.
func (t *tx) settleSkipped(all []onramp.Settlement, woken map[int]wakeUp) (rest []onramp.Settlement, followers []onramp.Delivery, err error) {
	statement := &t.store.writer.settlements.skipped
	for len(all) > 0 {
		text, length := statement.fit(len(all))
		part := all[:min(length, len(all))]
		all = all[len(part):]
		skipped := map[int64]bool{}
		before := []any{micros(part[0].At), storable(part[0].Reason)}
		err := t.each(text, statement.arguments(length, seqsOf(part), before, []any{t.store.epoch}), func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			skipped[seq] = true
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		part, left := separate(part, skipped)
		rest = append(rest, left...)
		for i := range part {
			if _, err := t.outOrder(&part[i], woken); err != nil {
				return nil, nil, err
			}
		}
		next, err := t.moveRoutes(part, woken)
		if err != nil {
			return nil, nil, err
		}
		followers = append(followers, next...)
	}
	return rest, followers, nil
}

// insertCall writes nothing if the epoch is no longer ours, like every settlement:
// another node may have used the number of the call.
const insertCall = `INSERT INTO call (seq, started_at, took, status, detail)
	SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS INTEGER), CAST($5 AS TEXT)
	WHERE EXISTS (SELECT 1 FROM lease WHERE partition_id = 0 AND epoch = $6)`

// settleCall settles what one call delivered.
func (t *tx) settleCall(all []onramp.Settlement, woken map[int]wakeUp) (rest []onramp.Settlement, followers []onramp.Delivery, err error) {
	a := all[0].Attempt
	ours, err := t.update(insertCall,
		t.callSeq+1, micros(a.StartedAt), a.Took.Microseconds(), a.Status, storable(a.Detail), t.store.epoch)
	if err != nil || ours == 0 {
		return all, nil, err
	}
	t.callSeq++
	statement, begun := &t.store.writer.settlements.delivered, len(all)
	for len(all) > 0 {
		text, length := statement.fit(len(all))
		part := all[:min(length, len(all))]
		all = all[len(part):]
		seqs := seqsOf(part)
		n, err := t.update(text, statement.arguments(length, seqs, []any{micros(part[0].At), t.callSeq}, []any{t.store.epoch})...)
		if err != nil {
			return nil, nil, err
		}
		if n != int64(len(part)) {
			var left []onramp.Settlement
			if part, left, err = t.sortOutSettled(part, seqs); err != nil {
				return nil, nil, err
			}
			rest = append(rest, left...)
		}
		for i := range part {
			given, err := t.outOrder(&part[i], woken)
			if err == nil {
				err = t.noteLateCall(&part[i], woken)
			}
			if err != nil {
				return nil, nil, err
			}
			followers = append(followers, given...)
		}
		next, err := t.moveRoutes(part, woken)
		if err != nil {
			return nil, nil, err
		}
		followers = append(followers, next...)
	}
	if len(rest) == begun { // an earlier call, whose answer was lost, has settled them
		err = t.exec(`DELETE FROM call WHERE seq = $1`, t.callSeq)
		t.callSeq--
	}
	return rest, followers, err
}

func seqsOf(settlements []onramp.Settlement) []int64 {
	seqs := make([]int64, len(settlements))
	for i := range settlements {
		seqs[i] = settlements[i].Delivery.Seq
	}
	return seqs
}

// sortOutSettled separates those that this call has settled from those that had
// been changed before, by an operator for example.
func (t *tx) sortOutSettled(all []onramp.Settlement, seqs []int64) (settled, left []onramp.Settlement, err error) {
	statement := &t.store.writer.settlements.mine
	text, length := statement.fit(len(seqs))
	mine := map[int64]bool{}
	err = t.each(text, statement.arguments(length, seqs, nil, []any{t.callSeq}), func(scan func(...any) error) error {
		var seq int64
		err := scan(&seq)
		mine[seq] = true
		return err
	})
	settled, left = separate(all, mine)
	return settled, left, err
}

// separate tells the settlements of some seqs from the others.
func separate(all []onramp.Settlement, seqs map[int64]bool) (these, others []onramp.Settlement) {
	for _, s := range all {
		if seqs[s.Delivery.Seq] {
			these = append(these, s)
		} else {
			others = append(others, s)
		}
	}
	return these, others
}

// moveRoutes brings the counts up to date and starts the next steps.
func (t *tx) moveRoutes(all []onramp.Settlement, woken map[int]wakeUp) (followers []onramp.Delivery, err error) {
	waiting := map[int64]*onramp.Delivery{} // the next step, by its seq
	var seqs []int64
	for _, s := range all {
		d := s.Delivery
		t.moveDelivery(d.DestinationID, onramp.DeliveryPending, s.State)
		if d.Step == d.Steps {
			t.moveRegistrationOf(d, stateAt(d.Step, 0), onramp.RegistrationDelivered)
			continue
		}
		t.moveRegistrationOf(d, stateAt(d.Step, 0), onramp.RegistrationDelivering)
		waiting[d.Seq+1] = d
		if d.Seq+1 > t.store.restored.to {
			seqs = append(seqs, d.Seq+1)
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	if len(seqs) > 0 {
		statement := &t.store.writer.settlements.started
		text, length := statement.fit(len(seqs))
		err = t.each(text, statement.arguments(length, seqs, nil, nil), func(scan func(...any) error) error {
			next := onramp.Delivery{State: onramp.DeliveryPending}
			if err := scan(&next.Seq, &next.DestinationID); err != nil {
				return err
			}
			delete(waiting, next.Seq)
			t.moveDelivery(next.DestinationID, onramp.DeliveryWaiting, onramp.DeliveryPending)
			followers = append(followers, next)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("start next steps: %w", err)
		}
	}
	for _, d := range waiting { // parked, or out of reach
		next, err := t.startNextStep(d, woken)
		if err != nil {
			return nil, err
		}
		followers = append(followers, next...)
	}
	return followers, nil
}
