package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store/dbfile"
)

// The names in meta of what is known of a restored database.
const (
	restoredTo   = "restored_to"   // deliveries up to here may have gone out already
	restoredHeld = "restored_held" // and up to here it was seen to
)

// restored is a database that is older than what was last written: what it holds as
// still to be sent may have gone out since.
type restored struct {
	to     int64                 // deliveries up to here; 0: none
	unsafe map[int]time.Duration // destinations at which a repeat does harm, once so much time has passed since the acceptance
}

func (s *Store) loadRestored(ctx context.Context) error {
	value, err := findMeta(ctx, s.readers, restoredTo)
	s.restored.to, _ = strconv.ParseInt(value, 10, 64) // never written: 0
	return err
}

// markRestored has the deliveries that there are now held. It is part of the commit
// that begins a run: from then on the database looks like the one that was here.
func (t *tx) markRestored() error {
	to := t.deliverySeq
	t.after = append(t.after, func() { t.store.restored.to = to })
	if err := t.exec(`DELETE FROM meta WHERE name = $1`, restoredHeld); err != nil {
		return err
	}
	return t.exec(saveMeta, restoredTo, strconv.FormatInt(to, 10))
}

// HoldRestored makes the deliveries of a restored database unknown that may have gone
// out after it was made and would do harm if they went out again, and returns how
// many; an operator decides about them. Rows of data extensions go again, and so do
// messages that Marketing Cloud still recognises. It is called before the pump runs,
// with the forms as they are registered.
func (s *Store) HoldRestored(ctx context.Context, forms []*onramp.Form) (held int, err error) {
	s.restored.unsafe = s.unsafeTwice(forms)
	done, err := findMeta(ctx, s.readers, restoredHeld)
	if err != nil || done == strconv.FormatInt(s.restored.to, 10) || s.restored.to == 0 && s.doubt == "" {
		return 0, readerErr("find mark of restored", err)
	}
	for destination, after := range s.restored.unsafe {
		seqs, err := s.listUncertain(ctx, destination, after)
		if err != nil {
			return held, err
		}
		for part := range slices.Chunk(seqs, portion) {
			n, err := s.holdAll(ctx, part, restoredOutcome)
			if held += n; err != nil {
				return held, err
			}
		}
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		// only now: a start that got no further is followed by one that says the same
		if err := t.exec(`DELETE FROM meta WHERE name = $1`, dbfile.MetaBackup); err != nil {
			return err
		}
		return t.exec(saveMeta, restoredHeld, strconv.FormatInt(s.restored.to, 10))
	}})
	newest, findErr := s.newestRegistration(ctx)
	s.notices = append(s.notices, fmt.Sprintf("the database is not as new as what Onramp has written here last: %s. %s; what was accepted since is missing. "+
		"%d deliveries to journeys and of messages may have gone out since: they are unknown, and not sent again. List them with "+
		"onramp deliveries list --state unknown; send them with onramp deliveries retry --state unknown --cause %s --all, or discard them. "+
		"Later steps of registrations that were on their way become unknown when it is their turn", cmp.Or(s.doubt, "an earlier start found it to be a backup"), newest, held, restoredOutcome.Cause()))
	return held, cmp.Or(err, findErr)
}

// newestRegistration says in words how far the database goes.
func (s *Store) newestRegistration(ctx context.Context) (string, error) {
	var at sql.NullInt64 // NULL: there is none
	err := s.readers.QueryRowContext(ctx, `SELECT (SELECT received_at FROM registration ORDER BY seq DESC LIMIT 1)`).Scan(&at)
	if !at.Valid {
		return "It has no registrations", readerErr("find newest registration", err)
	}
	return "Its newest registration was accepted at " + fromNull(at).Format(time.DateTime+" UTC"), nil
}

// unsafeTwice finds the destinations at which a repeat does harm, also those that no
// form uses any more: a form can use them again.
func (s *Store) unsafeTwice(forms []*onramp.Form) map[int]time.Duration {
	unsafe := map[int]time.Duration{}
	for _, name := range s.Destinations() {
		id, _ := s.names.destination(name)
		switch kind, _, _ := strings.Cut(name, ":"); kind {
		case onramp.Journey.String():
			unsafe[id] = 0
		case onramp.Message.String():
			unsafe[id] = onramp.Message.RepeatFor()
		}
	}
	for _, f := range forms {
		for _, d := range f.Route {
			if d.Kind == onramp.Journey && d.OnUnknown == onramp.Again {
				delete(unsafe, d.ID)
			}
		}
	}
	return unsafe
}

