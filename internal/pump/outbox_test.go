package pump_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// outbox is a store in memory, as simple as can be. Its seqs count from 1.
type outbox struct {
	mu         sync.Mutex
	deliveries []onramp.Delivery
	parked     map[queue][]int64 // the retry set, by destination and key, oldest first
	marks      map[int]int64
	sentTo     map[int]int64
	jobs       []onramp.Job
	fresh, due map[int]chan struct{}

	settled  []onramp.Settlement
	settling func() error // called before a settlement is taken
	reading  func() error // called before deliveries are listed
	saves    int          // of read marks that moved
	revived  map[int64]bool
	listed   int    // fresh deliveries that were handed out
	values   []byte // of the next ones
	pauses   map[int]onramp.Pause
	form     string // the same
}

type queue struct {
	destination int
	key         int64
}

func queueOf(d *onramp.Delivery) queue { return queue{d.DestinationID, d.OrderingKey} }

func newOutbox() *outbox {
	o := &outbox{revived: map[int64]bool{}, pauses: map[int]onramp.Pause{}, parked: map[queue][]int64{}, marks: map[int]int64{}, sentTo: map[int]int64{}, fresh: map[int]chan struct{}{}, due: map[int]chan struct{}{}}
	for _, d := range []onramp.Destination{x, y} {
		o.fresh[d.ID], o.due[d.ID] = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	return o
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// save appends a registration that goes to the destinations of a route.
func (o *outbox) save(key int64, route ...onramp.Destination) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.append(key, 0, route...)
	for _, to := range route {
		ring(o.fresh[to.ID])
	}
}

// saveMany appends registrations of different keys, accepted some time ago, all
// at once: the pump sees none or all of them.
func (o *outbox) saveMany(n int, age time.Duration, to onramp.Destination) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range n {
		o.append(int64(i), age, to)
	}
	ring(o.fresh[to.ID])
}

func (o *outbox) append(key int64, age time.Duration, route ...onramp.Destination) {
	for i, to := range route {
		state := onramp.DeliveryWaiting
		if i == 0 {
			state = onramp.DeliveryPending
		}
		o.deliveries = append(o.deliveries, onramp.Delivery{
			Seq: int64(len(o.deliveries) + 1), RegistrationID: "r", Step: i + 1, Steps: len(route), DestinationID: to.ID,
			State: state, OrderingKey: key, ReceivedAt: time.Now().Add(-age), Values: o.values, Form: o.form,
		})
	}
}

func (o *outbox) at(seq int64) *onramp.Delivery { return &o.deliveries[seq-1] }

func (o *outbox) Pause(destination int) onramp.Pause {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pauses[destination]
}

// pause pauses or resumes a destination.
func (o *outbox) pause(to onramp.Destination, p onramp.Pause) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pauses[to.ID] = p
	ring(o.due[to.ID])
}

func (o *outbox) state(seq int64) onramp.DeliveryState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.at(seq).State
}

func (o *outbox) Wake(destination int) (fresh, due <-chan struct{}) {
	return o.fresh[destination], o.due[destination]
}

func (o *outbox) Resume(_ context.Context, d onramp.Destination) (readTo int64, jobs []onramp.Job, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	jobs = slices.DeleteFunc(slices.Clone(o.jobs), func(j onramp.Job) bool { return j.Deliveries[0].DestinationID != d.ID })
	return o.marks[d.ID], jobs, nil
}

func (o *outbox) SavePosition(ctx context.Context, destination int, readTo, sentTo int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.marks[destination] != readTo {
		o.saves++
	}
	o.marks[destination], o.sentTo[destination] = readTo, sentTo
	return ctx.Err()
}

func (o *outbox) SaveJob(ctx context.Context, _ int, j onramp.Job) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs = append(o.jobs, j)
	return ctx.Err()
}

func (o *outbox) EndJobs(ctx context.Context, requestIDs []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs = slices.DeleteFunc(o.jobs, func(j onramp.Job) bool { return slices.Contains(requestIDs, j.RequestID) })
	return ctx.Err()
}

