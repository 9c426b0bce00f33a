package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What waits behind what is counted, and each delivery tells which one it waits for.
func TestBehind(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		check := func(what, destination string, want ...any) {
			t.Helper()
			waiting, earlier, oldest, err := w.s.Behind(t.Context(), destination)
			if err != nil {
				t.Fatal(err)
			}
			got := []any{int(waiting), int(earlier), int(oldest.Seq), w.due(oldest.DueAt)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		w.save("one", "ana1", "ana2", "bob1", "bob2", "bob3", "cid1")
		check("at first", "journey:y", 0, 0, 0, "")
		w.settle("bob1.1", pending, time.Minute)
		w.settle("cid1.1", pending, time.Second)
		check("behind nobody yet", "journey:y", 0, 0, 0, "")
		w.park("bob2.1", "bob3.1")
		w.settle("ana1.1", pending, time.Hour)
		w.park("ana2.1")
		check("behind two", "journey:y", 3, 2, 1, " due 1h0m0s")
		check("elsewhere", "data_extension:x", 0, 0, 0, "")
		check("nowhere", "none", 0, 0, 0, "")
		for waiting, first := range map[string]string{"ana1.1": "", "ana2.1": "ana1.1", "bob2.1": "bob1.1", "bob3.1": "bob1.1", "cid1.1": ""} {
			want := ""
			if first != "" {
				want = w.id(first)
			}
			if got := w.find(waiting).WaitsFor; got != want {
				t.Errorf("%s waits for %q, want %q", waiting, got, want)
			}
		}
		w.settle("ana1.1", delivered, 0)
		check("behind one", "journey:y", 2, 1, 3, " due 1m0s")
	})
}
