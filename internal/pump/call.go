package pump

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"onramp/internal/onramp"
)

const (
	// A call that could carry more deliveries leaves at once in quiet times. In busy
	// ones, when more are sure to come, it leaves only while few calls are under way,
	// or when its oldest delivery has lingered long enough.
	busyRate    = 400 // deliveries a second
	linger      = 25 * time.Millisecond
	asyncLinger = 500 * time.Millisecond
	fencePause  = 500 * time.Millisecond // while nothing may be sent

	mostJobs = 4 // asynchronous calls under way: each one is thousands of deliveries in memory

	// Mode auto takes the asynchronous route when this many wait, or when more than
	// a call's worth has waited this long.
	deepQueue = 1000
	oldQueue  = time.Minute
)

// call is one call under way.
type call struct {
	entries []*entry
	async   bool // by the asynchronous route
	probe   bool // made to find out whether the destination works again
	bar     *bar // whose probe it is; nil: none
	skips   bool // nothing is sent: its deliveries are skipped

	resumes  string   // the earlier asynchronous request whose outcome is asked for; "": a request is made
	requests []string // the asynchronous requests that were made; belongs to the sender
	onDisk   func()   // is called once all of it is in an asynchronous request that is kept
	suspect  bool     // of deliveries that were tried before, while others get through
}

// rule is how calls of one kind are filled.
type rule struct {
	most   int           // deliveries in one
	free   int           // calls that may be under way before one waits to be filled
	busy   float64       // deliveries a second from which on one waits at all
	linger time.Duration // how long it waits
}

// rules gives those of synchronous and of asynchronous calls.
func rules(d onramp.Destination) [2]rule {
	return [2]rule{{d.MostInCall(false), 2, busyRate, linger}, {d.MostInCall(true), 1, 0, asyncLinger}}
}

// flow measures how many deliveries a second become ready to be sent.
type flow struct {
	from int       // of the count
	at   time.Time // when it was taken
	rate float64
}

const flowEvery = 100 * time.Millisecond

// measure takes the count of all that ever were ready, and gives the rate.
func (f *flow) measure(count int, now time.Time) float64 {
	if passed := now.Sub(f.at); passed >= flowEvery {
		f.rate = float64(count-f.from) / passed.Seconds()
		f.from, f.at = count, now
	}
	return f.rate
}

// dispatch starts as many calls as the destination's pace allows.
func (l *lane) dispatch(work context.Context) {
	l.lingers = time.Time{}
	l.skip(work)
	if l.stopped || len(l.toPark) > 0 || !l.maySend() {
		return // until it is known who is behind whom, nobody may go
	}
	for {
		now := time.Now()
		bar := l.bars.due(now, l.window)
		if len(l.window.ready) == 0 && (bar == nil || l.pace.paused()) || l.inFlight >= l.pace.allowed(now, l.inFlight) {
			return
		}
		if l.pump.cfg.Fence() != nil {
			l.lingers = now.Add(fencePause)
			return
		}
		c := l.nextCall(now, bar)
		if c == nil {
			return
		}
		l.start(work, c, onramp.DeliverySending)
	}
}

func (l *lane) start(work context.Context, c *call, state onramp.DeliveryState) {
	l.inFlight++
	if c.async {
		l.jobs++
	}
	l.setFlying(c, state)
	l.senders.Go(func() { l.send(work, c) })
}

// nextCall takes the deliveries of the next call out of the window; nil when it
// waits to be filled.
func (l *lane) nextCall(now time.Time, due *bar) *call {
	if l.pace.paused() {
		return &call{entries: l.window.takeProbe(l.pace.nextProbe()), async: l.destination.OnlyAsync(), probe: true}
	}
	if due != nil {
		l.window.fly(due.probe)
		return &call{entries: []*entry{due.probe}, async: due.async, bar: due}
	}
	async, ok := l.route(now)
	if !ok {
		return nil
	}
	if rest := max(l.fillFor(async, now), l.saveFor(now)); rest > 0 {
		l.lingers = now.Add(rest)
		return nil
	}
	c := &call{entries: l.window.take(l.mostIn(async), l.destination.MostBytes(), l.pace.newestFirst()), async: async}
	c.suspect = c.entries[0].tried() && l.pace.getsThrough(now)
	return c
}

// mostIn is the most deliveries for the next call.
func (l *lane) mostIn(async bool) int {
	if async {
		return l.pace.most(l.rules[1].most)
	}
	return l.pace.most(l.rules[0].most)
}

