package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/pgtest"
	"onramp/internal/resend"
	"onramp/internal/sandbox"
)

// hook is a webhook that keeps what it gets, in its order.
type hook struct {
	url string
	mu  sync.Mutex
	off bool
	got []hooked
}

// hooked is an event as a webhook gets it; Header is ce-resend.
type hooked struct{ ID, Type, Subject, Resend, Header string }

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := hooked{Header: r.Header.Get("ce-resend")}
		if json.NewDecoder(r.Body).Decode(&e) != nil {
			panic(http.ErrAbortHandler) // the gateway has ended
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.off {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.got = append(h.got, e)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// refuse has it refuse everything, or no longer.
func (h *hook) refuse(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off = yes
}

func (h *hook) events() []hooked {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hooked{}, h.got...)
}

// about are the types of the events about ana, the only one who did more than get a
// mail, or about another person, each with the resend that it is of.
func (h *hook) about(subscriberKey string) (events []string) {
	for _, e := range h.events() {
		engaged := e.Type == mailClicked || e.Type == mailLeft
		if e.Subject == subscriberKey || engaged && subscriberKey == ana {
			events = append(events, strings.TrimSpace(e.Type+" "+e.Resend))
		}
	}
	return events
}

// admin posts to the admin API and reads an answer of that status.
func (w *world) admin(path string, body any, status int, into any) {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.Post(w.gateway.AdminURL()+path, "application/json", bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		w.t.Fatalf("POST %s: %s %s %v", path, response.Status, answer, err)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		w.t.Fatal(err)
	}
}

// resends is a gateway with past events of ana, bob and cid, and a sink crm that is new.
// It takes no opens.
type resends struct {
	*world
	crm   *hook
	began time.Time
	ana   string // her registration
}

const (
	ana         = "ana+click+unsubscribe@example.org"
	mailSent    = "TransactionalSendEvents.EmailSent"
	mailOpened  = "EngagementEvents.EmailOpen"
	mailClicked = "EngagementEvents.EmailClick"
	mailLeft    = "EngagementEvents.EmailUnsubscribe"
)

func newResends(t *testing.T, database string, more string) *resends {
	t.Helper()
	r := &resends{world: newSandboxed(t), crm: newHook(t), began: time.Now()}
	r.start(func(cfg string) string { return more + cfg }, database)
	if err := r.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.ana = r.post(`{"email":"`+ana+`","opt_in":true}`, map[string]string{"Prefer": "wait=20"}).ID
	r.post(`{"email":"bob@example.org"}`, map[string]string{"Prefer": "wait=20"})
	r.post(`{"email":"cid@example.org"}`, map[string]string{"Prefer": "wait=20"})
	r.until("the past", func() bool {
		s := r.status()
		return s.Events.Stored == 6 && s.Deliveries["delivered"] == 7 // of three registrations, and of ana's rule
	})
	r.end()
	r.start(func(cfg string) string {
		return more + cfg + fmt.Sprintf(`sinks:
  - { name: crm, types: ["*.EmailSent", "*.EmailClick", "*.EmailUnsubscribe"], webhook: { url: %q, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }
`, r.crm.url)
	}, database)
	if err := r.gateway.SetUpEvents(t.Context()); err != nil { // its address is another one
		t.Fatal(err)
	}
	return r
}

func request(filter string) resend.Request {
	return resend.Request{Kind: "events", Filter: json.RawMessage(filter)}
}

// run starts a resend and waits for its end.
func (r *resends) run(request resend.Request) (done resend.Run) {
	r.t.Helper()
	r.admin("/api/resends", request, http.StatusOK, &done)
	r.until("the end of the resend", func() bool {
		r.getJSON(fmt.Sprint(r.gateway.AdminURL(), "/api/resends/", done.ID), &done)
		return done.State == resend.Done
	})
	return done
}

func TestResendEvents(t *testing.T) {
	t.Parallel()
	for _, engine := range []struct {
		name     string
		database func(t *testing.T) (url, more string)
	}{
		{"sqlite", func(t *testing.T) (string, string) { return filepath.Join(t.TempDir(), "onramp.db"), "" }},
		{"postgres", func(t *testing.T) (string, string) {
			key, err := keyset.New()
			if err != nil {
				t.Fatal(err)
			}
			return pgtest.URL(t), "encryption_key: '" + key.Reveal() + "'\n"
		}},
	} {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			database, more := engine.database(t)
			newResends(t, database, more).check()
		})
	}
}

