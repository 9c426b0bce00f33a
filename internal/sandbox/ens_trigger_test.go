package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/ens"
)

// allTypes is every type there is, as the JSON of a subscription.
func allTypes() string {
	types, _ := json.Marshal(ens.EventTypes())
	return strings.Trim(string(types), "[]")
}

// A contact that enters a journey gets the journey's mail.
func TestENSJourneyEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		entered(t, r.Sandbox, r.auth, event(`"EmailAddress":"ana+open@example.org","RegistrationTimestamp":"2026-06-23"`))
		send(t, r, "POST", batchPath, batch(batchMember("bo", "")), r.auth)
		pass(time.Second)
		bodies := r.hook.bodies()
		check(t, "batches", 1, len(bodies))
		var got []map[string]any
		if err := json.Unmarshal([]byte(bodies[0]), &got); err != nil {
			t.Fatal(err)
		}
		info, _ := got[0]["info"].(map[string]any)
		key := fmt.Sprint(info["messageKey"])
		if !guidForm.MatchString(key) || key == r.State().Journeys[sandbox.WelcomeEventKey].Contacts[0].EventInstanceID {
			t.Errorf("message key %q", key)
		}
		check(t, "three events", 3, len(got))
		want := fmt.Sprintf(`{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":946684800050,
			"compositeId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003.JOB.101.1.SUB",
			"composite":{"jobId":"JOB","batchId":"1","listId":"101","subscriberId":"SUB","emailId":"1201"},
			"definitionKey":"welcome","definitionId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003","mid":510000001,"eid":510000001,
			"sendClassificationType":"Operational","info":{"to":"ana+open@example.org","subscriberKey":"u-1","messageKey":%q,
			"status":"Sent","renderedSubject":"Welcome"}}`, key)
		composite, _ := got[0]["composite"].(map[string]any)
		job, subscriber := fmt.Sprint(composite["jobId"]), fmt.Sprint(composite["subscriberId"])
		wantJSON(t, got[0], strings.NewReplacer("JOB", job, "SUB", subscriber).Replace(want))

		other, _ := got[1]["composite"].(map[string]any)
		check(t, "job and batch of the next contact", []any{job, "2"}, []any{other["jobId"], other["batchId"]})
		opened, _ := got[2]["composite"].(map[string]any)
		check(t, "the open", []any{job, "1", subscriber}, []any{opened["jobId"], opened["batchId"], opened["subscriberId"]})

		// found again by each of its names
		for _, by := range []string{`"message_key":"` + key + `"`, `"contact_key":"u-1"`, `"to":"ANA+open@example.org"`} {
			r.trigger(`{"type":"EmailClick",`+by+`}`, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
			pass(time.Second)
			if body := r.hook.bodies()[0]; !strings.Contains(body, fmt.Sprintf(`"composite":{"jobId":%q,"batchId":"1","listId":"101","subscriberId":%q}`, job, subscriber)) {
				t.Errorf("%s: %s", by, body)
			}
		}
	})
}

// What an address says about its mail the status says, too.
func TestENSStatusNotSent(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	posted(t, s, auth, messagesPath+"/m-1", oneMessage(`"contactKey":"ana","to":"ana+notsent@example.org"`), 202)
	got, _ := decode(t, send(t, s, "GET", messagesPath+"/m-1", "", auth).Body.String()).(map[string]any)
	delete(got, "requestId")
	wantJSON(t, got, `{"eventCategoryType":"TransactionalSendEvents.EmailNotSent","timestamp":"2026-06-23T08:52:45.00",
		"compositeId":"5A0D8C1E-7B1F-4C55-9D52-0F5100000001.510000001.1.1.510000777",
		"info":{"messageKey":"m-1","contactKey":"ana","to":"ana+notsent@example.org","statusCode":1,"statusMessage":"Unsubscribed"}}`)
}

