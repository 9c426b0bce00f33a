package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/onramp"
)

// withEvents makes a callback and a sink known and returns the sink's destination.
func (w *world) withEvents() int {
	w.t.Helper()
	ctx := context.Background()
	if err := w.s.RegisterCallbacks(ctx, []string{"events", "other"}); err != nil {
		w.t.Fatal(err)
	}
	sinks, err := w.s.RegisterSinks(ctx, []onramp.Destination{{Kind: onramp.SinkDestination, Key: "crm"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return sinks[0].ID
}

// events reads events that came just now.
func (w *world) events(sinks []int, bodies ...string) []onramp.Event {
	events := make([]onramp.Event, len(bodies))
	for i, b := range bodies {
		events[i] = onramp.ReadEvent([]byte(b))
		events[i].Callback, events[i].ReceivedAt, events[i].Sinks = "events", w.clock.now(), sinks
	}
	return events
}

// receive stores a batch and returns how many were new.
func (w *world) receive(sinks []int, bodies ...string) int {
	w.t.Helper()
	n, err := w.s.SaveEvents(context.Background(), "events", w.events(sinks, bodies...))
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

const (
	sentType = "TransactionalSendEvents.EmailSent"
	openType = "EngagementEvents.EmailOpen"
)

// sent is the event of a message: who and when, by numbers.
func sent(subscriber string, batch int, messageKey string) string {
	return fmt.Sprintf(`{"eventCategoryType":%q,"timestampUTC":%d,"composite":{"jobId":"5","batchId":"%d","listId":"7","subscriberId":"9"},"mid":1,`+
		`"info":{"to":"x@example.org","subscriberKey":%q,"messageKey":%q,"status":"Sent"}}`, sentType, 1767614400000+batch, batch, subscriber, messageKey)
}

// opened is the engagement that belongs to the message with the same number.
func opened(batch, at int) string {
	return fmt.Sprintf(`{"eventCategoryType":%q,"timestampUTC":%d,"composite":{"jobId":"5","batchId":"%d","listId":"7","subscriberId":"9"},"definitionKey":"NA","info":{}}`,
		openType, 1767614400000+at, batch)
}

// A batch is stored once, however often and in whatever parts it comes, and
// only what is new goes on.
func TestSaveEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		a, b, c := sent("ana", 1, "m1"), sent("bob", 2, "m2"), opened(1, 100)
		for _, step := range []struct {
			batch []string
			want  int
		}{
			{[]string{a, b, a}, 2}, // the same twice in one batch
			{[]string{a, b}, 0},
			{[]string{b, c, `"not even an object"`}, 2}, // half seen before
			{[]string{c, `"not even an object"`}, 0},
			{nil, 0},
		} {
			if got := w.receive([]int{sink}, step.batch...); got != step.want {
				t.Errorf("%d of %v were new, want %d", got, step.batch, step.want)
			}
		}
		w.reopen()
		w.withEvents()
		if got := w.receive([]int{sink}, a, b, c); got != 0 {
			t.Errorf("after a restart %d were new", got)
		}
		fresh, _, _, err := w.s.ListFresh(t.Context(), sink, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range fresh {
			if string(d.Values) != string(d.Event.Body) || d.Event.Callback != "events" || !d.ReceivedAt.Equal(begin) || d.Steps != 1 {
				t.Errorf("a delivery is %+v of %+v", d, d.Event)
			}
			got = append(got, fmt.Sprintf("%s %s %s", d.Destination, d.SubscriberKey, d.Event.Body))
		}
		want := []string{
			"sink:crm ana " + a, "sink:crm bob " + b, "sink:crm  " + c, `sink:crm  "not even an object"`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		counts := w.s.Count()
		if diff := cmp.Diff([]int64{4, 9}, []int64{counts.Events["events"], counts.Repeated["events"]}); diff != "" {
			t.Error("stored and repeated:", diff)
		}
		if fresh[0].OrderingKey != fresh[2].OrderingKey || fresh[0].OrderingKey == fresh[3].OrderingKey {
			t.Error("events about one subscriber have one ordering key, and others another")
		}
	})
}

// More events than one write takes are stored, and refused, as one batch.
func TestSaveManyEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		var bodies []string
		for i := range 1001 {
			bodies = append(bodies, sent("ana", i, "m"))
		}
		if got := w.receive([]int{sink}, bodies...); got != 1001 {
			t.Errorf("%d were new", got)
		}
		if got := w.receive([]int{sink}, append(bodies, opened(1, 1))...); got != 1 {
			t.Errorf("of the second batch %d were new", got)
		}
		if _, err := w.s.SaveEvents(t.Context(), "nobody", w.events(nil, bodies[0])); err == nil {
			t.Error("a callback that is not registered was taken")
		}
	})
}

func TestListEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		for i := range 5 {
			w.receive(nil, sent("ana", i, "m"), opened(i, 50+i))
			w.clock.advance(time.Second)
		}
		if _, err := w.s.SaveEvents(t.Context(), "other", w.events(nil, `{"eventCategoryType":"X.Y","note":"100%"}`)); err != nil {
			t.Fatal(err)
		}
		for name, row := range map[string]struct {
			filter onramp.EventFilter
			want   []string // types and milliseconds
		}{
			"by type":       {onramp.EventFilter{Type: sentType}, []string{"4", "3", "2", "1", "0"}},
			"by pattern":    {onramp.EventFilter{Type: "engagementevents.*"}, []string{"54", "53", "52", "51", "50"}},
			"by callback":   {onramp.EventFilter{Callback: "other"}, []string{"-"}},
			"since":         {onramp.EventFilter{Since: begin.Add(3 * time.Second)}, []string{"-", "54", "4", "53", "3"}},
			"until":         {onramp.EventFilter{Until: begin.Add(time.Second)}, []string{"50", "0"}},
			"never":         {onramp.EventFilter{Since: begin.Add(time.Hour)}, nil},
			"by text":       {onramp.EventFilter{Query: `100%`}, []string{"-"}},
			"text, no wild": {onramp.EventFilter{Query: `0_%`}, nil},
			"in pages":      {onramp.EventFilter{Type: "*email*", Limit: 3}, []string{"54", "4", "53", "3", "52", "2", "51", "1", "50", "0"}},
		} {
			var got []string
			for f := row.filter; ; {
				page, next, _, err := w.s.ListEvents(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page {
					at := "-"
					if !e.At.IsZero() {
						at = fmt.Sprint(e.At.UnixMilli() - 1767614400000)
					}
					got = append(got, at)
				}
				if f.Cursor = next; next == "" {
					break
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		for message, f := range map[string]onramp.EventFilter{
			`there is no callback "nobody": use events, other`:                         {Callback: "nobody"},
			`there is no destination "crm": use data_extension:x, journey:y, sink:crm`: {Destination: "crm"},
		} {
			if _, _, _, err := w.s.ListEvents(t.Context(), f); err == nil || err.Error() != message {
				t.Errorf("%+v: %v", f, err)
			}
		}
		last, err := w.s.LastEvent(t.Context(), "events")
		if err != nil || !last.Equal(begin.Add(4*time.Second)) {
			t.Errorf("the last event came at %v, %v", last, err)
		}
	})
}

// What an event has brought is retried, discarded and found like any other
// delivery, but does not count for a registration.
func TestEventDeliveries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		ctx := t.Context()
		w.receive([]int{sink}, sent("ana", 1, "m1"), sent("ana", 2, "m2"), sent("ana", 3, "m3"))
		fresh, _, _, err := w.s.ListFresh(ctx, sink, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		w.settleRead(fresh[0], dead, 0)
		w.call(fresh[1:2])
		w.settleRead(fresh[2], pending, time.Minute)
		id := fresh[0].ID()
		if want := fmt.Sprintf("%s.%d", fresh[0].Event.ID, sink); id != want {
			t.Errorf("the id is %s, want %s", id, want)
		}
		if err := w.s.EditDelivery(ctx, id, onramp.Edit{}, onramp.Registration{}); kindOf(err) != onramp.Conflict {
			t.Errorf("edit: %v", err)
		}
		causes, err := w.s.ListCauses(ctx, onramp.Filter{})
		if err != nil || len(causes) != 1 || causes[0].Oldest != id || causes[0].Newest != id {
			t.Errorf("causes: %+v, %v", causes, err)
		}
		if err := w.s.RetryDelivery(ctx, id, false); err != nil {
			t.Error(err)
		}
		if err := w.s.DiscardDelivery(ctx, id, "a test"); err != nil {
			t.Error(err)
		}
		e, err := w.s.FindEvent(ctx, strings.ToUpper(fresh[1].Event.ID))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"delivered"}, states(e.Deliveries)); diff != "" {
			t.Error(diff)
		}
		page, _, _, err := w.s.ListDeliveries(ctx, onramp.Filter{Query: `"MESSAGEKEY":"m1"`})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"discarded"}, states(page)); diff != "" {
			t.Error(diff)
		}
		page, _, _, err = w.s.ListDeliveries(ctx, onramp.Filter{Form: "both"})
		if err != nil || len(page) != 0 {
			t.Errorf("the form has deliveries of events: %v, %v", page, err)
		}
		oldest, err := w.s.Oldest(ctx, "sink:crm")
		if err != nil || !oldest.Equal(begin) {
			t.Errorf("the oldest is of %v, %v", oldest, err)
		}
		for _, id := range []string{fresh[0].Event.ID + ".99", fresh[0].Event.ID[:35] + "x.1", "x.1"} {
			if _, err := w.s.FindDelivery(ctx, id); kindOf(err) != onramp.NotFound {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

func kindOf(err error) onramp.Kind {
	e, _ := errors.AsType[*onramp.Error](err)
	if e == nil {
		return 0
	}
	return e.Kind
}

func states(deliveries []onramp.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		all = append(all, d.State.String())
	}
	return all
}

// The timeline has the events of the registration's own messages, of its
// subscriber since then, and the engagement with any of them.
func TestEventsInTimeline(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		w.receive(nil, sent("ana", 1, "before"), opened(3, 300)) // the open comes before its send
		w.clock.advance(time.Minute)
		w.save("one", "ana1", "bob1")
		w.clock.advance(time.Minute)
		w.save("one", "ana2")
		w.receive(nil, sent("bob", 2, "other"), sent("ANA", 3, "of others"), sent("ana", 4, w.id("ana1.1")), opened(4, 400), opened(2, 200))
		for name, want := range map[string][]string{
			"ana1": {sentType + ": status Sent 3", sentType + ": status Sent 4", openType + " 300", openType + " 400"},
			"ana2": {sentType + ": status Sent 3", openType + " 300"}, // the message was ana1's
			"bob1": {sentType + ": status Sent 2", openType + " 200"},
		} {
			items, err := w.s.Timeline(t.Context(), w.ids[name])
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range items {
				if item.What == "event" {
					got = append(got, fmt.Sprintf("%s %d", item.Detail, item.At.UnixMilli()-1767614400000))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// A timeline has all events also while they can't be indexed, and waits for no
// one: neither for those that came just now, nor for those from before a start.
func TestTimelineNeverWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		w.save("one", "ana")
		w.receive(nil, sent("ana", 3, "x"), opened(3, 300))
		count := func(want int) {
			t.Helper()
			release := w.s.HoldWriter(t.Context())
			defer release()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			items, err := w.s.Timeline(ctx, w.ids["ana"])
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, item := range items {
				if item.What == "event" {
					n++
				}
			}
			if n != want {
				t.Errorf("%d events, want %d", n, want)
			}
		}
		count(2)
		w.reopen()
		count(2)
		w.receive(nil, opened(3, 301))
		count(3)
	})
}

// What the rules want is stored with how far they went, and shows in the
// timeline of whose row it is.
func TestRuling(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.withEvents()
		ctx := t.Context()
		w.receive(nil, sent("ana", 1, "old"))
		if to, err := w.s.RuledTo(ctx); err != nil || to != 1 {
			t.Errorf("a database without rules begins after %d, %v", to, err)
		}
		w.save("both", "ana1", "ana2", "bob1")
		w.clock.advance(time.Minute)
		w.receive(nil, sent("ana", 2, "x"), opened(2, 5))
		events, err := w.s.ListEventsAfter(ctx, 1, 10)
		if err != nil || len(events) != 2 {
			t.Fatal(events, err)
		}
		r, found, err := w.s.FindRegistrationOf(ctx, "ANA", "both", &events[0], nil)
		if err != nil || !found || w.names[r.ID] != "ana2" {
			t.Fatalf("found %s, %v, %v", w.names[r.ID], found, err)
		}
		for _, none := range []func() (onramp.Registration, bool, error){
			func() (onramp.Registration, bool, error) {
				return w.s.FindRegistrationOf(ctx, "ana", "one", &events[0], nil)
			},
			func() (onramp.Registration, bool, error) {
				return w.s.FindRegistrationOf(ctx, "cid", "both", &events[0], nil)
			},
			func() (onramp.Registration, bool, error) {
				return w.s.FindRegistrationOf(ctx, "ana", "both", &onramp.Event{ReceivedAt: begin.Add(-1)}, nil)
			},
		} {
			if r, found, err := none(); found || err != nil {
				t.Errorf("found %+v, %v", r, err)
			}
		}
		send, found, err := w.s.FindSend(ctx, "5.2.9")
		if err != nil || !found || send.MessageKey != "x" {
			t.Errorf("found %+v, %v, %v", send, found, err)
		}
		change := onramp.RowChange{
			Event: events[0].Seq, RegistrationSeq: r.Seq, SubscriberKey: r.SubscriberKey, Destination: w.destination("x"), Values: []byte(`{"OptInStatus":false}`),
		}
		if err := w.s.SaveRuling(ctx, onramp.Ruling{To: 3, Changes: []onramp.RowChange{change}, Unjoined: events[1:]}); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		unjoined, err := w.s.ListUnjoined(ctx)
		if diff := cmp.Diff([]onramp.Event{events[1].Waiting()}, unjoined); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if to, err := w.s.RuledTo(ctx); err != nil || to != 3 {
			t.Errorf("the rules go on after %d, %v", to, err)
		}
		if err := w.s.SaveRuling(ctx, onramp.Ruling{To: 3, Joined: []int64{events[1].Seq}}); err != nil {
			t.Fatal(err)
		}
		if unjoined, err := w.s.ListUnjoined(ctx); len(unjoined) > 0 || err != nil {
			t.Error(unjoined, err)
		}
		fresh, _, _, err := w.s.ListFresh(ctx, w.destination("x"), 0, 10)
		if err != nil || len(fresh) != 4 {
			t.Fatal(fresh, err)
		}
		last := fresh[3]
		got := []any{last.RegistrationID, last.SubscriberKey, string(last.Values), last.OrderingKey, last.Event.Seq, last.Form}
		want := []any{r.ID, "ana", `{"OptInStatus":false}`, w.s.Order("ana"), events[0].Seq, "both"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		w.call(fresh)
		items, err := w.s.Timeline(ctx, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		var whats []string
		for _, item := range items {
			whats = append(whats, strings.TrimSpace(item.What+" "+item.Destination))
		}
		wanted := []string{
			"accepted", "event", "event", "event", "attempt data_extension:x", "attempt data_extension:x", "delivered data_extension:x", "delivered data_extension:x",
		}
		if diff := cmp.Diff(wanted, whats, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Error(diff)
		}
	})
}

// A database takes any number of callbacks, and counts the events of each.
func TestManyCallbacks(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		names := make([]string, 300)
		for i := range names {
			names[i] = fmt.Sprint("callback", i+1)
		}
		if err := w.s.RegisterCallbacks(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		want := onramp.Counts{Events: map[string]int64{}, Repeated: map[string]int64{}}
		for _, i := range []int{1, 44, 255, 256, 257, 300} { // some of them alike in their last eight bits
			name := names[i-1]
			events := w.events(nil, sent("ana", 2*i, "m"), sent("ana", 2*i, "m"), sent("ana", 2*i+1, "m"))
			if n, err := w.s.SaveEvents(t.Context(), name, events); err != nil || n != 2 {
				t.Fatalf("%s: stored %d, %v", name, n, err)
			}
			want.Events[name], want.Repeated[name] = 2, 1
		}
		for range 2 {
			got := w.s.Count()
			got = onramp.Counts{Events: got.Events, Repeated: got.Repeated}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			w.reopen()
		}
	})
}

// An event keeps the identity that it was stored under, even if events are told
// apart in another way now.
func TestStoredIdentity(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		sink := w.withEvents()
		w.receive([]int{sink}, sent("ana", 1, "m"))
		if _, err := w.db.Exec(`UPDATE event SET hash = 12345`); err != nil {
			t.Fatal(err)
		}
		events, _, _, err := w.s.ListEvents(t.Context(), onramp.EventFilter{})
		if err != nil {
			t.Fatal(err)
		}
		identity := onramp.EventIdentity{At: 1767614400001, Hash: 12345}
		if events[0].Identity != identity || events[0].ID != onramp.NewEventID(identity) {
			t.Errorf("the event is %s with %+v", events[0].ID, events[0].Identity)
		}
		found, err := w.s.FindEvent(t.Context(), events[0].ID)
		if err != nil || len(found.Deliveries) != 1 || found.Deliveries[0].Event.ID != events[0].ID {
			t.Errorf("found %+v, %v", found, err)
		}
	})
}
