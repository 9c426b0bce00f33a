package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// optIn is how a registration of the test's person is to be confirmed. Any number of
// confirmations may go out, unless the test says what decides.
func (w *world) optIn(r *onramp.Registration, person string) *onramp.OptIn {
	w.t.Helper()
	typed := r.Values
	return &onramp.OptIn{
		Person: "person of " + person, Subscriber: "subscriber " + person, Language: "de",
		Confirmation: onramp.Destination{ID: w.destination("y"), Kind: onramp.Journey, Key: "y"},
		Until:        w.clock.now().Add(7 * 24 * time.Hour), LinkUntil: w.clock.now().Add(72 * time.Hour),
		Counters: []onramp.Counter{{Key: onramp.OrderingKey(person), Within: 24 * time.Hour, Step: time.Minute}},
		Decide: func(counts []int64) onramp.Limit {
			if counts[0] > 0 {
				return onramp.Limit{Name: "per_person", Alarms: true}
			}
			return onramp.Limit{}
		},
		Values: func(at time.Time) json.RawMessage {
			if at.IsZero() {
				return typed
			}
			return json.RawMessage(`{"confirmed":"before"}`)
		},
	}
}

// ask stores a registration that its person, the name up to the first digit, is to confirm.
func (w *world) ask(name string) {
	w.t.Helper()
	person := strings.TrimRight(name, "0123456789")
	r := w.registration("both", person)
	r.Values = json.RawMessage(`{"typed":"` + name + `"}`)
	r.OptIn = w.optIn(&r, person)
	if _, err := w.s.SaveRegistration(context.Background(), &r, onramp.IdempotencyKey{}, false); err != nil {
		w.t.Fatal(err)
	}
	w.ids[name], w.names[r.ID] = r.ID, name
}

