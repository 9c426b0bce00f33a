package pump_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/pump"
	"onramp/internal/store"
)

// onDisk is a store with the forms "both", to x and then y, and "one", to y.
type onDisk struct {
	tb    testing.TB
	path  string
	s     *store.Store
	forms []*onramp.Form
}

func openStore(tb testing.TB, path string) *onDisk {
	tb.Helper()
	return openWith(tb, store.Config{URL: path})
}

func openWith(tb testing.TB, cfg store.Config) *onDisk {
	tb.Helper()
	return openForms(tb, cfg, []onramp.Form{
		{Name: "both", Route: []onramp.Destination{x, y}}, {Name: "one", Route: []onramp.Destination{y}},
	})
}

func openForms(tb testing.TB, cfg store.Config, forms []onramp.Form) *onDisk {
	tb.Helper()
	s, err := store.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	d := &onDisk{tb: tb, path: cfg.URL, s: s}
	d.forms, err = s.RegisterForms(context.Background(), forms)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *onDisk) close() {
	d.tb.Helper()
	if err := d.s.Close(); err != nil {
		d.tb.Error(err)
	}
}

func (d *onDisk) save(form int, key string) (id string) {
	d.tb.Helper()
	r := onramp.Registration{
		ID: onramp.NewID(time.Now()), Form: d.forms[form].Name, SubscriberKey: key, ReceivedAt: time.Now(),
		Values: []byte(`{}`), Route: d.forms[form].Route,
	}
	d.insist(func() error {
		_, err := d.s.SaveRegistration(context.Background(), &r, onramp.NewIdempotencyKey(r.Form, r.ID, nil), false)
		return err
	})
	return r.ID
}

var errCommit = errors.New("the connection was lost at COMMIT")

// insist carries a write out until its commit is known to be on disk, and tells
// whether it was refused.
func (d *onDisk) insist(write func() error) (done bool) {
	d.tb.Helper()
	for {
		err := write()
		switch e, known := errors.AsType[*onramp.Error](err); {
		case err == nil:
			return true
		case errors.Is(err, errCommit):
		case known && e.Kind != onramp.Unavailable:
			return false
		default:
			d.tb.Fatal(err)
		}
	}
}

// faults has commits fail, half of them though they are on disk.
type faults struct {
	mu      sync.Mutex
	dice    *rand.Rand
	percent int
}

func (f *faults) set(percent int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.percent = percent
}

func (f *faults) commit(commit func() error) error {
	f.mu.Lock()
	fails, onDisk := f.dice.IntN(100) < f.percent, f.dice.IntN(2) == 0
	f.mu.Unlock()
	if fails && !onDisk {
		return errCommit
	}
	if err := commit(); err != nil || !fails {
		return err
	}
	return errCommit
}

// withSink makes a sink for events known.
func (d *onDisk) withSink() onramp.Destination {
	d.tb.Helper()
	var sinks []onramp.Destination
	err := d.s.RegisterCallbacks(context.Background(), []string{"events"})
	if err == nil {
		sinks, err = d.s.RegisterSinks(context.Background(), []onramp.Destination{{Kind: onramp.SinkDestination, Key: "crm"}})
	}
	if err != nil {
		d.tb.Fatal(err)
	}
	return sinks[0]
}

// receive stores an event for a sink.
func (d *onDisk) receive(key string, n, sink int) {
	d.tb.Helper()
	e := onramp.ReadEvent(fmt.Appendf(nil, `{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":%d,"info":{"subscriberKey":%q}}`, 1767614400000+n, key))
	e.Callback, e.ReceivedAt, e.Sinks = "events", time.Now(), []int{sink}
	d.insist(func() error {
		_, err := d.s.SaveEvents(context.Background(), "events", []onramp.Event{e})
		return err
	})
}

// undelivered counts what is neither delivered nor given up.
func (d *onDisk) undelivered() (n int64) {
	for _, counts := range d.s.Count().Deliveries {
		for state, count := range counts {
			switch state {
			case onramp.DeliveryDelivered, onramp.DeliveryDiscarded, onramp.DeliveryOutOfReach:
			default:
				n += count
			}
		}
	}
	return n
}

