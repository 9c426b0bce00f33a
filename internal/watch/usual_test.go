package watch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/watch"
)

// memory keeps what is to be kept over a restart.
type memory struct {
	mu   sync.Mutex
	data []byte
}

func (m *memory) LoadWatch(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, nil
}

func (m *memory) SaveWatch(_ context.Context, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = data
	return nil
}

// office gets a registration every half hour of office hours, and more when a test says so.
type office struct {
	mu     sync.Mutex
	shut   bool      // no more come
	extra  []string  // forms that get one now
	before time.Time // up to which it has told
}

func (o *office) isOpen(t time.Time) bool {
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 8 && t.Hour() < 18 && t.Minute()%30 == 0
}

func (o *office) ListArrivals(_ context.Context, after int64, since time.Time, _ []string, each func(form string, first, last time.Time, n int)) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if after == 0 {
		o.before = since.Truncate(time.Minute)
	}
	now, to := time.Now(), after
	for ; o.before.Before(now); o.before = o.before.Add(time.Minute) {
		if !o.shut && o.isOpen(o.before) {
			each("office", o.before, o.before, 1)
			to++
		}
	}
	for _, form := range o.extra {
		each(form, now, now, 1)
		to++
	}
	o.extra = nil
	return to, nil
}

func (o *office) FindRegistration(context.Context, string) (r onramp.Registration, err error) { return }

func (o *office) Timeline(context.Context, string) (items []onramp.TimelineItem, err error) { return }

func (o *office) set(shut bool, extra ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut, o.extra = shut, extra
}

// A form is unusually quiet when it has had no registration for three times as long as it
// ever had at this hour of the week: neither at night nor at a weekend, and not before
// enough is known of it. It is told until one comes.
func TestUsual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, kept := &office{}, &memory{}
		forms := []*onramp.Form{{Name: "office"}, {Name: "new"}}
		start := func() (w *watch.Watch, stop func()) {
			w, err := watch.New(t.Context(), watch.Sources{Kept: kept, Registrations: o}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			w.Change(watch.Config{Usual: true, Forms: forms})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { w.Run(ctx); close(ended) }()
			return w, func() { cancel(); <-ended }
		}
		w, stop := start() // on a Saturday
		quiet := func() []watch.QuietStatus { <-time.After(2 * time.Minute); return w.Status().Quiet }
		until := func(at time.Time) { <-time.After(time.Until(at)) }
		day := func(n, hour int) time.Time { return time.Date(2000, 1, n, hour, 0, 30, 0, time.UTC) }

		o.set(false, "new")
		for hour := range 10 * 24 { // the second Monday noon is day 10
			until(day(1, hour).Add(time.Hour))
			if q := quiet(); q != nil {
				t.Fatalf("at %v: %+v", time.Now(), q)
			}
		}
		o.set(true) // on Tuesday at midnight
		until(day(11, 10))
		if q := quiet(); q != nil {
			t.Errorf("at %v: %+v", time.Now(), q)
		}
		until(day(11, 13))
		want := []watch.QuietStatus{{Form: "office", Last: time.Date(2000, 1, 10, 17, 30, 0, 0, time.UTC), Usual: 30 * 60}}
		got := quiet()
		if len(got) == 1 {
			if since := got[0].Since; since.Before(day(11, 8)) || since.After(day(11, 12)) {
				t.Errorf("it is unusual since %v", since)
			}
			got[0].Since = time.Time{}
			got[0].Last = got[0].Last.UTC()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		stop()
		var state struct{ ReadTo int64 }
		if err := json.Unmarshal(kept.data, &state); err != nil || state.ReadTo == 0 {
			t.Errorf("kept %s, %v", kept.data, err)
		}

		w, stop = start() // again
		defer func() { stop() }()
		until(day(13, 3))
		if q := quiet(); len(q) != 1 {
			t.Errorf("after a restart: %+v", q)
		}
		o.set(false, "office")
		if q := quiet(); q != nil {
			t.Errorf("one has come: %+v", q)
		}
		stop()
		<-time.After(40 * time.Hour) // without any Onramp: that nothing came says nothing
		o.set(true)
		o.before = time.Now()
		w, stop = start()
		if q := quiet(); q != nil {
			t.Errorf("after a stop of 40 h: %+v", q)
		}
	})
}
