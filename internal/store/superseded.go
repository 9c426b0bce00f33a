package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// A delivery that an operator retries may be older than what was delivered for its
// key since. Sent now, it would write an old row over a newer one, so it is left
// alone, unless the operator insists.

// candidate is a delivery that is to be retried, or a later step of its route.
type candidate struct {
	orderingKey
	seq     int64
	age     int64 // what is delivered is newer if it is higher
	retried int64 // the delivery that is to be retried
	decided bool  // it is retried, or left alone
	newer   int64 // of its key, delivered while the candidate is watched; 0: none
}

// candidates are watched from before it is looked up what was delivered since until
// they are settled themselves, so that nothing that is in flight meanwhile is
// missed. They belong to the writer, and nothing of them has to survive a restart:
// then nothing is in flight.
type candidates map[orderingKey][]*candidate

func (c candidates) watch(one *candidate) {
	c[one.orderingKey] = append(c[one.orderingKey], one)
}

func (c candidates) remove(one *candidate) {
	rest := slices.DeleteFunc(c[one.orderingKey], func(other *candidate) bool { return other == one })
	if c[one.orderingKey] = rest; len(rest) == 0 {
		delete(c, one.orderingKey)
	}
}

// olderThan returns the candidates of a key that are older than a delivery; none is watched
// nearly always.
func (c candidates) olderThan(d *onramp.Delivery) (older []*candidate) {
	if len(c) == 0 {
		return nil
	}
	for _, one := range c[orderingKey{d.DestinationID, d.OrderingKey}] {
		if one.age < d.Age {
			older = append(older, one)
		}
	}
	return older
}

// settled ends the watch over a delivery.
func (c candidates) settled(d *onramp.Delivery) {
	if len(c) == 0 {
		return
	}
	for _, one := range slices.Clone(c[orderingKey{d.DestinationID, d.OrderingKey}]) {
		if one.seq == d.Seq {
			c.remove(one)
		}
	}
}

// retries are deliveries that an operator wants to have retried.
type retries struct {
	candidates map[int64][]*candidate // by the delivery to be retried
	newest     map[orderingKey]int64  // what was delivered before they were watched
	overwrite  bool
}

// beginRetries looks up what has overtaken some deliveries, and watches them from
// now on. end must be called after they were retried.
func (s *Store) beginRetries(ctx context.Context, seqs []int64, overwrite bool) (r *retries, end func(), err error) {
	r, all, err := s.listRetries(ctx, seqs, overwrite)
	if err != nil {
		return nil, nil, err
	}
	return s.watchRetries(ctx, r, all)
}

func (s *Store) watchRetries(ctx context.Context, r *retries, all []*candidate) (_ *retries, end func(), err error) {
	end = func() {
		// what was not decided is not retried; should this fail, watching it costs only memory
		_ = s.writer.write(context.WithoutCancel(ctx), &op{aside: func() {
			for _, c := range all {
				if !c.decided {
					s.candidates.remove(c)
				}
			}
		}})
	}
	err = s.writer.write(ctx, &op{aside: func() {
		for _, c := range all {
			s.candidates.watch(c)
		}
	}})
	if err == nil {
		err = s.findAllNewest(ctx, r, all)
	}
	if err != nil {
		end()
	}
	return r, end, err
}

// lookUpRetries looks up what has overtaken some deliveries, and watches nothing.
func (s *Store) lookUpRetries(ctx context.Context, seqs []int64, overwrite bool) (*retries, error) {
	r, all, err := s.listRetries(ctx, seqs, overwrite)
	if err == nil {
		err = s.findAllNewest(ctx, r, all)
	}
	return r, err
}

func (s *Store) listRetries(ctx context.Context, seqs []int64, overwrite bool) (r *retries, all []*candidate, err error) {
	if len(seqs) > 0 {
		all, err = s.listCandidates(ctx, seqs)
	}
	return newRetries(all, overwrite), all, err
}

func newRetries(all []*candidate, overwrite bool) *retries {
	r := &retries{candidates: map[int64][]*candidate{}, newest: map[orderingKey]int64{}, overwrite: overwrite}
	for _, c := range all {
		r.candidates[c.retried] = append(r.candidates[c.retried], c)
	}
	return r
}

func (s *Store) findAllNewest(ctx context.Context, r *retries, all []*candidate) error {
	byDestination := map[int][]*candidate{}
	for _, c := range all {
		byDestination[c.destination] = append(byDestination[c.destination], c)
	}
	for destination, several := range byDestination {
		if err := s.findNewest(ctx, destination, several, r.newest); err != nil {
			return err
		}
	}
	return nil
}

