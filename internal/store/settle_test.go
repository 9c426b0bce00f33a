package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

const (
	pending   = onramp.DeliveryPending
	delivered = onramp.DeliveryDelivered
	dead      = onramp.DeliveryDead
	unknown   = onramp.DeliveryUnknown
)

// settleCase is a life of one registration of two steps.
type settleCase struct {
	settle func(w *world) []string
	want   []string // followers of the last settlement
	rows   []string
}

func checkSettle(t *testing.T, cases map[string]settleCase) {
	t.Parallel()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.save("both", "ana")
				if diff := cmp.Diff(c.want, c.settle(w)); diff != "" {
					t.Error("followers:", diff)
				}
				w.wantRows(c.rows...)
			})
		})
	}
}

// What a settlement does to the delivery, to the later steps, and to the counts
// (which are checked at the end of every test).
func TestSettle(t *testing.T) {
	checkSettle(t, map[string]settleCase{
		"nothing yet": {
			func(*world) []string { return nil }, nil,
			[]string{"ana.1 pending", "ana.2 waiting"},
		},
		"delivered": {
			func(w *world) []string { return w.settle("ana.1", delivered, 0) },
			[]string{"2: pending"},
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 pending"},
		},
		"delivered to the end": {
			func(w *world) []string {
				w.settle("ana.1", delivered, 0)
				return w.settle("ana.2", delivered, 0)
			}, nil,
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 delivered tries 1 settled 0s"},
		},
		"dead": {
			func(w *world) []string { return w.settle("ana.1", dead, 0) },
			[]string{"2: out of reach"},
			[]string{"ana.1 dead tries 1 settled 0s reason answered; correct it", "ana.2 out of reach"},
		},
		"unknown": {
			func(w *world) []string { return w.settle("ana.1", unknown, 0) },
			[]string{"2: out of reach"},
			[]string{"ana.1 unknown tries 1 settled 0s reason answered; correct it", "ana.2 out of reach"},
		},
		"the last step is dead": {
			func(w *world) []string {
				w.settle("ana.1", delivered, 0)
				return w.settle("ana.2", dead, 0)
			}, nil,
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 dead tries 1 settled 0s reason answered; correct it"},
		},
		"retried": {
			func(w *world) []string { return w.settle("ana.1", pending, time.Minute) },
			[]string{"2: waiting due never"},
			[]string{"ana.1 pending tries 1 due 1m0s", "ana.2 waiting due never"},
		},
		"retried again": {
			func(w *world) []string {
				w.settle("ana.1", pending, time.Minute)
				return w.settle("ana.1", pending, time.Hour)
			}, nil,
			[]string{"ana.1 pending tries 2 due 1h0m0s", "ana.2 waiting due never"},
		},
		"retried, then delivered": {
			func(w *world) []string {
				w.settle("ana.1", pending, time.Minute)
				return w.settle("ana.1", delivered, 0)
			},
			[]string{"2: pending due 0s"},
			[]string{"ana.1 delivered tries 2 settled 0s", "ana.2 pending due 0s"},
		},
		"retried, then dead": {
			func(w *world) []string {
				w.settle("ana.1", pending, time.Minute)
				return w.settle("ana.1", dead, 0)
			},
			[]string{"2: out of reach"},
			[]string{"ana.1 dead tries 2 settled 0s reason answered; correct it", "ana.2 out of reach"},
		},
		"the last step is retried": {
			func(w *world) []string {
				w.settle("ana.1", delivered, 0)
				return w.settle("ana.2", pending, time.Minute)
			}, nil,
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 pending tries 1 due 1m0s"},
		},
	})
}

// What one does that uses up no try, or comes too late.
func TestSettleWithoutEffect(t *testing.T) {
	checkSettle(t, map[string]settleCase{
		"throttled": {
			func(w *world) []string { return w.settle("ana.1", pending, 0) }, nil,
			[]string{"ana.1 pending", "ana.2 waiting"},
		},
		"throttled while parked": {
			func(w *world) []string {
				w.settle("ana.1", pending, time.Minute)
				return w.settle("ana.1", pending, 0)
			}, nil,
			[]string{"ana.1 pending tries 1 due 1m0s", "ana.2 waiting due never"},
		},
		"twice": {
			func(w *world) []string {
				d := w.find("ana.1")
				w.settleRead(d, delivered, 0)
				// the first answer may have been lost: what follows is told again
				return w.settleRead(d, dead, 0)
			},
			[]string{"2: pending"},
			[]string{"ana.1 delivered tries 1 settled 0s", "ana.2 pending"},
		},
		"discarded meanwhile": {
			func(w *world) []string {
				d := w.find("ana.1")
				if err := w.s.DiscardDelivery(context.Background(), w.id("ana.1"), "a test"); err != nil {
					w.t.Fatal(err)
				}
				return w.settleRead(d, delivered, 0)
			},
			[]string{"2: discarded"},
			[]string{"ana.1 discarded settled 0s reason a test", "ana.2 discarded settled 0s reason a test"},
		},
		"retried by hand meanwhile": {
			func(w *world) []string {
				w.settle("ana.1", pending, time.Minute)
				d := w.find("ana.1")
				if err := w.s.RetryDelivery(context.Background(), w.id("ana.1"), false); err != nil {
					w.t.Fatal(err)
				}
				return w.settleRead(d, delivered, 0)
			},
			[]string{"2: pending due 0s"},
			[]string{"ana.1 delivered tries 2 settled 0s", "ana.2 pending due 0s"},
		},
	})
}

