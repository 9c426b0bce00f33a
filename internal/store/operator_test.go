package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// fail settles a delivery with an outcome of its own, and so with a cause.
func (w *world) fail(delivery string, state onramp.DeliveryState, o onramp.Outcome) (cause string) {
	w.t.Helper()
	s := w.settlement(w.find(delivery), state, 0)
	o.Verdict = verdicts[state]
	s.Attempt.Outcome = o
	if _, err := w.s.Settle(context.Background(), []onramp.Settlement{s}); err != nil {
		w.t.Fatal(err)
	}
	return o.Cause()
}

// exec changes the tables behind the store's back.
func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(statement, args...); err != nil {
		w.t.Fatal(err)
	}
}

var (
	badColumn = onramp.Outcome{Status: 400, Code: 10006, Detail: "no such column 1", Hint: "correct it"}
	badKey    = onramp.Outcome{Status: 400, Code: 10007, Detail: "no such key", Hint: "correct the key"}
)

// failures fills a world with dead letters of two causes and two forms, and two
// that are unknown; it returns the causes' names.
func failures(w *world) (column, key, lost string) {
	w.save("both", "ana1", "bob1", "cem1", "dan1")
	w.save("one", "eve1", "fay1", "gus1")
	column = w.fail("ana1.1", dead, badColumn)
	w.settle("bob1.1", delivered, 0)
	again := badColumn
	again.Detail, again.Hint = "no such column 22", "correct it now"
	w.fail("bob1.2", dead, again)
	w.fail("cem1.1", dead, again)
	key = w.fail("eve1.1", dead, badKey)
	lost = w.fail("fay1.1", unknown, onramp.Outcome{Detail: "no answer"})
	w.fail("gus1.1", unknown, onramp.Outcome{Detail: "no answer"})
	w.discard("dan1.1")
	return column, key, lost
}

