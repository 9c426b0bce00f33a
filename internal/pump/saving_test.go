package pump_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// saving has calls saved, and each of them wait so long to be filled.
func saving(wait time.Duration) pump.Config {
	return pump.Config{Saving: func() time.Duration { return wait }}
}

var syncRows = onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}

// While calls are saved, deliveries share them, and none waits longer than it may. Of a
// person who comes again and again none waits longer than others.
func TestSavingCalls(t *testing.T) {
	for name, row := range map[string]struct {
		keys  int64
		calls int // at most
	}{
		"many people": {1000, 11},
		"one person":  {1, 120},
	} {
		t.Run(name, func(t *testing.T) {
			runTo(t, syncRows, saving(time.Minute), slowly(ms(100), ok), func(r running) {
				for i := range 120 { // in ten minutes
					r.wait(time.Duration(i) * 5 * time.Second)
					r.o.save(int64(i)%row.keys, x)
				}
				r.wait(12 * time.Minute)
				if n := len(r.o.seqs(onramp.DeliveryDelivered)); n != 120 {
					t.Errorf("%d delivered, want all of 120", n)
				}
				if n := len(r.s.sizes(x.ID)); n > row.calls {
					t.Errorf("%d calls, want at most %d", n, row.calls)
				}
				for _, s := range r.o.settled {
					if waited := s.Attempt.StartedAt.Sub(s.Delivery.ReceivedAt); waited > time.Minute+5*time.Second {
						t.Errorf("%d waited %v", s.Delivery.Seq, waited)
					}
				}
			})
		})
	}
}

// A full call waits for nothing, and what is left over waits its time.
func TestSavingFullCalls(t *testing.T) {
	runTo(t, syncRows, saving(time.Minute), slowly(ms(100), ok), func(r running) {
		r.o.saveMany(120, 0, x)
		r.wait(2 * time.Minute)
		want := []sized{{0, 50, false}, {0, 50, false}, {time.Minute, 20, false}}
		if diff := cmp.Diff(want, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// Large deliveries fill a call by their bytes.
func TestSavingLarge(t *testing.T) {
	runTo(t, syncRows, saving(time.Minute), slowly(ms(100), ok), func(r running) {
		r.o.values = make([]byte, 1<<20)
		r.o.saveMany(6, 0, x)
		r.wait(time.Second)
		if got := r.s.sizes(x.ID); len(got) == 0 || got[0].Deliveries > 5 {
			t.Errorf("calls %v, want one that is full", got)
		}
	})
}

// Mode auto waits for more than a synchronous call carries, and takes the asynchronous
// route as soon as that costs less.
func TestSavingAuto(t *testing.T) {
	auto := onramp.Destination{Kind: onramp.DataExtension, Key: "x"}
	runTo(t, auto, saving(time.Minute), slowly(ms(100), ok), func(r running) {
		r.o.saveMany(151, 0, x)
		r.wait(2 * time.Minute)
		r.o.saveMany(150, 0, x)
		r.wait(4 * time.Minute)
		want := []sized{{time.Minute, 151, true}, {3 * time.Minute, 50, false}, {3 * time.Minute, 50, false}, {3 * time.Minute, 50, false}}
		if diff := cmp.Diff(want, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// The later steps of a route do not wait anew, and go together as they came.
func TestSavingSteps(t *testing.T) {
	x, y := onramp.Destination{ID: x.ID, Kind: onramp.DataExtension, Key: "x"}, onramp.Destination{ID: y.ID, Kind: onramp.Journey, Key: "y"}
	runAll(t, []onramp.Destination{x, y}, saving(time.Minute), slowly(ms(100), ok), func(r running) {
		for i := range 5 {
			r.wait(time.Duration(i) * 10 * time.Second)
			r.o.save(int64(i), x, y)
		}
		r.wait(5 * time.Minute)
		got := [][]sized{r.s.sizes(x.ID), r.s.sizes(y.ID)}
		want := [][]sized{{{time.Minute, 5, false}}, {{time.Minute + ms(100), 5, false}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A sink costs no calls to Marketing Cloud.
func TestSavingSink(t *testing.T) {
	sink := onramp.Destination{Kind: onramp.SinkDestination, Key: "x"}
	runTo(t, sink, saving(time.Minute), always(ok), func(r running) {
		r.o.save(1, x)
		r.wait(time.Second)
		if diff := cmp.Diff([]sized{{0, 1, false}}, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// Calls that are saved no longer go at once.
func TestSavingEnds(t *testing.T) {
	var wait atomic.Int64
	wait.Store(int64(time.Minute))
	runTo(t, syncRows, pump.Config{Saving: func() time.Duration { return time.Duration(wait.Load()) }}, always(ok), func(r running) {
		r.o.save(1, x)
		r.wait(5 * time.Second)
		wait.Store(0)
		r.o.save(2, x)
		r.wait(6 * time.Second)
		if diff := cmp.Diff([]sized{{5 * time.Second, 2, false}}, r.s.sizes(x.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// What is refused is probed rarely, be it a destination or a form's columns: each probe
// is a call.
func TestSavingProbes(t *testing.T) {
	for name, refused := range map[string]onramp.Outcome{
		"all":     {Verdict: onramp.Blocked, Status: 404},
		"columns": {Verdict: onramp.Blocked, Status: 400, Columns: true},
	} {
		t.Run(name, func(t *testing.T) {
			runTo(t, syncRows, saving(5*time.Minute), always(refused), func(r running) {
				r.o.saveMany(200, 0, x)
				r.wait(59 * time.Minute)
				if n := len(r.s.sizes(x.ID)); n < 10 || n > 4+12 {
					t.Errorf("%d calls in an hour", n)
				}
			})
		})
	}
}

// What calls fail for is found as quickly as ever.
func TestSavingPoison(t *testing.T) {
	runCalls(t, syncRows, saving(time.Minute), failing(20), func(r *calling) {
		r.o.saveMany(50, 0, x)
		r.wait(20 * time.Second)
		if n := len(r.o.seqs(onramp.DeliveryDelivered)); n != 49 {
			t.Errorf("%d of 50 delivered, want all but one", n)
		}
	})
}

// failing fails calls with a delivery of the given seq.
func failing(seq int64) func(context.Context, onramp.Call) []onramp.Outcome {
	return func(_ context.Context, c onramp.Call) []onramp.Outcome {
		o := ok
		if slices.ContainsFunc(c.Deliveries, func(d onramp.Delivery) bool { return d.Seq == seq }) {
			o = onramp.Outcome{Verdict: onramp.Retry, Status: 500}
		}
		return slices.Repeat([]onramp.Outcome{o}, len(c.Deliveries))
	}
}
