package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// Marketing Cloud may carry out a call late: after its answer was given up, after
// the process that made it was killed, or, for a journey's event, after it was
// answered. If a newer row of the same person went out in between, the older one
// then stands. late_call notes the keys in question until the call can no longer
// be carried out; then what was delivered for the key since goes into resend, to
// be sent once more. An upsert may be repeated; nothing else ever is for this.

const (
	longestCall  = 2 * time.Minute // default of Config.LongestCall
	lateRounds   = 12              // late calls end together, in steps of LongestCall / lateRounds
	lateTogether = 500             // late calls in one write
	lateAtOnce   = 16_384          // late calls that are looked at together
	mostDue      = 8192            // due deliveries that may have been in flight when a process was killed
	mostFresh    = 32_768          // the same of those that were never parked
)

const noteLate = `INSERT INTO late_call (destination_id, ordering_key, seq, until_at) VALUES ($1, $2, $3, $4)
	ON CONFLICT (destination_id, ordering_key) DO UPDATE SET
		seq = CASE WHEN excluded.seq < late_call.seq THEN excluded.seq ELSE late_call.seq END,
		until_at = CASE WHEN excluded.until_at > late_call.until_at THEN excluded.until_at ELSE late_call.until_at END`

// noteLate notes that a call with the delivery seq of a key may be carried out late.
func (t *tx) noteLate(destination int, key, seq int64, woken map[int]wakeUp) error {
	until := t.store.lateUntil(t.now)
	if t.store.lateTold[destination] != until {
		t.store.lateTold[destination] = until
		woken[destination] |= dueUp
	}
	return t.exec(noteLate, destination, key, seq, until)
}

// lateUntil is when a call that ends now can no longer be carried out, rounded up
// so that many end together. A quarter more than the longest call, since a newer
// row may still be on its way when that ends.
func (s *Store) lateUntil(now time.Time) int64 {
	step := max(s.longestCall.Microseconds()/lateRounds, 1)
	return (micros(now.Add(s.longestCall+s.longestCall/4))/step + 1) * step
}

// noteLateCall notes what an attempt may change late: the row that it was for,
// or those of earlier steps that a journey's event writes as well.
func (t *tx) noteLateCall(s *onramp.Settlement, woken map[int]wakeUp) error {
	d := s.Delivery
	if !s.Late {
		return nil
	}
	if t.store.names.upserts(d.DestinationID) {
		return t.noteLate(d.DestinationID, d.OrderingKey, d.Seq, woken)
	}
	first := d.Seq - int64(d.Step-1)
	if d.Step == 1 || s.State == onramp.DeliveryDelivered && !t.store.recent.followed(d.OrderingKey, first) {
		return nil
	}
	rows, err := t.listRows(d, first)
	for _, row := range rows {
		if err == nil {
			err = t.noteLate(row.DestinationID, d.OrderingKey, row.Seq, woken)
		}
	}
	return err
}

// listRows lists the earlier steps of a delivery's route, from a seq on, that are upserts.
func (t *tx) listRows(d *onramp.Delivery, from int64) (rows []onramp.Delivery, err error) {
	err = t.each(`SELECT seq, destination_id FROM delivery WHERE seq >= $1 AND seq < $2 AND registration_seq = $3 AND COALESCE(run_id, 0) = $4`,
		[]any{from, d.Seq, d.RegistrationSeq, d.Run}, func(scan func(...any) error) error {
			var row onramp.Delivery
			err := scan(&row.Seq, &row.DestinationID)
			if t.store.names.upserts(row.DestinationID) {
				rows = append(rows, row)
			}
			return err
		})
	return rows, err
}

// noteFollowed notes that the journey's event of an earlier registration of this
// person may write its row later than this registration's own step does.
func (t *tx) noteFollowed(r *onramp.Registration, key, first int64, woken map[int]wakeUp) error {
	if !slices.ContainsFunc(r.Route, func(d onramp.Destination) bool { return t.store.names.beforeJourney(d.ID) }) {
		return nil
	}
	until := t.store.lateUntil(t.now)
	known, noted := t.store.recent.add(key, first, t.now, t.store.longestCall)
	if !known || noted == until {
		return nil
	}
	t.after = append(t.after, func() { t.store.recent.note(key, until) })
	for i, d := range r.Route {
		if t.store.names.beforeJourney(d.ID) {
			if err := t.noteLate(d.ID, key, first+int64(i)-1, woken); err != nil {
				return err
			}
		}
	}
	return nil
}

