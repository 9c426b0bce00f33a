package alert_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/alert"
	"onramp/internal/budget"
)

// Each threshold of the year's calls alerts once, over restarts and however long it
// lasts, and again in the next year.
func TestCalls(t *testing.T) {
	t.Parallel()
	const title = "% of the calls to Marketing Cloud used"
	year := func(n int) time.Time { return time.Date(n, time.January, 1, 0, 0, 0, 0, time.UTC) }
	use := func(year int, percent int64, endsAt time.Time) func(w *world) {
		return func(w *world) {
			w.calls = budget.Usage{PerYear: 6_000_000, Used: 60_000 * percent, Percent: percent, From: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), EndsAt: endsAt}
		}
	}
	all := watching(t, alert.Config{}, func(w *world) {
		w.change(use(2026, 49, time.Time{}))
		pass(time.Hour)
		w.change(use(2026, 50, time.Time{}))
		pass(3 * time.Hour)
	}, func(w *world) {
		w.change(use(2026, 75, year(2026).AddDate(0, 9, 20)))
		pass(3 * time.Hour)
		w.change(use(2026, 92, year(2026).AddDate(0, 10, 0)))
		pass(3 * time.Hour)
	}, func(w *world) {
		pass(3 * time.Hour)
		w.change(use(2027, 0, time.Time{}))
		pass(3 * time.Hour)
		w.change(use(2027, 50, time.Time{}))
		pass(time.Hour)
	})
	want := []string{
		"onramp: 50" + title, "onramp: 75" + title, "onramp: 90" + title,
		"onramp: cleared: 50" + title + ", after 12h", "onramp: cleared: 75" + title + ", after 9h",
		"onramp: cleared: 90" + title + ", after 6h", "onramp: 50" + title,
	}
	var got []string
	for _, a := range all {
		got = append(got, a.Title)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const text = "cause: 75% of 6000000 calls are used in the contract's year that began on 2026-01-01; " +
		"at the pace of the last seven days the calls of the contract's year are used up on 2026-10-21\nwaiting: 0 deliveries\n"
	if len(all) > 1 && all[1].Text[:len(text)] != text {
		t.Errorf("the alert says %q, want %q", all[1].Text, text)
	}
}
