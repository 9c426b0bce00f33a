package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const (
	callbacksPath  = platform + "ens-callbacks"
	verifyPath     = platform + "ens-verify"
	regeneratePath = platform + "ens-regenerate"
	callbackURL    = "https://cb.test/events"
	plainCallback  = `{"callbackName":"a","url":"` + callbackURL + `"}`
)

// created is a callback as the customer knows it after its creation.
type created struct{ id, signatureKey, verificationKey string }

// probes are the bodies of the probes among some requests.
func probes(t testing.TB, visits []visit) (list []map[string]string) {
	t.Helper()
	for _, v := range visits {
		var probe map[string]string
		if strings.Contains(v.URL, "//auth.") {
			continue
		}
		if err := json.Unmarshal([]byte(v.Body), &probe); err != nil {
			t.Fatalf("%v: %s", err, v.Body)
		}
		list = append(list, probe)
	}
	return list
}

// newCallback makes a callback with a customer that forgets its requests.
func newCallback(t testing.TB, s *sandbox.Sandbox, auth, body string) created {
	t.Helper()
	got := member(t, send(t, s, "POST", callbacksPath, body, auth), 201)
	return created{id: take(t, got, "callbackId"), signatureKey: take(t, got, "signatureKey")}
}

// verifiedCallback makes a callback and verifies it.
func verifiedCallback(t testing.TB, s *sandbox.Sandbox, c *customer, auth, body string) created {
	t.Helper()
	c.saw()
	cb := newCallback(t, s, auth, body)
	cb.verificationKey = probes(t, c.saw())[0]["verificationKey"]
	same(t, send(t, s, "POST", verifyPath, verification(cb.id, cb.verificationKey), auth), 200, `{}`)
	return cb
}

func verification(id, key string) string {
	return fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, id, key)
}

func checkKey(t testing.TB, key string) {
	t.Helper()
	if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 32 {
		t.Errorf("the key %q has %d bytes, %v", key, len(b), err)
	}
}

func TestENSCallback(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	same(t, send(t, s, "GET", callbacksPath, "", auth), 200, `[]`)

	w := send(t, s, "POST", callbacksPath, `[{"callbackName":"a","url":"`+callbackURL+`","authId":"","more":1}]`, auth)
	got := member(t, w, 201)
	id, key := take(t, got, "callbackId"), take(t, got, "signatureKey")
	if w.Body.String()[0] != '[' || !guidForm.MatchString(id) {
		t.Errorf("got %s", w.Body)
	}
	checkKey(t, key)
	wantJSON(t, got, `{"callbackName":"a","url":"`+callbackURL+`","maxBatchSize":1000}`)
	visits := c.saw()
	sent := probes(t, visits)
	if len(sent) != 1 || len(sent[0]) != 2 || sent[0]["callbackId"] != id || sent[0]["verificationKey"] == key {
		t.Fatalf("probes %v of %s", sent, id)
	}
	checkKey(t, sent[0]["verificationKey"])
	if diff := cmp.Diff([]visit{{callbackURL, "", "application/json", visits[0].Body}}, visits); diff != "" {
		t.Errorf("probe (-want +got):\n%s", diff)
	}

	scheme := newScheme(t, s, auth, clientScheme)
	c.saw()
	got = member(t, send(t, s, "POST", callbacksPath, `{"callbackName":"a","url":"http://cb.test:8080","maxBatchSize":100,"authId":"`+scheme+`"}`, auth), 201)
	second, _ := take(t, got, "callbackId"), take(t, got, "signatureKey")
	wantJSON(t, got, `{"callbackName":"a","url":"http://cb.test:8080","maxBatchSize":100,"authId":"`+scheme+`"}`)
	if visits = c.saw(); len(visits) != 1 || visits[0].Authorization != "Bearer t-1" {
		t.Errorf("the probe was %v", visits)
	}

	one := `{"callbackId":"` + id + `","callbackName":"a","url":"` + callbackURL + `","maxBatchSize":1000,"status":"unverified","statusReason":"none"}`
	two := `{"callbackId":"` + second + `","callbackName":"a","url":"http://cb.test:8080","maxBatchSize":100,"authId":"` + scheme + `","status":"unverified","statusReason":"none"}`
	same(t, send(t, s, "GET", callbacksPath, "", auth), 200, `[`+one+`,`+two+`]`)
	same(t, send(t, s, "GET", callbacksPath+"/"+id, "", auth), 200, one)
	same(t, send(t, s, "POST", verifyPath, verification(id, sent[0]["verificationKey"]), auth), 200, `{}`)
	same(t, send(t, s, "GET", callbacksPath+"/"+id, "", auth), 200, with(t, one, `status:"verified"`))

	got = member(t, send(t, s, "PUT", regeneratePath, `{"callbackId":"`+id+`"}`, auth), 200)
	if again := take(t, got, "signatureKey"); again == key {
		t.Error("the key is the old one")
	} else {
		checkKey(t, again)
	}
	wantJSON(t, got, `{"callbackName":"a","callbackId":"`+id+`","url":"`+callbackURL+`"}`)
	if w := send(t, s, "PUT", regeneratePath, `[{"callbackId":"`+id+`"}]`, auth); w.Body.String()[0] != '[' {
		t.Errorf("got %s", w.Body)
	}

	same(t, send(t, s, "DELETE", callbacksPath+"/"+id, "", auth), 200, `{}`)
	gone := refusal(30003, "The callback does not exist.")
	for _, row := range []struct{ method, target, body string }{
		{"GET", callbacksPath + "/" + id, ""},
		{"DELETE", callbacksPath + "/" + id, ""},
		{"PUT", callbacksPath, `[{"callbackId":"` + id + `","callbackName":"a"}]`},
		{"PUT", regeneratePath, `[{"callbackId":"` + id + `"}]`},
	} {
		same(t, send(t, s, row.method, row.target, row.body, auth), 404, gone)
	}
	same(t, send(t, s, "GET", callbacksPath, "", auth), 200, `[`+two+`]`)
	if visits := c.saw(); visits != nil {
		t.Errorf("requests: %v", visits)
	}
}