func TestListCauses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		column, key, lost := failures(w)
		if column == key || key == lost {
			t.Fatalf("the causes are %s, %s, %s", column, key, lost)
		}
		const x, y = "data_extension:x", "journey:y"
		atX := onramp.CauseGroup{Cause: column, Destination: x, State: dead, Reason: "no such column 22; correct it now", Count: 2, Oldest: w.id("ana1.1"), Newest: w.id("cem1.1")}
		atY := onramp.CauseGroup{Cause: column, Destination: y, State: dead, Reason: "no such column 22; correct it now", Count: 1, Oldest: w.id("bob1.2"), Newest: w.id("bob1.2")}
		one := onramp.CauseGroup{Cause: key, Destination: y, State: dead, Reason: "no such key; correct the key", Count: 1, Oldest: w.id("eve1.1"), Newest: w.id("eve1.1")}
		kept := onramp.CauseGroup{Cause: lost, Destination: y, State: unknown, Reason: "no answer", Count: 2, Oldest: w.id("fay1.1"), Newest: w.id("gus1.1")}
		for _, c := range []struct {
			filter onramp.Filter
			want   []onramp.CauseGroup
		}{
			{onramp.Filter{}, []onramp.CauseGroup{kept, atX, one, atY}},
			{onramp.Filter{State: "dead"}, []onramp.CauseGroup{atX, one, atY}},
			{onramp.Filter{State: "unknown"}, []onramp.CauseGroup{kept}},
			{onramp.Filter{Form: "both"}, []onramp.CauseGroup{atX, atY}},
			{onramp.Filter{Form: "one", State: "dead"}, []onramp.CauseGroup{one}},
			{onramp.Filter{Destination: y, State: "dead"}, []onramp.CauseGroup{one, atY}},
			{onramp.Filter{Since: begin, Until: begin.Add(time.Second), State: "unknown"}, []onramp.CauseGroup{kept}},
			{onramp.Filter{Since: begin.Add(time.Second)}, nil},
			{onramp.Filter{Until: begin}, nil},
			{onramp.Filter{Cause: column}, []onramp.CauseGroup{atX, atY}},
			{onramp.Filter{Cause: "\x00"}, nil},
		} {
			got, err := w.s.ListCauses(t.Context(), c.filter)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%+v: %v (-want +got):\n%s", c.filter, err, diff)
			}
		}
		for message, f := range map[string]onramp.Filter{
			`there is no form "nobody": use both, one`:                     {Form: "nobody"},
			`there is no destination "x": use data_extension:x, journey:y`: {Destination: "x"},
		} {
			_, causesErr := w.s.ListCauses(t.Context(), f)
			_, retryErr := w.s.RetryDeliveries(t.Context(), f, false, nil)
			_, _, discardErr := w.s.DiscardDeliveries(t.Context(), f, "a test")
			for _, err := range []error{causesErr, retryErr, discardErr} {
				if wantKind(t, message, err, onramp.Malformed); err != nil && err.Error() != message {
					t.Errorf("got %v, want %s", err, message)
				}
			}
		}
		for _, state := range []string{"delivered", "discarded", "pending", "nonsense"} {
			_, err := w.s.ListCauses(t.Context(), onramp.Filter{State: state})
			wantKind(t, state, err, onramp.Malformed)
		}

		// what failed before there were causes has none, and is not forgotten
		w.exec(`UPDATE delivery SET cause = NULL, reason = NULL WHERE state = 9`)
		kept.Cause, kept.Reason = "", ""
		got, err := w.s.ListCauses(t.Context(), onramp.Filter{State: "unknown"})
		if diff := cmp.Diff([]onramp.CauseGroup{kept}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestListDeliveriesOfCause(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		column, key, lost := failures(w)
		for _, c := range []struct {
			filter onramp.Filter
			want   string
		}{
			{onramp.Filter{Cause: column}, "cem1.1 bob1.2 ana1.1"},
			{onramp.Filter{Cause: column, Form: "one"}, ""},
			{onramp.Filter{Cause: key, State: "dead"}, "eve1.1"},
			{onramp.Filter{Cause: key, State: "unknown"}, ""},
			{onramp.Filter{Cause: lost, Query: "FAY"}, "fay1.1"},
			{onramp.Filter{Cause: "nonsense"}, ""},
			{onramp.Filter{Cause: "\x00"}, ""},
			{onramp.Filter{State: "dead"}, "eve1.1 cem1.1 bob1.2 ana1.1"},
		} {
			page, next, _, err := w.s.ListDeliveries(t.Context(), c.filter)
			if got := w.deliveryNames(page); got != c.want || next != "" || err != nil {
				t.Errorf("%+v: got %q, next %q, %v; want %q", c.filter, got, next, err, c.want)
			}
		}
		page, next, _, err := w.s.ListDeliveries(t.Context(), onramp.Filter{Cause: column, Limit: 2})
		if err != nil || w.deliveryNames(page) != "cem1.1 bob1.2" || page[0].Cause != column {
			t.Errorf("a page is %v, %v", w.deliveryNames(page), err)
		}
		page, next, _, err = w.s.ListDeliveries(t.Context(), onramp.Filter{Cause: column, Limit: 2, Cursor: next})
		if err != nil || w.deliveryNames(page) != "ana1.1" || next != "" {
			t.Errorf("the next page is %v, %q, %v", w.deliveryNames(page), next, err)
		}
	})
}

func TestRetryDeliveries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter func(column, key, lost string) onramp.Filter
		want   string
	}{
		"all dead":           {func(string, string, string) onramp.Filter { return onramp.Filter{} }, "ana1.1 bob1.2 cem1.1 eve1.1"},
		"a cause":            {func(c, _, _ string) onramp.Filter { return onramp.Filter{Cause: c} }, "ana1.1 bob1.2 cem1.1"},
		"a form":             {func(string, string, string) onramp.Filter { return onramp.Filter{Form: "one"} }, "eve1.1"},
		"both":               {func(c, _, _ string) onramp.Filter { return onramp.Filter{Cause: c, Form: "one", State: "dead"} }, ""},
		"a destination":      {func(string, string, string) onramp.Filter { return onramp.Filter{Destination: "data_extension:x"} }, "ana1.1 cem1.1"},
		"a time":             {func(string, string, string) onramp.Filter { return onramp.Filter{Since: begin.Add(time.Second)} }, ""},
		"unknown":            {func(string, string, string) onramp.Filter { return onramp.Filter{State: "unknown"} }, "fay1.1 gus1.1"},
		"unknown, a cause":   {func(_, _, l string) onramp.Filter { return onramp.Filter{State: "unknown", Cause: l} }, "fay1.1 gus1.1"},
		"a cause of unknown": {func(_, _, l string) onramp.Filter { return onramp.Filter{Cause: l} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				column, key, lost := failures(w)
				before := w.states()
				r, err := w.s.RetryDeliveries(t.Context(), c.filter(column, key, lost), false, nil)
				if want := len(strings.Fields(c.want)); err != nil || r.Count != int64(want) {
					t.Errorf("retried %d, %v; want %d", r.Count, err, want)
				}
				for d, was := range before {
					want := was
					switch name, step, _ := strings.Cut(d, "."); {
					case strings.Contains(" "+c.want+" ", " "+d+" "):
						want = "pending due 0s" // its tries start anew, and why it was dead is no longer said
					case step == "2" && strings.Contains(c.want, name+".1"):
						want = "waiting due never"
					}
					if got := w.states()[d]; got != want {
						t.Errorf("%s is %q, want %q", d, got, want)
					}
				}
				for d := range strings.FieldsSeq(c.want) {
					if got := w.find(d); got.Cause != "" {
						t.Errorf("%s still has the cause %q", d, got.Cause)
					}
				}
			})
		})
	}
}