// fillFor is how long a call waits to be filled in busy times; 0 or less: it goes now.
func (l *lane) fillFor(async bool, now time.Time) time.Duration {
	rule, underWay := l.rules[0], l.inFlight-l.jobs
	if async {
		rule, underWay = l.rules[1], l.jobs
	}
	busy := l.flow.measure(l.window.everReady, now) >= rule.busy
	if !busy || len(l.window.ready) >= l.mostIn(async) || underWay < rule.free {
		return 0
	}
	return rule.linger - now.Sub(l.window.ready[0].readyAt)
}

// route chooses between the synchronous and the asynchronous route; ok is false
// when the right one has no room.
func (l *lane) route(now time.Time) (async, ok bool) {
	room := l.jobs < mostJobs
	switch {
	case !l.destination.MayBeAsync():
		return false, true
	case l.destination.OnlyAsync():
		return true, room
	}
	if l.saving() > 0 {
		return room && len(l.window.ready) > worthJob*l.rules[0].most, true
	}
	return room && (len(l.window.ready) >= deepQueue || l.isOld(now)), true
}

// isOld says whether more than a call's worth could have gone long ago. Those that
// had to wait for others of their key do not count until then: one person's queue
// sends nobody else by the slow route.
func (l *lane) isOld(now time.Time) bool {
	old := 0
	for _, e := range l.window.ready {
		if now.Sub(e.since) > oldQueue {
			old++
		}
		if old > l.rules[0].most {
			return true
		}
	}
	return false
}

// send makes one call and waits until its outcomes are on disk.
func (l *lane) send(work context.Context, c *call) {
	deliveries := make([]onramp.Delivery, len(c.entries))
	for i, e := range c.entries {
		deliveries[i] = e.delivery
	}
	startedAt := time.Now()
	r := &result{call: c}
	waiting, end := l.leavable(work, c)
	defer end()
	r.outcomes = l.pump.sender.Send(waiting, onramp.Call{
		Destination: l.destination, Async: c.async, Deliveries: deliveries, RequestID: c.resumes,
		Submitted: func(id string, taken []onramp.Delivery) { l.submitted(work, c, id, taken) },
	})
	if r.left = work.Err() == nil && waiting.Err() != nil; r.left {
		l.tell(message{result: r}) // whoever sends next asks for the outcome
		return
	}
	if c.suspect {
		blameDeliveries(r.outcomes)
	}
	if c.entries[0].most == 1 { // others were freed from its company: it needs no quick tries any more
		deliveries[0].Tries = max(deliveries[0].Tries, quickTries-1)
	}
	r.settlements = l.decideAll(deliveries, r.outcomes, startedAt)
	l.logCall(work, c, r.outcomes)
	// a probe that finds what is known already is not worth a line in the timeline
	first := &r.outcomes[0]
	known := (c.probe || c.bar != nil) && (first.Verdict == onramp.Throttled || first.Verdict == onramp.Blocked) && !first.MayHaveArrived
	switch {
	case known:
	case work.Err() != nil && len(c.requests) > 0:
		r.abandoned = true // the next start asks for the outcome
	default:
		r.abandoned = !l.settle(work, r.settlements)
		l.endJobs(work, c, r)
	}
	l.tell(message{result: r})
}

// submitted keeps an asynchronous request, so that its outcome can be asked for
// after a restart.
func (l *lane) submitted(work context.Context, c *call, id string, deliveries []onramp.Delivery) {
	c.requests = append(c.requests, id)
	l.setFlying(c, onramp.DeliverySubmitted)
	j := onramp.Job{RequestID: id, SubmittedAt: time.Now(), Deliveries: deliveries}
	if err := l.pump.journal.SaveJob(work, l.destination.ID, j); err != nil {
		l.pump.cfg.Log.ErrorContext(work, "asynchronous request not stored; a restart would send its rows again", "destination", l.destination.Name(), "err", err)
		return
	}
	// what exists is updated by calls of which nothing is on disk
	if len(deliveries) == len(c.entries) && !l.destination.InsertOnly {
		c.onDisk()
	}
}

// leavable gives a call a context that ends with claim, too, once all that is left to
// do is to wait for the outcome of what is on disk: that can take many minutes.
func (l *lane) leavable(work context.Context, c *call) (waiting context.Context, end func()) {
	waiting, leave := context.WithCancel(work)
	stop := func() bool { return true }
	c.onDisk = func() { stop = l.afterClaim(leave) }
	if c.resumes != "" && !l.destination.InsertOnly {
		c.onDisk()
	}
	return waiting, func() {
		stop()
		leave()
	}
}