// Without an address there is no mail.
func TestENSJourneyWithoutAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		r.AddDataExtension("5a0d8c1e-7b1f-4c55-9d52-0f51000000ff", "plain", []sandbox.Column{{Name: "Key", Type: "Text", Length: 100, PrimaryKey: true}})
		r.AddJourney("plain-event", "plain")
		for _, key := range []string{"nobody", "ana@example.org"} {
			entered(t, r.Sandbox, r.auth, `{"ContactKey":"`+key+`","EventDefinitionKey":"plain-event"}`)
		}
		pass(time.Second)
		bodies := r.hook.bodies()
		check(t, "events", []string{"EmailSent"}, kinds(t, bodies))
		if !strings.Contains(bodies[0], `"to":"ana@example.org","subscriberKey":"ana@example.org"`) {
			t.Errorf("got %s", bodies)
		}
	})
}

// Every type can be made; what is not about mails takes the keys as they are.
func TestENSTypes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newENSRig(t, &webhook{}, sandbox.Config{Sending: sandbox.Sending{WindowMS: -1}})
		r.callback("cb", "")
		r.subscribe("cb", "all", allTypes(), "")
		types := ens.EventTypes()
		check(t, "types", 36, len(types))
		for _, name := range types {
			r.trigger(`{"type":"`+name+`"}`, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
			synctest.Wait()
			var got []struct {
				EventCategoryType string
				TimestampUTC      int64
			}
			body := r.hook.bodies()[0]
			if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 1 || got[0].EventCategoryType != name || got[0].TimestampUTC != 946684800000 {
				t.Errorf("%s: %v %s", name, err, body)
			}
		}
		for _, row := range []struct{ body, want string }{
			{`{"type":"SmsDelivered","to":"4915550001","contact_key":"bo","message_key":"k"}`, `{"eventCategoryType":"TransactionalSendEvents.SmsDelivered","timestampUTC":946684800000,
				"compositeId":"api.k.7e3c1a52-94d8-4f06-8b1e-0f5100000003.N.4915550001.0",
				"composite":{"Tsid":"api.k","jobId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003","batchId":"N","mobileNumber":"4915550001","subscriberId":"0"},
				"definitionKey":"welcome","definitionId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003","mid":510000001,"eid":510000001,
				"info":{"to":"4915550001","subscriberKey":"bo","messageKey":"k","ordinal":"0","statusCode":"4000","statusMessage":"Delivered","fromAddress":"15550001","countryCode":"US"}}`},
			{`{"type":"SmsNotSent","message_key":"k"}`, `{"eventCategoryType":"TransactionalSendEvents.SmsNotSent","timestampUTC":946684800000,
				"compositeId":"api.k.7e3c1a52-94d8-4f06-8b1e-0f5100000003.N.15550002.0","definitionKey":"welcome","definitionId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003",
				"mid":510000001,"eid":510000001,"info":{"to":"15550002","subscriberKey":"nobody","messageKey":"k","reason":"Mobile Address not found","statusCode":"47"}}`},
			{`{"type":"AutomationInstanceSkipped","message_key":"k","fields":{"automationName":"x","info.a":1}}`, `{"eventCategoryType":"SendEvents.AutomationInstanceSkipped","timestampUTC":946684800000,
				"mid":510000001,"eid":510000001,"automationName":"x","automationCustomerKey":"nightly","automationType":"Schedule","automationInstanceID":"k",
				"automationInstanceStatus":"Skipped","info":{"automationInstanceScheduledTimeUTC":946684800000,"a":1}}`},
			{`{"type":"OttMobileOriginated","message_key":"k","fields":{"contactId":"7"}}`, `{"eventCategoryType":"EngagementEvents.OttMobileOriginated","timestampUTC":946684800000,
				"eid":"510000001","mid":"510000001","senderType":"WhatsApp","messageType":"text","channelId":"15550001","messageId":"wamid.k",
				"mobileNumber":"15550002","contactId":"7","messageBody":{"text":{"body":"hello"}}}`},
			{`{"type":"PushOpen","message_key":"k","fields":{"composite":{"subscriberId":"7","deviceId":"d"},"composite.jobId":null}}`, `{"eventCategoryType":"EngagementEvents.PushOpen","timestampUTC":946684800000,
				"compositeId":"k","composite":{"jobId":null,"subscriberId":"7","deviceId":"d"},"sendMethod":"JourneyBuilder","mid":510000001,"eid":510000001,"info":{"subscriberKey":"nobody"}}`},
		} {
			r.trigger(row.body, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
			synctest.Wait()
			got, _ := decode(t, r.hook.bodies()[0]).([]any)
			one, _ := got[0].(map[string]any)
			if composite, ok := one["composite"].(map[string]any); ok && composite["batchId"] != nil {
				row.want = strings.ReplaceAll(row.want, `"N"`, fmt.Sprintf("%q", composite["batchId"]))
			}
			if id := strings.Split(fmt.Sprint(one["compositeId"]), "."); len(id) > 3 {
				row.want = strings.ReplaceAll(row.want, ".N.", "."+id[3]+".")
			}
			wantJSON(t, one, row.want)
		}
	})
}

