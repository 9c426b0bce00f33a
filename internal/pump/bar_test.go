package pump_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
)

// saveOf appends a registration of a form that sends values.
func (o *outbox) saveOf(form, values string, key int64, route ...onramp.Destination) {
	o.mu.Lock()
	o.form, o.values = form, []byte(values)
	o.mu.Unlock()
	o.save(key, route...)
}

// read returns a delivery as it is now.
func (o *outbox) read(seq int64) onramp.Delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	return *o.at(seq)
}

const (
	wrongColumn = `{"Emial":"a"}`
	goodColumn  = `{"Email":"a"}`
)

var columns = onramp.Outcome{Verdict: onramp.Blocked, Status: 400, Detail: "Emial does not exist", Hint: "mend it", Columns: true}

// refusesColumn is a destination that refuses one column until it is mended.
func refusesColumn(mended *atomic.Bool) func(context.Context, onramp.Destination, onramp.Delivery) onramp.Outcome {
	return func(_ context.Context, _ onramp.Destination, d onramp.Delivery) onramp.Outcome {
		<-time.After(100 * time.Millisecond)
		if !mended.Load() && strings.Contains(string(d.Values), "Emial") {
			return columns
		}
		return ok
	}
}

// Of two forms that share a destination one has a wrong column: what the other one
// sends goes at once, even of more people than the window holds. What is refused
// waits, uses up no try, and goes in order once the column is there.
func TestBar(t *testing.T) {
	for name, to := range map[string]onramp.Destination{
		"sync":    {Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync},
		"auto":    {Kind: onramp.DataExtension, Key: "x"},
		"async":   {Kind: onramp.DataExtension, Key: "x", Mode: onramp.Async},
		"journey": {Kind: onramp.Journey, Key: "x"},
		"one":     {Kind: onramp.Message, Key: "x", Batch: 1},
	} {
		t.Run(name, func(t *testing.T) {
			const people = 5000
			var mended atomic.Bool
			runTo(t, to, pump.Config{Window: 512}, refusesColumn(&mended), func(r running) {
				r.o.mu.Lock()
				for i := range people {
					for _, one := range []struct{ form, values string }{{"bad", wrongColumn}, {"good", goodColumn}} {
						key := int64(i)
						if one.form == "good" && i%2 == 0 {
							key += people // others register by the good form only
						}
						r.o.form, r.o.values = one.form, []byte(one.values)
						r.o.append(key, 0, x)
					}
				}
				r.o.mu.Unlock()
				ring(r.o.fresh[x.ID])
				r.wait(3 * time.Minute)
				var waiting []int64
				for seq := range int64(2 * people) {
					d := r.o.read(seq + 1)
					if got, want := d.State == onramp.DeliveryDelivered, d.OrderingKey >= people; got != want || d.Tries != map[bool]int{true: 1}[got] {
						t.Fatalf("%d of form %s, key %d, is %s after %d tries", d.Seq, d.Form, d.OrderingKey, d.State, d.Tries)
					}
					if d.OrderingKey < people {
						waiting = append(waiting, d.Seq)
					}
				}
				r.o.saveOf("good", goodColumn, 3*people, x)
				r.wait(3*time.Minute + 3*time.Second)
				if state := r.o.state(2*people + 1); state != onramp.DeliveryDelivered {
					t.Errorf("a new one of the good form is %s after 3 s", state)
				}
				want := onramp.Health{
					Destination: r.Health()[0].Destination, State: "blocked", Reason: "form bad: Emial does not exist", Hint: "mend it",
					Cause: columns.Cause(), Since: r.Health()[0].Since,
				}
				if diff := cmp.Diff(want, r.Health()[0]); diff != "" {
					t.Error(diff)
				}
				if n := len(r.s.times(x.ID)); n > 2*people {
					t.Errorf("%d calls", n)
				}
				mended.Store(true)
				r.wait(20 * time.Minute)
				delivered := r.o.seqs(onramp.DeliveryDelivered)
				if diff := cmp.Diff(upTo(2*people+1), sorted(delivered)); diff != "" {
					t.Error(diff[:min(len(diff), 1000)])
				}
				at := map[int64]int{} // when each was delivered, by its place
				for i, seq := range delivered {
					at[seq] = i
				}
				for _, seq := range waiting {
					if d := r.o.read(seq); d.Form == "good" && at[seq] < at[seq-1] {
						t.Fatalf("%d overtook %d of the same person", seq, seq-1)
					}
				}
				if tries := r.o.read(waiting[0]).Tries; tries != 1 {
					t.Errorf("%d tries were used up", tries)
				}
				if h := r.Health()[0]; h.State != "running" || h.Reason != "" || !h.Since.IsZero() {
					t.Errorf("afterwards it is %+v", h)
				}
			})
		})
	}
}

