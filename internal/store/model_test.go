package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onramp/internal/onramp"
	"onramp/internal/resend"
	"onramp/internal/store"
)

// model is what the store should hold, in its simplest form, and the part of
// the pump that decides what may be sent.
type model struct {
	w          *world
	sink       int                       // its destination
	deliveries []*modelled               // in the order of acceptance
	events     []string                  // their names, in the same order
	ruled      int                       // so many of them
	window     map[int64]onramp.Delivery // fresh ones as they were read at first, by seq
	inFlight   []onramp.Delivery
	unanswered map[int64]*report // by delivery: of these it is not known whether their settlement is on disk
	doubt      bool              // of the last commit

	registrations []*modelledRegistration // in the order of acceptance
	rekeyed       bool                    // a registration has got another key

	cutOff *store.Store      // a node that lost its lease and does not know it; nil: there is none
	its    []onramp.Delivery // what it has in flight
}

type modelled struct {
	name        string // such as "a7.2", and "a7.2.1" when it is sent again by the first resend
	seq, age    int64  // it is older than what has a higher age
	step, steps int
	destination string
	key         string
	state       onramp.DeliveryState
	tries       int
	event       bool
	replaced    bool // by a resend, which has discarded it
	retried     bool // by an operator, and not settled since; or moved beside what is delivered
}

type modelledRegistration struct {
	name, form, key string
	deliveries      []*modelled // of its acceptance and of resends
}

// append adds a delivery, which has the next seq.
func (m *model) append(d *modelled) {
	d.seq = int64(len(m.deliveries) + 1)
	if d.age == 0 {
		d.age = d.seq
	}
	m.deliveries = append(m.deliveries, d)
}

// upserts says that a row is written over an older one.
func (d *modelled) upserts() bool { return strings.HasPrefix(d.destination, "data_extension:") }

func (d *modelled) unsettled() bool { return d.state == pending || d.state == onramp.DeliveryWaiting }

