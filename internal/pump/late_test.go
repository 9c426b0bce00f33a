package pump_test

import (
	"context"
	"encoding/json"
	"errors"
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
	"onramp/internal/store"
)

// lateVendor is a Marketing Cloud that carries calls out late: rows are stored when it
// is their turn, whatever was answered, and when.
type lateVendor struct {
	mu   sync.Mutex
	dice *rand.Rand
	calm bool // everything is carried out before it is answered
	rows map[string]int
	jobs map[string]*asynchronous // by request

	resent, fired int // rows, and journeys, that were sent once more
}

type asynchronous struct{ done chan struct{} }

func newLateVendor(seed uint64) *lateVendor {
	return &lateVendor{
		dice: rand.New(rand.NewPCG(seed, 1)), rows: map[string]int{}, jobs: map[string]*asynchronous{},
	}
}

func (v *lateVendor) draw(n int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.calm {
		return n - 1
	}
	return v.dice.IntN(n)
}

// carryOut stores rows after a while.
func (v *lateVendor) carryOut(after time.Duration, deliveries []onramp.Delivery, done func()) {
	deliveries = slices.Clone(deliveries) // the caller's are its own again when the call has ended
	go func() {
		if after > 0 {
			<-time.After(after)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, d := range deliveries {
			var values struct{ N int }
			if err := json.Unmarshal(d.Values, &values); err != nil {
				panic(err)
			}
			v.rows[d.SubscriberKey] = values.N
		}
		done()
	}()
}

const (
	longest  = 20 * time.Second // that a call takes to be carried out
	patience = 3 * time.Second  // of the client
)

// Send makes a call. Half of the time all is well; else the answer is lost and the
// call is carried out now, later, or never.
func (v *lateVendor) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	all := func(o onramp.Outcome) []onramp.Outcome { return slices.Repeat([]onramp.Outcome{o}, len(c.Deliveries)) }
	lost := onramp.Outcome{Verdict: onramp.Retry, Detail: "time-out", MayHaveArrived: true}
	if c.Destination.Kind == onramp.Journey {
		lost.Verdict = onramp.Unknown
	}
	v.note(c)
	if c.Async {
		return all(v.job(ctx, c, lost))
	}
	written := make(chan struct{})
	after := time.Duration(v.draw(1000)) * time.Millisecond
	switch v.draw(10) {
	case 0:
		return all(onramp.Outcome{Verdict: onramp.Retry, Detail: "refused"})
	case 1:
		return all(onramp.Outcome{Verdict: onramp.Rejected, Detail: "a bad row"})
	case 2, 3:
		after = time.Duration(v.draw(int(longest/time.Millisecond))) * time.Millisecond
	}
	if c.Destination.Kind == onramp.Journey && v.draw(3) == 0 { // answered at once, and carried out when it is its turn
		v.carryOut(time.Duration(v.draw(int(longest/time.Millisecond)))*time.Millisecond, c.Deliveries, func() {})
		return all(ok)
	}
	v.carryOut(after, c.Deliveries, func() { close(written) })
	select {
	case <-written:
		if v.draw(10) == 0 {
			return all(lost)
		}
		return all(ok)
	case <-time.After(patience):
	case <-ctx.Done():
	}
	return all(lost)
}

func (v *lateVendor) note(c onramp.Call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range c.Deliveries {
		switch {
		case !d.Resend:
		case c.Destination.Kind == onramp.Journey:
			v.fired++
		default:
			v.resent++
		}
	}
}

// job is an asynchronous request, or one that was made earlier.
func (v *lateVendor) job(ctx context.Context, c onramp.Call, lost onramp.Outcome) onramp.Outcome {
	v.mu.Lock()
	j := v.jobs[c.RequestID]
	v.mu.Unlock()
	if j == nil {
		j = &asynchronous{done: make(chan struct{})}
		v.mu.Lock()
		id := fmt.Sprint("job", len(v.jobs))
		v.jobs[id] = j
		v.mu.Unlock()
		v.carryOut(time.Duration(v.draw(int(longest/time.Millisecond)))*time.Millisecond, c.Deliveries, func() { close(j.done) })
		if v.draw(10) == 0 {
			return lost
		}
		c.Submitted(id, c.Deliveries)
	}
	select {
	case <-j.done:
		return ok
	case <-time.After(longest/2 + time.Duration(v.draw(int(longest)))):
	case <-ctx.Done():
	}
	return lost
}

