package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"onramp/internal/keyset"
	"onramp/internal/operator"
	"onramp/internal/pgtest"
	"onramp/internal/resend"
	"onramp/internal/sandbox"
)

// whenRoute is a route of the demo's form with a condition on each step.
const whenFields = `    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { name: country, column: LastName, type: choice, choices: [DE, AT, CH] }
      - { name: age, column: PageURL, type: decimal }
    route:
`

// lenient lets the demo's data extension take rows without its usual columns.
func lenient() string {
	return tables(func(columns []sandbox.Column) []sandbox.Column {
		for i := range columns {
			columns[i].Nullable = !columns[i].PrimaryKey
		}
		return columns
	}, "")
}

const (
	whenRow     = "      - { data_extension: { key: " + sandbox.RegistrationsKey + " }"
	whenJourney = "      - { journey: { event_definition_key: " + sandbox.WelcomeEventKey + " }"
	whenMessage = "      - { message: { definition_key: welcome }"
)

// A step is for those for whom its condition holds, and skipped for the others: the rest
// of the route goes on, and the registration is delivered.
func TestWhen(t *testing.T) {
	t.Parallel()
	const opted = whenRow + " }\n" + whenJourney + ", when: opt_in }\n" + whenMessage + ", when: { field: country, in: [DE, AT] } }\n"
	const (
		row, journey, message = "data_extension:Web_Registrations", "journey:APIEvent-sandbox-welcome", "message:welcome"
	)
	for _, c := range []struct {
		name, route, body string
		states            []string // of the steps
		reasons           []string
	}{
		{"nothing said", opted, `{}`, []string{"delivered", "skipped", "skipped"}, []string{"", "opt_in is not true", "country is not one of DE, AT"}},
		{"opted in", opted, `{"opt_in":true}`, []string{"delivered", "delivered", "skipped"}, []string{"", "", "country is not one of DE, AT"}},
		{"in the country", opted, `{"opt_in":false,"country":"AT"}`, []string{"delivered", "skipped", "delivered"}, []string{"", "opt_in is not true", ""}},
		{"both", opted, `{"opt_in":true,"country":"DE"}`, []string{"delivered", "delivered", "delivered"}, []string{"", "", ""}},
		{"another country", opted, `{"opt_in":true,"country":"CH"}`, []string{"delivered", "delivered", "skipped"}, []string{"", "", "country is not one of DE, AT"}},
		{
			"the first step", whenRow + ", when: { field: opt_in, is: true } }\n" + whenMessage + " }\n", `{}`,
			[]string{"skipped", "delivered"},
			[]string{"opt_in is not true", ""},
		},
		{
			"all", whenRow + ", when: opt_in }\n" + whenJourney + ", when: [opt_in, { field: country, is: DE }] }\n", `{"country":"DE"}`,
			[]string{"skipped", "skipped"},
			[]string{"opt_in is not true", "opt_in is not true"},
		},
		{
			"one of several terms", whenRow + " }\n" + whenJourney + ", when: [opt_in, { field: country, is: DE }] }\n", `{"opt_in":true,"country":"CH"}`,
			[]string{"delivered", "skipped"},
			[]string{"", "country is not DE"},
		},
		{
			"not in", whenRow + " }\n" + whenJourney + ", when: { field: country, not_in: [CH] } }\n" + whenMessage + ", when: { field: country, not_in: [AT, DE] } }\n",
			`{"country":"CH"}`,
			[]string{"delivered", "skipped", "delivered"},
			[]string{"", "country is CH", ""},
		},
		{
			"not in, without a value", whenRow + " }\n" + whenJourney + ", when: { field: country, not_in: [CH] } }\n", `{}`,
			[]string{"delivered", "delivered"},
			[]string{"", ""},
		},
		{
			"a number in other digits", whenRow + ", when: { field: age, in: [1.5, 18] } }\n" + whenJourney + ", when: { field: age, is: 1 } }\n", `{"age":1.50}`,
			[]string{"delivered", "skipped"},
			[]string{"", "age is not 1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.account(lenient())
			w.start(ownForm(whenFields+c.route), t.TempDir()+"/onramp.db")
			body := `{"email":"ana@example.org",` + c.body[1:]
			if c.body == "{}" {
				body = `{"email":"ana@example.org"}`
			}
			a := w.post(body, map[string]string{"Prefer": wait})
			if a.Code != http.StatusCreated || a.Status != "delivered" {
				t.Fatalf("answered %+v: %v", a, w.whats(a.ID))
			}
			var r operator.Registration
			w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+a.ID, &r)
			var states, reasons []string
			counts, arrived := map[string]int64{}, map[string]int64{}
			for _, d := range r.Deliveries {
				states, reasons = append(states, d.State), append(reasons, d.Reason)
				counts[d.State]++
				if d.State == "delivered" {
					arrived[d.Destination] = 1
				}
			}
			if diff := gocmp.Diff([][]string{c.states, c.reasons}, [][]string{states, reasons}); diff != "" {
				t.Error(diff)
			}
			s := w.sandbox.State()
			rows, contacts := s.DataExtensions[sandbox.RegistrationsKey].Rows, s.Journeys[sandbox.WelcomeEventKey].Contacts
			got := map[string]int64{}
			if len(contacts) > 0 {
				got[journey] = 1
			}
			if len(rows) > 0 && (arrived[row] > 0 || len(contacts) == 0) {
				got[row] = 1
			}
			if len(s.Messages) > 0 {
				got[message] = 1
			}
			if diff := gocmp.Diff(arrived, got); diff != "" {
				t.Errorf("in the sandbox: %s", diff)
			}
			status := w.status()
			if diff := gocmp.Diff(counts, nonZero(status.Deliveries)); diff != "" || status.Registrations["delivered"] != 1 {
				t.Error(diff, status.Registrations)
			}
			var timeline struct {
				Items []struct{ What, Destination, Detail string }
			}
			w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+a.ID+"/timeline", &timeline)
			skipped := 0
			for _, item := range timeline.Items {
				if item.What == "skipped" {
					skipped++
				}
			}
			var list struct{ Items []operator.Delivery }
			w.getJSON(w.gateway.AdminURL()+"/api/deliveries?state=skipped", &list)
			if int64(skipped) != counts["skipped"] || int64(len(list.Items)) != counts["skipped"] {
				t.Errorf("%d skipped in the timeline, %d in the list, want %d", skipped, len(list.Items), counts["skipped"])
			}
			var registrations struct{ Items []operator.Registration }
			w.getJSON(w.gateway.AdminURL()+"/api/registrations?state=delivered", &registrations)
			if len(registrations.Items) != 1 {
				t.Errorf("%d registrations are listed as delivered", len(registrations.Items))
			}
		})
	}
}

