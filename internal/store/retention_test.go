package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onramp/internal/onramp"
	"onramp/internal/retention"
)

const day = 24 * time.Hour

// keeping is a policy under which all that is settled goes.
func keeping() *retention.Policies {
	return &retention.Policies{
		Policy: retention.Policy{Delivered: 30 * day, Dead: 90 * day, Unknown: 60 * day, Discarded: 10 * day, Held: 7 * day},
		Events: 180 * day, Attempts: 14 * day,
	}
}

// retain removes all that is kept no longer, and returns how much.
func (w *world) retain(p *retention.Policies) (removed int64) {
	w.t.Helper()
	for _, k := range retention.Kinds() {
		for n := 0; ; n++ {
			slice, err := w.s.RetainSlice(w.t.Context(), k, p)
			if err != nil || n > 10_000 {
				w.t.Fatal(k, n, err)
			}
			if k == retention.Registrations || k == retention.Events {
				removed += slice.Removed
			}
			if !slice.More {
				break
			}
		}
	}
	return removed
}

// endLate has no call be carried out late any more, and sends once more what follows from it.
func (w *world) endLate() {
	w.t.Helper()
	for _, key := range []string{"x", "y", "x"} {
		for more := true; more; {
			due, _, err := w.s.ListDue(w.t.Context(), w.destination(key), 1<<62, w.clock.now(), 1000)
			if err != nil {
				w.t.Fatal(err)
			}
			more = false
			for _, d := range due {
				if d.Resend { // the oldest of its key
					w.settleRead(d, delivered, 0)
					more = true
				}
			}
		}
	}
}

// stored lists which of the registrations are stored, in the order of their names.
func (w *world) stored() string {
	w.t.Helper()
	var names []string
	for name, id := range w.ids {
		if _, err := w.s.FindRegistration(w.t.Context(), id); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// suspect stores a registration that is held under suspicion, or to be confirmed.
func (w *world) suspect(name string, reason onramp.HoldReason) {
	w.t.Helper()
	r := w.registration("one", name[:3])
	r.Hold = onramp.Hold{Reason: reason}
	if _, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
		w.t.Fatal(err)
	}
	w.ids[name], w.names[r.ID] = r.ID, name
}

// Each registration goes as a whole when its own period is over, and what is still to be
// sent or confirmed stays. The counts add up to what was accepted all the same.
func TestRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "bob1", "cid1", "dan1", "eva1", "fay1")
		w.suspect("gus1", onramp.HoldSuspicion)
		w.suspect("hal1", onramp.HoldConfirmation)
		w.save("one", "zoe1")
		for _, d := range []string{"ana1.1", "ana1.2", "bob1.1", "cid1.1", "fay1.1"} {
			w.settle(d, delivered, 0)
		}
		w.settle("bob1.2", dead, 0)
		w.settle("cid1.2", onramp.DeliveryUnknown, 0)
		w.settle("dan1.1", dead, 0)
		w.discard("dan1.1")
		accepted := w.accepted()
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{6 * day, "ana1 bob1 cid1 dan1 eva1 fay1 gus1 hal1 zoe1"},
			{7*day + time.Hour, "ana1 bob1 cid1 dan1 eva1 fay1 hal1 zoe1"},
			{10*day + time.Hour, "ana1 bob1 cid1 eva1 fay1 hal1 zoe1"},
			{30*day + time.Hour, "bob1 cid1 eva1 fay1 hal1 zoe1"},
			{60*day + time.Hour, "bob1 eva1 fay1 hal1 zoe1"},
			{90*day + time.Hour, "eva1 fay1 hal1 zoe1"},
			{400 * day, "eva1 fay1 hal1 zoe1"},
		} {
			w.clock.advance(begin.Add(step.after).Sub(w.clock.now()))
			w.retain(keeping())
			if diff := cmp.Diff(step.want, w.stored()); diff != "" {
				t.Error(step.after, diff)
			}
			if got := w.accepted(); got != accepted {
				t.Errorf("after %s the counts add up to %d, want %d", step.after, got, accepted)
			}
		}
		w.reopen()
		w.settle("fay1.2", delivered, 0)
		w.clock.advance(31 * day)
		w.retain(keeping())
		if got, want := w.stored(), "eva1 hal1 zoe1"; got != want {
			t.Errorf("stored are %s, want %s", got, want)
		}
		for table, want := range map[string]int64{"attempt": 0, "edit": 0, "hold": 1, "delivery": 4, "registration": 3} {
			if n := w.countBy(`SELECT 'n', COUNT(*) FROM ` + table)["n"]; n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		removed, err := w.s.ListRemoved(t.Context())
		got := map[string]int64{}
		for what, r := range removed {
			got[what] = r.Count
		}
		if diff := cmp.Diff(map[string]int64{"delivered": 2, "dead": 1, "unknown": 1, "discarded": 1, "held": 1}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// accepted adds all counts of registrations up.
func (w *world) accepted() (n int64) {
	for _, count := range w.s.Count().Registrations {
		n += count
	}
	return n
}

// A form can have periods of its own, and a change of the periods holds for what was passed
// before, too. Without any nothing goes.
func TestRetentionOfForms(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1")
		w.save("one", "bob1")
		w.save("one", "zoe1")
		for _, d := range []string{"ana1.1", "ana1.2", "bob1.1"} {
			w.settle(d, delivered, 0)
		}
		p := &retention.Policies{Policy: retention.Policy{Delivered: 30 * day}, Forms: map[string]retention.Policy{"one": {}}}
		w.clock.advance(1000 * day)
		w.retain(&retention.Policies{})
		if got := w.stored(); got != "ana1 bob1 zoe1" {
			t.Error(got)
		}
		w.retain(p)
		if got := w.stored(); got != "bob1 zoe1" {
			t.Error(got)
		}
		p.Forms["one"] = retention.Policy{Delivered: 900 * day}
		w.retain(p)
		if got := w.stored(); got != "zoe1" {
			t.Error(got)
		}
	})
}

