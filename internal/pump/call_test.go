package pump_test

import (
	"context"
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

// sized is a call as the tests of this file state it.
type sized struct {
	At         time.Duration
	Deliveries int
	Async      bool
}

func (s *sender) sizes(destination int) (sizes []sized) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.destination == destination {
			sizes = append(sizes, sized{c.at, c.deliveries, c.async})
		}
	}
	return sizes
}

// runTo runs a pump with one destination, with the number of x.
func runTo(t *testing.T, to onramp.Destination, cfg pump.Config, send func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome, test func(r running)) {
	t.Helper()
	to.ID = x.ID
	runAll(t, []onramp.Destination{to}, cfg, send, test)
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// In quiet times no call waits to be filled.
func TestQuiet(t *testing.T) {
	runTo(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}, pump.Config{}, slowly(ms(300), ok), func(r running) {
		var want []sized
		for i := range 50 { // 50 a second
			r.wait(ms(20 * i))
			r.o.save(int64(i), x)
			want = append(want, sized{ms(20 * i), 1, false})
		}
		r.wait(2 * time.Second)
		// for 16 are under way at 300 ms, and then as one comes back another goes
		if diff := cmp.Diff(want[:16], r.s.sizes(x.ID)[:16]); diff != "" {
			t.Error(diff)
		}
		if n := len(r.s.sizes(x.ID)); n < 45 {
			t.Errorf("%d calls for 50 deliveries", n)
		}
	})
}

// In busy times calls fill up, and no delivery waits longer than a moment for
// that.
func TestBusy(t *testing.T) {
	runTo(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}, pump.Config{}, slowly(ms(50), ok), func(r running) {
		for i := range 2000 { // 1,000 a second; the seq is the time
			r.wait(ms(i + 1))
			r.o.save(int64(i), x)
		}
		r.wait(3 * time.Second)
		busy := slices.DeleteFunc(r.s.calls, func(c call) bool { return c.seq < 500 || c.seq > 1900 })
		for _, c := range busy {
			if wait := c.at - ms(int(c.seq)); wait > ms(26) {
				t.Errorf("%d waited %v", c.seq, wait)
			}
		}
		if n := len(busy); n > 1400/24 {
			t.Errorf("%d calls for 1,400 deliveries", n)
		}
	})
}

