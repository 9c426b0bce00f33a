package pump

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

const (
	usualWindow   = 2048            // deliveries in memory
	readTogether  = 1024            // deliveries read at once
	waitingFactor = 4               // a window may hold this many times more that wait for the step before them
	readTrouble   = time.Second     // pause after the store could not be read
	settleTrouble = 5 * time.Second // longest pause between tries to settle
	markEvery     = time.Second     // how often the read mark is saved
	parkTogether  = 256             // deliveries parked by one write
	crowdedFor    = 5 * time.Second // how long those that wait for the step before them may keep others out
)

// lane sends to one destination. All but the part under mu belongs to run.
type lane struct {
	pump        *Pump
	destination onramp.Destination
	inbox       chan message
	ended       chan struct{}
	senders     sync.WaitGroup

	window   *window
	size     int   // of the window
	cursor   int64 // fresh deliveries up to here have been read
	more     bool  // there may be fresh ones after the cursor
	nextDue  time.Time
	checkDue bool // look for due ones now
	leftDue  bool // there may be due ones after the cursor, which go when it has passed them
	troubled time.Time
	toPark   map[int64]bool // fresh ones that may be behind a parked one of their key

	crowdedAt time.Time // since when nothing is read, because too many wait for the step before them

	markSaved   int64
	markSavedAt time.Time
	inFlight    int // calls
	jobs        int // of these, by the asynchronous route
	pace        pace
	rules       [2]rule // of synchronous calls, and of asynchronous ones
	flow        flow
	lingers     time.Time

	mu     sync.Mutex
	flying map[int64]onramp.DeliveryState // what is in flight: sending or submitted
	state  onramp.Health
}

// message is what others have for a lane.
type message struct {
	result    *result
	followers []onramp.Delivery
	forget    int64
}

// result is the end of one call.
type result struct {
	call        *call
	outcomes    []onramp.Outcome
	settlements []onramp.Settlement
	abandoned   bool // work ended before the outcomes were on disk
}

func newLane(p *Pump, d onramp.Destination) *lane {
	l := &lane{
		pump: p, destination: d, inbox: make(chan message, 4*p.cfg.Senders), ended: make(chan struct{}),
		window: newWindow(), size: p.cfg.Window, more: true, checkDue: true, toPark: map[int64]bool{},
		flying: map[int64]onramp.DeliveryState{}, rules: rules(d),
		pace: pace{limit: p.cfg.Senders, max: p.cfg.Senders}, state: onramp.Health{Destination: d, State: running},
	}
	if l.size == 0 {
		l.size = usualWindow
		if d.MayBeAsync() {
			l.size = max(l.size, mostJobs*l.rules[1].most)
		}
	}
	return l
}

