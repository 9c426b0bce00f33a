package crash_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/pump"
	"onramp/internal/store"
)

// longestRetry is the longest distance between two tries of a delivery.
const longestRetry = time.Hour

// turnClock sets the clock back while deliveries are parked for a retry and
// idempotency keys are in use: nothing waits longer for it than the longest
// regular pause, and no key is forgotten.
func turnClock(t *testing.T) []tally {
	total := tally{}
	for round := range rounds(2, 100) {
		path, by := filepath.Join(t.TempDir(), "onramp.db"), []time.Duration{time.Hour, 24 * time.Hour}[round%2]
		var result tally
		var waited time.Duration
		synctest.Test(t, func(t *testing.T) { result, waited = turnOnce(t, path, by) })
		total.add(result)
		if waited > longestRetry {
			t.Errorf("with the clock set back by %v a delivery waited %v for its next try, the longest regular pause is %v", by, waited, longestRetry)
		}
	}
	return []tally{total}
}

// turnOnce also returns the longest time between two tries of a delivery, as far
// as it lies after the clock was set back.
func turnOnce(t *testing.T, path string, by time.Duration) (result tally, waited time.Duration) {
	clock := &wallClock{}
	s, err := store.Open(t.Context(), store.Config{URL: path, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	forms, err := s.RegisterForms(t.Context(), []onramp.Form{
		{Name: "form", Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Sync}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cloud := &moodyCloud{failures: map[string]int{}, tried: map[string]time.Time{}, delivered: map[string]int{}}
	p := pump.New(pump.Config{}, turnedOutbox{s, clock}, cloud, forms[0].Route)
	claim, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(claim, t.Context())
	}()
	defer func() {
		stop()
		<-ended
	}()

	accepted := map[string]string{} // idempotency key to id
	register := func(key string) {
		r := onramp.Registration{
			ID: onramp.NewID(clock.now()), Form: "form", SubscriberKey: key, ReceivedAt: clock.now(), Values: []byte(`{}`), Route: forms[0].Route,
		}
		got, err := s.SaveRegistration(t.Context(), &r, onramp.NewIdempotencyKey("form", key, nil), false)
		if err != nil {
			t.Fatal(err)
		}
		if id, known := accepted[key]; known && (!got.Repeated || got.Registration.ID != id) {
			t.Errorf("key %s is no longer known", key)
		}
		accepted[key] = got.Registration.ID
	}
	for n := range 60 {
		if n == 40 {
			<-time.After(time.Duration(rand.IntN(300)) * time.Second) // some are parked for a second, some for minutes
			clock.turn(-by)
			cloud.turned()
		}
		cloud.fail(fmt.Sprint("key ", n), rand.IntN(6))
		register(fmt.Sprint("key ", n))
	}
	for key := range maps.Clone(accepted) {
		register(key)
	}
	for range 72 {
		if <-time.After(time.Hour); cloud.done() == len(accepted) {
			break
		}
	}
	result = tally{rounds: 1, accepted: len(accepted)}
	for key := range accepted {
		switch n := cloud.delivered[key]; {
		case n == 1:
			result.once++
		case n > 1:
			result.more++
		default:
			result.lost++
		}
	}
	if n := s.Count().Deliveries["data_extension:x"][onramp.DeliveryDelivered]; n != int64(len(accepted)) {
		t.Errorf("%d of %d are counted as delivered", n, len(accepted))
	}
	return result, cloud.longest
}

// wallClock is a clock that can be set while time goes on.
type wallClock struct{ offset atomic.Int64 }

func (c *wallClock) now() time.Time { return c.shown(time.Now()) }

func (c *wallClock) turn(by time.Duration) { c.offset.Add(int64(by)) }

// shown is what the clock shows at a moment of true time; trueTime goes the other
// way.
func (c *wallClock) shown(at time.Time) time.Time { return moved(at, time.Duration(c.offset.Load())) }

func (c *wallClock) trueTime(at time.Time) time.Time {
	return moved(at, -time.Duration(c.offset.Load()))
}

// moved leaves alone what stands for no time at all.
func moved(at time.Time, by time.Duration) time.Time {
	if at.IsZero() || at.Equal(onramp.Never) {
		return at
	}
	return at.Add(by)
}

// turnedOutbox is between a pump that looks at true time and a store that is to
// see the clock's: to the two it is as if both looked at the clock.
type turnedOutbox struct {
	*store.Store
	clock *wallClock
}

// Settle records outcomes.
func (o turnedOutbox) Settle(ctx context.Context, settlements []onramp.Settlement) ([]onramp.Delivery, error) {
	all := make([]onramp.Settlement, len(settlements))
	for i, s := range settlements {
		s.At, s.DueAt = o.clock.shown(s.At), o.clock.shown(s.DueAt)
		all[i] = s
	}
	followers, err := o.Store.Settle(ctx, all)
	return o.trueTimes(followers), err
}

// ListFresh reads by the cursor.
func (o turnedOutbox) ListFresh(ctx context.Context, destination int, after int64, n int) ([]onramp.Delivery, int64, error) {
	found, to, err := o.Store.ListFresh(ctx, destination, after, n)
	return o.trueTimes(found), to, err
}

// ListDue reads what is due.
func (o turnedOutbox) ListDue(ctx context.Context, destination int, to int64, now time.Time, n int) ([]onramp.Delivery, bool, error) {
	found, more, err := o.Store.ListDue(ctx, destination, to, o.clock.shown(now), n)
	return o.trueTimes(found), more, err
}

// NextDue finds when more is due.
func (o turnedOutbox) NextDue(ctx context.Context, destination int, after time.Time) (time.Time, error) {
	at, err := o.Store.NextDue(ctx, destination, o.clock.shown(after))
	return o.clock.trueTime(at), err
}

func (o turnedOutbox) trueTimes(deliveries []onramp.Delivery) []onramp.Delivery {
	for i := range deliveries {
		d := &deliveries[i]
		d.ReceivedAt, d.DueAt = o.clock.trueTime(d.ReceivedAt), o.clock.trueTime(d.DueAt)
	}
	return deliveries
}

// moodyCloud takes each delivery after some failures.
type moodyCloud struct {
	mu        sync.Mutex
	failures  map[string]int // still to come, by subscriber key
	tried     map[string]time.Time
	delivered map[string]int
	turnedAt  time.Time     // when the clock was set back
	longest   time.Duration // between two tries of a delivery, from there on
}

func (c *moodyCloud) turned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turnedAt = time.Now()
}

func (c *moodyCloud) fail(key string, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[key] = times
}

// done counts what is delivered.
func (c *moodyCloud) done() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.delivered)
}

// Send fails or delivers, and notes when.
func (c *moodyCloud) Send(_ context.Context, call onramp.Call) []onramp.Outcome {
	<-time.After(10 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	outcomes := make([]onramp.Outcome, len(call.Deliveries))
	for i := range call.Deliveries {
		key := call.Deliveries[i].SubscriberKey
		if before, again := c.tried[key]; again {
			if before.Before(c.turnedAt) {
				before = c.turnedAt
			}
			c.longest = max(c.longest, time.Since(before))
		}
		c.tried[key] = time.Now()
		if c.failures[key] > 0 {
			c.failures[key]--
			outcomes[i] = onramp.Outcome{Verdict: onramp.Retry, Status: 500, Detail: "a test"}
			continue
		}
		c.delivered[key]++
		outcomes[i] = onramp.Outcome{Verdict: onramp.Delivered, Status: 200}
	}
	return outcomes
}