// A skipped step follows a corrected condition when it is sent again, and not before; a
// retry and a discard are refused and say so.
func TestWhenIsCorrected(t *testing.T) {
	t.Parallel()
	r := newReloading(t, ownForm(whenFields+whenRow+" }\n"+whenJourney+", when: { field: country, is: DE } }\n"))
	r.account(lenient())
	a := r.post(`{"email":"ana@example.org","country":"AT"}`, map[string]string{"Prefer": wait})
	var refused struct{ Detail string }
	r.admin("/api/deliveries/"+a.ID+".2/retry", struct{}{}, http.StatusConflict, &refused)
	if want := "this step was skipped, since country is not DE: send the registration again, and the step is sent if its condition holds then"; refused.Detail != want {
		t.Errorf("a retry says %q", refused.Detail)
	}
	r.admin("/api/deliveries/"+a.ID+".2/discard", map[string]string{"reason": "why"}, http.StatusConflict, &refused)
	if want := "a delivery that is skipped can't be discarded"; refused.Detail != want {
		t.Errorf("a discard says %q", refused.Detail)
	}
	r.admin("/api/registrations/"+a.ID+"/resend", operator.Again{Step: 2}, http.StatusConflict, &refused)
	if want := "(left out: 1 skipped)"; !strings.Contains(refused.Detail, want) {
		t.Errorf("a resend says %q", refused.Detail)
	}
	entered := func() int { return r.sandbox.State().Totals.Contacts[sandbox.WelcomeEventKey] }
	r.reload(ownForm(whenFields + whenRow + " }\n" + whenJourney + ", when: { field: country, in: [DE, AT] } }\n"))
	if n := entered(); n != 0 {
		t.Errorf("%d have entered after the reload", n)
	}
	r.admin("/api/registrations/"+a.ID+"/resend", operator.Again{}, http.StatusOK, &resend.Run{})
	r.until("the journey is entered", func() bool { return entered() == 1 })
	r.until("all is delivered", func() bool { return r.status().Deliveries["delivered"] == 3 })
	if diff := gocmp.Diff(map[string]int64{"delivered": 3, "skipped": 1}, nonZero(r.status().Deliveries)); diff != "" {
		t.Error(diff)
	}
}

