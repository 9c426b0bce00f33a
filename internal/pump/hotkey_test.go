package pump_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
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

// How long a delivery waits does not depend on how many of other keys are queued,
// to whatever it goes.
func TestHotKeys(t *testing.T) {
	for _, row := range []struct {
		name        string
		to          onramp.Destination
		hot, ofEach int
		within      time.Duration
	}{
		{"data extension", onramp.Destination{Kind: onramp.DataExtension, Mode: onramp.Sync}, 1, 10_000, time.Second},
		{"data extension, sync or async", onramp.Destination{Kind: onramp.DataExtension}, 1, 10_000, time.Second},
		{"data extension, async", onramp.Destination{Kind: onramp.DataExtension, Mode: onramp.Async}, 1, 10_000, time.Second},
		{"journey", onramp.Destination{Kind: onramp.Journey}, 1, 10_000, time.Second},
		{"message", onramp.Destination{Kind: onramp.Message}, 1, 10_000, time.Second},
		{"sink", onramp.Destination{Kind: onramp.SinkDestination}, 1, 10_000, time.Second},
		{"many hot ones, in full calls", onramp.Destination{Kind: onramp.Journey}, 300, 1000, time.Second},
		// one after the other through 16 senders: each of them once
		{"many hot ones, one in a call", onramp.Destination{Kind: onramp.SinkDestination}, 300, 1000, 6 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.to.Key = "x"
			other := int64(row.hot*row.ofEach + 1)
			s := &vendor{took: 300 * time.Millisecond}
			runTo(t, row.to, pump.Config{}, s.send, func(r running) {
				r.o.mu.Lock()
				for i := range row.hot * row.ofEach {
					r.o.append(int64(i%row.hot), 0, x)
				}
				r.o.mu.Unlock()
				ring(r.o.fresh[x.ID])
				r.wait(10 * time.Second)
				r.o.save(-1, x)
				r.wait(10*time.Second + row.within)
				if state := r.o.state(other); state != onramp.DeliveryDelivered {
					t.Errorf("the other one is %s after %v", state, row.within)
				}
				r.o.mu.Lock()
				mark, listed := r.o.marks[x.ID], r.o.listed
				r.o.mu.Unlock()
				if mark >= s.oldestOf(r.o) {
					t.Errorf("read to %d, and %d is not delivered", mark, s.oldestOf(r.o))
				}
				if most := row.hot*row.ofEach + row.hot*4*50 + 1; listed > most {
					t.Errorf("%d were read, want at most %d", listed, most)
				}
				if row.hot == 1 {
					r.wait(2 * time.Hour)
					if diff := cmp.Diff(upTo(int(other)), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
						t.Error(diff[:min(len(diff), 1000)])
					}
				}
				inOrder(t, r.o)
			})
		})
	}
}

// vendor takes a while for each call.
type vendor struct{ took time.Duration }

func (v *vendor) send(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
	<-time.After(v.took)
	return ok
}

// oldestOf is the seq of the oldest one that is not delivered.
func (v *vendor) oldestOf(o *outbox) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.deliveries {
		if d.State == onramp.DeliveryPending {
			return d.Seq
		}
	}
	return int64(len(o.deliveries) + 1)
}

// inOrder checks that those of each key were delivered in their order.
func inOrder(t *testing.T, o *outbox) {
	t.Helper()
	last := map[queue]int64{}
	for _, seq := range o.seqs(onramp.DeliveryDelivered) {
		q := queueOf(o.at(seq))
		if last[q] > seq {
			t.Fatalf("%d was delivered after %d, which has the same key", seq, last[q])
		}
		last[q] = seq
	}
}

