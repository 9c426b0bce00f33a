package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
)

// Counts of calls add up, whoever brings them, and are there after a restart. A batch
// that comes twice counts once.
func TestCalls(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		add := func(id string, counts ...budget.Count) []budget.Count {
			t.Helper()
			all, err := w.s.AddCalls(t.Context(), budget.Batch{ID: id, Counts: counts}, 20001)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		add("a", budget.Count{Day: 20000, Kind: budget.Rows, N: 7}, budget.Count{Day: 20001, Kind: budget.Rows, N: 2})
		add("b", budget.Count{Day: 20001, Kind: budget.Rows, N: 3}, budget.Count{Day: 20001, Kind: budget.Token, N: 1})
		add("b", budget.Count{Day: 20001, Kind: budget.Rows, N: 3}, budget.Count{Day: 20001, Kind: budget.Token, N: 1})
		w.reopen()
		got := map[budget.Count]int64{}
		for _, c := range add("c") {
			got[budget.Count{Day: c.Day, Kind: c.Kind}] = c.N
		}
		want := map[budget.Count]int64{{Day: 20001, Kind: budget.Rows}: 5, {Day: 20001, Kind: budget.Token}: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
