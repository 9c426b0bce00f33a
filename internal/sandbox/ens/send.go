package ens

import (
	"container/heap"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// When a batch that was not taken is sent again. Vendor page
// ens-retries-suspensions: "deferred up to 10 minutes", then redelivered for up
// to seven days. Undocumented: the distances, which double here, up to twelve
// hours; that each time it is sent once.
const (
	deferFirst = 10 * time.Minute
	deferMost  = 12 * time.Hour
	deferUntil = 7 * 24 * time.Hour
)

// When a callback is suspended. The older vendor page ens-retries-suspensions:
// two or more failures one after the other within five minutes suspend it for
// ten minutes, which grow to one hour; events are dropped meanwhile.
// Undocumented: a failure is a batch that was refused as often as it may be
// sent; the time doubles; what waits is dropped too; one batch that is taken
// makes everything good.
const (
	suspendAfter  = 2
	suspendWithin = 5 * time.Minute
	suspendFirst  = 10 * time.Minute
	suspendMost   = time.Hour
)

// maxDeliveries is how many sends are remembered for the state.
const maxDeliveries = 500

// delivery is one request to a callback, as it went.
type delivery struct {
	at       time.Time
	callback string // name
	events   int
	bytes    int
	status   int    // 0 when there was no answer
	problem  string // why there was none; no secret is in it
}

// taken reports whether the callback took the batch. Vendor page
// ens-retries-suspensions.
func (d delivery) taken() bool {
	return d.status >= http.StatusOK && d.status <= http.StatusNoContent
}

// launch begins to send a batch. Undocumented: what was deferred is dropped when
// its seven days are over or no subscription of the callback is active any more.
// It needs the host's lock.
func (s *Service) launch(q *queue, cb *callback, b *batch, now time.Time) {
	w := s.world
	sends := w.sender.settings.Sends
	if !b.first.IsZero() {
		if now.After(b.first.Add(deferUntil)) || !w.listens(cb.id, now) {
			q.lose(b)
			return
		}
		b.redone++
		sends = 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	q.flying[b] = cancel
	go s.fly(ctx, w, cb.id, b, sends)
}

// lose drops a batch.
func (q *queue) lose(b *batch) {
	q.dropped += b.events
	q.count -= b.events
}

// fly sends a batch until the callback takes it, at most sends times, one
// straight after the other. Undocumented: the time between, which is none here.
func (s *Service) fly(ctx context.Context, w *world, callbackID string, b *batch, sends int) {
	taken := false
	for range sends {
		if taken = s.sendBatch(ctx, w, callbackID, b); taken || ctx.Err() != nil {
			break
		}
	}
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	q := w.sender.queues[callbackID]
	if s.world != w || q == nil || q.flying[b] == nil {
		return // the sandbox was reset, or the callback deleted
	}
	q.flying[b]()
	delete(q.flying, b)
	now := s.host.Now()
	switch {
	case taken:
		w.settleTaken(q, callbackID, b, now)
	case w.sender.settings.Retries == RetriesLegacy:
		q.lose(b)
		q.fail(now)
	default:
		q.putOff(b, now)
	}
	s.step(now)
}

// settleTaken notes that the callback has taken a batch.
func (w *world) settleTaken(q *queue, callbackID string, b *batch, now time.Time) {
	q.taken++
	q.takenEvents += b.events
	q.count -= b.events
	q.failures, q.suspensions = 0, 0
	cb := w.callback(callbackID)
	if cb == nil || b.repeated || !w.host.Fault(FaultResend, now, cb.url, b.body) {
		return
	}
	q.count += b.events
	q.add(w, &batch{body: b.body, events: b.events, due: now, repeated: true})
}

// fail notes a batch that was not taken, and suspends the callback when it is
// not the first.
func (q *queue) fail(now time.Time) {
	if now.Sub(q.failedAt) > suspendWithin {
		q.failures = 0
	}
	q.failures++
	q.failedAt = now
	if q.failures < suspendAfter {
		return
	}
	q.suspendedUntil = now.Add(min(suspendFirst<<min(q.suspensions, 8), suspendMost))
	q.suspensions++
	q.failures = 0
	q.drop()
}

// putOff has a batch wait until it is sent again, or drops it.
func (q *queue) putOff(b *batch, now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.due = now.Add(min(deferFirst<<min(b.redone, 8), deferMost))
	if b.due.After(b.first.Add(deferUntil)) {
		q.lose(b)
		return
	}
	heap.Push(&q.batches, b)
}

// dispatch is what one request is made of.
type dispatch struct {
	name, url, authID string
	header            http.Header
	stale             bool // begin with a token that does not work
	limit             time.Duration
}

// sendBatch sends a batch once, and once more with a new token when the callback
// answers 400 or 401, and reports whether it was taken. Vendor page
// ens-oauth2-support and its sequence diagram. Undocumented: a token that cannot
// be fetched is a failure like any other; the second request belongs to the same
// send, and there is no third. Nothing is sent when the world has gone.
func (s *Service) sendBatch(ctx context.Context, w *world, callbackID string, b *batch) bool {
	r, ok := s.prepare(w, callbackID, b)
	if !ok {
		return false
	}
	got := s.dispatch(ctx, r, b.body, false)
	if r.authID != "" && (got.status == http.StatusBadRequest || got.status == http.StatusUnauthorized) {
		s.note(ctx, w, callbackID, b, got)
		r.stale = false
		got = s.dispatch(ctx, r, b.body, true)
	}
	s.note(ctx, w, callbackID, b, got)
	return got.taken()
}

// prepare reads what a request needs, and takes the faults that are for it.
func (s *Service) prepare(w *world, callbackID string, b *batch) (dispatch, bool) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	cb := w.callback(callbackID)
	if s.world != w || cb == nil {
		return dispatch{}, false
	}
	now := s.host.Now()
	r := dispatch{name: cb.name, url: cb.url, header: http.Header{}, limit: w.sender.settings.limit()}
	r.authID, _ = w.terms(cb, now)
	if !b.tried && r.authID != "" {
		r.stale = w.host.Fault(FaultStaleToken, now, cb.url, b.body)
	}
	b.tried = true
	if signature := w.signature(cb, now, b.body); signature != "" {
		r.header.Set(signatureHeader, signature)
	}
	return r, true
}

// dispatch makes one request, with a new token when renew is set.
func (s *Service) dispatch(ctx context.Context, r dispatch, body []byte, renew bool) delivery {
	d := delivery{at: s.clock(), callback: r.name, bytes: len(body)}
	bearer := ""
	if r.authID != "" {
		var err error
		if bearer, err = s.schemeToken(ctx, r.authID, renew); err != nil {
			d.problem = "no token: " + err.Error()
			return d
		}
		if r.stale {
			bearer = "stale." + bearer
		}
	}
	var err error
	if d.status, err = s.post(ctx, r.url, bearer, r.header, body, r.limit); err != nil {
		d.status, d.problem = 0, err.Error()
	}
	return d
}

// note remembers a request.
func (s *Service) note(ctx context.Context, w *world, callbackID string, b *batch, d delivery) {
	s.log.LogAttrs(ctx, slog.LevelDebug, "sent events",
		slog.String("callback", d.callback), slog.Int("status", d.status), slog.Int("events", b.events), slog.Int("request_bytes", d.bytes))
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	q := w.sender.queues[callbackID]
	if s.world != w || q == nil {
		return
	}
	d.events = b.events
	if !d.taken() {
		q.failed++
	}
	q.last = d
	w.sender.sends++
	if w.sender.log = append(w.sender.log, d); len(w.sender.log) >= 2*maxDeliveries {
		w.sender.log = slices.Clone(w.sender.log[len(w.sender.log)-maxDeliveries:])
	}
}