// states is how each delivery stands.
func (w *world) states() map[string]string {
	w.t.Helper()
	states := map[string]string{}
	for _, row := range w.rows() {
		name, state, _ := strings.Cut(row, " ")
		states[name] = state
	}
	return states
}

func TestDiscardDeliveries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		column, _, _ := failures(w)
		for _, c := range []struct {
			filter   onramp.Filter
			n, later int64
		}{
			{onramp.Filter{Cause: column, Form: "both", Since: begin.Add(time.Second)}, 0, 0},
			{onramp.Filter{Cause: column, Form: "both", Destination: "journey:y"}, 1, 0},
			{onramp.Filter{Cause: column, Form: "both"}, 2, 2},
			{onramp.Filter{Cause: column}, 0, 0},
			{onramp.Filter{State: "unknown", Form: "one"}, 2, 0},
			{onramp.Filter{}, 1, 0},
		} {
			n, later, err := w.s.DiscardDeliveries(t.Context(), c.filter, "a \x00 test")
			if n != c.n || later != c.later || err != nil {
				t.Errorf("%+v: discarded %d and %d later steps, %v; want %d and %d", c.filter, n, later, err, c.n, c.later)
			}
		}
		const gone, taken = "discarded tries 1 settled 0s reason a \ufffd test", "discarded settled 0s reason a \ufffd test"
		w.wantRows("ana1.1 "+gone, "ana1.2 "+taken, "bob1.1 delivered tries 1 settled 0s", "bob1.2 "+gone, "cem1.1 "+gone, "cem1.2 "+taken,
			"dan1.1 discarded settled 0s reason a test", "dan1.2 discarded settled 0s reason a test", "eve1.1 "+gone, "fay1.1 "+gone, "gus1.1 "+gone)
		if groups, err := w.s.ListCauses(t.Context(), onramp.Filter{}); err != nil || len(groups) > 0 {
			t.Errorf("the causes are still %v, %v", groups, err)
		}
		if cause := w.find("ana1.1").Cause; cause != "" {
			t.Errorf("what is discarded has the cause %q", cause)
		}
		for _, change := range []func(f onramp.Filter) (int64, error){
			func(f onramp.Filter) (int64, error) {
				r, err := w.s.RetryDeliveries(t.Context(), f, false, nil)
				return r.Count, err
			},
			func(f onramp.Filter) (int64, error) {
				n, _, err := w.s.DiscardDeliveries(t.Context(), f, "x")
				return n, err
			},
		} {
			_, err := change(onramp.Filter{State: "pending"})
			wantKind(t, "pending", err, onramp.Malformed)
		}
	})
}

// many are names of registrations, each with a key of its own.
func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p%dx", i)
	}
	return names
}

// kill has the first deliveries of registrations dead, all by one write.
func (w *world) kill(names []string) {
	w.t.Helper()
	var settlements []onramp.Settlement
	for _, name := range names {
		if d := w.find(name + ".1"); d.State == pending {
			settlements = append(settlements, w.settlement(d, dead, 0))
		}
	}
	if _, err := w.s.Settle(context.Background(), settlements); err != nil {
		w.t.Fatal(err)
	}
}

// between is a context that has something done each time it is asked whether it
// has ended, as a bulk asks before each of its portions.
type between struct {
	context.Context
	do func()
}

func (b between) Err() error {
	b.do()
	return b.Context.Err()
}

