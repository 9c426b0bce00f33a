package sandbox_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/ens"
)

// A token is fetched once and used for many batches; a 400 or a 401 fetches
// another and sends the very same bytes again, once.
func TestENSToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := map[string]int{}
		hook := &webhook{}
		hook.status = func(n notice, _ int) int { return max(refused[n.Bearer], 204) }
		r := newENSRig(t, hook, sandbox.Config{Sending: sandbox.Sending{Sends: 1}})
		r.callback("cb", r.scheme())
		r.subscribe("cb", "all", allEmail, "")
		send := func(key string, want ...string) {
			t.Helper()
			r.mail(key, "ana@example.org")
			pass(time.Second)
			var got []string
			for _, n := range hook.saw() {
				got = append(got, n.Bearer)
				if n.Sign != ens.Sign(r.keys["cb"], false, []byte(n.Body)) || !strings.Contains(n.Body, `"`+key+`"`) {
					t.Errorf("%s: got %+v", key, n)
				}
			}
			check(t, key, want, got)
		}
		send("m-1", "t-1")
		send("m-2", "t-1")
		refused["t-1"] = 401
		send("m-3", "t-1", "t-2")
		send("m-4", "t-2")
		refused["t-2"] = 400
		send("m-5", "t-2", "t-3")
		refused["t-3"] = 403 // no reason to get another
		send("m-6", "t-3")
		delete(refused, "t-3")
		check(t, "failed requests, batches", []int{3, 5, 1}, []int{r.cb().Failed, r.cb().Sent, r.cb().Deferred})

		// refused even with a new token: no third time
		refused["t-3"], refused["t-4"] = 401, 401
		send("m-7", "t-3", "t-4")
		hook.token = func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusServiceUnavailable) }
		send("m-8", "t-4")
		got := r.cb()
		check(t, "no answer and why", "no token: ProtocolError. The remote server returned an error: (503) Service Unavailable.", got.LastProblem)
		check(t, "deferred", 3, got.Deferred)
		check(t, "tokens", 5, hook.tokens)
	})
}

// after are the times of requests.
func after(list []notice) (got []time.Duration) {
	for _, n := range list {
		got = append(got, n.After)
	}
	return got
}

// What is not taken is sent three times, and then again and again for a week.
func TestENSRetriesCurrent(t *testing.T) {
	t.Parallel()
	const first = 150 * time.Millisecond
	var week []time.Duration
	for i, hours := 0, time.Duration(0); ; i++ {
		hours += min(10*time.Minute<<i, 12*time.Hour)
		if hours > 7*24*time.Hour {
			break
		}
		week = append(week, first+hours)
	}
	for _, row := range []struct {
		name   string
		status func(n notice, times int) int
		send   sandbox.Sending
		want   []time.Duration
		cb     sandbox.Callback
	}{
		{"taken", nil, sandbox.Sending{}, []time.Duration{first}, sandbox.Callback{Sent: 1, SentEvents: 1, LastStatus: 200}},
		{"204 is the last good one", func(notice, int) int { return 204 }, sandbox.Sending{}, []time.Duration{first}, sandbox.Callback{Sent: 1, SentEvents: 1, LastStatus: 204}},
		{"the second time", func(_ notice, n int) int { return 503 - 300*(n/2) }, sandbox.Sending{}, []time.Duration{first, first}, sandbox.Callback{Sent: 1, SentEvents: 1, Failed: 1, LastStatus: 203}},
		{"the fifth time", func(_ notice, n int) int { return 205 - n/5*5 }, sandbox.Sending{}, []time.Duration{first, first, first, week[0], week[1]}, sandbox.Callback{Sent: 1, SentEvents: 1, Failed: 4, LastStatus: 200}},
		{"one send", func(_ notice, n int) int { return 302 - n/2*102 }, sandbox.Sending{Sends: 1}, []time.Duration{first, week[0]}, sandbox.Callback{Sent: 1, SentEvents: 1, Failed: 1, LastStatus: 200}},
		{"no window", nil, sandbox.Sending{WindowMS: -1, EventsAfterMS: 2000}, []time.Duration{2 * time.Second}, sandbox.Callback{Sent: 1, SentEvents: 1, LastStatus: 200}},
		{
			"never", func(notice, int) int { return 500 },
			sandbox.Sending{},
			append([]time.Duration{first, first, first}, week...),
			sandbox.Callback{Failed: 3 + len(week), Dropped: 1, LastStatus: 500},
		},
		{
			"broken connection", func(notice, int) int { return 0 },
			sandbox.Sending{},
			append([]time.Duration{first, first, first}, week...),
			sandbox.Callback{Failed: 3 + len(week), Dropped: 1, LastProblem: "ReceiveFailure. The underlying connection was closed: An unexpected error occurred on a receive."},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hook := &webhook{status: row.status}
				r := listening(t, hook, sandbox.Config{Sending: row.send})
				r.mail("m-1", "ana@example.org")
				pass(8 * 24 * time.Hour)
				got := hook.saw()
				check(t, "times", row.want, after(got))
				for _, n := range got {
					if n.Body != got[0].Body || n.Sign != got[0].Sign {
						t.Errorf("not the same: %+v", n)
					}
				}
				cb := r.cb()
				cb.LastAt = nil
				row.cb.Name, row.cb.URL, row.cb.MaxBatchSize, row.cb.Status = "cb", "https://cb.test/in", 1000, "verified"
				check(t, "callback", row.cb, cb)
			})
		})
	}
}

