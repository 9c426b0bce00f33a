package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// model is what the store should hold, in its simplest form, and the part of
// the pump that decides what may be sent.
type model struct {
	w          *world
	deliveries []*modelled // in the order of acceptance
	inFlight   []onramp.Delivery

	cutOff *store.Store      // a node that lost its lease and does not know it; nil: there is none
	its    []onramp.Delivery // what it has in flight
}

type modelled struct {
	name        string // such as "a7.2"
	step, steps int
	destination string
	key         string
	state       onramp.DeliveryState
	tries       int
}

func (d *modelled) unsettled() bool { return d.state == pending || d.state == onramp.DeliveryWaiting }

// TestModel has the store go through random lives and compares it with the
// model after every step: nothing is lost, the counts are right, nobody overtakes
// an earlier delivery of its key, and in the end everything can be delivered.
func TestModel(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			w.reset()
			m := &model{w: w}
			rt.Repeat(map[string]func(*rapid.T){
				"save":    m.save,
				"pick":    m.pick,
				"settle":  m.settle,
				"retry":   m.retry,
				"discard": m.discard,
				"edit":    m.edit,
				"wait": func(rt *rapid.T) {
					w.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
				},
				"restart": func(*rapid.T) {
					m.inFlight = nil // their outcomes are lost
					w.reopen()
				},
				"settle a call": m.settleCall,
				"take over":     m.takeOver,
				"stale results": m.staleResults,
				"":              m.check,
			})
			m.deliverAll(rt)
			m.check(rt)
			m.bury()
		})
	})
}

