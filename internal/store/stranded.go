package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"onramp/internal/onramp"
)

const (
	strandedEvery    = time.Minute // how often those that wait are looked through
	strandedRest     = 100         // times what that took, at least, until the next time
	strandedTrouble  = time.Second // pause after it failed
	strandedTogether = 500         // deliveries that are looked at together
)

// keepMoving looks through the deliveries that wait for another one, until ctx
// ends, and frees those that nobody will wake. There should be none: it is the
// safety net under everything that decides who waits for whom.
//
// It also brings the memory up to date when it is not known whether a commit is on
// disk, so that what it holds is delivered though nobody writes anything more.
func (s *Store) keepMoving(ctx context.Context) {
	for ctx.Err() == nil {
		begun := time.Now()
		err := s.freeStranded(ctx)
		pause := max(strandedEvery, strandedRest*time.Since(begun))
		if err != nil {
			pause = strandedTrouble
		}
		select {
		case <-s.unsure:
			s.resolveDoubt(ctx)
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// resolveDoubt has the writer read its memory again, which the next transaction
// begins with.
func (s *Store) resolveDoubt(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.writer.write(ctx, &op{run: func(*tx) error { return nil }}); err == nil {
			return
		}
		select {
		case <-time.After(strandedTrouble):
		case <-ctx.Done():
		}
	}
}

// reload brings the memory up to what is on disk after a commit whose outcome is
// unknown, and tells all who may have missed something.
func (w *writer) reload(ctx context.Context, conn *sql.Conn) error {
	if ended := w.store.dialect.ended; ended != "" {
		if _, err := conn.ExecContext(ctx, ended); err != nil {
			return err
		}
	}
	if err := w.store.load(ctx, conn); err != nil {
		return err
	}
	if err := w.store.reloadPersons(ctx, conn); err != nil {
		return err
	}
	if err := w.store.watchers.reload(ctx, conn); err != nil {
		return err
	}
	w.store.wakeAll()
	return nil
}

// freeStranded frees the stranded deliveries of all destinations.
func (s *Store) freeStranded(ctx context.Context) error {
	for _, destination := range s.names.destinationIDs() {
		freed, err := s.freeStrandedTo(ctx, destination)
		if freed > 0 {
			s.log.WarnContext(ctx, "deliveries were waiting for others that had been settled already; they go on now",
				"destination", s.names.destinationName(destination), "deliveries", freed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// freeStrandedTo looks through those that wait, a bounded piece at a time. Readers
// find them and the writer looks again: between two transactions nobody is stranded
// for a moment only.
func (s *Store) freeStrandedTo(ctx context.Context, destination int) (freed int64, err error) {
	for after := int64(0); ; {
		stranded, last, err := s.listStranded(ctx, destination, after)
		if err != nil || last == after {
			return freed, err
		}
		after = last
		if len(stranded) == 0 {
			continue
		}
		var n int64
		err = s.writer.write(ctx, &op{run: func(t *tx) (err error) {
			n, err = t.free(stranded)
			return err
		}})
		if err != nil {
			return freed, err
		}
		freed += n
	}
}

// listWaiting reads those that are never due, and whether what they wait for is
// gone: an earlier delivery of their key in the retry set, or the step before them.
var listWaiting = numbered(`SELECT d.seq, CASE WHEN d.state = {{pending}} THEN NOT EXISTS (SELECT 1 FROM delivery e
		WHERE e.destination_id = d.destination_id AND e.ordering_key = d.ordering_key AND e.due_at IS NOT NULL AND e.seq < d.seq)
		ELSE COALESCE(p.state NOT IN ({{waiting}}, {{pending}}, {{held}}), FALSE) END
	FROM delivery d LEFT JOIN delivery p ON p.seq = d.seq - 1 AND d.step > 1
	WHERE d.destination_id = $1 AND d.due_at = $2 AND d.seq > $3 ORDER BY d.seq LIMIT $4 + 0`)

// listStranded looks at the next ones that wait, and returns the stranded ones of
// them and how far it has come.
func (s *Store) listStranded(ctx context.Context, destination int, after int64) (stranded []int64, last int64, err error) {
	last = after
	rows, err := s.queries.Query(ctx, listWaiting, destination, micros(onramp.Never), after, strandedTogether)
	_, err = collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		var gone bool
		if err = rows.Scan(&last, &gone); gone {
			stranded = append(stranded, last)
		}
		return last, err
	})
	return stranded, last, readerErr("list waiting deliveries", err)
}

// free has those go on that nobody will wake.
func (t *tx) free(seqs []int64) (freed int64, err error) {
	woken := map[int]wakeUp{}
	for _, seq := range seqs {
		done, err := t.freeOne(seq, woken)
		if err != nil {
			return 0, err
		}
		if done {
			freed++
		}
	}
	t.wakeAfter(woken)
	return freed, nil
}

var freeBehind = numbered(`UPDATE delivery SET due_at = $1 WHERE seq = $2 AND due_at = $3 AND state = {{pending}} AND NOT ` + behindParked)

// freeOne does what should have been done when that was settled which a delivery
// waits for.
func (t *tx) freeOne(seq int64, woken map[int]wakeUp) (freed bool, err error) {
	d, found, err := t.findChange(`WHERE d.seq = $1`, seq)
	if err != nil || !found {
		return false, err
	}
	if d.State == onramp.DeliveryPending {
		n, err := t.update(freeBehind, micros(t.now), seq, micros(onramp.Never))
		if n > 0 {
			woken[d.DestinationID] |= dueUp
		}
		return n > 0, err
	}
	before, found, err := t.findChange(`WHERE d.seq = $1`, seq-1)
	if err != nil || !found || d.State != onramp.DeliveryWaiting || d.Step == 1 {
		return false, err
	}
	var moved []onramp.Delivery
	switch before.State {
	case onramp.DeliveryDelivered, onramp.DeliverySkipped:
		moved, err = t.startNextStep(&before, woken)
	case onramp.DeliveryDead, onramp.DeliveryUnknown, onramp.DeliveryDiscarded, onramp.DeliveryOutOfReach:
		moved, err = t.moveLaterSteps(&before, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken)
	}
	return len(moved) > 0, err
}

// destinationIDs lists the ids of all destinations that ever were.
func (n *names) destinationIDs() []int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Sorted(maps.Keys(n.destNames))
}
