package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"onramp/internal/onramp"
)

// What waits goes where the route of its form leads now: a destination that was
// corrected in the configuration takes over what waits for the one before.

// formStep is where a step of a form led, or leads.
type formStep struct{ form, step, destination int }

// FollowRoutes has what is not delivered go where the routes of the forms lead now, in
// its order, and remembers the routes for the next time. Nothing may be sent meanwhile.
// What was stored for a form or a step that is gone stays where it is: that is returned.
// forms are those that RegisterForms has returned.
func (s *Store) FollowRoutes(ctx context.Context, forms []*onramp.Form) (left []onramp.Left, err error) {
	known, err := s.listFormSteps(ctx)
	if err != nil {
		return nil, err
	}
	over, gone, err := s.followAll(ctx, forms, known) // nothing waits any more where it is over
	for _, k := range gone {
		if err != nil {
			break
		}
		var n int64
		if n, err = s.moveDeliveries(ctx, &move{form: k.form, from: k.destination, count: true}); n == 0 {
			over = append(over, k)
			continue
		}
		left = append(left, onramp.Left{Form: s.names.formName(k.form), Destination: s.names.destinationName(k.destination), Deliveries: n})
	}
	if err == nil {
		err = s.saveFormSteps(ctx, forms, over)
	}
	return left, err
}

// followAll moves what can follow. gone are the steps that no route has any more.
func (s *Store) followAll(ctx context.Context, forms []*onramp.Form, known []formStep) (over, gone []formStep, err error) {
	byID := map[int]*onramp.Form{}
	for _, f := range forms {
		id, _ := s.names.form(f.Name)
		byID[id] = f
	}
	for _, k := range known {
		f := byID[k.form]
		if f != nil && slices.ContainsFunc(f.Destinations(), func(d onramp.Destination) bool { return d.ID == k.destination }) {
			continue
		}
		to, ok := s.follow(f, k, known)
		if !ok {
			gone = append(gone, k)
			continue
		}
		moved, err := s.moveDeliveries(ctx, &move{form: k.form, from: k.destination, to: to.ID})
		if err != nil {
			return nil, nil, fmt.Errorf("follow the route of form %s: %w", f.Name, err)
		}
		s.log.InfoContext(ctx, "the route of a form has changed; what waits follows it", "form", f.Name, "deliveries", moved,
			"from", s.names.destinationName(k.destination), "destination", to.Name())
		over = append(over, k)
		known = append(known, formStep{k.form, k.step, to.ID}) // it takes the place of one step only
	}
	return over, gone, nil
}

// follow finds the destination that has taken the place of another one: of its kind,
// and new in the form's route. ok is false when there is none; f is nil when the form is
// gone.
func (s *Store) follow(f *onramp.Form, k formStep, known []formStep) (to onramp.Destination, ok bool) {
	if f == nil {
		return to, false
	}
	kind := onramp.KindOf(s.names.destinationName(k.destination))
	var candidates []onramp.Destination
	for i, d := range f.Destinations() {
		isKnown := slices.ContainsFunc(known, func(other formStep) bool { return other.form == k.form && other.destination == d.ID })
		switch {
		case d.Kind != kind || isKnown:
		case stepOf(f, i) == k.step:
			return d, true
		case k.step == 0 || i >= len(f.Route): // confirmations don't become steps, nor steps confirmations
		default:
			candidates = append(candidates, d)
		}
	}
	if len(candidates) != 1 {
		return to, false
	}
	return candidates[0], true
}

// stepOf is the step of a form's i-th destination: 0 of the one that takes confirmations.
func stepOf(f *onramp.Form, i int) int {
	if i >= len(f.Route) {
		return 0
	}
	return i + 1
}

