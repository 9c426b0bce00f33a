package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
)

// fakePump says what a test wants to be in flight.
type fakePump struct {
	health    []onramp.Health
	sending   map[int64]bool // by seq of the delivery
	submitted map[int64]bool
	forgotten []int64
}

func (p *fakePump) Health() []onramp.Health { return p.health }
func (p *fakePump) Flight(_ int, seq int64) onramp.DeliveryState {
	switch {
	case p.submitted[seq]:
		return onramp.DeliverySubmitted
	case p.sending[seq]:
		return onramp.DeliverySending
	}
	return 0
}

func (p *fakePump) Forget(seq int64) { p.forgotten = append(p.forgotten, seq) }
func asOperator(h http.Handler) func(string) answer {
	return func(target string) answer { return get(h, target) }
}

type answer = webtest.Answer

func do(h http.Handler, method, target, body string, headers ...string) answer {
	return webtest.Do(context.Background(), h, method+" "+target, body, headers...)
}
func get(h http.Handler, target string) answer        { return do(h, "GET", target, "", bearer) }
func post(h http.Handler, target, body string) answer { return do(h, "POST", target, body, bearer) }

// tokens are those of an operator who may do everything, and of two who may not.
var tokens = []admin.Token{
	{Caller: operator.Caller{Name: "admin", Roles: onramp.Roles()}, Secret: "token-of-the-operator"},
	{Caller: operator.Caller{Name: "monitoring", Roles: []onramp.Role{onramp.RoleRead}}, Secret: "token-of-the-reader"},
	{Caller: operator.Caller{Name: "night-shift", Roles: []onramp.Role{onramp.RoleOperate}}, Secret: "token-of-the-night"},
	{Caller: operator.Caller{Name: "dpo", Roles: []onramp.Role{onramp.RolePrivacy}}, Secret: "token-of-the-officer"},
}

const bearer = "Authorization: Bearer token-of-the-operator"

func adminHandler(s *store.Store, p *fakePump, change func(*admin.Admin)) http.Handler {
	a := &admin.Admin{
		Desk: &operator.Desk{
			Registrations: s, Deliveries: s, Changes: s, Audit: s, Chains: s, Counts: s, Events: s, Pump: p, Log: slog.New(slog.DiscardHandler),
		},
		Tokens: tokens,
		Server: &web.Server{Log: slog.New(slog.DiscardHandler), Part: "admin"},
	}
	if change != nil {
		change(a)
	}
	mux := http.NewServeMux()
	a.Routes(mux)
	a.Server.Unmatched(mux)
	return web.Harden(mux)
}

// office is an admin listener over registrations in every state: delivered,
// dead, dead in the second step, unknown, parked, untouched.
type office struct {
	http.Handler
	*gateway
	pump *fakePump
	ids  []string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{gateway: newGateway(t), pump: &fakePump{sending: map[int64]bool{}}}
	for _, f := range o.forms {
		for _, d := range f.Route {
			o.pump.health = append(o.pump.health, onramp.Health{Destination: d, State: "running"})
		}
	}
	for i, steps := range [][]onramp.DeliveryState{
		{onramp.DeliveryDelivered, onramp.DeliveryDelivered},
		{onramp.DeliveryDead},
		{onramp.DeliveryDelivered, onramp.DeliveryDead},
		{onramp.DeliveryUnknown},
		{onramp.DeliveryPending},
		nil,
	} {
		id := o.accept(t, "registration", "email", fmt.Sprintf("person%d@example.org", i))
		o.ids = append(o.ids, id)
		storetest.SettleSteps(t, o.store, id, steps...)
	}
	o.Handler = adminHandler(o.store, o.pump, func(a *admin.Admin) {
		a.Desk.Forms, a.Desk.Clients = o.forms, &operator.Clients{Keep: o.store}
	})
	return o
}

const readAnswer = "Content-Type: application/json"

// told is a good answer of the admin API.
func told(body string) answer {
	return webtest.Good(200, webtest.Headers(readAnswer, "Cache-Control: no-store"), body)
}