// recent knows the newest registration of each ordering key, by its first
// delivery, for the registrations of the last while. It belongs to the writer.
type recent struct {
	now, before map[int64]latest
	from        int64 // every registration whose first delivery is not before this one is known
	turn        int64 // where now begins
	turnedAt    time.Time
}

const mostRecent = 32_768 // keys in each half

// latest is the newest registration of a key.
type latest struct {
	first int64
	noted int64 // until when an earlier one may be written late, as late_call has it; 0: it has not
}

// add takes a registration in, and says whether the key was known, and until when it
// is noted. What is older than lasting may be forgotten.
func (r *recent) add(key, first int64, at time.Time, lasting time.Duration) (known bool, noted int64) {
	switch passed := at.Sub(r.turnedAt); {
	case r.now == nil:
		r.now, r.from, r.turn, r.turnedAt = map[int64]latest{}, first, first, at
	case len(r.now) >= mostRecent || passed > lasting || passed < 0:
		r.before, r.now = r.now, map[int64]latest{}
		r.from, r.turn, r.turnedAt = r.turn, first, at
	}
	last, known := r.now[key]
	if !known {
		last, known = r.before[key]
	}
	r.now[key] = latest{first, last.noted}
	return known, last.noted
}

// note keeps until when a key is noted, once that is on disk.
func (r *recent) note(key, until int64) {
	if last, known := r.now[key]; known {
		r.now[key] = latest{last.first, until}
	}
}

// followed says whether a newer registration of a key was accepted after the one
// with that first delivery, or may have been.
func (r *recent) followed(key, first int64) bool {
	if r.now == nil || first < r.from {
		return true
	}
	return max(r.now[key].first, r.before[key].first) > first
}

// endLateCalls takes the calls to a destination that can no longer be carried out:
// what was delivered since for their keys is to be sent once more.
func (s *Store) endLateCalls(ctx context.Context, destination int, now time.Time) error {
	for {
		ended, err := s.listLateCalls(ctx, destination, now)
		if err != nil || len(ended) == 0 {
			return err
		}
		if err := s.endTogether(ctx, destination, now, ended); err != nil {
			return err
		}
	}
}

// endTogether has what was delivered since late calls sent once more. What is delivered
// while that is looked up counts as well: from before until it is written, their keys
// are taken for some of which something is to be sent once more.
func (s *Store) endTogether(ctx context.Context, destination int, now time.Time, ended []*lateCall) error {
	err := s.writer.write(ctx, &op{aside: func() {
		for _, c := range ended {
			s.resends.add(orderingKey{destination, c.key}, 1)
		}
	}})
	if err != nil {
		return err
	}
	defer func() {
		// should this fail, later deliveries of these keys are sent once more in vain
		_ = s.writer.write(context.WithoutCancel(ctx), &op{aside: func() {
			for _, c := range ended {
				s.resends.remove(orderingKey{destination, c.key}, 1)
			}
		}})
	}()
	if err := s.findOvertaken(ctx, destination, ended); err != nil {
		return err
	}
	for part := range slices.Chunk(ended, lateTogether) {
		err := s.writer.write(ctx, &op{rows: len(part), run: func(t *tx) error { return t.endLateCalls(destination, now, part) }})
		if err != nil {
			return err
		}
	}
	return nil
}

// lateCall is one that can no longer be carried out.
type lateCall struct {
	key, seq, until int64
	overtaken       []overtaken
}

// overtaken is a delivery that was delivered after a call that may have been carried
// out later.
type overtaken struct {
	seq  int64
	form int // 0: an event has brought it, or it may be another row than the others of its form
}

// ended is true of late calls that are over at $2. One that ends later than any can
// was noted by a clock that was ahead.
const ended = `(l.until_at <= $2 OR l.until_at > $3)`

var listLateCalls = `SELECT l.ordering_key, l.seq, l.until_at FROM late_call l WHERE l.destination_id = $1 AND ` + ended + ` LIMIT $4 + 0`

func (s *Store) listLateCalls(ctx context.Context, destination int, now time.Time) ([]*lateCall, error) {
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	furthest := s.lateUntil(now.Add(time.Hour))
	rows, err := s.queries.Query(ctx, listLateCalls, destination, micros(now), furthest, lateAtOnce)
	found, err := collect(rows, err, func(rows *sql.Rows) (*lateCall, error) {
		c := new(lateCall)
		return c, rows.Scan(&c.key, &c.seq, &c.until)
	})
	return found, readerErr("list late calls", because(ctx, err))
}

