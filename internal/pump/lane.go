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
	usualWindow   = 2048            // ordering keys in memory
	passedFactor  = 128             // a lane knows this many times more deliveries that it has passed by
	keysFactor    = 8               // and this many times more keys at all
	mostBytes     = 32 << 20        // of deliveries of one kind in memory; what is read at once comes on top
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
	afterClaim  func(f func()) (stop func() bool) // calls f once claim has ended
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

	stopped    bool // an operator has paused the destination, as of this turn
	bars       bars
	toPostpone []onramp.Delivery // parked ones that a bar keeps back

	crowdedAt time.Time // since when nothing is read, because too many wait for the step before them

	begun       bool
	readTo      int64 // as saved
	sentTo      int64 // as saved: nothing after it may be sent
	markSavedAt time.Time
	abandoned   bool // calls were given up whose outcomes are not on disk
	inFlight    int  // calls
	jobs        int  // of these, by the asynchronous route
	skipping    int  // writes under way that settle what is skipped
	pace        pace
	rules       [2]rule // of synchronous calls, and of asynchronous ones
	flow        flow
	lingers     time.Time

	before onramp.Health // see Config.Before

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
	left        bool // claim ended before the outcomes were known of what is kept as a job
}

func newLane(p *Pump, d onramp.Destination) *lane {
	l := &lane{
		pump: p, destination: d, inbox: make(chan message, 4*p.cfg.Senders), ended: make(chan struct{}),
		size: p.cfg.Window, more: true, checkDue: true, toPark: map[int64]bool{},
		flying: map[int64]onramp.DeliveryState{}, rules: rules(d),
		bars: bars{byShape: map[uint64]*bar{}, left: map[int64]int64{}},
		pace: pace{limit: p.cfg.Senders, max: p.cfg.Senders, failed: map[int64]bool{}}, state: onramp.Health{Destination: d, State: running},
	}
	if l.size == 0 {
		l.size = usualWindow
		if d.MayBeAsync() {
			l.size = max(l.size, mostJobs*l.rules[1].most)
		}
	}
	l.window = newWindow(l.size)
	if d.Kind != onramp.SinkDestination {
		l.window.skips, l.bars.skips = p.cfg.Skips, p.cfg.Skips
	}
	for _, before := range p.cfg.Before {
		if before.Destination.ID == d.ID {
			l.before, l.state.GivenUp, l.state.Unknown = before, before.GivenUp, before.Unknown
		}
	}
	return l
}