// A bulk is written in portions, the oldest first. Meanwhile the first one dies
// again and others die for the first time: none of these is taken. Nor is one
// that somebody else has retried, or, when a cause is named, one that now has
// another.
func TestBulkPortions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const n = 205
		w.save("one", "old")
		w.save("one", many(n)...)
		w.kill(many(n))
		w.save("one", "new")
		cause := w.find("p0x.1").Cause
		for _, f := range []onramp.Filter{{Cause: cause}, {}} {
			var commits int64
			done := false
			r, err := w.s.RetryDeliveries(between{t.Context(), func() {
				if done || w.find("p0x.1").State != pending {
					return
				}
				done = true
				if young, old := w.find("p199x.1").State, w.find("p200x.1").State; young != pending || old != dead {
					t.Errorf("after the first portion the 200th is %s and the next one %s", young, old)
				}
				for _, d := range []string{"p0x.1", "old.1", "new.1"} {
					w.settle(d, dead, 0)
				}
				w.retry("p204x.1")
				w.exec(`UPDATE delivery SET cause = 'another' WHERE seq = $1`, w.find("p203x.1").Seq)
				commits = w.s.Commits()
			}}, f, false, nil)
			want, other := int64(n-2), dead
			if f.Cause == "" {
				want, other = n-1, pending
			}
			if err != nil || r.Count != want {
				t.Errorf("%+v: retried %d, %v; want %d", f, r.Count, err, want)
			}
			if more := w.s.Commits() - commits; more != 1 {
				t.Errorf("%d transactions after the first portion, want one", more)
			}
			for d, want := range map[string]onramp.DeliveryState{"p0x.1": dead, "old.1": dead, "new.1": dead, "p203x.1": other, "p204x.1": pending} {
				if got := w.find(d).State; got != want {
					t.Errorf("%+v: %s is %s, want %s", f, d, got, want)
				}
			}
			// once more, from the start
			w.exec(`UPDATE delivery SET cause = $1 WHERE state = 6`, cause)
			w.retry("old.1")
			w.retry("new.1")
			w.kill(many(n))
		}
	})
}

// A bulk whose caller has left stops, and what it has done is done.
func TestBulkCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", many(201)...)
		w.kill(many(201))
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		n, _, err := w.s.DiscardDeliveries(between{ctx, func() {
			if w.find("p0x.1").State != dead {
				leave()
			}
		}}, onramp.Filter{}, "a test")
		if n != 200 || !errors.Is(err, context.Canceled) {
			t.Errorf("discarded %d, %v; want 200 and the end of the context", n, err)
		}
		if got := w.find("p200x.1").State; got != dead {
			t.Errorf("the last one is %s", got)
		}
	})
}

// Retried together, those with one key still go one after the other, and those
// of a form's second step as well.
func TestBulkOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "ana2", "bob1")
		w.save("one", "ana3")
		w.settle("ana1.1", dead, 0)
		w.settle("ana2.1", dead, 0)
		w.settle("ana3.1", pending, time.Minute)
		w.settle("bob1.1", delivered, 0)
		w.settle("bob1.2", dead, 0)
		r, err := w.s.RetryDeliveries(t.Context(), onramp.Filter{}, false, nil)
		if r.Count != 3 || err != nil {
			t.Errorf("retried %d, %v", r.Count, err)
		}
		w.wantRows("ana1.1 pending due 0s", "ana1.2 waiting due never", "ana2.1 pending due never", "ana2.2 waiting due never",
			"bob1.1 delivered tries 1 settled 0s", "bob1.2 pending due 0s", "ana3.1 pending tries 1 due never")
	})
}

// edited is what an operator makes of a delivery: another address, which may be
// the key.
func (w *world) edited(delivery, key string) (onramp.Edit, onramp.Registration) {
	d := w.find(delivery)
	return onramp.Edit{Fields: []string{"email", "a\nb"}, SubscriberKey: d.SubscriberKey, Values: d.Values},
		onramp.Registration{SubscriberKey: key, Values: []byte(`{"EmailAddress":"` + key + `@example.org","Note":"é"}`)}
}

func (w *world) edit(delivery, key string) {
	w.t.Helper()
	before, after := w.edited(delivery, key)
	if err := w.s.EditDelivery(context.Background(), w.id(delivery), before, after); err != nil {
		w.t.Fatal(err)
	}
}

func TestEditDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		w.settle("ana.1", delivered, 0)
		w.settle("ana.2", dead, 0)
		before := w.find("ana.2")
		w.edit("ana.2", "bob")
		w.clock.advance(time.Minute)
		w.edit("ana.2", "Bob")
		w.edit("ana.2", "Bob") // changes nothing
		at := begin.Truncate(time.Microsecond)
		edits := []onramp.Edit{
			{At: at, Fields: []string{"email", "a\nb"}, SubscriberKey: "ana", Values: []byte(`{"EmailAddress":"ana@example.org"}`)},
			{At: at.Add(time.Minute), Fields: []string{"email", "a\nb"}, SubscriberKey: "bob", Values: []byte(`{"EmailAddress":"bob@example.org","Note":"é"}`)},
		}
		want := before
		want.SubscriberKey, want.OrderingKey, want.Values = "Bob", w.s.Order("bob"), []byte(`{"EmailAddress":"Bob@example.org","Note":"é"}`)
		want.Edits, want.PersonKey = edits, w.s.LeafOf("Bob")
		got := w.find("ana.2")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the delivery (-want +got):\n%s", diff)
		}
		if got := w.find("ana.1"); got.OrderingKey != w.s.Order("ana") || len(got.Edits) != 2 {
			t.Errorf("what was delivered has the ordering key %d and %d edits", got.OrderingKey, len(got.Edits))
		}
		r, err := w.s.FindRegistration(t.Context(), w.ids["ana"])
		if diff := cmp.Diff(edits, r.Edits); diff != "" || err != nil || r.SubscriberKey != "Bob" {
			t.Errorf("the registration has the key %s, %v, and edits (-want +got):\n%s", r.SubscriberKey, err, diff)
		}
		w.wantRows("ana.1 delivered tries 1 settled -1m0s", "ana.2 dead tries 1 settled -1m0s reason "+before.Reason)
		w.checkPartitions()
	})
}

// checkPartitions compares the partitions of all deliveries with their keys.
func (w *world) checkPartitions() {
	w.t.Helper()
	rows, err := w.db.Query(`SELECT seq, ordering_key, partition_id FROM delivery`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq, key, partition int64
		if err := rows.Scan(&seq, &key, &partition); err != nil {
			w.t.Fatal(err)
		}
		if want := int64(uint64(key) % store.Partitions); partition != want {
			w.t.Errorf("delivery %d is in partition %d, want %d", seq, partition, want)
		}
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

func TestEditDeliveryRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before   func(w *world)
		conflict string
	}{
		"dead":        {func(w *world) { w.settle("ana.1", dead, 0) }, ""},
		"unknown":     {func(w *world) { w.settle("ana.1", unknown, 0) }, ""},
		"fresh":       {func(*world) {}, "only a delivery that is dead or unknown can be edited; this one is pending"},
		"parked":      {func(w *world) { w.settle("ana.1", pending, time.Hour) }, "this one is pending"},
		"delivered":   {func(w *world) { w.settle("ana.1", delivered, 0) }, "this one is delivered"},
		"discarded":   {func(w *world) { w.discard("ana.1") }, "this one is discarded"},
		"a later key": {func(w *world) { w.settle("ana.1", dead, 0); w.exec(`UPDATE registration SET subscriber_key = 'other'`) }, "has changed since it was read"},
		"later data":  {func(w *world) { w.settle("ana.1", dead, 0); w.exec(`UPDATE registration SET data = '{}'`) }, "has changed since it was read"},
	} {
		t.Run(name, func(t *testing.T) {
			onBothClear(t, func(t *testing.T, w *world) {
				w.save("both", "ana")
				edit, r := w.edited("ana.1", "bob")
				c.before(w)
				was := w.find("ana.1")
				err := w.s.EditDelivery(t.Context(), w.id("ana.1"), edit, r)
				checkConflict(t, err, c.conflict)
				if c.conflict != "" {
					wantKind(t, name, err, onramp.Conflict)
					if diff := cmp.Diff(was, w.find("ana.1")); diff != "" {
						t.Errorf("something was changed:\n%s", diff)
					}
				}
				wantKind(t, "the later step", w.s.EditDelivery(t.Context(), w.id("ana.2"), edit, r), onramp.Conflict)
				wantKind(t, "nobody", w.s.EditDelivery(t.Context(), w.id("ana.99"), edit, r), onramp.NotFound)
				wantKind(t, "nonsense", w.s.EditDelivery(t.Context(), "ana", edit, r), onramp.NotFound)
			})
		})
	}
}

