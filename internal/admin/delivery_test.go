package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

func outcomeOf(state onramp.DeliveryState) *onramp.Outcome {
	o := storetest.Outcome(state)
	return &o
}

func TestCauses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const row, journey = "data_extension:Web_Registrations", "journey:APIEvent-welcome"
	dead, unknown := outcomeOf(onramp.DeliveryDead), outcomeOf(onramp.DeliveryUnknown)
	cause := func(o *onramp.Outcome, destination, state, id string) string {
		return `{"cause":"` + o.Cause() + `","destination":"` + destination + `","state":"` + state + `","reason":"` + o.Reason() + `","count":1,"oldest":"` + id + `","newest":"` + id + `"}`
	}
	kept, second, first := cause(unknown, row, "unknown", o.ids[3]+".1"), cause(dead, journey, "dead", o.ids[2]+".2"), cause(dead, row, "dead", o.ids[1]+".1")
	for target, want := range map[string][]string{
		"/api/causes":            {kept, second, first},
		"/api/causes?state=dead": {second, first},
		"/api/causes?state=unknown&form=registration":      {kept},
		"/api/causes?form=open":                            nil,
		"/api/causes?destination=journey:APIEvent-welcome": {second},
		"/api/causes?since=2026-06-24":                     nil,
	} {
		webtest.Check(t, told(`{"items":[`+strings.Join(want, ",")+`]}`+"\n"), get(o, target))
	}
	webtest.Check(t, webtest.Problem(400, "the state must be dead or unknown", ""), get(o, "/api/causes?state=discarded"))

	for target, want := range map[string][]string{
		"/api/deliveries?cause=" + dead.Cause():                      {"2.2 dead", "1.1 dead"},
		"/api/deliveries?cause=" + dead.Cause() + "&q=person1":       {"1.1 dead"},
		"/api/deliveries?state=unknown&cause=" + unknown.Cause():     {"3.1 unknown"},
		"/api/deliveries?state=unknown&cause=" + dead.Cause():        {},
		"/api/deliveries?state=delivered&cause=" + dead.Cause():      {},
		"/api/deliveries?form=registration&cause=" + unknown.Cause(): {"3.1 unknown"},
	} {
		if got, next := o.keysOf(t, get(o, target)); next != "" || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, next %q; want %v", target, got, next, want)
		}
	}
}

// What many deliveries could suffer from must be asked for in so many words.
func TestBulkRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.store.Count()
	const all = `,"errors":[{"field":"all","message":"must be true"}]`
	any := webtest.Problem(422, `this would retry every dead delivery: specify a cause, form, destination or time, or add "all": true`, all)
	twice := webtest.Problem(422, `deliveries whose answer was lost may already have arrived; add "all": true to retry them anyway`, all)
	forever := webtest.Problem(422, `discarding can't be undone: add "all": true to discard several deliveries`, all)
	state := webtest.Problem(422, "only dead and unknown deliveries can be changed together", `,"errors":[{"field":"state","message":"must be dead or unknown"}]`)
	reason := webtest.Problem(422, "a discarded delivery needs a reason", `,"errors":[{"field":"reason","message":"is required"}]`)
	noRetry := webtest.Problem(400, `the body must be JSON such as {"cause":"1e48f7c5"}`, "")
	noDiscard := webtest.Problem(400, `the body must be JSON such as {"cause":"1e48f7c5","reason":"a test","all":true}`, "")
	noForm := webtest.Problem(400, `there is no form "nobody": use open, registration`, "")
	noDestination := webtest.Problem(400, `there is no destination "Web_Registrations": use data_extension:Web_Registrations, journey:APIEvent-welcome`, "")
	for request, want := range map[string]answer{
		`retry `:                    any,
		`retry {}`:                  any,
		`retry {"state":"dead"}`:    any,
		`retry {"all":false}`:       any,
		`retry {"state":"unknown"}`: twice,
		`retry {"state":"unknown","cause":"a","form":"b"}`:      twice,
		`retry {"state":"pending","all":true}`:                  state,
		`retry {"form":"nobody"}`:                               noForm,
		`discard {"form":"nobody","reason":"x","all":true}`:     noForm,
		`retry {"destination":"Web_Registrations"}`:             noDestination,
		`retry {"since":"yesterday"}`:                           webtest.Problem(400, "since must be a time such as 2026-06-23T14:52:45Z, a date such as 2026-06-23 (from 00:00 UTC), or how long ago, such as 24h or 7d", ""),
		`retry {"state":"DEAD","all":true}`:                     state,
		`retry {"states":"dead"}`:                               noRetry,
		`retry {"all":"true"}`:                                  noRetry,
		`retry {"all":true} {}`:                                 noRetry,
		`retry all=true`:                                        noRetry,
		`retry {"cause":"` + strings.Repeat("x", 70000) + `"}`:  webtest.Problem(413, "the body is larger than 64 KiB", ""),
		`discard {"all":true}`:                                  reason,
		`discard {"all":true,"reason":" "}`:                     reason,
		`discard {"reason":"x"}`:                                forever,
		`discard {"reason":"x","cause":"a","form":"b"}`:         forever,
		`discard {"reason":"x","state":"unknown","cause":"a"}`:  forever,
		`discard {"reason":"x","state":"delivered","all":true}`: state,
		`discard {"reason":1,"all":true}`:                       noDiscard,
	} {
		what, body, _ := strings.Cut(request, " ")
		if got := post(o, "/api/deliveries/"+what, body); !cmp.Equal(want, got) {
			t.Errorf("%.60s (-want +got):\n%s", request, cmp.Diff(want, got))
		}
	}
	if diff := cmp.Diff(before, o.store.Count()); diff != "" {
		t.Errorf("something was changed:\n%s", diff)
	}
}

