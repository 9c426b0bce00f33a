package pump

import (
	"context"
	"maps"
	"math"
	"slices"

	"onramp/internal/onramp"
)

// passing is what a lane knows of the deliveries that it has passed by because
// enough of their key was in memory: their seqs, up to a limit. Beyond the limit it
// only remembers where the first one of each key is, and reads from there once
// there is room.
type passing struct {
	queues map[int64]*queue // that have passed ones
	known  int              // seqs in memory
	most   int              // of these
	behind map[int64]bool   // keys whose passed ones may be behind a parked one
}

func newPassing(most int) passing {
	return passing{queues: map[int64]*queue{}, most: most, behind: map[int64]bool{}}
}

// pass notes that a delivery of a queue was passed by.
func (p *passing) pass(q *queue, seq int64) {
	p.queues[q.key] = q
	switch {
	case q.leftFrom > 0: // so is this one
	case len(q.passed) > 0 && seq <= q.passed[len(q.passed)-1]: // it is read again
	case p.known >= p.most:
		q.leftFrom = seq
	default:
		q.passed = append(q.passed, seq)
		p.known++
	}
}

// take takes those up to a seq from the front of a queue that keep does not want to
// keep, out of the first n.
func (p *passing) take(q *queue, n int, gone func(seq int64) bool) (taken int) {
	kept := slices.DeleteFunc(slices.Clone(q.passed[:n]), gone)
	taken = n - len(kept)
	q.passed = q.passed[taken:]
	copy(q.passed, kept)
	if p.known -= taken; len(q.passed) == 0 {
		q.passed = nil
		delete(p.behind, q.key)
		p.forget(q)
	}
	return taken
}

// unlearn has those found by reading again that are not known, and returns the seq to
// do it from; the largest number when all are known.
func (p *passing) unlearn() (from int64) {
	from = math.MaxInt64
	for _, q := range p.queues {
		if q.leftFrom > 0 {
			from = min(from, q.leftFrom)
			q.leftFrom = 0
			p.forget(q)
		}
	}
	return from
}

// forget drops a queue that has no passed ones.
func (p *passing) forget(q *queue) {
	if q.nextPassed() == math.MaxInt64 {
		delete(p.queues, q.key)
	}
}

// oldest is the seq of the oldest that was passed by.
func (p *passing) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for _, q := range p.queues {
		oldest = min(oldest, q.nextPassed())
	}
	return oldest
}

// leftFrom is the seq from which on some are not known; 0: all are.
func (p *passing) leftFrom() int64 {
	from := int64(math.MaxInt64)
	for _, q := range p.queues {
		if q.leftFrom > 0 {
			from = min(from, q.leftFrom)
		}
	}
	if from == math.MaxInt64 {
		return 0
	}
	return from
}

// learn takes in what there is between leftFrom and a seq. Nothing is after the
// cursor.
func (w *window) learn(found []onramp.Delivery, to, cursor int64) {
	p := &w.passing
	for i := range found {
		d := &found[i]
		q := p.queues[d.OrderingKey]
		if q != nil && q.leftFrom > 0 && q.leftFrom <= d.Seq && d.Seq <= to {
			q.passed = append(q.passed, d.Seq)
			p.known++
		}
	}
	for _, q := range p.queues {
		if q.leftFrom == 0 || q.leftFrom > to {
			continue
		}
		if q.leftFrom = to + 1; to >= cursor {
			q.leftFrom = 0
			p.forget(q)
		}
		w.refresh(q)
	}
}

// want returns the next queue whose passed ones should be read.
func (w *window) want() *queue {
	for len(w.wanted) > 0 {
		q := w.wanted[0]
		if q.wants() && !w.passing.behind[q.key] {
			return q
		}
		w.unwant()
	}
	w.wanted = nil
	return nil
}

func (w *window) unwant() {
	w.wanted[0].wanted = false
	w.wanted = w.wanted[1:]
}

// passedRoom says whether passed ones can be read: as many keys as of fresh ones.
func (l *lane) passedRoom() bool {
	return l.window.keys[again] < l.capacity() && l.window.bytes[again] < mostBytes
}

// readPassed brings the next ones of each key into memory whose turn has come.
func (l *lane) readPassed(work context.Context) error {
	w := l.window
	if !l.passedRoom() {
		return nil
	}
	next := map[*queue]int{}
	var seqs []int64
	for q := w.want(); q != nil && len(seqs) < readTogether; q = w.want() {
		n := min(len(q.passed), max(w.share(again)-len(q.entries), 1))
		next[q] = n
		seqs = append(seqs, q.passed[:n]...)
		w.unwant()
	}
	if len(seqs) == 0 {
		return nil
	}
	slices.Sort(seqs)
	found, to, err := l.pump.outbox.ListFreshOf(work, seqs)
	if err != nil {
		to = 0
	}
	var kept []onramp.Delivery
	for i := range found {
		if l.bars.keepsBack(&found[i]) {
			kept = append(kept, found[i])
			continue
		}
		w.add(found[i], true)
		if found[i].Behind {
			l.toPark[found[i].Seq] = true
			w.passing.behind[found[i].OrderingKey] = true
		}
	}
	for q, n := range next {
		w.passing.take(q, n, func(seq int64) bool { return seq <= to })
		w.refresh(q)
	}
	for i := range kept {
		l.leave(&kept[i])
	}
	return err
}

// leftRoom says whether some of those can be found that are not known.
func (l *lane) leftRoom() bool {
	p := &l.window.passing
	return p.known <= p.most/2 && p.leftFrom() > 0
}

// readLeft finds out the seqs of those that were passed by and are not known.
func (l *lane) readLeft(work context.Context) error {
	if !l.leftRoom() {
		return nil
	}
	p := &l.window.passing
	n := min(readTogether, p.most-p.known)
	found, to, _, err := l.pump.outbox.ListFresh(work, l.destination.ID, p.leftFrom()-1, n)
	if err == nil {
		l.window.learn(found, min(to, l.cursor), l.cursor)
	}
	return err
}

// parkPassed parks passed ones that are behind a parked one of their key, a few
// at a time: the others go on meanwhile.
func (l *lane) parkPassed(work context.Context) error {
	p := &l.window.passing
	next := map[*queue]int{}
	var seqs []int64
	for _, key := range slices.Sorted(maps.Keys(p.behind)) {
		q := p.queues[key]
		if q == nil || len(q.passed) == 0 {
			delete(p.behind, key)
			continue
		}
		n := min(len(q.passed), parkTogether-len(seqs))
		next[q] = n
		if seqs = append(seqs, q.passed[:n]...); len(seqs) >= parkTogether {
			break
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	slices.Sort(seqs)
	parked, err := l.pump.outbox.Park(work, seqs)
	if err != nil {
		return err
	}
	for q, n := range next {
		if p.take(q, n, func(seq int64) bool { return parked[seq] }) == 0 {
			delete(p.behind, q.key) // the parked one has left: these can be sent
		}
		l.window.refresh(q)
	}
	return nil
}

// unread says whether something that was passed by can be read now.
func (l *lane) unread() bool {
	return len(l.window.passing.behind) > 0 || l.passedRoom() && l.window.want() != nil || l.leftRoom()
}