// Whoever is behind a parked delivery of its key waits for it, and goes when it
// has left; only the oldest of a key has a due time of its own.
func TestOrderPerKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		rows []string
	}{
		"parked behind an earlier one": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1", "bob.1")
			},
			[]string{"ana1.1 pending tries 1 due 1m0s", "ana2.1 pending due never", "ana3.1 pending due never", "bob.1 pending"},
		},
		"the earlier one is delivered": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1", "bob.1")
				w.settle("ana1.1", delivered, 0)
			},
			[]string{"ana1.1 delivered tries 2 settled 0s", "ana2.1 pending due 0s", "ana3.1 pending due never", "bob.1 pending"},
		},
		"the earlier one is dead": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1")
				w.settle("ana1.1", dead, 0)
				w.settle("ana2.1", dead, 0)
			},
			[]string{
				"ana1.1 dead tries 2 settled 0s reason answered; correct it", "ana2.1 dead tries 1 settled 0s reason answered; correct it",
				"ana3.1 pending due 0s", "bob.1 pending",
			},
		},
		"the earlier one is discarded": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1")
				w.discard("ana1.1")
			},
			[]string{"ana1.1 discarded tries 1 settled 0s reason a test", "ana2.1 pending due 0s", "ana3.1 pending due never", "bob.1 pending"},
		},
		"one in the middle is discarded": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1")
				w.discard("ana2.1")
			},
			[]string{"ana1.1 pending tries 1 due 1m0s", "ana2.1 discarded settled 0s reason a test", "ana3.1 pending due never", "bob.1 pending"},
		},
		"one in the middle is retried by hand": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana3.1")
				w.retry("ana2.1")
			},
			[]string{"ana1.1 pending tries 1 due 1m0s", "ana2.1 pending due never", "ana3.1 pending due never", "bob.1 pending"},
		},
		"a dead earlier one is revived": {
			func(w *world) {
				w.settle("ana1.1", dead, 0)
				w.settle("ana2.1", pending, time.Minute)
				w.park("ana3.1")
				w.retry("ana1.1")
			},
			[]string{"ana1.1 pending due 0s", "ana2.1 pending tries 1 due never", "ana3.1 pending due never", "bob.1 pending"},
		},
		"a later one fails after the earlier one was revived": {
			func(w *world) {
				w.settle("ana1.1", dead, 0)
				later := w.find("ana2.1")
				w.retry("ana1.1")
				w.settleRead(later, pending, time.Second)
			},
			[]string{"ana1.1 pending due 0s", "ana2.1 pending tries 1 due never", "ana3.1 pending", "bob.1 pending"},
		},
		"a fresh earlier one fails while a revived later one is due": {
			func(w *world) {
				w.settle("ana2.1", dead, 0)
				w.retry("ana2.1")
				w.settle("ana1.1", pending, time.Minute)
			},
			[]string{"ana1.1 pending tries 1 due 1m0s", "ana2.1 pending due never", "ana3.1 pending", "bob.1 pending"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(_ *testing.T, w *world) {
				w.save("one", "ana1", "ana2", "ana3", "bob")
				c.do(w)
				w.wantRows(c.rows...)
			})
		})
	}
}

