package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// A registration comes back as it was given, with its deliveries.
func TestSaveRegistration(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "before")
		r := w.registration("both", "Ana")
		r.Values = []byte(`{"EmailAddress":"ana@example.org","Text":"\u0000 \"ü€𝄞' ; DROP TABLE registration","n":1.50,"b":true}`)
		given := r
		accepted, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false)
		if err != nil {
			t.Fatal(err)
		}
		want := given
		want.Seq, want.State = 2, onramp.RegistrationQueued
		if diff := cmp.Diff(onramp.Accepted{Registration: want}, accepted); diff != "" {
			t.Error("answer:", diff)
		}
		delivery := onramp.Delivery{
			Seq: 2, Age: 2, RegistrationSeq: 2, RegistrationID: r.ID, Form: "both", Step: 1, Steps: 2,
			DestinationID: 1, Destination: "data_extension:x", State: pending, OrderingKey: w.s.Order("ana"), PersonKey: w.s.LeafOf("ana"),
			SubscriberKey: "Ana", ReceivedAt: begin, Values: given.Values,
		}
		second := delivery
		second.Seq, second.Age, second.Step, second.DestinationID, second.Destination, second.State = 3, 3, 2, 2, "journey:y", onramp.DeliveryWaiting
		want.Route, want.Deliveries = nil, []onramp.Delivery{delivery, second}
		found, err := w.s.FindRegistration(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error("stored:", diff)
		}
		for i, d := range found.Deliveries {
			got, err := w.s.FindDelivery(t.Context(), d.ID())
			if err != nil {
				t.Fatal(err)
			}
			want.Deliveries[i].Later = found.Deliveries[i+1:]
			if diff := cmp.Diff(want.Deliveries[i], got, cmpopts.EquateEmpty()); diff != "" {
				t.Error("delivery:", diff)
			}
		}
		w.names[r.ID] = "ana"
		w.wantRows("before.1 pending", "ana.1 pending", "ana.2 waiting")
	})
}

func TestNotFound(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"FindRegistration":  func() error { _, err := w.s.FindRegistration(ctx, "none"); return err },
			"Timeline":          func() error { _, err := w.s.Timeline(ctx, "none"); return err },
			"FindDelivery":      func() error { _, err := w.s.FindDelivery(ctx, "none.1"); return err },
			"no step":           func() error { _, err := w.s.FindDelivery(ctx, w.ids["ana"]); return err },
			"step 0":            func() error { _, err := w.s.FindDelivery(ctx, w.id("ana.0")); return err },
			"a step too many":   func() error { _, err := w.s.FindDelivery(ctx, w.id("ana.3")); return err },
			"RetryDelivery":     func() error { return w.s.RetryDelivery(ctx, "none.1", false) },
			"retry step 3":      func() error { return w.s.RetryDelivery(ctx, w.id("ana.3"), false) },
			"retry nonsense":    func() error { return w.s.RetryDelivery(ctx, "none", false) },
			"DiscardDelivery":   func() error { return w.s.DiscardDelivery(ctx, "none.1", "a test") },
			"discard a step -1": func() error { return w.s.DiscardDelivery(ctx, w.id("ana.-1"), "a test") },
		} {
			wantKind(t, name, call(), onramp.NotFound)
		}
	})
}

// One bad member of a group does not spoil it for the others.
func TestGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		good, same, unknown, last := w.registration("one", "good"), w.registration("one", "same"), w.registration("one", "unknown"), w.registration("one", "last")
		same.ID = good.ID // as no two ever are
		unknown.Form = "unknown"
		save := func(r *onramp.Registration) func() error {
			return func() error {
				_, err := w.s.SaveRegistration(t.Context(), r, onramp.IdempotencyKey{}, false)
				return err
			}
		}
		errs := w.s.Together(t.Context(), save(&good), save(&same), func() error { return w.s.Refuse(t.Context()) }, save(&unknown), save(&last))
		var failed []bool
		for _, err := range errs {
			failed = append(failed, err != nil)
		}
		if diff := cmp.Diff([]bool{false, true, true, true, false}, failed); diff != "" {
			t.Error(diff, errs)
		}
		if !errors.Is(errs[2], store.ErrRefused) {
			t.Error(errs[2])
		}
		w.names[good.ID], w.names[last.ID] = "good", "last"
		w.wantRows("good.1 pending", "last.1 pending")
		w.save("one", "next")
	})
}

