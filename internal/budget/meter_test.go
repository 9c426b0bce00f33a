package budget_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
)

// keeper keeps counts in memory. While it is down it fails; lost has it add the batch
// all the same.
type keeper struct {
	n          map[budget.Count]int64
	last       string
	down, lost bool
}

func (k *keeper) AddCalls(_ context.Context, b budget.Batch, from budget.Day) (all []budget.Count, err error) {
	if k.down {
		err = errors.New("down")
	}
	if b.ID != k.last && (err == nil || k.lost) {
		k.last = b.ID
		for _, c := range b.Counts {
			k.n[budget.Count{Day: c.Day, Kind: c.Kind}] += c.N
		}
	}
	for c, n := range k.n {
		if c.Day >= from {
			all = append(all, budget.Count{Day: c.Day, Kind: c.Kind, N: n})
		}
	}
	return all, err
}

// world is a meter with a clock to set.
type world struct {
	t      *testing.T
	now    time.Time
	keeper *keeper
	meter  *budget.Meter
}

func newWorld(t *testing.T, now string, c budget.Contract) *world {
	t.Helper()
	w := &world{t: t, now: at(now), keeper: &keeper{n: map[budget.Count]int64{}}}
	w.open(c)
	return w
}

func (w *world) open(c budget.Contract) {
	w.t.Helper()
	var err error
	if w.meter, err = budget.Open(w.t.Context(), w.keeper, c, func() time.Time { return w.now }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(k budget.Kind, n int) {
	for range n {
		w.meter.Count(k)
	}
}

func (w *world) save() error { return w.meter.Save(w.t.Context()) }

// Counts are by kind, day and the contract's year, over restarts and a new year, and
// with what other processes have counted.
func TestUsage(t *testing.T) {
	t.Parallel()
	contract := budget.Contract{PerYear: 40_000, Month: time.April, Day: 1}
	w := newWorld(t, "2026-03-30 12:00", contract)
	w.count(budget.Rows, 700)
	w.now = at("2026-04-01 06:00")
	w.count(budget.Rows, 10)
	w.count(budget.Token, 1)
	if err := w.save(); err != nil {
		t.Fatal(err)
	}
	w.count(budget.Rows, 5)
	w.now = at("2026-04-02 12:00")
	w.count(budget.Journey, 40)
	w.keeper.n[budget.Count{Day: budget.DayOf(w.now), Kind: budget.Journey}] += 2 // another process
	if err := w.save(); err != nil {
		t.Fatal(err)
	}
	want := budget.Usage{
		State: "ok", Reason: "at the pace of the last seven days the calls of the contract's year are used up on 2026-10-03",
		Today: map[budget.Kind]int64{budget.Journey: 42}, Year: map[budget.Kind]int64{budget.Rows: 15, budget.Token: 1, budget.Journey: 42},
		Used: 58, PerYear: 40_000, Share: 109, PerDay: 217, // 758 in three days and a half
		From: at("2026-04-01 00:00"), To: at("2027-04-01 00:00"), EndsAt: at("2026-10-03 00:00"),
	}
	for _, when := range []string{"before", "after a restart"} {
		got := w.meter.Usage()
		got.EndsAt = got.EndsAt.Truncate(24 * time.Hour)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(when, diff)
		}
		w.open(contract)
	}
	w.now = at("2027-04-01 00:00")
	want = budget.Usage{
		State: "ok", Today: map[budget.Kind]int64{}, Year: map[budget.Kind]int64{}, PerYear: 40_000, From: at("2027-04-01 00:00"), To: at("2028-04-01 00:00"),
	}
	if diff := cmp.Diff(want, w.meter.Usage()); diff != "" {
		t.Error(diff)
	}
}

// What could not be kept, or perhaps was, is kept once in the end.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"nothing was kept": false, "it was kept all the same": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "2026-03-30 12:00", budget.Contract{})
			w.keeper.down, w.keeper.lost = true, lost
			w.count(budget.Rows, 3)
			for range 2 {
				if err := w.save(); err == nil {
					t.Fatal("no error")
				}
				w.count(budget.Rows, 1)
			}
			if n := w.meter.Usage().Used; n != 5 {
				t.Errorf("%d calls while the keeper is down, want 5", n)
			}
			w.keeper.down = false
			if err := w.save(); err != nil {
				t.Fatal(err)
			}
			kept := w.keeper.n[budget.Count{Day: budget.DayOf(w.now), Kind: budget.Rows}]
			if n := w.meter.Usage().Used; n != 5 || kept != 5 {
				t.Errorf("%d calls and %d kept, want 5", n, kept)
			}
		})
	}
}

// A first hour says little about a year, and calls that are saved today are not saved
// tomorrow, until that day's share is used up.
func TestSaving(t *testing.T) {
	t.Parallel()
	short, long := budget.Saving{Wait: time.Minute, Reason: budget.PaceTooHigh}, budget.Saving{Wait: 5 * time.Minute, Reason: budget.PaceTooHigh}
	w := newWorld(t, "2026-01-01 00:10", budget.Contract{PerYear: 36_500})
	for _, step := range []struct {
		at    string
		calls int
		want  budget.Saving
	}{
		{"2026-01-01 00:10", 90, budget.Saving{}},
		{"2026-01-01 01:00", 9, budget.Saving{}},
		{"2026-01-01 02:00", 3, short},
		{"2026-01-01 23:59", 98, long},
		{"2026-01-02 00:01", 0, budget.Saving{}},
		{"2026-01-02 12:00", 98, budget.Saving{}},
		{"2026-01-02 13:00", 3, short},
		{"2026-01-09 00:00", 0, budget.Saving{}},
		{"2026-01-09 12:00", 150, budget.Saving{Wait: time.Minute, Reason: budget.PaceTooHigh}},
	} {
		w.now = at(step.at)
		w.count(budget.Rows, step.calls)
		if diff := cmp.Diff(step.want, w.meter.Saving()); diff != "" {
			t.Error(step.at, diff)
		}
	}
	w.meter.Change(budget.Contract{PerYear: 1_000_000})
	if diff := cmp.Diff(budget.Saving{}, w.meter.Saving()); diff != "" {
		t.Error("a larger contract:", diff)
	}
}