func TestENSCallbackRefused(t *testing.T) {
	t.Parallel()
	required := func(name string) string { return refusal(10002, "The parameter "+name+" is required.") }
	badURL := func(what string) string { return refusal(10005, "The parameter url "+what+".") }
	size := refusal(10005, "The parameter maxBatchSize is not in 100 to 1000.")
	wrongType := func(name string) string {
		return refusal(10001, "The parameter "+name+" is not of the expected type.")
	}
	noScheme := refusal(10005, "The parameter authId does not reference an authentication that exists.")
	const create, update = `POST`, `PUT`
	known := `{"callbackId":"ID","callbackName":"b"}`
	for _, row := range []struct{ name, method, body, want string }{
		{"not JSON", create, `{`, badFormat},
		{"an empty list", create, `[]`, badFormat},
		{"no name", create, with(t, plainCallback, "callbackName"), required("callbackName")},
		{"an empty name", create, with(t, plainCallback, `callbackName:" "`), required("callbackName")},
		{"a number as a name", create, with(t, plainCallback, `callbackName:1`), wrongType("callbackName")},
		{"no url", create, with(t, plainCallback, "url"), required("url")},
		{"url null", create, with(t, plainCallback, "url:null"), required("url")},
		{"not a url", create, with(t, plainCallback, `url:"cb.test/events"`), badURL("is not a URL with a host")},
		{"a relative url", create, with(t, plainCallback, `url:"/events"`), badURL("is not a URL with a host")},
		{"no host", create, with(t, plainCallback, `url:"https://:443/"`), badURL("is not a URL with a host")},
		{"another protocol", create, with(t, plainCallback, `url:"ws://cb.test/"`), badURL("is not a URL that begins with https://")},
		{"a query", create, with(t, plainCallback, `url:"https://cb.test/?a=b"`), badURL("has a query string")},
		{"an empty query", create, with(t, plainCallback, `url:"https://cb.test/?"`), badURL("has a query string")},
		{"a fragment", create, with(t, plainCallback, `url:"https://cb.test/#a"`), badURL("has a fragment")},
		{"a user", create, with(t, plainCallback, `url:"https://a@cb.test/"`), badURL("has a user")},
		{"registered already", create, with(t, plainCallback, `url:"https://known.test/"`), badURL("is registered already")},
		{"too small", create, with(t, plainCallback, `maxBatchSize:99`), size},
		{"too large", create, with(t, plainCallback, `maxBatchSize:1001`), size},
		{"zero", create, with(t, plainCallback, `maxBatchSize:0`), size},
		{"a text as a size", create, with(t, plainCallback, `maxBatchSize:"500"`), wrongType("maxBatchSize")},
		{"half an event", create, with(t, plainCallback, `maxBatchSize:500.5`), wrongType("maxBatchSize")},
		{"unknown scheme", create, with(t, plainCallback, `authId:"x"`), noScheme},
		{"a number as a scheme", create, with(t, plainCallback, `authId:1`), wrongType("authId")},
		{"update: no id", update, with(t, known, "callbackId"), required("callbackId")},
		{"update: no name", update, with(t, known, "callbackName"), required("callbackName")},
		{"update: too small", update, with(t, known, "maxBatchSize:99"), size},
		{"update: unknown scheme", update, with(t, known, `authId:"x"`), noScheme},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			cb := newCallback(t, s, auth, `{"callbackName":"known","url":"https://known.test/"}`)
			c.saw()
			body := strings.ReplaceAll(row.body, "ID", cb.id)
			same(t, send(t, s, row.method, callbacksPath, body, auth), 400, row.want)
			same(t, send(t, s, "GET", callbacksPath, "", auth), 200, `[{"callbackId":"`+cb.id+`","callbackName":"known",
				"url":"https://known.test/","maxBatchSize":1000,"status":"unverified","statusReason":"none"}]`)
			if visits := c.saw(); visits != nil {
				t.Errorf("requests: %v", visits)
			}
		})
	}
	for _, row := range []struct{ name, method, target, body, want string }{
		{"verify nothing", "POST", verifyPath, `{"verificationKey":"a"}`, required("callbackId")},
		{"verify without key", "POST", verifyPath, `{"callbackId":"a"}`, required("verificationKey")},
		{"verify with an empty key", "POST", verifyPath, `[{"callbackId":"a","verificationKey":""}]`, required("verificationKey")},
		{"regenerate nothing", "PUT", regeneratePath, `{}`, required("callbackId")},
		{"regenerate a number", "PUT", regeneratePath, `{"callbackId":1}`, wrongType("callbackId")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, auth := newENS(t, &customer{})
			same(t, send(t, s, row.method, row.target, row.body, auth), 400, row.want)
		})
	}
}

