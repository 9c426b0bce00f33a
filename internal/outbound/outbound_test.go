package outbound_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// hints are what an operator is advised to do.
const (
	hintData    = "compare the form's columns with the data extension's, then retry it; see onramp check --only data-extension"
	hintObject  = "compare the key in the configuration with Marketing Cloud, and see that the journey or definition is active; what waits goes out by itself; see onramp check --only data-extension,event-definition,message"
	hintColumns = "compare the form's columns with the data extension's; what waits goes out by itself; see onramp check --only data-extension"
	hintHost    = "check marketing_cloud.subdomain or auth_url, the network, and Marketing Cloud's status; see onramp check --only subdomain,credentials"
	hintLimit   = "nothing to do yet; if it lasts, ask Salesforce about your account's limits"
	hintToken   = "check client_id, client_secret and account_id, and that the installed package is enabled; see onramp check --only credentials"
	hintForeign = "something in between seems to answer in Marketing Cloud's place, such as a proxy, a firewall (WAF) or a captive portal: let this machine reach Marketing Cloud without it"
	hintUnknown = "it may have arrived: retry it only if a second message does no harm"
)

// reply is what a Marketing Cloud of the test answers.
type reply struct {
	status int
	header map[string]string
	body   string
	drop   bool // the connection is closed instead
}

func (r reply) write(w http.ResponseWriter) {
	if r.drop {
		panic(http.ErrAbortHandler)
	}
	for name, value := range r.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

const goodToken = `{"access_token":"t","token_type":"Bearer","expires_in":1079,"rest_instance_url":"http://elsewhere/"}`

// cloud answers token requests and calls as told.
func cloud(t *testing.T, token, call reply) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/v2/token" {
			token.write(w)
			return
		}
		call.write(w)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

type noKeeper struct{}

func (noKeeper) LoadToken(context.Context) ([]byte, error) { return nil, nil }
func (noKeeper) SaveToken(context.Context, []byte) error   { return nil }