// A commit may be carried out though its answer is an error. Then the memory is
// read anew, or the numbering would fall behind and every later write fail.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.save("both", "ana")
	lost := w.registration("both", "bob")
	key := onramp.NewIdempotencyKey("both", "key", nil)
	d := w.find("ana.1")
	errs := w.s.Together(t.Context(),
		func() error { _, err := w.s.SaveRegistration(t.Context(), &lost, key, true); return err },
		func() error {
			_, err := w.s.Settle(t.Context(), []onramp.Settlement{w.settlement(d, delivered, 0)})
			return err
		},
		func() error { return w.s.CommitEarly(t.Context()) })
	for i, err := range errs {
		wantKind(t, fmt.Sprint("write ", i), err, onramp.Unavailable)
	}
	w.names[lost.ID] = "bob"
	w.save("both", "cem")
	w.wantRows("ana.1 delivered tries 1 settled 0s", "ana.2 pending", "bob.1 pending", "bob.2 waiting", "cem.1 pending", "cem.2 waiting")
	accepted, err := w.s.SaveRegistration(t.Context(), &lost, key, false)
	if err != nil || !accepted.Repeated {
		t.Errorf("again: %v, repeated %v", err, accepted.Repeated)
	}
	if diff := cmp.Diff([]string{"2: pending"}, w.settleRead(d, delivered, 0)); diff != "" {
		t.Error("the pump tries again and learns of the followers:", diff)
	}
	fresh, to, _, err := w.s.ListFresh(t.Context(), w.destination("x"), 0, 10)
	if err != nil || to != 6 || len(fresh) != 2 {
		t.Errorf("read to %d, %d deliveries, %v", to, len(fresh), err)
	}
}

func TestIdempotency(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		save := func(key, body string) (onramp.Accepted, error) {
			r := w.registration("both", "ana")
			w.names[r.ID] = "ana"
			return w.s.SaveRegistration(t.Context(), &r, onramp.NewIdempotencyKey("both", key, []byte(body)), false)
		}
		first, err := save("key", "body")
		if err != nil || first.Repeated {
			t.Fatalf("first: %v, repeated %v", err, first.Repeated)
		}
		check := func(when string) {
			t.Helper()
			again, err := save("key", "body")
			if err != nil {
				t.Fatal(when, err)
			}
			want := first
			want.Repeated, want.Registration.State, want.Registration.Route = true, 0, nil
			if diff := cmp.Diff(want, again); diff != "" {
				t.Error(when, diff)
			}
			_, err = save("key", "another body")
			wantKind(t, when, err, onramp.Invalid)
		}
		check("at once")
		w.reopen()
		check("after a restart")
		if other, err := save("another key", "body"); err != nil || other.Repeated {
			t.Errorf("another key: %v, repeated %v", err, other.Repeated)
		}
		w.wantRows("ana.1 pending", "ana.2 waiting", "ana.1 pending", "ana.2 waiting")
	})
}

// The same key at the same time is one registration.
func TestIdempotencyConcurrent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		key := onramp.NewIdempotencyKey("one", "key", nil)
		ids := make([]string, 50)
		repeated := make([]bool, 50)
		var saving sync.WaitGroup
		for i := range ids {
			r := w.registration("one", "ana")
			saving.Go(func() {
				accepted, err := w.s.SaveRegistration(t.Context(), &r, key, false)
				if err != nil {
					t.Error(err)
				}
				ids[i], repeated[i] = accepted.Registration.ID, accepted.Repeated
			})
		}
		saving.Wait()
		fresh := 0
		for i := range ids {
			if ids[i] != ids[0] {
				t.Errorf("ids %s and %s", ids[0], ids[i])
			}
			if !repeated[i] {
				fresh++
			}
		}
		if fresh != 1 || len(w.rows()) != 1 {
			t.Errorf("%d fresh answers, %d rows", fresh, len(w.rows()))
		}
	})
}

