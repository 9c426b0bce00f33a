package setup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/sfmc"
)

// cloud plays Marketing Cloud as the facts have it.
type cloud struct {
	world  *world
	server *httptest.Server
	client *sfmc.Client

	lists  int  // status of the list of schemes; 200 by default
	silent bool // callbacks are listed without their scheme
	refuse func(r *http.Request) int

	mu            sync.Mutex
	made          int
	schemes       []*object
	callbacks     []*object
	subscriptions []*object
	calls         []string // that change something
}

// object is anything that Marketing Cloud holds; what it never shows begins with _.
type object map[string]any

func (o object) text(name string) string { s, _ := o[name].(string); return s }

// shown is the object as Marketing Cloud shows it.
func (o object) shown(without ...string) object {
	shown := object{}
	for name, value := range o {
		if !strings.HasPrefix(name, "_") && !slices.Contains(without, name) {
			shown[name] = value
		}
	}
	return shown
}

type token struct{}

func (token) Token(context.Context) (*sfmc.Token, error) {
	return &sfmc.Token{AccessToken: "of-marketing-cloud", TokenType: "Bearer"}, nil
}

func newCloud(t *testing.T, w *world) *cloud {
	t.Helper()
	c := &cloud{world: w, lists: 200}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(r *http.Request, sent object) (int, any){
		"POST ens-authentications":         c.createScheme,
		"PUT ens-authentications":          c.updateScheme,
		"GET ens-authentications":          c.listSchemes,
		"DELETE ens-authentications/{id}":  c.deleteScheme,
		"POST ens-callbacks":               c.createCallback,
		"PUT ens-callbacks":                c.updateCallback,
		"GET ens-callbacks":                c.listCallbacks,
		"DELETE ens-callbacks/{id}":        c.deleteCallback,
		"PUT ens-regenerate":               c.regenerate,
		"POST ens-verify":                  c.verify,
		"POST ens-subscriptions":           c.createSubscription,
		"PUT ens-subscriptions":            c.updateSubscription,
		"GET ens-subscriptions-by-cb/{id}": c.listSubscriptions,
		"DELETE ens-subscriptions/{id}":    c.deleteSubscription,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /platform/v1/"+path, c.handle(h))
	}
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	c.client = sfmc.NewClient(token{}, sfmc.WithOrigin(c.server.URL))
	return c
}

// handle reads a request and answers it. A caller that is dead neither sends nor
// gets anything.
func (c *cloud) handle(h func(*http.Request, object) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c.refuse != nil {
			if status := c.refuse(r); status != 0 {
				writeJSON(w, status, object{"message": "refused by the test", "errorcode": 20000})
				return
			}
		}
		changes := r.Method != http.MethodGet
		if changes && c.world.point("call") != nil {
			panic(http.ErrAbortHandler)
		}
		sent, list := readObject(r.Body)
		if changes {
			call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/platform/v1/")
			if id := r.PathValue("id"); id != "" {
				call = strings.TrimSuffix(call, "/"+id)
			}
			c.mu.Lock()
			c.calls = append(c.calls, call)
			c.mu.Unlock()
		}
		status, answer := h(r, sent)
		if changes && c.world.point("answer") != nil {
			panic(http.ErrAbortHandler)
		}
		if o, one := answer.(object); one && list && status < 300 {
			answer = []object{o}
		}
		writeJSON(w, status, answer)
	}
}

func readObject(from io.Reader) (o object, list bool) {
	body, _ := io.ReadAll(from)
	var many []object
	if json.Unmarshal(body, &many) == nil && len(many) == 1 {
		return many[0], true
	}
	_ = json.Unmarshal(body, &o)
	return o, false
}

func problem(status int, message string) (int, any) {
	return status, object{"message": message, "errorcode": 10000, "documentation": ""}
}

// newID gives ids whose order is not that of their making.
func (c *cloud) newID() string {
	c.made++
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(c.made)*2654435761, c.made)
}