// TestModel has the store go through random lives and compares it with the
// model after every step: nothing is lost, the counts are right, nobody overtakes
// an earlier delivery of its key, and in the end everything can be delivered. Of
// all commits half fail, most of these though they are on disk.
func TestModel(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.alone = true
		sink := w.withEvents()
		rapid.Check(t, func(rt *rapid.T) {
			w.first = ""
			w.reset()
			m := &model{w: w, sink: sink, window: map[int64]onramp.Delivery{}, unanswered: map[int64]*report{}}
			rt.Repeat(map[string]func(*rapid.T){
				// what happens most has several names
				"save": m.save, "save another": m.save,
				"pick": m.pick, "pick again": m.pick, "pick once more": m.pick,
				"settle": m.settle, "settle another": m.settle, "settle a third": m.settle,
				"outage":  m.outage,
				"event":   m.receive,
				"rule":    m.rule,
				"retry":   m.retry,
				"discard": m.discard,
				"bulk":    m.bulk,
				"edit":    m.edit,
				"wait": func(rt *rapid.T) {
					w.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
				},
				"restart": func(*rapid.T) {
					m.restarted() // the outcomes of what is in flight are lost
					w.reopen()
				},
				"pause or resume": m.pause,
				"correct":         m.correct, "correct once more": m.correct,
				"move": m.moveAway, "move again": m.moveAway,
				"resend":        m.resend,
				"resend events": m.resendEvents,
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

// restarted drops what the process had in memory.
func (m *model) restarted() {
	m.forget()
	for _, d := range m.deliveries {
		d.retried = false
	}
}

// forget drops what the pump has in memory.
func (m *model) forget() {
	m.inFlight = nil
	clear(m.window)
	clear(m.unanswered)
}

// commit carries out a write whose commit may fail, and tells whether it is on disk.
func (m *model) commit(rt *rapid.T, write func() error) (onDisk bool, err error) {
	what := rapid.SampledFrom([]fault{none, none, none, lost, lost, undone}).Draw(rt, "commit")
	m.w.faults.during(what, func() { err = write() })
	m.doubt = m.doubt || failedCommit(err)
	return err == nil || what == lost && failedCommit(err), err
}

func failedCommit(err error) bool { return errors.Is(err, errCommit) }

// insist carries a write out again and again until its commit is known to be on
// disk or, as whoever asked for it may do, gives up.
func (m *model) insist(rt *rapid.T, mayGiveUp bool, write func() error) (onDisk bool, err error) {
	for {
		done, err := m.commit(rt, write)
		onDisk = onDisk || done
		if !failedCommit(err) {
			return onDisk, err
		}
		if mayGiveUp && rapid.Bool().Draw(rt, "give up") {
			return onDisk, nil
		}
	}
}

// reset empties the tables.
func (w *world) reset() {
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	for _, table := range []string{"attempt", "call", "delivery", "edit", "event", "event_key", "event_tally", "registration", "tally", "late_call", "resend", "job", "unjoined", "resend_run", "form_step", "person", "retained", "retained_event", "removed"} {
		if _, err := w.db.Exec("DELETE FROM " + table); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, statement := range []string{
		"UPDATE destination SET read_to = 0, sent_to = 0, paused_at = NULL, resumed_at = NULL", "DELETE FROM meta WHERE name IN ('events_ruled_to', 'persons_indexed_to') OR name LIKE 'retention%'", "DELETE FROM idempotency_even", "DELETE FROM idempotency_odd",
	} {
		if _, err := w.db.Exec(statement); err != nil {
			w.t.Fatal(err)
		}
	}
	clear(w.ids)
	clear(w.names)
	w.open()
}

func (m *model) save(rt *rapid.T) {
	form := rapid.SampledFrom([]string{"both", "both", "one"}).Draw(rt, "form")
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	r := m.w.registration(form, key)
	onDisk, err := m.insist(rt, true, func() error {
		_, err := m.w.s.SaveRegistration(context.Background(), &r, onramp.NewIdempotencyKey(form, r.ID, nil), false)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	if !onDisk {
		return
	}
	name := fmt.Sprint(key, len(m.w.ids))
	m.w.ids[name], m.w.names[r.ID] = r.ID, name
	route := m.w.forms[form].Route
	mine := &modelledRegistration{name: name, form: form, key: key}
	m.registrations = append(m.registrations, mine)
	for i, d := range route {
		state := onramp.DeliveryWaiting
		if i == 0 {
			state = pending
		}
		mine.deliveries = append(mine.deliveries, &modelled{
			name: fmt.Sprintf("%s.%d", name, i+1), step: i + 1, steps: len(route), destination: d.Name(), key: key, state: state,
		})
		m.append(mine.deliveries[i])
	}
}

// receive stores an event, which goes on to the sink.
func (m *model) receive(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	n := len(m.w.ids)
	events := m.w.events([]int{m.sink}, sent(key, n, fmt.Sprint("m", n)))
	onDisk, err := m.insist(rt, true, func() error {
		_, err := m.w.s.SaveEvents(context.Background(), "events", events)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	if !onDisk {
		return
	}
	name := fmt.Sprint("e", n)
	m.w.ids[name] = events[0].ID
	m.events = append(m.events, name)
	m.append(&modelled{
		name: fmt.Sprint(name, ".", m.sink), step: 1, steps: 1, destination: "sink:crm", key: events[0].Subject, state: pending, event: true,
	})
}

// rule has the next event change a row in x.
func (m *model) rule(rt *rapid.T) {
	if len(m.events) == m.ruled || len(m.registrations) == 0 {
		rt.Skip("there is no event that was not looked at, or no registration")
	}
	ctx := context.Background()
	to, err := m.w.s.RuledTo(ctx)
	if m.ruled == 0 {
		to = 0 // or a database without rules would begin with the next one
	}
	next, nextErr := m.w.s.ListEventsAfter(ctx, to, 1)
	if err = errors.Join(err, nextErr); err != nil || len(next) != 1 {
		rt.Fatal(next, err)
	}
	x, name := m.firstStep()
	ruling := onramp.Ruling{To: next[0].Seq, Changes: []onramp.RowChange{
		{Event: next[0].Seq, RegistrationSeq: 1, SubscriberKey: "a", Destination: x, Values: []byte(`{"a":1}`)},
	}}
	if _, err := m.insist(rt, false, func() error { return m.w.s.SaveRuling(ctx, ruling) }); err != nil {
		rt.Fatal(err)
	}
	m.append(&modelled{
		name: fmt.Sprint(m.events[m.ruled], ".", x), step: 1, steps: 1, destination: name, key: "a", state: pending, event: true,
	})
	m.ruled++
}

func (m *model) of(d onramp.Delivery) *modelled { return m.deliveries[d.Seq-1] }

func (m *model) destinations() []int {
	return append(m.dataExtensions(), m.w.destination("y"), m.sink)
}

// dataExtensions are x, and z as soon as a route leads there.
func (m *model) dataExtensions() (ids []int) {
	for _, name := range []string{"data_extension:x", "data_extension:z"} {
		if id := m.w.destinationNamed(name); id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// firstStep is where the first step of "both" leads now.
func (m *model) firstStep() (id int, name string) {
	d := m.w.forms["both"].Route[0]
	return d.ID, d.Name()
}

func (m *model) pick(rt *rapid.T) {
	for _, destination := range m.destinations() {
		if pause := m.w.s.Pause(destination); !pause.Lasts() {
			m.pickFor(rt, destination)
		}
	}
}

// pickFor takes what the pump would send to a destination: the oldest of each key
// of all that it finds, unless one of the key is in flight.
func (m *model) pickFor(rt *rapid.T, destination int) {
	ctx := context.Background()
	fresh, to, _, err := m.w.s.ListFresh(ctx, destination, 0, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	found := map[int64]onramp.Delivery{}
	taken := map[int64]bool{} // keys of which one is in flight
	flying := map[int64]bool{}
	for _, d := range m.inFlight {
		flying[d.Seq] = true
		if d.DestinationID == destination {
			taken[d.OrderingKey] = true
		}
	}
	var behind []int64
	for _, d := range fresh {
		if found[d.Seq] = d; d.Behind && !flying[d.Seq] {
			behind = append(behind, d.Seq)
		}
	}
	for seq, d := range m.window {
		if d.DestinationID == destination {
			found[seq] = d
			behind = append(behind, seq)
		}
	}
	slices.Sort(behind)
	behind = slices.Compact(behind)
	var parked map[int64]bool
	_, err = m.insist(rt, false, func() (err error) {
		parked, err = m.w.s.Park(ctx, behind)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	for seq := range parked {
		delete(found, seq)
		delete(m.window, seq)
	}
	due, _, err := m.w.s.ListDue(ctx, destination, to, m.w.clock.now(), 1000)
	if err != nil {
		rt.Fatal(err)
	}
	for _, d := range due {
		if _, known := m.window[d.Seq]; !known {
			found[d.Seq] = d
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		d := found[seq]
		switch first := !taken[d.OrderingKey]; {
		case flying[seq]:
		case d.State == pending && first:
			m.start(rt, d)
		case d.State == pending && !d.Parked():
			m.window[seq] = d
		}
		taken[d.OrderingKey] = true
	}
}

// start checks that a delivery may be sent.
func (m *model) start(rt *rapid.T, d onramp.Delivery) {
	mine := m.of(d)
	_, old := m.window[d.Seq]
	delete(m.window, d.Seq)
	switch {
	case mine.state == onramp.DeliveryDiscarded && old:
		return // whoever did so gave up before there was a clear answer, and did not tell the pump
	case mine.state != pending:
		rt.Fatalf("%s is picked, and is %s", mine.name, mine.state)
	}
	for _, earlier := range m.deliveries[:d.Seq-1] {
		if earlier.destination == mine.destination && earlier.key == mine.key && earlier.unsettled() {
			rt.Fatalf("%s overtakes %s, which is %s", mine.name, earlier.name, earlier.state)
		}
	}
	m.inFlight = append(m.inFlight, d)
}

// report is what the pump has to tell of a call, until the store says that it is on
// disk. The deliveries stay in flight so long.
type report struct {
	settlements []onramp.Settlement
	onDisk      bool
}

func (m *model) settle(rt *rapid.T) {
	if len(m.inFlight) == 0 {
		rt.Skip("nothing is in flight")
	}
	d := rapid.SampledFrom(m.inFlight).Draw(rt, "delivery")
	if r := m.unanswered[d.Seq]; r != nil {
		m.tell(rt, r)
		return
	}
	state := rapid.SampledFrom([]onramp.DeliveryState{delivered, delivered, pending, pending, dead, unknown}).Draw(rt, "state")
	after := time.Duration(0)
	if state == pending {
		after = time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second // 0: throttled
	}
	m.tell(rt, &report{settlements: []onramp.Settlement{m.w.settlement(d, state, after)}})
}

// outage has all calls fail for half an hour: what comes of their keys waits behind
// them.
func (m *model) outage(rt *rapid.T) {
	for _, d := range slices.Clone(m.inFlight) {
		if m.unanswered[d.Seq] == nil {
			m.tell(rt, &report{settlements: []onramp.Settlement{m.w.settlement(d, pending, 30*time.Minute)}})
		}
	}
}

// settleCall settles what one call has delivered.
func (m *model) settleCall(rt *rapid.T) {
	if len(m.inFlight) == 0 {
		rt.Skip("nothing is in flight")
	}
	to := rapid.SampledFrom(m.inFlight).Draw(rt, "destination").DestinationID
	r := &report{}
	shared := &onramp.Attempt{StartedAt: m.w.clock.now(), Took: time.Second, Outcome: onramp.Outcome{Verdict: onramp.Delivered, Status: 200}}
	for _, d := range m.inFlight {
		if d.DestinationID == to && m.unanswered[d.Seq] == nil && rapid.IntRange(0, 3).Draw(rt, "in the call") > 0 {
			s := m.w.settlement(d, delivered, 0)
			s.Attempt = shared
			r.settlements = append(r.settlements, s)
		}
	}
	m.tell(rt, r)
}

// tell hands the store a report, once. Without a clear answer it is told again some
// time, as the pump does, which may be after others have changed something.
func (m *model) tell(rt *rapid.T, r *report) {
	onDisk, err := m.commit(rt, func() error {
		_, err := m.w.s.Settle(context.Background(), r.settlements)
		return err
	})
	if onDisk && !r.onDisk {
		r.onDisk = true
		for i := range r.settlements {
			m.settled(&r.settlements[i])
		}
	}
	for i := range r.settlements {
		seq := r.settlements[i].Delivery.Seq
		if failedCommit(err) {
			m.unanswered[seq] = r
			continue
		}
		delete(m.unanswered, seq)
		if s := &r.settlements[i]; s.State == pending && s.DueAt.IsZero() {
			m.window[seq] = *s.Delivery // throttled: it stays where it is
		}
		m.inFlight = slices.DeleteFunc(m.inFlight, func(d onramp.Delivery) bool { return d.Seq == seq })
	}
	if err != nil && !failedCommit(err) {
		rt.Fatal(err)
	}
}

func (m *model) settled(s *onramp.Settlement) {
	if mine := m.of(*s.Delivery); mine.state == pending {
		mine.tries = s.Tries
		m.move(s.Delivery.Seq, s.State)
	}
}

// takeOver has another node open the store after the lease of this one has run
// out. What was in flight goes on in the node that was cut off.
func (m *model) takeOver(rt *rapid.T) {
	m.bury()
	m.cutOff, m.its = m.w.s, m.inFlight
	m.restarted()
	if err := m.cutOff.CutOff(); err != nil {
		rt.Fatal(err)
	}
	m.w.clock.advance(16 * time.Second)
	// the same for the database's clock: its lease lasts no longer than to the year 1970
	if _, err := m.w.db.Exec(`UPDATE lease SET expires_at = 1`); err != nil {
		rt.Fatal(err)
	}
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
	if state != pending {
		d.retried = false
	}
	if state == delivered {
		m.supersede(d)
	}
	for i := d.step; i < d.steps; i++ {
		later := m.deliveries[seq-1+int64(i-d.step)+1]
		switch {
		case state == delivered:
			later.state = pending
			return
		case state == pending:
			later.state = onramp.DeliveryWaiting
		case state == onramp.DeliveryDiscarded:
			later.state = state
		default:
			later.state = onramp.DeliveryOutOfReach
		}
	}
}

// superseded says that what is delivered already would be overwritten by a
// delivery.
func (m *model) superseded(d *modelled) bool {
	return d.upserts() && slices.ContainsFunc(m.deliveries, func(newer *modelled) bool {
		return newer.age > d.age && newer.destination == d.destination && newer.key == d.key && newer.state == delivered
	})
}

// supersede gives those up that an operator retries while a newer one of their key,
// which was in flight, is delivered.
func (m *model) supersede(by *modelled) {
	for _, older := range m.deliveries {
		if older.retried && older.upserts() && older.age < by.age && by.destination == older.destination && by.key == older.key {
			m.move(older.seq, dead)
		}
	}
}

func (m *model) any(rt *rapid.T) *modelled {
	if len(m.deliveries) == 0 {
		rt.Skip("there is none")
	}
	return m.deliveries[rapid.IntRange(0, len(m.deliveries)-1).Draw(rt, "delivery")]
}

func (m *model) retry(rt *rapid.T) {
	d := m.any(rt)
	parked := !m.w.find(d.name).DueAt.IsZero()
	onDisk, err := m.insist(rt, true, func() error { return m.w.s.RetryDelivery(context.Background(), m.w.id(d.name), false) })
	failed := d.state == dead || d.state == unknown
	if allowed := failed && !m.superseded(d) || d.state == pending && parked; allowed != (err == nil) {
		rt.Fatalf("retry of %s, which is %s: %v", d.name, d.state, err)
	}
	if onDisk && err == nil {
		d.tries, d.retried = 0, d.retried || failed
		m.move(d.seq, pending)
	}
}

func (m *model) discard(rt *rapid.T) {
	d := m.any(rt)
	if d.replaced {
		rt.Skip("it was discarded for another reason")
	}
	onDisk, err := m.insist(rt, true, func() error { return m.w.s.DiscardDelivery(context.Background(), m.w.id(d.name), "a test") })
	discarded := d.state == onramp.DeliveryDiscarded
	if allowed := d.state == dead || d.state == unknown || d.state == pending || discarded; allowed != (err == nil) {
		rt.Fatalf("discard of %s, which is %s: %v", d.name, d.state, err)
	}
	if onDisk && !discarded {
		m.move(d.seq, onramp.DeliveryDiscarded)
	}
}

// bulk retries or discards all that are dead.
func (m *model) bulk(rt *rapid.T) {
	to := rapid.SampledFrom([]onramp.DeliveryState{pending, onramp.DeliveryDiscarded}).Draw(rt, "to")
	onDisk, err := m.insist(rt, true, func() (err error) {
		if to == pending {
			_, err = m.w.s.RetryDeliveries(context.Background(), onramp.Filter{}, false, nil)
		} else {
			_, _, err = m.w.s.DiscardDeliveries(context.Background(), onramp.Filter{}, "a test")
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	for _, d := range m.deliveries {
		if onDisk && d.state == dead && !(to == pending && m.superseded(d)) {
			if to == pending {
				d.tries, d.retried = 0, true
			}
			m.move(d.seq, to)
		}
	}
}

// edit gives a dead or unknown delivery, and the later steps of its route, another
// key.
func (m *model) edit(rt *rapid.T) {
	d := m.any(rt)
	if d.event {
		rt.Skip("what an event has brought can't be edited")
	}
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	edit, r := m.w.edited(d.name, key)
	onDisk, err := m.insist(rt, true, func() error { return m.w.s.EditDelivery(context.Background(), m.w.id(d.name), edit, r) })
	if allowed := d.state == dead || d.state == unknown; allowed != (err == nil) {
		rt.Fatalf("edit of %s, which is %s: %v", d.name, d.state, err)
	}
	m.rekeyed = m.rekeyed || onDisk && key != d.key
	for i := d.seq - 1; onDisk && i < d.seq+int64(d.steps-d.step); i++ {
		m.deliveries[i].key = key
	}
}

// pause pauses the data extension that registrations go to now, or resumes it. It
// changes nothing else.
func (m *model) pause(rt *rapid.T) {
	id, name := m.firstStep()
	isPaused := func() bool {
		pause := m.w.s.Pause(id)
		return pause.Lasts()
	}
	paused := isPaused()
	_, err := m.insist(rt, false, func() (err error) {
		if !paused {
			return m.w.s.PauseDestination(context.Background(), name, "a test")
		}
		if isPaused() { // else it was, though the answer was lost
			_, err = m.w.s.ResumeDestination(context.Background(), name)
		}
		return err
	})
	if err != nil && !(paused && isKind(err, onramp.Conflict)) {
		rt.Fatal(err)
	}
}

// correct starts the gateway with another key of the first step: what waits follows.
func (m *model) correct(rt *rapid.T) {
	m.restarted()
	_, before := m.firstStep()
	m.follow(rt)
	if m.w.first = "z"; before == "data_extension:z" {
		m.w.first = "x"
	}
	m.w.reopen()
	m.follow(rt)
	_, after := m.firstStep()
	m.moved(before, after, false)
}

func (m *model) follow(rt *rapid.T) {
	forms := []*onramp.Form{m.w.forms["both"], m.w.forms["one"]}
	left := []onramp.Left(nil)
	_, err := m.insist(rt, false, func() (err error) {
		left, err = m.w.s.FollowRoutes(context.Background(), forms)
		return err
	})
	if err != nil || len(left) > 0 {
		rt.Fatal(left, err)
	}
}

// moveAway has an operator move what waits for the data extension of a route of before,
// or what waits for that of now, while the gateway runs.
func (m *model) moveAway(rt *rapid.T) {
	if len(m.dataExtensions()) < 2 {
		rt.Skip("there is no other one")
	}
	both := []string{"data_extension:x", "data_extension:z"}
	if rapid.Bool().Draw(rt, "back") {
		slices.Reverse(both)
	}
	id := m.w.destinationNamed(both[0])
	if slices.ContainsFunc(m.inFlight, func(d onramp.Delivery) bool { return d.DestinationID == id }) {
		rt.Skip("it must be calm there")
	}
	maps.DeleteFunc(m.window, func(_ int64, d onramp.Delivery) bool { return d.DestinationID == id })
	_, err := m.insist(rt, false, func() error {
		_, err := m.w.s.MoveDeliveries(context.Background(), both[0], both[1], false)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	m.moved(both[0], both[1], true)
}

// moved has what is not delivered or discarded go to another data extension, unless it
// is older than what that has got.
func (m *model) moved(from, to string, running bool) {
	for _, d := range m.deliveries {
		if d.destination != from || d.state == delivered || d.state == onramp.DeliveryDiscarded {
			continue
		}
		if !running && d.event && m.registrations[0].form != "both" {
			continue // rule changes the row of the first registration
		}
		d.destination = to
		if name, _, _ := strings.Cut(d.name, "."); d.event {
			d.name = fmt.Sprint(name, ".", m.w.destinationNamed(to)) // the id says where it goes
		}
		switch {
		case d.state != pending:
		case m.superseded(d):
			m.move(d.seq, dead)
		default:
			d.retried = running
		}
	}
}

// resend has all registrations sent again whose route is not under way.
func (m *model) resend(rt *rapid.T) {
	if m.rekeyed {
		rt.Skip("whose row is newer is not for the model to say, once keys were edited")
	}
	var sends [][]onramp.Destination // by registration
	for i := range m.registrations {
		sends = append(sends, m.sentAgain(i))
	}
	ctx, filter := context.Background(), resend.RegistrationFilter{All: true}
	run := m.run(rt, resend.Registrations, resend.Routes, filter, func() (resend.Plan, error) {
		return m.w.s.PlanRegistrationResend(ctx, filter, m.w.forms)
	}, func(run *resend.Run) error {
		_, err := m.w.s.ResendRegistrations(ctx, run, filter, m.w.forms)
		return err
	})
	if run == 0 {
		return
	}
	for i, r := range m.registrations {
		if len(sends[i]) == 0 {
			continue
		}
		for _, d := range r.deliveries {
			if d.state == dead {
				m.move(d.seq, onramp.DeliveryDiscarded)
				for _, step := range m.deliveries[d.seq-1 : d.seq+int64(d.steps-d.step)] {
					step.replaced = true
				}
			}
		}
	}
	for i, r := range m.registrations {
		route := m.w.forms[r.form].Route
		state := pending
		for j, to := range sends[i] {
			step := 1 + slices.IndexFunc(route, func(d onramp.Destination) bool { return d.ID == to.ID })
			d := &modelled{
				name: fmt.Sprintf("%s.%d.%d", r.name, step, run), age: r.deliveries[0].age + int64(len(route)) - 1,
				step: step, steps: step + len(sends[i]) - 1 - j, destination: to.Name(), key: r.key, state: state,
			}
			r.deliveries = append(r.deliveries, d)
			m.append(d)
			state = onramp.DeliveryWaiting
		}
	}
}

// sentAgain gives the steps that a resend sends of a registration; none when something
// of it is under way, a newer row would be written over, or the person got it all.
func (m *model) sentAgain(at int) (sends []onramp.Destination) {
	r := m.registrations[at]
	for _, d := range r.deliveries {
		if d.unsettled() {
			return nil
		}
	}
	for _, to := range m.w.forms[r.form].Route {
		isThere := func(d *modelled) bool {
			return d.destination == to.Name() && (d.state == delivered || d.state == unknown)
		}
		switch {
		case to.Kind == onramp.Journey && slices.ContainsFunc(r.deliveries, isThere):
			continue
		case to.Kind == onramp.DataExtension && slices.ContainsFunc(m.registrations[at+1:], func(newer *modelledRegistration) bool {
			return newer.key == r.key && slices.ContainsFunc(newer.deliveries, func(d *modelled) bool {
				return d.destination == to.Name() && (d.unsettled() || isThere(d))
			})
		}):
			return nil
		}
		sends = append(sends, to)
	}
	return sends
}

var crm = &onramp.Sink{Name: "crm"}

// resendEvents has all events sent to the sink again that are not on their way there.
func (m *model) resendEvents(rt *rapid.T) {
	ctx, filter := context.Background(), resend.EventFilter{Sink: crm.Name}
	var names []string
	for _, name := range m.events {
		if !slices.ContainsFunc(m.deliveries, func(d *modelled) bool {
			return d.destination == "sink:crm" && strings.HasPrefix(d.name, name+".") && d.unsettled()
		}) {
			names = append(names, name)
		}
	}
	run := m.run(rt, resend.Events, crm.Name, filter, func() (resend.Plan, error) {
		return m.w.s.PlanEventResend(ctx, filter, crm)
	}, func(run *resend.Run) error {
		_, err := m.w.s.ResendEvents(ctx, run, filter, crm)
		return err
	})
	for _, name := range names {
		if run == 0 {
			return
		}
		first := slices.IndexFunc(m.deliveries, func(d *modelled) bool { return d.name == fmt.Sprint(name, ".", m.sink) })
		m.append(&modelled{
			name: fmt.Sprintf("%s.%d.%d", name, m.sink, run), step: 1, steps: 1, destination: "sink:crm",
			key: m.deliveries[first].key, state: pending, event: true,
		})
	}
}

// run carries a resend out to its end, and returns its id; 0 when there was nothing to
// send.
func (m *model) run(rt *rapid.T, kind, target string, filter any, plan func() (resend.Plan, error), step func(*resend.Run) error) (id int64) {
	ctx := context.Background()
	p, err := plan()
	if err != nil {
		rt.Fatal(err)
	}
	p.Kind, p.Target = kind, target
	if p.Filter, err = json.Marshal(filter); err != nil {
		rt.Fatal(err)
	}
	var run resend.Run
	if _, err = m.insist(rt, false, func() (err error) {
		run, _, err = m.w.s.StartResend(ctx, p, true)
		return err
	}); isKind(err, onramp.Conflict) {
		return 0
	}
	for err == nil && run.State == resend.Running {
		if _, err = m.insist(rt, false, func() error { return step(&run) }); err == nil {
			run, err = m.w.s.FindResend(ctx, run.ID)
		}
	}
	if err != nil || run.Sent != p.Count {
		rt.Fatalf("%d were sent, %d planned: %v", run.Sent, p.Count, err)
	}
	return run.ID
}

// deliverAll delivers whatever is still to be sent, once all commits succeed.
func (m *model) deliverAll(rt *rapid.T) {
	ctx := context.Background()
	settle := func(s ...onramp.Settlement) {
		if _, err := m.w.s.Settle(ctx, s); err != nil {
			rt.Fatal(err)
		}
	}
	for _, d := range m.inFlight {
		r := m.unanswered[d.Seq]
		if r == nil {
			r = &report{settlements: []onramp.Settlement{m.w.settlement(d, delivered, 0)}}
		}
		settle(r.settlements...)
		for i := 0; i < len(r.settlements) && !r.onDisk; i++ {
			m.settled(&r.settlements[i])
		}
		r.onDisk = true
	}
	m.forget()
	m.doubt = true
	for range 4*len(m.deliveries) + 4 {
		m.w.clock.advance(10 * time.Minute)
		for _, id := range m.destinations() {
			fresh, to, _, err := m.w.s.ListFresh(ctx, id, 0, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			due, _, err := m.w.s.ListDue(ctx, id, to, m.w.clock.now(), 1000)
			if err != nil {
				rt.Fatal(err)
			}
			for _, d := range append(fresh, due...) {
				if d.State == pending && !d.Behind {
					s := m.w.settlement(d, delivered, 0)
					settle(s)
					m.settled(&s)
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
	if m.doubt { // the next transaction brings the memory up to date
		if err := m.w.s.SavePosition(context.Background(), m.sink, 0, 0); err != nil {
			rt.Fatal(err)
		}
		m.doubt = false
	}
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
