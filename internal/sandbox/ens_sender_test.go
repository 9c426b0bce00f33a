package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/ens"
)

// notice is a request with events as a callback gets it.
type notice struct {
	Host   string
	After  time.Duration // since the beginning of the test
	Bearer string
	Sign   string
	Body   string
}

// webhook is the customer's end: callbacks, and an authorization server on every
// host that begins with "auth.". It is a transport, so that time can be faked.
type webhook struct {
	status func(n notice, times int) int          // of the times-th request with events; 0 breaks the connection
	hold   func(r *http.Request)                  // before the answer to events
	token  func(w http.ResponseWriter, times int) // in place of a good one
	mu     sync.Mutex
	start  time.Time
	got    []notice
	keys   map[string]string // verification keys by callback id
	tokens int
	open   int // requests with events at this moment
	most   int
}

func (h *webhook) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	var probe struct{ CallbackID, VerificationKey string }
	switch {
	case strings.HasPrefix(r.URL.Host, "auth."):
		h.mu.Lock()
		h.tokens++
		n := h.tokens
		h.mu.Unlock()
		if h.token != nil {
			h.token(w, n)
		} else {
			fmt.Fprintf(w, `{"access_token":"t-%d","expires_in":3600}`, n)
		}
	case json.Unmarshal(body, &probe) == nil && probe.VerificationKey != "":
		h.mu.Lock()
		h.keys[probe.CallbackID] = probe.VerificationKey
		h.mu.Unlock()
	default:
		if status := h.take(r, string(body)); status != 0 {
			w.WriteHeader(status)
		} else {
			return nil, errors.New("connection reset")
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// take remembers a request with events and decides its answer.
func (h *webhook) take(r *http.Request, body string) int {
	h.mu.Lock()
	n := notice{
		r.URL.Host, time.Since(h.start), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "),
		r.Header.Get("x-sfmc-ens-signature"), body,
	}
	if media := r.Header.Get("Content-Type"); media != "application/json" {
		n.Host += " with " + media
	}
	h.got = append(h.got, n)
	times := len(h.got)
	h.open++
	h.most = max(h.most, h.open)
	h.mu.Unlock()
	if h.hold != nil {
		h.hold(r)
	}
	h.mu.Lock()
	h.open--
	h.mu.Unlock()
	if h.status == nil {
		return 200
	}
	return h.status(n, times)
}

// saw returns the requests with events since the last look.
func (h *webhook) saw() []notice {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.got
	h.got = nil
	return list
}

// bodies returns their bodies alone.
func (h *webhook) bodies() []string {
	var list []string
	for _, n := range h.saw() {
		list = append(list, n.Body)
	}
	return list
}

// ensRig is a sandbox with webhooks that listen to it.
type ensRig struct {
	*sandbox.Sandbox
	t    testing.TB
	hook *webhook
	auth string
	keys map[string]string // signature keys by callback name
	ids  map[string]string // callback ids by name, subscription ids by name
}

const allEmail = `"TransactionalSendEvents.EmailSent","TransactionalSendEvents.EmailNotSent","TransactionalSendEvents.EmailBounced",` +
	`"EngagementEvents.EmailOpen","EngagementEvents.EmailClick","EngagementEvents.EmailUnsubscribe"`

// newENSRig has no callback yet. Unless cfg says otherwise subscriptions are
// active at once.
func newENSRig(t testing.TB, hook *webhook, cfg sandbox.Config) *ensRig {
	t.Helper()
	hook.start, hook.keys = time.Now(), map[string]string{}
	cfg.Transport = hook
	if cfg.Activation == 0 {
		cfg.Activation = -1
	}
	s := sandbox.New(cfg)
	return &ensRig{s, t, hook, authorize(t, s), map[string]string{}, map[string]string{}}
}

// call makes a call of the management routes and returns its answer.
func (r *ensRig) call(method, target, body string) map[string]any {
	r.t.Helper()
	w := send(r.t, r, method, "/platform/v1/"+target, body, r.auth)
	got, _ := decode(r.t, w.Body.String()).(map[string]any)
	if w.Code > 299 {
		r.t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return got
}

// callback makes a verified callback; more continues its JSON.
func (r *ensRig) callback(name, more string) {
	r.t.Helper()
	got := r.call("POST", "ens-callbacks", fmt.Sprintf(`{"callbackName":%q,"url":"https://%s.test/in"%s}`, name, name, more))
	id := fmt.Sprint(got["callbackId"])
	r.ids[name], r.keys[name] = id, fmt.Sprint(got["signatureKey"])
	r.call("POST", "ens-verify", fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, id, r.hook.keys[id]))
}

// scheme makes a scheme and returns it as a part of a callback's JSON.
func (r *ensRig) scheme() string {
	r.t.Helper()
	got := r.call("POST", "ens-authentications", `{"authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://auth.test/token","clientId":"c","clientSecret":"s"}`)
	return fmt.Sprintf(`,"authId":%q`, got["authId"])
}

// subscribe has a callback get types of events; more continues the JSON.
func (r *ensRig) subscribe(callback, name, types, more string) {
	r.t.Helper()
	got := r.call("POST", "ens-subscriptions", fmt.Sprintf(`{"callbackId":%q,"subscriptionName":%q,"eventCategoryTypes":[%s]%s}`, r.ids[callback], name, types, more))
	r.ids[name] = fmt.Sprint(got["subscriptionId"])
}

// listening is a rig with the callback "cb", subscribed to all of mail.
func listening(t testing.TB, hook *webhook, cfg sandbox.Config) *ensRig {
	t.Helper()
	r := newENSRig(t, hook, cfg)
	r.callback("cb", "")
	r.subscribe("cb", "all", allEmail, "")
	return r
}

// trigger asks for events and checks the answer.
func (r *ensRig) trigger(body, want string) {
	r.t.Helper()
	same(r.t, send(r.t, r, "POST", "/_sandbox/events", body), 202, want)
}

// events asks for count events of a type.
func (r *ensRig) events(kind string, count int) {
	r.t.Helper()
	if w := send(r.t, r, "POST", "/_sandbox/events", fmt.Sprintf(`{"type":%q,"count":%d}`, kind, count)); w.Code != 202 {
		r.t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// mail sends a message to an address.
func (r *ensRig) mail(key, to string) {
	r.t.Helper()
	w := send(r.t, r, "POST", messagesPath+"/"+key, oneMessage(`"contactKey":"ana","to":"`+to+`"`), r.auth)
	if w.Code != 202 {
		r.t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// cb is the callback "cb" in the state, without what differs from run to run.
func (r *ensRig) cb() sandbox.Callback {
	c := r.State().Callbacks[0]
	c.CallbackID, c.AuthID = "", ""
	return c
}

// pass lets time go by, in a bubble, and what happens in it end.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// kinds are the short names of the events in each body.
func kinds(t testing.TB, bodies []string) (list []string) {
	t.Helper()
	for _, body := range bodies {
		var events []struct{ EventCategoryType string }
		if err := json.Unmarshal([]byte(body), &events); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		names := make([]string, len(events))
		for i, e := range events {
			_, names[i], _ = strings.Cut(e.EventCategoryType, ".")
		}
		list = append(list, strings.Join(names, " "))
	}
	return list
}

// stamps are the milliseconds of the first event's second at which the events of
// each body happened.
func stamps(t testing.TB, bodies []string) (list []string) {
	t.Helper()
	for _, body := range bodies {
		var events []struct{ TimestampUTC int64 }
		if err := json.Unmarshal([]byte(body), &events); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		parts := make([]string, len(events))
		for i, e := range events {
			parts[i] = strconv.FormatInt(e.TimestampUTC%1000, 10)
		}
		list = append(list, strings.Join(parts, " "))
	}
	return list
}

// check compares.
func check[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A message makes the events that its address asks for, byte for byte.
func TestENSMessageEvents(t *testing.T) {
	t.Parallel()
	const (
		definition = `"definitionKey":"welcome","definitionId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003",`
		account    = `"mid":510000001,"eid":510000001,`
		open       = `"definitionKey":"NA","definitionId":"NA","channel":"email",` + account
		reader     = `"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36","location":`
	)
	// %[1]s is the job, batch, list and subscriber
	composite := func(more string) string {
		return `"composite":{"jobId":"JOB","batchId":"1","listId":"101","subscriberId":"SUB"` + more + `},`
	}
	sending := func(kind, at, id, more, info string) string {
		return `{"eventCategoryType":"TransactionalSendEvents.` + kind + `","timestampUTC":` + at +
			`,"compositeId":"7e3c1a52-94d8-4f06-8b1e-0f5100000003.JOB.101.` + id + `",` + composite(`,"emailId":"1201"`) + definition + account + more +
			`"info":{"to":"ADDRESS","subscriberKey":"ana","messageKey":"m-1",` + info + `}}`
	}
	sent := sending("EmailSent", "946684800050", "1.SUB", `"sendClassificationType":"Operational",`, `"status":"Sent","renderedSubject":"Welcome"`)
	bounced := func(code, message, reason string) string {
		return sending("EmailBounced", "946684800100", "1.SUB", "", `"bounceCode":"`+code+`","bounceMessage":"`+message+`","smtpReason":"`+reason+`"`)
	}
	engaged := func(kind, at, head, info string) string {
		return `{"eventCategoryType":"EngagementEvents.` + kind + `","timestampUTC":` + at + `,"compositeId":"JOB.101.1.SUB",` + head +
			strings.TrimSuffix(composite(""), ",") + `,"info":{` + info + `}}`
	}
	opened := engaged("EmailOpen", "946684800150", open, `"ipAddress":"203.0.113.25",`+reader+`{}`)
	clicked := engaged("EmailClick", "946684800200", open, `"ipAddress":"203.0.113.25","jobUrlId":"74165311",`+
		`"contentLink":"https://www.example.com/welcome?utm_source\u003dmail\u0026utm_campaign\u003dit\u0027s+\u003cspring\u003e","impressionRegion":"0",`+reader+
		`{"country":"US","region":"VA","city":"ASHBURN","postalCode":"20146-20149","latitude":"39.0438","longitude":"-77.4879"}`)
	left := engaged("EmailUnsubscribe", "946684800250", `"definitionKey":"NA","definitionId":"NA",`+account,
		`"to":"ADDRESS","domain":"example.org","unsubscribeDate":946684800250,"unsubscribeMethod":"Click","renderedSubject":"Welcome"`)
	for _, row := range []struct {
		to   string
		want []string // batches: the window of 100 ms begins with the first event
	}{
		{"ana@example.org", []string{"[" + sent + "]"}},
		{"ana+shop@example.org", []string{"[" + sent + "]"}},
		{"ana+notsent+open@example.org", []string{"[" + sending("EmailNotSent", "946684800050", "0.0", "", `"reason":"The subscriber ExactTarget system status is unsubscribed","statusCode":"1","statusMessage":"Unsubscribed"`) + "]"}},
		{"ana+bounce@example.org", []string{"[" + sent + "," + bounced("HARD", "5.1.1 (bad destination mailbox address) User Unknown", "5.1.1") + "]"}},
		{"ana+HardBounce@example.org", []string{"[" + sent + "," + bounced("HARD", "5.1.1 (bad destination mailbox address) User Unknown", "5.1.1") + "]"}},
		{"ana+softbounce@example.org", []string{"[" + sent + "," + bounced("SOFT", "4.2.2 (mailbox full) Over Quota", "4.2.2") + "]"}},
		{"ana+open@example.org", []string{"[" + sent + "," + opened + "]"}},
		{"ana+click+unsubscribe@example.org", []string{"[" + sent + "," + opened + "]", "[" + clicked + "," + left + "]"}},
	} {
		t.Run(row.to, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := listening(t, &webhook{}, sandbox.Config{})
				r.mail("m-1", row.to)
				pass(time.Second)
				for i, w := range row.want {
					row.want[i] = strings.NewReplacer("ADDRESS", row.to, "JOB", "479240", "SUB", "8579245054725").Replace(w)
				}
				got := r.hook.saw()
				var bodies []string
				for _, n := range got {
					bodies = append(bodies, n.Body)
					if n.Sign != ens.Sign(r.keys["cb"], false, []byte(n.Body)) || n.Bearer != "" || n.Host != "cb.test" {
						t.Errorf("got %+v", n)
					}
				}
				check(t, "batches", row.want, bodies)
				check(t, "after", 150*time.Millisecond, got[0].After)
			})
		})
	}
}