// listSince reads all that was delivered after a seq: it is only read for what
// happened in the last minutes, and an index over the keys would cost every
// registration a page.
var listSince = numbered(`SELECT d.seq, d.ordering_key, d.event_seq, r.form_id FROM delivery d CROSS JOIN late_call l
	LEFT JOIN registration r ON r.seq = d.registration_seq
	WHERE d.seq > $2 AND d.destination_id = $1 AND d.state = {{delivered}}
		AND l.destination_id = $1 AND l.ordering_key = d.ordering_key AND l.seq < d.seq ORDER BY d.seq`)

// findOvertaken fills in what was delivered after late calls: of each form the
// newest registration, since those of other forms have other columns, or all where
// they may be different rows, and what events have changed.
func (s *Store) findOvertaken(ctx context.Context, destination int, calls []*lateCall) error {
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	byKey := make(map[int64]*lateCall, len(calls))
	for _, c := range calls {
		byKey[c.key] = c
	}
	oldest := slices.MinFunc(calls, func(a, b *lateCall) int { return cmp.Compare(a.seq, b.seq) }).seq
	type row struct {
		seq, key    int64
		event, form sql.NullInt64
	}
	rows, err := s.readers.QueryContext(ctx, listSince, destination, oldest)
	found, err := collect(rows, err, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.seq, &r.key, &r.event, &r.form)
		return r, err
	})
	if err != nil {
		return readerErr("list what was delivered since", because(ctx, err))
	}
	seen, one := map[[2]int64]bool{}, !s.names.severalRows(destination)
	for _, r := range slices.Backward(found) {
		c := byKey[r.key]
		ofForm := [2]int64{r.key, r.form.Int64}
		if c == nil || !r.event.Valid && seen[ofForm] {
			continue
		}
		o := overtaken{seq: r.seq}
		if !r.event.Valid && one {
			seen[ofForm], o.form = true, int(r.form.Int64)
		}
		c.overtaken = append(c.overtaken, o)
	}
	return nil
}

func (t *tx) endLateCalls(destination int, now time.Time, calls []*lateCall) error {
	for _, c := range calls {
		for _, o := range c.overtaken {
			if err := t.addResend(orderingKey{destination, c.key}, o, now); err != nil {
				return err
			}
		}
		// noted again meanwhile, it ends later
		if err := t.exec(`DELETE FROM late_call WHERE destination_id = $1 AND ordering_key = $2 AND until_at = $3`, destination, c.key, c.until); err != nil {
			return err
		}
	}
	return nil
}

// orderingKey is a key among the deliveries to one destination.
type orderingKey struct {
	destination int
	key         int64
}

const countLate = `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM late_call WHERE destination_id = $1 LIMIT $2) AS l),
	(SELECT COUNT(*) FROM (SELECT 1 FROM resend WHERE destination_id = $1 LIMIT $2) AS r), (SELECT MAX(until_at) FROM late_call WHERE destination_id = $1)`

// Late tells for how many keys a call to a destination may still be carried out, and
// until when at the latest, and how many deliveries are to be sent once more. Each
// count ends at 10,000.
func (s *Store) Late(ctx context.Context, destination string) (keys, resends int64, until time.Time, err error) {
	id, _ := s.names.destination(destination)
	var last sql.NullInt64
	err = s.readers.QueryRowContext(ctx, countLate, id, mostBehind).Scan(&keys, &resends, &last)
	return keys, resends, fromNull(last), readerErr("count late calls", err)
}

// resends counts what is to be sent once more, by key. It belongs to the writer,
// and may count a little too much after a write that failed: then something is sent
// once more in vain.
type resends map[orderingKey]int

func (r resends) add(key orderingKey, n int) { r[key] += n }

func (r resends) remove(key orderingKey, n int) {
	if r[key] -= n; r[key] <= 0 {
		delete(r, key)
	}
}

// deleteOlderResends leaves the newest of a form. It may not be the one that was added
// last: a newer one can have been delivered while that was looked up.
const deleteOlderResends = `DELETE FROM resend WHERE destination_id = $1 AND ordering_key = $2 AND form_id = $3 AND seq <
	(SELECT MAX(newer.seq) FROM resend newer WHERE newer.destination_id = $1 AND newer.ordering_key = $2 AND newer.form_id = $3)`