// The vendor's own network knows https on port 443 only.
func TestENSStrict(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, url, want string }{
		{"http", "http://cb.test/", "is not a URL that begins with https://"},
		{"a port", "https://cb.test:8443/", "has a port; 443 is the only one"},
		{"the port", "https://cb.test:443/", "has a port; 443 is the only one"},
		{"half a port", "https://cb.test:/", "has a port; 443 is the only one"},
		{"a port of an address", "https://[::1]:443/", "has a port; 443 is the only one"},
		{"good", "https://cb.test/a/b", ""},
		{"no path", "https://cb.test", ""},
		{"an address", "https://[::1]/", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, strict := range []bool{true, false} {
				s, auth := newENSWith(t, sandbox.Config{Transport: &customer{}, Strict: strict})
				callback := send(t, s, "POST", callbacksPath, with(t, plainCallback, `url:"`+row.url+`"`), auth)
				scheme := send(t, s, "POST", schemesPath, with(t, clientScheme, `authEndpoint:"`+strings.Replace(row.url, "cb.", "auth.", 1)+`"`), auth)
				if strict && row.want != "" {
					same(t, callback, 400, refusal(10005, "The parameter url "+row.want+"."))
					same(t, scheme, 400, refusal(10005, "The parameter authEndpoint "+row.want+"."))
					continue
				}
				member(t, callback, 201)
				if !strings.Contains(row.url, "::1") { // no token there
					member(t, scheme, 201)
				}
			}
		})
	}
}

