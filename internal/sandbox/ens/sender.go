package ens

import (
	"container/heap"
	"context"
	"time"
)

// sender makes events and brings them to callbacks. It has no goroutine of its
// own: a timer and Advance wake it. The host's lock guards it.
type sender struct {
	settings Sending
	patterns patterns
	coming   happenings
	queues   map[string]*queue // by callback id
	log      []delivery        // the newest sends
	made     int               // batches and happenings
	sends    int               // all there ever were

	timer *time.Timer
	wake  time.Time // when the timer goes off, on the host's clock; zero: it does not
	armed time.Time // when it was set
}

// happening is an event that is to come.
type happening struct {
	at   time.Time
	seq  int
	kind eventKind
	mail *Mail  // that it is about; nil for a copy
	copy []byte // of an event that one callback has got already
	only string // id of that callback
}

// maxComing is the most events that are to come; others never happen. It bounds
// the memory.
const maxComing = 1_000_000

// happenings is a heap, the earliest first.
type happenings []happening

func (hs happenings) Len() int      { return len(hs) }
func (hs happenings) Swap(i, j int) { hs[i], hs[j] = hs[j], hs[i] }
func (hs happenings) Less(i, j int) bool {
	if hs[i].at.Equal(hs[j].at) {
		return hs[i].seq < hs[j].seq
	}
	return hs[i].at.Before(hs[j].at)
}
func (hs *happenings) Push(x any) { *hs = append(*hs, x.(happening)) }
func (hs *happenings) Pop() any {
	list := *hs
	last := list[len(list)-1]
	list[len(list)-1] = happening{}
	*hs = list[:len(list)-1]
	return last
}

func newSender(settings Sending) sender {
	return sender{settings: settings, patterns: patterns{}, queues: map[string]*queue{}}
}

// stop ends all that is on its way.
func (d *sender) stop() {
	d.disarm()
	for _, q := range d.queues {
		for _, cancel := range q.flying {
			cancel()
		}
	}
}

// queue is the queue of a callback, made when there is none.
func (d *sender) queue(callbackID string) *queue {
	q := d.queues[callbackID]
	if q == nil {
		q = &queue{flying: map[*batch]context.CancelFunc{}}
		d.queues[callbackID] = q
	}
	return q
}

// plan has something happen later.
func (d *sender) plan(h happening) {
	if len(d.coming) >= maxComing {
		return
	}
	d.made++
	h.seq = d.made
	heap.Push(&d.coming, h)
}

// Mailed plans the events of a mail that was sent now; m returns false when there
// is none after all. It costs next to nothing when there is no callback. It needs
// the host's lock.
func (s *Service) Mailed(now time.Time, m func() (Mail, bool)) {
	d := &s.world.sender
	if len(s.world.callbacks) == 0 || d.settings.EventsAfterMS < 0 {
		return
	}
	if m, ok := m(); ok {
		for _, h := range m.coming(d.settings.after()) {
			d.plan(h)
		}
		s.arm(now)
	}
}

// step does all that is due, and sets the timer for what is due next. It needs
// the host's lock.
func (s *Service) step(now time.Time) {
	w := s.world
	d := &w.sender
	for len(d.coming) > 0 && !d.coming[0].at.After(now) {
		h, _ := heap.Pop(&d.coming).(happening)
		w.happen(h)
	}
	for id, q := range d.queues {
		cb := w.callback(id)
		if cb == nil { // deleted, and so is what was to go there
			for _, cancel := range q.flying {
				cancel()
			}
			delete(d.queues, id)
			continue
		}
		w.gather(q, cb, now)
		for len(q.flying) < maxFlying {
			b := q.next(now)
			if b == nil {
				break
			}
			s.launch(q, cb, b, now)
		}
	}
	s.arm(now)
}

// happen brings an event to the queues of the callbacks that are for it.
func (w *world) happen(h happening) {
	switch {
	case h.mail != nil:
		w.publish(h.kind.event(*h.mail, h.at), "")
	case w.callback(h.only) != nil:
		w.sender.queue(h.only).push(queued{h.at, h.copy})
	}
}

// publish brings an event to the queues of the callbacks that are for it, or of
// one of them, and returns the subscriptions that take it. It needs the
// host's lock.
func (w *world) publish(e *event, only string) []*subscription {
	var takers []*subscription
	var body []byte
	for _, cb := range w.callbacks {
		if !cb.verified || only != "" && cb.id != only {
			continue
		}
		sub := w.taker(cb.id, e, e.at)
		if sub == nil {
			continue
		}
		takers = append(takers, sub)
		q := w.sender.queue(cb.id)
		if e.at.Before(q.suspendedUntil) {
			q.dropped++
			continue
		}
		if body == nil {
			body = e.body()
		}
		sent := queued{e.at, w.altered(e, body, cb.url)}
		q.push(sent)
		w.duplicate(q, cb, sent)
	}
	return takers
}

// duplicate does what FaultDuplicate wants.
func (w *world) duplicate(q *queue, cb *callback, e queued) {
	if !w.host.Fault(FaultDuplicate, e.at, cb.url, e.body) {
		return
	}
	if q.duplicates++; q.duplicates%2 == 1 {
		q.push(e)
		return
	}
	later := e.at.Add(2*w.sender.settings.window() + time.Millisecond)
	w.sender.plan(happening{at: later, copy: e.body, only: cb.id})
}

// arm sets the timer for what is due next, unless it goes off before. It needs
// the host's lock.
func (s *Service) arm(now time.Time) {
	w := s.world
	d := &w.sender
	var next time.Time
	if len(d.coming) > 0 {
		next = d.coming[0].at
	}
	for _, q := range d.queues {
		next = sooner(next, q.wake(d.settings.window()))
	}
	if next.IsZero() || !d.wake.IsZero() && !next.Before(d.wake) {
		return
	}
	d.disarm()
	d.wake, d.armed = next, now
	d.timer = time.AfterFunc(max(next.Sub(now), 0), func() { s.alarm(w, next) })
}

// disarm stops the timer.
func (d *sender) disarm() {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.wake = nil, time.Time{}
}

// alarm is what the timer for a time does. A clock that stands still, as in
// tests, is left to Advance: to wait for it would never end.
func (s *Service) alarm(w *world, at time.Time) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	d := &w.sender
	if s.world != w || !d.wake.Equal(at) {
		return // it was stopped too late
	}
	now := s.host.Now()
	stands := !now.After(d.armed) && now.Before(d.wake)
	d.timer, d.wake = nil, time.Time{}
	if !stands {
		s.step(now)
	}
}
