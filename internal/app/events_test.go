package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/keyset"
	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
)

// newEventWorld is a gateway with its events set up, and a file that they go on to.
func newEventWorld(t *testing.T) (w *world, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "events.jsonl")
	w = newWorld(t, func(cfg string) string {
		return cfg + "      - { type: \"*.EmailBounced\", where: { bounceCode: HARD }, column: Source, value: bounced }\n" +
			"sinks:\n  - { name: log, file: { path: " + file + " } }\n"
	})
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, file
}

// until waits for something to hold, which another part brings about.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !holds(); {
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("%s: not in time", what)
		}
	}
}

// timeline lists a registration's events and what they changed, without times.
func (w *world) timeline(id string) []string {
	w.t.Helper()
	var timeline struct {
		Items []struct{ What, Destination, Detail string }
	}
	w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+id+"/timeline", &timeline)
	var lines []string
	for _, i := range timeline.Items {
		eventType, _, _ := strings.Cut(i.Detail, ":")
		switch i.What {
		case "event":
			lines = append(lines, eventType)
		case "delivered":
			lines = append(lines, i.What+" "+i.Destination)
		}
	}
	return lines
}

// columns reads columns of a subscriber's row in the sandbox.
func (w *world) columns(key string, names ...string) []any {
	w.t.Helper()
	for _, row := range w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows {
		if row["SubscriberKey"] == key {
			var values []any
			for _, name := range names {
				values = append(values, row[name])
			}
			return values
		}
	}
	return nil
}

// A mail's events come back by a real token, a real probe and a real signature,
// stand in the timeline, change the row as the form's rules say, and go on.
func TestEvents(t *testing.T) {
	t.Parallel()
	w, file := newEventWorld(t)
	const (
		row     = "delivered data_extension:Web_Registrations"
		contact = "delivered journey:APIEvent-sandbox-welcome"
		sent    = "TransactionalSendEvents.EmailSent"
		bounced = "TransactionalSendEvents.EmailBounced"
		opened  = "EngagementEvents.EmailOpen"
		left    = "EngagementEvents.EmailUnsubscribe"
	)
	for address, want := range map[string]struct {
		timeline []string
		columns  []any // OptInStatus, Source
	}{
		"ana@example.org":                  {[]string{row, contact, sent}, []any{true, "Website Registration"}},
		"bob+open+unsubscribe@example.org": {[]string{row, contact, sent, opened, left, row}, []any{false, "Website Registration"}},
		"cid+hardbounce@example.org":       {[]string{row, contact, sent, bounced, row}, []any{true, "bounced"}},
		"dan+softbounce@example.org":       {[]string{row, contact, sent, bounced}, []any{true, "Website Registration"}},
	} {
		id := w.post(fmt.Sprintf(`{"email":%q,"opt_in":true}`, address), map[string]string{"Prefer": "wait=20"}).ID
		w.until("the timeline of "+address, func() bool { return len(w.timeline(id)) >= len(want.timeline) })
		if diff := cmp.Diff(want.timeline, w.timeline(id)); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
		if diff := cmp.Diff(want.columns, w.columns(address, "OptInStatus", "Source")); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
	}
	var status struct {
		Callbacks []struct {
			State          string
			Taken, Refused map[string]int64
			Wrong          []any
		}
	}
	w.getJSON(w.gateway.AdminURL()+"/api/ens", &status)
	if len(status.Callbacks) != 1 || status.Callbacks[0].State != "verified" || len(status.Callbacks[0].Wrong) > 0 ||
		status.Callbacks[0].Taken["probe"] != 1 || status.Callbacks[0].Taken["signature"] < 4 || len(status.Callbacks[0].Refused) > 0 {
		t.Errorf("the status is %+v", status)
	}
	w.until("all events in the file", func() bool { return len(lines(t, file)) >= 8 })
	var types []string
	for _, line := range lines(t, file) {
		var envelope struct {
			SpecVersion, ID, Source, Type, DataContentType string
			Data                                           struct{ EventCategoryType string }
		}
		if err := json.Unmarshal(line, &envelope); err != nil {
			t.Fatal(err)
		}
		if envelope.SpecVersion != "1.0" || envelope.Type != envelope.Data.EventCategoryType || envelope.Source != w.gateway.PublicURL()+"/ens/events" {
			t.Errorf("an envelope is %s", line)
		}
		types = append(types, envelope.Type)
	}
	slices.Sort(types)
	if diff := cmp.Diff([]string{opened, left, bounced, bounced, sent, sent, sent, sent}, types); diff != "" {
		t.Error(diff)
	}
}