// A probe that fails leaves a callback behind, whose key is dead and which must
// be deleted before the next try.
func TestENSProbeFails(t *testing.T) {
	t.Parallel()
	type fails struct {
		status int
		err    error
	}
	for _, row := range []struct {
		name string
		fails
		want string
	}{
		{"500", fails{status: 500}, "ProtocolError. The remote server returned an error: (500) Internal Server Error."},
		{"401 without a scheme", fails{status: 401}, "ProtocolError. The remote server returned an error: (401) Unauthorized."},
		{"204", fails{status: 204}, "ProtocolError. The remote server returned an unexpected response: (204) No Content."},
		{"202", fails{status: 202}, "ProtocolError. The remote server returned an unexpected response: (202) Accepted."},
		{"302", fails{status: 302}, "ProtocolError. The remote server returned an unexpected response: (302) Found."},
		{
			"no such host",
			fails{err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "cb.test", IsNotFound: true}}},
			"NameResolutionFailure. The remote name could not be resolved: 'cb.test'",
		},
		{"an odd error", fails{err: errors.New("secret")}, "ReceiveFailure. The underlying connection was closed: An unexpected error occurred on a receive."},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &failing{customer: &customer{}, fails: row.err}
			c.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				w.WriteHeader(max(row.status, 200))
				return true
			}
			s, auth := newENSWith(t, sandbox.Config{Transport: c})
			w := send(t, s, "POST", callbacksPath, `[`+plainCallback+`]`, auth)
			left := member(t, send(t, s, "GET", callbacksPath, "", auth), 200)
			id := take(t, left, "callbackId")
			wantJSON(t, left, `{"callbackName":"a","url":"`+callbackURL+`","maxBatchSize":1000,"status":"unverified","statusReason":"none"}`)
			same(t, w, 400, refusal(10000, "MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: CallbackId is "+id+". Could not verify callback url '"+callbackURL+"'. "+
				"Please test that the url is reachable with a https POST call and returns a 200 http status code. To retry please delete the callback and create it again. Status: "+row.want))

			key := probes(t, c.saw())[0]["verificationKey"]
			same(t, send(t, s, "POST", verifyPath, verification(id, key), auth), 404, wrongKey)
			same(t, send(t, s, "POST", callbacksPath, plainCallback, auth), 400, refusal(10005, "The parameter url is registered already."))
			same(t, send(t, s, "DELETE", callbacksPath+"/"+id, "", auth), 200, `{}`)
			c.answer, c.fails = nil, nil
			member(t, send(t, s, "POST", callbacksPath, plainCallback, auth), 201)
		})
	}
}

// failing is a customer whose callbacks cannot be reached.
type failing struct {
	*customer
	fails error
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := f.customer.RoundTrip(r)
	if err == nil && f.fails != nil {
		return nil, f.fails
	}
	return res, err
}

const wrongKey = `{"message":"Incorrect callback ID, verification key, or both.","errorcode":30003,"documentation":""}`

