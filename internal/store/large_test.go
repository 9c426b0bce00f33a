package store_test

import (
	"fmt"
	"strings"
	"testing"

	"onramp/internal/onramp"
)

// Lists of large events end by their bytes, and lead on to all others.
func TestLargePages(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		sink := w.withEvents()
		const events, each = 200, 60 << 10 // 12 MB
		bodies := make([]string, events)
		for i := range bodies {
			bodies[i] = `{"eventCategoryType":"A.B","n":` + fmt.Sprint(i) + `,"x":"` + strings.Repeat("x", each) + `"}`
		}
		if n := w.receive([]int{sink}, bodies...); n != events {
			t.Fatal(n)
		}
		const most = 4<<20 + 2*each
		check := func(name string, pages, items, size int) {
			if items != events || size > most || pages < 3 {
				t.Errorf("%s: %d items on %d pages of at most %d bytes", name, items, pages, size)
			}
		}

		cursor, pages, items, largest := "", 0, 0, 0
		for {
			page, next, _, err := w.s.ListEvents(ctx, onramp.EventFilter{Type: "A.*", Cursor: cursor, Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, e := range page {
				size += len(e.Body)
			}
			cursor, pages, items, largest = next, pages+1, items+len(page), max(largest, size)
			if next == "" {
				break
			}
		}
		check("events", pages, items, largest)

		cursor, pages, items, largest = "", 0, 0, 0
		for {
			page, next, _, err := w.s.ListDeliveries(ctx, onramp.Filter{Cursor: cursor, Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			cursor, pages, items, largest = next, pages+1, items+len(page), max(largest, sizeOf(page))
			if next == "" {
				break
			}
		}
		check("deliveries", pages, items, largest)

		var seqs []int64
		to, pages, items, largest := int64(0), 0, 0, 0
		for {
			page, next, more, err := w.s.ListFresh(ctx, sink, to, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				seqs = append(seqs, d.Seq)
			}
			to, pages, items, largest = next, pages+1, items+len(page), max(largest, sizeOf(page))
			if items == events {
				break
			}
			if !more {
				t.Fatalf("there are no more than %d", items)
			}
		}
		check("fresh deliveries", pages, items, largest)

		if _, err := w.db.Exec(`UPDATE delivery SET due_at = 1`); err != nil {
			t.Fatal(err)
		}
		page, again, err := w.s.ListDue(ctx, sink, to, w.clock.now(), 1000)
		if err != nil || again.After(w.clock.now()) || sizeOf(page) > most || page[0].Seq != seqs[0] {
			t.Errorf("%d deliveries are due, again at %v, %v", len(page), again, err)
		}
		rows, err := w.s.ListEventsAfter(ctx, 0, 1000)
		if err != nil || len(rows) == 0 || len(rows) > 100 || rows[0].Seq != 1 {
			t.Errorf("%d events for the rules, %v", len(rows), err)
		}
	})
}

func sizeOf(page []onramp.Delivery) (size int) {
	for i := range page {
		size += len(page[i].Values)
	}
	return size
}