// A deep queue of few keys sends nobody by the asynchronous route, which is slow,
// however old it is.
func TestHotKeysStaySync(t *testing.T) {
	auto := onramp.Destination{Kind: onramp.DataExtension, Key: "x"}
	runTo(t, auto, pump.Config{}, slowly(300*time.Millisecond, ok), func(r running) {
		r.o.mu.Lock()
		for i := range 60 * 1000 {
			r.o.append(int64(i%60), 0, x)
		}
		r.o.mu.Unlock()
		ring(r.o.fresh[x.ID])
		r.wait(3 * time.Minute)
		for _, c := range r.s.sizes(x.ID) {
			if c.Async {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// Of those that wait for the step before them, too, few of a key are in memory,
// and others are served.
func TestHotKeyOfLaterStep(t *testing.T) {
	const hot = 10_000
	run(t, pump.Config{}, func(_ context.Context, to onramp.Destination, _ onramp.Delivery) onramp.Outcome {
		if to.ID == x.ID {
			<-time.After(300 * time.Millisecond)
		}
		return ok
	}, func(r running) {
		r.o.mu.Lock()
		for range hot {
			r.o.append(1, 0, x, y)
		}
		r.o.mu.Unlock()
		ring(r.o.fresh[x.ID])
		ring(r.o.fresh[y.ID])
		r.wait(time.Second)
		r.o.save(2, x, y)
		r.o.save(3, y)
		r.wait(1500 * time.Millisecond)
		for _, seq := range []int64{2*hot + 1, 2*hot + 2, 2*hot + 3} {
			if state := r.o.state(seq); state != onramp.DeliveryDelivered {
				t.Errorf("%d is %s", seq, state)
			}
		}
		r.wait(2 * time.Hour)
		if diff := cmp.Diff(upTo(2*hot+3), sorted(r.o.seqs(onramp.DeliveryDelivered))); diff != "" {
			t.Error(diff[:min(len(diff), 1000)])
		}
		inOrder(t, r.o)
	})
}

// Ten thousand of one key in a real store, and a pump that starts only now.
func TestHotKeyOnDisk(t *testing.T) {
	t.Parallel()
	const hot = 10_000
	path := filepath.Join(t.TempDir(), "onramp.db")
	synctest.Test(t, func(t *testing.T) {
		d := openStore(t, path)
		defer d.close()
		fill(d, hot, 1)
		other := d.save(0, "other")
		s := newSender(t, slowly(300*time.Millisecond, ok))
		l := begin(t, pump.New(pump.Config{}, d.s, d.s, s, d.forms[0].Route))
		<-time.After(time.Second)
		r, err := d.s.FindRegistration(t.Context(), other)
		if err != nil || r.State != onramp.RegistrationDelivered {
			t.Errorf("the other one is %v, %v", r.State, err)
		}
		<-time.After(time.Minute)
		l.end()
		var got, want []int64 // to x
		for i, c := range slices.DeleteFunc(s.calls, func(c call) bool { return c.destination != x.ID || c.seq > 2*hot }) {
			got, want = append(got, c.seq), append(want, int64(2*i+1))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) < 200 {
			t.Errorf("%d were sent: %s", len(got), diff)
		}
	})
}

// TestHotLife has the pump go through random lives with many deliveries of few
// keys, in windows so small that even the seqs of those passed by do not fit.
// Whatever fails, is retried or discarded by hand, or is cut short by a restart:
// nothing is sent while an earlier one of its key is to be sent, and in the end
// everything is settled.
func TestHotLife(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2 * lives) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { (&hotLife{t: t, random: rand.New(rand.NewPCG(seed, 0)), o: newOutbox()}).live() })
		})
	}
}

type hotLife struct {
	t      *testing.T
	random *rand.Rand
	o      *outbox

	poison atomic.Bool // some deliveries fail the calls that they are in

	mu   sync.Mutex
	dice *rand.Rand
}

func (h *hotLife) roll(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dice.IntN(n)
}

// Send takes whole milliseconds; operators do what they do between them.
func (h *hotLife) Send(_ context.Context, c onramp.Call) []onramp.Outcome {
	for i := range c.Deliveries {
		h.mayGo(&c.Deliveries[i])
	}
	<-time.After(time.Duration(1+h.roll(50)) * time.Millisecond)
	outcomes := make([]onramp.Outcome, len(c.Deliveries))
	verdict := onramp.Verdict(0)
	if h.poison.Load() && slices.ContainsFunc(c.Deliveries, func(d onramp.Delivery) bool { return d.Seq%37 == 0 }) {
		verdict = onramp.Retry
	} else if n := h.roll(100); n < 15 { // of the whole call
		verdict = []onramp.Verdict{onramp.Retry, onramp.Throttled, onramp.Blocked}[n%3]
	}
	for i := range outcomes {
		switch n := h.roll(100); {
		case verdict != 0:
			outcomes[i].Verdict = verdict
		case n < 3:
			outcomes[i].Verdict = onramp.Retry
		case n < 5:
			outcomes[i].Verdict = onramp.Rejected
		case n < 6:
			outcomes[i].Verdict = onramp.Unknown
		default:
			outcomes[i] = ok
		}
	}
	return outcomes
}