// The same across the steps of routes, where an earlier one may wait for the step
// before it.
func TestOrderAcrossSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(w *world)
		rows []string
	}{
		"behind an earlier one that waits for its step": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana2.2", "ana3.1")
			},
			[]string{
				"ana1.1 pending tries 1 due 1m0s", "ana1.2 waiting due never",
				"ana2.1 pending due never", "ana2.2 waiting due never", "ana3.1 pending due never",
			},
		},
		"the earlier one's step starts": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana2.2", "ana3.1")
				w.settle("ana1.1", delivered, 0)
				w.settle("ana2.1", delivered, 0)
			},
			[]string{
				"ana1.1 delivered tries 2 settled 0s", "ana1.2 pending due 0s",
				"ana2.1 delivered tries 1 settled 0s", "ana2.2 pending due never", "ana3.1 pending due never",
			},
		},
		"the earlier one's step is delivered": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana2.1", "ana2.2", "ana3.1")
				w.settle("ana1.1", delivered, 0)
				w.settle("ana2.1", delivered, 0)
				w.settle("ana1.2", delivered, 0)
				w.settle("ana2.2", delivered, 0)
			},
			[]string{
				"ana1.1 delivered tries 2 settled 0s", "ana1.2 delivered tries 1 settled 0s",
				"ana2.1 delivered tries 1 settled 0s", "ana2.2 delivered tries 1 settled 0s", "ana3.1 pending due 0s",
			},
		},
		"the earlier one gets out of reach": {
			func(w *world) {
				w.settle("ana1.1", pending, time.Minute)
				w.park("ana3.1")
				w.settle("ana1.1", dead, 0)
			},
			[]string{
				"ana1.1 dead tries 2 settled 0s reason answered; correct it", "ana1.2 out of reach",
				"ana2.1 pending", "ana2.2 waiting", "ana3.1 pending due 0s",
			},
		},
		"an unknown earlier one is revived": {
			func(w *world) {
				w.settle("ana1.1", unknown, 0)
				w.settle("ana3.1", pending, time.Minute)
				w.retry("ana1.1")
			},
			[]string{
				"ana1.1 pending due 0s", "ana1.2 waiting due never",
				"ana2.1 pending", "ana2.2 waiting", "ana3.1 pending tries 1 due never",
			},
		},
		"a placeholder that was parked wakes by its step": {
			func(w *world) {
				w.park("ana2.2")
				w.settle("ana2.1", delivered, 0)
			},
			[]string{
				"ana1.1 pending", "ana1.2 waiting",
				"ana2.1 delivered tries 1 settled 0s", "ana2.2 pending due 0s", "ana3.1 pending",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(_ *testing.T, w *world) {
				w.save("both", "ana1", "ana2")
				w.save("one", "ana3")
				c.do(w)
				w.wantRows(c.rows...)
			})
		})
	}
}

// An answer may hold anything, and is kept as far as a database can.
func TestAttempts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana")
		d := w.find("ana.1")
		for _, a := range []onramp.Attempt{
			{StartedAt: begin, Took: 1500 * time.Microsecond, Outcome: onramp.Outcome{Verdict: onramp.Throttled, Status: 429, Code: 50100, Detail: "slow"}},
			{StartedAt: begin.Add(time.Minute), Took: time.Second, Outcome: onramp.Outcome{
				Verdict: onramp.Rejected, Status: 400, Detail: "a\x00b", Hint: "c\xffd", Request: "\x00", Answer: "\xc3\x28",
			}},
		} {
			state := pending
			if a.Verdict == onramp.Rejected {
				state = dead
			}
			s := onramp.Settlement{Delivery: &d, State: state, At: begin, Attempt: &a}
			if _, err := w.s.Settle(t.Context(), []onramp.Settlement{s}); err != nil {
				t.Fatal(err)
			}
		}
		want := []onramp.Attempt{
			{Number: 1, StartedAt: begin, Took: 1500 * time.Microsecond, Outcome: onramp.Outcome{Verdict: onramp.Throttled, Status: 429, Code: 50100, Detail: "slow"}},
			{Number: 2, StartedAt: begin.Add(time.Minute), Took: time.Second, Outcome: onramp.Outcome{
				Verdict: onramp.Rejected, Status: 400, Detail: "a\ufffdb", Hint: "c\ufffdd", Request: "\ufffd", Answer: "\ufffd(",
			}},
		}
		got := w.find("ana.1")
		if diff := cmp.Diff(want, got.Attempts); diff != "" {
			t.Error(diff)
		}
		if got.Reason != "a\ufffdb; c\ufffdd" {
			t.Errorf("reason %q", got.Reason)
		}
	})
}

// Settlements of one call are one transaction, and one without an attempt
// leaves no trace in the timeline.
func TestSettleMany(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana", "bob")
		ana, bob := w.settlement(w.find("ana.1"), delivered, 0), w.settlement(w.find("bob.1"), dead, 0)
		bob.Attempt = nil
		before := w.s.Commits()
		if _, err := w.s.Settle(t.Context(), []onramp.Settlement{ana, bob}); err != nil {
			t.Fatal(err)
		}
		if n := w.s.Commits() - before; n != 1 {
			t.Errorf("%d commits, want 1", n)
		}
		w.wantRows("ana.1 delivered tries 1 settled 0s", "bob.1 dead tries 1 settled 0s")
		if attempts := w.find("bob.1").Attempts; attempts != nil {
			t.Errorf("attempts %v", attempts)
		}
	})
}