// What is newer than something of the same person that is kept stays with it: a retry of
// the older one would write over it otherwise.
func TestRetentionKeepsOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "ana2", "bob1", "zoe1")
		w.settle("ana1.1", dead, 0)
		for _, d := range []string{"ana2.1", "ana2.2", "bob1.1", "bob1.2"} {
			w.settle(d, delivered, 0)
		}
		w.clock.advance(50 * day)
		w.endLate()
		w.retain(keeping())
		if got := w.stored(); got != "ana1 ana2 zoe1" {
			t.Error(got)
		}
		if err := w.s.RetryDelivery(t.Context(), w.id("ana1.1"), false); !isConflict(err) {
			t.Errorf("a retry that would overwrite a newer row gave %v", err)
		}
		for range 3 {
			w.clock.advance(20*day + time.Hour)
			w.retain(keeping())
		}
		if got := w.stored(); got != "zoe1" {
			t.Error(got)
		}
	})
}

// A key of a registration that is gone stands for nothing: the next one with it is accepted.
func TestRetentionOfKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		key := onramp.IdempotencyKey{Hash: 77, Body: 1, Once: 99, Within: 1000 * day}
		first := w.registration("one", "ana")
		if _, err := w.s.SaveRegistration(t.Context(), &first, key, false); err != nil {
			t.Fatal(err)
		}
		w.ids["ana1"], w.names[first.ID] = first.ID, "ana1"
		w.settle("ana1.1", delivered, 0)
		w.save("one", "zoe1")
		w.clock.advance(40 * day) // nobody has written meanwhile, so that the key's day has not passed
		if removed := w.retain(keeping()); removed != 1 {
			t.Fatal(removed, "were removed")
		}
		second := w.registration("one", "ana")
		accepted, err := w.s.SaveRegistration(t.Context(), &second, key, false)
		if err != nil || accepted.Repeated {
			t.Fatal(accepted.Repeated, err)
		}
		third := w.registration("one", "ana")
		accepted, err = w.s.SaveRegistration(t.Context(), &third, key, false)
		if err != nil || !accepted.Repeated || accepted.Registration.ID != second.ID {
			t.Error(accepted.Repeated, accepted.Registration.ID, err)
		}
	})
}

// The requests and answers of attempts go before the rest of them.
func TestRetentionOfAttempts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("one", "ana1", "zoe1")
		s := w.settlement(w.find("ana1.1"), dead, 0)
		s.Attempt.Request, s.Attempt.Answer = "marked request", "marked answer"
		if _, err := w.s.Settle(t.Context(), []onramp.Settlement{s}); err != nil {
			t.Fatal(err)
		}
		w.clock.advance(13 * day)
		w.retain(keeping())
		if a := w.find("ana1.1").Attempts; len(a) != 1 || a[0].Request != "marked request" {
			t.Error(a)
		}
		w.clock.advance(2 * day)
		w.retain(keeping())
		a := w.find("ana1.1").Attempts
		if len(a) != 1 || a[0].Request != "" || a[0].Answer != "" || a[0].Detail != "answered" {
			t.Error(a)
		}
	})
}

