package pump_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

var (
	x = onramp.Destination{ID: 1, Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync, Batch: 1}
	y = onramp.Destination{ID: 2, Kind: onramp.Journey, Key: "y", Batch: 1}
)

var ok = onramp.Outcome{Verdict: onramp.Delivered}

// call is one call of the sender.
type call struct {
	destination int
	seq         int64         // of its first delivery
	at          time.Duration // since the start
	deliveries  int
	async       bool
}

// sender answers as its function says and checks that no two deliveries with
// one destination and key are in flight together.
type sender struct {
	t        *testing.T
	sendFunc func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome
	start    time.Time

	mu       sync.Mutex
	calls    []call
	inFlight map[[2]int64]int64
	most     map[int]int // in flight, by destination
	count    map[int]int
}

func newSender(t *testing.T, f func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome) *sender {
	return &sender{t: t, sendFunc: f, start: time.Now(), inFlight: map[[2]int64]int64{}, most: map[int]int{}, count: map[int]int{}}
}

func (s *sender) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	to := c.Destination
	s.mu.Lock()
	for _, d := range c.Deliveries {
		key := [2]int64{int64(to.ID), d.OrderingKey}
		if other := s.inFlight[key]; other != 0 {
			s.t.Errorf("%d is sent while %d of its key is in flight", d.Seq, other)
		}
		s.inFlight[key] = d.Seq
	}
	s.count[to.ID]++
	s.most[to.ID] = max(s.most[to.ID], s.count[to.ID])
	s.calls = append(s.calls, call{to.ID, c.Deliveries[0].Seq, time.Since(s.start), len(c.Deliveries), c.Async})
	s.mu.Unlock()
	outcomes := make([]onramp.Outcome, len(c.Deliveries))
	var all sync.WaitGroup
	for i, d := range c.Deliveries {
		all.Go(func() { outcomes[i] = s.sendFunc(ctx, to, d) })
	}
	all.Wait()
	s.mu.Lock()
	for _, d := range c.Deliveries {
		delete(s.inFlight, [2]int64{int64(to.ID), d.OrderingKey})
	}
	s.count[to.ID]--
	s.mu.Unlock()
	return outcomes
}

// times lists when calls to a destination were made.
func (s *sender) times(destination int) (times []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.destination == destination {
			times = append(times, c.at)
		}
	}
	return times
}

// takeMost returns the most calls in flight since it was last asked.
func (s *sender) takeMost(destination int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.most[destination]
	s.most[destination] = s.count[destination]
	return n
}

// running is a pump at work in a bubble of synctest.
type running struct {
	*pump.Pump
	o *outbox
	s *sender
}

// run runs a pump until the test's function returns, then drains it.
func run(t *testing.T, cfg pump.Config, send func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome, test func(r running)) {
	t.Helper()
	runAll(t, []onramp.Destination{x, y, x}, cfg, send, test)
}

func runAll(t *testing.T, to []onramp.Destination, cfg pump.Config, send func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome, test func(r running)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := running{o: newOutbox(), s: newSender(t, send)}
		r.Pump = pump.New(cfg, r.o, r.o, r.s, to)
		l := begin(t, r.Pump)
		test(r)
		l.end()
	})
}

// life is a pump at work. Once abandoned, it gives up what is in flight.
type life struct {
	stop, abandon context.CancelFunc
	ended         chan struct{}
}

// begin has a pump work until its life is ended.
func begin(tb testing.TB, p *pump.Pump) *life {
	claim, stop := context.WithCancel(tb.Context())
	work, abandon := context.WithCancel(tb.Context())
	l := &life{stop, abandon, make(chan struct{})}
	go func() {
		defer close(l.ended)
		p.Run(claim, work)
	}()
	return l
}

// end stops the pump and waits for its end: until it is drained, unless it was
// abandoned.
func (l *life) end() {
	l.stop()
	<-l.ended
	l.abandon()
}

// wait lets time pass until a moment after the start.
func (r running) wait(until time.Duration) {
	<-time.After(until - time.Since(r.s.start))
	synctest.Wait()
}

func always(o onramp.Outcome) func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
	return func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome { return o }
}

// slowly is an answer after a while.
func slowly(wait time.Duration, o onramp.Outcome) func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
	return func(ctx context.Context, _ onramp.Destination, _ onramp.Delivery) onramp.Outcome {
		select {
		case <-time.After(wait):
			return o
		case <-ctx.Done():
			return onramp.Outcome{Verdict: onramp.Retry, Detail: "abandoned"}
		}
	}
}