func (w *world) confirm(name string) onramp.ConfirmResult {
	w.t.Helper()
	result, err := w.s.ConfirmRegistration(context.Background(), w.ids[name], w.clock.now(), func(values json.RawMessage) json.RawMessage {
		return json.RawMessage(strings.TrimSuffix(string(values), "}") + `,"confirmed":"now"}`)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

// standing tells of a registration: its state, what it holds, and the states of its
// confirmations.
func (w *world) standing(name string) string {
	w.t.Helper()
	r, err := w.s.FindRegistration(context.Background(), w.ids[name])
	if err != nil {
		w.t.Fatal(err)
	}
	said := []string{r.State.String(), string(r.Values)}
	for _, d := range r.Deliveries {
		if d.Confirmation != nil {
			said = append(said, strings.TrimPrefix(d.ID(), r.ID)+" "+d.State.String()+" "+d.Confirmation.Language)
		} else if d.Step == 0 {
			said = append(said, strings.TrimPrefix(d.ID(), r.ID)+" "+d.State.String())
		}
	}
	return strings.Join(said, ", ")
}

const (
	gone      = onramp.LinkGone
	confirmed = onramp.LinkConfirmed
)

// How a person stands to a form decides what becomes of a registration: each line is one
// thing after the other, and what it leads to.
func TestDoubleOptIn(t *testing.T) {
	steps := func(w *world) map[string]func(name string) string {
		return map[string]func(string) string{
			"submit": func(name string) string { w.ask(name); return w.standing(name) },
			"look":   w.standing,
			"confirm": func(name string) string {
				return fmt.Sprint([]string{"gone", "waits", "confirmed"}[w.confirm(name)], ", ", w.standing(name))
			},
			"withdraw": func(name string) string {
				w.clock.advance(time.Second)
				if err := w.s.Withdraw(context.Background(), "subscriber "+name, "", w.clock.now()); err != nil {
					w.t.Fatal(err)
				}
				w.clock.advance(time.Second)
				return ""
			},
			"wait": func(days string) string {
				var n int
				_, _ = fmt.Sscan(days, &n)
				w.clock.advance(time.Duration(n) * 24 * time.Hour)
				return ""
			},
			"expire": func(string) string {
				n, err := w.s.ExpireConfirmations(context.Background())
				if err != nil {
					w.t.Fatal(err)
				}
				return fmt.Sprint(n)
			},
		}
	}
	for _, c := range []struct {
		name  string
		lines []string // a step, its object, and what it leads to
	}{
		{"confirmed", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`,
			`confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
			`confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
		}},
		{"confirmed and submitted again stays confirmed", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
			`submit ana2: queued, {"confirmed":"before"}`,
			`confirm ana2: gone, queued, {"confirmed":"before"}`,
		}},
		{"withdrawn and submitted again is held anew", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
			`withdraw ana: `, `confirm ana1: gone, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`, `wait 2: `,
			`submit ana2: held, {"typed":"ana2"}, .0.1 pending de`,
			`confirm ana1: gone, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`, // its link was used for the consent before
			`confirm ana2: confirmed, queued, {"typed":"ana2","confirmed":"now"}, .0.1 skipped de`,
			`confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
		}},
		{"another person is asked", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
			`submit bob1: held, {"typed":"bob1"}, .0.1 pending de`,
		}},
		{"submitted twice, the newest goes out by the first link", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `submit ana2: held, {"typed":"ana2"}`,
			`look ana1: failed, {"typed":"ana1"}, .0.1 pending de`,
			`confirm ana1: confirmed, failed, {}, .0.1 skipped de`, `look ana2: queued, {"typed":"ana2","confirmed":"now"}`,
			`confirm ana2: confirmed, queued, {"typed":"ana2","confirmed":"now"}`,
		}},
		{"submitted twice, the newest goes out by the second link", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `wait 2: `, `submit ana2: held, {"typed":"ana2"}, .0.1 pending de`,
			`confirm ana2: confirmed, queued, {"typed":"ana2","confirmed":"now"}, .0.1 skipped de`,
			`look ana1: failed, {}, .0.1 skipped de`, `confirm ana1: confirmed, failed, {}, .0.1 skipped de`,
		}},
		{"not confirmed in time", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `wait 6: `, `expire it: 0`, `submit ana2: held, {"typed":"ana2"}, .0.1 pending de`, `wait 2: `,
			`expire it: 0`, `wait 5: `, `confirm ana2: gone, held, {"typed":"ana2"}, .0.1 pending de`, `expire it: 1`,
			`look ana2: erased, {}, .0.1 erased de`, `look ana1: failed, {}, .0.1 erased de`,
			`confirm ana1: gone, failed, {}, .0.1 erased de`, `confirm ana2: gone, erased, {}, .0.1 erased de`, `expire it: 0`,
			`submit ana3: held, {"typed":"ana3"}, .0.1 pending de`, `confirm ana2: gone, erased, {}, .0.1 erased de`,
			`confirm ana3: confirmed, queued, {"typed":"ana3","confirmed":"now"}, .0.1 skipped de`,
		}},
		{"withdrawn and not confirmed in time", []string{
			`submit ana1: held, {"typed":"ana1"}, .0.1 pending de`, `confirm ana1: confirmed, queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`, `withdraw ana: `, `wait 2: `,
			`submit ana2: held, {"typed":"ana2"}, .0.1 pending de`, `wait 8: `, `expire it: 1`, `look ana1: queued, {"typed":"ana1","confirmed":"now"}, .0.1 skipped de`,
			`submit ana3: held, {"typed":"ana3"}, .0.1 pending de`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				do := steps(w)
				for i, line := range c.lines {
					step, want, _ := strings.Cut(line, ": ")
					verb, object, _ := strings.Cut(step, " ")
					if got := do[verb](object); got != strings.TrimSpace(want) {
						t.Errorf("%d: %s: %s, want %s", i, step, got, want)
					}
				}
			})
		})
	}
}

