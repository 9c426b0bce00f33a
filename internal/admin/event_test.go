package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

// newsroom is an admin listener over a registration whose message was sent and
// opened, as two callbacks have told; what they tell goes on to a sink.
type newsroom struct {
	*gateway
	admin  http.Handler
	pump   *fakePump
	sink   int
	id     string // of the registration
	events []onramp.Event
	change onramp.Delivery // of the registration's row, for the first event
}

func newNewsroom(t *testing.T) *newsroom {
	t.Helper()
	n := &newsroom{gateway: newGateway(t), pump: &fakePump{}}
	if err := n.store.RegisterCallbacks(t.Context(), []string{"events", "other"}); err != nil {
		t.Fatal(err)
	}
	sinks, err := n.store.RegisterSinks(t.Context(), []onramp.Destination{{Kind: onramp.SinkDestination, Key: "crm"}})
	if err != nil {
		t.Fatal(err)
	}
	n.sink = sinks[0].ID
	for _, d := range n.forms["registration"].Route {
		n.pump.health = append(n.pump.health, onramp.Health{Destination: d, State: "running"})
	}
	n.id = n.accept(t, "registration", "email", "ana@example.org")
	storetest.SettleSteps(t, n.store, n.id, onramp.DeliveryDelivered, onramp.DeliveryDelivered)
	n.receive(t, "events", []int{n.sink},
		`{ "eventCategoryType": "TransactionalSendEvents.EmailSent", "timestampUTC": 1782226365123, "composite": {"jobId":"5","batchId":"6","listId":"7","subscriberId":"8"},`+
			`"mid": 1, "info": {"subscriberKey":"ana@example.org","messageKey":"`+n.id+`.2","renderedSubject":"Hi <Ana>","n":12345678901234567890}}`)
	n.receive(t, "other", nil,
		`{"eventCategoryType":"EngagementEvents.EmailOpen","timestampUTC":1782226425000,"composite":{"jobId":"5","batchId":"6","listId":"7","subscriberId":"8"},"mid":1}`,
		`["nothing","known"]`)
	sent, err := n.store.FindEvent(t.Context(), n.events[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	change := onramp.RowChange{
		Event: sent.Seq, RegistrationSeq: n.registrations(t)[0].Seq, SubscriberKey: "ana@example.org",
		Destination: n.forms["registration"].Route[0].ID, Values: []byte(`{"OptInStatus":true}`),
	}
	if err := n.store.SaveRuling(t.Context(), onramp.Ruling{To: sent.Seq, Changes: []onramp.RowChange{change}}); err != nil {
		t.Fatal(err)
	}
	if n.change, err = n.store.FindDelivery(t.Context(), onramp.DeliveryID(n.events[0].ID, change.Destination)); err != nil {
		t.Fatal(err)
	}
	n.admin = adminHandler(n.store, n.pump, func(a *admin.Admin) { a.Desk.Forms = n.forms })
	return n
}

// receive stores events in one batch, twice.
func (n *newsroom) receive(t *testing.T, callback string, sinks []int, bodies ...string) {
	t.Helper()
	var batch []onramp.Event
	for _, b := range bodies {
		e := onramp.ReadEvent([]byte(b))
		e.Callback, e.ReceivedAt, e.Sinks = callback, receivedAt.Add(time.Hour), sinks
		batch = append(batch, e)
	}
	for range 2 {
		if _, err := n.store.SaveEvents(t.Context(), callback, batch); err != nil {
			t.Fatal(err)
		}
	}
	n.events = append(n.events, batch...)
}

// view is the whole of an event; deliveries is what follows its body.
func (n *newsroom) view(i int, deliveries string) string {
	body := []string{
		`{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1782226365123,"composite":{"jobId":"5","batchId":"6","listId":"7","subscriberId":"8"},` +
			`"mid":1,"info":{"subscriberKey":"ana@example.org","messageKey":"` + n.id + `.2","renderedSubject":"Hi \u003cAna\u003e","n":12345678901234567890}}`,
		string(n.events[1].Body), string(n.events[2].Body),
	}[i]
	return `{"id":"` + n.events[i].ID + `",` + []string{
		`"type":"TransactionalSendEvents.EmailSent","callback":"events","at":"2026-06-23T14:52:45.123Z","received_at":"2026-06-23T15:52:45.123456Z",` +
			`"subscriber_key":"ana@example.org","message_key":"` + n.id + `.2","registration":"` + n.id + `","send":"5.6.8"`,
		`"type":"EngagementEvents.EmailOpen","callback":"other","at":"2026-06-23T14:53:45Z","received_at":"2026-06-23T15:52:45.123456Z","send":"5.6.8"`,
		`"type":"","callback":"other","at":null,"received_at":"2026-06-23T15:52:45.123456Z"`,
	}[i] + `,"body":` + body + deliveries + `}`
}

func TestFindEvent(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	toSink := `{"id":"` + onramp.DeliveryID(n.events[0].ID, n.sink) + `","event":"` + n.events[0].ID +
		`","destination":"sink:crm","step":1,"state":"pending","tries":0,"subscriber_key":"ana@example.org","received_at":"2026-06-23T15:52:45.123456Z","waits":"destination","waits_reason":"its destination, which is unconfigured: it is no longer configured as a sink"`
	toRow := `{"id":"` + n.change.ID() + `","registration":"` + n.id + `","event":"` + n.events[0].ID +
		`","form":"registration","destination":"data_extension:Web_Registrations","step":1,"state":"pending","tries":0,` +
		`"subscriber_key":"ana@example.org","received_at":"2026-06-23T15:52:45.123456Z","waits":"turn","waits_reason":"its turn"`
	for target, want := range map[string]answer{
		"/api/events/" + n.events[0].ID:                  told(n.view(0, `,"deliveries":[`+toSink+`},`+toRow+`}]`) + "\n"),
		"/api/events/" + strings.ToUpper(n.events[0].ID): told(n.view(0, `,"deliveries":[`+toSink+`},`+toRow+`}]`) + "\n"),
		"/api/events/" + n.events[1].ID:                  told(n.view(1, "") + "\n"),
		"/api/events/" + n.events[2].ID:                  told(n.view(2, "") + "\n"),
		"/api/events/" + n.id:                            webtest.Problem(404, "there is no such event", ""),
		"/api/events/x":                                  webtest.Problem(404, "there is no such event", ""),
		// what an event brought is a delivery like any other
		"/api/deliveries/" + n.change.ID():                             told(toRow + `,"values":{"OptInStatus":true}}` + "\n"),
		"/api/deliveries/" + onramp.DeliveryID(n.events[0].ID, n.sink): told(toSink + `,"values":` + bodyOf(t, n.view(0, "")) + "}\n"),
		"/api/deliveries?state=pending&q=opt_in&form=registration":     told(`{"items":[` + toRow + `}],"next":""}` + "\n"),
		"/api/deliveries?q=renderedsubject":                            told(`{"items":[` + toRow + `},` + toSink + `}],"next":""}` + "\n"),
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, want, get(n.admin, target))
		})
	}
}