func (l *lane) endJobs(work context.Context, c *call, r *result) {
	if len(c.requests) == 0 || r.abandoned {
		return
	}
	if err := l.pump.journal.EndJobs(work, c.requests); err != nil {
		l.pump.cfg.Log.WarnContext(work, "asynchronous request not ended; the next start asks for its outcome once more", "destination", l.destination.Name(), "err", err)
	}
}

// blameDeliveries makes a failure of theirs of what would block the destination: it
// works for others.
func blameDeliveries(outcomes []onramp.Outcome) {
	for i := range outcomes {
		if outcomes[i].Verdict == onramp.Blocked && !outcomes[i].Columns {
			outcomes[i].Verdict = onramp.Retry
		}
	}
}

// decideAll decides for each delivery of a call. Those that were delivered alike
// share their attempt.
func (l *lane) decideAll(deliveries []onramp.Delivery, outcomes []onramp.Outcome, startedAt time.Time) []onramp.Settlement {
	now := time.Now()
	settlements := make([]onramp.Settlement, len(deliveries))
	soon := failedTogether(outcomes, now)
	var shared *onramp.Attempt
	for i := range deliveries {
		a := shared
		if a == nil || outcomes[i] != a.Outcome {
			a = &onramp.Attempt{StartedAt: startedAt, Took: now.Sub(startedAt), Outcome: outcomes[i]}
		}
		if a.Verdict == onramp.Delivered {
			shared = a
		}
		settlements[i] = decide(&deliveries[i], a, l.patience(&deliveries[i], startedAt), now)
		if !soon.IsZero() {
			settlements[i].State, settlements[i].DueAt, settlements[i].Tries = onramp.DeliveryPending, soon, deliveries[i].Tries
		}
		settlements[i].Late = mayBeLate(l.destination, &a.Outcome)
	}
	return settlements
}

// failedTogether says when the deliveries of a call that failed as a whole are tried
// again: soon, since it may be for the sake of one of them. They come back together,
// and go in calls of half as many; only one that fails alone uses up a try.
func failedTogether(outcomes []onramp.Outcome, now time.Time) time.Time {
	failed := func(o onramp.Outcome) bool { return o.Verdict == onramp.Retry }
	if len(outcomes) == 1 || slices.ContainsFunc(outcomes, func(o onramp.Outcome) bool { return !failed(o) }) {
		return time.Time{}
	}
	return now.Add(retryDelay(1))
}

// settle records outcomes however long the store takes. Only when work has
// ended does it give up after one more try: then the deliveries are still pending
// on disk, and are sent again after the next start.
func (l *lane) settle(work context.Context, settlements []onramp.Settlement) bool {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, settleTrouble) {
		followers, err := l.pump.outbox.Settle(context.WithoutCancel(work), settlements)
		if err == nil {
			l.pump.tellFollowers(followers)
			return true
		}
		if work.Err() != nil {
			return false
		}
		l.pump.cfg.Log.ErrorContext(work, "outcomes not stored, will retry", "deliveries", len(settlements), "err", err)
		select {
		case <-time.After(pause):
		case <-work.Done():
		}
	}
}

// tellFollowers hands each lane the later steps that are its.
func (p *Pump) tellFollowers(followers []onramp.Delivery) {
	byLane := map[*lane][]onramp.Delivery{}
	for _, d := range followers {
		if l := p.lanes[d.DestinationID]; l != nil {
			byLane[l] = append(byLane[l], d)
		}
	}
	for l, deliveries := range byLane {
		l.tell(message{followers: deliveries})
	}
}

// landed takes a call out of the counts.
func (l *lane) landed(c *call) {
	if c.skips {
		l.skipping--
		return
	}
	l.inFlight--
	if c.async {
		l.jobs--
	}
	l.setFlying(c, 0)
}

// logCall writes a line for each different outcome of a call.
func (l *lane) logCall(work context.Context, c *call, outcomes []onramp.Outcome) {
	type kind struct {
		verdict      onramp.Verdict
		status, code int
		hint         string
	}
	count := map[kind]int{}
	first := map[kind]string{}
	for i, o := range outcomes {
		k := kind{o.Verdict, o.Status, o.Code, o.Hint}
		if count[k]++; count[k] == 1 {
			first[k] = c.entries[i].delivery.ID()
		}
	}
	for k, n := range count {
		level := slog.LevelError
		switch k.verdict {
		case onramp.Delivered:
			level = slog.LevelDebug
		case onramp.Retry, onramp.Throttled:
			level = slog.LevelWarn
		}
		// not the detail: it may quote personal data
		l.pump.cfg.Log.Log(work, level, "delivery attempted", "delivery_id", first[k], "deliveries", n, "destination", l.destination.Name(),
			"outcome", k.verdict.String(), "status", k.status, "code", k.code, "hint", k.hint)
	}
}
