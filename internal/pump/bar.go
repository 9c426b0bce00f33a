package pump

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// bar keeps deliveries back whose columns the destination refuses: all that send the
// same ones, of the same form. Others go on meanwhile. One of those that were refused
// is the probe: it is tried now and then, and when it is no longer refused for its
// columns, the others go too.
//
// Any other delivery would not do: a row without a required column is refused only
// where there is none to update.
type bar struct {
	probe   *entry // stays in the window; nothing behind it goes
	async   bool   // the route that has refused it: the other one may drop such columns without a word
	why     onramp.Outcome
	since   time.Time
	until   time.Time // then the probe may go
	refused int       // times in a row
}

// bars are those of a lane. Deliveries that they keep back are not in memory: they
// are left where they are in the store, and the lane reads again from the first of
// them when a bar is lifted. Whatever comes after one of them with the same ordering
// key is left too, so that nobody overtakes it.
type bars struct {
	byShape map[uint64]*bar
	left    map[int64]int64 // by ordering key, the seq of the first that was left
	from    int64           // the seq of the first of all; 0: none was left
	stale   bool            // some of those may have been settled by an operator
	skips   func(d *onramp.Delivery) (why string)
}

// mostLeft is how many keys a lane knows that have deliveries left in the store. With
// more it reads no further.
const mostLeft = 1 << 20

// shape tells deliveries apart by their form and the names of what they send. Values
// do not count.
func shape(d *onramp.Delivery) uint64 {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(d.Values, &fields) // onramp.Form, or a rule, has written an object
	h := fnv.New64a()
	write := func(s string) { _, _ = io.WriteString(h, s+"\x00") }
	write(d.Form)
	if d.Event != nil {
		write("rule")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		write(name)
	}
	return h.Sum64()
}

// keepsBack says whether a delivery has to stay where it is.
func (b *bars) keepsBack(d *onramp.Delivery) bool {
	if len(b.byShape) == 0 {
		return false
	}
	if from, found := b.left[d.OrderingKey]; found && from <= d.Seq {
		return true
	}
	bar := b.byShape[shape(d)]
	return bar != nil && bar.probe.delivery.Seq != d.Seq && (b.skips == nil || b.skips(d) == "")
}

// leave notes that a delivery is left in the store.
func (b *bars) leave(d *onramp.Delivery) {
	if from, found := b.left[d.OrderingKey]; !found || d.Seq < from {
		b.left[d.OrderingKey] = d.Seq
	}
	if !d.Parked() && (b.from == 0 || d.Seq < b.from) {
		b.from = d.Seq
	}
}

// due is the bar whose probe can go.
func (b *bars) due(now time.Time, w *window) *bar {
	for _, bar := range b.byShape {
		e := bar.probe
		q := w.queues[e.delivery.OrderingKey]
		first := q != nil && q.inFlight == nil && q.entries[0] == e && e.delivery.Seq < q.nextPassed()
		if first && !now.Before(bar.until) {
			return bar
		}
	}
	return nil
}

// oldest is the bar that has stood for longest; nil when there is none.
func (b *bars) oldest() *bar {
	var oldest *bar
	for _, bar := range b.byShape {
		if oldest == nil || bar.since.Before(oldest.since) {
			oldest = bar
		}
	}
	return oldest
}

// times are when probes can go.
func (b *bars) times() []time.Time {
	var times []time.Time
	for _, bar := range b.byShape {
		times = append(times, bar.until)
	}
	return times
}

// reason is why the destination takes some deliveries and refuses others.
func (b *bar) reason() string {
	return "form " + b.probe.delivery.Form + ": " + b.why.Detail
}

// setBars puts up a bar for each delivery of a call that was refused for its columns.
func (l *lane) setBars(r *result, now time.Time) {
	created := false
	for i, e := range r.call.entries {
		o := r.outcomes[i]
		if o.Verdict != onramp.Blocked || !o.Columns || e.gone || e.forgotten {
			continue
		}
		s := shape(&e.delivery)
		b := l.bars.byShape[s]
		if b == nil {
			b = &bar{probe: e, async: r.call.async, since: now}
			e.barred, created = true, true
			l.bars.byShape[s] = b
		}
		if b.probe == e {
			b.why, b.until = o, now.Add(max(delay(0, probeDelay, maxProbe, b.refused), l.saving()))
			b.refused++
		}
	}
	if created {
		l.sweep()
	}
}

// sweep takes those out of the window that are to stay in the store.
func (l *lane) sweep() {
	var kept []*entry
	for _, e := range l.window.bySeq {
		if !e.inFlight && l.bars.keepsBack(&e.delivery) {
			kept = append(kept, e)
		}
	}
	for _, e := range kept {
		if !e.gone { // with an earlier one of its key
			l.leave(&e.delivery)
		}
	}
}

// leave keeps a delivery back, and all behind it: they are read again later. Parked
// ones, which are found by their time, get another time.
func (l *lane) leave(d *onramp.Delivery) {
	if e := l.window.bySeq[d.Seq]; e != nil {
		if e.inFlight {
			return // until it lands
		}
		l.drop(e)
	}
	if d.Parked() {
		l.toPostpone = append(l.toPostpone, *d)
	}
	if d.Resend {
		return // it is settled: nobody waits for it
	}
	l.bars.leave(d)
	for _, e := range l.window.behind(d.OrderingKey, d.Seq) {
		if e.delivery.Parked() {
			l.toPostpone = append(l.toPostpone, e.delivery)
		}
		l.drop(e)
	}
}

// postpone gives parked ones that are kept back another time, so that they are not
// found again and again. It uses up no try.
func (l *lane) postpone(work context.Context) error {
	if len(l.toPostpone) == 0 {
		return nil
	}
	now := time.Now()
	var settlements []onramp.Settlement
	for i := range l.toPostpone {
		d := &l.toPostpone[i]
		if !d.DueAt.Equal(onramp.Never) { // those that wait behind another one have none
			settlements = append(settlements, onramp.Settlement{
				Delivery: d, State: onramp.DeliveryPending, Tries: d.Tries, DueAt: now.Add(maxProbe), At: now,
			})
		}
	}
	// they were parked before, so that no other step is affected
	if _, err := l.pump.outbox.Settle(work, settlements); err != nil {
		return err
	}
	l.toPostpone, l.checkDue = nil, true
	return nil
}

// liftBars lifts those whose probes have left the window: they were taken, or their
// values refused, or they are tried again later for another reason, or an operator has
// settled them.
func (l *lane) liftBars() {
	lifted := false
	for s, b := range l.bars.byShape {
		if b.probe.gone {
			delete(l.bars.byShape, s)
			lifted = true
		}
	}
	if !lifted {
		return
	}
	for _, b := range l.bars.byShape { // what has mended one may have mended all
		b.until, b.refused = time.Time{}, 0
	}
	l.rewind()
}

// rewind has the lane read again from the first delivery that was left.
func (l *lane) rewind() {
	l.bars.stale = false
	clear(l.bars.left)
	l.checkDue = true
	if l.bars.from == 0 {
		return
	}
	from := min(l.bars.from, l.window.passing.unlearn())
	l.cursor = min(l.cursor, from-1)
	l.bars.from = 0
	l.more, l.leftDue = true, true
}
