package alert_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/alert"
	"onramp/internal/health"
	"onramp/internal/onramp"
)

// runbook is the last line of an alert.
func runbook(page string) string {
	return "\nrunbook: docs/runbook/" + page + ".md (onramp explain runbook " + page + ")"
}

// What each condition says when it begins.
func TestConditions(t *testing.T) {
	t.Parallel()
	const deadHint = "\nhint: find the cause with onramp deliveries list --by-cause and onramp deliveries show ID, fix it, then run onramp deliveries retry --cause CAUSE"
	for _, c := range []struct {
		name   string
		cfg    alert.Config
		change func(w *world, now time.Time)
		after  time.Duration
		want   []sentAlert
	}{
		{
			"nothing", alert.Config{}, func(w *world, now time.Time) {
				w.health = []onramp.Health{{Destination: extension, State: "running"}}
				w.deliveries["data_extension:Web"] = n(onramp.DeliveryPending, 5)
				w.oldest["data_extension:Web"] = now.Add(-14 * time.Minute)
				w.free = 5
			}, 20 * time.Second, nil,
		},
		{
			"blocked",
			alert.Config{},
			func(w *world, now time.Time) {
				w.health = []onramp.Health{stopped(journey, "blocked", "403 Forbidden:\n no scope", "c1", now.Add(-20*time.Second))}
				w.deliveries["journey:Welcome"] = map[onramp.DeliveryState]int64{
					onramp.DeliveryPending: 1, onramp.DeliveryWaiting: 2, onramp.DeliverySubmitted: 4,
					onramp.DeliveryDelivered: 8, onramp.DeliveryUnknown: 16, onramp.DeliveryOutOfReach: 32,
				}
			}, 20 * time.Second,
			[]sentAlert{{time.Second, "onramp: blocked: journey:Welcome", "cause: 403 Forbidden: no scope\nwaiting: 7 deliveries\n" +
				"since: 1999-12-31 23:59:40 UTC (21s)\nhint: do something" + runbook("blocked")}},
		},
		{
			"credentials refused",
			alert.Config{},
			func(w *world, now time.Time) {
				w.health = []onramp.Health{
					refused(extension, "401 Unauthorized after a new token", "c1", now),
					stopped(journey, "blocked", "403 Forbidden", "c2", now),
					refused(email, "401 Unauthorized after a new token", "c1", now.Add(-2*time.Second)),
				}
				w.deliveries["data_extension:Web"] = n(onramp.DeliveryPending, 1)
				w.deliveries["message:hello"] = n(onramp.DeliveryPending, 2)
			}, 20 * time.Second,
			[]sentAlert{
				{time.Second, "onramp: credentials refused: data_extension:Web and message:hello", "cause: 401 Unauthorized after a new token; this affects data_extension:Web and message:hello\n" +
					"waiting: 3 deliveries\nsince: 1999-12-31 23:59:58 UTC (3s)\nhint: do something" + runbook("account")},
				{time.Second, "onramp: blocked: journey:Welcome", "cause: 403 Forbidden\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (1s)\nhint: do something" + runbook("blocked")},
			},
		},
		{
			"token refused",
			alert.Config{},
			func(w *world, now time.Time) {
				w.health = []onramp.Health{refused(email, "no access token: 400 invalid_client", "c", now)}
				w.deliveries["message:hello"] = n(onramp.DeliveryPending, 1)
			}, time.Second,
			[]sentAlert{{time.Second, "onramp: credentials refused: message:hello", "cause: no access token: 400 invalid_client\nwaiting: 1 delivery\nsince: 2000-01-01 00:00:00 UTC (1s)\nhint: do something" + runbook("account")}},
		},
		{
			"not a 401",
			alert.Config{},
			func(w *world, now time.Time) {
				w.health = []onramp.Health{stopped(email, "blocked", "403 for the business unit 401", "c", now)}
			}, time.Second,
			[]sentAlert{{time.Second, "onramp: blocked: message:hello", "cause: 403 for the business unit 401\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (1s)\nhint: do something" + runbook("blocked")}},
		},
		{
			"throttled",
			alert.Config{},
			func(w *world, now time.Time) {
				h := stopped(extension, "throttled", "429 Too Many Requests", "c", now)
				h.Hint = ""
				w.health = []onramp.Health{h}
			}, 30 * time.Second,
			[]sentAlert{{16 * time.Second, "onramp: throttled: data_extension:Web", "cause: 429 Too Many Requests\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (16s)\n" +
				"hint: nothing is lost, and sending resumes by itself; if this lasts, check whether Marketing Cloud has an outage, or lower delivery.senders" + runbook("throttled")}},
		},
		{
			"retries exhausted",
			alert.Config{},
			func(w *world, _ time.Time) {
				w.health = []onramp.Health{{Destination: journey, State: "running", GivenUp: 2}}
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryPending, 1)
			}, 10 * time.Second,
			[]sentAlert{{time.Second, "onramp: retries exhausted: journey:Welcome", "cause: 2 deliveries reached delivery.give_up_after, the last at 2000-01-01 00:00:01 UTC\n" +
				"waiting: 1 delivery\nsince: 2000-01-01 00:00:01 UTC (0s)" + deadHint + runbook("retries-exhausted")}},
		},
		{
			"unknown",
			alert.Config{},
			func(w *world, now time.Time) {
				h := onramp.Health{Destination: journey, State: "running", Unknown: 3}
				w.health = []onramp.Health{h}
			}, 20 * time.Second,
			[]sentAlert{{time.Second, "onramp: answers lost: journey:Welcome", "cause: 3 deliveries may have arrived, but the answers were lost, the last at 2000-01-01 00:00:01 UTC\n" +
				"waiting: 0 deliveries\nsince: 2000-01-01 00:00:01 UTC (0s)\nhint: list them with onramp deliveries list --state unknown; retry those where a second message does no harm, and discard the others" + runbook("answers-lost")}},
		},
		{
			"dead letters",
			alert.Config{},
			func(w *world, _ time.Time) {
				w.deliveries["message:hello"] = n(onramp.DeliveryDead, 1)
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryDead, 1200)
			}, 10 * time.Second,
			[]sentAlert{
				{time.Second, "onramp: dead letters: journey:Welcome", "cause: 1200 dead letters, the last at 2000-01-01 00:00:01 UTC\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:01 UTC (0s)" + deadHint + runbook("dead-letters")},
				{time.Second, "onramp: dead letters: message:hello", "cause: 1 dead letter, the last at 2000-01-01 00:00:01 UTC\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:01 UTC (0s)" + deadHint + runbook("dead-letters")},
			},
		},
		{
			"dead letters, by cause",
			alert.Config{},
			func(w *world, now time.Time) {
				w.deliveries["message:hello"] = n(onramp.DeliveryDead, 9)
				w.failedAt = now.Add(-time.Hour)
				for i, reason := range []string{"400 10006: Unable to save; the column EmailAddress", "400: 'ana@example.org' is wrong.", "c", "d", "e"} {
					w.causes = append(w.causes, onramp.CauseGroup{
						Cause: fmt.Sprintf("00f000a%d", i), Destination: "message:hello", State: onramp.DeliveryDead, Count: int64(5 - i), Reason: reason,
					})
				}
				w.causes = append(w.causes, onramp.CauseGroup{Destination: "journey:Welcome", State: onramp.DeliveryDead, Count: 7})
			}, 10 * time.Second,
			[]sentAlert{{time.Second, "onramp: dead letters: message:hello", "cause: 9 dead letters, the last at 1999-12-31 23:00:00 UTC: 5 with the cause 00f000a0: 400 10006: Unable to save; the column EmailAddress; " +
				"4 with the cause 00f000a1: 400: … is wrong; 3 with the cause 00f000a2: c; and 2 other causes\nwaiting: 0 deliveries\nsince: 1999-12-31 23:00:00 UTC (1h)" + deadHint + runbook("dead-letters")}},
		},
		{
			"dead letters, without a database",
			alert.Config{},
			func(w *world, _ time.Time) {
				w.deliveries["message:hello"] = n(onramp.DeliveryDead, 1)
				w.causesErr = errors.New("x")
			}, 10 * time.Second,
			[]sentAlert{{time.Second, "onramp: dead letters: message:hello", "cause: 1 dead letter, the last at 2000-01-01 00:00:01 UTC\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:01 UTC (0s)" + deadHint + runbook("dead-letters")}},
		},
		{
			"checks",
			alert.Config{},
			func(w *world, now time.Time) {
				w.checks = []health.Check{
					{Name: "account", State: health.CheckFailed, Detail: "no access token: 401", Hint: "operator: a", Since: now},
					{Name: "journey:Other", State: health.CheckPending},
					{Name: "journey:Welcome", State: health.CheckPassed, Since: now},
					{Name: "message:hello", State: health.CheckUnchecked, Detail: "could not be checked", Since: now},
					{Name: "data_extension:Web", State: health.CheckFailed, Detail: "404 30003: Object Not Found", Hint: "operator: b", Since: now},
				}
			}, 10 * time.Second,
			[]sentAlert{
				{time.Second, "onramp: credentials or business unit wrong", "cause: no access token: 401\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (1s)\nhint: operator: a" + runbook("account")},
				{time.Second, "onramp: not as configured in Marketing Cloud: data_extension:Web", "cause: 404 30003: Object Not Found\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (1s)\nhint: operator: b" + runbook("not-as-configured")},
			},
		},
		{
			"a Marketing Cloud that is away",
			alert.Config{},
			func(w *world, now time.Time) {
				w.checks = []health.Check{{Name: "account", State: health.CheckAway, Detail: "connection refused", Hint: "check the network", Since: now}}
			}, 6 * time.Minute,
			[]sentAlert{{5 * time.Minute, "onramp: Marketing Cloud can't be reached", "cause: connection refused\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (5m)\nhint: check the network" + runbook("unreachable")}},
		},
		{
			"clocks",
			alert.Config{},
			func(w *world, _ time.Time) { w.ahead = -31 * time.Second }, 10 * time.Second,
			[]sentAlert{{time.Second, "onramp: clocks differ", "cause: Marketing Cloud's clock is 31s behind this machine's\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:01 UTC (0s)\n" +
				"hint: operator: let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it; see onramp check --only clock" + runbook("clocks-differ")}},
		},
		{
			"clocks that nearly agree", alert.Config{}, func(w *world, _ time.Time) { w.ahead = 30 * time.Second }, 10 * time.Second, nil,
		},
		{
			"store",
			alert.Config{},
			func(w *world, _ time.Time) {
				w.trouble = errors.New("write: disk I/O error " + strings.Repeat("ä ", 600))
				w.deliveries["message:hello"] = n(onramp.DeliveryPending, 3)
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryWaiting, 3)
			}, 10 * time.Second,
			[]sentAlert{{time.Second, "onramp: store unreachable: registrations refused", "cause: write: disk I/O error " + strings.Repeat("ä ", 139) + "…\nwaiting: 6 deliveries\n" +
				"since: 2000-01-01 00:00:01 UTC (0s)\nhint: registrations are answered with 503 until the database can be written to: check that it is running and that its disk has space; see onramp check --only database" + runbook("store-unreachable")}},
		},
		{
			"disk",
			alert.Config{},
			func(w *world, _ time.Time) { w.free, w.total = 1_200_000_000, 40_000_000_000 }, 40 * time.Second,
			[]sentAlert{{time.Second, "onramp: low disk space: 1.2 GB free", "cause: 1.2 GB of 40.0 GB (3.0%) free on the database's disk; the limit is 5%\nwaiting: 0 deliveries\n" +
				"since: 2000-01-01 00:00:01 UTC (0s)\nhint: free space on the database's disk: once it is full, registrations are answered with 503; see onramp check --only disk" + runbook("disk-space")}},
		},
		{
			"disk by amount",
			alert.Config{FreeBytes: 500e6},
			func(w *world, _ time.Time) { w.free, w.total = 499_999_999, 600_000_000 }, 40 * time.Second,
			[]sentAlert{{time.Second, "onramp: low disk space: 500.0 MB free", "cause: 500.0 MB of 600.0 MB (83.3%) free on the database's disk; the limit is 500.0 MB\nwaiting: 0 deliveries\n" +
				"since: 2000-01-01 00:00:01 UTC (0s)\nhint: free space on the database's disk: once it is full, registrations are answered with 503; see onramp check --only disk" + runbook("disk-space")}},
		},
		{
			"enough by amount", alert.Config{FreeBytes: 500e6}, func(w *world, _ time.Time) { w.free, w.total = 500_000_000, 100_000_000_000 }, 40 * time.Second, nil,
		},
		{
			"late",
			alert.Config{},
			func(w *world, now time.Time) {
				w.deliveries["journey:Welcome"] = n(onramp.DeliverySubmitted, 3)
				w.oldest["journey:Welcome"] = now.Add(-14 * time.Minute)
			}, 2 * time.Minute,
			[]sentAlert{{61 * time.Second, "onramp: late deliveries: journey:Welcome", "cause: the oldest undelivered registration was accepted at 1999-12-31 23:46:00 UTC, more than 15m ago\n" +
				"waiting: 3 deliveries\nsince: 2000-01-01 00:01:01 UTC (0s)\nhint: find the destination that is behind with onramp status, and its deliveries with onramp deliveries list --state pending" + runbook("late")}},
		},
		{
			"not late: it waits for the step before it", alert.Config{Oldest: time.Minute}, func(w *world, now time.Time) {
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryWaiting, 3)
				w.oldest["journey:Welcome"] = now.Add(-14 * time.Minute)
			}, 2 * time.Minute, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := watching(t, c.cfg, func(w *world) {
				w.change(func(w *world) { c.change(w, time.Now().Add(-500*time.Millisecond)) })
				pass(c.after)
			})
			// those of one moment are sent in any order
			byTitle := cmpopts.SortSlices(func(a, b sentAlert) bool { return a.At < b.At || a.At == b.At && a.Title < b.Title })
			if diff := cmp.Diff(c.want, got, byTitle); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