// An event goes with its deliveries to sinks, when these are settled and no registration is
// stored any more whose row it has changed.
func TestRetentionOfEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		w.save("both", "ana1")
		w.receive([]int{sink}, sent("ana", 1, "m1"), sent("bob", 2, "m2"), sent("cid", 3, "m3"))
		events, err := w.s.ListEventsAfter(t.Context(), 0, 10)
		if err != nil || len(events) != 3 {
			t.Fatal(events, err)
		}
		if err := w.s.SaveRuling(t.Context(), onramp.Ruling{To: events[0].Seq, Changes: []onramp.RowChange{
			{Event: events[0].Seq, RegistrationSeq: 1, SubscriberKey: "ana", Destination: w.destination("x"), Values: []byte(`{"a":1}`)},
		}}); err != nil {
			t.Fatal(err)
		}
		w.save("one", "zoe1")
		if err := w.s.IndexEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := func() int64 { return w.countBy(`SELECT 'event', COUNT(*) FROM event`)["event"] }
		for _, to := range []int{sink, w.destination("x"), w.destination("y")} {
			for range 2 {
				for _, d := range w.next(t.Context(), to) {
					if d.Event == nil || d.Event.Seq != events[1].Seq {
						w.settleRead(d, delivered, 0)
					}
				}
			}
		}
		w.clock.advance(181 * day)
		w.endLate()
		w.retain(&retention.Policies{Events: 180 * day})
		if n := left(); n != 3 {
			t.Errorf("%d events are left, want 3: of one the registration is kept, one is still to be sent, and the newest waits for it", n)
		}
		w.receive(nil, sent("dan", 4, "m4"))
		w.save("one", "zoe2")
		if err := w.s.IndexEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.clock.advance(2 * day)
			w.retain(keeping())
		}
		if n := left(); n != 3 {
			t.Errorf("%d events are left, want 3: one is still to be sent, the next waits for it, and one is the newest", n)
		}
		for range 2 {
			for _, d := range w.next(t.Context(), sink) {
				w.settleRead(d, delivered, 0)
			}
		}
		for range 3 {
			w.clock.advance(2 * day)
			w.retain(keeping())
		}
		if n := left(); n != 1 {
			t.Errorf("%d events are left, want the newest only", n)
		}
		if got := w.stored(); got != "zoe2" {
			t.Error(got)
		}
		for _, table := range []string{"event_key", "delivery"} {
			orphans := w.countBy(`SELECT 'n', COUNT(*) FROM ` + table + ` WHERE event_seq IS NOT NULL AND event_seq NOT IN (SELECT seq FROM event)`)
			if orphans["n"] != 0 {
				t.Errorf("%s still has %d rows of events that are gone", table, orphans["n"])
			}
		}
	})
}

// A slice is one write, of a bounded number of rows: between two of them others are stored.
func TestRetentionInSlices(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.saveMany("one", 300)
		w.exec(`UPDATE delivery SET state = 5, settled_at = $1`, begin.UnixMicro())
		w.save("one", "zoe1")
		w.clock.advance(31 * day)
		slices := 0
		for more := true; more; slices++ {
			slice, err := w.s.RetainSlice(t.Context(), retention.Registrations, keeping())
			if err != nil || slices > 10 {
				t.Fatal(slices, err)
			}
			if slice.Removed > 64 {
				t.Errorf("a slice has removed %d", slice.Removed)
			}
			more = slice.More
		}
		if slices < 5 {
			t.Errorf("300 registrations were removed by %d slices", slices)
		}
		if n := w.countBy(`SELECT 'n', COUNT(*) FROM registration`)["n"]; n != 1 {
			t.Errorf("%d registrations are left", n)
		}
		w.s.Close()
		w.reset()
	})
}