// Those of a key go one after the other, oldest first; other keys overtake them.
func TestOrder(t *testing.T) {
	took := map[int64]time.Duration{1: 10 * time.Second, 2: time.Second, 3: 2500 * time.Millisecond}
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		<-time.After(took[d.OrderingKey])
		return ok
	}, func(r running) {
		for _, key := range []int64{1, 2, 1, 2, 3, 1} {
			r.o.save(key, x)
		}
		r.wait(time.Minute)
		if diff := cmp.Diff([]int64{2, 4, 5, 1, 3, 6}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
		if r.o.marks[x.ID] != 6 {
			t.Errorf("read to %d", r.o.marks[x.ID])
		}
	})
}

// A step starts when the one before it is delivered.
func TestSteps(t *testing.T) {
	run(t, pump.Config{}, func(_ context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if to.ID == x.ID && d.OrderingKey == 1 {
			<-time.After(time.Minute)
		}
		return ok
	}, func(r running) {
		r.o.save(1, x, y) // 1 2
		r.o.save(1, y)    // 3, behind 2
		r.o.save(2, x, y) // 4 5
		r.o.save(3, y, x) // 6 7
		r.wait(59 * time.Second)
		if diff := cmp.Diff([]int64{4, 5, 6, 7}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		r.wait(2 * time.Minute)
		if diff := cmp.Diff([]int64{1, 2, 3}, r.o.seqs(onramp.DeliveryDelivered)[4:]); diff != "" {
			t.Error(diff)
		}
	})
}

// One that waits for its retry keeps its successors back, also those that come
// later and those of later steps, and nobody else.
func TestBehindRetry(t *testing.T) {
	var failures atomic.Int64
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if d.Seq == 1 && failures.Add(1) <= 3 {
			return onramp.Outcome{Verdict: onramp.Retry}
		}
		return ok
	}, func(r running) {
		r.o.save(1, x, y) // 1 2
		r.o.save(1, x, y) // 3 4
		r.o.save(1, y)    // 5
		r.o.save(2, x, y) // 6 7
		r.wait(10 * time.Second)
		r.o.save(1, x) // 8
		r.o.save(1, y) // 9
		r.o.save(2, y) // 10
		r.wait(20 * time.Second)
		if diff := cmp.Diff([]int64{6, 7, 10}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		r.wait(2 * time.Minute)
		var inX, inY []int64
		for _, seq := range r.o.seqs(onramp.DeliveryDelivered)[3:] {
			if r.o.at(seq).DestinationID == x.ID {
				inX = append(inX, seq)
			} else {
				inY = append(inY, seq)
			}
		}
		if diff := cmp.Diff([][]int64{{1, 3, 8}, {2, 4, 5, 9}}, [][]int64{inX, inY}); diff != "" {
			t.Error(diff)
		}
	})
}

