package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// What came in a trace has its deliveries go on with it, after a restart and a failed
// try, too; what came without one has nothing stored.
func TestTraces(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		const registered, arrived = "00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01 site=a1", "00-0af7651916cd43dd8448eb211c80319c-00000000000000bb-00"
		for _, trace := range []onramp.Trace{registered, ""} {
			r := w.registration("one", "ana")
			r.Trace = trace
			if _, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
				t.Fatal(err)
			}
			events := w.events([]int{sink}, sent("ana"+string(trace), 1, "m1"))
			events[0].Trace = onramp.Trace(map[bool]string{true: arrived}[trace != ""])
			if _, err := w.s.SaveEvents(t.Context(), "events", events); err != nil {
				t.Fatal(err)
			}
		}
		w.reopen()
		var got [][]onramp.Trace
		for _, destination := range []int{w.destination("y"), sink} {
			fresh, _, _, err := w.s.ListFresh(t.Context(), destination, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range fresh {
				traces := []onramp.Trace{d.Trace}
				if d.Event != nil {
					traces = append(traces, d.Event.Trace)
				}
				got = append(got, traces)
			}
		}
		if diff := cmp.Diff([][]onramp.Trace{{registered}, {""}, {arrived, arrived}, {"", ""}}, got); diff != "" {
			t.Error(diff)
		}
		var without int
		if err := w.db.QueryRow(`SELECT (SELECT COUNT(*) FROM registration WHERE trace IS NULL) + (SELECT COUNT(*) FROM event WHERE trace IS NULL)`).Scan(&without); err != nil || without != 2 {
			t.Errorf("%d rows without a trace, %v", without, err)
		}
	})
}