// Fields are laid over the event, and the escapes of the vendor are kept.
func TestENSFields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		r.mail("m-1", "ana@example.org")
		pass(time.Second)
		r.hook.saw()
		r.trigger(`{"type":"TransactionalSendEvents.EmailBounced","fields":{"timestampUTC":1.50e3,"definitionKey":"<a href='x?b=1&c'>é\u2028\u0001\n\"\\\ud83d\ude00",
			"info":{"to":"x@example.org","more":[1,{"b":true,"a":null}]},"info.bounceCode":"SOFT","new":{"x":{"y":"z"}},"composite":7}}`,
			`{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
		pass(time.Second)
		check(t, "body", []string{`[{"eventCategoryType":"TransactionalSendEvents.EmailBounced","timestampUTC":1.50e3,` +
			`"compositeId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003.479240.101.1.8579245054725","composite":7,` +
			`"definitionKey":"\u003ca href\u003d\u0027x?b\u003d1\u0026c\u0027\u003eé\u2028\u0001\n\"\\😀","definitionId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003",` +
			`"mid":510000001,"eid":510000001,"info":{"to":"x@example.org","subscriberKey":"ana","messageKey":"m-1","bounceCode":"SOFT",` +
			`"bounceMessage":"5.1.1 (bad destination mailbox address) User Unknown","smtpReason":"5.1.1","more":[1,{"a":null,"b":true}]},"new":{"x":{"y":"z"}}}]`}, r.hook.bodies())
	})
}

// Which send a trigger is about, and how many events there are.
func TestENSTriggerSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{Sending: sandbox.Sending{EventsAfterMS: -1}})
		sends := func(body string, queued int) (list []string) {
			t.Helper()
			w := send(t, r, "POST", "/_sandbox/events", body)
			if !strings.Contains(w.Body.String(), fmt.Sprintf(`"queued":%d,`, queued)) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			pass(time.Second)
			for _, body := range r.hook.bodies() {
				var events []struct {
					Composite    map[string]string
					TimestampUTC int64
				}
				if err := json.Unmarshal([]byte(body), &events); err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					list = append(list, e.Composite["batchId"]+" "+fmt.Sprint(e.TimestampUTC%1000))
				}
			}
			return list
		}
		made := sends(`{"type":"EmailOpen","count":3}`, 3)
		check(t, "made up", 3, len(slices.Compact(made)))
		r.mail("m-1", "ana@example.org")
		r.mail("m-2", "ana@example.org")
		check(t, "nothing by itself", []string(nil), sends(`{"type":"SmsSent"}`, 0))
		check(t, "the newest", []string{"2 0"}, sends(`{"type":"EmailSent"}`, 1))
		check(t, "three of one send", []string{"1 0", "1 1", "1 2"}, sends(`{"type":"EmailOpen","count":3,"message_key":"m-1"}`, 3))
		check(t, "by contact", []string{"2 0"}, sends(`{"type":"EmailOpen","contact_key":"ana","to":"ana@example.org"}`, 1))
		entered(t, r.Sandbox, r.auth, event(goodData))
		check(t, "the newest is of a journey", []string{"1 0"}, sends(`{"type":"EmailOpen"}`, 1))
	})
}

// Events that are given whole are sent to the letter.
func TestENSTriggerRaw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		setFaults(t, r.Sandbox, sandbox.Fault{Name: "ens_seconds"}, sandbox.Fault{Name: "ens_string_ids"})
		r.trigger(`{"events":[{"eventCategoryType": "EngagementEvents.EmailOpen", "mid":1, "a":"<>"},{"eventCategoryType":"SendEvents.PushSent"}, {"b":1}, {"EventType":"x"}]}`,
			`{"queued":3,"subscriptions":1,"message":"3 of 4 events are on their way; no subscription takes the others"}`)
		pass(time.Second)
		check(t, "body", []string{`[{"eventCategoryType": "EngagementEvents.EmailOpen", "mid":1, "a":"<>"},{"b":1},{"EventType":"x"}]`}, r.hook.bodies())
	})
}

// Events can also stand alone.
func TestENSTriggerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		const opened = `{"eventCategoryType":"EngagementEvents.EmailOpen","n": 1}`
		for _, body := range []string{opened, "[" + opened + "]"} {
			r.trigger(body, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
			pass(time.Second)
			check(t, body, []string{"[" + opened + "]"}, r.hook.bodies())
		}
	})
}

// A send of another system can be reported, too.
func TestENSTriggerOthersSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{})
		r.trigger(`{"type":"EmailSent","contact_key":"ana@example.org","message_key":"m"}`, `{"queued":1,"subscriptions":1,"message":"the event is on its way"}`)
		pass(time.Second)
		if body := strings.Join(r.hook.bodies(), ""); !strings.Contains(body, `"to":"ana@example.org","subscriberKey":"ana@example.org","messageKey":"m"`) {
			t.Errorf("got %s", body)
		}
	})
}

func TestENSTriggerRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	none := "no message was sent, and no contact has entered a journey, with this message_key, contact_key and to"
	for _, row := range []struct{ body, want string }{
		{``, "the body does not fit: EOF"},
		{`null`, `want {"type":"EmailOpen"} or {"events":[…]}`},
		{`{}`, `want a type, such as "EngagementEvents.EmailOpen", or events`},
		{`{"type":"EmailEaten"}`, `unknown type "EmailEaten": want one such as "EngagementEvents.EmailOpen" or "EmailOpen"`},
		{`{"type":"SendEvents.EmailOpen"}`, `unknown type "SendEvents.EmailOpen": want one such as "EngagementEvents.EmailOpen" or "EmailOpen"`},
		{`{"type":"EmailOpen","count":-1}`, "count -1 is not in 1 to 100000"},
		{`{"type":"EmailOpen","count":100001}`, "count 100001 is not in 1 to 100000"},
		{`{"type":"EmailOpen","callback":"x"}`, `there is no callback with the name or the id "x"`},
		{`{"type":"EmailOpen","message_key":"x"}`, none},
		{`{"type":"EmailClick","contact_key":"x"}`, none},
		{`{"type":"EmailUnsubscribe","to":"x@example.org"}`, none},
		{`[]`, "events is empty"},
		{`[1]`, "event 1 is no JSON object"},
		{`{"type":"EmailOpen","fields":{"info":"x","info.to":"y"}}`, `field "info" is no object, but fields in it are given`},
		{`{"events":[]}`, "events is empty"},
		{`{"events":[1,{},null]}`, "event 1 is no JSON object\nevent 3 is no JSON object"},
		{`{"events":[{}],"type":"EmailOpen"}`, "events are sent as they are: only callback goes with them"},
		{`{"more":1}`, `the body does not fit: json: unknown field "more"`},
	} {
		w := send(t, s, "POST", "/_sandbox/events", row.body)
		check(t, row.body+" status", 400, w.Code)
		check(t, row.body, any(map[string]any{"message": row.want}), decode(t, w.Body.String()))
	}
	same(t, send(t, s, "GET", "/_sandbox/events", ""), 405, `{"message":"the method here is POST"}`)
}

func TestENSSettings(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Config{Sending: sandbox.Sending{Sends: 2, Key: "raw"}})
	put := func(body string, status int, want string) {
		t.Helper()
		same(t, send(t, s, "PUT", "/_sandbox/ens", body), status, want)
	}
	const configured = `{"retries":"current","sends":2,"key":"raw","window_ms":100,"events_after_ms":50}`
	put(`{}`, 200, configured)
	put(`{"retries":"legacy","sends":10,"key":"decoded","window_ms":-1,"events_after_ms":-7}`, 200, `{"retries":"legacy","sends":10,"key":"decoded","window_ms":-1,"events_after_ms":-7}`)
	put(`{"retries":"","window_ms":60000,"events_after_ms":3600000}`, 200, `{"retries":"current","sends":2,"key":"raw","window_ms":60000,"events_after_ms":3600000}`)
	put(`{"retries":"x","sends":11,"key":"y","window_ms":60001,"events_after_ms":3600001}`, 400, `{"message":"retries \"x\" is neither \"current\" nor \"legacy\"\nsends 11 is not in 1 to 10\n`+
		`key \"y\" is neither \"decoded\" nor \"raw\"\nwindow_ms 60001 is more than 60000\nevents_after_ms 3600001 is more than 3600000"}`)
	put(`{"sends":-1}`, 400, `{"message":"sends -1 is not in 1 to 10"}`)
	put(`null`, 400, `{"message":"want settings such as {\"retries\":\"legacy\"}; {} puts all back"}`)
	put(`{"x":1}`, 400, `{"message":"the body does not fit: json: unknown field \"x\""}`)
	s.Reset()
	put(`{}`, 200, configured)
	s = sandbox.New(sandbox.Config{Sending: sandbox.Sending{Sends: 5, Key: "x"}}) // wrong: all defaults
	put(`{}`, 200, `{"retries":"current","sends":3,"key":"decoded","window_ms":100,"events_after_ms":50}`)
	synctest.Test(t, func(t *testing.T) {
		r := listening(t, &webhook{}, sandbox.Config{Sending: sandbox.Sending{Key: "raw"}})
		r.events("EmailOpen", 1)
		same(t, send(t, r, "PUT", "/_sandbox/ens", `{"window_ms":-1}`), 200, `{"retries":"current","sends":3,"key":"raw","window_ms":-1,"events_after_ms":50}`)
		synctest.Wait() // the window is gone
		got := r.hook.saw()
		check(t, "signature", ens.Sign(r.keys["cb"], true, []byte(got[0].Body)), got[0].Sign)
	})
}