// reset empties the tables.
func (w *world) reset() {
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	for _, table := range []string{"attempt", "call", "delivery", "edit", "event", "event_key", "event_tally", "registration", "tally"} {
		if _, err := w.db.Exec("DELETE FROM " + table); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := w.db.Exec("UPDATE destination SET read_to = 0"); err != nil {
		w.t.Fatal(err)
	}
	clear(w.ids)
	clear(w.names)
	w.open()
}

func (m *model) save(rt *rapid.T) {
	form := rapid.SampledFrom([]string{"both", "both", "one"}).Draw(rt, "form")
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	name := fmt.Sprint(key, len(m.w.ids))
	m.w.save(form, name)
	route := m.w.forms[form].Route
	for i, d := range route {
		state := onramp.DeliveryWaiting
		if i == 0 {
			state = pending
		}
		m.deliveries = append(m.deliveries, &modelled{
			name: fmt.Sprintf("%s.%d", name, i+1), step: i + 1, steps: len(route), destination: d.Name(), key: key, state: state,
		})
	}
}

func (m *model) of(d onramp.Delivery) *modelled { return m.deliveries[d.Seq-1] }

// pick takes what the pump would send to a destination: the oldest of each key
// of all that it finds, unless one of the key is in flight.
func (m *model) pick(rt *rapid.T) {
	ctx := context.Background()
	destination := m.w.destination(rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "destination"))
	fresh, to, err := m.w.s.ListFresh(ctx, destination, 0, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	found := map[int64]onramp.Delivery{}
	var behind []int64
	for _, d := range fresh {
		found[d.Seq] = d
		if d.Behind {
			behind = append(behind, d.Seq)
		}
	}
	parked, err := m.w.s.Park(ctx, behind)
	if err != nil {
		rt.Fatal(err)
	}
	for seq := range parked {
		delete(found, seq)
	}
	due, _, err := m.w.s.ListDue(ctx, destination, to, m.w.clock.now(), 1000)
	if err != nil {
		rt.Fatal(err)
	}
	for _, d := range due {
		found[d.Seq] = d
	}
	taken := map[int64]bool{}
	for _, d := range m.inFlight {
		if d.DestinationID == destination {
			taken[d.OrderingKey] = true
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		d := found[seq]
		if taken[d.OrderingKey] {
			continue
		}
		taken[d.OrderingKey] = true
		if d.State == pending {
			m.start(rt, d)
		}
	}
}

// start checks that a delivery may be sent.
func (m *model) start(rt *rapid.T, d onramp.Delivery) {
	mine := m.of(d)
	if mine.state != pending {
		rt.Fatalf("%s is picked, and is %s", mine.name, mine.state)
	}
	for _, earlier := range m.deliveries[:d.Seq-1] {
		if earlier.destination == mine.destination && earlier.key == mine.key && earlier.unsettled() {
			rt.Fatalf("%s overtakes %s, which is %s", mine.name, earlier.name, earlier.state)
		}
	}
	m.inFlight = append(m.inFlight, d)
}

func (m *model) settle(rt *rapid.T) {
	if len(m.inFlight) == 0 {
		rt.Skip("nothing is in flight")
	}
	i := rapid.IntRange(0, len(m.inFlight)-1).Draw(rt, "delivery")
	d := m.inFlight[i]
	m.inFlight = slices.Delete(m.inFlight, i, i+1)
	state := rapid.SampledFrom([]onramp.DeliveryState{delivered, delivered, pending, pending, dead, unknown}).Draw(rt, "state")
	after := time.Duration(0)
	if state == pending {
		after = time.Duration(rapid.IntRange(0, 60).Draw(rt, "seconds")) * time.Second // 0: throttled
	}
	m.w.settleRead(d, state, after)
	if mine := m.of(d); mine.state == pending {
		mine.tries = d.Tries
		if state != pending || after > 0 {
			mine.tries++
		}
		m.move(d.Seq, state)
	}
}

// settleCall settles what one call has delivered.
func (m *model) settleCall(rt *rapid.T) {
	if len(m.inFlight) == 0 {
		rt.Skip("nothing is in flight")
	}
	to := rapid.SampledFrom(m.inFlight).Draw(rt, "destination").DestinationID
	var call, rest []onramp.Delivery
	for _, d := range m.inFlight {
		if d.DestinationID == to && rapid.IntRange(0, 3).Draw(rt, "in the call") > 0 {
			call = append(call, d)
		} else {
			rest = append(rest, d)
		}
	}
	m.inFlight = rest
	m.w.call(call)
	for _, d := range call {
		if mine := m.of(d); mine.state == pending {
			mine.tries = d.Tries + 1
			m.move(d.Seq, delivered)
		}
	}
}

// takeOver has another node open the store after the lease of this one has run
// out. What was in flight goes on in the node that was cut off.
func (m *model) takeOver(rt *rapid.T) {
	m.bury()
	m.cutOff, m.its, m.inFlight = m.w.s, m.inFlight, nil
	if err := m.cutOff.CutOff(); err != nil {
		rt.Fatal(err)
	}
	m.w.clock.advance(16 * time.Second)
	m.w.open()
}

// staleResults has the node that was cut off report what came of its calls, and
// change deliveries by an operator's hand: nothing of it may have an effect.
func (m *model) staleResults(rt *rapid.T) {
	if m.cutOff == nil || len(m.its) == 0 {
		rt.Skip("nobody was cut off with something in flight")
	}
	state := rapid.SampledFrom([]onramp.DeliveryState{delivered, pending, dead, unknown}).Draw(rt, "state")
	for _, d := range m.its {
		// an error is as good as being ignored; check sees whether it was
		_, _ = m.cutOff.Settle(context.Background(), []onramp.Settlement{m.w.settlement(d, state, time.Minute)})
	}
}

// bury closes the node that was cut off.
func (m *model) bury() {
	if m.cutOff != nil {
		_ = m.cutOff.Close() // whatever it says, it is over
		m.cutOff, m.its = nil, nil
	}
}

// move gives a pending delivery its new state, and the later steps theirs.
func (m *model) move(seq int64, state onramp.DeliveryState) {
	d := m.deliveries[seq-1]
	d.state = state
	for i := d.step; i < d.steps; i++ {
		later := m.deliveries[seq-1+int64(i-d.step)+1]
		switch {
		case state == delivered:
			later.state = pending
			return
		case state == pending:
			later.state = onramp.DeliveryWaiting
		default:
			later.state = onramp.DeliveryOutOfReach
		}
	}
}

func (m *model) any(rt *rapid.T) (*modelled, int64) {
	if len(m.deliveries) == 0 {
		rt.Skip("there is none")
	}
	i := rapid.IntRange(0, len(m.deliveries)-1).Draw(rt, "delivery")
	return m.deliveries[i], int64(i + 1)
}

func (m *model) retry(rt *rapid.T) {
	d, seq := m.any(rt)
	parked := !m.w.find(d.name).DueAt.IsZero()
	err := m.w.s.RetryDelivery(context.Background(), m.w.id(d.name))
	if allowed := d.state == dead || d.state == unknown || d.state == pending && parked; allowed != (err == nil) {
		rt.Fatalf("retry of %s, which is %s: %v", d.name, d.state, err)
	}
	if err == nil {
		d.tries = 0
		m.move(seq, pending)
	}
}

func (m *model) discard(rt *rapid.T) {
	d, seq := m.any(rt)
	err := m.w.s.DiscardDelivery(context.Background(), m.w.id(d.name), "a test")
	if allowed := d.state == dead || d.state == unknown || d.state == pending; allowed != (err == nil) {
		rt.Fatalf("discard of %s, which is %s: %v", d.name, d.state, err)
	}
	if err == nil {
		m.move(seq, onramp.DeliveryDiscarded)
	}
}

// edit gives a dead or unknown delivery, and the later steps of its route, another
// key.
func (m *model) edit(rt *rapid.T) {
	d, seq := m.any(rt)
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	edit, r := m.w.edited(d.name, key)
	err := m.w.s.EditDelivery(context.Background(), m.w.id(d.name), edit, r)
	if allowed := d.state == dead || d.state == unknown; allowed != (err == nil) {
		rt.Fatalf("edit of %s, which is %s: %v", d.name, d.state, err)
	}
	for i := seq - 1; err == nil && i < seq+int64(d.steps-d.step); i++ {
		m.deliveries[i].key = key
	}
}

// deliverAll delivers whatever is still to be sent.
func (m *model) deliverAll(rt *rapid.T) {
	ctx := context.Background()
	for _, d := range m.inFlight {
		m.w.settleRead(d, delivered, 0)
		if mine := m.of(d); mine.state == pending {
			mine.tries = d.Tries + 1
			m.move(d.Seq, delivered)
		}
	}
	m.inFlight = nil
	for range 4*len(m.deliveries) + 4 {
		m.w.clock.advance(time.Minute)
		for _, key := range []string{"x", "y"} {
			id := m.w.destination(key)
			fresh, to, err := m.w.s.ListFresh(ctx, id, 0, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			due, _, err := m.w.s.ListDue(ctx, id, to, m.w.clock.now(), 1000)
			if err != nil {
				rt.Fatal(err)
			}
			for _, d := range append(fresh, due...) {
				if d.State == pending && !d.Behind {
					m.w.settleRead(d, delivered, 0)
					m.of(d).tries = d.Tries + 1
					m.move(d.Seq, delivered)
				}
			}
		}
	}
	for _, d := range m.deliveries {
		if d.unsettled() {
			rt.Fatalf("%s can't be delivered any more: %v", d.name, m.w.rows())
		}
	}
}

// check compares the store with the model.
func (m *model) check(rt *rapid.T) {
	rows, err := m.w.db.Query(`SELECT d.seq, d.state, d.tries, d.due_at FROM delivery d ORDER BY d.seq`)
	if err != nil {
		rt.Fatal(err)
	}
	defer rows.Close()
	earliest := map[string]string{} // parked, by destination and key
	var got, want []string
	for rows.Next() {
		var seq int64
		var state onramp.DeliveryState
		var tries int
		var due sql.NullInt64
		if err := rows.Scan(&seq, &state, &tries, &due); err != nil {
			rt.Fatal(err)
		}
		d := m.deliveries[seq-1]
		got = append(got, fmt.Sprint(d.name, " ", storedState(state), " ", tries))
		if !due.Valid {
			continue
		}
		queue := d.destination + d.key
		never := due.Int64 == onramp.Never.UnixMicro()
		switch earlier := earliest[queue]; {
		case !d.unsettled():
			rt.Fatalf("%s is %s and due", d.name, d.state)
		case earlier != "" && !never:
			rt.Fatalf("%s has a due time, and is behind %s: %v", d.name, earlier, m.w.rows())
		case earlier == "" && never && d.state == pending:
			rt.Fatalf("%s is never due, and is behind nobody: %v", d.name, m.w.rows())
		}
		earliest[queue] += " " + d.name
	}
	if err := rows.Err(); err != nil {
		rt.Fatal(err)
	}
	for _, d := range m.deliveries {
		want = append(want, fmt.Sprint(d.name, " ", storedState(d.state), " ", d.tries))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatal(diff)
	}
	m.w.checkCounts()
	if m.w.t.Failed() {
		rt.Fatal("wrong counts")
	}
}