func newSender(t *testing.T, url string, timeout time.Duration) *outbound.Sender {
	t.Helper()
	s, err := outbound.New(outbound.Config{
		AuthURL: url, ClientID: "id", ClientSecret: "secret", AccountID: "1", Timeout: timeout,
	}, noKeeper{}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	dataExtension = onramp.Destination{Kind: onramp.DataExtension, Key: "DE1", KeyColumns: []string{"SubscriberKey"}}
	mail          = onramp.Destination{Kind: onramp.Message, Key: "welcome", ToColumn: "FirstName"}
	insertOnly    = onramp.Destination{Kind: onramp.DataExtension, Key: "DE1", KeyColumns: []string{"SubscriberKey"}, InsertOnly: true}
	repeated      = onramp.Destination{Kind: onramp.Journey, Key: "APIEvent-1", KeyColumns: []string{"SubscriberKey"}, EstablishContactKey: true, OnUnknown: onramp.Again}
	journey       = onramp.Destination{Kind: onramp.Journey, Key: "APIEvent-1", KeyColumns: []string{"SubscriberKey"}, EstablishContactKey: true}
)

func delivery() onramp.Delivery {
	return onramp.Delivery{RegistrationID: "r1", Step: 1, SubscriberKey: "ana@example.org", Values: json.RawMessage(`{"FirstName":"Ana"}`)}
}

// one is a call with one delivery.
func one(to onramp.Destination) onramp.Call {
	return onramp.Call{Destination: to, Deliveries: []onramp.Delivery{delivery()}}
}

const (
	sentRow   = "POST /hub/v1/dataevents/key:DE1/rowset\n" + `[{"keys":{"SubscriberKey":"ana@example.org"},"values":{"FirstName":"Ana"}}]`
	sentMail  = "POST /messaging/v1/email/messages/r1.1\n" + `{"definitionKey":"welcome","recipient":{"contactKey":"ana@example.org","to":"Ana","attributes":{"FirstName":"Ana"}}}`
	sentEvent = "POST /interaction/v1/events\n" + `{"ContactKey":"ana@example.org","EventDefinitionKey":"APIEvent-1","EstablishContactKey":true,"Data":{"SubscriberKey":"ana@example.org","FirstName":"Ana"}}`
)

// TestAnswers is the table of architecture, section 7, with every answer that a
// sync data extension or a journey can give.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		invalidEmail  = `{"message":"Unable to save rows","errorcode":10006,"documentation":"","additionalErrors":[{"message":"EmailAddress: The value for column [EmailAddress] is not a valid email address.","errorcode":10000,"documentation":""}]}`
		bare10006     = `{"message":"Unable to save rows","errorcode":10006,"documentation":""}`
		deadlock      = `{"message":"Unable to save rows","errorcode":10006,"additionalErrors":[{"message":"Transaction (Process ID 5) was deadlocked. Rerun the transaction.","errorcode":2}]}`
		deadlockMore  = `{"message":"Unable to save rows","errorcode":10006,"additionalErrors":[{"message":"Transaction (Process ID 5) was deadlocked. Rerun the transaction. The statement has been terminated.","errorcode":2}]}`
		deadlockAlone = `{"message":"Unable to save rows: deadlock victim. Rerun the transaction. (SQL 1205)","errorcode":10006,"additionalErrors":[{"message":"x","errorcode":2}]}`
		limit50100    = `{"message":"Rate limit exceeded","errorcode":50100,"retryAfter":5,"documentation":""}`
		limit50200    = `{"message":"Your requests are temporarily blocked.","errorcode":50200,"documentation":""}`
		notFound      = `{"message":"Object Not Found","errorcode":30003,"documentation":""}`
		duplicateKey  = `{"message":"MCMS_UTM_Validation_DuplicateMessageKey: messageKey reused within the past 2 days","errorcode":109110}`
		noAddress     = `{"message":"MCMS_UTM_Validation_MissingRequiredField_to: Invalid subscriber","errorcode":109106}`
		noScope       = `{"message":"Insufficient Privileges","errorcode":20002,"documentation":""}`
	)
	for _, row := range []struct {
		name     string
		to       onramp.Destination
		answer   reply
		want     onramp.Outcome
		withSent string // Request of the wanted outcome
	}{
		{"row stored", dataExtension, reply{status: 200, body: `[{"keys":{},"values":{}}]`}, onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}, ""},
		{"row stored, spec", dataExtension, reply{status: 200, body: `{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`}, onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}, ""},
		{"empty 200, row", dataExtension, reply{status: 200}, onramp.Outcome{Verdict: onramp.Retry, Status: 200, Detail: "200; not an answer of Marketing Cloud: empty", Hint: hintForeign, MayHaveArrived: true}, sentRow},
		{"empty 200, event", journey, reply{status: 200}, onramp.Outcome{Verdict: onramp.Unknown, Status: 200, Detail: "200; not an answer of Marketing Cloud: empty", Hint: hintForeign + "; " + hintUnknown, MayHaveArrived: true}, sentEvent},
		{"empty 200, event that may be repeated", repeated, reply{status: 200}, onramp.Outcome{Verdict: onramp.Retry, Status: 200, Detail: "200; not an answer of Marketing Cloud: empty", Hint: hintForeign, MayHaveArrived: true}, sentEvent},
		{"empty 202, message", mail, reply{status: 202}, onramp.Outcome{Verdict: onramp.Retry, Status: 202, Detail: "202; not an answer of Marketing Cloud: empty", Hint: hintForeign, MayHaveArrived: true}, sentMail},
		{"foreign JSON, event", journey, reply{status: 201, body: `{"ok":true}`}, onramp.Outcome{Verdict: onramp.Unknown, Status: 201, Detail: "201; not an answer of Marketing Cloud: no eventInstanceId", Hint: hintForeign + "; " + hintUnknown, MayHaveArrived: true, Answer: `{"ok":true}`}, sentEvent},
		{"captive portal, row", dataExtension, reply{status: 200, body: "<html>Sign in</html>"}, onramp.Outcome{Verdict: onramp.Retry, Status: 200, Detail: "200; not an answer of Marketing Cloud: an HTML page", Hint: hintForeign, MayHaveArrived: true, Answer: "<html>Sign in</html>"}, sentRow},
		{"redirect, row", dataExtension, reply{status: 302, header: map[string]string{"Location": "https://portal.example/login?x=1"}}, onramp.Outcome{Verdict: onramp.Retry, Status: 302, Detail: "302: redirects are not followed, this one leads to portal.example", Hint: hintForeign, MayHaveArrived: true}, sentRow},
		{"redirect, event", journey, reply{status: 307, header: map[string]string{"Location": "/login"}}, onramp.Outcome{Verdict: onramp.Unknown, Status: 307, Detail: "307: redirects are not followed", Hint: hintForeign + "; " + hintUnknown, MayHaveArrived: true}, sentEvent},
		{"message accepted", mail, reply{status: 202, body: `{"requestId":"q1","errorcode":0,"responses":[{"messageKey":"r1.1"}]}`}, onramp.Outcome{Verdict: onramp.Delivered, Status: 202, Detail: "message accepted, request q1", RequestID: "q1"}, ""},
		{"message accepted before", mail, reply{status: 400, body: duplicateKey}, onramp.Outcome{Verdict: onramp.Delivered, Status: 400, Detail: "message was accepted from an earlier attempt"}, ""},
		{"message without address", mail, reply{status: 400, body: noAddress}, onramp.Outcome{Verdict: onramp.Rejected, Status: 400, Code: 109106, Detail: "400 109106: MCMS_UTM_Validation_MissingRequiredField_to: Invalid subscriber", Hint: hintTo, Answer: noAddress}, sentMail},
		{"no address at hand", message, reply{status: 202}, onramp.Outcome{Verdict: onramp.Rejected, Detail: "send message: recipient: invalid argument: no address", Hint: hintData, NotSent: true}, ""},
		{"connection lost, message", mail, reply{drop: true}, onramp.Outcome{Verdict: onramp.Retry, MayHaveArrived: true}, sentMail},
		{"conflict of an insert", insertOnly, reply{status: 409, body: `{"message":"exists","errorcode":30004}`}, onramp.Outcome{Verdict: onramp.Delivered, Status: 409, Code: 30004, Detail: "409 30004: exists", Answer: `{"message":"exists","errorcode":30004}`}, ""},
		{"503 with a date", dataExtension, reply{status: 503, header: map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, onramp.Outcome{Verdict: onramp.Throttled, Status: 503, RetryAfter: time.Hour, Detail: "503", Hint: hintLimit, MayHaveArrived: true}, sentRow},
		{"event accepted", journey, reply{status: 201, body: `{"eventInstanceId":"e1"}`}, onramp.Outcome{Verdict: onramp.Delivered, Status: 201, Detail: "event accepted, instance e1"}, ""},
		{"bad value", dataExtension, reply{status: 400, body: invalidEmail}, onramp.Outcome{Verdict: onramp.Rejected, Status: 400, Code: 10006, Detail: "400 10006: Unable to save rows; EmailAddress: The value for column [EmailAddress] is not a valid email address.", Hint: hintAddress, Answer: invalidEmail}, sentRow},
		{"bad value, spec", dataExtension, reply{status: 400, body: `{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"Unable to save rows"}]}`}, onramp.Outcome{Verdict: onramp.Rejected, Status: 400, Code: 1, Detail: "400 1: Unable to save rows", Hint: hintData, Answer: `{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"Unable to save rows"}]}`}, sentRow},
		{"error inside 200", dataExtension, reply{status: 200, body: `{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"no"}]}`}, onramp.Outcome{Verdict: onramp.Rejected, Status: 200, Code: 1, Detail: "200 1: no", Hint: hintData, Answer: `{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"no"}]}`}, sentRow},
		{"throttled inside 202", journey, reply{status: 202, body: limit50100}, onramp.Outcome{Verdict: onramp.Throttled, Status: 202, Code: 50100, RetryAfter: 5 * time.Second, Detail: "202 50100: Rate limit exceeded", Hint: hintLimit, Answer: limit50100}, sentEvent},
		{"unknown data extension", dataExtension, reply{status: 404, body: notFound}, onramp.Outcome{Verdict: onramp.Blocked, Status: 404, Code: 30003, Detail: "404 30003: Object Not Found", Hint: hintNoExtension, Answer: notFound}, sentRow},
		{"conflict is no success of an upsert", dataExtension, reply{status: 409, body: `{"message":"exists","errorcode":30004}`}, onramp.Outcome{Verdict: onramp.Rejected, Status: 409, Code: 30004, Detail: "409 30004: exists", Hint: hintData, Answer: `{"message":"exists","errorcode":30004}`}, sentRow},
		{"plain text", dataExtension, reply{status: 400, body: "Bad Request"}, onramp.Outcome{Verdict: onramp.Rejected, Status: 400, Detail: "400: Bad Request", Hint: hintData, Answer: "Bad Request"}, sentRow},
		{"bare 10006", dataExtension, reply{status: 400, body: bare10006}, onramp.Outcome{Verdict: onramp.Retry, Status: 400, Code: 10006, Detail: "400 10006: Unable to save rows", Answer: bare10006}, sentRow},
		{"deadlock", dataExtension, reply{status: 400, body: deadlock}, onramp.Outcome{Verdict: onramp.Retry, Status: 400, Code: 10006, Detail: "400 10006: Unable to save rows; Transaction (Process ID 5) was deadlocked. Rerun the transaction.", Answer: deadlock}, sentRow},
		{"deadlock, and more said", dataExtension, reply{status: 400, body: deadlockMore}, onramp.Outcome{Verdict: onramp.Retry, Status: 400, Code: 10006, Detail: "400 10006: Unable to save rows; Transaction (Process ID 5) was deadlocked. Rerun the transaction. The statement has been terminated.", Answer: deadlockMore}, sentRow},
		{"deadlock in the message itself", dataExtension, reply{status: 400, body: deadlockAlone}, onramp.Outcome{Verdict: onramp.Retry, Status: 400, Code: 10006, Detail: "400 10006: Unable to save rows: deadlock victim. Rerun the transaction. (SQL 1205); x", Answer: deadlockAlone}, sentRow},
		{"time-out told", dataExtension, reply{status: 408}, onramp.Outcome{Verdict: onramp.Retry, Status: 408, Detail: "408", Late: true, MayHaveArrived: true}, sentRow},
		{"500", dataExtension, reply{status: 500, body: `{"documentation":"","errorcode":500,"message":"x"}`}, onramp.Outcome{Verdict: onramp.Retry, Status: 500, Code: 500, Detail: "500 500: x", Answer: `{"documentation":"","errorcode":500,"message":"x"}`, MayHaveArrived: true}, sentRow},
		{"500 to a journey", journey, reply{status: 500}, onramp.Outcome{Verdict: onramp.Retry, Status: 500, Detail: "500", MayHaveArrived: true}, sentEvent},
		{"502", dataExtension, reply{status: 502}, onramp.Outcome{Verdict: onramp.Retry, Status: 502, Detail: "502", MayHaveArrived: true}, sentRow},
		{"503", dataExtension, reply{status: 503}, onramp.Outcome{Verdict: onramp.Retry, Status: 503, Detail: "503", MayHaveArrived: true}, sentRow},
		{"504", dataExtension, reply{status: 504}, onramp.Outcome{Verdict: onramp.Retry, Status: 504, Detail: "504", Late: true, MayHaveArrived: true}, sentRow},
		{"503 with Retry-After", dataExtension, reply{status: 503, header: map[string]string{"Retry-After": "7"}}, onramp.Outcome{Verdict: onramp.Throttled, Status: 503, RetryAfter: 7 * time.Second, Detail: "503", Hint: hintLimit, MayHaveArrived: true}, sentRow},
		{"429 50100", dataExtension, reply{status: 429, header: map[string]string{"Retry-After": "9"}, body: limit50100}, onramp.Outcome{Verdict: onramp.Throttled, Status: 429, Code: 50100, RetryAfter: 9 * time.Second, Detail: "429 50100: Rate limit exceeded", Hint: hintLimit, Answer: limit50100}, sentRow},
		{"429 without a body", dataExtension, reply{status: 429}, onramp.Outcome{Verdict: onramp.Throttled, Status: 429, Detail: "429", Hint: hintLimit}, sentRow},
		{"429 50200", dataExtension, reply{status: 429, body: limit50200}, onramp.Outcome{Verdict: onramp.Blocked, Status: 429, Code: 50200, Detail: "429 50200: Your requests are temporarily blocked.", Hint: hintLimit, Answer: limit50200}, sentRow},
		{"401 after a refresh", dataExtension, reply{status: 401, body: `{"errorcode":0,"message":"Not Authorized"}`}, onramp.Outcome{Verdict: onramp.Blocked, Status: 401, Detail: "401 0: Not Authorized", Hint: hintFresh, Refused: true, Answer: `{"errorcode":0,"message":"Not Authorized"}`}, sentRow},
		{"403", journey, reply{status: 403, body: noScope}, onramp.Outcome{Verdict: onramp.Blocked, Status: 403, Code: 20002, Detail: "403 20002: Insufficient Privileges", Hint: hintEventScope, Answer: noScope}, sentEvent},
		{"596", dataExtension, reply{status: 596, body: "<h1>596 Service Not Found</h1>"}, onramp.Outcome{Verdict: onramp.Blocked, Status: 596, Detail: "596: ", Hint: hintHost, Answer: "<h1>596 Service Not Found</h1>"}, sentRow},
		{"connection lost, row", dataExtension, reply{drop: true}, onramp.Outcome{Verdict: onramp.Retry, MayHaveArrived: true}, sentRow},
		{"connection lost, event", journey, reply{drop: true}, onramp.Outcome{Verdict: onramp.Unknown, Hint: hintUnknown, MayHaveArrived: true}, sentEvent},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := cloud(t, reply{status: 200, body: goodToken}, row.answer)
			got := newSender(t, url, 0).Send(t.Context(), one(row.to))
			row.want.Request = row.withSent
			if want := row.want.RetryAfter; want > time.Minute { // of a date, which has whole seconds
				got[0].RetryAfter = got[0].RetryAfter.Round(time.Minute)
			}
			if row.answer.drop || row.answer.status == 596 {
				// the text of a network error, or of a gateway's page, is the system's
				got[0].Detail, row.want.Detail = "", ""
			}
			if diff := cmp.Diff([]onramp.Outcome{row.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTokenAnswers shows that no delivery is blamed when there is no token.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	const invalid = `{"error":"invalid_client","error_description":"Invalid client ID."}`
	for _, row := range []struct {
		name  string
		token reply
		want  onramp.Outcome
	}{
		{"refused", reply{status: 401, body: invalid}, onramp.Outcome{Verdict: onramp.Blocked, Status: 401, Detail: "no access token: 401 invalid_client: Invalid client ID.", Hint: hintClientID, Refused: true, Answer: invalid}},
		{"refused, 400", reply{status: 400, body: invalid}, onramp.Outcome{Verdict: onramp.Blocked, Status: 400, Detail: "no access token: 400 invalid_client: Invalid client ID.", Hint: hintClientID, Refused: true, Answer: invalid}},
		{"limited", reply{status: 429, header: map[string]string{"Retry-After": "3"}}, onramp.Outcome{Verdict: onramp.Throttled, Status: 429, RetryAfter: 3 * time.Second, Detail: "no access token: 429", Hint: hintLimit}},
		{"blocked", reply{status: 429, body: `{"message":"blocked","errorcode":50200}`}, onramp.Outcome{Verdict: onramp.Blocked, Status: 429, Code: 50200, Detail: "no access token: 429 50200: blocked", Hint: hintLimit, Answer: `{"message":"blocked","errorcode":50200}`}},
		{"down", reply{status: 500}, onramp.Outcome{Verdict: onramp.Blocked, Status: 500, Detail: "no access token: 500", Hint: hintHost}},
		{"connection lost", reply{drop: true}, onramp.Outcome{Verdict: onramp.Blocked, Hint: hintHost}},
		{"empty 200", reply{status: 200}, onramp.Outcome{Verdict: onramp.Blocked, Status: 200, Detail: "no access token: 200; not an answer of Marketing Cloud: empty", Hint: hintForeign}},
		{"redirect", reply{status: 302}, onramp.Outcome{Verdict: onramp.Blocked, Status: 302, Detail: "no access token: 302", Hint: hintForeign}},
	} {
		for _, to := range []onramp.Destination{dataExtension, journey} {
			t.Run(row.name+" "+to.Kind.String(), func(t *testing.T) {
				t.Parallel()
				got := newSender(t, cloud(t, row.token, reply{status: 200}), 0).Send(t.Context(), one(to))
				if row.token.drop {
					got[0].Detail = ""
				}
				want := row.want
				want.NotSent = true // nothing was sent, and nothing is shown as sent
				if diff := cmp.Diff([]onramp.Outcome{want}, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestTimeout shows that a call without an answer ends, and that only an event
// decides.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		to   onramp.Destination
		want onramp.Outcome
	}{
		{dataExtension, onramp.Outcome{Verdict: onramp.Retry, Detail: "no answer within the time-out", Late: true, MayHaveArrived: true, Request: sentRow}},
		{journey, onramp.Outcome{Verdict: onramp.Unknown, Detail: "no answer within the time-out", Late: true, MayHaveArrived: true, Hint: hintUnknown, Request: sentEvent}},
		{repeated, onramp.Outcome{Verdict: onramp.Retry, Detail: "no answer within the time-out", Late: true, MayHaveArrived: true, Request: sentEvent}},
	} {
		t.Run(row.to.Kind.String()+" "+row.to.OnUnknown.String(), func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/token" {
					reply{status: 200, body: goodToken}.write(w)
					return
				}
				<-ended
			}))
			defer server.Close()
			defer close(ended)
			got := newSender(t, server.URL, 300*time.Millisecond).Send(t.Context(), one(row.to))
			if diff := cmp.Diff([]onramp.Outcome{row.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An answer of which only the beginning comes in time is late, too.
func TestTimeoutInBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // to notice that the caller hangs up
		if r.URL.Path == "/v2/token" {
			reply{status: 200, body: goodToken}.write(w)
			return
		}
		_, _ = io.WriteString(w, `[{"keys":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	got := newSender(t, server.URL, 300*time.Millisecond).Send(t.Context(), one(dataExtension))
	got[0].Detail = "" // the system's words
	want := []onramp.Outcome{{Verdict: onramp.Retry, Status: 200, Late: true, MayHaveArrived: true, Request: sentRow, Answer: `[{"keys":`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNobodyListens shows that an event which never left is simply tried again.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		reply{status: 200, body: goodToken}.write(w)
	}))
	s := newSender(t, server.URL, 0)
	if got := s.Send(t.Context(), one(dataExtension)); got[0].Verdict == 0 {
		t.Fatal("no outcome")
	}
	server.Close() // the token is cached, the host is gone
	got := s.Send(t.Context(), one(journey))
	if got[0].Verdict != onramp.Retry || !strings.Contains(got[0].Detail, "refused") {
		t.Errorf("got %v %q, want a retry after a refused connection", got[0].Verdict, got[0].Detail)
	}
}

// TestSecretsStayInside shows that no outcome repeats the client secret or the
// token, whatever the answer says.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		cloud(t, reply{status: 401, body: `{"error":"invalid_client","error_description":"secret is wrong"}`}, reply{}),
		cloud(t, reply{status: 200, body: strings.Replace(goodToken, `"t"`, `"tok-123"`, 1)}, reply{status: 400, body: `{"message":"tok-123"}`}),
	} {
		got := newSender(t, url, 0).Send(t.Context(), one(dataExtension))[0]
		all := got.Detail + got.Hint + got.Request + got.Answer
		for _, secret := range []string{"tok-123", "secret is"} {
			if strings.Contains(all, secret) {
				t.Errorf("the outcome repeats %q: %+v", secret, got)
			}
		}
	}
}

// TestAddresses shows where an account's settings lead.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		cfg  outbound.Config
		want string // part of the error; "": none
	}{
		{"subdomain", outbound.Config{Subdomain: "mc0123456789abcdefghijklmnop", ClientID: "a", ClientSecret: "b"}, ""},
		{"host name as subdomain", outbound.Config{Subdomain: "mc01.rest.marketingcloudapis.com", ClientID: "a", ClientSecret: "b"}, "invalid argument"},
		{"vendor's auth host", outbound.Config{AuthURL: "https://mc01.auth.marketingcloudapis.com/", ClientID: "a", ClientSecret: "b"}, ""},
		{"vendor's auth host without TLS", outbound.Config{AuthURL: "http://mc01.auth.marketingcloudapis.com/", ClientID: "a", ClientSecret: "b"}, "invalid argument"},
		{"no secret", outbound.Config{Subdomain: "mc01", ClientID: "a"}, "invalid argument"},
	} {
		_, err := outbound.New(row.cfg, noKeeper{}, func(error) {})
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want %q", row.name, err, row.want)
		}
	}
}
