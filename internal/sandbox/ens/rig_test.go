package ens_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/wire"
)

const (
	platform          = "/platform/v1/"
	schemesPath       = platform + "ens-authentications"
	callbacksPath     = platform + "ens-callbacks"
	verifyPath        = platform + "ens-verify"
	subscriptionsPath = platform + "ens-subscriptions"

	callbackURL  = "https://cb.test/events"
	clientScheme = `{"authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://auth.test/oauth/token","clientId":"id","clientSecret":"sec/ret"}`
	userScheme   = `{"authType":"oauth2","grantType":"password","authEndpoint":"https://auth.test/oauth/token","clientId":"id","clientSecret":"sec/ret",` +
		`"username":"ü","password":"a&b"}`
)

// rig is a Service whose host has a clock that stands still, and neither faults
// nor mails nor tokens: every call is allowed.
type rig struct {
	*ens.Service
	t        testing.TB
	customer *customer
	routes   *http.ServeMux

	mu  sync.Mutex // the host's lock
	now time.Time
}

func newRig(t testing.TB, cfg ens.Config) *rig {
	t.Helper()
	r := &rig{t: t, customer: &customer{}, routes: http.NewServeMux(), now: time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)}
	cfg.Transport = r.customer
	r.Service = ens.New(cfg, ens.Host{
		Lock:       &r.mu,
		Now:        func() time.Time { return r.now },
		Fault:      func(string, time.Time, string, []byte) bool { return false },
		TokenDelay: func(context.Context) {},
		FindMail:   func(ens.Trigger) (ens.Mail, bool) { return ens.Mail{}, false },
		MakeUpMail: func(ens.Trigger, int, time.Time) ens.Mail { return ens.Mail{} },
	})
	for _, route := range r.Routes() {
		r.routes.HandleFunc(route.Method+" "+route.Pattern, func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			params := map[string]string{}
			for _, name := range []string{"authId", "callbackId", "subscriptionId"} {
				params[name] = req.PathValue(name)
			}
			a, err := route.Handle(&wire.Call{Request: req, Body: body, Params: params})
			if refusal, ok := errors.AsType[wire.Refusal](err); ok {
				a = refusal.Answer()
			} else if err != nil {
				t.Error(err)
			}
			a.Write(w)
		})
	}
	return r
}

// call makes a call and checks the answer's status and whole JSON body.
func (r *rig) call(method, target, body string, status int, want string) {
	r.t.Helper()
	w := r.serve(method, target, body)
	if w.Code != status {
		r.t.Errorf("%s %s: status %d, want %d", method, target, w.Code, status)
	}
	if diff := cmp.Diff(decode(r.t, want), decode(r.t, w.Body.String())); diff != "" {
		r.t.Errorf("%s %s: body (-want +got):\n%s", method, target, diff)
	}
}

// send makes a call that is not refused and returns a member of the one object in
// its answer, "" when there is none.
func (r *rig) send(method, target, body, name string) string {
	r.t.Helper()
	w := r.serve(method, target, body)
	v := decode(r.t, w.Body.String())
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	object, ok := v.(map[string]any)
	if w.Code > 299 || !ok {
		r.t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	text, _ := object[name].(string)
	return text
}

func (r *rig) serve(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.routes.ServeHTTP(w, httptest.NewRequestWithContext(r.t.Context(), method, target, strings.NewReader(body)))
	return w
}

// scheme makes a scheme, and callback one that is not verified; more continues
// its JSON. Both return the id.
func (r *rig) scheme(body string) string {
	r.t.Helper()
	return r.send("POST", schemesPath, body, "authId")
}

func (r *rig) callback(more string) string {
	r.t.Helper()
	return r.send("POST", callbacksPath, `{"callbackName":"a","url":"`+callbackURL+`"`+more+`}`, "callbackId")
}

// subscription makes a verified callback and a subscription of it to some types
// of events, and returns the subscription's id.
func (r *rig) subscription(types string) string {
	r.t.Helper()
	id := r.callback("")
	r.call("POST", verifyPath, fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, id, r.customer.key(id)), 200, `{}`)
	body := fmt.Sprintf(`{"callbackId":%q,"subscriptionName":"s","eventCategoryTypes":[%s]}`, id, types)
	return r.send("POST", subscriptionsPath, body, "subscriptionId")
}

// advance moves the host's clock forward.
func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
	r.Advanced()
}

func decode(t testing.TB, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, s)
	}
	return v
}

// customer plays the customer's servers as a transport: the authorization server
// is the host that begins with "auth.", all others are callbacks.
type customer struct {
	// answer, when set, may answer in place of the usual: a token "t-1", "t-2"…
	// for an hour, or 200 from a callback. It is not called under mu.
	answer func(w http.ResponseWriter) bool

	mu     sync.Mutex
	keys   map[string]string // verification keys by callback id
	tokens int               // given out
}

func (c *customer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if c.answer != nil && c.answer(w) {
		return w.Result(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var probe struct{ CallbackID, VerificationKey string }
	switch {
	case strings.HasPrefix(r.URL.Host, "auth."):
		c.tokens++
		fmt.Fprintf(w, `{"access_token":"t-%d","token_type":"bearer","expires_in":3600}`, c.tokens)
	case json.Unmarshal(body, &probe) == nil:
		if c.keys == nil {
			c.keys = map[string]string{}
		}
		c.keys[probe.CallbackID] = probe.VerificationKey
	}
	return w.Result(), nil
}

// key is the verification key that was sent to a callback.
func (c *customer) key(callbackID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[callbackID]
}