// TestLife has the pump and the real store go through everything at once:
// failures of all kinds, retries and discards by hand, and restarts. No two of a
// key are in flight together, none is delivered after a later one of its key, and
// in the end everything is delivered that was not given up by hand: no lane has
// missed a wake-up. Of all commits a third fail, half of these though they are on
// disk.
func TestLife(t *testing.T) {
	t.Parallel()
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "onramp.db")
			synctest.Test(t, func(t *testing.T) { live(t, path, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func live(t *testing.T, path string, random *rand.Rand) {
	var ids []string
	draw := make(chan int) // the senders' dice
	dice := rand.New(rand.NewPCG(random.Uint64(), 0))
	go func() {
		defer close(draw)
		for {
			select {
			case draw <- dice.IntN(100):
			case <-t.Context().Done():
				return
			}
		}
	}()
	o := &order{last: map[[2]int64]int64{}, exempt: map[int64]bool{}}
	s := newSender(t, func(_ context.Context, to onramp.Destination, d onramp.Delivery) (outcome onramp.Outcome) {
		<-time.After(time.Duration(<-draw) * time.Millisecond)
		defer func() { o.ended(t, to, d, outcome) }()
		switch n := <-draw; {
		case n < 60:
			return ok
		case n < 80:
			return onramp.Outcome{Verdict: onramp.Retry}
		case n < 85:
			return onramp.Outcome{Verdict: onramp.Rejected}
		case n < 90:
			return onramp.Outcome{Verdict: onramp.Unknown}
		case n < 95:
			return onramp.Outcome{Verdict: onramp.Throttled}
		}
		return onramp.Outcome{Verdict: onramp.Blocked}
	})
	f := &faults{dice: rand.New(rand.NewPCG(random.Uint64(), 1))}
	events := 0
	for round := range 4 {
		d := openWith(t, store.Config{URL: path, Commit: f.commit})
		route := append(slices.Clone(d.forms[0].Route), d.withSink())
		f.set(30)
		for i := range route {
			route[i].Batch = 1 + random.IntN(4)
		}
		p := pump.New(pump.Config{Window: 8, Senders: 4}, d.s, d.s, s, route)
		l := begin(t, p)
		for range 60 {
			<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
			switch n := random.IntN(12); {
			case n >= 10:
				events++
				d.receive(fmt.Sprint("key", random.IntN(5)), events, route[2].ID)
			case n < 6 || len(ids) == 0:
				ids = append(ids, d.save(random.IntN(2), fmt.Sprint("key", random.IntN(5))))
			case n < 9:
				id := onramp.DeliveryID(ids[random.IntN(len(ids))], 1+random.IntN(2))
				d.insist(func() error { return d.s.RetryDelivery(t.Context(), id, false) })
			default:
				id := onramp.DeliveryID(ids[random.IntN(len(ids))], 1+random.IntN(2))
				found, err := d.s.FindDelivery(t.Context(), id)
				if err == nil && d.insist(func() error { return d.s.DiscardDelivery(t.Context(), id, "a test") }) {
					p.Forget(found.Seq)
				}
			}
		}
		if round == 3 {
			f.set(0)
			settleDown(t, d, ids)
		} else if random.IntN(2) == 0 {
			l.abandon()
		}
		l.end()
		f.set(0)
		d.close()
	}
}

// order checks that those of a key are delivered in their order. What an operator may
// have retried is exempt, and so is the step after it.
type order struct {
	mu     sync.Mutex
	last   map[[2]int64]int64 // delivered, by destination and key
	exempt map[int64]bool
}

func (o *order) ended(t *testing.T, to onramp.Destination, d onramp.Delivery, outcome onramp.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := [2]int64{int64(to.ID), d.OrderingKey}
	switch outcome.Verdict {
	case onramp.Rejected, onramp.Unknown:
		o.exempt[d.Seq], o.exempt[d.Seq+1] = true, o.exempt[d.Seq+1] || d.Step < d.Steps
	case onramp.Delivered:
		if !o.exempt[d.Seq] && d.Seq < o.last[key] {
			t.Errorf("%d to %s is delivered after %d", d.Seq, to.Name(), o.last[key])
		}
		if !o.exempt[d.Seq] {
			o.last[key] = max(o.last[key], d.Seq)
		}
	}
}

// settleDown waits until all is delivered; an operator retries what is dead.
func settleDown(t *testing.T, d *onDisk, ids []string) {
	for range 4000 {
		<-time.After(5 * time.Minute)
		if d.undelivered() == 0 {
			return
		}
		for _, state := range []string{"dead", "unknown"} {
			page, _, _, err := d.s.ListDeliveries(t.Context(), onramp.Filter{State: state, Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			for i := range page {
				if err := d.s.RetryDelivery(t.Context(), page[i].ID(), true); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for _, id := range ids {
		r, err := d.s.FindRegistration(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, delivery := range r.Deliveries {
			if delivery.State != onramp.DeliveryDelivered && delivery.State != onramp.DeliveryDiscarded {
				t.Errorf("%d to %s is %s, due %v", delivery.Seq, delivery.Destination, delivery.State, delivery.DueAt)
			}
		}
	}
}

// BenchmarkLane measures what the lanes get through, with a destination that
// answers at once and with one that takes 50 ms a call; half of the deliveries
// are second steps.
func BenchmarkLane(b *testing.B) {
	for _, row := range []struct {
		name string
		keys int
		to   pump.Sender
	}{
		{"keys", 1 << 30, instant(0)}, {"few keys", 100, instant(0)}, {"50 ms", 1 << 30, instant(50 * time.Millisecond)},
	} {
		b.Run(row.name, func(b *testing.B) {
			d := openStore(b, filepath.Join(b.TempDir(), "onramp.db"))
			defer d.close()
			fill(d, b.N, row.keys)
			route := slices.Clone(d.forms[0].Route)
			route[0].Batch, route[1].Batch = 0, 0 // what suits the calls
			p := pump.New(pump.Config{}, d.s, d.s, row.to, route)
			b.ResetTimer()
			l := begin(b, p)
			for d.undelivered() > 0 {
				<-time.After(time.Millisecond)
			}
			b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
			l.end()
		})
	}
}

// fill saves registrations, many together.
func fill(d *onDisk, n, keys int) {
	const together = 128
	ended := make(chan struct{})
	for first := range together {
		go func() {
			for i := first; i < n; i += together {
				d.save(0, fmt.Sprint("key", i%keys))
			}
			ended <- struct{}{}
		}()
	}
	for range together {
		<-ended
	}
}

// instant is a sender that delivers at once, or after a while.
type instant time.Duration

func (i instant) Send(_ context.Context, c onramp.Call) []onramp.Outcome {
	if i > 0 {
		<-time.After(time.Duration(i))
	}
	return slices.Repeat([]onramp.Outcome{ok}, len(c.Deliveries))
}