func (s *Store) listFormSteps(ctx context.Context) ([]formStep, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT form_id, step, destination_id FROM form_step ORDER BY form_id, step, destination_id`)
	steps, err := collect(rows, err, func(rows *sql.Rows) (k formStep, err error) {
		return k, rows.Scan(&k.form, &k.step, &k.destination)
	})
	return steps, readerErr("list the steps of forms", err)
}

func (s *Store) saveFormSteps(ctx context.Context, forms []*onramp.Form, over []formStep) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, k := range over {
			if err := t.exec(`DELETE FROM form_step WHERE form_id = $1 AND destination_id = $2`, k.form, k.destination); err != nil {
				return err
			}
		}
		for _, f := range forms {
			id, _ := s.names.form(f.Name)
			for i, d := range f.Destinations() {
				err := t.exec(`INSERT INTO form_step (form_id, step, destination_id) VALUES ($1, $2, $3)
					ON CONFLICT (form_id, destination_id) DO UPDATE SET step = excluded.step`, id, stepOf(f, i), d.ID)
				if err != nil {
					return err
				}
			}
		}
		return nil
	}})
}

// move is what is to go to another destination.
type move struct {
	form     int // 0: whatever form
	from, to int
	running  bool // the pump runs: it finds only what is parked
	count    bool // only count
}

// MoveDeliveries has all that is not delivered, skipped or discarded go from one destination, to
// which nothing is sent, to another one, and returns how much; with dry set it only
// counts. It keeps its order. What would overwrite newer rows becomes a dead letter.
func (s *Store) MoveDeliveries(ctx context.Context, from, to string, dry bool) (int64, error) {
	m := move{running: true, count: dry}
	m.from, _ = s.names.destination(from)
	m.to, _ = s.names.destination(to)
	moved, err := s.moveDeliveries(ctx, &m)
	return moved, wrapUnlessKnown("move deliveries", err)
}

// mostTogether is how many deliveries are moved by one transaction.
const mostTogether = 256

// moveDeliveries moves all that is not delivered or given up, and returns how much. It
// may be repeated.
func (s *Store) moveDeliveries(ctx context.Context, m *move) (moved int64, err error) {
	var after int64
	if err := s.readers.QueryRowContext(ctx, `SELECT read_to FROM destination WHERE id = $1`, m.from).Scan(&after); err != nil {
		return 0, readerErr("find read mark", err)
	}
	for newest := s.newest(); after < newest; after += s.looking.fresh { // fresh ones come first: they are the most
		n, err := s.movePart(ctx, m, movableFresh, after, min(newest, after+s.looking.fresh))
		if moved += n; err != nil {
			return moved, err
		}
	}
	for _, list := range []string{movableParked, movableFailed, movableLater} {
		n, err := s.movePart(ctx, m, list)
		if moved += n; err != nil {
			return moved, err
		}
	}
	if m.count {
		return moved, nil
	}
	return moved, s.leaveJobs(ctx, m)
}

// leaveJobs takes what was moved out of the asynchronous requests of the destination
// before: they say nothing about where it goes now.
func (s *Store) leaveJobs(ctx context.Context, m *move) error {
	jobs, err := s.listJobs(ctx, m.from)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		seqs := make([]int64, len(j.Deliveries))
		for i, d := range j.Deliveries {
			if d.DestinationID == m.from {
				seqs[i] = d.Seq
			}
		}
		list, err := json.Marshal(seqs)
		if err != nil {
			return err
		}
		statement, arguments := `UPDATE job SET seqs = $2 WHERE request_id = $1`, []any{storable(j.RequestID), string(list)}
		if slices.Max(seqs) == 0 {
			statement, arguments = `DELETE FROM job WHERE request_id = $1`, arguments[:1]
		}
		if err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(statement, arguments...) }}); err != nil {
			return err
		}
	}
	return nil
}

// The lists of what can be moved: $1 is the destination, $2 the form or 0.
var (
	ofForm       = ` AND ($2 = 0 OR (SELECT r.form_id FROM registration r WHERE r.seq = d.registration_seq) = $2)`
	movableFresh = numbered(`SELECT d.seq FROM delivery d WHERE d.seq > $3 AND d.seq <= $4 AND d.destination_id = $1 AND d.due_at IS NULL
		AND d.state IN ({{waiting}}, {{pending}}, {{held}})` + ofForm + ` ORDER BY d.seq`)
	movableParked = `SELECT d.seq FROM delivery d WHERE d.destination_id = $1 AND d.due_at IS NOT NULL` + ofForm + ` ORDER BY d.seq`
	movableFailed = numbered(`SELECT d.seq FROM delivery d WHERE d.seq > 0 AND ` + inFailedIndex + ` AND d.state IN ({{dead}}, {{unknown}})
		AND d.destination_id = $1` + ofForm + ` ORDER BY d.seq`)
	// the steps that wait for one that has failed
	movableLater = numbered(`SELECT d.seq FROM delivery f JOIN registration g ON g.seq = f.registration_seq
		JOIN delivery d ON d.seq > f.seq AND d.seq < f.seq + COALESCE(f.steps, g.steps) AND d.registration_seq = f.registration_seq
		WHERE f.seq > 0 AND (f.state = {{dead}} OR f.state = {{discarded}} OR f.state = {{unknown}}) AND d.destination_id = $1 AND d.state = {{out of reach}}` + ofForm + ` ORDER BY d.seq`)
)

func (s *Store) movePart(ctx context.Context, m *move, list string, arguments ...any) (moved int64, err error) {
	rows, err := s.readers.QueryContext(ctx, list, append([]any{m.from, m.form}, arguments...)...)
	seqs, err := collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		return seq, rows.Scan(&seq)
	})
	if err != nil {
		return 0, readerErr("list deliveries to move", err)
	}
	if m.count {
		return int64(len(seqs)), nil
	}
	for part := range slices.Chunk(seqs, mostTogether) {
		n, err := s.moveTogether(ctx, m, part)
		if moved += n; err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// moveTogether moves deliveries by one transaction.
func (s *Store) moveTogether(ctx context.Context, m *move, seqs []int64) (moved int64, err error) {
	newer, end, err := s.beginMove(ctx, m, seqs)
	if err != nil {
		return 0, err
	}
	defer end()
	err = s.writer.write(ctx, &op{rows: len(seqs), run: func(t *tx) (err error) {
		if moved, err = t.moveAll(m, seqs); err != nil || newer == nil {
			return err
		}
		return t.giveUpOvertaken(newer, seqs)
	}})
	return moved, err
}

func (t *tx) moveAll(m *move, seqs []int64) (moved int64, err error) {
	if !m.running {
		if moved, err = t.moveFresh(m, seqs); err != nil {
			return 0, err
		}
		if err := t.exec(`UPDATE destination SET read_to = $1 WHERE id = $2 AND read_to > $1`, seqs[0]-1, m.to); err != nil {
			return 0, err
		}
	}
	woken := map[int]wakeUp{m.from: dueUp, m.to: freshUp | dueUp}
	for _, seq := range seqs {
		if moved == int64(len(seqs)) {
			break
		}
		isMoved, err := t.move(m, seq, woken)
		if err != nil {
			return 0, err
		}
		if isMoved {
			moved++
		}
	}
	t.wakeAfter(woken)
	return moved, nil
}

// newMovable makes the statement that moves fresh deliveries, which are found by the
// cursor of their new destination.
func newMovable(d dialect) together {
	return newTogether(d, `UPDATE delivery SET destination_id = ? WHERE seq IN (`,
		`) AND destination_id = ? AND due_at IS NULL AND state IN ({{waiting}}, {{pending}}, {{held}}) RETURNING state`)
}

func (t *tx) moveFresh(m *move, seqs []int64) (moved int64, err error) {
	statement := &t.store.writer.movable
	for len(seqs) > 0 {
		text, length := statement.fit(len(seqs))
		part := seqs[:min(length, len(seqs))]
		seqs = seqs[len(part):]
		err := t.each(text, statement.arguments(length, part, []any{m.to}, []any{m.from}), func(scan func(...any) error) error {
			var state onramp.DeliveryState
			if err := scan(&state); err != nil {
				return err
			}
			t.moveDelivery(m.from, state, 0)
			t.moveDelivery(m.to, 0, state)
			moved++
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return moved, nil
}

// move moves one delivery, if it is still to be moved. It keeps its place in the order
// of its key.
func (t *tx) move(m *move, seq int64, woken map[int]wakeUp) (moved bool, err error) {
	d, found, err := t.findChange(`WHERE d.seq = $1 AND d.destination_id = $2`, seq, m.from)
	isOver := []onramp.DeliveryState{onramp.DeliveryDelivered, onramp.DeliverySkipped, onramp.DeliveryDiscarded, onramp.DeliveryErased}
	if err != nil || !found || slices.Contains(isOver, d.State) {
		return false, err
	}
	if err := t.exec(`UPDATE delivery SET destination_id = $1 WHERE seq = $2`, m.to, seq); err != nil {
		return false, err
	}
	t.moveDelivery(m.from, d.State, 0)
	t.moveDelivery(m.to, 0, d.State)
	isWaiting := d.State == onramp.DeliveryWaiting
	switch {
	case d.State != onramp.DeliveryPending && !isWaiting, !d.Parked() && !m.running:
		return true, nil
	case d.Parked():
		if err := t.wakeNextOfKey(m.from, d.OrderingKey, woken); err != nil {
			return false, err
		}
	}
	err = t.exec(`UPDATE delivery SET due_at = CASE WHEN $1 OR `+behindParked+` THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END WHERE seq = $4`,
		isWaiting, micros(onramp.Never), micros(t.now), seq)
	if err != nil {
		return false, err
	}
	return true, t.waitBehind(m.to, d.OrderingKey, seq)
}

// beginMove looks up what the new destination has been sent that is newer than
// deliveries that are to be moved; nil when nothing is written over there. While the
// pump runs they are watched from now on, and end must be called after they were moved.
func (s *Store) beginMove(ctx context.Context, m *move, seqs []int64) (r *retries, end func(), err error) {
	isNew := !m.running && s.tallies.count(tallyKey{m.to, uint8(onramp.DeliveryDelivered)}) == 0 // and nothing is in flight
	if isNew || !s.names.upserts(m.to) {
		return nil, func() {}, nil
	}
	rows, err := s.readers.QueryContext(ctx, numbered(`SELECT d.seq, CASE WHEN d.steps IS NULL THEN d.seq ELSE r.delivery_seq + r.steps - 1 END, d.ordering_key
		FROM delivery d LEFT JOIN registration r ON r.seq = d.registration_seq AND d.event_seq IS NULL
		WHERE d.state IN ({{waiting}}, {{pending}}, {{held}}) AND d.seq IN (`)+numberList(seqs)+`)`)
	all, err := collect(rows, err, func(rows *sql.Rows) (*candidate, error) {
		c := &candidate{orderingKey: orderingKey{destination: m.to}}
		err := rows.Scan(&c.seq, &c.age, &c.key)
		c.retried = c.seq
		return c, err
	})
	if err != nil {
		return nil, nil, readerErr("list deliveries to move", err)
	}
	r = newRetries(all, false)
	if m.running {
		return s.watchRetries(ctx, r, all)
	}
	return r, func() {}, s.findAllNewest(ctx, r, all)
}

// giveUpOvertaken makes dead letters of those moved deliveries that would overwrite
// what the new destination has been sent since: a later step when it begins.
func (t *tx) giveUpOvertaken(r *retries, seqs []int64) error {
	woken := map[int]wakeUp{}
	for _, seq := range seqs {
		newer := r.decide(t, seq)
		if newer == 0 {
			continue
		}
		for _, c := range r.candidates[seq] {
			c.newer = newer
			t.store.candidates.watch(c)
			if _, err := t.giveUpSuperseded(c, woken); err != nil {
				return err
			}
		}
	}
	t.wakeAfter(woken)
	return nil
}