// A callback has three seconds, and two in the older document.
func TestENSLimit(t *testing.T) {
	t.Parallel()
	for retries, limit := range map[string]time.Duration{"current": 3 * time.Second, "legacy": 2 * time.Second} {
		t.Run(retries, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hook := &webhook{hold: func(r *http.Request) { <-r.Context().Done() }}
				r := listening(t, hook, sandbox.Config{Sending: sandbox.Sending{Retries: retries, Sends: 2}})
				r.mail("m-1", "ana@example.org")
				pass(time.Minute)
				check(t, "times", []time.Duration{150 * time.Millisecond, 150*time.Millisecond + limit}, after(hook.saw()))
				check(t, "problem", "Timeout. The operation has timed out", r.cb().LastProblem)
			})
		})
	}
}

// The older document: batches are dropped, and two in a row suspend the
// callback, each time for longer.
func TestENSRetriesLegacy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := 500
		hook := &webhook{status: func(notice, int) int { return status }}
		r := listening(t, hook, sandbox.Config{Sending: sandbox.Sending{Retries: "legacy", WindowMS: -1, EventsAfterMS: -1}})
		sent := func() int {
			t.Helper()
			r.events("EmailOpen", 1)
			synctest.Wait()
			return len(hook.saw())
		}
		suspended := func(want time.Duration) {
			t.Helper()
			until := r.cb().SuspendedUntil
			if until == nil || time.Until(*until) != want {
				t.Fatalf("suspended until %v, want for %v", until, want)
			}
			check(t, "sent while suspended", 0, sent())
			pass(want - time.Millisecond)
			check(t, "sent while suspended", 0, sent())
			pass(time.Millisecond)
		}
		check(t, "sent", 3, sent())
		pass(5*time.Minute + time.Millisecond)
		check(t, "sent", 3, sent()) // too long ago: the first in a row
		for _, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour} {
			if want > 10*time.Minute {
				check(t, "sent", 3, sent())
			}
			check(t, "sent", 3, sent())
			suspended(want)
		}
		status = 200
		check(t, "sent", 1, sent())
		status = 500
		check(t, "sent", 6, sent()+sent())
		suspended(10 * time.Minute) // as at the beginning
		got := r.cb()
		check(t, "batches, requests, events dropped", []int{1, 39, 13 + 12, 0}, []int{got.Sent, got.Failed, got.Dropped, got.Queued})
	})
}

// Batches are as large as the callback wants, go out in order, and at most four
// at a time.
func TestENSBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hook := &webhook{hold: func(*http.Request) { <-release }}
		r := newENSRig(t, hook, sandbox.Config{})
		r.callback("cb", `,"maxBatchSize":100`)
		r.subscribe("cb", "all", allEmail, "")
		r.trigger(`{"type":"emailopen","count":850}`, `{"queued":850,"subscriptions":1,"message":"850 events are on their way"}`)
		synctest.Wait() // eight batches are full and do not wait for the window
		check(t, "at once", 4, len(hook.saw()))
		check(t, "queued", 850, r.cb().Queued)
		close(release)
		synctest.Wait()
		check(t, "then", 4, len(hook.saw()))
		pass(100 * time.Millisecond)
		rest := hook.bodies()
		check(t, "the rest", []int{1, 50}, []int{len(rest), strings.Count(rest[0], "timestampUTC")})
		check(t, "most at a time", 4, hook.most)
		got := r.cb()
		check(t, "batches, events, queued", []int{9, 850, 0}, []int{got.Sent, got.SentEvents, got.Queued})
	})
	synctest.Test(t, func(t *testing.T) {
		hook := &webhook{}
		r := newENSRig(t, hook, sandbox.Config{})
		r.callback("cb", `,"maxBatchSize":100`)
		r.subscribe("cb", "all", allEmail, "")
		hold := make(chan struct{})
		hook.hold = func(*http.Request) { <-hold } // one after the other
		r.events("EmailOpen", 1000)
		for range 10 {
			hold <- struct{}{}
			synctest.Wait()
		}
		var first []string
		for _, n := range stamps(t, hook.bodies()) {
			before, _, _ := strings.Cut(n, " ")
			first = append(first, before)
		}
		slices.Sort(first)
		check(t, "first events", []string{"0", "100", "200", "300", "400", "500", "600", "700", "800", "900"}, first)
	})
}

