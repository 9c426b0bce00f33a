package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// names lists deliveries by the test's names for them; behind ones in brackets.
func (w *world) deliveryNames(deliveries []onramp.Delivery) string {
	var texts []string
	for _, d := range deliveries {
		text := fmt.Sprint(w.names[d.RegistrationID], ".", d.Step)
		if d.Behind {
			text = "(" + text + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func TestListFresh(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		x, y := w.destination("x"), w.destination("y")
		list := func(destination int, after int64, n int) string {
			t.Helper()
			found, to, more, err := w.s.ListFresh(t.Context(), destination, after, n)
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(w.deliveryNames(found), " to ", to)
			if more {
				text += " and on"
			}
			return text
		}
		check := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		check(list(x, 0, 10), " to 0")
		w.save("both", "ana1", "bob1")       // 1 2, 3 4
		w.save("one", "ana2", "bob2")        // 5, 6
		w.save("both", "ana3", "cem", "dan") // 7 8, 9 10, 11 12
		check(list(x, 0, 10), "ana1.1 bob1.1 ana3.1 cem.1 dan.1 to 12")
		check(list(x, 0, 2), "ana1.1 bob1.1 to 3 and on")
		check(list(x, 3, 2), "ana3.1 cem.1 to 9 and on")
		check(list(x, 9, 2), "dan.1 to 12")
		check(list(x, 12, 2), " to 12")
		check(list(y, 0, 10), "ana1.2 bob1.2 ana2.1 bob2.1 ana3.2 cem.2 dan.2 to 12")
		w.settle("ana1.1", pending, time.Minute) // parks ana1.2, too
		w.settle("bob1.1", delivered, 0)
		w.settle("cem.1", dead, 0)
		check(list(x, 0, 10), "(ana3.1) dan.1 to 12")
		check(list(y, 0, 10), "bob1.2 (ana2.1) bob2.1 (ana3.2) dan.2 to 12")
		w.reopen()
		check(list(y, 4, 10), "(ana2.1) bob2.1 (ana3.2) dan.2 to 12")
		check(list(99, 0, 10), " to 12")
	})
}

// Some are read by their seqs, as far as they are still fresh, and not too much
// at once.
func TestListFreshOf(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		list := func(seqs ...int64) string {
			t.Helper()
			found, to, err := w.s.ListFreshOf(t.Context(), seqs)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(w.deliveryNames(found), " to ", to)
		}
		w.save("both", "ana1", "bob1", "cem1")        // 1 2, 3 4, 5 6
		w.save("one", "ana2", "bob2", "cem2", "dan1") // 7, 8, 9, 10
		w.settle("ana1.1", pending, time.Minute)      // parks ana1.2, too
		w.settle("bob1.1", delivered, 0)
		w.settle("cem2.1", dead, 0)
		var many []int64
		for seq := int64(1); seq <= 200; seq++ {
			many = append(many, seq)
		}
		got := []string{list(), list(10), list(1, 2, 3, 4, 5), list(4, 6, 7, 8, 9, 10), list(many...)}
		want := []string{
			" to 0", "dan1.1 to 10", "bob1.2 cem1.1 to 5", "bob1.2 cem1.2 (ana2.1) bob2.1 dan1.1 to 10",
			"bob1.2 cem1.1 cem1.2 (ana2.1) bob2.1 dan1.1 to 200",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if _, err := w.db.Exec(`UPDATE registration SET data = $1`, strings.Repeat(" ", store.PageBytes/2)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("cem1.2 (ana2.1) to 7", list(6, 7, 8, 9, 10)); diff != "" {
			t.Error(diff)
		}
		found, to, more, err := w.s.ListFresh(t.Context(), w.destination("y"), 0, 10)
		if err != nil || len(found) != 2 || to != 6 || !more {
			t.Errorf("%d are large, to %d, more: %v, %v", len(found), to, more, err)
		}
		for _, name := range []string{"bob1.2", "cem1.2", "dan1.1"} {
			w.settle(name, pending, time.Second)
		}
		w.clock.advance(time.Minute)
		found, next, err := w.s.ListDue(t.Context(), w.destination("y"), 10, w.clock.now(), 10)
		if err != nil || len(found) != 2 || !next.Equal(w.clock.now()) {
			t.Errorf("%d large ones are due, next at %v, %v", len(found), next, err)
		}
	})
}

// However many are settled behind one that is not, they are looked at in pieces:
// no statement takes long.
func TestListFreshSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	const span = 500
	w.fill(2*span + 10)
	if _, err := w.db.Exec(`UPDATE delivery SET state = 5, due_at = NULL`); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.s.LookThroughFresh(span)
	type page struct {
		Found int
		To    int64
		More  bool
	}
	var got []page
	for to, more := int64(0), true; more; {
		var found []onramp.Delivery
		var err error
		if found, to, more, err = w.s.ListFresh(t.Context(), w.destination("x"), to, 10); err != nil {
			t.Fatal(err)
		}
		got = append(got, page{len(found), to, more})
	}
	want := []page{{0, span, true}, {0, 2 * span, true}, {0, 2*span + 10, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.reset()
}

func TestReadMark(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		for _, seq := range []int64{2, 1} {
			if err := w.s.SavePosition(t.Context(), w.destination("y"), seq, 0); err != nil {
				t.Fatal(err)
			}
			for key, want := range map[string]int64{"x": 0, "y": seq} {
				if got, _, err := w.s.Resume(t.Context(), onramp.Destination{ID: w.destination(key)}); err != nil || got != want {
					t.Errorf("%s is read to %d, %v; want %d", key, got, err, want)
				}
			}
			w.reopen()
		}
		if _, _, err := w.s.Resume(t.Context(), onramp.Destination{ID: 99}); err == nil {
			t.Error("a destination that is not there was read")
		}
	})
}