func TestAdminToken(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	denied := func(message string) answer {
		return webtest.Problem(401, message, "", `WWW-Authenticate: Bearer realm="onramp"`)
	}
	const bring = "the admin token is missing or wrong: onramp takes it from admin.token or ONRAMP_ADMIN_TOKEN, other clients send Authorization: Bearer TOKEN"
	welcome := told(`{"items":[],"next":""}` + "\n")
	noToken := func(a *admin.Admin) { a.Tokens = nil }
	open := func(a *admin.Admin) { a.Tokens, a.Open = nil, true }
	const demo = "the demo's admin API is available on loopback only"
	for name, row := range map[string]struct {
		change func(*admin.Admin)
		host   string
		header string
		want   answer
	}{
		"right":            {nil, "", bearer, welcome},
		"lower case":       {nil, "", "Authorization: bearer  token-of-the-operator ", welcome},
		"none":             {nil, "", "", denied(bring)},
		"wrong":            {nil, "", "Authorization: Bearer another", denied(bring)},
		"empty":            {nil, "", "Authorization: Bearer ", denied(bring)},
		"longer":           {nil, "", bearer + "s", denied(bring)},
		"another scheme":   {nil, "", "Authorization: Basic token-of-the-operator", denied(bring)},
		"without a scheme": {nil, "", "Authorization: token-of-the-operator", denied(bring)},
		"closed":           {noToken, "", "Authorization: Bearer ", denied("the admin API is closed: set admin.token in the configuration")},
		"closed to all":    {noToken, "localhost", bearer, denied("the admin API is closed: set admin.token in the configuration")},
		"open":             {open, "127.0.0.1:8081", "", welcome},
		"open by name":     {open, "LocalHost:8081", "", welcome},
		"open by IPv6":     {open, "[::1]:8081", "", welcome},
		"open, bare IPv6":  {open, "[::1]", "", welcome},
		"open, foreign":    {open, "evil.example.net", "", denied(demo)},
		"open, lookalike":  {open, "localhost.evil.example.net:8081", "", denied(demo)},
		"open, rebound":    {open, "127.0.0.1.nip.io:8081", "", denied(demo)},
		"open, network":    {open, "192.0.2.1:8081", "", denied(demo)},
		"open, no host":    {open, "-", "", denied(demo)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := "/api/registrations"
			if row.host != "" {
				target = "http://" + row.host + target
			}
			var lines []string
			if row.header != "" {
				lines = append(lines, row.header)
			}
			webtest.Check(t, row.want, do(adminHandler(g.store, &fakePump{}, row.change), "GET", target, "", lines...))
		})
	}
}

// Every route asks for the token before anything else.
func TestAdminRoutesAreClosed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.store.Count()
	id := onramp.DeliveryID(o.ids[1], 1)
	for _, route := range []string{
		"GET /api/status", "GET /api/registrations", "GET /api/registrations/" + o.ids[0], "GET /api/registrations/" + o.ids[0] + "/timeline",
		"POST /api/registrations/" + o.ids[0] + "/resend", "GET /api/destinations", "POST /api/destinations/journey:APIEvent-welcome/pause", "POST /api/destinations/journey:APIEvent-welcome/resume",
		"GET /api/causes", "POST /api/deliveries/retry", "POST /api/deliveries/discard", "POST /api/deliveries/" + id + "/edit",
		"GET /api/deliveries", "GET /api/deliveries/" + id, "POST /api/deliveries/" + id + "/retry", "POST /api/deliveries/" + id + "/discard",
		"GET /api/events", "GET /api/events/x", "GET /api/clients", "POST /api/clients", "POST /api/clients/x/retire", "DELETE /api/clients/x",
	} {
		method, target, _ := strings.Cut(route, " ")
		if got := do(o, method, target, `{"all":true,"reason":"x"}`); got.Status != 401 || strings.Contains(got.Body, "person") {
			t.Errorf("%s: answered %+v", route, got)
		}
	}
	if diff := cmp.Diff(before, o.store.Count()); diff != "" {
		t.Errorf("something was changed:\n%s", diff)
	}
}