func TestBulk(t *testing.T) {
	t.Parallel()
	dead, unknown := outcomeOf(onramp.DeliveryDead).Cause(), outcomeOf(onramp.DeliveryUnknown).Cause()
	const isDead, isUnknown, pending, discarded = "dead", "unknown", "pending", "discarded"
	for request, want := range map[string]struct {
		answer string
		states []string // of 1.1, 2.2 and 3.1
	}{
		`retry {"cause":"` + dead + `"}`:                                            {`{"count":2}`, []string{pending, pending, isUnknown}},
		`retry {"form":"registration","state":"dead"}`:                              {`{"count":2}`, []string{pending, pending, isUnknown}},
		`retry {"all":true}`:                                                        {`{"count":2}`, []string{pending, pending, isUnknown}},
		`retry {"all":true,"state":"unknown"}`:                                      {`{"count":1}`, []string{isDead, isDead, pending}},
		`retry {"cause":"` + unknown + `"}`:                                         {`{"count":0}`, []string{isDead, isDead, isUnknown}},
		`retry {"destination":"journey:APIEvent-welcome"}`:                          {`{"count":1}`, []string{isDead, pending, isUnknown}},
		`retry {"since":"2026-06-23T14:52:45Z","until":"2026-06-23T14:52:46Z"}`:     {`{"count":2}`, []string{pending, pending, isUnknown}},
		`retry {"since":"1h"}`:                                                      {`{"count":0}`, []string{isDead, isDead, isUnknown}},
		`retry {"form":"open"}`:                                                     {`{"count":0}`, []string{isDead, isDead, isUnknown}},
		`discard {"all":true,"reason":"x"}`:                                         {`{"count":2,"later_steps":1}`, []string{discarded, discarded, isUnknown}},
		`discard {"all":true,"reason":"x","state":"unknown","form":"registration"}`: {`{"count":1,"later_steps":1}`, []string{isDead, isDead, discarded}},
		`discard {"all":true,"reason":"x","cause":"nonsense"}`:                      {`{"count":0}`, []string{isDead, isDead, isUnknown}},
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			what, body, _ := strings.Cut(request, " ")
			webtest.Check(t, told(want.answer+"\n"), post(o, "/api/deliveries/"+what, body))
			var got []string
			for _, id := range []string{o.ids[1] + ".1", o.ids[2] + ".2", o.ids[3] + ".1"} {
				d, err := o.store.FindDelivery(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, d.State.String())
			}
			if diff := cmp.Diff(want.states, got); diff != "" {
				t.Error(diff)
			}
			if len(o.pump.forgotten) > 0 {
				t.Errorf("the pump was told to forget %v, which it does not know", o.pump.forgotten)
			}
		})
	}
}