// A refused one that an operator discards is the probe no longer: another one is.
func TestBarWithoutItsProbe(t *testing.T) {
	var mended atomic.Bool
	runTo(t, onramp.Destination{Kind: onramp.Journey, Key: "x"}, pump.Config{}, refusesColumn(&mended), func(r running) {
		for key := range int64(3) {
			r.o.saveOf("bad", wrongColumn, key, x)
		}
		r.o.saveOf("good", goodColumn, 1, x) // behind the second one
		r.wait(10 * time.Second)
		for _, seq := range []int64{1, 2} {
			r.o.discard(seq)
			r.Forget(seq)
		}
		r.wait(3 * time.Minute)
		if state := r.o.state(4); state != onramp.DeliveryDelivered {
			t.Errorf("the one behind a discarded one is %s", state)
		}
		if h := r.Health()[0]; h.State != "blocked" {
			t.Errorf("it is %+v", h)
		}
		mended.Store(true)
		r.wait(5 * time.Minute)
		if state := r.o.state(3); state != onramp.DeliveryDelivered {
			t.Errorf("the last one is %s", state)
		}
		if h := r.Health()[0]; h.State != "running" {
			t.Errorf("afterwards it is %+v", h)
		}
	})
}

// Parked ones and later steps are kept back as well, and the ones that a restart finds.
func TestBarOfOthers(t *testing.T) {
	var mended, down atomic.Bool
	down.Store(true)
	refuses := refusesColumn(&mended)
	runAll(t, []onramp.Destination{x, y}, pump.Config{}, func(ctx context.Context, to onramp.Destination, d onramp.Delivery) onramp.Outcome {
		switch {
		case to.ID == y.ID:
			return refuses(ctx, to, d)
		case down.Load():
			return onramp.Outcome{Verdict: onramp.Retry, Status: 500}
		}
		return ok
	}, func(r running) {
		for key := range int64(20) { // parked in the first lane, and their second steps with them
			r.o.saveOf("bad", wrongColumn, key, x, y)
		}
		r.wait(20 * time.Second)
		down.Store(false)
		r.wait(30 * time.Minute)
		if n := len(r.o.seqs(onramp.DeliveryDelivered)); n != 20 {
			t.Errorf("%d were delivered, want the first steps", n)
		}
		r.o.saveOf("good", goodColumn, 100, y)
		r.wait(30*time.Minute + 2*time.Second)
		if state := r.o.state(41); state != onramp.DeliveryDelivered {
			t.Errorf("the good one is %s", state)
		}
		for seq := int64(2); seq <= 40; seq += 2 {
			if d := r.o.read(seq); d.State != onramp.DeliveryPending || d.Tries != 0 {
				t.Errorf("%d is %s after %d tries", seq, d.State, d.Tries)
			}
		}
		mended.Store(true)
		r.wait(35 * time.Minute)
		got := sorted(r.o.seqs(onramp.DeliveryDelivered))
		if diff := cmp.Diff(upTo(41), slices.Compact(got)); diff != "" {
			t.Error(diff)
		}
	})
}