// A callback with a scheme is probed with its token; 400 and 401 are a token that
// has expired, once.
func TestENSProbeWithToken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		statuses []int // of the callback, one after the other
		status   int
		bearers  []string
	}{
		{"taken", []int{200}, 201, []string{"Bearer t-1"}},
		{"expired", []int{401, 200}, 201, []string{"Bearer t-1", "Bearer t-2"}},
		{"400", []int{400, 200}, 201, []string{"Bearer t-1", "Bearer t-2"}},
		{"expired again", []int{401, 401, 200}, 400, []string{"Bearer t-1", "Bearer t-2"}},
		{"403", []int{403, 200}, 400, []string{"Bearer t-1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			scheme := newScheme(t, s, auth, clientScheme)
			c.saw()
			c.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.URL.Host != "cb.test" {
					return false
				}
				w.WriteHeader(row.statuses[0])
				row.statuses = row.statuses[1:]
				return true
			}
			w := send(t, s, "POST", callbacksPath, with(t, plainCallback, `authId:"`+scheme+`"`), auth)
			if w.Code != row.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			var bearers []string
			for _, v := range c.saw() {
				if v.URL == callbackURL {
					bearers = append(bearers, v.Authorization)
				}
			}
			if diff := cmp.Diff(row.bearers, bearers); diff != "" {
				t.Errorf("tokens (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no token", func(t *testing.T) {
		t.Parallel()
		c := &customer{}
		s, auth := newENS(t, c)
		scheme := newScheme(t, s, auth, clientScheme)
		advance(t, s, time.Hour)
		auth = authorize(t, s)
		c.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool { w.WriteHeader(503); return true }
		w := send(t, s, "POST", callbacksPath, with(t, plainCallback, `authId:"`+scheme+`"`), auth)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "Status: ProtocolError. The remote server returned an error: (503) Service Unavailable.") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if visits := c.saw(); len(visits) != 2 { // both of them for a token
			t.Errorf("requests: %v", visits)
		}
	})
}

// An authorization server has two seconds, a callback thirty for its probe.
func TestENSTimeLimits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		path, body   string
		limit, takes time.Duration
		status       int
	}{
		{schemesPath, clientScheme, 2 * time.Second, 2*time.Second - time.Millisecond, 201},
		{schemesPath, clientScheme, 2 * time.Second, 2*time.Second + time.Millisecond, 400},
		{callbacksPath, plainCallback, 30 * time.Second, 30*time.Second - time.Millisecond, 201},
		{callbacksPath, plainCallback, 30 * time.Second, 30*time.Second + time.Millisecond, 400},
	} {
		t.Run(row.takes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, auth := newENS(t, &customer{answer: func(_ http.ResponseWriter, r *http.Request, _ string) bool {
					select {
					case <-time.After(row.takes):
					case <-r.Context().Done():
					}
					return false
				}})
				began := time.Now()
				w := send(t, s, "POST", row.path, row.body, auth)
				if w.Code != row.status || time.Since(began) > row.limit {
					t.Errorf("got %d %s after %v", w.Code, w.Body, time.Since(began))
				}
				if row.status == 400 && !strings.Contains(w.Body.String(), "Status: Timeout. The operation has timed out") {
					t.Errorf("got %s", w.Body)
				}
			})
		})
	}
}

// What a callback does while it is being probed.
func TestENSDuringProbe(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		do     func(t *testing.T, s *sandbox.Sandbox, auth, id, key string)
		status int
		left   string // statuses of the callbacks
	}{
		{
			"verified", func(t *testing.T, s *sandbox.Sandbox, auth, id, key string) {
				same(t, send(t, s, "POST", verifyPath, verification(id, key), auth), 200, `{}`)
			}, 201, "verified",
		},
		{
			"deleted", func(t *testing.T, s *sandbox.Sandbox, auth, id, _ string) {
				same(t, send(t, s, "DELETE", callbacksPath+"/"+id, "", auth), 200, `{}`)
			}, 404, "",
		},
		{"reset", func(_ *testing.T, s *sandbox.Sandbox, _, _, _ string) { s.Reset() }, 404, ""},
		{
			"the same url", func(t *testing.T, s *sandbox.Sandbox, auth, _, _ string) {
				same(t, send(t, s, "POST", callbacksPath, plainCallback, auth), 400, refusal(10005, "The parameter url is registered already."))
			}, 201, "unverified",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			c.answer = func(_ http.ResponseWriter, _ *http.Request, body string) bool {
				var probe map[string]string
				if err := json.Unmarshal([]byte(body), &probe); err != nil {
					t.Error(err)
				}
				row.do(t, s, auth, probe["callbackId"], probe["verificationKey"])
				return false
			}
			w := send(t, s, "POST", callbacksPath, plainCallback, auth)
			if w.Code != row.status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, row.status)
			}
			var list []struct{ Status string }
			if err := json.Unmarshal(send(t, s, "GET", callbacksPath, "", authorize(t, s)).Body.Bytes(), &list); err != nil {
				t.Fatal(err)
			}
			var left string
			for _, cb := range list {
				left += cb.Status
			}
			if left != row.left {
				t.Errorf("left %q, want %q", left, row.left)
			}
		})
	}
}