// Everything of one registration, as it is shown.
func TestFindRegistration(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.ids[2]
	cause := outcomeOf(onramp.DeliveryDead).Cause()
	fill := strings.NewReplacer("ID", id, "CAUSE", cause)
	want := fill.Replace(`{"id":"ID","form":"registration","status":"failed","subscriber_key":"person2@example.org","received_at":"2026-06-23T14:52:45.123456Z",` +
		`"fields":{"email":"person2@example.org","opt_in":false,"constant:Source":"Website Registration","ip:IPAddress":"192.0.2.1"},` +
		`"values":{"EmailAddress":"person2@example.org","OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1"},` +
		`"deliveries":[` +
		`{"id":"ID.1","registration":"ID","form":"registration","destination":"data_extension:Web_Registrations","step":1,"state":"delivered","tries":1,"subscriber_key":"person2@example.org","received_at":"2026-06-23T14:52:45.123456Z","settled_at":"2026-06-23T14:53:45.123456Z"},` +
		`{"id":"ID.2","registration":"ID","form":"registration","destination":"journey:APIEvent-welcome","step":2,"state":"dead","tries":1,"subscriber_key":"person2@example.org","received_at":"2026-06-23T14:52:45.123456Z","settled_at":"2026-06-23T14:54:45.123456Z","reason":"refused; correct the column","cause":"CAUSE"}]}` + "\n")
	webtest.Check(t, told(want), get(o, "/api/registrations/"+id))

	want = fill.Replace(`{"id":"ID.2","registration":"ID","form":"registration","destination":"journey:APIEvent-welcome","step":2,"state":"dead","tries":1,"subscriber_key":"person2@example.org","received_at":"2026-06-23T14:52:45.123456Z","settled_at":"2026-06-23T14:54:45.123456Z","reason":"refused; correct the column","cause":"CAUSE",` +
		`"fields":{"email":"person2@example.org","opt_in":false,"constant:Source":"Website Registration","ip:IPAddress":"192.0.2.1"},` +
		`"values":{"EmailAddress":"person2@example.org","OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1"},` +
		`"attempts":[{"number":1,"started_at":"2026-06-23T14:54:44.123456Z","took_ms":1.5,"outcome":"rejected","status":400,"code":10006,"detail":"refused","hint":"correct the column","request":"[{}]","answer":"{}"}]}` + "\n")
	webtest.Check(t, told(want), get(o, "/api/deliveries/"+id+".2"))
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	type item struct{ At, What, Destination, Detail string }
	var got struct{ Items []item }
	found := get(o, "/api/registrations/"+o.ids[2]+"/timeline")
	if err := json.Unmarshal([]byte(found.Body), &got); err != nil {
		t.Fatalf("%v: %+v", err, found)
	}
	const row, journey = "data_extension:Web_Registrations", "journey:APIEvent-welcome"
	want := []item{
		{"2026-06-23T14:52:45.123456Z", "accepted", "", "form registration"},
		{"2026-06-23T14:53:44.123456Z", "attempt", row, "attempt 1"},
		{"2026-06-23T14:53:44.124956Z", "delivered", row, "written"},
		{"2026-06-23T14:54:44.123456Z", "attempt", journey, "attempt 1"},
		{"2026-06-23T14:54:44.124956Z", "rejected", journey, "refused; correct the column"},
		{"2026-06-23T14:54:45.123456Z", "dead", journey, "refused; correct the column"},
	}
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
}

func TestAdminRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const nobody = "01900000-0000-7000-8000-000000000000"
	noRegistration, noDelivery := webtest.Problem(404, "there is no such registration", ""), webtest.Problem(404, "there is no such delivery", "")
	badLimit, badCursor := webtest.Problem(400, "limit must be a number from 1 to 500", ""), webtest.Problem(400, "invalid cursor: use the value of next from the previous page", "")
	for route, want := range map[string]answer{
		"GET /api/registrations/" + nobody:                    noRegistration,
		"GET /api/registrations/" + nobody + "/timeline":      noRegistration,
		"GET /api/deliveries/" + nobody + ".1":                noDelivery,
		"GET /api/deliveries/" + o.ids[0]:                     noDelivery,
		"GET /api/deliveries/" + o.ids[0] + ".3":              noDelivery,
		"GET /api/deliveries/" + o.ids[0] + ".0":              noDelivery,
		"GET /api/deliveries/" + o.ids[0] + ".x":              noDelivery,
		"POST /api/deliveries/" + nobody + ".1/retry":         noDelivery,
		"POST /api/deliveries/" + nobody + ".1/discard":       noDelivery,
		"GET /api/registrations?limit=0":                      badLimit,
		"GET /api/registrations?limit=501":                    badLimit,
		"GET /api/deliveries?limit=x":                         badLimit,
		"GET /api/deliveries?limit=-1":                        badLimit,
		"GET /api/registrations?cursor=x":                     badCursor,
		"GET /api/deliveries?cursor=-1":                       badCursor,
		"GET /api/deliveries?cursor=99999999999999999999":     badCursor,
		"GET /api/registrations?state=sending":                webtest.Problem(400, `invalid state "sending": use held, queued, delivering, delivered, unknown, failed, erased`, ""),
		"GET /api/registrations?form=nobody":                  webtest.Problem(400, `there is no form "nobody": use open, registration`, ""),
		"GET /api/deliveries?destination=nobody":              webtest.Problem(400, `there is no destination "nobody": use data_extension:Web_Registrations, journey:APIEvent-welcome`, ""),
		"GET /api/deliveries?until=soon":                      webtest.Problem(400, "until must be a time such as 2026-06-23T14:52:45Z, a date such as 2026-06-23 (from 00:00 UTC), or how long ago, such as 24h or 7d", ""),
		"GET /api/deliveries?state=queued":                    webtest.Problem(400, `invalid state "queued": use held, waiting, pending, sending, submitted, delivered, skipped, unknown, dead, discarded, erased`, ""),
		"DELETE /api/registrations/" + o.ids[0]:               webtest.Problem(405, "this address accepts GET, HEAD", "", "Allow: GET, HEAD"),
		"GET /api/deliveries/" + o.ids[0] + ".1/retry":        webtest.Problem(405, "this address accepts POST", "", "Allow: POST"),
		"GET /api/nothing":                                    webtest.Problem(404, "there is nothing at this address", ""),
		"GET /api/registrations/" + o.ids[0] + "/deliveries":  webtest.Problem(404, "there is nothing at this address", ""),
		"POST /api/deliveries/" + o.ids[0] + ".1/retry/again": webtest.Problem(404, "there is nothing at this address", ""),
	} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(route, " ")
			webtest.Check(t, want, do(o, method, target, `{"reason":"x"}`, bearer))
		})
	}
}

