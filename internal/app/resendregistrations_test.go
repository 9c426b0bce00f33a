package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/keyset"
	"onramp/internal/operator"
	"onramp/internal/pgtest"
	"onramp/internal/resend"
	"onramp/internal/sandbox"
)

func again(filter string) resend.Request {
	return resend.Request{Kind: "registrations", Filter: json.RawMessage(filter)}
}

// againWorld is a gateway with the delivered registrations ana1, ana2, of the same person,
// bob, and dan, who has unsubscribed since.
type againWorld struct {
	*world
	ids      map[string]string
	database string
	more     string
}

func TestResendRegistrations(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		newAgainWorld(t, filepath.Join(t.TempDir(), "onramp.db"), "").check()
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		key, err := keyset.New()
		if err != nil {
			t.Fatal(err)
		}
		newAgainWorld(t, pgtest.URL(t), "encryption_key: '"+key.Reveal()+"'\n").check()
	})
}

func newAgainWorld(t *testing.T, database, more string) *againWorld {
	t.Helper()
	w := &againWorld{world: newSandboxed(t), ids: map[string]string{}, database: database, more: more}
	w.start(func(cfg string) string { return more + cfg }, database)
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][3]string{
		{"ana1", "ana@example.org", "Old"},
		{"bob", "bob@example.org", "Bob"},
		{"ana2", "ana@example.org", "New"},
		{"dan", "dan+open+unsubscribe@example.org", "Dan"},
	} {
		body := fmt.Sprintf(`{"email":%q,"first_name":%q,"opt_in":true}`, r[1], r[2])
		w.ids[r[0]] = w.post(body, map[string]string{"Prefer": "wait=20"}).ID
	}
	w.until("the past", func() bool {
		s := w.status()
		return s.Deliveries["delivered"] == 9 && s.Registrations["delivered"] == 4
	})
	return w
}

func (w *againWorld) plan(filter string) (p resend.Plan) {
	w.t.Helper()
	w.admin("/api/resends/plan", again(filter), http.StatusOK, &p)
	return p
}

// send sends again and waits until it is delivered.
func (w *againWorld) send(filter string, deliveries int64) (done resend.Run) {
	w.t.Helper()
	before := w.status()
	w.admin("/api/resends", again(filter), http.StatusOK, &done)
	w.until("the end of the resend", func() bool {
		w.getJSON(fmt.Sprint(w.gateway.AdminURL(), "/api/resends/", done.ID), &done)
		return done.State == resend.Done && w.status().Deliveries["delivered"] >= before.Deliveries["delivered"]+deliveries
	})
	after := w.status()
	if got := after.Deliveries["delivered"] - before.Deliveries["delivered"]; got != deliveries || !cmp.Equal(before.Registrations, after.Registrations) {
		w.t.Errorf("%s: %d deliveries were made, not %d; registrations %v, before %v", filter, got, deliveries, after.Registrations, before.Registrations)
	}
	return done
}

// entered is how often the journey was entered.
func (w *againWorld) entered() int { return w.sandbox.State().Totals.Contacts[sandbox.WelcomeEventKey] }

const (
	registrationsRow = "data_extension:" + sandbox.RegistrationsKey
	welcome          = "journey:" + sandbox.WelcomeEventKey
)

func (w *againWorld) check() {
	t := w.t
	before := w.status()
	for filter, want := range map[string]resend.Plan{
		`{"all":true}`: {
			Count: 2, LeftOut: map[string]int64{"superseded": 2}, Destinations: map[string]int64{registrationsRow: 2}, StepsLeftOut: map[string]int64{"got": 2},
		},
		`{"all":true,"step":2}`: {LeftOut: map[string]int64{"got": 4}},
		`{"form":"registration","overwrite_newer":true}`: {
			Count: 4, LeftOut: map[string]int64{}, Destinations: map[string]int64{registrationsRow: 4}, StepsLeftOut: map[string]int64{"got": 4},
		},
		`{"state":"delivered","repeat_journeys":true}`: {
			Count: 2, LeftOut: map[string]int64{"superseded": 2}, Destinations: map[string]int64{registrationsRow: 2, welcome: 2},
		},
		`{"destination":"` + welcome + `","step":2,"repeat_journeys":true}`: {Count: 4, LeftOut: map[string]int64{}, Destinations: map[string]int64{welcome: 4}},
		`{"state":"failed"}`: {LeftOut: map[string]int64{}},
		`{"form":"registration","until":"2020-01-01T00:00:00Z"}`: {LeftOut: map[string]int64{}},
	} {
		got := w.plan(filter)
		if diff := cmp.Diff(want, resend.Plan{Count: got.Count, LeftOut: got.LeftOut, Destinations: got.Destinations, StepsLeftOut: got.StepsLeftOut}); diff != "" {
			t.Errorf("%s: %s", filter, diff)
		}
	}
	if after := w.status(); !cmp.Equal(before.Deliveries, after.Deliveries) || w.entered() != 4 {
		t.Errorf("the plans have changed %v to %v", before.Deliveries, after.Deliveries)
	}

	done := w.send(`{"all":true}`, 2)
	if want := map[string]int64{"superseded": 2}; done.Sent != 2 || done.Planned != 2 || !cmp.Equal(want, done.LeftOut) || w.entered() != 4 {
		t.Errorf("%+v; the journey was entered %d times", done, w.entered())
	}
	// in the order of acceptance: the newest row of a person stands in the end
	w.send(`{"all":true,"overwrite_newer":true,"repeat_journeys":true}`, 9) // and the row that dan's second unsubscribe changes
	if w.entered() != 8 {
		t.Errorf("the journey was entered %d times", w.entered())
	}
	if diff := cmp.Diff([]any{"New"}, w.columns("ana@example.org", "FirstName")); diff != "" {
		t.Error(diff)
	}
	// which is also so after an older one was sent again: it isn't newer for that
	w.send(`{"id":"`+w.ids["ana1"]+`","overwrite_newer":true}`, 1)
	w.send(`{"id":"`+w.ids["ana2"]+`"}`, 1)
	if diff := cmp.Diff([]any{"New"}, w.columns("ana@example.org", "FirstName")); diff != "" {
		t.Error(diff)
	}
	w.checkNames()
	w.checkOne()
	w.checkToday()
}