// mayGo checks that no earlier one of the key is to be sent; but for those that an
// operator has retried, which are late anyway, and may not have been read yet.
func (h *hotLife) mayGo(d *onramp.Delivery) {
	h.o.mu.Lock()
	defer h.o.mu.Unlock()
	for _, earlier := range h.o.deliveries[:d.Seq-1] {
		if queueOf(&earlier) == queueOf(d) && !h.o.revived[earlier.Seq] && (earlier.State == onramp.DeliveryPending || earlier.State == onramp.DeliveryWaiting) {
			h.t.Errorf("%d is sent before %d, which is %s, due %v", d.Seq, earlier.Seq, earlier.State, earlier.DueAt)
		}
	}
}

func (h *hotLife) live() {
	h.dice = rand.New(rand.NewPCG(h.random.Uint64(), 0))
	h.poison.Store(true)
	window := 2 + h.random.IntN(3)
	for round := range 3 {
		route := []onramp.Destination{x, y}
		for i := range route {
			route[i].Batch = 1 + h.random.IntN(4)
		}
		p := pump.New(pump.Config{Window: window, Senders: 3}, h.o, h.o, h, route)
		l := begin(h.t, p)
		<-time.After(500 * time.Microsecond)
		for range 30 {
			h.operate(p)
			synctest.Wait()
			<-time.After(time.Duration(h.random.IntN(1000)) * time.Millisecond)
		}
		if round == 2 {
			h.poison.Store(false)
			h.settleDown(p)
		} else if h.random.IntN(2) == 0 {
			l.abandon()
		}
		l.end()
		<-time.After(500 * time.Microsecond)
	}
}

// operate saves some, mostly of one key, or has an operator retry or discard one.
func (h *hotLife) operate(p *pump.Pump) {
	switch n := h.random.IntN(10); {
	case n < 2:
		for range 1 + h.random.IntN(200) {
			h.o.save(1, h.route()...)
		}
	case n < 5 || len(h.o.deliveries) == 0:
		for range 1 + h.random.IntN(20) {
			h.o.save(int64(h.random.IntN(5)), h.route()...)
		}
	case n < 8:
		for range 1 + h.random.IntN(5) {
			h.o.retry(1 + h.random.Int64N(int64(len(h.o.deliveries))))
		}
	default:
		seq := 1 + h.random.Int64N(int64(len(h.o.deliveries)))
		if h.o.state(seq) == onramp.DeliveryPending {
			h.o.discard(seq)
			p.Forget(seq)
		}
	}
}

func (h *hotLife) route() []onramp.Destination {
	return [][]onramp.Destination{{x, y}, {x}, {y}}[h.random.IntN(3)]
}

// settleDown waits until all is settled; an operator retries what is dead.
func (h *hotLife) settleDown(p *pump.Pump) {
	for range 200 {
		left := 0
		for seq := int64(1); seq <= int64(len(h.o.deliveries)); seq++ {
			switch h.o.state(seq) {
			case onramp.DeliveryDelivered, onramp.DeliveryDiscarded, onramp.DeliveryOutOfReach:
				continue
			}
			left++
			h.o.retry(seq)
		}
		if left == 0 {
			<-time.After(time.Minute)
			synctest.Wait()
			if last := int64(len(h.o.deliveries)); h.o.marks[x.ID] != last || h.o.marks[y.ID] != last {
				h.t.Errorf("of %d, read to %v", last, h.o.marks)
			}
			return
		}
		<-time.After(time.Hour)
	}
	for _, d := range h.o.deliveries {
		if !slices.Contains([]onramp.DeliveryState{onramp.DeliveryDelivered, onramp.DeliveryDiscarded, onramp.DeliveryOutOfReach}, d.State) {
			h.t.Errorf("%d of key %d to %d is %s, due %v", d.Seq, d.OrderingKey, d.DestinationID, d.State, d.DueAt)
		}
	}
	h.t.Errorf("health %+v", p.Health())
}