// What is in one group at once is decided one after the other, and a limit holds in it, too.
func TestDoubleOptInTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 40 {
			r := w.registration("both", "ana")
			r.OptIn = w.optIn(&r, "ana")
			all.Go(func() {
				if _, err := w.s.SaveRegistration(context.Background(), &r, onramp.IdempotencyKey{}, false); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				w.ids["any"] = r.ID
			})
		}
		all.Wait()
		counts := w.s.Count()
		if diff := cmp.Diff(map[onramp.RegistrationState]int64{onramp.RegistrationHeld: 1, onramp.RegistrationFailed: 39}, nonzero(counts.Registrations)); diff != "" {
			t.Error(diff)
		}
		if n := counts.Deliveries["journey:y"][onramp.DeliveryPending]; n != 1 {
			t.Errorf("%d confirmations, want 1", n)
		}
		if w.confirm("any") != confirmed {
			t.Error("any of the links should confirm")
		}
		if diff := cmp.Diff(map[onramp.RegistrationState]int64{onramp.RegistrationQueued: 1, onramp.RegistrationFailed: 39}, nonzero(w.s.Count().Registrations)); diff != "" {
			t.Error(diff)
		}
	})
}

// A click proves that the mail has arrived; what is in the way of a confirmation does not
// keep it back; and a registration under suspicion is asked about when it is let go.
func TestConfirmations(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.ask("ana1")
		asked, err := w.s.FindDelivery(ctx, w.ids["ana1"]+".0.1")
		if err != nil || asked.Confirmation == nil || !asked.Confirmation.LinkUntil.Equal(begin.Add(72*time.Hour)) || string(asked.Values) != `{"typed":"ana1"}` || asked.SubscriberKey != "ana" {
			t.Fatalf("%+v %v", asked, err)
		}
		if _, err := w.s.Settle(ctx, []onramp.Settlement{w.settlement(asked, onramp.DeliveryUnknown, 0)}); err != nil {
			t.Fatal(err)
		}
		if got, want := w.standing("ana1"), `held, {"typed":"ana1"}, .0.1 unknown de`; got != want {
			t.Error(got)
		}
		w.save("both", "ana2") // by a form without double opt-in
		w.settle("ana2.1", delivered, 0)
		if w.confirm("ana1") != confirmed {
			t.Error("not confirmed")
		}
		if got, want := w.standing("ana1"), `queued, {"typed":"ana1","confirmed":"now"}, .0.1 delivered de`; got != want {
			t.Error(got)
		}
		items, err := w.s.Timeline(ctx, w.ids["ana1"])
		var what []string
		for _, i := range items {
			what = append(what, i.What)
		}
		if got := strings.Join(what, " "); err != nil || got != "attempt accepted held confirmed unknown" {
			t.Error(got, err)
		}

		r := w.registration("both", "eve")
		r.Hold.Reason, r.OptIn = onramp.HoldSuspicion, w.optIn(&r, "eve")
		if _, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{}, false); err != nil {
			t.Fatal(err)
		}
		w.ids["eve"] = r.ID
		if w.confirm("eve") != gone {
			t.Error("confirmed what nobody was asked about")
		}
		if limit, err := w.s.SendConfirmation(ctx, r.ID, r.OptIn, false); err != nil || limit.Name != "" {
			t.Error(limit, err)
		}
		if limit, err := w.s.SendConfirmation(ctx, r.ID, r.OptIn, false); err != nil || limit.Name != "per_person" {
			t.Error(limit, err)
		}
		if got, want := w.standing("eve"), `held, {"EmailAddress":"eve@example.org"}, .0.1 pending de`; got != want {
			t.Error(got)
		}
		if w.confirm("eve") != confirmed {
			t.Error("not confirmed")
		}
		if _, err := w.s.SendConfirmation(ctx, r.ID, r.OptIn, false); !isConflict(err) {
			t.Error(err)
		}
	})
}

// A restart and another node agree on the key of the links; without a cipher there is none.
func TestConsentKey(t *testing.T) {
	onBothClear(t, func(t *testing.T, w *world) {
		if _, err := w.s.ConsentKey(t.Context(), true); err == nil {
			t.Error("a key without a cipher")
		}
		w.cipher = reversing{}
		w.reopen()
		key, err := w.s.ConsentKey(t.Context(), true)
		if err != nil || len(key) < 32 {
			t.Fatal(err)
		}
		w.reopen()
		if again, err := w.s.ConsentKey(t.Context(), true); err != nil || again != key {
			t.Error("another key after a restart", err)
		}
	})
}
