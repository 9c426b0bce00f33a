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
	waitingFactor = 8               // a window may hold so many times more that wait for the step before them
	readTrouble   = time.Second     // pause after the store could not be read
	settleTrouble = 5 * time.Second // longest pause between tries to settle
	markEvery     = time.Second     // how often the read mark is saved
	parkTogether  = 256             // so many are parked by one write
	crowdedFor    = 5 * time.Second // so long those that wait for the step before them may keep others out
)

// lane sends to one destination. All but the part under mu belongs to run.
type lane struct {
	pump        *Pump
	destination onramp.Destination
	inbox       chan message
	ended       chan struct{}
	senders     sync.WaitGroup

	window   *window
	cursor   int64 // fresh deliveries up to here have been read
	more     bool  // there may be fresh ones after the cursor
	nextDue  time.Time
	checkDue bool // look for due ones now
	leftDue  bool // there may be due ones after the cursor, which go when it has passed them
	troubled time.Time
	toPark   map[int64]bool // fresh ones that may be behind a parked elder

	crowdedAt time.Time // since when nothing is read, because too many wait for the step before them

	markSaved   int64
	markSavedAt time.Time
	inFlight    int
	pace        pace

	mu      sync.Mutex
	sending map[int64]bool
	state   onramp.Health
}

// message is what a lane is told by others.
type message struct {
	result   *result
	follower *onramp.Delivery
	forget   int64
}

// result is the end of one attempt.
type result struct {
	entry      *entry
	settlement onramp.Settlement
	abandoned  bool // work ended before the outcome was on disk
}

func newLane(p *Pump, d onramp.Destination) *lane {
	return &lane{
		pump: p, destination: d, inbox: make(chan message, 4*p.cfg.Senders), ended: make(chan struct{}),
		window: newWindow(), more: true, checkDue: true, toPark: map[int64]bool{}, sending: map[int64]bool{},
		pace: pace{limit: p.cfg.Senders, max: p.cfg.Senders}, state: onramp.Health{Destination: d, State: running},
	}
}

func (l *lane) run(claim, work context.Context) {
	defer close(l.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.begin(work)
	for claim.Err() == nil && work.Err() == nil {
		l.refill(work)
		l.dispatch(work)
		timer.Reset(l.untilNext())
		select {
		case m := <-l.inbox:
			l.handle(m)
			l.handleAll()
		case <-l.pump.outbox.Fresh(l.destination.ID):
			l.more = true
		case <-l.pump.outbox.Due(l.destination.ID):
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
		l.pump.cfg.Log.ErrorContext(work, "read mark not found, reading from the start", "destination", l.destination.Name(), "err", err)
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
		l.pump.cfg.Log.ErrorContext(work, "store could not be read", "destination", l.destination.Name(), "err", err)
	}
}

// room says whether the window is to be filled with fresh deliveries.
func (l *lane) room() bool {
	return len(l.window.fresh)-l.window.waiting <= l.pump.cfg.Window/2
}

func (l *lane) crowded() bool { return l.window.waiting > waitingFactor*l.pump.cfg.Window }

func (l *lane) readFresh(work context.Context, now time.Time) error {
	if !l.more || !l.room() {
		return nil
	}
	if l.crowded() {
		l.makeRoom(now)
		return nil
	}
	n := l.pump.cfg.Window - (len(l.window.fresh) - l.window.waiting)
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
		if e.waiting {
			l.toPark[e.delivery.Seq] = true
		}
	}
}

func (l *lane) readDue(work context.Context, now time.Time) error {
	if !l.checkDue && (l.nextDue.IsZero() || now.Before(l.nextDue)) {
		return nil
	}
	window := l.pump.cfg.Window
	if l.window.due > window/2 {
		return nil // the results make room
	}
	found, err := l.pump.outbox.ListDue(work, l.destination.ID, l.cursor, now, window)
	if err != nil {
		return err
	}
	for _, d := range found {
		if e := l.window.bySeq[d.Seq]; e != nil && (e.inFlight || !e.delivery.Parked()) {
			e.foundDue = true
		}
		l.window.add(d)
	}
	l.checkDue, l.leftDue = len(found) == window, l.more
	l.nextDue, err = l.pump.outbox.NextDue(work, l.destination.ID, now)
	return err
}

// drop takes an entry out of the window. What it stood for may live on: an
// operator can have revived it before the lane heard of its end.
func (l *lane) drop(e *entry) {
	l.window.remove(e)
	l.checkDue = l.checkDue || e.foundDue
}

// park moves fresh deliveries out of memory that must wait for a parked elder:
// they may have to wait for hours.
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

// dispatch starts as many calls as the destination's pace allows.
func (l *lane) dispatch(work context.Context) {
	if len(l.toPark) > 0 {
		return // until it is known who is behind whom, nobody may go
	}
	for l.inFlight < l.pace.allowed(time.Now(), l.inFlight) {
		e := l.window.take()
		if e == nil {
			return
		}
		e.probe = l.pace.paused()
		l.inFlight++
		l.setSending(e.delivery.Seq, true)
		l.senders.Go(func() { l.send(work, e) })
	}
}

// send makes one attempt and waits until its outcome is on disk.
func (l *lane) send(work context.Context, e *entry) {
	startedAt := time.Now()
	outcome := l.pump.sender.Send(work, l.destination, []onramp.Delivery{e.delivery})[0]
	s := l.pump.decide(&e.delivery, outcome, startedAt, time.Now())
	l.logOutcome(work, e, s)
	r := &result{entry: e, settlement: s}
	// a probe that finds what is known already is not worth a line in the timeline
	if known := e.probe && (outcome.Verdict == onramp.Throttled || outcome.Verdict == onramp.Blocked); !known {
		r.abandoned = !l.settle(work, s)
	}
	l.tell(message{result: r})
}

// settle records an outcome however long the store takes. Only when work has
// ended does it give up after one more try: then the delivery is still pending on
// disk, and is sent again after the next start.
func (l *lane) settle(work context.Context, s onramp.Settlement) bool {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, settleTrouble) {
		followers, err := l.pump.outbox.Settle(context.WithoutCancel(work), []onramp.Settlement{s})
		if err == nil {
			for i := range followers {
				if other := l.pump.lanes[followers[i].DestinationID]; other != nil {
					other.tell(message{follower: &followers[i]})
				}
			}
			return true
		}
		if work.Err() != nil {
			return false
		}
		l.pump.cfg.Log.ErrorContext(work, "outcome could not be stored, trying again", "delivery_id", s.Delivery.ID(), "err", err)
		select {
		case <-time.After(pause):
		case <-work.Done():
		}
	}
}

