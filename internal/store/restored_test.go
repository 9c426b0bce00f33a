package store_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// What a restored backup holds as still to be sent may have gone out since: what
// would do harm then waits for an operator, now or when it is its turn.
func TestHoldRestored(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana", "ben")
		w.save("one", "bob", "cat", "cat2", "dan", "eve")
		w.settle("cat.1", pending, time.Minute)
		w.park("cat2.1")
		w.settle("dan.1", dead, 0)
		w.settle("eve.1", delivered, 0)
		w.settle("ben.1", pending, time.Minute)

		w.backup = true
		w.reopen()
		w.hold(3)
		const why = " reason the database was restored: this may have gone out after the backup was made"
		want := []string{
			"ana.1 pending", "ana.2 waiting", "ben.1 pending tries 1 due 1m0s", "ben.2 waiting due never",
			"bob.1 unknown settled 0s" + why, "cat.1 unknown tries 1 settled 0s" + why, "cat2.1 unknown settled 0s" + why,
			"dan.1 dead tries 1 settled 0s reason answered; correct it", "eve.1 delivered tries 1 settled 0s",
		}
		w.wantRows(want...)
		w.checkCounts()

		w.backup = false
		w.reopen()
		w.hold(0) // once is enough, also for what is accepted from now on
		w.save("both", "fay")
		w.settle("ana.1", delivered, 0)
		w.settle("ben.1", delivered, 0)
		w.settle("fay.1", delivered, 0)
		w.retry("bob.1")
		for delivery, want := range map[string]onramp.DeliveryState{"ana.2": unknown, "ben.2": unknown, "fay.2": pending, "bob.1": pending} {
			if d := w.find(delivery); d.State != want {
				t.Errorf("%s is %s, want %s", delivery, d.State, want)
			}
		}
		w.retry("ana.2")
		w.settle("ana.2", delivered, 0)
		w.checkCounts()
	})
}

// hold has the store see to a restored database.
func (w *world) hold(want int) {
	w.t.Helper()
	held, err := w.s.HoldRestored(w.t.Context(), slices.Collect(maps.Values(w.forms)))
	if err != nil || held != want {
		w.t.Errorf("%d held, %v; want %d", held, err, want)
	}
}