// What waits follows the condition as it is when its turn comes: one that is added while a
// destination is paused by an operator holds for those that wait there. While Marketing
// Cloud refuses everything, what is not for a destination doesn't wait for it.
func TestWhenWaiting(t *testing.T) {
	t.Parallel()
	open, closed := whenRow+" }\n"+whenJourney+" }\n", whenRow+" }\n"+whenJourney+", when: opt_in }\n"
	r := newReloading(t, ownForm(whenFields+open))
	r.account(lenient())
	r.admin("/api/destinations/journey:"+sandbox.WelcomeEventKey+"/pause", map[string]string{"reason": "a test"}, http.StatusOK, new(any))
	for _, body := range []string{`{"email":"ana@example.org"}`, `{"email":"bob@example.org","opt_in":true}`, `{"email":"ana@example.org"}`} {
		r.post(body, nil)
	}
	r.until("the rows", func() bool { return r.status().Deliveries["delivered"] == 3 })
	r.reload(ownForm(whenFields + closed))
	if diff := gocmp.Diff(map[string]int64{"delivered": 3, "pending": 3}, nonZero(r.status().Deliveries)); diff != "" {
		t.Errorf("while it is paused: %s", diff)
	}
	r.admin("/api/destinations/journey:"+sandbox.WelcomeEventKey+"/resume", struct{}{}, http.StatusOK, new(any))
	r.until("all is delivered", func() bool { return r.status().Registrations["delivered"] == 3 })
	if diff := gocmp.Diff(map[string]int64{"delivered": 4, "skipped": 2}, nonZero(r.status().Deliveries)); diff != "" {
		t.Error(diff)
	}
	r.account(`{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}}}`)
	r.post(`{"email":"cid@example.org","opt_in":true}`, nil)
	r.until("blocked", func() bool { return r.destination("journey:"+sandbox.WelcomeEventKey).State == "blocked" })
	if a := r.post(`{"email":"dan@example.org"}`, map[string]string{"Prefer": wait}); a.Code != http.StatusCreated {
		t.Errorf("answered %+v while the journey is blocked, which is not for this person", a)
	}
	r.account(`{"journeys":{"APIEvent-sandbox-welcome":{}}}`)
	r.await("all is delivered", func() bool { return r.status().Registrations["delivered"] == 5 })
}

// Of one person the last one for whom the row was stands: one that is skipped later is no
// newer row, neither for a resend nor for an event.
func TestWhenRowStays(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.account(lenient())
			database, more := filepath.Join(t.TempDir(), "onramp.db"), ""
			if engine == "postgres" {
				key, err := keyset.New()
				if err != nil {
					t.Fatal(err)
				}
				database, more = pgtest.URL(t), "encryption_key: '"+key.Reveal()+"'\n"
			}
			form := ownForm(whenFields + whenRow + ", when: opt_in }\n" + whenMessage + " }\n" +
				"    on_event: [ { type: EngagementEvents.EmailUnsubscribe, column: OptInStatus, value: false } ]\n")
			w.start(func(cfg string) string { return more + form(cfg) }, database)
			if err := w.gateway.SetUpEvents(t.Context()); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, body := range []string{
				`{"email":"ana@example.org","first_name":"In","opt_in":true}`, `{"email":"ana@example.org","first_name":"Out"}`, `{"email":"bob@example.org"}`,
			} {
				ids = append(ids, w.post(body, map[string]string{"Prefer": wait}).ID)
			}
			want := []map[string]any{{"SubscriberKey": "ana@example.org", "EmailAddress": "ana@example.org", "FirstName": "In", "OptInStatus": true}}
			if diff := gocmp.Diff(want, w.rowsOf(sandbox.RegistrationsKey)); diff != "" {
				t.Error(diff)
			}
			var plan operator.Resent
			w.admin("/api/registrations/"+ids[0]+"/resend", operator.Again{Step: 1, DryRun: true}, http.StatusOK, &plan)
			if plan.Plan == nil || plan.Plan.Count != 1 {
				t.Errorf("the older one, which has the row, is left out: %+v", plan.Plan)
			}
			for _, person := range []string{"bob@example.org", "ana@example.org"} {
				w.event("EngagementEvents.EmailUnsubscribe", person)
			}
			want[0]["OptInStatus"] = false
			w.until("the opt-out", func() bool { return gocmp.Equal(want, w.rowsOf(sandbox.RegistrationsKey)) })
			w.until("all is delivered", func() bool { return w.status().Deliveries["delivered"] >= 5 })
			if diff := gocmp.Diff(map[string]int64{"delivered": 5, "skipped": 2}, nonZero(w.status().Deliveries)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// event has the sandbox send an event about a person.
func (w *world) event(eventType, person string) {
	w.t.Helper()
	text, _ := json.Marshal(person)
	if _, err := w.sandbox.SendEvents(sandbox.Trigger{Events: []json.RawMessage{json.RawMessage(fmt.Sprintf(
		`{"eventCategoryType":%q,"timestampUTC":%d,"composite":{"jobId":"7","batchId":"1","subscriberId":"9"},"info":{"subscriberKey":%s}}`,
		eventType, time.Now().UnixMilli(), text))}}); err != nil {
		w.t.Fatal(err)
	}
}
