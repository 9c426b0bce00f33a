package store_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
	"onramp/internal/onramp"
	"onramp/internal/store/personal"
)

// write is one of the store's methods that write, on a world that was prepared for
// it. It gives what the method returns.
type write struct {
	prepare func(w *world) // nil: nothing
	do      func(ctx context.Context, w *world) (any, error)
}

func settling(delivery string, state onramp.DeliveryState, after time.Duration) write {
	var s []onramp.Settlement
	return write{
		func(w *world) { s = []onramp.Settlement{w.settlement(w.find(delivery), state, after)} },
		func(ctx context.Context, w *world) (any, error) { return followers(w.s.Settle(ctx, s)) },
	}
}

// followers are the later steps that a settlement has named, by their seqs.
func followers(found []onramp.Delivery, err error) (map[int64]string, error) {
	texts := map[int64]string{}
	for _, f := range found {
		texts[f.Seq] = fmt.Sprint(f.DestinationID, storedState(f.State), f.DueAt)
	}
	return texts, err
}

// after prepares a write by something that is done before.
func (first write) after(do func(w *world)) write {
	return write{func(w *world) {
		do(w)
		if first.prepare != nil {
			first.prepare(w)
		}
	}, first.do}
}

func operation(do func(ctx context.Context, w *world) error) write {
	return write{nil, func(ctx context.Context, w *world) (any, error) { return nil, do(ctx, w) }}
}

// parkAna has the first delivery of ana wait for its retry, and so those behind it.
func parkAna(w *world) {
	w.settle("ana1.1", pending, time.Minute)
	w.park("ana2.1", "ana2.2")
}

func failAna(w *world) { w.settle("ana1.1", dead, 0) }

// writes are all that a store can be asked to write, by names.
func writes() map[string]write {
	call := func(names ...string) write {
		var s []onramp.Settlement
		return write{func(w *world) {
			shared := &onramp.Attempt{StartedAt: w.clock.now(), Took: time.Second, Outcome: onramp.Outcome{Verdict: onramp.Delivered, Status: 200}}
			s = nil
			for _, name := range names {
				one := w.settlement(w.find(name), delivered, 0)
				one.Attempt = shared
				s = append(s, one)
			}
		}, func(ctx context.Context, w *world) (any, error) { return followers(w.s.Settle(ctx, s)) }}
	}
	ruling := onramp.Ruling{
		To: 2, Changes: []onramp.RowChange{{Event: 1, RegistrationSeq: 1, SubscriberKey: "ana", Destination: 1, Values: []byte(`{"a":1}`)}},
		Unjoined: []onramp.Event{{Seq: 2, Send: "5.2.9"}},
	}
	return map[string]write{
		"a registration with a key": operation(func(ctx context.Context, w *world) error {
			r := w.registration("both", "cem")
			_, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{Hash: 7, Body: 1}, true)
			return err
		}),
		"events": {func(w *world) { w.withEvents() }, func(ctx context.Context, w *world) (any, error) {
			_, err := w.s.SaveEvents(ctx, "events", w.events([]int{3}, sent("ana", 1, "m"), opened(1, 2)))
			return nil, err
		}},
		"delivered":                   settling("ana1.1", delivered, 0),
		"dead":                        settling("ana1.1", dead, 0),
		"skipped":                     settling("ana1.1", skipped, 0),
		"a parked one skipped":        settling("ana1.1", skipped, 0).after(parkAna),
		"a last step skipped":         settling("ana1.2", skipped, 0).after(func(w *world) { w.settle("ana1.1", delivered, 0) }),
		"unknown":                     settling("ana1.1", unknown, 0),
		"to be retried":               settling("ana1.1", pending, time.Minute),
		"throttled":                   settling("ana1.1", pending, 0),
		"to be retried again":         settling("ana1.1", pending, time.Minute).after(parkAna),
		"throttled again":             settling("ana1.1", pending, 0).after(parkAna),
		"a parked one delivered":      settling("ana1.1", delivered, 0).after(parkAna),
		"a parked one dead":           settling("ana1.1", dead, 0).after(parkAna),
		"a call of several":           call("ana1.1", "bob1.1"),
		"a call, one of it parked":    call("ana1.1", "bob1.1").after(parkAna),
		"a call, one of it discarded": call("ana1.1", "bob1.1").after(func(w *world) { w.discard("bob1.1") }),
		"park":                        parking().after(func(w *world) { w.settle("ana1.1", pending, time.Minute) }),
		"retry":                       operation(func(ctx context.Context, w *world) error { return w.s.RetryDelivery(ctx, w.id("ana1.1"), false) }).after(failAna),
		"retry of a parked one":       operation(func(ctx context.Context, w *world) error { return w.s.RetryDelivery(ctx, w.id("ana1.1"), false) }).after(parkAna),
		"discard":                     operation(func(ctx context.Context, w *world) error { return w.s.DiscardDelivery(ctx, w.id("ana1.1"), "why") }),
		"discard of a dead one":       operation(func(ctx context.Context, w *world) error { return w.s.DiscardDelivery(ctx, w.id("ana1.1"), "why") }).after(failAna),
		"discard of a parked one":     operation(func(ctx context.Context, w *world) error { return w.s.DiscardDelivery(ctx, w.id("ana1.1"), "why") }).after(parkAna),
		"retry of all": operation(func(ctx context.Context, w *world) error {
			_, err := w.s.RetryDeliveries(ctx, onramp.Filter{}, false, nil)
			return err
		}).after(failAna),
		"discard of all": operation(func(ctx context.Context, w *world) error {
			_, _, err := w.s.DiscardDeliveries(ctx, onramp.Filter{}, "why")
			return err
		}).after(failAna),
		"edit":            editing("ana").after(failAna),
		"edit of the key": editing("zoe").after(failAna),
		"ruling":          operation(func(ctx context.Context, w *world) error { return w.s.SaveRuling(ctx, ruling) }),
		"end of a wait for a send": operation(func(ctx context.Context, w *world) error {
			return w.s.SaveRuling(ctx, onramp.Ruling{To: 2, Joined: []int64{2}})
		}).after(func(w *world) { _ = w.s.SaveRuling(context.Background(), ruling) }),
		"mark": operation(func(ctx context.Context, w *world) error { return w.s.SavePosition(ctx, 1, 3, 5) }),
		"job": operation(func(ctx context.Context, w *world) error {
			return w.s.SaveJob(ctx, 1, onramp.Job{RequestID: "j", SubmittedAt: w.clock.now(), Deliveries: []onramp.Delivery{w.find("ana1.1")}})
		}),
		"calls": {nil, func(ctx context.Context, w *world) (any, error) {
			return w.s.AddCalls(ctx, budget.Batch{ID: "b", Counts: []budget.Count{{Day: 20000, Kind: budget.Rows, N: 3}, {Day: 20001, Kind: budget.Token, N: 1}}}, 20000)
		}},
		"end of jobs": operation(func(ctx context.Context, w *world) error { return w.s.EndJobs(ctx, []string{"j"}) }),
		"token":       operation(func(ctx context.Context, w *world) error { return w.s.SaveToken(ctx, []byte("token")) }),
		"client": operation(func(ctx context.Context, w *world) error {
			return w.s.SaveTokenClient(ctx, onramp.TokenClient{ID: "mc"})
		}),
		"client that goes": operation(func(ctx context.Context, w *world) error { return w.s.DeleteTokenClient(ctx, "mc") }).after(func(w *world) { _ = w.s.SaveTokenClient(context.Background(), onramp.TokenClient{ID: "mc"}) }),
		"probe": operation(func(ctx context.Context, w *world) error {
			return w.s.SaveProbe(ctx, onramp.Probe{Callback: "events", CallbackID: "1", VerificationKey: "k"})
		}),
		"names of callbacks": operation(func(ctx context.Context, w *world) error { return w.s.RegisterCallbacks(ctx, []string{"one", "two"}) }),
		"names of sinks": {nil, func(ctx context.Context, w *world) (any, error) {
			return w.s.RegisterSinks(ctx, []onramp.Destination{{Kind: onramp.SinkDestination, Key: "crm"}})
		}},
	}
}