// listCandidates lists deliveries and the later steps of their routes, as far as
// their rows are written over.
func (s *Store) listCandidates(ctx context.Context, seqs []int64) ([]*candidate, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT l.seq, CASE WHEN d.steps IS NULL THEN l.seq ELSE r.delivery_seq + r.steps - 1 END, d.seq, l.destination_id, l.ordering_key FROM delivery d
		LEFT JOIN registration r ON r.seq = d.registration_seq AND d.event_seq IS NULL
		JOIN delivery l ON l.seq >= d.seq AND l.seq <= d.seq + COALESCE(COALESCE(d.steps, r.steps) - d.step, 0) WHERE d.seq IN (`+numberList(seqs)+`)`)
	all, err := collect(rows, err, func(rows *sql.Rows) (*candidate, error) {
		c := new(candidate)
		return c, rows.Scan(&c.seq, &c.age, &c.retried, &c.destination, &c.key)
	})
	all = slices.DeleteFunc(all, func(c *candidate) bool { return !s.names.upserts(c.destination) })
	return all, readerErr("list deliveries to retry", err)
}

// findNewest finds the newest delivered one of each key. It looks through all that
// is newer than the oldest candidate: an index over the keys would cost every
// registration a page.
func (s *Store) findNewest(ctx context.Context, destination int, several []*candidate, newest map[orderingKey]int64) error {
	keys := make([]int64, len(several))
	oldest := several[0].age
	for i, c := range several {
		keys[i], oldest = c.key, min(oldest, c.age)
	}
	rows, err := s.readers.QueryContext(ctx, numbered(`SELECT d.ordering_key, MAX(CASE WHEN d.steps IS NULL THEN d.seq ELSE
			(SELECT r.delivery_seq + r.steps - 1 FROM registration r WHERE r.seq = d.registration_seq) END) FROM delivery d
		WHERE d.seq > $1 AND d.destination_id = $2 AND d.state = {{delivered}} AND d.ordering_key IN (`)+numberList(keys)+`) GROUP BY d.ordering_key`,
		oldest, destination)
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var seq int64
		key := orderingKey{destination: destination}
		err = rows.Scan(&key.key, &seq)
		newest[key] = seq
		return none, err
	})
	return readerErr("find newer deliveries", err)
}

// overtaken returns the newer delivery that has overtaken one, 0 when none has.
func (r *retries) overtaken(seq int64) (newer int64) {
	if r.overwrite {
		return 0
	}
	for _, c := range r.candidates[seq] {
		if newest := r.newest[c.orderingKey]; newest > c.age {
			newer = max(newer, newest)
		}
	}
	return newer
}

// decide says whether a delivery is to be left alone, since a newer one has
// overtaken it, and which.
func (r *retries) decide(t *tx, seq int64) (newer int64) {
	for _, c := range r.candidates[seq] {
		r.newest[c.orderingKey] = max(r.newest[c.orderingKey], c.newer)
	}
	newer = r.overtaken(seq)
	for _, c := range r.candidates[seq] {
		if c.decided = true; newer != 0 || r.overwrite {
			t.store.candidates.settled(&onramp.Delivery{Seq: c.seq, DestinationID: c.destination, OrderingKey: c.key})
		}
	}
	return newer
}

// supersede takes into account that a delivery was delivered while an older one of
// its key is to be retried: it was in flight when the operator said so. It returns
// what is given up.
func (t *tx) supersede(by *onramp.Delivery, woken map[int]wakeUp) (given []onramp.Delivery, err error) {
	for _, c := range t.store.candidates.olderThan(by) {
		c.newer = max(c.newer, by.Age)
		if c.decided {
			moved, err := t.giveUpSuperseded(c, woken)
			if err != nil {
				return nil, err
			}
			given = append(given, moved...)
		}
	}
	return given, nil
}

const superseded = "a newer row of this person has been delivered, and this one would overwrite it; " +
	"to send it anyway, retry it with --overwrite-newer (overwrite_newer in the API)"

// giveUpSuperseded makes a candidate that was overtaken a dead letter again. A later
// step is given up when it would begin.
func (t *tx) giveUpSuperseded(c *candidate, woken map[int]wakeUp) ([]onramp.Delivery, error) {
	d, found, err := t.findChange(`WHERE d.seq = $1`, c.seq)
	if err != nil || !found || d.State != onramp.DeliveryPending {
		return nil, err
	}
	t.after = append(t.after, func() { t.store.candidates.remove(c) }) // not before it is on disk
	o := onramp.Outcome{Detail: superseded}
	err = t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = $4 WHERE seq = $5`,
		uint8(onramp.DeliveryDead), micros(t.now), o.Reason(), o.Cause(), d.Seq)
	if err != nil {
		return nil, err
	}
	t.moveDelivery(d.DestinationID, onramp.DeliveryPending, onramp.DeliveryDead)
	t.moveRegistrationOf(&d, stateAt(d.Step, d.Tries), onramp.RegistrationFailed)
	given, err := t.moveLaterSteps(&d, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken)
	if err == nil && d.Parked() {
		err = t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	d.State, d.DueAt = onramp.DeliveryDead, time.Time{}
	return append(given, d), err
}

// beginStep gives a later step up that was overtaken while it waited.
func (t *tx) beginStep(d *onramp.Delivery, woken map[int]wakeUp) (given []onramp.Delivery, err error) {
	if len(t.store.candidates) == 0 {
		return nil, nil
	}
	for _, c := range slices.Clone(t.store.candidates[orderingKey{d.DestinationID, d.OrderingKey}]) {
		if c.seq == d.Seq && c.newer > c.age {
			return t.giveUpSuperseded(c, woken)
		}
	}
	return nil, nil
}
