package admin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store/storetest"
)

// why is what a list says of why a delivery is not being sent.
type why struct{ State, Waits, For, Reason string }

// Each delivery says what it waits for, in a list as well as alone.
func TestWaits(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	row, journey := o.forms["registration"].Route[0], o.forms["registration"].Route[1]
	// another of the person whose first one waits for its retry, which waits for it
	behind := o.accept(t, "registration", "email", "person4@example.org")
	d, err := o.store.FindDelivery(t.Context(), behind+".1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.store.Park(t.Context(), []int64{d.Seq}); err != nil {
		t.Fatal(err)
	}
	// and one that is due long after today
	late := o.accept(t, "registration", "email", "late@example.org")
	d, err = o.store.FindDelivery(t.Context(), late+".1")
	if err != nil {
		t.Fatal(err)
	}
	due := time.Now().Add(1000 * time.Hour)
	if _, err := o.store.Settle(t.Context(), []onramp.Settlement{{Delivery: &d, State: onramp.DeliveryPending, Tries: 1, At: receivedAt, DueAt: due}}); err != nil {
		t.Fatal(err)
	}
	running := []onramp.Health{{Destination: row, State: "running"}, {Destination: journey, State: "running"}}
	blocked := []onramp.Health{{Destination: row, State: "blocked", Reason: "no scope", Hint: "grant it"}, running[1]}
	o.pump.sending[1] = true // one that is delivered: of no account
	for _, c := range []struct {
		health []onramp.Health
		id     string
		want   why
	}{
		{running, o.ids[1] + ".2", why{"waiting", "step", o.ids[1] + ".1", "the step before it"}},
		{running, behind + ".1", why{"pending", "person", o.ids[4] + ".1", "an earlier delivery for the same person"}},
		{running, late + ".1", why{"pending", "retry", "", "its next try at " + due.UTC().Format("2006-01-02 15:04:05 UTC")}},
		{running, o.ids[5] + ".1", why{"pending", "turn", "", "its turn"}},
		{blocked, o.ids[5] + ".1", why{"pending", "destination", "", "its destination, which is blocked: no scope; grant it"}},
		{blocked, late + ".1", why{"pending", "destination", "", "its destination, which is blocked: no scope; grant it"}},
		{blocked, behind + ".1", why{"pending", "person", o.ids[4] + ".1", "an earlier delivery for the same person"}},
		{nil, o.ids[5] + ".1", why{"pending", "destination", "", "its destination, which is unconfigured: no form uses it any more"}},
		{running, o.ids[0] + ".1", why{"delivered", "", "", ""}},
		{running, o.ids[1] + ".1", why{"dead", "", "", ""}},
	} {
		o.pump.health = c.health
		var page operator.Page[operator.Delivery]
		if err := json.Unmarshal([]byte(get(o, "/api/deliveries?limit=500").Body), &page); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(page.Items, whole(t, o, c.id)) {
			if got := (why{v.State, v.Waits, v.WaitsFor, v.WaitsReason}); v.ID == c.id && got != c.want {
				t.Errorf("%s (-want +got):\n%s", c.id, cmp.Diff(c.want, got))
			}
		}
	}
}

// A list by a state that only the pump knows is filled, whatever stands between.
func TestListInFlight(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 9 {
		o.accept(t, "open", "note", "x")
	}
	o.pump.sending[11] = true // 5.1, the oldest but one that is pending
	got, next := o.follow(t, "/api/deliveries?state=sending&limit=1", "")
	if diff := cmp.Diff([]string{"5.1 sending"}, got); diff != "" {
		t.Error(diff)
	}
	got, _ = o.follow(t, "/api/deliveries?state=pending&form=registration&limit=1", next)
	if diff := cmp.Diff([]string{"4.1 pending"}, got); diff != "" {
		t.Error(diff)
	}
}

// Who discards a step sees before and after which later steps go with it, and the counts agree.
func TestDiscardLaterSteps(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.ids[1]
	later := func(d operator.Delivery) (texts []string) {
		for _, l := range d.LaterSteps {
			texts = append(texts, l.ID+" to "+l.Destination+" is "+l.State)
		}
		return texts
	}
	step := id + ".2 to journey:APIEvent-welcome is "
	if diff := cmp.Diff([]string{step + "waiting"}, later(whole(t, o, id+".1"))); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	before := o.store.Count().Deliveries["journey:APIEvent-welcome"]
	var discarded operator.Delivery
	if err := json.Unmarshal([]byte(post(o, "/api/deliveries/"+id+".1/discard", `{"reason":"a test"}`).Body), &discarded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{step + "discarded"}, later(discarded)); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if d := whole(t, o, id+".2"); d.State != "discarded" || d.Reason != "a test" || d.SettledAt == nil {
		t.Errorf("the later step is %+v", d)
	}
	after := o.store.Count().Deliveries["journey:APIEvent-welcome"]
	if after[onramp.DeliveryDiscarded] != before[onramp.DeliveryDiscarded]+1 || after[onramp.DeliveryOutOfReach] != before[onramp.DeliveryOutOfReach]-1 {
		t.Errorf("the counts were %v and are %v", before, after)
	}
	if got := post(o, "/api/deliveries/discard", `{"state":"unknown","reason":"a test","all":true}`); got.Body != `{"count":1,"later_steps":1}`+"\n" {
		t.Errorf("answered %+v", got)
	}
}

// What has not left is marked as such.
func TestNotSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d, err := o.store.FindDelivery(t.Context(), o.ids[5]+".1")
	if err != nil {
		t.Fatal(err)
	}
	attempt := &onramp.Attempt{StartedAt: receivedAt, Took: time.Millisecond, Outcome: onramp.Outcome{Verdict: onramp.Blocked, Detail: "no access token: 401", NotSent: true}}
	if _, err := o.store.Settle(t.Context(), []onramp.Settlement{{Delivery: &d, State: onramp.DeliveryPending, At: receivedAt, Attempt: attempt}}); err != nil {
		t.Fatal(err)
	}
	want := []operator.Attempt{{Number: 1, StartedAt: receivedAt, TookMS: 1, Outcome: "blocked", Detail: "no access token: 401", NotSent: true}}
	got := whole(t, o, o.ids[5]+".1")
	if diff := cmp.Diff(want, got.Attempts); diff != "" || got.Tries != 0 {
		t.Errorf("%d tries, attempts (-want +got):\n%s", got.Tries, diff)
	}
	storetest.SettleSteps(t, o.store, o.ids[5], onramp.DeliveryDead)
	if got := whole(t, o, o.ids[5]+".1"); len(got.Attempts) != 2 || got.Attempts[1].NotSent {
		t.Errorf("what was sent is %+v", got.Attempts)
	}
}

// follow reads pages after a cursor until one has something: on a busy machine a page
// ends before it is filled.
func (o *office) follow(t *testing.T, list, cursor string) (got []string, next string) {
	t.Helper()
	for next = cursor; ; {
		if got, next = o.keysOf(t, get(o, list+"&cursor="+next)); len(got) > 0 || next == "" {
			return got, next
		}
	}
}