func lines(t *testing.T, file string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return slices.DeleteFunc(bytes.Split(content, []byte("\n")), func(line []byte) bool { return len(line) == 0 })
}

// An unsubscribe that arrives before the event of its mail waits for it, over a
// restart, too.
func TestEventsOutOfOrder(t *testing.T) {
	t.Parallel()
	w, _ := newEventWorld(t)
	id := w.post(`{"email":"ana@example.org","opt_in":true}`, map[string]string{"Prefer": "wait=20"}).ID
	w.until("the mail's event", func() bool { return slices.Contains(w.timeline(id), "TransactionalSendEvents.EmailSent") })
	at := time.Now().UnixMilli()
	left := fmt.Sprintf(`{"eventCategoryType":"EngagementEvents.EmailUnsubscribe","timestampUTC":%d,"composite":{"jobId":"7","batchId":"8","listId":"1","subscriberId":"9"}}`, at)
	sent := fmt.Sprintf(`{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":%d,"composite":{"jobId":"7","batchId":"8","listId":"1","subscriberId":"9"},"info":{"subscriberKey":"ANA@example.org","messageKey":"of-another-system"}}`, at)
	stored := func() int64 {
		var status struct{ Events struct{ Stored int64 } }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Events.Stored
	}
	before := stored()
	w.trigger(left)
	w.until("the first event", func() bool { return stored() == before+1 })
	w.trigger(sent)
	w.until("the change of the row", func() bool { return cmp.Equal(w.columns("ana@example.org", "OptInStatus"), []any{false}) })
	want := []string{
		"EngagementEvents.EmailUnsubscribe", "TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailSent",
		"delivered data_extension:Web_Registrations", "delivered data_extension:Web_Registrations", "delivered journey:APIEvent-sandbox-welcome",
	}
	w.until("the delivery in the timeline", func() bool { return len(w.timeline(id)) >= len(want) })
	got := w.timeline(id)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An event that comes after the person has registered again, or after a newer event of
// its column, is kept and forwarded, and changes nothing: the timeline says why.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	w, file := newEventWorld(t)
	const person = "ana@example.org"
	id := w.post(`{"email":"`+person+`","opt_in":true}`, map[string]string{"Prefer": "wait=20"}).ID
	w.until("the mail's event", func() bool { return slices.Contains(w.timeline(id), "TransactionalSendEvents.EmailSent") })
	event := func(eventType, batch string, at time.Time, more string) {
		w.trigger(fmt.Sprintf(`{"eventCategoryType":%q,"timestampUTC":%d,"composite":{"jobId":"7","batchId":%q,"subscriberId":"9"},"info":{"subscriberKey":%q%s}}`,
			eventType, at.UnixMilli(), batch, person, more))
	}
	skipped := func() (details []string) {
		var timeline struct {
			Items []struct{ What, Destination, Detail string }
		}
		w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+id+"/timeline", &timeline)
		for _, i := range timeline.Items {
			if i.What == "skipped" && i.Destination == "data_extension:Web_Registrations" {
				details = append(details, i.Detail)
			}
		}
		return details
	}
	now := time.Now()
	event("EngagementEvents.EmailUnsubscribe", "1", now.Add(-6*24*time.Hour), "")
	w.until("what was skipped", func() bool { return len(skipped()) == 1 })
	if got := skipped()[0]; !strings.HasPrefix(got, "the event happened at "+now.Add(-6*24*time.Hour).UTC().Format(time.RFC3339)+", before the registration of ") {
		t.Errorf("the timeline says %q", got)
	}
	event("TransactionalSendEvents.EmailBounced", "2", now.Add(-time.Second), `,"bounceCode":"HARD"`)
	w.until("the newer event's change", func() bool { return cmp.Equal(w.columns(person, "Source"), []any{"bounced"}) })
	event("EngagementEvents.EmailBounced", "3", now.Add(-3*time.Second), `,"bounceCode":"HARD"`)
	w.until("what was skipped", func() bool { return len(skipped()) == 2 })
	if got := skipped()[1]; !strings.HasPrefix(got, "Source was set by an event of ") {
		t.Errorf("the timeline says %q", got)
	}
	if diff := cmp.Diff([]any{true, "bounced"}, w.columns(person, "OptInStatus", "Source")); diff != "" {
		t.Error(diff)
	}
	w.until("all events in the file", func() bool { return len(lines(t, file)) == 4 })
	event("EngagementEvents.EmailUnsubscribe", "4", time.Now(), "")
	w.until("an event that is not late", func() bool { return cmp.Equal(w.columns(person, "OptInStatus"), []any{false}) })
}