// killable is a store whose process can be killed: nothing is written any more.
type killable struct {
	*onDisk
	dead atomic.Bool
}

var errKilled = errors.New("killed")

type killed struct {
	*store.Store
	by *killable
}

func (k killed) Settle(ctx context.Context, s []onramp.Settlement) ([]onramp.Delivery, error) {
	if k.by.dead.Load() {
		return nil, errKilled
	}
	return k.Store.Settle(ctx, s)
}

func (k killed) SavePosition(ctx context.Context, destination int, readTo, sentTo int64) error {
	if k.by.dead.Load() {
		return errKilled
	}
	return k.Store.SavePosition(ctx, destination, readTo, sentTo)
}

func (k killed) SaveJob(ctx context.Context, destination int, j onramp.Job) error {
	if k.by.dead.Load() {
		return errKilled
	}
	return k.Store.SaveJob(ctx, destination, j)
}

// TestLate has a vendor that carries calls out late, while the process is stopped
// and killed, and while an operator retries what is dead. In the end every row is
// what the person sent last, of all that was delivered, and no journey was entered
// twice.
func TestLate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "onramp.db")
			synctest.Test(t, func(t *testing.T) { liveLate(t, path, seed) })
		})
	}
}

func liveLate(t *testing.T, path string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	v := newLateVendor(seed)
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: onramp.Mode(random.IntN(3)), Batch: 1 + random.IntN(4)}
	journey := onramp.Destination{Kind: onramp.Journey, Key: "y", Batch: 1 + random.IntN(4)}
	forms := []onramp.Form{{Name: "both", Route: []onramp.Destination{row, journey}}, {Name: "row", Route: []onramp.Destination{row}}}
	n := 0
	var ids []string
	for round := range 5 {
		k := &killable{onDisk: openForms(t, store.Config{URL: path, LongestCall: longest}, forms)}
		l := begin(t, pump.New(pump.Config{Window: 8, Senders: 4}, killed{k.s, k}, killed{k.s, k}, v, k.forms[0].Route))
		for range 40 {
			<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond)
			if n++; random.IntN(8) == 0 {
				_, _ = k.s.RetryDeliveries(t.Context(), onramp.Filter{}, false, nil)
			} else {
				ids = append(ids, k.saveN(random.IntN(2), fmt.Sprint("key", random.IntN(6)), n))
			}
		}
		for range 12 { // so that much is in flight
			n++
			ids = append(ids, k.saveN(random.IntN(2), fmt.Sprint("key", random.IntN(6)), n))
		}
		<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
		switch random.IntN(3) {
		case 0: // killed
			k.dead.Store(true)
			l.abandon()
		case 1:
			l.abandon()
		}
		if round == 4 {
			v.mu.Lock()
			v.calm = true
			v.mu.Unlock()
			k.dead.Store(false)
		}
		l.end()
		k.close()
	}
	v.mu.Lock()
	v.calm = true
	v.mu.Unlock()
	k := openForms(t, store.Config{URL: path, LongestCall: longest}, forms)
	defer k.close()
	l := begin(t, pump.New(pump.Config{Window: 8, Senders: 4}, k.s, k.s, v, k.forms[0].Route))
	<-time.After(time.Hour)
	_, _ = k.s.RetryDeliveries(t.Context(), onramp.Filter{}, false, nil)
	<-time.After(3 * time.Hour)
	l.end()
	k.checkRows(v, ids)
}