// keyed saves registrations with keys numbered from one number to another.
func (w *world) keyed(from, to int, wantRepeated bool) {
	w.t.Helper()
	const together = 256
	var saving sync.WaitGroup
	for first := range min(together, to-from) {
		saving.Go(func() {
			for i := from + first; i < to; i += together {
				r := w.registration("one", "ana")
				accepted, err := w.s.SaveRegistration(context.Background(), &r, numbered(i), false)
				if err != nil || accepted.Repeated != wantRepeated {
					w.t.Errorf("key %d: %v, repeated %v", i, err, accepted.Repeated)
					return
				}
			}
		})
	}
	saving.Wait()
}

func numbered(i int) onramp.IdempotencyKey {
	// any numbers, but cheap ones, and spread as a hash is
	return onramp.IdempotencyKey{Hash: int64(i+1) * 0x1e3779b97f4a7c15, Body: 1}
}

// Keys are found whether they are in memory, on their way into their table, or
// there, and wherever among that a restart comes.
func TestIdempotencyMerge(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.keys = 128
		w.reopen()
		checkMerge(t, w, 128)
	})
	t.Run("as many as it takes", func(t *testing.T) {
		if raceDetector {
			t.Skip("the same with smaller numbers must do for the race detector")
		}
		t.Parallel()
		checkMerge(t, newWorld(t, sqliteEngine), 8192)
	})
}

func checkMerge(t *testing.T, w *world, keys int) {
	saved := 0
	sample := func() {
		for i := 0; i < saved; i += max(saved/20, 1) {
			w.keyed(i, i+1, true)
		}
	}
	for _, n := range []int{10, keys - 10, 5, 80, keys, keys, 30} {
		w.keyed(saved, saved+n, false)
		saved += n
		sample()
		w.reopen()
		sample()
	}
	w.keyed(0, saved, true)
	if merged := w.mergedKeys(); merged < 2*keys {
		t.Errorf("%d of %d keys are in their tables", merged, saved)
	}
}

func (w *world) mergedKeys() (n int) {
	w.t.Helper()
	err := w.db.QueryRow(`SELECT (SELECT COUNT(*) FROM idempotency_even) + (SELECT COUNT(*) FROM idempotency_odd)`).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// When few registrations bring a key, or none, the mark moves on all the same:
// a start need not look through all of them.
func TestIdempotencyMark(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.keys = 50
		w.reopen()
		plain := func() {
			for range 110 {
				w.save("one", "ana")
			}
		}
		w.keyed(0, 1, false)
		plain()
		w.keyed(0, 1, true)
		plain()
		w.keyed(0, 1, true)
		w.keyed(1, 2, false)
		var mark int
		err := w.db.QueryRow(`SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'idempotency_merged_to'`).Scan(&mark)
		if err != nil || mark < 150 {
			t.Errorf("mark %d, %v", mark, err)
		}
		w.reopen()
		w.keyed(0, 2, true)
	})
}

// pass lets time pass in which there is something to write now and then.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for ; d > 0; d -= 50 * time.Minute {
		w.clock.advance(min(d, 50*time.Minute))
		w.save("one", "ben")
	}
}