// trigger has the sandbox send an event as it is.
func (w *world) trigger(event string) {
	w.t.Helper()
	if _, err := w.sandbox.SendEvents(sandbox.Trigger{Events: []json.RawMessage{json.RawMessage(event)}}); err != nil {
		w.t.Fatal(err)
	}
}

// The same with PostgreSQL and a key of the configuration's.
func TestEventsPostgres(t *testing.T) {
	t.Parallel()
	key, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	w := newSandboxed(t)
	w.start(func(cfg string) string { return "encryption_key: '" + key.Reveal() + "'\n" + cfg }, pgtest.URL(t))
	for range 2 {
		if err := w.gateway.SetUpEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	id := w.post(`{"email":"bob+unsubscribe@example.org","opt_in":true}`, map[string]string{"Prefer": "wait=20"}).ID
	w.until("the timeline", func() bool { return len(w.timeline(id)) >= 5 })
	want := []string{
		"delivered data_extension:Web_Registrations", "delivered journey:APIEvent-sandbox-welcome",
		"TransactionalSendEvents.EmailSent", "EngagementEvents.EmailUnsubscribe", "delivered data_extension:Web_Registrations",
	}
	if diff := cmp.Diff(want, w.timeline(id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{false}, w.columns("bob+unsubscribe@example.org", "OptInStatus")); diff != "" {
		t.Error(diff)
	}
}

// A transactional message's events are joined by the message's key, which is the
// delivery's id.
func TestMessageEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string {
		at := strings.Index(cfg, "      - journey:")
		end := at + strings.Index(cfg[at:], "\n") + 1
		return cfg[:at] + "      - message: { definition_key: welcome }\n" + cfg[end:]
	})
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := w.post(`{"email":"ana+click@example.org"}`, map[string]string{"Prefer": "wait=20"}).ID
	want := []string{
		"delivered data_extension:Web_Registrations", "delivered message:welcome",
		"TransactionalSendEvents.EmailSent", "EngagementEvents.EmailOpen", "EngagementEvents.EmailClick",
	}
	w.until("the timeline", func() bool { return len(w.timeline(id)) >= len(want) })
	if diff := cmp.Diff(want, w.timeline(id)); diff != "" {
		t.Error(diff)
	}
	var page struct {
		Items []struct{ Type, Registration string }
	}
	w.getJSON(w.gateway.AdminURL()+"/api/events?type=*.EmailSent", &page)
	if len(page.Items) != 1 || page.Items[0].Registration != id {
		t.Errorf("the event of the message is %+v, of %s", page.Items, id)
	}
}

// Whatever Marketing Cloud's sender does to events, each one stands in the
// timeline once.
func TestEventFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []sandbox.Fault{
		{Name: sandbox.FaultDuplicate},
		{Name: sandbox.FaultReorder},
		{Name: sandbox.FaultResend},
		{Name: sandbox.FaultSeconds},
		{Name: sandbox.FaultStringIDs},
		{Name: sandbox.FaultRawKey},
		{Name: sandbox.FaultNoSignature}, // the token proves it
		{Name: sandbox.FaultBareEvent},
		{Name: sandbox.FaultWrongSignature, Count: 2}, // and right the third time
		{Name: sandbox.FaultStaleToken, Count: 1},
		{Name: sandbox.FaultSlowToken, DelayMS: 300},
	} {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			w, _ := newEventWorld(t)
			if err := w.sandbox.Fault(fault); err != nil {
				t.Fatal(err)
			}
			id := w.post(`{"email":"ana+open+click@example.org"}`, map[string]string{"Prefer": "wait=20"}).ID
			events := func() []string {
				all := slices.DeleteFunc(w.timeline(id), func(line string) bool { return strings.HasPrefix(line, "delivered") })
				slices.Sort(all)
				return all
			}
			w.until("three events", func() bool { return len(events()) >= 3 })
			quiet := func() bool { // nothing is on its way any more
				state := w.sandbox.State()
				return state.Totals.Coming == 0 && state.Callbacks[0].Queued == 0
			}
			w.until("the end of what is sent", quiet)
			want := []string{"EngagementEvents.EmailClick", "EngagementEvents.EmailOpen", "TransactionalSendEvents.EmailSent"}
			if diff := cmp.Diff(want, events()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