func (o *outbox) trouble(ctx context.Context) error {
	if o.reading != nil {
		if err := o.reading(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (o *outbox) ListFresh(ctx context.Context, destination int, after int64, n int) (found []onramp.Delivery, to int64, more bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.trouble(ctx); err != nil {
		return nil, after, true, err
	}
	const large = 4 << 20
	bytes := 0
	for _, d := range o.deliveries[after:] {
		if d.DestinationID != destination || !isFresh(&d) {
			continue
		}
		d.Behind = o.parkedEarlier(&d)
		o.listed++
		bytes += len(d.Values)
		if found = append(found, d); len(found) == n || bytes >= large {
			return found, d.Seq, true, nil
		}
	}
	return found, int64(len(o.deliveries)), false, nil
}

func isFresh(d *onramp.Delivery) bool {
	return !d.Parked() && (d.State == onramp.DeliveryPending || d.State == onramp.DeliveryWaiting)
}

// ListFreshOf looks at ten seqs at a time.
func (o *outbox) ListFreshOf(ctx context.Context, seqs []int64) (found []onramp.Delivery, to int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, to = range seqs[:min(len(seqs), 10)] {
		if d := *o.at(to); isFresh(&d) {
			d.Behind = o.parkedEarlier(&d)
			o.listed++
			found = append(found, d)
		}
	}
	return found, to, o.trouble(ctx)
}

func (o *outbox) ListDue(ctx context.Context, destination int, to int64, now time.Time, n int) (found []onramp.Delivery, next time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for q, seqs := range o.parked { // only the oldest of a key has a time
		d := o.at(seqs[0])
		if q.destination == destination && d.Seq <= to && d.State == onramp.DeliveryPending && !d.DueAt.After(now) && len(found) < n {
			found = append(found, *d)
		}
	}
	if len(found) == n {
		return found, now, o.trouble(ctx)
	}
	return found, o.nextDue(destination, now), o.trouble(ctx)
}

func (o *outbox) nextDue(destination int, after time.Time) (next time.Time) {
	for q, seqs := range o.parked {
		at := o.at(seqs[0]).DueAt
		if q.destination == destination && at.After(after) && !at.Equal(onramp.Never) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (o *outbox) parkedEarlier(d *onramp.Delivery) bool {
	seqs := o.parked[queueOf(d)]
	return len(seqs) > 0 && seqs[0] < d.Seq
}

func (o *outbox) Park(ctx context.Context, seqs []int64) (map[int64]bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	parked := map[int64]bool{}
	for _, seq := range seqs {
		d := o.at(seq)
		waits := d.State == onramp.DeliveryWaiting
		if !d.Parked() && (waits || d.State == onramp.DeliveryPending && o.parkedEarlier(d)) {
			o.enter(d, onramp.Never)
			parked[seq] = true
		}
	}
	return parked, ctx.Err()
}

// enter puts a delivery into the retry set, or changes its time there.
func (o *outbox) enter(d *onramp.Delivery, at time.Time) {
	q := queueOf(d)
	if i, found := slices.BinarySearch(o.parked[q], d.Seq); !found {
		o.parked[q] = slices.Insert(o.parked[q], i, d.Seq)
	}
	if d.DueAt = at; o.parkedEarlier(d) {
		d.DueAt = onramp.Never
	} else if len(o.parked[q]) > 1 {
		o.at(o.parked[q][1]).DueAt = onramp.Never // the oldest until now
	}
}

// leave takes a delivery out of the retry set and wakes the next of its key.
func (o *outbox) leave(d *onramp.Delivery) {
	if !d.Parked() {
		return
	}
	d.DueAt = time.Time{}
	q := queueOf(d)
	i, _ := slices.BinarySearch(o.parked[q], d.Seq)
	if o.parked[q] = slices.Delete(o.parked[q], i, i+1); len(o.parked[q]) == 0 {
		delete(o.parked, q)
		return
	}
	if next := o.at(o.parked[q][0]); next.DueAt.Equal(onramp.Never) && next.State == onramp.DeliveryPending {
		next.DueAt = time.Now()
		ring(o.due[d.DestinationID])
	}
}

func (o *outbox) Settle(_ context.Context, settlements []onramp.Settlement) (followers []onramp.Delivery, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settling != nil {
		if err := o.settling(); err != nil {
			return nil, err
		}
	}
	for _, s := range settlements {
		d := o.at(s.Delivery.Seq)
		if d.State != onramp.DeliveryPending {
			continue
		}
		o.settled = append(o.settled, s)
		d.State, d.Tries = s.State, s.Tries
		if s.Attempt != nil && s.Attempt.Verdict == onramp.Retry && d.FirstFailure.IsZero() {
			d.FirstFailure = s.Attempt.StartedAt
		}
		parks := !s.DueAt.IsZero() && !d.Parked()
		switch {
		case !s.DueAt.IsZero():
			o.enter(d, s.DueAt)
		default:
			o.leave(d)
		}
		followers = append(followers, o.moveRoute(d, parks)...)
	}
	return followers, nil
}

// moveRoute moves the steps after d.
func (o *outbox) moveRoute(d *onramp.Delivery, parks bool) (moved []onramp.Delivery) {
	for i := range d.Steps - d.Step {
		next := o.at(d.Seq + int64(i) + 1)
		switch {
		case d.State == onramp.DeliveryDelivered || d.State == onramp.DeliverySkipped:
			next.State = onramp.DeliveryPending
			if next.Parked() {
				o.enter(next, time.Now())
				ring(o.due[next.DestinationID])
			}
			return []onramp.Delivery{*next}
		case d.State != onramp.DeliveryPending:
			next.State = onramp.DeliveryOutOfReach
			o.leave(next)
		case parks:
			o.enter(next, onramp.Never)
		default:
			continue
		}
		moved = append(moved, *next)
	}
	return moved
}

// discard gives a delivery up, as an operator does.
func (o *outbox) discard(seq int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.at(seq)
	d.State = onramp.DeliveryDiscarded
	o.leave(d)
	o.moveRoute(d, false)
}

// retry makes a dead or unknown delivery due, as an operator does.
func (o *outbox) retry(seq int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.at(seq)
	if d.State != onramp.DeliveryDead && d.State != onramp.DeliveryUnknown {
		return
	}
	d.State, d.Tries = onramp.DeliveryPending, 0
	o.enter(d, time.Now())
	o.revived[seq] = true
	for i := range d.Steps - d.Step {
		next := o.at(d.Seq + int64(i) + 1)
		o.revived[next.Seq] = true
		next.State = onramp.DeliveryWaiting
		o.enter(next, onramp.Never)
	}
	ring(o.due[d.DestinationID])
}

// seqs lists the settlements of a state, in the order in which they came.
func (o *outbox) seqs(state onramp.DeliveryState) (seqs []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.settled {
		if s.State == state {
			seqs = append(seqs, s.Delivery.Seq)
		}
	}
	return seqs
}

func sorted(seqs []int64) []int64 {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	return seqs
}

func upTo(n int) []int64 {
	seqs := make([]int64, n)
	for i := range seqs {
		seqs[i] = int64(i + 1)
	}
	return seqs
}