// An edit shows what was before, and a retry with it sends what is now.
func TestEdit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.ids[2] + ".2"
	was := whole(t, o, id)
	got := post(o, "/api/deliveries/"+id+"/edit", `{"fields":{"email":"Ana@EXAMPLE.org","opt_in":"yes"}}`)
	now := whole(t, o, id)
	if got.Status != 200 || got.Body != get(o, "/api/deliveries/"+id).Body {
		t.Errorf("answered %+v", got)
	}
	want := was
	want.SubscriberKey = "Ana@example.org"
	edit := strings.NewReplacer("person2@example.org", "Ana@example.org", "false", "true")
	want.Fields, want.Values = json.RawMessage(edit.Replace(string(was.Fields))), json.RawMessage(edit.Replace(string(was.Values)))
	if len(now.Edits) == 1 {
		want.Edits = []operator.Edit{{At: now.Edits[0].At, Fields: []string{"email", "opt_in"}, SubscriberKey: "person2@example.org", Values: was.Fields}}
	}
	if diff := cmp.Diff(want, now); diff != "" {
		t.Errorf("the delivery (-want +got):\n%s", diff)
	}
	var r operator.Registration
	if err := json.Unmarshal([]byte(get(o, "/api/registrations/"+o.ids[2]).Body), &r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Edits, r.Edits); diff != "" {
		t.Errorf("the registration's edits (-want +got):\n%s", diff)
	}

	got = post(o, "/api/deliveries/"+id+"/edit", `{"fields":{"first_name":"Ana"},"retry":true}`)
	now = whole(t, o, id)
	if got.Status != 200 || now.State != "pending" || now.Cause != "" || len(now.Edits) != 2 || !strings.Contains(string(now.Values), `"FirstName":"Ana"`) {
		t.Errorf("after edit and retry: %+v\n%+v", got, now)
	}
	if len(o.pump.forgotten) > 0 {
		t.Errorf("the pump was told to forget %v: it might forget what is due now", o.pump.forgotten)
	}
}

// whole is a delivery as the admin API shows it.
func whole(t *testing.T, o *office, id string) (d operator.Delivery) {
	t.Helper()
	got := get(o, "/api/deliveries/"+id)
	if err := json.Unmarshal([]byte(got.Body), &d); err != nil || got.Status != 200 {
		t.Fatalf("%v: %+v", err, got)
	}
	return d
}

func TestEditRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	bad := webtest.Problem(400, `the body must be JSON such as {"fields":{"email":"ana@example.org"},"retry":true}, every value as a text`, "")
	nothing := webtest.Problem(422, "name at least one field to change", "")
	state := func(name string) answer {
		return webtest.Problem(409, "only a delivery that is dead or unknown can be edited; this one is "+name, "")
	}
	wrong := func(field, message string) answer {
		return webtest.Problem(422, "some fields are not valid", webtest.FieldErrors(field, message))
	}
	dead := o.ids[1] + ".1"
	for request, want := range map[string]answer{
		dead + ` `: nothing, dead + ` {}`: nothing, dead + ` {"fields":{}}`: nothing, dead + ` {"retry":true}`: nothing,
		dead + ` {"fields":{"opt_in":true}}`:                                     bad,
		dead + ` {"fields":["email"]}`:                                           bad,
		dead + ` {"field":{"email":"ana@example.org"}}`:                          bad,
		dead + ` {"fields":{"email":"ana@example.org"}`:                          bad,
		dead + ` {"fields":{"email":"not an address"}}`:                          wrong("email", "must be a valid email address"),
		dead + ` {"fields":{"email":""}}`:                                        wrong("email", "is required"),
		dead + ` {"fields":{"EmailAddress":"ana@example.org"}}`:                  wrong("EmailAddress", "is not a field of this form"),
		dead + ` {"fields":{"IPAddress":"192.0.2.7"}}`:                           wrong("IPAddress", "is filled in by Onramp and can't be set"),
		dead + ` {"fields":{"first_name":"` + strings.Repeat("x", 70000) + `"}}`: webtest.Problem(413, "the body is larger than 64 KiB", ""),
		o.ids[0] + `.1 {"fields":{"first_name":"Ana"}}`:                          state("delivered"),
		o.ids[1] + `.2 {"fields":{"first_name":"Ana"}}`:                          state("waiting"),
		o.ids[4] + `.1 {"fields":{"first_name":"Ana"}}`:                          state("pending"),
		o.ids[1] + `.9 {"fields":{"first_name":"Ana"}}`:                          webtest.Problem(404, "there is no such delivery", ""),
	} {
		id, body, _ := strings.Cut(request, " ")
		if got := post(o, "/api/deliveries/"+id+"/edit", body); !cmp.Equal(want, got) {
			t.Errorf("%.60s (-want +got):\n%s", request, cmp.Diff(want, got))
		}
	}
	if d := whole(t, o, dead); d.State != "dead" || len(d.Edits) > 0 {
		t.Errorf("something was changed: %+v", d)
	}
	gone := adminHandler(o.store, o.pump, nil)
	webtest.Check(t, webtest.Problem(409, "the form of this delivery is no longer configured, so its values can't be validated", ""),
		post(gone, "/api/deliveries/"+dead+"/edit", `{"fields":{"first_name":"Ana"}}`))
}