// A reset ends what is on its way, and what comes of it after does not touch the
// new world.
func TestENSReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		hook := &webhook{hold: func(r *http.Request) {
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		}}
		r := listening(t, hook, sandbox.Config{})
		r.mail("m-1", "ana+open@example.org")
		pass(200 * time.Millisecond)
		r.events("EmailSent", 5) // waits for the window
		r.mail("m-2", "ana@example.org")
		before := time.Now()
		r.Reset()
		if err := <-ended; err == nil || time.Since(before) != 0 {
			t.Errorf("the request ended after %v: %v", time.Since(before), err)
		}
		hook.hold = nil
		pass(10 * 24 * time.Hour)
		check(t, "requests", 1, len(hook.saw()))
		st := r.State()
		check(t, "callbacks and deliveries", []int{0, 0, 0}, []int{len(st.Callbacks), st.Totals.Deliveries, st.Totals.Coming})
	})
}

// What was to go to a callback goes with it, and what is deferred when nobody is
// subscribed any more.
func TestENSDeleted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(r *ensRig)
		want []int // dropped, queued
	}{
		{"paused", func(r *ensRig) {
			r.call("PUT", "ens-subscriptions", fmt.Sprintf(`{"subscriptionId":%q,"eventCategoryTypes":[%s],"status":"paused","statusReason":"x"}`, r.ids["all"], allEmail))
		}, []int{2, 0}},
		{"no subscription", func(r *ensRig) { r.call("DELETE", "ens-subscriptions/"+r.ids["all"], "") }, []int{2, 0}},
		{"no callback", func(r *ensRig) {
			r.call("DELETE", "ens-subscriptions/"+r.ids["all"], "")
			r.call("DELETE", "ens-callbacks/"+r.ids["cb"], "")
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hook := &webhook{status: func(notice, int) int { return 500 }}
				r := listening(t, hook, sandbox.Config{})
				r.mail("m-1", "ana+open@example.org")
				pass(time.Minute)
				check(t, "requests", 3, len(hook.saw()))
				row.end(r)
				r.mail("m-2", "ana@example.org")
				pass(8 * 24 * time.Hour)
				check(t, "requests", 0, len(hook.saw()))
				var got []int
				for _, c := range r.State().Callbacks {
					got = append(got, c.Dropped, c.Queued)
				}
				check(t, "dropped, queued", row.want, got)
			})
		})
	}
}

// On a clock that stands still all waits for Advance, which brings forward what
// is due.
func TestENSAdvance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := 500
		hook := &webhook{status: func(notice, int) int { return status }}
		at := time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)
		r := listening(t, hook, sandbox.Config{Now: func() time.Time { return at }, Activation: 2 * time.Minute})
		r.mail("m-0", "ana@example.org") // before the subscription is active
		advance(t, r.Sandbox, 2*time.Minute)
		r.mail("m-1", "ana@example.org")
		pass(time.Hour)
		check(t, "requests", 0, len(hook.saw()))
		advance(t, r.Sandbox, time.Second)
		synctest.Wait()
		check(t, "requests", 3, len(hook.saw()))
		next := at.Add(2*time.Minute + time.Second + 10*time.Minute)
		check(t, "deferred until", &next, r.cb().NextAt)
		advance(t, r.Sandbox, 10*time.Minute-time.Millisecond)
		synctest.Wait()
		check(t, "requests", 0, len(hook.saw()))
		status = 202
		advance(t, r.Sandbox, time.Millisecond)
		synctest.Wait()
		check(t, "what was sent", []string{"EmailSent"}, kinds(t, hook.bodies()))
		got := r.cb()
		check(t, "batches, queued", []int{1, 0}, []int{got.Sent, got.Queued})
	})
	t.Run("too late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hook := &webhook{status: func(notice, int) int { return 500 }}
			r := listening(t, hook, sandbox.Config{})
			r.mail("m-1", "ana@example.org")
			pass(time.Minute)
			advance(t, r.Sandbox, 8*24*time.Hour)
			synctest.Wait()
			check(t, "requests, dropped", []int{3, 1}, []int{len(hook.saw()), r.cb().Dropped})
		})
	})
}

// Two callbacks get the same event, one with two subscriptions for it gets it
// once; and a slow callback holds nothing up.
func TestENSTwoCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := &webhook{}
		hook.status = func(n notice, _ int) int {
			if n.Host == "bad.test" {
				return 500
			}
			return 200
		}
		r := newENSRig(t, hook, sandbox.Config{})
		for _, name := range []string{"good", "bad", "idle"} {
			r.callback(name, "")
		}
		r.subscribe("good", "one", allEmail, "")
		r.subscribe("good", "two", `"EngagementEvents.EmailOpen"`, "")
		r.subscribe("bad", "three", allEmail, "")
		r.trigger(`{"type":"EmailOpen"}`, `{"queued":1,"subscriptions":2,"message":"the event is on its way"}`)
		r.trigger(`{"type":"EmailOpen","callback":"good"}`, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
		r.trigger(`{"type":"EmailOpen","callback":"`+r.ids["idle"]+`"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: nobody is subscribed"}`)
		pass(time.Second)
		counts := map[string]int{}
		for _, n := range hook.saw() {
			counts[fmt.Sprint(n.Host, " ", strings.Count(n.Body, "EmailOpen"))]++
		}
		check(t, "requests", map[string]int{"good.test 2": 1, "bad.test 1": 3}, counts)
	})
}
