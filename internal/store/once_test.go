package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// once is a key of equal submissions that count as one within ten minutes. key is what
// the request brought; 0: none.
func once(key int64, person string) onramp.IdempotencyKey {
	return onramp.IdempotencyKey{Hash: key, Body: 1, Once: onramp.OrderingKey(person), Within: 10 * time.Minute}
}

// submission stores one registration, received at the time of the clock.
func (w *world) submission(key onramp.IdempotencyKey) (id string, repeated bool) {
	w.t.Helper()
	r := w.registration("one", "ana")
	r.ReceivedAt = w.clock.now()
	accepted, err := w.s.SaveRegistration(context.Background(), &r, key, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return accepted.Registration.ID, accepted.Repeated
}

// Equal submissions are one from the first one's time, with keys or without, over
// restarts and however the clock is set.
func TestOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ids := map[string]string{}
		for i, step := range []struct {
			pass time.Duration
			key  int64
			who  string
			is   string // the registration that it is, by the test's name for it
		}{
			{0, 0, "ana", "first"},
			{0, 0, "ana", "first"},
			{0, 0, "bob", "bob's"},
			{5 * time.Minute, 0, "ana", "first"},
			{4 * time.Minute, 11, "ana", "first"},               // the key is the first one's from now on
			{time.Minute - time.Microsecond, 0, "ana", "first"}, // not longer for what came meanwhile
			{time.Microsecond, 0, "ana", "second"},
			{0, 11, "ana", "first"},
			{9 * time.Minute, 13, "ana", "second"},
			{time.Minute, 15, "ana", "third"},
			{0, 13, "ana", "second"},
			{0, 15, "ana", "third"},
			{0, 0, "ana", "third"},
			{-9 * time.Minute, 0, "ana", "third"}, // the clock is set back
			{-time.Minute, 0, "ana", "fourth"},
			{0, 0, "ana", "fourth"},
			{0, 17, "ana", "fourth"},
			{-48 * time.Hour, 0, "ana", "fifth"},
			{0, 0, "ana", "fifth"},
			{72 * time.Hour, 0, "ana", "sixth"},
			{0, 0, "ana", "sixth"},
		} {
			if i%3 == 2 {
				w.reopen()
			}
			w.clock.advance(step.pass)
			id, repeated := w.submission(once(step.key, step.who))
			want, known := ids[step.is]
			if !known {
				ids[step.is], want = id, id
			}
			if id != want || repeated != known {
				t.Errorf("step %d: the registration %s, repeated %v; want %s", i, id, repeated, step.is)
			}
		}
		if n, want := len(w.rows()), len(ids); n != want {
			t.Errorf("%d deliveries, want %d", n, want)
		}
	})
}

// Whichever table of a day an equal submission stands in, and however old an earlier one
// in the other table is, it is the latest that counts; and it does for a whole day.
func TestOnceDays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		day := once(0, "ana")
		day.Within = 24 * time.Hour
		for i := range 4 { // in turn into both tables
			first, repeated := w.submission(day)
			if repeated {
				t.Fatalf("day %d: repeated after a day", i)
			}
			for _, after := range []time.Duration{0, 12 * time.Hour, 12*time.Hour - time.Second} {
				w.pass(after)
				if id, repeated := w.submission(day); id != first || !repeated {
					t.Errorf("day %d, after %v: the registration %s, repeated %v; want %s", i, after, id, repeated, first)
				}
			}
			w.pass(2*time.Hour + time.Second)
		}
	})
}

// A key that came with an equal submission is refused with another content.
func TestOnceOtherContent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.submission(once(11, "ana"))
		w.submission(once(13, "ana"))
		w.reopen()
		for _, hash := range []int64{11, 13} {
			r := w.registration("one", "ana")
			other := onramp.IdempotencyKey{Hash: hash, Body: 2, Once: onramp.OrderingKey("ana, otherwise"), Within: time.Hour}
			_, err := w.s.SaveRegistration(t.Context(), &r, other, false)
			wantKind(t, fmt.Sprint("key ", hash), err, onramp.Invalid)
		}
	})
}