func parking() write {
	return write{nil, func(ctx context.Context, w *world) (any, error) { return w.s.Park(ctx, []int64{1, 3, 4, 5, 6}) }}
}

func editing(key string) write {
	var edit onramp.Edit
	var r onramp.Registration
	return write{func(w *world) { edit, r = w.edited("ana1.1", key) }, func(ctx context.Context, w *world) (any, error) {
		return nil, w.s.EditDelivery(ctx, w.id("ana1.1"), edit, r)
	}}
}

// Every write may be carried out twice: after a commit that is on disk though its
// answer was an error, and after one that is not, the same call again leaves the
// same behind and returns the same as one call without a fault.
func TestTwice(t *testing.T) {
	t.Parallel()
	for name := range writes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, e := range []engine{sqliteEngine, pgEngine} {
				t.Run(e.name, func(t *testing.T) { checkTwice(t, e, func() write { return writes()[name] }) })
			}
		})
	}
}

func checkTwice(t *testing.T, e engine, fresh func() write) {
	var want any
	var wantAll []string
	for _, what := range []fault{none, lost, undone} {
		w := newWorld(t, e)
		w.cipher = reversing{}
		w.reopen()
		w.save("both", "ana1", "bob1", "ana2")
		o := fresh()
		if o.prepare != nil {
			o.prepare(w)
		}
		w.silence() // about what was prepared
		var got any
		var err error
		w.faults.during(what, func() { got, err = o.do(t.Context(), w) })
		if what != none {
			wantKind(t, "the call whose commit failed", err, onramp.Unavailable)
			got, err = o.do(t.Context(), w)
		}
		if err != nil {
			t.Fatal(what, err)
		}
		all := w.everything()
		if what == none {
			want, wantAll = got, all
			continue
		}
		if told, ok := got.(map[int64]string); ok {
			// to be told more does no harm
			maps.DeleteFunc(told, func(seq int64, _ string) bool { return want.(map[int64]string)[seq] == "" })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fault %d, returned: %s", what, diff)
		}
		if diff := cmp.Diff(wantAll, all); diff != "" {
			t.Errorf("fault %d, on disk: %s", what, diff)
		}
		w.wantBells()
	}
}