func TestDue(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		y := w.destination("y")
		check := func(when, want, next string) {
			t.Helper()
			found, at, err := w.s.ListDue(t.Context(), y, 4, w.clock.now(), 2)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{want, next}, []string{w.deliveryNames(found), w.due(at)}); diff != "" {
				t.Error(when, diff)
			}
		}
		w.save("one", "ana", "bob", "cem", "dan", "eve")
		check("fresh", "", "")
		w.settle("ana.1", pending, 3*time.Minute)
		w.settle("bob.1", pending, 2*time.Minute)
		w.settle("cem.1", pending, time.Minute)
		w.settle("eve.1", pending, time.Second) // after what was read
		check("parked", "", " due 1s")
		w.clock.advance(time.Minute)
		check("one is due", "cem.1", " due 1m0s")
		w.clock.advance(time.Hour)
		check("all are due, the longest overdue first", "cem.1 bob.1", " due 0s")
		w.settle("cem.1", delivered, 0)
		check("one is delivered", "bob.1 ana.1", " due 0s")
		w.save("one", "ana2")
		w.park("ana2.1")
		check("one is behind another", "bob.1 ana.1", " due 0s")
		_, other, err := w.s.ListDue(t.Context(), w.destination("x"), 4, begin, 2)
		if err != nil || !other.IsZero() {
			t.Errorf("the other destination's next is %v, %v", other, err)
		}
	})
}

// What is asked to be parked is parked only behind an earlier one, or waiting. All
// that are parked are named, also those that were before.
func TestPark(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "bob1", "ana2")
		w.settle("ana1.1", pending, time.Minute)
		w.settle("bob1.1", delivered, 0)
		got := w.park("ana1.1", "ana2.1", "bob1.1", "bob1.2", "ana2.2")
		if diff := cmp.Diff(map[int64]bool{1: true, 5: true, 6: true}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[int64]bool{5: true, 6: true}, w.park("ana2.1", "ana2.2")); diff != "" {
			t.Error("again:", diff)
		}
		w.wantRows("ana1.1 pending tries 1 due 1m0s", "ana1.2 waiting due never", "bob1.1 delivered tries 1 settled 0s",
			"bob1.2 pending", "ana2.1 pending due never", "ana2.2 waiting due never")
	})
}

func TestRetryDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before   func(w *world)
		conflict string
		rows     []string
	}{
		"fresh": {func(*world) {}, "this one is pending", []string{"ana.1 pending", "ana.2 waiting"}},
		"parked": {
			func(w *world) { w.settle("ana.1", pending, time.Hour) }, "",
			[]string{"ana.1 pending due 0s", "ana.2 waiting due never"},
		},
		"dead": {
			func(w *world) { w.settle("ana.1", dead, 0) }, "",
			[]string{"ana.1 pending due 0s", "ana.2 waiting due never"},
		},
		"unknown": {
			func(w *world) { w.settle("ana.1", unknown, 0) }, "",
			[]string{"ana.1 pending due 0s", "ana.2 waiting due never"},
		},
		"delivered": {
			func(w *world) { w.settle("ana.1", delivered, 0) }, "this one is delivered",
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 pending"},
		},
		"discarded": {
			func(w *world) { w.discard("ana.1") }, "this one is discarded",
			[]string{"ana.1 discarded settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.save("both", "ana")
				c.before(w)
				checkConflict(t, w.s.RetryDelivery(t.Context(), w.id("ana.1"), false), c.conflict)
				w.wantRows(c.rows...)
				checkConflict(t, w.s.RetryDelivery(t.Context(), w.id("ana.99"), false), "no such delivery")
			})
		})
	}
}

func TestDiscardDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before   func(w *world)
		conflict string
		rows     []string
	}{
		"fresh": {func(*world) {}, "", []string{"ana.1 discarded settled 0s reason a test", "ana.2 discarded settled 0s reason a test"}},
		"parked": {
			func(w *world) { w.settle("ana.1", pending, time.Hour) }, "",
			[]string{"ana.1 discarded tries 1 settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
		"dead": {
			func(w *world) { w.settle("ana.1", dead, 0) }, "",
			[]string{"ana.1 discarded tries 1 settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
		"unknown": {
			func(w *world) { w.settle("ana.1", unknown, 0) }, "",
			[]string{"ana.1 discarded tries 1 settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
		"delivered": {
			func(w *world) { w.settle("ana.1", delivered, 0) }, "a delivery that is delivered can't be discarded",
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 pending"},
		},
		"discarded": {
			func(w *world) { w.discard("ana.1") }, "", // the first answer may have been lost
			[]string{"ana.1 discarded settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
		"discarded for another reason": {
			func(w *world) {
				if err := w.s.DiscardDelivery(context.Background(), w.id("ana.1"), "another"); err != nil {
					w.t.Fatal(err)
				}
			}, "a delivery that is discarded can't be discarded",
			[]string{"ana.1 discarded settled 0s reason another", "ana.2 discarded settled 0s reason another"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.save("both", "ana")
				c.before(w)
				if w.find("ana.2").State.String() == "waiting" {
					checkConflict(t, w.s.DiscardDelivery(t.Context(), w.id("ana.2"), "a test"), "a delivery that is waiting can't be discarded")
				}
				checkConflict(t, w.s.DiscardDelivery(t.Context(), w.id("ana.1"), "a test"), c.conflict)
				w.wantRows(c.rows...)
			})
		})
	}
}

func checkConflict(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want %q", err, want)
	}
}

// The bells ring for those whose turn it is, and for nobody else.
func TestBells(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		rung := func() string {
			var texts []string
			for _, key := range []string{"x", "y"} {
				fresh, due := w.s.Wake(w.destination(key))
				for bell, c := range map[string]<-chan struct{}{"fresh": fresh, "due": due} {
					select {
					case <-c:
						texts = append(texts, bell+" "+key)
					default:
					}
				}
			}
			return strings.Join(texts, ", ")
		}
		check := func(what, want string) {
			t.Helper()
			got := rung()
			if got != want && got != strings.Join([]string{strings.TrimPrefix(want, "fresh x, "), "fresh x"}, ", ") {
				t.Errorf("%s rang %q, want %q", what, got, want)
			}
		}
		w.save("both", "ana1", "bob")
		check("saving two steps", "fresh x, fresh y")
		w.save("one", "ana2")
		check("saving one step", "fresh y")
		w.settle("bob.1", delivered, 0)
		check("a step that starts in memory", "")
		w.settle("ana1.1", pending, time.Minute)
		check("parking", "")
		w.park("ana2.1")
		check("parking behind", "")
		w.settle("ana1.1", delivered, 0)
		check("a parked step that starts", "due y")
		w.settle("ana1.2", dead, 0)
		check("the next of the key", "due y")
		w.retry("ana1.2")
		check("a retry by hand", "due y")
	})
}