// checkNames finds each delivery by its name.
func (w *againWorld) checkNames() {
	id := w.ids["bob"]
	var r operator.Registration
	w.getJSON(w.gateway.AdminURL()+"/api/registrations/"+id, &r)
	var names []string
	for _, d := range r.Deliveries {
		names = append(names, strings.TrimPrefix(d.ID, id))
		var found operator.Delivery
		if w.getJSON(w.gateway.AdminURL()+"/api/deliveries/"+d.ID, &found); found.ID != d.ID || found.State != "delivered" || !found.ReceivedAt.Equal(r.ReceivedAt) {
			w.t.Errorf("%s is %+v", d.ID, found)
		}
	}
	if diff := cmp.Diff([]string{".1", ".2", ".1.1", ".1.2", ".2.2"}, names); diff != "" || r.Status != "delivered" {
		w.t.Error(r.Status, diff)
	}
}

// checkOne sends one again by its own address.
func (w *againWorld) checkOne() {
	path := "/api/registrations/" + w.ids["bob"] + "/resend"
	var said operator.Resent
	w.admin(path, operator.Again{DryRun: true}, http.StatusOK, &said)
	if said.Plan == nil || said.Plan.Count != 1 || said.Resend != nil {
		w.t.Errorf("the plan is %+v", said)
	}
	said = operator.Resent{}
	w.admin(path, operator.Again{Step: 1}, http.StatusOK, &said)
	if said.Resend == nil || said.Resend.Planned != 1 {
		w.t.Fatalf("one is %+v", said)
	}
	w.until("the row", func() bool { return w.status().Deliveries["delivered"] == 9+2+9+2+1 })
	for body, want := range map[operator.Again]string{
		{Step: 1}: "has already sent these again (1 of 1, done)", {Step: 2}: "there is nothing to send (left out: 1 got)",
		{Step: 3}: "there is nothing to send (left out: 1 no_step)",
	} {
		var refused struct{ Detail string }
		if w.admin(path, body, http.StatusConflict, &refused); !strings.Contains(refused.Detail, want) {
			w.t.Errorf("%+v: %s", body, refused.Detail)
		}
	}
	w.admin("/api/registrations/nothing/resend", operator.Again{}, http.StatusNotFound, &struct{}{})
	w.admin("/api/resends", again(`{}`), http.StatusUnprocessableEntity, &struct{}{})
}

// checkToday sends by another route, of a form that has lost a field.
func (w *againWorld) checkToday() {
	w.end()
	w.start(func(cfg string) string {
		_, field, _ := strings.Cut(cfg, "      - { name: first_name,")
		field, _, _ = strings.Cut(field, "\n")
		cfg = strings.Replace(cfg, "      - { name: first_name,"+field+"\n", "", 1)
		return w.more + strings.Replace(cfg, "event_definition_key: "+sandbox.WelcomeEventKey, "event_definition_key: another", 1)
	}, w.database)
	got := w.plan(`{"id":"` + w.ids["ana2"] + `"}`)
	want := resend.Plan{
		Count: 1, Elsewhere: 1, FieldsGone: map[string]int64{"registration.first_name": 1},
		Destinations: map[string]int64{registrationsRow: 1, "journey:another": 1},
	}
	if diff := cmp.Diff(want, resend.Plan{Count: got.Count, Elsewhere: got.Elsewhere, FieldsGone: got.FieldsGone, Destinations: got.Destinations}); diff != "" {
		w.t.Error(diff)
	}
}