func TestENSVerify(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		after  time.Duration
		id     func(id string) string
		key    func(key string) string
		status int
	}{
		{"good", 0, nil, nil, 200},
		{"at the last moment", 4 * time.Hour, nil, nil, 200},
		{"too late", 4*time.Hour + 1, nil, nil, 404},
		{"wrong id", 0, func(string) string { return "x" }, nil, 404},
		{"wrong key", 0, nil, func(key string) string { return key + "=" }, 404},
		{"both wrong", 0, func(string) string { return "x" }, func(string) string { return "y" }, 404},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			cb := newCallback(t, s, auth, plainCallback)
			id, key := cb.id, probes(t, c.saw())[0]["verificationKey"]
			advance(t, s, row.after)
			auth = authorize(t, s)
			if row.id != nil {
				id = row.id(id)
			}
			if row.key != nil {
				key = row.key(key)
			}
			want, status := wrongKey, "unverified"
			if row.status == 200 {
				want, status = `{}`, "verified"
			}
			same(t, send(t, s, "POST", verifyPath, verification(id, key), auth), row.status, want)
			got := member(t, send(t, s, "GET", callbacksPath+"/"+cb.id, "", auth), 200)
			if got["status"] != status {
				t.Errorf("got %v", got)
			}
			if row.status == 200 { // a key is good for once
				same(t, send(t, s, "POST", verifyPath, `[`+verification(id, key)+`]`, auth), 404, wrongKey)
			}
		})
	}
	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		c := &customer{}
		s, auth := newENS(t, c)
		id := newCallback(t, s, auth, plainCallback).id
		same(t, send(t, s, "POST", verifyPath, `[`+verification(id, probes(t, c.saw())[0]["verificationKey"])+`]`, auth), 200, `[{}]`)
	})
}

// Each route has its scope.
func TestENSScopes(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	cb := verifiedCallback(t, s, c, auth, plainCallback)
	for _, row := range []struct{ method, target, scope string }{
		{"POST", "ens-authentications", "callback_create"},
		{"PUT", "ens-authentications", "callback_update"},
		{"GET", "ens-authentications", "callback_read"},
		{"GET", "ens-authentications/x", "callback_read"},
		{"DELETE", "ens-authentications/x", "callback_delete"},
		{"POST", "ens-callbacks", "callback_create"},
		{"PUT", "ens-callbacks", "callback_update"},
		{"GET", "ens-callbacks", "callback_read"},
		{"GET", "ens-callbacks/" + cb.id, "callback_read"},
		{"DELETE", "ens-callbacks/x", "callback_delete"},
		{"POST", "ens-verify", "callback_update"},
		{"PUT", "ens-regenerate", "callback_update"},
		{"POST", "ens-subscriptions", "subscription_create"},
		{"PUT", "ens-subscriptions", "subscription_update"},
		{"GET", "ens-subscriptions/x", "subscription_read"},
		{"DELETE", "ens-subscriptions/x", "subscription_delete"},
		{"GET", "ens-subscriptions-by-cb/" + cb.id, "subscription_read"},
	} {
		t.Run(row.method+" "+row.target, func(t *testing.T) {
			t.Parallel()
			for _, scope := range []string{
				"callback_create", "callback_read", "callback_update", "callback_delete",
				"subscription_create", "subscription_read", "subscription_update", "subscription_delete",
			} {
				narrow := authorizeWith(t, s, `{`+credentials+`,"scope":"event_notification_`+scope+`"}`)
				w := send(t, s, row.method, platform+row.target, "", narrow)
				if allowed := w.Code != 403; allowed != (scope == row.scope) || w.Code == 596 {
					t.Errorf("with %s: %d %s", scope, w.Code, w.Body)
				}
			}
			w := send(t, s, row.method, platform+row.target, "x", auth, "Content-Type: text/plain")
			if takesBody := row.method == "POST" || row.method == "PUT"; takesBody != (w.Code == 415) {
				t.Errorf("with plain text: %d", w.Code)
			}
			same(t, send(t, s, row.method, platform+row.target, ""), 401, notAuthorized())
		})
	}
}