// What has piled up leaves in full calls.
func TestPile(t *testing.T) {
	runTo(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}, pump.Config{Senders: 2}, slowly(ms(100), ok), func(r running) {
		r.o.saveMany(120, 0, x)
		r.wait(time.Second)
		if diff := cmp.Diff([]sized{{0, 50, false}, {0, 50, false}, {ms(100), 20, false}}, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// Two of a key are never in one call.
func TestOnePerKey(t *testing.T) {
	runTo(t, onramp.Destination{Kind: onramp.Journey, Key: "x"}, pump.Config{}, slowly(ms(100), ok), func(r running) {
		for i := range 10 {
			r.o.save(int64(i%2), x)
		}
		r.wait(time.Second)
		want := []sized{{0, 2, false}, {ms(100), 2, false}, {ms(200), 2, false}, {ms(300), 2, false}, {ms(400), 2, false}}
		if diff := cmp.Diff(want, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// Calls that time out are halved, down to single deliveries, and grow again.
func TestCallsShrink(t *testing.T) {
	var calls atomic.Int64
	var largest atomic.Int64 // that gets through
	largest.Store(10)
	s := func(ctx context.Context, c onramp.Call) []onramp.Outcome {
		calls.Add(1)
		if int64(len(c.Deliveries)) > largest.Load() {
			return slices.Repeat([]onramp.Outcome{{Verdict: onramp.Retry, Late: true}}, len(c.Deliveries))
		}
		return slices.Repeat([]onramp.Outcome{ok}, len(c.Deliveries))
	}
	runCalls(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync, Batch: 64}, pump.Config{Senders: 1}, s, func(r *calling) {
		r.o.saveMany(640, 0, x)
		r.wait(time.Hour)
		if diff := cmp.Diff([]int{64, 32, 16, 8, 8, 8}, r.sizes()[:6]); diff != "" {
			t.Error(diff)
		}
		if got := len(r.o.seqs(onramp.DeliveryDelivered)); got != 640 {
			t.Errorf("%d delivered", got)
		}
		largest.Store(1000)
		before := len(r.sizes())
		r.o.saveMany(1000, 0, x)
		r.wait(2 * time.Hour)
		if sizes := r.sizes()[before:]; slices.Max(sizes) != 64 {
			t.Errorf("calls do not grow again: %v", sizes)
		}
	})
}

// What was tried before goes in ever smaller calls, until a delivery for which
// calls fail is alone.
func TestCompany(t *testing.T) {
	s := func(_ context.Context, c onramp.Call) []onramp.Outcome {
		o := ok
		for _, d := range c.Deliveries {
			if d.Seq == 20 {
				o = onramp.Outcome{Verdict: onramp.Retry, Status: 500}
			}
		}
		return slices.Repeat([]onramp.Outcome{o}, len(c.Deliveries))
	}
	runCalls(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync, Batch: 32}, pump.Config{}, s, func(r *calling) {
		r.o.saveMany(32, 0, x)
		r.wait(time.Hour)
		want := slices.DeleteFunc(upTo(32), func(seq int64) bool { return seq == 20 })
		if diff := cmp.Diff(want, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error("good ones were not delivered beside a bad one:", diff)
		}
		if sizes := r.sizes(); sizes[0] != 32 || slices.Max(sizes[1:]) > 16 || sizes[len(sizes)-1] != 1 {
			t.Errorf("sizes of the calls: %v", sizes)
		}
	})
}

// Mode auto takes the asynchronous route when the queue is deep or old.
func TestAuto(t *testing.T) {
	auto := onramp.Destination{Kind: onramp.DataExtension, Key: "x"}
	runTo(t, auto, pump.Config{Senders: 2}, slowly(time.Second, ok), func(r running) {
		r.o.saveMany(1020, 0, x)
		r.wait(10 * time.Second)
		if diff := cmp.Diff([]sized{{0, 1020, true}}, r.s.sizes(x.ID)); diff != "" {
			t.Error("deep:", diff)
		}
		r.s.calls = nil
		r.o.saveMany(120, 0, x)
		r.wait(20 * time.Second)
		want := []sized{{10 * time.Second, 50, false}, {10 * time.Second, 50, false}, {11 * time.Second, 20, false}}
		if diff := cmp.Diff(want, r.s.sizes(x.ID)); diff != "" {
			t.Error("short:", diff)
		}
		r.s.calls = nil
		r.o.saveMany(60, 2*time.Minute, x)
		r.wait(30 * time.Second)
		if diff := cmp.Diff([]sized{{20 * time.Second, 60, true}}, r.s.sizes(x.ID)); diff != "" {
			t.Error("old:", diff)
		}
	})
}

// Rows that may only be inserted have no synchronous route, not even for the
// probe of a destination that was blocked: it would overwrite what is to stay.
func TestSkipIsAsync(t *testing.T) {
	skip := onramp.Destination{Kind: onramp.DataExtension, Key: "x", InsertOnly: true, OnExisting: onramp.Skip}
	var calls atomic.Int64
	runTo(t, skip, pump.Config{}, func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
		if calls.Add(1) == 1 {
			return onramp.Outcome{Verdict: onramp.Blocked}
		}
		return ok
	}, func(r running) {
		r.o.save(1, x)
		r.wait(time.Minute)
		if diff := cmp.Diff([]sized{{0, 1, true}, {time.Second, 1, true}}, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// A destination that is paused has few deliveries in memory, and all of them are
// sent once it runs again.
func TestPausedWindow(t *testing.T) {
	const waiting, few = 20_000, 2048
	var works atomic.Bool
	s := func(_ context.Context, c onramp.Call) []onramp.Outcome {
		verdict := onramp.Blocked
		if works.Load() {
			verdict = onramp.Delivered
		}
		return slices.Repeat([]onramp.Outcome{{Verdict: verdict}}, len(c.Deliveries))
	}
	async := onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Async}
	runCalls(t, async, pump.Config{}, s, func(r *calling) {
		r.o.save(1, x)
		r.wait(time.Second)
		r.o.saveMany(waiting, 0, x)
		r.wait(10 * time.Minute)
		r.o.mu.Lock()
		listed := r.o.listed
		r.o.mu.Unlock()
		if listed > few+1 {
			t.Errorf("%d deliveries are in memory while it is paused, want at most %d", listed, few)
		}
		works.Store(true)
		r.wait(20 * time.Minute)
		r.o.mu.Lock()
		defer r.o.mu.Unlock()
		delivered := slices.DeleteFunc(r.o.settled, func(s onramp.Settlement) bool { return s.State != onramp.DeliveryDelivered })
		if len(delivered) != waiting+1 {
			t.Errorf("%d are delivered, want %d", len(delivered), waiting+1)
		}
	})
}

// Asynchronous calls gather rows while one is under way, and few are at a time.
// What the route has taken is submitted until its outcome is known.
func TestAsync(t *testing.T) {
	const jobTime = 10 * time.Second
	s := func(_ context.Context, c onramp.Call) []onramp.Outcome {
		<-time.After(ms(50))
		c.Submitted("j1", c.Deliveries)
		<-time.After(jobTime)
		return slices.Repeat([]onramp.Outcome{ok}, len(c.Deliveries))
	}
	async := onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Async, Batch: 100}
	runCalls(t, async, pump.Config{}, s, func(r *calling) {
		r.o.save(1, x)
		r.wait(ms(1))
		if state := r.Flight(x.ID, 1); state != onramp.DeliverySending {
			t.Errorf("at first it is %v", state)
		}
		r.wait(ms(60))
		health := r.Health()[0]
		if state := r.Flight(x.ID, 1); state != onramp.DeliverySubmitted || health.Sending != 0 || health.Submitted != 1 {
			t.Errorf("then it is %v, %+v", state, health)
		}
		r.o.saveMany(450, 0, x)
		r.wait(ms(500))
		if diff := cmp.Diff([]int{1, 100, 100, 100}, r.sizes()); diff != "" {
			t.Error(diff)
		}
		r.wait(time.Minute)
		if diff := cmp.Diff([]int{1, 50, 100, 100, 100, 100}, slices.Sorted(slices.Values(r.sizes()))); diff != "" {
			t.Error(diff)
		}
		if state := r.Flight(x.ID, 1); state != 0 || len(r.o.seqs(onramp.DeliveryDelivered)) != 451 {
			t.Errorf("in the end it is %v, %d are delivered", state, len(r.o.seqs(onramp.DeliveryDelivered)))
		}
	})
}

// A call whose deliveries fare differently gives each its own outcome.
func TestMixedOutcomes(t *testing.T) {
	s := func(_ context.Context, c onramp.Call) []onramp.Outcome {
		outcomes := make([]onramp.Outcome, len(c.Deliveries))
		for i, d := range c.Deliveries {
			switch {
			case d.Seq == 2:
				outcomes[i] = onramp.Outcome{Verdict: onramp.Rejected}
			case d.Seq == 3 && d.Tries == 0:
				outcomes[i] = onramp.Outcome{Verdict: onramp.Retry}
			default:
				outcomes[i] = ok
			}
		}
		return outcomes
	}
	runCalls(t, onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}, pump.Config{}, s, func(r *calling) {
		r.o.saveMany(5, 0, x)
		r.wait(time.Minute)
		if diff := cmp.Diff([]int64{1, 3, 4, 5}, sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int64{2}, r.o.seqs(onramp.DeliveryDead)); diff != "" {
			t.Error(diff)
		}
		if health := r.Health()[0]; health.State != "running" {
			t.Errorf("one bad delivery stops the destination: %+v", health)
		}
	})
}

// calling is a pump at work whose sender gets whole calls.
type calling struct {
	*pump.Pump
	o     *outbox
	start time.Time

	mu    sync.Mutex
	calls []int
	send  func(ctx context.Context, c onramp.Call) []onramp.Outcome
}

func (c *calling) Send(ctx context.Context, one onramp.Call) []onramp.Outcome {
	c.mu.Lock()
	c.calls = append(c.calls, len(one.Deliveries))
	c.mu.Unlock()
	return c.send(ctx, one)
}

func (c *calling) sizes() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func (c *calling) wait(until time.Duration) {
	<-time.After(until - time.Since(c.start))
	synctest.Wait()
}

// runCalls is run for a sender that gets whole calls.
func runCalls(t *testing.T, to onramp.Destination, cfg pump.Config, send func(ctx context.Context, c onramp.Call) []onramp.Outcome, test func(r *calling)) {
	t.Helper()
	t.Parallel()
	to.ID = x.ID
	synctest.Test(t, func(t *testing.T) {
		r := &calling{o: newOutbox(), send: send, start: time.Now()}
		r.Pump = pump.New(cfg, r.o, r.o, r, []onramp.Destination{to})
		l := begin(t, r.Pump)
		test(r)
		l.end()
	})
}