// A process is killed while a row is in flight, which Marketing Cloud carries out when
// a newer one has long been delivered by the next process.
func TestKilledInFlight(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db")
	synctest.Test(t, func(t *testing.T) {
		forms := []onramp.Form{{Name: "row", Route: []onramp.Destination{x}}}
		k := &killable{onDisk: openForms(t, store.Config{URL: path, LongestCall: longest}, forms)}
		k.saveN(0, "ana", 1)
		hanging := newSender(t, func(ctx context.Context, _ onramp.Destination, _ onramp.Delivery) onramp.Outcome {
			<-ctx.Done()
			return onramp.Outcome{Verdict: onramp.Retry, MayHaveArrived: true}
		})
		l := begin(t, pump.New(pump.Config{}, killed{k.s, k}, killed{k.s, k}, hanging, k.forms[0].Route))
		<-time.After(time.Second)
		k.dead.Store(true)
		l.abandon()
		l.end()
		k.close()

		d := openForms(t, store.Config{URL: path, LongestCall: longest}, forms)
		defer d.close()
		var written []int64
		s := newSender(t, func(_ context.Context, _ onramp.Destination, one onramp.Delivery) onramp.Outcome {
			written = append(written, one.Seq)
			return ok
		})
		l = begin(t, pump.New(pump.Config{}, d.s, d.s, s, d.forms[0].Route))
		<-time.After(time.Second)
		d.saveN(0, "ana", 2)
		<-time.After(5 * time.Minute)
		l.end()
		if diff := cmp.Diff([]int64{1, 2, 2}, written); diff != "" {
			t.Error("the newer row is not sent once more:", diff)
		}
	})
}

// A process is killed while a row is sent once more. Marketing Cloud may carry that out
// when a newer row has long been delivered by the next process.
func TestKilledWhileSentOnceMore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db")
	synctest.Test(t, func(t *testing.T) {
		forms := []onramp.Form{{Name: "row", Route: []onramp.Destination{x}}}
		k := &killable{onDisk: openForms(t, store.Config{URL: path, LongestCall: longest}, forms)}
		k.saveN(0, "ana", 1)
		k.saveN(0, "ana", 2)
		lost := onramp.Outcome{Verdict: onramp.Retry, MayHaveArrived: true}
		var sent []int64
		s := newSender(t, func(ctx context.Context, _ onramp.Destination, one onramp.Delivery) onramp.Outcome {
			sent = append(sent, one.Seq)
			switch {
			case len(sent) == 1:
				return lost
			case one.Resend:
				<-ctx.Done()
				return lost
			}
			return ok
		})
		l := begin(t, pump.New(pump.Config{}, killed{k.s, k}, killed{k.s, k}, s, k.forms[0].Route))
		<-time.After(time.Minute)
		k.dead.Store(true)
		l.abandon()
		l.end()
		k.close()

		d := openForms(t, store.Config{URL: path, LongestCall: longest}, forms)
		defer d.close()
		s = newSender(t, func(_ context.Context, _ onramp.Destination, one onramp.Delivery) onramp.Outcome {
			sent = append(sent, one.Seq)
			return ok
		})
		l = begin(t, pump.New(pump.Config{}, d.s, d.s, s, d.forms[0].Route))
		<-time.After(time.Second)
		d.saveN(0, "ana", 3)
		<-time.After(5 * time.Minute)
		l.end()
		if diff := cmp.Diff([]int64{1, 1, 2, 2, 2, 3, 3}, sent); diff != "" {
			t.Error("the newer row is not sent once more:", diff)
		}
	})
}

// An asynchronous request is under way when the process is stopped. After the start
// its outcome is asked for, its row is not sent again, and a newer one waits.
func TestJobOverRestart(t *testing.T) {
	t.Parallel()
	for mode, then := range map[onramp.Mode]string{onramp.Async: "submitted 2", onramp.Sync: "sent 2"} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "onramp.db")
			synctest.Test(t, func(t *testing.T) { jobOverRestart(t, path, mode, then) })
		})
	}
}

// jobOverRestart has a request submitted before a restart, and a newer row of its
// person sent in a mode after it.
func jobOverRestart(t *testing.T, path string, mode onramp.Mode, then string) {
	done := time.Now().Add(time.Minute)
	var log []string
	s := asking(func(ctx context.Context, c onramp.Call) []onramp.Outcome {
		seq := fmt.Sprint(c.Deliveries[0].Seq)
		switch {
		case c.RequestID != "":
		case c.Async:
			c.Submitted("job"+seq, c.Deliveries)
			log = append(log, "submitted "+seq)
		default:
			log = append(log, "sent "+seq)
		}
		select {
		case <-time.After(time.Until(done)):
			log = append(log, "done "+seq)
			return slices.Repeat([]onramp.Outcome{ok}, len(c.Deliveries))
		case <-ctx.Done():
			return slices.Repeat([]onramp.Outcome{{Verdict: onramp.Retry, MayHaveArrived: true}}, len(c.Deliveries))
		}
	})
	for n, mode := range []onramp.Mode{onramp.Async, mode} {
		to := onramp.Destination{Kind: onramp.DataExtension, Key: "x", Mode: mode}
		d := openForms(t, store.Config{URL: path}, []onramp.Form{{Name: "row", Route: []onramp.Destination{to}}})
		d.saveN(0, "ana", n)
		l := begin(t, pump.New(pump.Config{}, d.s, d.s, s, d.forms[0].Route))
		<-time.After(10*time.Second + time.Duration(n)*5*time.Minute)
		l.abandon()
		l.end()
		if _, jobs, err := d.s.Resume(t.Context(), d.forms[0].Route[0]); err != nil || len(jobs) != 1-n {
			t.Errorf("%d jobs are kept, %v", len(jobs), err)
		}
		d.close()
	}
	if diff := cmp.Diff([]string{"submitted 1", "done 1", then, "done 2"}, log); diff != "" {
		t.Error(diff)
	}
}