// What the state and the page show; neither has a key.
func TestENSState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := &webhook{}
		hook.status = func(n notice, _ int) int { return map[string]int{"a.test": 200, "b.test": 500}[n.Host] }
		r := newENSRig(t, hook, sandbox.Config{})
		r.callback("a", "")
		r.callback("b", r.scheme()+`,"maxBatchSize":100`)
		r.subscribe("a", "<b>one</b>", `"EngagementEvents.EmailOpen"`, `,"filters":["definitionKey=<i>"]`)
		r.subscribe("b", "two", allEmail, "")
		r.mail("m-1", "ana@example.org")
		pass(time.Second)
		r.mail("m-2", "ana@example.org")
		w := send(t, r, "GET", "/_sandbox/state", "")
		for _, secret := range []string{r.keys["a"], r.keys["b"], hook.keys[r.ids["a"]], "t-1", "clientSecret"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("the state has %q", secret)
			}
		}
		st := r.State()
		at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		sent, next := at.Add(150*time.Millisecond), at.Add(10*time.Minute+150*time.Millisecond)
		check(t, "callbacks", []sandbox.Callback{
			{CallbackID: r.ids["a"], Name: "a", URL: "https://a.test/in", MaxBatchSize: 1000, Status: "verified"},
			{
				CallbackID: r.ids["b"], Name: "b", URL: "https://b.test/in", AuthID: st.Callbacks[1].AuthID, MaxBatchSize: 100, Status: "verified",
				Queued: 1, Deferred: 1, NextAt: &next, Failed: 3, LastAt: &sent, LastStatus: 500,
			},
		}, st.Callbacks)
		check(t, "subscriptions", []sandbox.Subscription{
			{SubscriptionID: r.ids["<b>one</b>"], Name: "<b>one</b>", CallbackID: r.ids["a"], Types: []string{"EngagementEvents.EmailOpen"}, Filters: []string{"definitionKey=<i>"}, Status: "active", ActiveFrom: at},
			{SubscriptionID: r.ids["two"], Name: "two", CallbackID: r.ids["b"], Types: st.Subscriptions[1].Types, Filters: []string{}, Status: "active", ActiveFrom: at},
		}, st.Subscriptions)
		one := sandbox.Delivery{At: sent, Callback: "b", Events: 1, Bytes: st.Deliveries[0].Bytes, Status: 500}
		check(t, "deliveries", []sandbox.Delivery{one, one, one}, st.Deliveries)
		check(t, "totals", []int{2, 2, 3, 1}, []int{st.Totals.Callbacks, st.Totals.Subscriptions, st.Totals.Deliveries, st.Totals.Coming})

		var few sandbox.State
		if err := json.Unmarshal(send(t, r, "GET", "/_sandbox/state?limit=1", "").Body.Bytes(), &few); err != nil {
			t.Fatal(err)
		}
		check(t, "limited", []int{1, 1, 1}, []int{len(few.Callbacks), len(few.Subscriptions), len(few.Deliveries)})
		page := send(t, r, "GET", "/_sandbox/", "").Body.String()
		for _, part := range []string{"2 callbacks", "1 event is scheduled", "&lt;b&gt;one&lt;/b&gt;", "definitionKey=&lt;i&gt;", "https://b.test/in", "3 requests with events", "next at 2000-01-01 00:10:00 UTC"} {
			if !strings.Contains(page, part) {
				t.Errorf("the page lacks %q", part)
			}
		}
	})
}