func (r *resends) check() {
	t := r.t
	before := r.status()
	all := request(`{"sink":"crm"}`)

	// the plan, which changes nothing
	var plan resend.Plan
	r.admin("/api/resends/plan", all, http.StatusOK, &plan)
	want := resend.Plan{Kind: "events", Target: "sink:crm", Filter: json.RawMessage(`{"sink":"crm"}`), Count: 5, LeftOut: map[string]int64{"filtered": 1}, From: plan.From, To: plan.To, Oldest: plan.From}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
	if plan.From.Before(r.began) || plan.To.Before(plan.From) || plan.To.After(time.Now()) {
		t.Errorf("it goes from %v to %v", plan.From, plan.To)
	}
	if after := r.status(); !cmp.Equal(before.Deliveries, after.Deliveries) || len(r.crm.events()) > 0 {
		t.Errorf("the plan has changed %v to %v, and sent %v", before.Deliveries, after.Deliveries, r.crm.events())
	}

	// a new sink gets its past, in order and marked, and then what comes
	done := r.run(all)
	r.until("the past", func() bool { return len(r.crm.events()) >= 5 })
	wantRun := resend.Run{
		ID: 1, Kind: "events", Target: "sink:crm", Filter: json.RawMessage(`{"sink":"crm"}`), State: resend.Done, StartedAt: done.StartedAt, EndedAt: done.EndedAt,
		Planned: 5, Sent: 5, LeftOut: map[string]int64{"filtered": 1, "waiting": 0},
	}
	if diff := cmp.Diff(wantRun, done); diff != "" {
		t.Error(diff)
	}
	r.post(`{"email":"bob@example.org"}`, map[string]string{"Prefer": "wait=20"})
	r.until("a new event", func() bool { return len(r.crm.events()) >= 6 })
	if diff := cmp.Diff([]string{mailSent + " 1", mailClicked + " 1", mailLeft + " 1"}, r.crm.about(ana)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{mailSent + " 1", mailSent}, r.crm.about("bob@example.org")); diff != "" {
		t.Error(diff)
	}
	for _, e := range r.crm.events() {
		if e.Header != e.Resend {
			t.Errorf("the header of %+v is another", e)
		}
	}
	r.checkAgain(all)
	r.checkFilters()
}

// checkAgain sends the same again, which must be meant, and then a part of it.
func (r *resends) checkAgain(all resend.Request) {
	t := r.t
	var refused struct{ Detail string }
	r.admin("/api/resends", all, http.StatusConflict, &refused)
	if want := "resend 1 has already sent these again (5 of 5, done): to send them once more, set again (--again)"; refused.Detail != want {
		t.Errorf("the same once more: %q", refused.Detail)
	}
	all.Again = true
	r.run(all) // with bob's new one
	r.until("all of it", func() bool { return len(r.crm.events()) == 6+6 && r.waiting() == 0 })
	r.run(request(`{"sink":"crm","person":"ANA+click+unsubscribe@example.org"}`))
	r.until("her part", func() bool { return len(r.crm.events()) == 6+6+3 && r.waiting() == 0 })
	sent, clicked, left := mailSent, mailClicked, mailLeft
	want := []string{sent + " 1", clicked + " 1", left + " 1", sent + " 2", clicked + " 2", left + " 2", sent + " 3", clicked + " 3", left + " 3"}
	if diff := cmp.Diff(want, r.crm.about(ana)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{sent + " 1", sent, sent + " 2", sent + " 2"}, r.crm.about("bob@example.org")); diff != "" {
		t.Error(diff)
	}
	// the rule was followed once
	if diff := cmp.Diff([]string{"delivered data_extension:Web_Registrations", "delivered data_extension:Web_Registrations"}, r.rows()); diff != "" {
		t.Error(diff)
	}
	r.until("the outcomes", func() bool { return r.status().Deliveries["delivered"] == 7+2+15 })
	// each delivery has a name of its own
	var event operator.Event
	events := r.crm.events()
	hers := slices.IndexFunc(events, func(e hooked) bool { return e.Subject == ana })
	r.getJSON(r.gateway.AdminURL()+"/api/events/"+events[hers].ID, &event)
	var names, wantNames []string
	for i, d := range event.Deliveries {
		names = append(names, d.ID)
		wantNames = append(wantNames, fmt.Sprintf("%s.%d", onramp.DeliveryID(event.ID, r.sink()), i+1))
		var found operator.Delivery
		if r.getJSON(r.gateway.AdminURL()+"/api/deliveries/"+d.ID, &found); found.ID != d.ID || found.Resend != int64(i+1) || found.State != "delivered" {
			t.Errorf("%s is %+v", d.ID, found)
		}
	}
	if diff := cmp.Diff(wantNames, names); diff != "" || len(names) != 3 {
		t.Error(diff)
	}
	var none struct{ Detail string }
	r.admin("/api/deliveries/"+onramp.DeliveryID(event.ID, r.sink())+"/retry", nil, http.StatusNotFound, &none)
}

// sink is the number of the sink, which follows those of the two steps of the form.
func (r *resends) sink() int { return 3 }

// rows are ana's deliveries to the data extension.
func (r *resends) rows() (delivered []string) {
	for _, line := range r.timeline(r.ana) {
		if strings.HasSuffix(line, "Web_Registrations") {
			delivered = append(delivered, line)
		}
	}
	return delivered
}