func (l *lane) run(claim, work context.Context) {
	defer close(l.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.begin(work)
	fresh, due := l.pump.outbox.Wake(l.destination.ID)
	for claim.Err() == nil && work.Err() == nil {
		l.refill(work)
		l.dispatch(work)
		timer.Reset(l.untilNext())
		select {
		case m := <-l.inbox:
			l.handle(m)
			l.handleAll()
		case <-fresh:
			l.more = true
		case <-due:
			l.checkDue, l.more = true, true
		case <-timer.C:
			l.more = true // also where nothing comes: the cursor passes what is others'
		case <-claim.Done():
		}
	}
	for l.inFlight > 0 {
		l.handle(<-l.inbox)
	}
	l.senders.Wait()
	l.saveMark(work)
}

// begin finds where to start reading; without the mark it starts at the front.
func (l *lane) begin(work context.Context) {
	mark, err := l.pump.outbox.ReadTo(work, l.destination.ID)
	if err != nil {
		l.pump.cfg.Log.ErrorContext(work, "read position not found, reading from the start", "destination", l.destination.Name(), "err", err)
	}
	l.cursor, l.markSaved = mark, mark
}

// handleAll takes what else has arrived, so that it is acted upon together.
func (l *lane) handleAll() {
	for {
		select {
		case m := <-l.inbox:
			l.handle(m)
		default:
			return
		}
	}
}

// refill brings deliveries into the window.
func (l *lane) refill(work context.Context) {
	now := time.Now()
	if now.Sub(l.markSavedAt) >= markEvery {
		l.saveMark(work)
	}
	if now.Before(l.troubled) {
		return
	}
	err := l.readFresh(work, now)
	if err == nil {
		err = l.readDue(work, now)
	}
	if err == nil {
		err = l.park(work)
	}
	if err != nil && work.Err() == nil {
		l.troubled = now.Add(readTrouble)
		l.pump.cfg.Log.ErrorContext(work, "reading from the store failed", "destination", l.destination.Name(), "err", err)
	}
}

// capacity is how many fresh deliveries may be in memory: what the calls under way
// and the next ones carry. A destination that is paused needs fewer to begin again.
func (l *lane) capacity() int {
	if l.pace.paused() {
		return min(l.size, usualWindow)
	}
	return l.size
}

// room says whether the window is to be filled with fresh deliveries: when there
// is room for a good many, so that few reads are needed.
func (l *lane) room() bool {
	size := l.capacity()
	return l.window.freshOnes-l.window.waiting <= size-min(readTogether, size/2)
}

func (l *lane) crowded() bool { return l.window.waiting > waitingFactor*l.size }

func (l *lane) readFresh(work context.Context, now time.Time) error {
	if !l.more || !l.room() {
		return nil
	}
	if l.crowded() {
		l.makeRoom(now)
		return nil
	}
	n := min(l.capacity()-(l.window.freshOnes-l.window.waiting), readTogether)
	found, to, err := l.pump.outbox.ListFresh(work, l.destination.ID, l.cursor, n)
	if err != nil {
		return err
	}
	l.checkDue = l.checkDue || l.leftDue
	l.cursor, l.more = to, len(found) == n
	for _, d := range found {
		l.window.add(d)
		if d.Behind {
			l.toPark[d.Seq] = true
		}
	}
	return nil
}

// makeRoom has those parked that wait for the step before them, when they fill
// the window and none of them gets on: the destination of that step may be
// blocked for days, and this one is to serve others meanwhile.
func (l *lane) makeRoom(now time.Time) {
	if l.crowdedAt.IsZero() {
		l.crowdedAt = now
	}
	if now.Sub(l.crowdedAt) < crowdedFor {
		return
	}
	for _, e := range l.window.fresh {
		if e.waiting && !e.gone {
			l.toPark[e.delivery.Seq] = true
		}
	}
}

func (l *lane) readDue(work context.Context, now time.Time) error {
	// a time further away than any retry is set means that the clock was set back
	waits := l.nextDue.IsZero() || now.Before(l.nextDue) && l.nextDue.Sub(now) <= onramp.LongestRetry
	if !l.checkDue && waits {
		return nil
	}
	if l.window.due > l.size/2 {
		return nil // the results make room
	}
	found, more, err := l.pump.outbox.ListDue(work, l.destination.ID, l.cursor, now, l.size)
	if err != nil {
		return err
	}
	for _, d := range found {
		if e := l.window.bySeq[d.Seq]; e != nil && (e.inFlight || !e.delivery.Parked()) {
			e.foundDue = true
		}
		l.window.add(d)
	}
	l.checkDue, l.leftDue = more, l.more
	l.nextDue, err = l.pump.outbox.NextDue(work, l.destination.ID, now)
	return err
}

// drop takes an entry out of the window. What it stood for may live on: an
// operator can have retried it before the lane was notified of its end.
func (l *lane) drop(e *entry) {
	l.window.remove(e)
	l.checkDue = l.checkDue || e.foundDue
}

// park moves fresh deliveries out of memory that must wait for a parked one of their
// key: they may have to wait for hours.
func (l *lane) park(work context.Context) error {
	for seqs := range slices.Chunk(slices.Sorted(maps.Keys(l.toPark)), parkTogether) {
		parked, err := l.pump.outbox.Park(work, seqs)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			delete(l.toPark, seq)
			if e := l.window.bySeq[seq]; e != nil && parked[seq] {
				l.drop(e)
			}
		}
	}
	return nil
}

// saveMark notes how far everything is settled or parked. It is only a help for
// the next start: losing it costs time, not deliveries.
func (l *lane) saveMark(work context.Context) {
	l.markSavedAt = time.Now()
	mark := l.window.readTo(l.cursor)
	if mark <= l.markSaved {
		return
	}
	if err := l.pump.outbox.SaveReadTo(work, l.destination.ID, mark); err == nil {
		l.markSaved = mark
	}
}

// tell hands the lane a message; a lane that has ended needs none.
func (l *lane) tell(m message) {
	select {
	case l.inbox <- m:
	case <-l.ended:
	}
}

func (l *lane) handle(m message) {
	switch {
	case m.result != nil:
		l.finish(m.result)
	case m.followers != nil:
		for i := range m.followers {
			l.follow(&m.followers[i])
		}
	default:
		l.forget(m.forget)
	}
}