// Whatever happens in whatever order: retention removes nothing that is to be sent, or that
// is not old enough, or that is newer than something of its person that is kept. In the end
// everything that is settled is gone but for the newest.
func TestRetentionModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	rapid.Check(t, func(rt *rapid.T) {
		w.reset()
		clear(w.names)
		m := retentionModel{w: w, forms: map[string]string{}, settled: map[string]time.Time{}}
		rt.Repeat(map[string]func(*rapid.T){
			"save": m.save, "settle": m.settle, "retry": m.retry, "retain": m.retain,
			"wait": func(rt *rapid.T) { w.clock.advance(time.Duration(rapid.IntRange(1, 40).Draw(rt, "days")) * day) },
		})
		m.end(rt)
	})
	w.reset()
	w.exec(`DELETE FROM tally`)
}

type retentionModel struct {
	w       *world
	names   []string // of all registrations, in their order
	forms   map[string]string
	settled map[string]time.Time // when a registration was settled last; none while something of it is to be sent
}

func (m *retentionModel) save(rt *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key") + fmt.Sprint(len(m.names))
	m.forms[name] = rapid.SampledFrom([]string{"both", "one"}).Draw(rt, "form")
	m.w.save(m.forms[name], name)
	m.names = append(m.names, name)
}

func (m *retentionModel) settle(rt *rapid.T) {
	destination := m.w.destination(rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "destination"))
	found := m.w.next(m.w.t.Context(), destination)
	found = slices.DeleteFunc(found, func(d onramp.Delivery) bool { return d.State != pending })
	if len(found) == 0 {
		rt.Skip("there is nothing to send")
	}
	d := found[0]
	state := rapid.SampledFrom([]onramp.DeliveryState{delivered, delivered, dead, onramp.DeliveryUnknown, pending}).Draw(rt, "state")
	m.w.settleRead(d, state, time.Hour)
	name := m.w.names[d.RegistrationID]
	if state == pending || state == delivered && d.Step < d.Steps {
		delete(m.settled, name)
		return
	}
	m.settled[name] = m.w.clock.now()
}

func (m *retentionModel) retry(rt *rapid.T) {
	for _, name := range m.names {
		r, err := m.w.s.FindRegistration(rt.Context(), m.w.ids[name])
		if err != nil {
			continue
		}
		for _, d := range r.Deliveries {
			if (d.State == dead || d.State == onramp.DeliveryUnknown) && m.w.s.RetryDelivery(rt.Context(), d.ID(), true) == nil {
				delete(m.settled, name)
				return
			}
		}
	}
	rt.Skip("there is nothing to retry")
}

func (m *retentionModel) retain(rt *rapid.T) {
	before := m.w.stored()
	m.w.retain(keeping())
	m.check(rt, before)
}

// check looks at what is gone since before.
func (m *retentionModel) check(rt *rapid.T, before string) {
	stored := map[string]bool{}
	for name := range strings.FieldsSeq(m.w.stored()) {
		stored[name] = true
	}
	for name := range strings.FieldsSeq(before) {
		at, settled := m.settled[name]
		switch {
		case stored[name]:
		case !settled:
			rt.Errorf("%s was removed, and something of it is to be sent", name)
		case m.w.clock.now().Sub(at) < 30*day:
			rt.Errorf("%s was removed %s after it was settled", name, m.w.clock.now().Sub(at))
		}
	}
	for i, older := range m.names {
		for _, newer := range m.names[i+1:] {
			if stored[older] && !stored[newer] && older[0] == newer[0] {
				rt.Errorf("%s was removed, and the older %s is stored", newer, older)
			}
		}
	}
}

// end delivers everything, and waits.
func (m *retentionModel) end(rt *rapid.T) {
	for range 4 * (len(m.names) + 1) {
		m.w.clock.advance(2 * time.Hour)
		m.w.endLate()
		for _, key := range []string{"x", "y"} {
			for _, d := range m.w.next(rt.Context(), m.w.destination(key)) {
				if d.State == pending {
					m.w.settleRead(d, delivered, 0)
					m.settled[m.w.names[d.RegistrationID]] = m.w.clock.now()
				}
			}
		}
	}
	m.w.clock.advance(100 * day)
	m.w.endLate()
	for range len(m.names) + 2 {
		m.w.clock.advance(8 * day)
		m.w.retain(keeping())
	}
	if stored := strings.Fields(m.w.stored()); len(stored) > 2 {
		rt.Errorf("still stored are %v: %v", stored, m.w.rows())
	}
}