func (r *resends) checkFilters() {
	t := r.t
	began, now := r.began.Format(time.RFC3339Nano), time.Now().Add(time.Second).Format(time.RFC3339Nano)
	for filter, want := range map[string]int64{
		`{"sink":"crm","types":["*.emailclick","*.EmailUnsubscribe"]}`:            2,
		`{"sink":"crm","types":["*.EmailOpen"]}`:                                  0,
		`{"sink":"crm","callback":"events"}`:                                      6,
		`{"sink":"crm","since":"` + began + `","until":"` + now + `"}`:            6,
		`{"sink":"crm","until":"` + began + `"}`:                                  0,
		`{"sink":"crm","since":"` + now + `"}`:                                    0,
		`{"sink":"crm","person":"bob@example.org"}`:                               2,
		`{"sink":"crm","person":"nobody@example.org"}`:                            0,
		`{"sink":"crm","person":"bob@example.org","types":["EngagementEvents*"]}`: 0,
	} {
		var plan resend.Plan
		if r.admin("/api/resends/plan", request(filter), http.StatusOK, &plan); plan.Count != want {
			t.Errorf("%s selects %d, not %d", filter, plan.Count, want)
		}
	}
	type problem struct {
		Detail string
		Errors []onramp.FieldError
	}
	for filter, want := range map[string]string{
		`{"sink":"other"}`:                                             "there is no sink of this name",
		`{"sink":"crm","callback":"other"}`:                            "there is no callback of this name",
		`{"sink":"crm","types":[""]}`:                                  "a type is empty or too long",
		`{"sink":"crm","since":"` + now + `","until":"` + began + `"}`: "the time ends before it begins",
		`{"sink":"crm","sinse":"2026-01-01T00:00:00Z"}`:                "the filter of events can't be read",
		`null`: "there is no sink of this name",
	} {
		var got problem
		if r.admin("/api/resends", request(filter), http.StatusUnprocessableEntity, &got); got.Detail != want {
			t.Errorf("%s: %q", filter, got.Detail)
		}
	}
	for path, want := range map[string]int{"/api/resends/1/cancel": http.StatusConflict, "/api/resends/9/cancel": http.StatusNotFound, "/api/resends/x/cancel": http.StatusNotFound} {
		r.admin(path, nil, want, &problem{})
	}
	var list resend.Runs
	r.getJSON(r.gateway.AdminURL()+"/api/resends", &list)
	var ids []int64
	for _, run := range list.Items {
		ids = append(ids, run.ID)
	}
	if diff := cmp.Diff([]int64{3, 2, 1}, ids); diff != "" {
		t.Error(diff)
	}
}

// A resend goes on at the pace of its sink, so that it never has many deliveries before
// what else comes; it leaves out what is waiting anyway; and it can be cancelled.
func TestResendToBlockedSink(t *testing.T) {
	t.Parallel()
	r := newResends(t, filepath.Join(t.TempDir(), "onramp.db"), "")
	r.crm.refuse(true)
	const n = 900
	if _, err := r.sandbox.SendEvents(sandbox.Trigger{Type: mailClicked, Count: n}); err != nil {
		t.Fatal(err)
	}
	r.until("the events", func() bool { return r.status().Events.Stored == 6+n })
	var plan resend.Plan
	r.admin("/api/resends/plan", request(`{"sink":"crm"}`), http.StatusOK, &plan)
	if plan.Count != 5 || !cmp.Equal(plan.LeftOut, map[string]int64{"filtered": 1, "waiting": n}) {
		t.Errorf("the plan is %+v", plan)
	}
	r.crm.refuse(false)
	r.until("the live ones", func() bool { return len(r.crm.events()) == n && r.waiting() == 0 })

	r.crm.refuse(true)
	var run, same resend.Run
	r.admin("/api/resends", request(`{"sink":"crm"}`), http.StatusOK, &run)
	r.until("a portion", func() bool { return r.waiting() > 0 })
	r.admin("/api/resends", request(`{"sink":"crm"}`), http.StatusOK, &same)
	if same.ID != run.ID || !same.Continued || run.Continued {
		t.Errorf("the same once more is %+v", same)
	}
	r.admin("/api/resends", request(`{"sink":"crm","callback":"events"}`), http.StatusConflict, &struct{}{})
	r.admin("/api/resends/plan", request(`{"sink":"crm","callback":"events"}`), http.StatusOK, &plan)
	if plan.Running == nil || plan.Running.ID != run.ID {
		t.Errorf("the plan of another one is %+v", plan)
	}
	r.post(`{"email":"dan@example.org"}`, map[string]string{"Prefer": "wait=20"})
	r.until("dan's event", func() bool { return r.status().Events.Stored == 6+n+1 })
	r.admin("/api/resends/1/cancel", nil, http.StatusOK, &run)
	r.admin("/api/resends/1/cancel", nil, http.StatusOK, &run)
	if run.State != resend.Cancelled || run.Sent != 250 {
		t.Errorf("what was cancelled is %+v", run)
	}
	r.crm.refuse(false)
	r.until("what was queued", func() bool { return r.waiting() == 0 })
	if got := len(r.crm.events()); got != n+250+1 {
		t.Errorf("%d events came", got)
	}
}

// waiting is how many deliveries to the sink are still to be made.
func (r *resends) waiting() int64 {
	for _, d := range r.status().Destinations {
		if d.Name == "sink:crm" {
			return d.Waiting
		}
	}
	return 0
}