// bodyOf gives the body of an event's view.
func bodyOf(t *testing.T, view string) string {
	t.Helper()
	var e operator.Event
	if err := json.Unmarshal([]byte(view), &e); err != nil {
		t.Fatal(err)
	}
	return string(e.Body)
}

func TestListEvents(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	list := func(next string, of ...int) answer {
		var items []string
		for _, i := range of {
			items = append(items, n.view(i, ""))
		}
		return told(`{"items":[` + strings.Join(items, ",") + `],"next":"` + next + `"}` + "\n")
	}
	for query, want := range map[string]answer{
		"":                                   list("", 2, 1, 0),
		"?type=EngagementEvents.EmailOpen":   list("", 1),
		"?type=*events.email*":               list("", 1, 0),
		"?type=*email&limit=10":              list(""),
		"?callback=events":                   list("", 0),
		"?callback=nobody":                   webtest.Problem(400, `there is no callback "nobody": use events, other`, ""),
		"?destination=crm":                   webtest.Problem(400, `there is no destination "crm": use data_extension:Web_Registrations, journey:APIEvent-welcome, sink:crm`, ""),
		"?destination=sink:crm":              list("", 0),
		"?since=2026-06-23T15:52:46Z":        list(""),
		"?since=2026-06-23&until=2026-06-24": list("", 2, 1, 0),
		"?since=-1h":                         webtest.Problem(400, "since must be a time such as 2026-06-23T14:52:45Z, a date such as 2026-06-23 (from 00:00 UTC), or how long ago, such as 24h or 7d", ""),
		"?since=2026-06-24&until=2026-06-23": webtest.Problem(400, "since must be earlier than until", ""),
		"?q=ANA%40example":                   list("", 0),
		"?q=known&callback=other":            list("", 2),
		"?limit=2":                           list("3", 2, 1),
		"?limit=2&cursor=3":                  list("", 0),
		"?limit=0":                           webtest.Problem(400, "limit must be a number from 1 to 500", ""),
		"?cursor=x":                          webtest.Problem(400, "invalid cursor: use the value of next from the previous page", ""),
		"?type=*a*b*c*d*":                    list(""),
		"?type=" + strings.Repeat("*", 1e4):  webtest.Problem(400, "type can have at most 1000 characters", ""),
		"?q=%00":                             webtest.Problem(400, "parameters must be UTF-8 text without NUL", ""),
		"?callback=%ff":                      webtest.Problem(400, "parameters must be UTF-8 text without NUL", ""),
	} {
		t.Run(fmt.Sprintf("%.40s", query), func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, want, get(n.admin, "/api/events"+query))
		})
	}
	webtest.Check(t, webtest.Problem(405, "this address accepts GET, HEAD", "", "Allow: GET, HEAD"), post(n.admin, "/api/events", ""))
}

// What an event brought is retried and discarded like the rest, but not edited.
func TestEventDelivery(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	storetest.Settle(t, n.store, &n.change, onramp.DeliveryDead)
	at := "/api/deliveries/" + n.change.ID()
	for _, fields := range []string{`{"first_name":"Ana"}`, `{"email":"no address"}`, `{}`} {
		webtest.Check(t, webtest.Problem(409, "a delivery of an event can't be edited; retry or discard it", ""), post(n.admin, at+"/edit", `{"fields":`+fields+`}`))
	}
	for _, step := range []struct{ action, state string }{{"retry", "pending"}, {"discard", "discarded"}} {
		got := post(n.admin, at+"/"+step.action, `{"reason":"a test"}`)
		var d operator.Delivery
		if err := json.Unmarshal([]byte(got.Body), &d); err != nil || d.State != step.state || d.Registration != n.id || d.Event != n.events[0].ID {
			t.Errorf("%s answered %+v", step.action, got)
		}
	}
}

func TestEventCounts(t *testing.T) {
	t.Parallel()
	n := newNewsroom(t)
	var s operator.Status
	if err := json.Unmarshal([]byte(get(n.admin, "/api/status").Body), &s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(operator.EventCounts{Stored: 3, Repeated: 3}, s.Events); diff != "" {
		t.Error(diff)
	}
	for _, d := range s.Destinations {
		if d.Name == "sink:crm" && d.Reason != "it is no longer configured as a sink" {
			t.Errorf("a sink that is gone: %+v", d)
		}
	}
}