// listUncertain lists what is to be held at one destination: what is parked, and
// what the cursor has not passed.
func (s *Store) listUncertain(ctx context.Context, destination int, after time.Duration) ([]int64, error) {
	rows, err := s.readers.QueryContext(ctx, numbered(`SELECT d.seq FROM delivery d JOIN registration r ON r.seq = d.registration_seq
		WHERE d.destination_id = $1 AND d.due_at IS NOT NULL AND d.state = {{pending}} AND d.seq <= $2 AND r.received_at <= $3
		UNION SELECT d.seq FROM delivery d JOIN registration r ON r.seq = d.registration_seq
		WHERE d.seq > (SELECT read_to FROM destination WHERE id = $1) AND d.seq <= $2 AND d.destination_id = $1 AND d.state = {{pending}}
			AND r.received_at <= $3 ORDER BY 1`), destination, s.restored.to, micros(s.now().Add(-after)))
	seqs, err := collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		err = rows.Scan(&seq)
		return seq, err
	})
	return seqs, readerErr("list deliveries of a restored database", err)
}

// holdAll makes those unknown, with an outcome, that are still pending, and returns
// how many.
func (s *Store) holdAll(ctx context.Context, seqs []int64, outcome onramp.Outcome) (held int, err error) {
	err = s.writer.write(ctx, &op{rows: len(seqs), run: func(t *tx) error {
		held = 0
		woken := map[int]wakeUp{}
		for _, seq := range seqs {
			d, still, err := t.findChange(`WHERE d.seq = $1 AND d.state = $2`, seq, uint8(onramp.DeliveryPending))
			if err == nil && still {
				held++
				_, err = t.hold(&d, &outcome, woken)
			}
			if err != nil {
				return err
			}
		}
		t.wakeAfter(woken)
		return nil
	}})
	return held, err
}

var restoredOutcome = onramp.Outcome{
	Verdict: onramp.Unknown,
	Detail:  "the database was restored: this may have gone out after the backup was made",
}

// hold makes a pending delivery unknown, and what comes after it wait for an
// operator.
func (t *tx) hold(d *onramp.Delivery, why *onramp.Outcome, woken map[int]wakeUp) (later []onramp.Delivery, err error) {
	err = t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = $4 WHERE seq = $5`,
		uint8(onramp.DeliveryUnknown), micros(t.now), why.Detail, why.Cause(), d.Seq)
	if err != nil {
		return nil, err
	}
	t.moveDelivery(d.DestinationID, onramp.DeliveryPending, onramp.DeliveryUnknown)
	t.moveRegistrationOf(d, stateAt(d.Step, d.Tries), onramp.RegistrationUnknown)
	if later, err = t.moveLaterSteps(d, onramp.DeliveryWaiting, onramp.DeliveryOutOfReach, time.Time{}, woken); err != nil {
		return nil, err
	}
	if d.Parked() {
		err = t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return later, err
}

// holdStarted holds a step of a restored database that has just become pending, if
// it may have gone out already.
func (t *tx) holdStarted(seq int64, woken map[int]wakeUp) (held bool, later []onramp.Delivery, err error) {
	if seq > t.store.restored.to {
		return false, nil, nil
	}
	d, _, err := t.findChange(`WHERE d.seq = $1`, seq)
	if err != nil {
		return false, nil, err
	}
	after, unsafe := t.store.restored.unsafe[d.DestinationID]
	if !unsafe {
		return false, nil, nil
	}
	var receivedAt int64
	if _, err := t.find(`SELECT received_at FROM registration WHERE seq = $1`, []any{d.RegistrationSeq}, &receivedAt); err != nil {
		return false, nil, err
	}
	if t.now.Sub(fromMicros(receivedAt)) < after {
		return false, nil, nil
	}
	later, err = t.hold(&d, &restoredOutcome, woken)
	return err == nil, later, err
}