func (l *lane) run(claim, work context.Context) {
	defer close(l.ended)
	l.afterClaim = func(f func()) func() bool { return context.AfterFunc(claim, f) }
	timer := time.NewTimer(0)
	defer timer.Stop()
	fresh, due := l.pump.outbox.Wake(l.destination.ID)
	for claim.Err() == nil && work.Err() == nil {
		l.lookForPause()
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
	for l.inFlight+l.skipping > 0 {
		l.handle(<-l.inbox)
	}
	l.senders.Wait()
	l.end(work)
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
	steps := []func(context.Context) error{
		l.begin, l.savePosition, l.readFresh, l.readPassed, l.readLeft, l.readDue, l.postpone, l.park, l.parkPassed, l.allowSending,
	}
	var err error
	for _, step := range steps {
		if err == nil {
			err = step(work)
		}
	}
	if err != nil && work.Err() == nil {
		l.troubled = now.Add(readTrouble)
		l.pump.cfg.Log.ErrorContext(work, "reading from the store failed", "destination", l.destination.Name(), "err", err)
	}
}

// lookForPause notes whether an operator has paused the destination. Once it is
// resumed, what is due is read again: it may have become unknown meanwhile.
func (l *lane) lookForPause() {
	pause := l.pump.outbox.Pause(l.destination.ID)
	if l.stopped && !pause.Lasts() {
		l.checkDue = true
		for _, e := range l.window.bySeq {
			if e.delivery.Parked() && !e.inFlight {
				l.drop(e)
			}
		}
	}
	l.stopped = pause.Lasts()
}

// capacity is how many keys may have a fresh delivery in memory: what the calls under
// way and the next ones carry. A destination that is paused needs fewer to begin again.
func (l *lane) capacity() int {
	if l.stopped || l.pace.paused() {
		return min(l.size, usualWindow)
	}
	return l.size
}

// room says whether the window is to be filled with fresh deliveries: when there
// is room for a good many, so that few reads are needed.
func (l *lane) room() bool {
	size := l.capacity()
	return l.window.keys[fresh] <= size-min(readTogether, size/2) && l.window.bytes[fresh] < mostBytes && len(l.window.queues) < keysFactor*l.size &&
		len(l.bars.left) < mostLeft
}

func (l *lane) crowded() bool {
	return l.window.entries[waiting] > waitingFactor*l.size || l.window.bytes[waiting] >= mostBytes
}

func (l *lane) readFresh(work context.Context) error {
	if !l.more || !l.room() {
		return nil
	}
	if l.crowded() {
		l.makeRoom(time.Now())
		return nil
	}
	n := min(l.capacity()-l.window.keys[fresh], readTogether)
	found, to, more, err := l.pump.outbox.ListFresh(work, l.destination.ID, l.cursor, n)
	if err != nil {
		return err
	}
	l.checkDue = l.checkDue || l.leftDue
	l.cursor, l.more = to, more
	for _, d := range found {
		if l.bars.keepsBack(&d) {
			l.leave(&d)
			continue
		}
		if taken := l.window.offer(d); taken && d.Behind {
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

func (l *lane) readDue(work context.Context) error {
	now := time.Now()
	// a time further away than any retry is set means that the clock was set back
	waits := l.nextDue.IsZero() || now.Before(l.nextDue) && l.nextDue.Sub(now) <= onramp.LongestRetry
	if !l.checkDue && waits {
		return nil
	}
	if l.window.entries[due] > l.size/2 || l.window.bytes[due] >= mostBytes {
		return nil // the results make room
	}
	found, next, err := l.pump.outbox.ListDue(work, l.destination.ID, l.cursor, now, l.size)
	if err != nil {
		return err
	}
	for _, d := range found {
		if l.bars.keepsBack(&d) {
			l.leave(&d)
			continue
		}
		if e := l.window.bySeq[d.Seq]; e != nil && (e.inFlight || !e.delivery.Parked()) {
			e.foundDue = true
		} else if e == nil {
			l.dropDueBehind(&d)
		}
		l.window.add(d, false)
	}
	l.checkDue, l.leftDue, l.nextDue = !next.IsZero() && !next.After(now), l.more, next
	return nil
}

// dropDueBehind drops those that are due behind one of their key that has become
// due since: an operator has retried it after them. It wakes them, one by one.
func (l *lane) dropDueBehind(d *onramp.Delivery) {
	for _, e := range l.window.behind(d.OrderingKey, d.Seq) {
		if e.delivery.Parked() {
			l.drop(e)
			l.checkDue = true
		}
	}
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
	for len(l.toPark) > 0 {
		seqs := slices.Sorted(maps.Keys(l.toPark))
		seqs = seqs[:min(len(seqs), parkTogether)]
		parked, err := l.pump.outbox.Park(work, seqs)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			delete(l.toPark, seq)
			if e := l.window.bySeq[seq]; e != nil && parked[seq] {
				l.drop(e)
				l.parkBehind(&e.delivery) // they may not have waited for the retry set until now
			}
		}
	}
	return nil
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
	l.bars.stale = l.bars.stale || len(l.bars.left) > 0 && l.window.bySeq[seq] == nil
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
	l.liftBars()
}

// finish takes a call's end into account.
func (l *lane) finish(r *result) {
	l.landed(r.call)
	if r.abandoned || r.left {
		l.abandoned = l.abandoned || r.abandoned
		for _, e := range r.call.entries {
			l.window.land(e)
		}
		return
	}
	if r.call.skips {
		for i, e := range r.call.entries {
			l.move(e, r.settlements[i])
		}
		l.liftBars()
		return
	}
	now := time.Now()
	pausedTo := l.pace.until
	l.pace.adapt(summary(r.outcomes), r.call, now)
	l.spare(pausedTo, now)
	l.setBars(r, now)
	for i, e := range r.call.entries {
		if n := len(r.call.entries); n > 1 && r.outcomes[i].Verdict == onramp.Retry {
			l.window.failed[e.delivery.Seq] = halved(n, 1)
		}
		l.move(e, r.settlements[i])
	}
	l.liftBars()
	if r.call.bar != nil && l.bars.stale {
		l.rewind()
	}
	l.setHealth(r.settlements)
}

// move puts a delivery that has landed where it belongs now: in the window, in the
// retry set, or nowhere.
func (l *lane) move(e *entry, s onramp.Settlement) {
	if e.gone {
		return
	}
	if s.State != onramp.DeliveryPending {
		delete(l.window.failed, e.delivery.Seq)
	}
	if s.State == onramp.DeliveryPending && s.DueAt.Equal(e.delivery.DueAt) && !e.forgotten {
		e.returned, e.turn = true, turn{} // if it was for its sake, others have their turn before
		l.window.land(e)
		if l.bars.keepsBack(&e.delivery) {
			l.leave(&e.delivery)
		}
		return // it stays, first of its key
	}
	l.drop(e)
	if s.State != onramp.DeliveryPending {
		return
	}
	if l.nextDue.IsZero() || s.DueAt.Before(l.nextDue) {
		l.nextDue = s.DueAt
	}
	if !e.delivery.Resend { // it is settled: nobody waits for it
		l.parkBehind(&e.delivery)
	}
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
	if d.State == onramp.DeliveryDead { // a newer one has overtaken it
		l.forget(d.Seq)
		return
	}
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
	fresh := l.more && l.room() && (!l.crowded() || !now.Before(crowdedTo))
	if (fresh || l.unread()) && !now.Before(l.troubled) {
		return 0 // there is more to read
	}
	for _, at := range append(l.bars.times(), l.nextDue, l.pace.until, l.troubled, l.lingers, crowdedTo) {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
		}
	}
	if l.settledTo() > l.readTo && !now.Before(l.troubled) {
		wait = min(wait, max(markEvery-now.Sub(l.markSavedAt), 0))
	}
	return wait
}