// addResend has a delivery sent once more, and older ones of its form no longer.
func (t *tx) addResend(key orderingKey, o overtaken, due time.Time) error {
	n, err := t.update(`INSERT INTO resend (destination_id, ordering_key, seq, form_id, due_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		key.destination, key.key, o.seq, o.form, micros(due))
	t.store.resends.add(key, int(n))
	if err != nil || o.form == 0 {
		return err
	}
	n, err = t.update(deleteOlderResends, key.destination, key.key, o.form)
	t.after = append(t.after, func() { t.store.resends.remove(key, int(n)) })
	return err
}

// resendAfter has a delivery sent once more, too, that was delivered while an
// earlier one of its key is to be.
func (t *tx) resendAfter(d *onramp.Delivery, woken map[int]wakeUp) error {
	key := orderingKey{d.DestinationID, d.OrderingKey}
	if len(t.store.resends) == 0 || t.store.resends[key] == 0 {
		return nil
	}
	o := overtaken{seq: d.Seq}
	if d.Event == nil && !t.store.names.severalRows(d.DestinationID) {
		o.form, _ = t.store.names.form(d.Form)
	}
	woken[d.DestinationID] |= dueUp
	return t.addResend(key, o, t.now)
}

// outOrder takes into account what a settlement means for other deliveries of its key
// that are not in the order of acceptance: those to be sent once more, and those
// that an operator retries. It returns what is given up.
func (t *tx) outOrder(s *onramp.Settlement, woken map[int]wakeUp) (given []onramp.Delivery, err error) {
	if s.State != onramp.DeliveryPending && len(t.store.candidates) > 0 {
		t.after = append(t.after, func() { t.store.candidates.settled(s.Delivery) })
	}
	if s.State != onramp.DeliveryDelivered {
		return nil, nil
	}
	if err := t.resendAfter(s.Delivery, woken); err != nil {
		return nil, err
	}
	return t.supersede(s.Delivery, woken)
}

// settleResend records what came of sending a delivery once more. Its own state
// stays what it is.
func (t *tx) settleResend(s *onramp.Settlement, woken map[int]wakeUp) error {
	d := s.Delivery
	var n int64
	var err error
	if s.State == onramp.DeliveryPending {
		n, err = t.update(`UPDATE resend SET due_at = $1 WHERE destination_id = $2 AND ordering_key = $3 AND seq = $4`,
			micros(s.DueAt), d.DestinationID, d.OrderingKey, d.Seq)
	} else {
		n, err = t.update(`DELETE FROM resend WHERE destination_id = $1 AND ordering_key = $2 AND seq = $3`, d.DestinationID, d.OrderingKey, d.Seq)
	}
	if err != nil || n == 0 {
		return err // recorded by an earlier call whose answer was lost
	}
	woken[d.DestinationID] |= dueUp // the next of its key takes its turn
	if s.State != onramp.DeliveryPending {
		t.after = append(t.after, func() { t.store.resends.remove(orderingKey{d.DestinationID, d.OrderingKey}, 1) })
	}
	if s.Attempt == nil {
		return nil
	}
	var number int // behind the call that delivered it, if it has no attempt of its own
	_, err = t.find(`SELECT COUNT(a.number) + 1 + CASE WHEN d.call_seq IS NULL THEN 0 ELSE 1 END
		FROM delivery d LEFT JOIN attempt a ON a.delivery_seq = d.seq WHERE d.seq = $1 GROUP BY d.call_seq`, []any{d.Seq}, &number)
	if err != nil {
		return err
	}
	return t.saveAttempt(d, number, s.Attempt)
}

// loadResends counts what is to be sent once more, by key.
func (s *Store) loadResends(ctx context.Context, q queryer) error {
	rows, err := q.QueryContext(ctx, `SELECT destination_id, ordering_key, COUNT(*) FROM resend GROUP BY destination_id, ordering_key`)
	type count struct {
		orderingKey
		n int
	}
	found, err := collect(rows, err, func(rows *sql.Rows) (c count, err error) {
		err = rows.Scan(&c.destination, &c.key, &c.n)
		return c, err
	})
	s.resends = make(resends, len(found))
	for _, c := range found {
		s.resends[c.orderingKey] = c.n
	}
	return err
}

var listResends = numbered(selectDeliveries + ` JOIN resend s ON s.seq = d.seq AND s.destination_id = d.destination_id
	WHERE s.destination_id = $1 AND s.due_at <= $2
		AND NOT EXISTS (SELECT 1 FROM resend e WHERE e.destination_id = $1 AND e.ordering_key = s.ordering_key AND e.seq < s.seq)
		AND d.state = {{delivered}} ORDER BY s.seq LIMIT $3 + 0`)

// listResends lists what is to be sent once more now: the oldest of each key.
func (s *Store) listResends(ctx context.Context, destination int, now time.Time, n int) (found []onramp.Delivery, more bool, err error) {
	found, more, err = s.pagePrepared(ctx, listResends, destination, micros(now), n)
	for i := range found {
		found[i].Resend, found[i].DueAt, found[i].Tries = true, now, 0
	}
	return found, more, err
}