// Equal submissions at the same moment are one, some with keys and some without.
func TestOnceConcurrent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ids := make([]string, 60)
		var saving sync.WaitGroup
		for i := range ids {
			saving.Go(func() {
				r := w.registration("one", "ana")
				accepted, err := w.s.SaveRegistration(t.Context(), &r, once(int64(i%20), "ana"), false)
				if err != nil {
					t.Error(err)
				}
				ids[i] = accepted.Registration.ID
			})
		}
		saving.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("ids %s and %s", ids[0], id)
			}
		}
		if n := len(w.rows()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// Equal submissions whose times differ, in one group: no two rows of a statement are
// for the same key.
func TestOnceConcurrentTimes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var saving sync.WaitGroup
		for i := range 64 {
			r := w.registration("one", "ana")
			r.ReceivedAt = begin.Add(time.Duration(i%4) * time.Hour)
			saving.Go(func() {
				if _, err := w.s.SaveRegistration(t.Context(), &r, once(0, "ana"), false); err != nil {
					t.Error(err)
				}
			})
		}
		saving.Wait()
	})
}

// A commit of which nobody knows whether it is on disk stores an equal submission once.
func TestOnceUncertain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for i, lose := range []fault{lost, lost} {
			r := w.registration("one", "ana")
			w.faults.during(lose, func() {
				_, err := w.s.SaveRegistration(t.Context(), &r, once(int64(2*i+1), "ana"), false)
				wantKind(t, "a lost commit", err, onramp.Unavailable)
			})
		}
		first, _ := w.submission(once(0, "ana"))
		for _, key := range []int64{0, 1, 3, 5} {
			if id, repeated := w.submission(once(key, "ana")); id != first || !repeated {
				t.Errorf("key %d: the registration %s, repeated %v; want %s", key, id, repeated, first)
			}
		}
	})
}

// A model of what keys stand for, with random submissions, restarts and clocks.
func TestOnceModel(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.keys = 16
		w.reopen()
		random := rand.New(rand.NewPCG(12, uint64(len(w.e.name))))
		byKey, byPerson := map[int64]string{}, map[string]string{}
		received := map[string]time.Time{}
		for step := range 400 {
			switch random.IntN(20) {
			case 0:
				w.reopen()
			case 1:
				w.clock.advance(-time.Duration(random.IntN(12)) * time.Minute)
			default:
				w.clock.advance(time.Duration(random.IntN(180)) * time.Second)
			}
			person := fmt.Sprint("person ", random.IntN(5))
			key := int64(0)
			if random.IntN(2) == 0 {
				key = 2*random.Int64N(1000) + 1
				if _, used := byKey[key]; used && random.IntN(2) == 0 {
					key = 0
				}
			}
			k := once(key, person)
			k.Body = onramp.OrderingKey(person)
			want, known := byKey[key]
			if before := byPerson[person]; !known && before != "" && w.clock.now().Sub(received[before]).Abs() < k.Within {
				want, known = before, true
			}
			r := w.registration("one", "ana")
			r.ReceivedAt = w.clock.now()
			accepted, err := w.s.SaveRegistration(t.Context(), &r, k, false)
			if _, used := byKey[key]; used && accepted.Registration.ID == "" && err != nil {
				wantKind(t, "another person's key", err, onramp.Invalid)
				continue
			}
			id := accepted.Registration.ID
			if err != nil || accepted.Repeated != known || known && id != want {
				t.Fatalf("step %d, key %d of %s: %s, repeated %v, %v; want %s", step, key, person, id, accepted.Repeated, err, want)
			}
			if !known {
				byPerson[person], received[id] = id, r.ReceivedAt
			}
			if key != 0 {
				byKey[key] = id
			}
		}
	})
}