func byID(list []*object, name, id string) *object {
	for _, o := range list {
		if o.text(name) == id {
			return o
		}
	}
	return nil
}

func (o *object) merge(other object) {
	for name, value := range other {
		(*o)[name] = value
	}
}

func without(list []*object, one *object) []*object {
	return slices.DeleteFunc(slices.Clone(list), func(o *object) bool { return o == one })
}

// fetch gets a token from a scheme's endpoint.
func (c *cloud) fetch(s object) (string, bool) {
	form := url.Values{"grant_type": {s.text("grantType")}}
	if s.text("grantType") == "password" {
		form.Set("username", s.text("_username"))
		form.Set("password", s.text("_password"))
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.text("authEndpoint"), strings.NewReader(form.Encode()))
	if err != nil {
		return "", false
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.text("_clientId"), s.text("_clientSecret"))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer response.Body.Close()
	answer, _ := readObject(response.Body)
	return answer.text("access_token"), response.StatusCode == 200
}

func schemeOf(sent object) object {
	s := object{}
	for _, name := range []string{"authType", "grantType", "authEndpoint"} {
		s[name] = sent[name]
	}
	for _, name := range []string{"clientId", "clientSecret", "username", "password"} {
		s["_"+name] = sent[name]
	}
	return s
}

func (c *cloud) createScheme(_ *http.Request, sent object) (int, any) {
	s := schemeOf(sent)
	if _, ok := c.fetch(s); !ok {
		return problem(400, "no token from the authEndpoint")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s["authId"] = c.newID()
	c.schemes = append(c.schemes, &s)
	return 201, s.shown()
}

func (c *cloud) updateScheme(_ *http.Request, sent object) (int, any) {
	s := schemeOf(sent)
	c.mu.Lock()
	there := byID(c.schemes, "authId", sent.text("authId"))
	c.mu.Unlock()
	if there == nil {
		return problem(404, "no such scheme")
	}
	if _, ok := c.fetch(s); !ok {
		return problem(400, "no token from the authEndpoint")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	there.merge(s)
	return 200, there.shown()
}

func (c *cloud) listSchemes(*http.Request, object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists != 200 {
		return problem(c.lists, "no such service")
	}
	return 200, listed(c.schemes)
}

func listed(all []*object, without ...string) []object {
	list := []object{}
	for _, o := range all {
		list = append(list, o.shown(without...))
	}
	return list
}

func (c *cloud) deleteScheme(r *http.Request, _ object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := byID(c.schemes, "authId", r.PathValue("id"))
	switch {
	case s == nil:
		return problem(404, "no such scheme")
	case byID(c.callbacks, "authId", s.text("authId")) != nil:
		return problem(409, "a callback uses the scheme")
	}
	c.schemes = without(c.schemes, s)
	return 200, object{}
}

func (c *cloud) createCallback(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	if byID(c.callbacks, "url", sent.text("url")) != nil {
		c.mu.Unlock()
		return problem(400, "the url is registered already")
	}
	var scheme *object
	if id := sent.text("authId"); id != "" {
		if scheme = byID(c.schemes, "authId", id); scheme == nil {
			c.mu.Unlock()
			return problem(400, "no such authId")
		}
	}
	id := c.newID()
	made := &object{
		"callbackId": id, "callbackName": sent["callbackName"], "url": sent["url"], "maxBatchSize": sent["maxBatchSize"], "authId": sent.text("authId"),
		"status": "unverified", "statusReason": "none", "_key": "key-of-" + id, "_verify": "verify-" + id, "_at": c.world.now,
	}
	c.callbacks = append(c.callbacks, made)
	c.mu.Unlock()
	if !c.probe(*made, scheme) {
		return problem(400, "MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: CallbackId is "+id+". Could not verify callback url '"+sent.text("url")+"'. To retry please delete the callback and create it again.")
	}
	answer := made.shown("status", "statusReason")
	answer["signatureKey"] = "key-of-" + id
	return 201, answer
}

func (c *cloud) probe(made object, scheme *object) bool {
	body, _ := json.Marshal(object{"callbackId": made["callbackId"], "verificationKey": made["_verify"]})
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, made.text("url"), bytes.NewReader(body))
	if err != nil {
		return false
	}
	if scheme != nil {
		token, ok := c.fetch(*scheme)
		if !ok {
			return false
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == 200
}

func (c *cloud) updateCallback(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.callbacks, "callbackId", sent.text("callbackId"))
	if there == nil {
		return problem(404, "doesn't exist for this MID")
	}
	there.merge(sent)
	return 200, there.shown("status", "statusReason", "authId")
}

func (c *cloud) listCallbacks(*http.Request, object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.callbacks) == 0:
		return problem(404, "Callback doesn't exist")
	case c.silent:
		return 200, listed(c.callbacks, "authId")
	}
	return 200, listed(c.callbacks)
}