// Under its new key an edited delivery and the later step of its route take
// their place among the others of that key: behind an earlier one, before the later ones.
func TestEditOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "bob1", "ana1", "bob2", "ana2")
		w.settle("bob1.1", pending, time.Minute)
		w.settle("ana1.1", dead, 0)
		w.settle("bob2.1", pending, time.Minute)
		w.edit("ana1.1", "bob")
		w.wantRows("bob1.1 pending tries 1 due 1m0s", "bob1.2 waiting due never", "ana1.1 dead tries 1 settled 0s reason "+w.find("ana1.1").Reason, "ana1.2 out of reach",
			"bob2.1 pending tries 1 due never", "bob2.2 waiting due never", "ana2.1 pending", "ana2.2 waiting")
		w.retry("ana1.1")
		w.settle("bob1.1", delivered, 0)
		w.wantRows("bob1.1 delivered tries 2 settled 0s", "bob1.2 pending due 0s", "ana1.1 pending due 0s", "ana1.2 waiting due never",
			"bob2.1 pending tries 1 due never", "bob2.2 waiting due never", "ana2.1 pending", "ana2.2 waiting")
		w.settle("ana1.1", delivered, 0)
		w.wantRows("bob1.1 delivered tries 2 settled 0s", "bob1.2 pending due 0s", "ana1.1 delivered tries 1 settled 0s", "ana1.2 pending due never",
			"bob2.1 pending tries 1 due 0s", "bob2.2 waiting due never", "ana2.1 pending", "ana2.2 waiting")
		if parked := w.park("ana2.1"); len(parked) > 0 {
			t.Error("who has the old key still waits for it")
		}
		w.checkPartitions()
	})
}

// What is read while an operator edits is never sent under two keys: a later
// step leaves the pump's memory when the step before it dies, and comes back
// with what was edited.
func TestEditLaterStep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		followers := w.settle("ana.1", dead, 0)
		if diff := cmp.Diff([]string{"2: out of reach"}, followers); diff != "" {
			t.Error(diff)
		}
		w.edit("ana.1", "bob")
		w.retry("ana.1")
		if found, _, _, err := w.s.ListFresh(t.Context(), w.destination("y"), 0, 10); err != nil || len(found) > 0 {
			t.Errorf("the later step is read as fresh: %v, %v", w.deliveryNames(found), err)
		}
		w.settle("ana.1", delivered, 0)
		found, _, err := w.s.ListDue(t.Context(), w.destination("y"), 2, w.clock.now(), 10)
		if err != nil || len(found) != 1 || found[0].SubscriberKey != "bob" || found[0].OrderingKey != w.s.Order("bob") {
			t.Errorf("the later step is read as %+v, %v", found, err)
		}
	})
}

// operate has the writer use the statements of an operator's hand.
func (w *world) operate() {
	w.t.Helper()
	w.save("both", "gil1", "gil2")
	w.settle("gil1.1", dead, 0)
	w.settle("gil2.1", dead, 0)
	w.edit("gil1.1", "hal")
	if _, err := w.s.RetryDeliveries(context.Background(), onramp.Filter{}, false, nil); err != nil {
		w.t.Fatal(err)
	}
}

// The dead and unknown deliveries are found by their index, whatever they are asked
// for, and nothing else is read of the large tables but a row for each.
func TestOperatorPlans(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.fill(filling())
		if w.e.name == "postgres" {
			w.exec("ANALYZE") // as PostgreSQL does by itself, and SQLite does not
		}
		for _, query := range w.s.OperatorQueries() {
			plan := w.operatorPlan(query)
			if !strings.Contains(plan, "delivery_failed") {
				t.Errorf("the index is not used by\n%s\n%s", query.Text, plan)
			}
			for line := range strings.Lines(plan) {
				table := strings.HasPrefix(line, "SCAN ") && line != "SCAN g\n" // the groups
				if table || strings.Contains(line, "Seq Scan") {
					t.Errorf("%q in the plan of\n%s\n%s", line, query.Text, plan)
				}
			}
		}
		w.reset()
	})
}

func (w *world) operatorPlan(query store.Query) string {
	w.t.Helper()
	if w.e.name == "sqlite" {
		return strings.Join(w.plan(query.Text), "\n") + "\n"
	}
	rows, err := w.db.Query("EXPLAIN "+query.Text, query.Arguments...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			w.t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return plan.String()
}