// asking is a sender.
type asking func(ctx context.Context, c onramp.Call) []onramp.Outcome

func (f asking) Send(ctx context.Context, c onramp.Call) []onramp.Outcome { return f(ctx, c) }

// saveN saves a registration whose row holds a number.
func (d *onDisk) saveN(form int, key string, n int) (id string) {
	d.tb.Helper()
	r := onramp.Registration{
		ID: onramp.NewID(time.Now()), Form: d.forms[form].Name, SubscriberKey: key, ReceivedAt: time.Now(),
		Values: fmt.Appendf(nil, `{"N":%d}`, n), Route: d.forms[form].Route,
	}
	if _, err := d.s.SaveRegistration(context.Background(), &r, onramp.IdempotencyKey{}, false); err != nil {
		d.tb.Fatal(err)
	}
	return r.ID
}

// checkRows compares the vendor's rows with what was delivered last.
func (d *onDisk) checkRows(v *lateVendor, ids []string) {
	d.tb.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if d.tb.Logf("%d rows were sent once more", v.resent); v.fired > 0 {
		d.tb.Errorf("%d journeys were entered once more", v.fired)
	}
	want := map[string]int{}
	for _, id := range ids {
		r, err := d.s.FindRegistration(context.Background(), id)
		if err != nil {
			d.tb.Fatal(err)
		}
		var values struct{ N int }
		if err := json.Unmarshal(r.Values, &values); err != nil {
			d.tb.Fatal(err)
		}
		switch r.Deliveries[0].State {
		case onramp.DeliveryDelivered:
			want[r.SubscriberKey] = max(want[r.SubscriberKey], values.N)
		case onramp.DeliveryDead:
		default:
			d.tb.Errorf("%s is %s", r.Deliveries[0].ID(), r.Deliveries[0].State)
		}
	}
	if diff := cmp.Diff(want, v.rows); diff != "" {
		d.tb.Errorf("old over new (-want +got):\n%s", diff)
	}
}

// An operator retries a dead letter while a newer row of the same person is in
// flight, and the lane has read it when that is delivered: it is not sent.
func TestOvertakenInFlight(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db")
	synctest.Test(t, func(t *testing.T) {
		d := openForms(t, store.Config{URL: path}, []onramp.Form{{Name: "row", Route: []onramp.Destination{x}}})
		defer d.close()
		s := newSender(t, func(_ context.Context, _ onramp.Destination, one onramp.Delivery) onramp.Outcome {
			if one.Seq == 1 {
				return onramp.Outcome{Verdict: onramp.Rejected}
			}
			<-time.After(time.Minute)
			return ok
		})
		l := begin(t, pump.New(pump.Config{}, d.s, d.s, s, d.forms[0].Route))
		old := d.saveN(0, "ana", 1)
		<-time.After(time.Second)
		d.saveN(0, "ana", 2)
		<-time.After(time.Second)
		if err := d.s.RetryDelivery(t.Context(), onramp.DeliveryID(old, 1), false); err != nil {
			t.Error(err)
		}
		<-time.After(5 * time.Minute)
		found, err := d.s.FindDelivery(t.Context(), onramp.DeliveryID(old, 1))
		if err != nil || found.State != onramp.DeliveryDead {
			t.Errorf("the older one is %v, %v", found.State, err)
		}
		l.end()
		if calls := len(s.times(x.ID)); calls != 2 {
			t.Errorf("%d calls were made, want 2", calls)
		}
	})
}
