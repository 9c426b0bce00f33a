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
	troubled time.Time
	toPark   map[int64]bool // fresh ones that may be behind a parked elder

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
	defer l.senders.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.begin(work)
	draining := claim.Done()
	for {
		if claim.Err() == nil {
			l.refill(work)
			l.dispatch(work)
		} else if draining = nil; l.inFlight == 0 {
			l.saveMark(work)
			return
		}
		timer.Reset(l.untilNext())
		select {
		case m := <-l.inbox:
			l.handle(m)
			l.handleAll()
		case <-l.pump.outbox.Fresh(l.destination.ID):
			l.more = true
		case <-l.pump.outbox.Due(l.destination.ID):
			l.checkDue = true
		case <-timer.C:
		case <-draining:
		}
	}
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
	if now.Before(l.troubled) {
		return
	}
	err := l.readDue(work, now)
	if err == nil {
		err = l.readFresh(work)
	}
	if err == nil {
		err = l.park(work)
	}
	if err != nil && work.Err() == nil {
		l.troubled = now.Add(readTrouble)
		l.pump.cfg.Log.ErrorContext(work, "store could not be read", "destination", l.destination.Name(), "err", err)
	}
	if now.Sub(l.markSavedAt) >= markEvery {
		l.saveMark(work)
	}
}

func (l *lane) readDue(work context.Context, now time.Time) error {
	if !l.checkDue && (l.nextDue.IsZero() || now.Before(l.nextDue)) {
		return nil
	}
	room := l.pump.cfg.Window - l.window.due
	if room <= 0 {
		return nil // the next result makes room
	}
	found, err := l.pump.outbox.ListDue(work, l.destination.ID, now, l.window.due+room)
	if err != nil {
		return err
	}
	for _, d := range found {
		l.window.add(d)
	}
	l.checkDue = len(found) == l.pump.cfg.Window
	l.nextDue, err = l.pump.outbox.NextDue(work, l.destination.ID, now)
	return err
}

func (l *lane) readFresh(work context.Context) error {
	window := l.pump.cfg.Window
	if !l.more || l.window.fresh > window/2 || l.window.waiting > waitingFactor*window {
		return nil
	}
	n := window - l.window.fresh
	found, to, err := l.pump.outbox.ListFresh(work, l.destination.ID, l.cursor, n)
	if err != nil {
		return err
	}
	l.cursor, l.more = to, len(found) == n
	for _, d := range found {
		l.window.add(d)
		if d.Behind {
			l.toPark[d.Seq] = true
		}
	}
	return nil
}

// park moves fresh deliveries out of memory that must wait for a parked elder:
// they may have to wait for hours.
func (l *lane) park(work context.Context) error {
	if len(l.toPark) == 0 {
		return nil
	}
	parked, err := l.pump.outbox.Park(work, slices.Sorted(maps.Keys(l.toPark)))
	if err != nil {
		return err
	}
	for seq := range parked {
		if e := l.window.bySeq[seq]; e != nil {
			l.window.remove(e)
		}
	}
	clear(l.toPark)
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
		e := l.window.next()
		if e == nil {
			return
		}
		e.inFlight, e.probe = true, l.pace.paused()
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
		if e := l.window.bySeq[m.forget]; e != nil && !e.inFlight {
			l.window.remove(e)
		}
	}
}

// finish takes an attempt's end into account.
func (l *lane) finish(r *result) {
	e, s := r.entry, r.settlement
	l.inFlight--
	l.setSending(e.delivery.Seq, false)
	e.inFlight = false
	if r.abandoned {
		return
	}
	l.pace.learn(s.Attempt.Outcome, e.probe, time.Now())
	l.setHealth()
	if s.State == onramp.DeliveryPending && s.DueAt.Equal(e.delivery.DueAt) {
		return // it stays in the window, first of its key
	}
	l.window.remove(e)
	if s.State != onramp.DeliveryPending {
		return
	}
	if l.nextDue.IsZero() || s.DueAt.Before(l.nextDue) {
		l.nextDue = s.DueAt
	}
	l.parkBehind(e.delivery.OrderingKey)
}

func (l *lane) parkBehind(key int64) {
	for _, seq := range l.window.freshBehind(key) {
		l.toPark[seq] = true
	}
}

// follow takes into account that the step before a delivery was settled, or
// that it was parked together with it.
func (l *lane) follow(d *onramp.Delivery) {
	e := l.window.bySeq[d.Seq]
	if e == nil {
		return // not read yet: the store tells its state when it is
	}
	if d.State == onramp.DeliveryPending && !d.Parked() {
		l.window.start(e)
		return
	}
	l.window.remove(e)
	if d.Parked() {
		l.parkBehind(d.OrderingKey)
	}
}

// untilNext is how long the lane may sleep when nobody wakes it.
func (l *lane) untilNext() time.Duration {
	now := time.Now()
	wait := time.Minute
	for _, at := range []time.Time{l.nextDue, l.pace.until, l.troubled} {
		if !at.IsZero() && at.After(now) {
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