// forget drops a delivery that was settled by an operator, and the later
// steps of its route, which would wait for ever.
func (l *lane) forget(seq int64) {
	for other, e := range l.window.bySeq {
		later := e.waiting && other > seq && other-seq < int64(e.delivery.Step)
		switch {
		case other != seq && !later:
		case e.inFlight:
			e.forgotten = true
		default:
			l.drop(e)
		}
	}
}

// finish takes a call's end into account.
func (l *lane) finish(r *result) {
	l.landed(r.call)
	if r.abandoned {
		for _, e := range r.call.entries {
			l.window.land(e)
		}
		return
	}
	l.pace.adapt(summary(r.outcomes), len(r.outcomes), r.call.probe, time.Now())
	l.setHealth(r.settlements)
	for i, e := range r.call.entries {
		l.move(e, r.settlements[i])
	}
}

// move puts a delivery that has landed where it belongs now: in the window, in the
// retry set, or nowhere.
func (l *lane) move(e *entry, s onramp.Settlement) {
	if s.State == onramp.DeliveryPending && s.DueAt.Equal(e.delivery.DueAt) && !e.forgotten {
		l.window.land(e)
		return // it stays, first of its key
	}
	l.drop(e)
	if s.State != onramp.DeliveryPending {
		return
	}
	if l.nextDue.IsZero() || s.DueAt.Before(l.nextDue) {
		l.nextDue = s.DueAt
	}
	l.parkBehind(&e.delivery)
}

// parkBehind takes those out of the window that are behind a delivery that was
// parked. The store has parked ones wait for it already, unless the operator was
// quicker: then they are due, and found again.
func (l *lane) parkBehind(parked *onramp.Delivery) {
	for _, e := range l.window.behind(parked.OrderingKey, parked.Seq) {
		if e.delivery.Parked() {
			l.drop(e)
			l.checkDue = true
		} else {
			l.toPark[e.delivery.Seq] = true
		}
	}
}

// follow takes into account that the step before a delivery was settled, or
// that it was parked together with it.
func (l *lane) follow(d *onramp.Delivery) {
	e := l.window.bySeq[d.Seq]
	if e == nil || !e.waiting {
		return // not read yet, or read again since: its state came with it, or will
	}
	if d.State == onramp.DeliveryPending && !d.Parked() {
		l.window.start(e)
		l.crowdedAt = time.Time{}
		return
	}
	l.drop(e)
	if d.Parked() {
		l.parkBehind(d)
	}
}

// untilNext is how long the lane may sleep when nobody wakes it.
func (l *lane) untilNext() time.Duration {
	now := time.Now()
	wait := time.Minute
	crowdedTo := l.crowdedAt.Add(crowdedFor)
	if l.more && l.room() && !now.Before(l.troubled) && (!l.crowded() || !now.Before(crowdedTo)) {
		return 0 // there is more to read
	}
	for _, at := range []time.Time{l.nextDue, l.pace.until, l.troubled, l.lingers, crowdedTo} {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
		}
	}
	if l.window.readTo(l.cursor) > l.markSaved {
		wait = min(wait, max(markEvery-now.Sub(l.markSavedAt), 0))
	}
	return wait
}

// setHealth publishes how the destination is doing.
func (l *lane) setHealth(settlements []onramp.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range settlements {
		switch {
		case s.State == onramp.DeliveryDead && s.Attempt.Verdict == onramp.Retry:
			l.state.GivenUp++
		case s.State == onramp.DeliveryUnknown:
			l.state.Unknown++
		}
	}
	h := &l.state
	if !l.pace.paused() {
		h.State, h.Reason, h.Hint, h.Refused, h.Cause, h.Since = running, "", "", false, "", time.Time{}
		return
	}
	why := &l.pace.why
	h.State, h.Reason, h.Hint, h.Refused, h.Cause = l.pace.state, why.Detail, why.Hint, why.Refused, why.Cause()
	if h.Since.IsZero() {
		h.Since = time.Now().UTC()
	}
}

func (l *lane) health() onramp.Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.state
	for _, state := range l.flying {
		if state == onramp.DeliverySubmitted {
			h.Submitted++
		} else {
			h.Sending++
		}
	}
	return h
}

func (l *lane) flight(seq int64) onramp.DeliveryState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying[seq]
}

// setFlying notes how far the deliveries of a call are, 0 when they have landed.
func (l *lane) setFlying(c *call, state onramp.DeliveryState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range c.entries {
		if state == 0 {
			delete(l.flying, e.delivery.Seq)
		} else {
			l.flying[e.delivery.Seq] = state
		}
	}
}
