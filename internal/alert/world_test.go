package alert_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/alert"
	"onramp/internal/budget"
	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// world is what a watcher looks at.
type world struct {
	watcher     *alert.Watcher
	mu          sync.Mutex
	health      []onramp.Health
	deliveries  map[string]map[onramp.DeliveryState]int64
	events      map[string]int64 // by callback
	repeated    map[string]int64
	oldest      map[string]time.Time
	oldestErr   error
	trouble     error
	free, total uint64
	freeErr     error
	causes      []onramp.CauseGroup
	causesErr   error
	failedAt    time.Time // the newest of the first cause
	checks      []health.Check
	ahead       time.Duration // the vendor's clock
	calls       budget.Usage
	shown       []health.Certificate
	kept        []byte        // over a restart
	asked       int           // how often the disk was
	hangs       chan struct{} // when not nil, the disk does until it is closed
}

func (w *world) Health() []onramp.Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health
}

func (w *world) Count() onramp.Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return onramp.Counts{Deliveries: w.deliveries, Events: w.events, Repeated: w.repeated}
}

func (w *world) Behind(context.Context, string) (waiting, earlier int64, oldest onramp.Delivery, err error) {
	return 0, 0, onramp.Delivery{}, nil // no alert asks for it
}

func (w *world) Late(context.Context, string) (keys, resends int64, until time.Time, err error) {
	return 0, 0, time.Time{}, nil // nor for this
}

func (w *world) Oldest(_ context.Context, destination string) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.oldest[destination], w.oldestErr
}

// Flight and Forget make the world a pump; nothing is ever in flight.
func (w *world) Flight(int, int64) onramp.DeliveryState { return 0 }
func (w *world) Forget(int64)                           {}

func (w *world) desk() *operator.Desk {
	return &operator.Desk{Counts: w, Pump: w, Deliveries: w, Health: health.Sources{Checks: w.listChecks, Clock: w.clock, Calls: w.usage, Certificates: w.certificates}}
}

func (w *world) listChecks() []health.Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.checks)
}

func (w *world) usage() budget.Usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *world) certificates() []health.Certificate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.shown)
}

func (w *world) clock() health.Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	return health.NewClock(w.ahead, time.Unix(1, 0))
}

func (w *world) ListDeliveries(context.Context, onramp.Filter) (page []onramp.Delivery, next string, looked time.Time, err error) {
	return nil, "", time.Time{}, nil // no alert asks for it
}

func (w *world) ListCauses(_ context.Context, f onramp.Filter) ([]onramp.CauseGroup, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.causes), func(g onramp.CauseGroup) bool { return g.State.String() != f.State }), w.causesErr
}

func (w *world) FindDelivery(context.Context, string) (onramp.Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return onramp.Delivery{Attempts: []onramp.Attempt{{StartedAt: w.failedAt}}}, nil
}

func (w *world) LoadAlerts(context.Context) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept, nil
}

func (w *world) SaveAlerts(_ context.Context, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = data
	return nil
}

func (w *world) sources() alert.Sources {
	return alert.Sources{
		Desk: w.desk(), Kept: w,
		Trouble: func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.trouble
		},
		Free: func() (free, total uint64, err error) {
			w.mu.Lock()
			w.asked++
			hangs := w.hangs
			free, total, err = w.free, w.total, w.freeErr
			w.mu.Unlock()
			if hangs != nil {
				<-hangs
			}
			return free, total, err
		},
	}
}

func (w *world) change(f func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

// sentAlert is one alert, and how long after the start it came.
type sentAlert struct {
	At          time.Duration
	Title, Text string
}

func pass(d time.Duration) { <-time.After(d) }

// watching runs a watcher in synthetic time and gives the alerts that it sent, once the
// scripts have ended. A script runs half a second beside the watcher's seconds; before
// each but the first one the watcher is restarted.
func watching(t *testing.T, cfg alert.Config, scripts ...func(w *world)) []sentAlert {
	t.Helper()
	var all []sentAlert
	synctest.Test(t, func(t *testing.T) {
		w := &world{deliveries: map[string]map[onramp.DeliveryState]int64{}, oldest: map[string]time.Time{}, free: 50, total: 100}
		start := time.Now()
		for _, script := range scripts {
			watcher, err := alert.New(cfg, w.sources(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			w.watcher = watcher
			watcher.AddReceiver("test", func(title, text string) error {
				all = append(all, sentAlert{time.Since(start), title, text})
				return nil
			})
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { watcher.Run(ctx) })
			pass(500 * time.Millisecond)
			script(w)
			stop()
			running.Wait()
		}
	})
	return all
}

func titles(all []sentAlert) []string {
	var list []string
	for _, a := range all {
		list = append(list, fmt.Sprintf("%v %s", a.At, a.Title))
	}
	return list
}

var (
	extension = onramp.Destination{Kind: onramp.DataExtension, Key: "Web"}
	journey   = onramp.Destination{Kind: onramp.Journey, Key: "Welcome"}
	email     = onramp.Destination{Kind: onramp.Message, Key: "hello"}
)

func stopped(d onramp.Destination, state, reason, cause string, since time.Time) onramp.Health {
	return onramp.Health{Destination: d, State: state, Reason: reason, Hint: "do something", Cause: cause, Since: since}
}

// refused is stopped by its credentials.
func refused(d onramp.Destination, reason, cause string, since time.Time) onramp.Health {
	h := stopped(d, "blocked", reason, cause, since)
	h.Refused = true
	return h
}

// n counts deliveries of one destination.
func n(state onramp.DeliveryState, count int64) map[onramp.DeliveryState]int64 {
	return map[onramp.DeliveryState]int64{state: count}
}

func (w *world) PlanRetry(context.Context, onramp.Filter, bool, func(*onramp.Delivery) bool) (r onramp.Retried, err error) {
	return r, nil
}