func block(w *world)   { w.health = []onramp.Health{stopped(journey, "blocked", "403", "c", time.Now())} }
func unblock(w *world) { w.health = []onramp.Health{{Destination: journey, State: "running"}} }

// The alerts over time.
func TestTelling(t *testing.T) {
	t.Parallel()
	const blocked = "blocked: journey:Welcome"
	for _, c := range []struct {
		name   string
		script func(w *world)
		want   []string
	}{
		{"lasts", func(w *world) {
			w.change(block)
			pass(2*time.Hour + 30*time.Minute)
			w.change(unblock)
			pass(10 * time.Minute)
		}, []string{
			"1s onramp: " + blocked, "1h0m1s onramp: still " + blocked, "2h0m1s onramp: still " + blocked,
			"2h35m1s onramp: cleared: " + blocked + ", after 2h30m",
		}},
		{"blocked while checks come and go", func(w *world) {
			failed := func(names ...string) func(w *world) {
				return func(w *world) {
					w.checks = nil
					for _, n := range names {
						w.checks = append(w.checks, health.Check{Name: n, State: health.CheckFailed, Since: time.Now(), Concerns: []string{"journey:Welcome"}})
					}
				}
			}
			w.change(block)
			w.change(failed("scopes", "journey:Welcome"))
			pass(time.Minute)
			w.change(failed("scopes"))
			pass(time.Minute)
			w.change(failed())
			pass(time.Minute)
			w.change(failed("journey:Welcome", "scopes"))
			pass(time.Minute)
			w.change(failed())
			pass(time.Minute)
			w.change(unblock)
			pass(10 * time.Minute)
		}, []string{"1s onramp: " + blocked, "10m1s onramp: cleared: " + blocked + ", after 5m"}},
		{"paused for two days and a half", func(w *world) {
			w.change(func(w *world) {
				w.health = []onramp.Health{{Destination: journey, State: "paused", Reason: "new journey", Since: time.Now()}, {Destination: email, State: "running"}}
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryPending, 1)
				w.deliveries["message:hello"] = map[onramp.DeliveryState]int64{onramp.DeliveryWaiting: 1, onramp.DeliveryPending: 1} // one of another form
				w.oldest["journey:Welcome"], w.oldest["message:hello"] = time.Now(), time.Now()
			})
			pass(60 * time.Hour)
			w.change(unblock)
			pass(10 * time.Minute)
			w.change(func(w *world) { clear(w.deliveries) })
			pass(time.Hour)
		}, []string{
			"24h0m1s onramp: paused: journey:Welcome", "48h0m1s onramp: still paused: journey:Welcome",
			"60h5m1s onramp: cleared: paused: journey:Welcome, after 2d12h",
		}},
		{"flaps every few seconds", func(w *world) {
			for range 3600 { // 2 h
				w.change(block)
				pass(time.Second)
				w.change(unblock)
				pass(time.Second)
			}
			pass(time.Hour)
		}, []string{
			"1s onramp: " + blocked, "1h0m1s onramp: still " + blocked,
			"2h5m0s onramp: cleared: " + blocked + ", after 1h59m",
		}},
		{"comes and goes slowly", func(w *world) {
			for range 9 { // 3 h
				w.change(block)
				pass(10 * time.Minute)
				w.change(unblock)
				pass(10 * time.Minute)
			}
		}, []string{
			"1s onramp: " + blocked, "15m1s onramp: cleared: " + blocked + ", after 10m",
			"1h0m1s onramp: again " + blocked, "1h15m1s onramp: cleared: " + blocked + ", after 10m",
			"2h0m1s onramp: again " + blocked, "2h15m1s onramp: cleared: " + blocked + ", after 10m",
		}},
		{"comes back for good within the hour", func(w *world) {
			w.change(block)
			pass(2 * time.Minute)
			w.change(unblock)
			pass(10 * time.Minute)
			w.change(block)
			pass(time.Hour)
			w.change(unblock)
			pass(10 * time.Minute)
		}, []string{
			"1s onramp: " + blocked, "7m1s onramp: cleared: " + blocked + ", after 2m",
			"1h0m1s onramp: again " + blocked, "1h17m1s onramp: cleared: " + blocked + ", after 1h",
		}},
		{"is forgotten after the hour", func(w *world) {
			w.change(block)
			pass(time.Minute)
			w.change(unblock)
			pass(2 * time.Hour)
			w.change(block)
			pass(time.Minute)
		}, []string{
			"1s onramp: " + blocked, "6m1s onramp: cleared: " + blocked + ", after 1m", "2h1m1s onramp: " + blocked,
		}},
		{"other causes have their own alerts", func(w *world) {
			w.change(block)
			pass(time.Minute)
			w.change(func(w *world) {
				w.health = append(w.health, refused(email, "401", "d", time.Now()), stopped(extension, "blocked", "403", "c", time.Now()))
				w.trouble = errors.New("x")
			})
			pass(time.Minute)
			w.change(func(w *world) { w.health, w.trouble = nil, nil })
			pass(10 * time.Minute)
		}, []string{
			"1s onramp: " + blocked, "1m1s onramp: credentials refused: message:hello", "1m1s onramp: store unreachable: registrations refused",
			"7m1s onramp: cleared: blocked: data_extension:Web and journey:Welcome, after 2m", "7m1s onramp: cleared: credentials refused: message:hello, after 1m",
			"7m1s onramp: cleared: store unreachable: registrations refused, after 1m",
		}},
		{"dead letters until none comes for an hour", func(w *world) {
			for i := range int64(3) {
				w.change(func(w *world) { w.deliveries["a"] = n(onramp.DeliveryDead, i+1) })
				pass(40 * time.Minute)
			}
			pass(3 * time.Hour)
			w.change(func(w *world) { w.deliveries["a"] = n(onramp.DeliveryDead, 4) })
			pass(time.Minute)
		}, []string{
			"1s onramp: dead letters: a", "1h0m1s onramp: still dead letters: a", "2h0m1s onramp: still dead letters: a",
			"2h25m1s onramp: cleared: dead letters: a, after 2h20m", "5h0m1s onramp: dead letters: a",
		}},
		{"dead letters are gone", func(w *world) {
			w.change(func(w *world) { w.deliveries["a"] = n(onramp.DeliveryDead, 2) })
			pass(10 * time.Minute)
			w.change(func(w *world) { w.deliveries["a"] = n(onramp.DeliveryDelivered, 2) })
			pass(10 * time.Minute)
		}, []string{"1s onramp: dead letters: a", "15m1s onramp: cleared: dead letters: a, after 10m"}},
		{"a throttle of fifteen seconds is none", func(w *world) {
			for range 100 {
				w.change(func(w *world) {
					w.health = []onramp.Health{stopped(journey, "throttled", "429", "c", time.Now().Add(-500*time.Millisecond))}
				})
				pass(15 * time.Second)
				w.change(unblock)
				pass(5 * time.Second)
			}
		}, nil},
		{"being late is not counted while blocked", func(w *world) {
			w.change(func(w *world) {
				block(w)
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryPending, 1)
				w.oldest["journey:Welcome"] = time.Now()
			})
			pass(40 * time.Minute)
			w.change(unblock)
			pass(14 * time.Minute)
			w.change(func(w *world) { w.oldest["journey:Welcome"] = time.Now() })
			pass(20 * time.Minute)
		}, []string{
			"1s onramp: " + blocked, "45m1s onramp: cleared: " + blocked + ", after 40m",
			"1h9m1s onramp: late deliveries: journey:Welcome",
		}},
		{"who is late stays late while blocked", func(w *world) {
			w.change(func(w *world) {
				w.deliveries["journey:Welcome"] = n(onramp.DeliveryPending, 1)
				w.oldest["journey:Welcome"] = time.Now().Add(-time.Hour)
			})
			pass(time.Minute)
			w.change(block)
			pass(20 * time.Minute)
		}, []string{"1s onramp: late deliveries: journey:Welcome", "1m1s onramp: " + blocked}},
		{"what can't be asked is as it was", func(w *world) {
			w.change(func(w *world) {
				w.deliveries["a"] = n(onramp.DeliveryPending, 1)
				w.oldest["a"], w.free = time.Now().Add(-time.Hour), 1
			})
			pass(time.Minute)
			w.change(func(w *world) { w.oldestErr, w.freeErr = errors.New("x"), errors.New("x") })
			pass(20 * time.Minute)
			w.change(func(w *world) { w.oldestErr, w.freeErr, w.free, w.oldest = nil, nil, 50, nil })
			pass(10 * time.Minute)
		}, []string{
			"1s onramp: late deliveries: a", "1s onramp: low disk space: 1 B free",
			"26m1s onramp: cleared: low disk space: 1 B free, after 21m",
			"26m1s onramp: cleared: late deliveries: a, after 21m",
		}},
		{"a disk that hangs", func(w *world) {
			hangs := make(chan struct{})
			w.change(func(w *world) { w.hangs = hangs })
			pass(time.Minute)
			w.change(block)
			pass(time.Minute)
			w.change(func(w *world) { w.hangs, w.free = nil, 1 })
			close(hangs)
			pass(time.Minute)
		}, []string{"1m1s onramp: " + blocked, "2m0.5s onramp: low disk space: 1 B free"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := titles(watching(t, alert.Config{}, c.script))
			// those of one moment are sent in any order
			byTitle := cmpopts.SortSlices(func(a, b sentAlert) bool { return a.At < b.At || a.At == b.At && a.Title < b.Title })
			if diff := cmp.Diff(c.want, got, byTitle); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

// A restart repeats no alert of what lasts, and tells its end.
func TestRestart(t *testing.T) {
	t.Parallel()
	const blocked = "blocked: journey:Welcome"
	dead := func(count int64) func(*world) {
		return func(w *world) { w.deliveries["a"] = n(onramp.DeliveryDead, count) }
	}
	gaveUp := func(count int64) func(*world) {
		return func(w *world) { w.health = []onramp.Health{{Destination: journey, State: "running", GivenUp: count}} }
	}
	for _, c := range []struct {
		name   string
		cfg    alert.Config
		script []func(w *world)
		want   []string
	}{
		{"what lasts", alert.Config{}, []func(w *world){
			func(w *world) { w.change(block); pass(10 * time.Minute) },
			func(w *world) { pass(time.Hour) },
			func(w *world) { w.change(unblock); pass(10 * time.Minute) },
		}, []string{"1s onramp: " + blocked, "1h0m1.5s onramp: still " + blocked, "1h15m2s onramp: cleared: " + blocked + ", after 1h10m"}},
		{"what begins right before the end", alert.Config{}, []func(w *world){
			func(w *world) { w.change(block); pass(time.Second) },
			func(*world) { pass(10 * time.Minute) },
		}, []string{"1s onramp: " + blocked}},
		{"what ended meanwhile", alert.Config{}, []func(w *world){
			func(w *world) { w.change(block); pass(10 * time.Minute); w.change(unblock) },
			func(*world) { pass(10 * time.Minute) },
		}, []string{"1s onramp: " + blocked, "15m1.5s onramp: cleared: " + blocked + ", after 10m1s"}},
		{"dead letters", alert.Config{}, []func(w *world){
			func(w *world) { w.change(dead(2)); pass(10 * time.Minute) },
			func(w *world) { pass(10 * time.Minute); w.change(dead(3)); pass(10 * time.Minute) },
			func(*world) { pass(2 * time.Hour) },
		}, []string{"1s onramp: dead letters: a", "1h0m1s onramp: still dead letters: a", "1h25m2s onramp: cleared: dead letters: a, after 1h20m"}},
		{"dead letters of the time between", alert.Config{}, []func(w *world){
			func(w *world) { w.change(dead(0)); pass(10 * time.Minute); w.change(dead(1)) },
			func(*world) { pass(10 * time.Minute) },
		}, []string{"10m1.5s onramp: dead letters: a"}},
		{"retries that were exhausted, counted anew", alert.Config{}, []func(w *world){
			func(w *world) { w.change(gaveUp(5)); pass(10 * time.Minute); w.change(gaveUp(0)) },
			func(w *world) { pass(2 * time.Hour); w.change(gaveUp(1)); pass(10 * time.Minute) },
		}, []string{
			"1s onramp: retries exhausted: journey:Welcome",
			"1h5m1.5s onramp: cleared: retries exhausted: journey:Welcome, after 1h", "2h10m1.5s onramp: retries exhausted: journey:Welcome",
		}},
		{"silence", alert.Config{Events: time.Hour, Callbacks: []string{"events"}}, []func(w *world){
			func(w *world) {
				pass(10 * time.Second)
				w.change(func(w *world) {
					w.health = []onramp.Health{{Destination: email, State: "running"}}
					w.deliveries[email.Name()] = n(onramp.DeliveryDelivered, 1)
				})
				pass(30 * time.Minute)
			},
			func(*world) { pass(31 * time.Minute) },
		}, []string{"1h0m11.5s onramp: no events received"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := titles(watching(t, c.cfg, c.script...))
			// those of one moment are sent in any order
			byTitle := cmpopts.SortSlices(func(a, b sentAlert) bool { return a.At < b.At || a.At == b.At && a.Title < b.Title })
			if diff := cmp.Diff(c.want, got, byTitle); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
}

// A repeated alert, and the last one, say what happened in between.
func TestTexts(t *testing.T) {
	t.Parallel()
	got := watching(t, alert.Config{}, func(w *world) {
		for range 3 {
			w.change(block)
			pass(2 * time.Minute)
			w.change(unblock)
			pass(time.Minute)
		}
		w.change(block)
		pass(time.Hour)
		w.change(unblock)
		pass(6 * time.Minute)
	})
	want := []sentAlert{
		{time.Second, "onramp: blocked: journey:Welcome", "cause: 403\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (0s)\nhint: do something" + runbook("blocked")},
		{time.Hour + time.Second, "onramp: still blocked: journey:Welcome", "cause: 403\nwaiting: 0 deliveries\nsince: 2000-01-01 00:00:00 UTC (1h)\n" +
			"came back: 3 times since the last alert\nhint: do something" + runbook("blocked")},
		{74*time.Minute + time.Second, "onramp: cleared: blocked: journey:Welcome, after 1h9m", "last cause: 403\n" +
			"from: 2000-01-01 00:00:00 UTC\nuntil: 2000-01-01 01:09:01 UTC"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// The slow look is taken every fifteen seconds, and says once what it can't know.
func TestSlowLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{freeErr: errors.ErrUnsupported}
		var log strings.Builder
		watcher, err := alert.New(alert.Config{}, w.sources(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		watcher.Run(ctx)
		if w.asked != 4 || strings.Count(log.String(), "free disk space unknown") != 1 {
			t.Errorf("asked %d times, want 4; log, which is to say it once:\n%s", w.asked, log.String())
		}
	})
}

// Without receivers, and without what may be left out, the log has every alert.
func TestLog(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		w := &world{health: []onramp.Health{stopped(journey, "blocked", "403", "c", time.Now())}, deliveries: map[string]map[onramp.DeliveryState]int64{"a": n(onramp.DeliveryDead, 1)}}
		watcher, err := alert.New(alert.Config{}, alert.Sources{Desk: w.desk()}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == "hint" {
					return slog.Attr{}
				}
				return a
			},
		})))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 7*time.Minute)
		defer stop()
		go func() {
			pass(1500 * time.Millisecond)
			w.change(func(w *world) { w.health = nil })
		}()
		watcher.Run(ctx)
	})
	want := `level=ERROR msg=alert cause=blocked:c title="onramp: blocked: journey:Welcome" detail=403 waiting=0 since=2000-01-01T00:00:00.000Z runbook=docs/runbook/blocked.md
level=WARN msg=alert cause=dead:a title="onramp: dead letters: a" detail="1 dead letter, the last at 2000-01-01 00:00:01 UTC" waiting=0 since=2000-01-01T00:00:01.000Z runbook=docs/runbook/dead-letters.md
level=WARN msg=alert cause=blocked:c title="onramp: cleared: blocked: journey:Welcome, after 2s" detail=403 waiting=0 since=2000-01-01T00:00:00.000Z runbook=docs/runbook/blocked.md
`
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestFreeSpace(t *testing.T) {
	t.Parallel()
	free, total, err := alert.FreeSpace(t.TempDir())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system doesn't tell")
	}
	if err != nil || free == 0 || free > total {
		t.Errorf("got %d of %d, %v", free, total, err)
	}
	if _, _, err := alert.FreeSpace(t.TempDir() + "/none"); err == nil {
		t.Error("a folder that isn't there has free space")
	}
}