func (l *lane) logOutcome(work context.Context, e *entry, s onramp.Settlement) {
	o := s.Attempt.Outcome
	attributes := []any{
		"delivery_id", e.delivery.ID(), "destination", l.destination.Name(), "outcome", o.Verdict.String(),
		"status", o.Status, "code", o.Code, "took", s.Attempt.Took, // not the detail: it may quote personal data
	}
	switch o.Verdict {
	case onramp.Delivered:
		l.pump.cfg.Log.DebugContext(work, "delivery attempted", attributes...)
	case onramp.Retry, onramp.Throttled:
		l.pump.cfg.Log.WarnContext(work, "delivery attempted", append(attributes, "mend", o.Mend)...)
	default:
		l.pump.cfg.Log.ErrorContext(work, "delivery attempted", append(attributes, "mend", o.Mend)...)
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
	case m.follower != nil:
		l.follow(m.follower)
	default:
		l.forget(m.forget)
	}
}

// forget drops a delivery that was settled by an operator's hand, and the later
// steps of its route, which now wait in vain.
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

// finish takes an attempt's end into account.
func (l *lane) finish(r *result) {
	e, s := r.entry, r.settlement
	l.inFlight--
	l.setSending(e.delivery.Seq, false)
	l.window.land(e)
	if r.abandoned {
		return
	}
	l.pace.learn(s.Attempt.Outcome, e.probe, time.Now())
	l.setHealth()
	if s.State == onramp.DeliveryPending && s.DueAt.Equal(e.delivery.DueAt) && !e.forgotten {
		return // it stays in the window, first of its key
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
func (l *lane) parkBehind(elder *onramp.Delivery) {
	for _, e := range l.window.behind(elder.OrderingKey, elder.Seq) {
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
		return // not read yet, or read again since: the store has told its state, or will
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
	for _, at := range []time.Time{l.nextDue, l.pace.until, l.troubled, crowdedTo} {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
		}
	}
	if l.window.readTo(l.cursor) > l.markSaved {
		wait = min(wait, max(markEvery-now.Sub(l.markSavedAt), 0))
	}
	return wait
}

func (l *lane) setSending(seq int64, sending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sending {
		l.sending[seq] = true
	} else {
		delete(l.sending, seq)
	}
}

func (l *lane) isSending(seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sending[seq]
}

func (l *lane) setHealth() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.State, l.state.Reason = l.pace.state, l.pace.reason
	switch {
	case l.state.State == "":
		l.state.State, l.state.Since = running, time.Time{}
	case l.state.Since.IsZero():
		l.state.Since = time.Now().UTC()
	}
}

func (l *lane) health() onramp.Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.state
	h.Sending = len(l.sending)
	return h
}