func (c *cloud) deleteCallback(r *http.Request, _ object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.callbacks, "callbackId", r.PathValue("id"))
	switch {
	case there == nil:
		return problem(404, "no such callback")
	case byID(c.subscriptions, "callbackId", r.PathValue("id")) != nil:
		return problem(409, "subscriptions still exist")
	}
	c.callbacks = without(c.callbacks, there)
	return 200, object{}
}

func (c *cloud) regenerate(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.callbacks, "callbackId", sent.text("callbackId"))
	if there == nil {
		return problem(404, "no such callback")
	}
	c.made++
	(*there)["_key"] = fmt.Sprintf("key-%d", c.made)
	answer := there.shown("status", "statusReason", "maxBatchSize", "authId")
	answer["signatureKey"] = (*there)["_key"]
	return 200, answer
}

func (c *cloud) verify(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.callbacks, "callbackId", sent.text("callbackId"))
	if there == nil || sent.text("verificationKey") == "" || there.text("_verify") != sent.text("verificationKey") ||
		c.world.now.Sub((*there)["_at"].(time.Time)) > 4*time.Hour {
		return problem(404, "wrong callbackId or verificationKey")
	}
	there.merge(object{"status": "verified", "_verify": ""})
	return 200, object{}
}

func (c *cloud) createSubscription(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.callbacks, "callbackId", sent.text("callbackId"))
	switch {
	case there == nil:
		return problem(404, "no such callback")
	case there.text("status") != "verified":
		return problem(400, "the callback is not verified")
	case byID(c.subscriptions, "subscriptionName", sent.text("subscriptionName")) != nil:
		return problem(400, "the name is taken")
	}
	made := &object{"subscriptionId": c.newID(), "status": "active", "statusReason": "none", "filters": []string{}}
	made.merge(sent)
	c.subscriptions = append(c.subscriptions, made)
	return 201, made.shown()
}

func (c *cloud) updateSubscription(_ *http.Request, sent object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.subscriptions, "subscriptionId", sent.text("subscriptionId"))
	switch status := sent.text("status"); {
	case there == nil:
		return problem(400, "no such subscription")
	case status != "" && (status == there.text("status") || sent.text("statusReason") == ""):
		return problem(400, "a change of status needs a reason")
	}
	there.merge(sent)
	return 200, there.shown()
}

func (c *cloud) listSubscriptions(r *http.Request, _ object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if byID(c.callbacks, "callbackId", r.PathValue("id")) == nil {
		return problem(404, "no such callback")
	}
	var mine []*object
	for _, s := range c.subscriptions {
		if s.text("callbackId") == r.PathValue("id") {
			mine = append(mine, s)
		}
	}
	return 200, listed(mine)
}

func (c *cloud) deleteSubscription(r *http.Request, _ object) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := byID(c.subscriptions, "subscriptionId", r.PathValue("id"))
	if there == nil {
		return problem(404, "no such subscription")
	}
	c.subscriptions = without(c.subscriptions, there)
	return 200, object{}
}

// changes takes the calls that changed something since the last time.
func (c *cloud) changes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}