// Over a true network, with a true clock.
func TestENSNetwork(t *testing.T) {
	t.Parallel()
	bodies, key := make(chan string, 10), make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var probe struct{ VerificationKey string }
		if json.Unmarshal(b, &probe) == nil && probe.VerificationKey != "" {
			key <- probe.VerificationKey
			return
		}
		bodies <- string(b)
	}))
	t.Cleanup(hook.Close)
	r := &ensRig{sandbox.New(sandbox.Config{Activation: -1}), t, nil, "", map[string]string{}, map[string]string{}}
	t.Cleanup(r.Reset)
	r.auth = authorize(t, r)
	r.ids["cb"] = fmt.Sprint(r.call("POST", "ens-callbacks", `{"callbackName":"cb","url":"`+hook.URL+`"}`)["callbackId"])
	r.call("POST", "ens-verify", fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, r.ids["cb"], <-key))
	r.subscribe("cb", "all", allEmail, "")
	r.mail("m-1", "ana+open@example.org")
	check(t, "events", []string{"EmailSent EmailOpen"}, kinds(t, []string{<-bodies}))
}

// Whatever is asked for, nothing panics, and what is sent is JSON.
func FuzzENSEvents(f *testing.F) {
	for _, seed := range []string{
		`{"type":"EmailOpen","count":3,"callback":"cb"}`, `{"type":"OttSent","fields":{"a":{"b":[]},"info.x":1,"info":{}}}`, `{"events":[{},{"info":{"a":1}},{"eventCategoryType":1}]}`,
		`{"type":"EmailBounced","to":"ana@example.org","fields":{"info":null,"mid":null,"eventCategoryType":"x"}}`, `{"type":"emailsent","fields":{"timestampUTC":"\u2028<>&='"}}`,
	} {
		f.Add([]byte(seed), "definitionKey=wel.*")
	}
	f.Add([]byte(`{"type":"EmailSent"}`), "statusCode=(")
	f.Fuzz(func(t *testing.T, body []byte, filter string) {
		if len(body) > 5000 || bytes.Contains(body, []byte(`0000`)) { // not many thousands of events
			return
		}
		synctest.Test(t, func(t *testing.T) {
			hook := &webhook{}
			r := newENSRig(t, hook, sandbox.Config{})
			r.callback("cb", "")
			r.subscribe("cb", "all", allTypes(), "")
			filters, _ := json.Marshal([]string{filter})
			send(t, r, "PUT", "/platform/v1/ens-subscriptions", fmt.Sprintf(`{"subscriptionId":%q,"eventCategoryTypes":[%s],"filters":%s}`, r.ids["all"], allTypes(), filters), r.auth)
			r.mail("m-1", "ana+click@example.org")
			w := send(t, r, "POST", "/_sandbox/events", string(body))
			if w.Code != 202 && w.Code != 400 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			pass(time.Minute)
			for _, n := range hook.saw() {
				if list, ok := decode(t, n.Body).([]any); !ok || len(list) == 0 {
					t.Errorf("got %s", n.Body)
				}
			}
			if got := r.cb(); got.Queued != 0 || got.Failed != 0 || got.Dropped != 0 {
				t.Errorf("got %+v", got)
			}
		})
	})
}