// A key lives for at least a day, and not for ever; a clock that is set forgets
// nothing.
func TestIdempotencyDays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		known := func(key int) bool {
			t.Helper()
			r := w.registration("one", "ana")
			accepted, err := w.s.SaveRegistration(t.Context(), &r, numbered(key), false)
			if err != nil {
				t.Fatal(err)
			}
			return accepted.Repeated
		}
		// into the table of its day, as it is at the end of a merge
		merge := func(key int) {
			t.Helper()
			if known(key) {
				t.Fatalf("key %d is known", key)
			}
			if err := w.s.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
			known(key) // carries it into the table
		}
		merge(1)
		w.save("one", "ben")
		for _, jump := range []time.Duration{72 * time.Hour, 30 * 24 * time.Hour, -72 * time.Hour, -365 * 24 * time.Hour, 24 * time.Hour} {
			w.clock.advance(jump) // for a moment
			w.save("one", "ben")
			if !known(1) {
				t.Errorf("forgotten when the clock was set by %v", jump)
			}
			w.clock.advance(-jump)
			w.save("one", "ben")
			if !known(1) {
				t.Errorf("forgotten when the clock was set by %v and back", jump)
			}
		}
		w.pass(12 * time.Hour)
		merge(2)
		w.reopen()
		w.pass(11 * time.Hour)
		if !known(1) || !known(2) {
			t.Error("forgotten before a day had passed")
		}
		w.pass(3 * time.Hour)
		merge(3)
		w.clock.advance(72 * time.Hour)
		w.reopen() // with a clock that is ahead
		w.save("one", "ben")
		if !known(1) || !known(2) || !known(3) {
			t.Error("forgotten when the clock was ahead at a start")
		}
		w.clock.advance(-72 * time.Hour)
		w.pass(27 * time.Hour)
		if known(1) || known(2) {
			t.Error("remembered after two days")
		}
		if !known(3) {
			t.Error("the other day's key was forgotten, too")
		}
	})
}

// A settled registration tells its watchers, once.
func TestWatch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		watch := func(name string) <-chan onramp.RegistrationState {
			t.Helper()
			r := w.registration("both", name)
			accepted, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{Hash: onramp.OrderingKey(name), Body: 1}, true)
			if err != nil {
				t.Fatal(err)
			}
			w.ids[name], w.names[accepted.Registration.ID] = accepted.Registration.ID, name
			return accepted.Outcome
		}
		told := func(name string, c <-chan onramp.RegistrationState, want string) {
			t.Helper()
			got := ""
			select {
			case state := <-c:
				got = state.String()
			default:
			}
			if got != want {
				t.Errorf("%s was told %q, want %q", name, got, want)
			}
		}
		ana, again, bob, cem, dan, eve := watch("ana"), watch("ana"), watch("bob"), watch("cem"), watch("dan"), watch("eve")
		w.settle("ana.1", delivered, 0)
		told("ana", ana, "")
		w.settle("ana.2", pending, time.Minute)
		told("ana", ana, "")
		w.settle("ana.2", delivered, 0)
		told("ana", ana, "delivered")
		told("ana", again, "delivered")
		w.settle("bob.1", dead, 0)
		told("bob", bob, "failed")
		w.discard("cem.1")
		told("cem", cem, "failed")
		w.settle("dan.1", unknown, 0)
		told("dan", dan, "")
		w.s.Forget(w.ids["eve"], eve)
		w.s.Forget(w.ids["eve"], eve)
		w.s.Forget("none", eve)
		w.settle("eve.1", dead, 0)
		told("eve", eve, "")
		if n := w.s.Watched(); n != 1 { // dan's
			t.Errorf("%d registrations are still watched", n)
		}
	})
}

// A caller who leaves while the registration is queued gets the reason, and
// nothing is stored.
func TestCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		r := w.registration("one", "ana")
		errs := w.s.Together(t.Context(),
			func() error {
				_, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{}, true)
				if !errors.Is(err, gone) {
					return fmt.Errorf("got error %v, want the cause", err)
				}
				return nil
			},
			func() error {
				cancel(gone)
				_, err := w.s.Park(t.Context(), nil)
				return err
			})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		w.wantRows()
	})
}

// The tables themselves hold what the design says: partition, key, no due time.
func TestDeliveryRow(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana")
		var partition, key int64
		var due sql.NullInt64
		if err := w.db.QueryRow(`SELECT partition_id, ordering_key, due_at FROM delivery`).Scan(&partition, &key, &due); err != nil {
			t.Fatal(err)
		}
		if want := w.s.Order("ANA"); key != want || partition != int64(uint64(want)%store.Partitions) || due.Valid {
			t.Errorf("partition %d, key %d, due %v", partition, key, due)
		}
	})
}