// Ten thousand of one key behind one that waits for its retry hold
// up nobody.
func TestHotKey(t *testing.T) {
	const hot = 10_000
	var failing atomic.Bool
	failing.Store(true)
	run(t, pump.Config{}, func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if d.OrderingKey == 1 && failing.Load() {
			return onramp.Outcome{Verdict: onramp.Retry}
		}
		return ok
	}, func(r running) {
		r.o.save(1, x)
		r.wait(50 * time.Millisecond)
		for range hot {
			r.o.save(1, x)
		}
		r.o.save(2, x)
		r.wait(100 * time.Millisecond) // no time has to pass but the retry's
		if state := r.o.state(hot + 2); state != onramp.DeliveryDelivered {
			t.Errorf("the other key's is %s", state)
		}
		r.wait(time.Minute)
		failing.Store(false)
		r.wait(time.Hour)
		want := append([]int64{hot + 2}, upTo(hot+1)...)
		if diff := cmp.Diff(want, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// More than fit into memory wait for a destination that is blocked; those that
// come to the next one by another route are served all the same.
func TestCrowded(t *testing.T) {
	const waiting = 2000
	var blocked atomic.Bool
	blocked.Store(true)
	run(t, pump.Config{Window: 64}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
		if to.ID == x.ID && blocked.Load() {
			return onramp.Outcome{Verdict: onramp.Blocked}
		}
		return ok
	}, func(r running) {
		for i := range waiting {
			r.o.save(int64(i), x, y)
		}
		r.o.save(waiting, y)
		r.o.save(7, y) // behind the eighth's second step
		r.wait(10 * time.Second)
		if diff := cmp.Diff([]int64{2*waiting + 1}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
		blocked.Store(false)
		r.wait(10 * time.Minute)
		got := r.o.seqs(onramp.DeliveryDelivered)
		if diff := cmp.Diff(upTo(2*waiting+2), sorted(got)); diff != "" {
			t.Error(diff)
		}
		if slices.Index(got, 2*waiting+2) < slices.Index(got, 16) {
			t.Error("an earlier delivery was overtaken")
		}
	})
}

// Large deliveries fill the window by their bytes, and those that wait for the step
// before them make room then, too.
func TestLarge(t *testing.T) {
	const large = 500
	run(t, pump.Config{}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
		if to.ID == x.ID {
			return onramp.Outcome{Verdict: onramp.Blocked}
		}
		return ok
	}, func(r running) {
		r.o.values = make([]byte, 1<<20)
		for i := range large {
			r.o.save(int64(i), x)
		}
		r.wait(time.Minute)
		r.o.mu.Lock()
		if r.o.listed > 32+4 {
			t.Errorf("%d MiB are in memory", r.o.listed)
		}
		r.o.mu.Unlock()
		for i := range large {
			r.o.save(int64(i), x, y)
		}
		r.o.values = nil
		r.o.save(large, y)
		r.wait(10 * time.Minute)
		if diff := cmp.Diff([]int64{3*large + 1}, r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
	})
}

// When those that wait for the step before them make room, the ones of their keys
// that could go without them wait for them all the same.
func TestCrowdedOrder(t *testing.T) {
	const keys = 100
	var blocked atomic.Bool
	blocked.Store(true)
	run(t, pump.Config{Window: 64}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
		if to.ID == x.ID && blocked.Load() {
			return onramp.Outcome{Verdict: onramp.Blocked}
		}
		return ok
	}, func(r running) {
		for i := range keys {
			r.o.save(int64(i), x, y)
			r.o.save(int64(i), y)
		}
		for i := range 3 * keys {
			r.o.save(int64(keys+i), x, y)
		}
		r.wait(30 * time.Second)
		if diff := cmp.Diff([]int64(nil), r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error("delivered before what was accepted earlier:", diff)
		}
		blocked.Store(false)
		r.wait(10 * time.Minute)
		if diff := cmp.Diff(upTo(9*keys), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		inOrder(t, r.o)
	})
}

// While outcomes can't be stored nothing is sent twice, and in the end each one
// is stored.
func TestSettleTrouble(t *testing.T) {
	run(t, pump.Config{}, always(ok), func(r running) {
		troubles := 0
		r.o.mu.Lock()
		r.o.settling = func() error {
			if time.Since(r.s.start) < time.Minute {
				troubles++
				return errors.New("disk full")
			}
			return nil
		}
		r.o.mu.Unlock()
		for i := range 40 {
			r.o.save(int64(i), x)
		}
		r.wait(30 * time.Second)
		if n := len(r.s.times(x.ID)); n != 16 {
			t.Errorf("%d calls while nothing can be stored, want one for each sender", n)
		}
		if health := r.Health()[0]; health.Sending != 16 {
			t.Errorf("%d are sending", health.Sending)
		}
		r.wait(2 * time.Minute)
		if n := len(r.s.times(x.ID)); n != 40 {
			t.Errorf("%d calls, want 40", n)
		}
		if diff := cmp.Diff(upTo(40), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		if troubles < 16*10 || troubles > 16*30 {
			t.Errorf("%d tries to store", troubles)
		}
	})
}

// While the store can't be read the pump tries again, without haste.
func TestReadTrouble(t *testing.T) {
	run(t, pump.Config{}, always(ok), func(r running) {
		troubles := 0
		r.wait(time.Second)
		r.o.mu.Lock()
		r.o.reading = func() error {
			if time.Since(r.s.start) < 11*time.Second {
				troubles++
				return errors.New("disk gone")
			}
			return nil
		}
		r.o.mu.Unlock()
		for range 3 {
			r.o.save(1, x)
		}
		r.wait(20 * time.Second)
		if diff := cmp.Diff(upTo(3), r.o.seqs(onramp.DeliveryDelivered)); diff != "" {
			t.Error(diff)
		}
		if troubles != 10 {
			t.Errorf("%d readings, want one a second", troubles)
		}
	})
}

// A drain starts nothing, finishes what is in flight and keeps its place.
func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, s := newOutbox(), newSender(t, slowly(10*time.Second, ok))
		p := pump.New(pump.Config{Senders: 4}, o, o, s, []onramp.Destination{x, y})
		for i := range 10 {
			o.save(int64(i), x)
		}
		claim, stop := context.WithTimeout(t.Context(), 15*time.Second)
		defer stop()
		p.Run(claim, t.Context())
		if took := time.Since(s.start); took != 20*time.Second {
			t.Errorf("ended after %v, want 20s", took)
		}
		if diff := cmp.Diff(upTo(8), sorted(o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		if o.marks[x.ID] != 8 || len(s.calls) != 8 {
			t.Errorf("read to %d, %d calls", o.marks[x.ID], len(s.calls))
		}
		again, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		pump.New(pump.Config{Senders: 4}, o, o, s, []onramp.Destination{x, y}).Run(again, t.Context())
		if diff := cmp.Diff(upTo(10), sorted(o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error("after the restart:", diff)
		}
	})
}

// Work that is abandoned ends at once, whatever the store and the destination do.
func TestAbandon(t *testing.T) {
	t.Parallel()
	for name, settling := range map[string]error{"store works": nil, "store is down": errors.New("disk full")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, s := newOutbox(), newSender(t, slowly(time.Hour, ok))
				o.settling = func() error { return settling }
				for i := range 20 {
					o.save(int64(i), x)
				}
				work, abandon := context.WithTimeout(t.Context(), 15*time.Second)
				defer abandon()
				pump.New(pump.Config{}, o, o, s, []onramp.Destination{x, y}).Run(t.Context(), work)
				if took := time.Since(s.start); took != 15*time.Second {
					t.Errorf("ended after %v, want 15s", took)
				}
				if len(s.calls) != 16 || o.marks[x.ID] != 0 && settling != nil {
					t.Errorf("%d calls, read to %d", len(s.calls), o.marks[x.ID])
				}
			})
		})
	}
}