// A delivery that was parked while the pump holds it as it was read before is settled
// as it stands on disk: whoever waits behind it goes on.
func TestSettleStale(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, state := range []onramp.DeliveryState{delivered, dead, unknown} {
			w.save("one", "ana1", "ana2", "ana3")
			read := w.find("ana2.1")
			w.settle("ana1.1", pending, time.Minute)
			w.park("ana2.1", "ana3.1")
			w.settle("ana1.1", delivered, 0)
			w.settleRead(read, state, 0)
			if got := w.due(w.find("ana3.1").DueAt); got != " due 0s" {
				t.Errorf("behind one that is %s:%q, want it due", state, got)
			}
			w.settle("ana3.1", delivered, 0)
		}
		w.save("one", "bob1", "bob2", "bob3")
		read := w.find("bob2.1")
		w.settle("bob1.1", pending, time.Minute)
		w.park("bob2.1", "bob3.1")
		w.settleRead(read, pending, 0)
		if got := w.due(w.find("bob2.1").DueAt); got != " due never" {
			t.Errorf("throttled while it waits for another:%q, want it to wait", got)
		}
	})
}

// silence takes what the bells have rung for.
func (w *world) silence() {
	for _, key := range []string{"x", "y"} {
		fresh, due := w.s.Wake(w.destination(key))
		for _, c := range []<-chan struct{}{fresh, due} {
			select {
			case <-c:
			default:
			}
		}
	}
}

// wantBells waits until all are told to look again.
func (w *world) wantBells() {
	w.t.Helper()
	for _, key := range []string{"x", "y"} {
		fresh, due := w.s.Wake(w.destination(key))
		for bell, c := range map[string]<-chan struct{}{"fresh": fresh, "due": due} {
			w.wantBell(c, key+" is not told of what may be "+bell)
		}
	}
}

func (w *world) wantBell(bell <-chan struct{}, otherwise string) {
	w.t.Helper()
	select {
	case <-bell:
	case <-time.After(time.Minute):
		w.t.Fatal(otherwise)
	}
}

// everything is what the tables hold, but for what chance has made.
func (w *world) everything() []string {
	w.t.Helper()
	var all []string
	for _, query := range []string{
		`SELECT 'delivery', seq, registration_seq, step, destination_id, ordering_key, state, tries, due_at, settled_at, reason, cause, call_seq, event_seq, data FROM delivery ORDER BY seq`,
		`SELECT 'registration', seq, subscriber_key, data, delivery_seq, steps FROM registration ORDER BY seq`,
		`SELECT 'attempt', delivery_seq, number, verdict, detail FROM attempt ORDER BY delivery_seq, number`,
		`SELECT 'call', seq, status FROM call ORDER BY seq`,
		`SELECT 'edit', registration_seq, number, fields, subscriber_key, data FROM edit ORDER BY registration_seq, number`,
		`SELECT 'event', seq, at, hash, callback_id FROM event ORDER BY seq`,
		`SELECT 'tally', destination_id, state, n FROM tally WHERE n <> 0 AND state <> 255 ORDER BY destination_id, state`,
		`SELECT 'events', callback_id, stored FROM event_tally ORDER BY callback_id`, // what came twice was repeated
		`SELECT 'unjoined', send, event_seq FROM unjoined ORDER BY event_seq`,
		`SELECT 'kept', kind, name FROM kept WHERE kind <> 'chain key' ORDER BY kind, name`,
		`SELECT 'meta', name, value FROM meta WHERE name NOT LIKE 'key_secret%' AND name NOT LIKE 'run%' AND name NOT IN ('lease_clock', 'probe', 'persons', 'hash_secret_encrypted', 'look_up_to') ORDER BY name`,
		`SELECT 'resend', destination_id, seq FROM resend ORDER BY destination_id, seq`,
		`SELECT 'call_count', day, kind, n FROM call_count ORDER BY day, kind`,
		`SELECT 'job', request_id, seqs FROM job ORDER BY request_id`,
		`SELECT 'destination', id, name, read_to FROM destination ORDER BY id`,
		`SELECT 'callback', id, name FROM callback ORDER BY id`,
	} {
		all = append(all, w.texts(query)...)
	}
	return all
}

// texts reads rows as they are.
func (w *world) texts(query string) []string {
	w.t.Helper()
	rows, err := w.db.Query(query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		for i, value := range values {
			if text := []byte(fmt.Sprintf("%s", value)); personal.IsSealed(text) {
				values[i] = "encrypted"
			}
		}
		all = append(all, fmt.Sprint(values...))
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}