// keysOf are the subscriber keys or ids of a list, shortened for the tables.
func (o *office) keysOf(t *testing.T, a answer) (keys []string, next string) {
	t.Helper()
	var page struct {
		Items []struct {
			ID    string
			Key   string `json:"subscriber_key"`
			State string
			Step  int
		}
		Next string
	}
	if err := json.Unmarshal([]byte(a.Body), &page); err != nil || a.Status != 200 {
		t.Fatalf("answered %+v: %v", a, err)
	}
	keys = []string{}
	for _, item := range page.Items {
		key := strings.TrimSuffix(strings.TrimPrefix(item.Key, "person"), "@example.org")
		if item.Step > 0 {
			key += "." + strconv.Itoa(item.Step) + " " + item.State
		}
		keys = append(keys, key)
	}
	return keys, page.Next
}

func TestLists(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.accept(t, "open", "note", `100% of_it\`)
	o.pump.sending[11] = true // 5.1
	for target, want := range map[string][]string{
		"/api/registrations?form=registration":                                 {"5", "4", "3", "2", "1", "0"},
		"/api/registrations?destination=journey:APIEvent-welcome&state=failed": {"2", "1"},
		"/api/registrations?since=2026-06-24":                                  {},
		"/api/registrations?since=2026-06-23&state=queued&form=registration":   {"5"},
		"/api/registrations?until=2026-06-23T14:52:45Z":                        {},
		"/api/registrations?until=2026-06-23T14:52:46Z&state=unknown":          {"3"},
		"/api/deliveries?destination=journey:APIEvent-welcome&state=dead":      {"2.2 dead"},
		"/api/deliveries?state=dead&since=2026-06-24":                          {},
		"/api/registrations?form=registration&state=queued":                    {"5"},
		"/api/registrations?state=delivering":                                  {"4"},
		"/api/registrations?state=delivered":                                   {"0"},
		"/api/registrations?state=failed":                                      {"2", "1"},
		"/api/registrations?state=unknown":                                     {"3"},
		"/api/registrations?state=erased":                                      {},
		"/api/registrations?q=PERSON2":                                         {"2"},
		"/api/registrations?q=website+registration&form=open":                  {},
		"/api/registrations?q=Website+registration&state=unknown":              {"3"},
		"/api/registrations?q=person_":                                         {},
		"/api/registrations?q=%25":                                             {"*"},
		"/api/registrations?q=of_it\\":                                         {"*"},
		"/api/deliveries?form=registration&q=person2":                          {"2.2 dead", "2.1 delivered"},
		"/api/deliveries?form=registration&state=waiting":                      {"5.2 waiting", "4.2 waiting", "3.2 waiting", "1.2 waiting"},
		"/api/deliveries?state=pending&form=registration":                      {"4.1 pending"},
		"/api/deliveries?state=sending":                                        {"5.1 sending"},
		"/api/deliveries?state=dead":                                           {"2.2 dead", "1.1 dead"},
		"/api/deliveries?state=unknown":                                        {"3.1 unknown"},
		"/api/deliveries?state=discarded":                                      {},
		"/api/deliveries?state=delivered":                                      {"2.1 delivered", "0.2 delivered", "0.1 delivered"},
		"/api/deliveries?state=delivered&form=registration&q=nobody":           {},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			got, next := o.keysOf(t, get(o, strings.ReplaceAll(target, `\`, "%5C")))
			for i := range got {
				if len(got[i]) == 36 {
					got[i] = "*" // a random key, of the form "open"
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || next != "" {
				t.Errorf("next %q, items (-want +got):\n%s", next, diff)
			}
		})
	}
}

// Pages follow each other without a gap, also while new registrations come.
func TestPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for list, want := range map[string][]string{
		"/api/registrations?limit=2": {"5", "4", "3", "2", "1", "0"},
		"/api/deliveries?limit=5":    {"5.2 waiting", "5.1 pending", "4.2 waiting", "4.1 pending", "3.2 waiting", "3.1 unknown", "2.2 dead", "2.1 delivered", "1.2 waiting", "1.1 dead", "0.2 delivered", "0.1 delivered"},
	} {
		first := asOperator(o)
		var got []string
		target := list
		for pages := 0; pages < 20; pages++ {
			keys, next := o.keysOf(t, first(target))
			got = append(got, keys...)
			if next == "" {
				break
			}
			o.accept(t, "registration", "email", "late@example.org")
			target = list + "&cursor=" + next
		}
		// what came while the other list was read stands before it, and nothing else
		late := max(len(got)-len(want), 0)
		if diff := cmp.Diff(want, got[late:]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
		for _, key := range got[:late] {
			if !strings.HasPrefix(key, "late") && !strings.HasPrefix(key, "6.") && !strings.HasPrefix(key, "7.") {
				t.Errorf("%s: %q is none of those that came late", list, key)
			}
		}
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	cannot := func(state string) answer {
		return webtest.Problem(409, "only a delivery that is dead or unknown, or pending after a failed attempt, can be retried; this one is "+state, "")
	}
	o := newOffice(t)
	o.pump.sending[9] = true // 4.1
	for id, want := range map[string]answer{
		o.ids[0] + ".1": cannot("delivered"),
		o.ids[1] + ".2": cannot("waiting"),
		o.ids[5] + ".1": cannot("pending"),
		o.ids[4] + ".1": webtest.Problem(409, "the delivery is being sent right now; try again shortly", ""),
	} {
		webtest.Check(t, want, post(o, "/api/deliveries/"+id+"/retry", ""))
	}
	delete(o.pump.sending, 9)
	for _, id := range []string{o.ids[1] + ".1", o.ids[2] + ".2", o.ids[3] + ".1", o.ids[4] + ".1"} {
		var d struct {
			State    string
			Tries    int
			Reason   string
			Due      time.Time  `json:"due_at"`
			Settled  *time.Time `json:"settled_at"`
			Attempts []struct{ Number int }
		}
		got := post(o, "/api/deliveries/"+id+"/retry", "")
		if err := json.Unmarshal([]byte(got.Body), &d); err != nil || got.Status != 200 {
			t.Fatalf("%s: answered %+v", id, got)
		}
		if d.State != "pending" || d.Tries != 0 || d.Reason != "" || d.Settled != nil || d.Due.IsZero() || len(d.Attempts) != 1 {
			t.Errorf("%s: after the retry it is %+v", id, d)
		}
	}
	if n := o.store.Count().Registrations[onramp.RegistrationFailed]; n != 0 {
		t.Errorf("%d registrations are still failed", n)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	needed := webtest.Problem(422, "a discarded delivery needs a reason", `,"errors":[{"field":"reason","message":"is required"}]`)
	badBody := webtest.Problem(400, `the body must be JSON such as {"reason":"a test"}`, "")
	dead := o.ids[1] + ".1"
	for body, want := range map[string]answer{
		"": needed, "{}": needed, "null": needed, `{"reason":" "}`: needed, `{"reason":"x","why":"y"}`: badBody, `{"reason":1}`: badBody, "reason=x": badBody, `{"reason":"x"`: badBody,
		`{"reason":"x"} and more`: badBody, `{"reason":"` + strings.Repeat("x", 70000) + `"}`: webtest.Problem(413, "the body is larger than 64 KiB", ""),
	} {
		if got := post(o, "/api/deliveries/"+dead+"/discard", body); !cmp.Equal(want, got) {
			t.Errorf("%.40q (-want +got):\n%s", body, cmp.Diff(want, got))
		}
	}
	o.pump.sending[11] = true // 5.1
	for id, want := range map[string]answer{
		o.ids[0] + ".1": webtest.Problem(409, "a delivery that is delivered can't be discarded", ""),
		o.ids[1] + ".2": webtest.Problem(409, "a delivery that is waiting can't be discarded", ""),
		o.ids[5] + ".1": webtest.Problem(409, "the delivery is being sent right now; try again shortly", ""),
	} {
		webtest.Check(t, want, post(o, "/api/deliveries/"+id+"/discard", `{"reason":"x"}`))
	}
	delete(o.pump.sending, 11)
	for _, id := range []string{dead, o.ids[3] + ".1", o.ids[4] + ".1", o.ids[5] + ".1"} {
		var d struct{ State, Reason string }
		got := post(o, "/api/deliveries/"+id+"/discard", `{"reason":"a \u0000 test"}`)
		if err := json.Unmarshal([]byte(got.Body), &d); err != nil || got.Status != 200 || d.State != "discarded" || d.Reason != "a \ufffd test" {
			t.Errorf("%s: answered %+v", id, got)
		}
		webtest.Check(t, webtest.Problem(409, "a delivery that is discarded can't be discarded", ""), post(o, "/api/deliveries/"+id+"/discard", `{"reason":"x"}`))
	}
	if diff := cmp.Diff([]int64{3, 7, 9, 11}, o.pump.forgotten); diff != "" {
		t.Errorf("forgotten by the pump (-want +got):\n%s", diff)
	}
}

// The whole status: registrations add up to what was accepted.
func TestStatus(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	since := time.Date(2026, 6, 23, 15, 0, 0, 0, time.UTC)
	o.pump.health = []onramp.Health{
		{Destination: o.forms["registration"].Route[0], State: "blocked", Reason: "the credentials are refused", Since: since, Sending: 1, Submitted: 1},
		{Destination: onramp.Destination{ID: 9, Kind: onramp.Journey, Key: "fresh"}, State: "running"},
	}
	webtest.Check(t, told(`{"accepted":6,`+
		`"registrations":{"delivered":1,"delivering":1,"erased":0,"failed":2,"held":0,"queued":1,"unknown":1},`+
		`"deliveries":{"dead":2,"delivered":3,"discarded":0,"erased":0,"held":0,"pending":0,"sending":1,"skipped":0,"submitted":1,"unknown":1,"waiting":4},`+
		`"destinations":[`+
		`{"name":"data_extension:Web_Registrations","state":"blocked","reason":"the credentials are refused","since":"2026-06-23T15:00:00Z","waiting":2,"unknown":1,"oldest":"2026-06-23T14:52:45.123456Z"},`+
		`{"name":"journey:APIEvent-welcome","state":"unconfigured","reason":"no form uses it any more","waiting":2,"oldest":"2026-06-23T14:52:45.123456Z"},`+
		`{"name":"journey:fresh","state":"running","waiting":0,"oldest":null}],"events":{"stored":0,"repeated":0},"store":{"state":"ok"}}`+"\n"), get(o, "/api/status"))
}

func TestAdminStoreUnavailable(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	if err := g.store.Close(); err != nil {
		t.Fatal(err)
	}
	h := adminHandler(g.store, &fakePump{}, nil)
	event := "/api/events/" + onramp.NewEventID(onramp.EventIdentity{})
	for _, target := range []string{
		"/api/registrations", "/api/registrations/x", "/api/registrations/x/timeline", "/api/deliveries", "/api/deliveries/x.1", "/api/events", event,
	} {
		webtest.Check(t, webtest.Problem(503, "the database could not be read; please try again", "", "Retry-After: 5"), get(h, target))
	}
}

// What is in flight is known to the pump only: the list tells it apart.
func TestInFlight(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pump.sending[11] = true                  // 5.1
	o.pump.submitted = map[int64]bool{9: true} // 4.1
	for state, want := range map[string][]string{"sending": {o.ids[5] + ".1"}, "submitted": {o.ids[4] + ".1"}, "pending": nil} {
		var page struct{ Items []struct{ ID, State string } }
		if err := json.Unmarshal([]byte(get(o, "/api/deliveries?state="+state).Body), &page); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range page.Items {
			got = append(got, d.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", state, diff)
		}
	}
}