// A parked step does not overtake an earlier fresh one that was not read yet.
func TestDueAfterCursor(t *testing.T) {
	var failed atomic.Bool
	run(t, pump.Config{Window: 4, Senders: 1}, func(_ context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome {
		if to.ID == y.ID {
			<-time.After(10 * time.Second)
		} else if d.Seq == 23 && !failed.Swap(true) {
			return onramp.Outcome{Verdict: onramp.Retry}
		}
		return ok
	}, func(r running) {
		for i := range 20 {
			r.o.save(int64(100+i), y)
		}
		r.o.save(1, x, y) // 21 22
		r.o.save(1, x, y) // 23 24, parked by the failure of 23
		r.wait(time.Hour)
		got := r.o.seqs(onramp.DeliveryDelivered)
		if diff := cmp.Diff(upTo(24), sorted(got)); diff != "" {
			t.Error(diff)
		}
		if slices.Index(got, 24) < slices.Index(got, 22) {
			t.Error("24 overtook 22")
		}
	})
}

// An idle destination's mark moves on with what others get.
func TestIdleMark(t *testing.T) {
	run(t, pump.Config{}, always(ok), func(r running) {
		r.wait(time.Second)
		for range 100 {
			r.o.save(1, x)
		}
		r.wait(3 * time.Minute)
		if r.o.marks[y.ID] != 100 {
			t.Errorf("the idle destination is read to %d", r.o.marks[y.ID])
		}
		saves := r.o.saves
		r.wait(time.Hour)
		if r.o.saves != saves {
			t.Errorf("%d marks were saved while nothing happened", r.o.saves-saves)
		}
	})
}

// Many deliveries through all senders: each one exactly once.
func TestMany(t *testing.T) {
	const n = 20_000
	run(t, pump.Config{}, slowly(time.Millisecond, ok), func(r running) {
		for i := range n {
			r.o.save(int64(i%5000), x)
		}
		r.wait(10 * time.Minute)
		if diff := cmp.Diff(upTo(n), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff[:min(len(diff), 1000)])
		}
		if calls := len(r.s.times(x.ID)); calls != n {
			t.Errorf("%d calls, want %d", calls, n)
		}
		if most := r.s.takeMost(x.ID); most != 16 {
			t.Errorf("%d calls in flight, want 16", most)
		}
	})
}
