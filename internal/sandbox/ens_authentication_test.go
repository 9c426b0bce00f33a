package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const (
	platform    = "/platform/v1/"
	schemesPath = platform + "ens-authentications"
	tokenURL    = "https://auth.test/oauth/token"
)

// visit is a request that the sandbox made.
type visit struct {
	URL, Authorization, ContentType, Body string
}

// customer plays the customer's servers: the authorization server is the host
// that begins with "auth.", all others are callbacks. It is a transport, so that
// hosts need no port and no certificate, and time can be faked.
type customer struct {
	// answer, when set, may answer in place of the usual: a token "t-1", "t-2"…
	// for an hour, or 200 from a callback. It is not called under mu.
	answer func(w http.ResponseWriter, r *http.Request, body string) bool

	mu     sync.Mutex
	visits []visit
	tokens int // given out
}

func (c *customer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost || r.UserAgent() != "onramp-sandbox" {
		return nil, fmt.Errorf("a stranger's %s", r.Method)
	}
	c.mu.Lock()
	c.visits = append(c.visits, visit{r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
	c.mu.Unlock()
	w := httptest.NewRecorder()
	if c.answer == nil || !c.answer(w, r, string(body)) {
		if strings.HasPrefix(r.URL.Host, "auth.") {
			c.mu.Lock()
			c.tokens++
			fmt.Fprintf(w, `{"access_token":"t-%d","token_type":"bearer","expires_in":3600}`, c.tokens)
			c.mu.Unlock()
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err // as a true transport does
	}
	return w.Result(), nil
}

// saw returns the requests since the last look.
func (c *customer) saw() []visit {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.visits
	c.visits = nil
	return list
}

// newENS is a sandbox that talks to a customer, on a clock that stands still,
// with a token for its API.
func newENS(t testing.TB, c *customer) (s *sandbox.Sandbox, auth string) {
	t.Helper()
	return newENSWith(t, sandbox.Config{Transport: c})
}

func newENSWith(t testing.TB, cfg sandbox.Config) (s *sandbox.Sandbox, auth string) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Now = func() time.Time { return at }
	s = sandbox.New(cfg)
	return s, authorize(t, s)
}

// member decodes an answer of one object, or of a list of one, and checks the
// status.
func member(t testing.TB, w *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	if w.Code != status {
		t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	v := decode(t, w.Body.String())
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	object, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("not one object: %s", w.Body)
	}
	return object
}

// take removes an id or a key from an answer and returns it.
func take(t testing.TB, object map[string]any, name string) string {
	t.Helper()
	text, _ := object[name].(string)
	if text == "" {
		t.Fatalf("no %s in %v", name, object)
	}
	delete(object, name)
	return text
}

func refusal(code int, message string) string {
	text, _ := json.Marshal(message)
	return fmt.Sprintf(`{"message":%s,"errorcode":%d,"documentation":""}`, text, code)
}

// with is a JSON object without some of its members, and with others in their
// place: "name", or "name":value.
func with(t testing.TB, object string, changes ...string) string {
	t.Helper()
	members, _ := decode(t, object).(map[string]any)
	for _, change := range changes {
		name, value, ok := strings.Cut(change, ":")
		name = strings.Trim(name, `"`)
		if delete(members, name); ok {
			members[name] = json.RawMessage(value)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	clientScheme = `{"authType":"oauth2","grantType":"client_credentials","authEndpoint":"` + tokenURL + `","clientId":"id","clientSecret":"sec/ret"}`
	userScheme   = `{"authType":"oauth2","grantType":"password","authEndpoint":"` + tokenURL + `","clientId":"id","clientSecret":"sec/ret",` +
		`"username":"ü","password":"a&b"}`
	formType = "application/x-www-form-urlencoded;charset=UTF-8"
	// the secret is form-encoded first: id:sec%2Fret
	basic = "Basic aWQ6c2VjJTJGcmV0"
)

func newScheme(t testing.TB, s *sandbox.Sandbox, auth, body string) string {
	t.Helper()
	return take(t, member(t, send(t, s, "POST", schemesPath, body, auth), 201), "authId")
}

func TestENSAuthentication(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	same(t, send(t, s, "GET", schemesPath, "", auth), 200, `[]`)

	client := newScheme(t, s, auth, `[`+clientScheme+`]`)
	w := send(t, s, "POST", schemesPath, with(t, userScheme, `"more":[{}]`), auth)
	got := member(t, w, 201)
	user := take(t, got, "authId")
	if w.Body.String()[0] != '{' || !guidForm.MatchString(user) || !guidForm.MatchString(client) {
		t.Errorf("got %s and the id %s", w.Body, client)
	}
	wantJSON(t, got, `{"authType":"oauth2","grantType":"password","authEndpoint":"`+tokenURL+`"}`)
	want := []visit{
		{tokenURL, basic, formType, "grant_type=client_credentials"},
		{tokenURL, basic, formType, "grant_type=password&username=%C3%BC&password=a%26b"},
	}
	if diff := cmp.Diff(want, c.saw()); diff != "" {
		t.Errorf("token requests (-want +got):\n%s", diff)
	}

	one := func(id, grant, endpoint string) string {
		return `{"authId":"` + id + `","authType":"oauth2","grantType":"` + grant + `","authEndpoint":"` + endpoint + `"}`
	}
	same(t, send(t, s, "GET", schemesPath, "", auth), 200,
		`[`+one(client, "client_credentials", tokenURL)+`,`+one(user, "password", tokenURL)+`]`)

	// An update of some fields leaves the others, and asks for a token again.
	same(t, send(t, s, "PUT", schemesPath, `[{"authId":"`+user+`","password":"new"}]`, auth), 200, `[`+one(user, "password", tokenURL)+`]`)
	same(t, send(t, s, "PUT", schemesPath, `{"authId":"`+user+`","grantType":"client_credentials","authEndpoint":"https://auth.test/2?a=b","clientId":"x"}`, auth),
		200, one(user, "client_credentials", "https://auth.test/2?a=b"))
	want = []visit{
		{tokenURL, basic, formType, "grant_type=password&username=%C3%BC&password=new"},
		{"https://auth.test/2?a=b", "Basic eDpzZWMlMkZyZXQ=", formType, "grant_type=client_credentials"},
	}
	if diff := cmp.Diff(want, c.saw()); diff != "" {
		t.Errorf("token requests (-want +got):\n%s", diff)
	}
	same(t, send(t, s, "GET", schemesPath+"/"+user, "", auth), 200, one(user, "client_credentials", "https://auth.test/2?a=b"))
	// The other grant's fields have gone with the grant.
	same(t, send(t, s, "PUT", schemesPath, `{"authId":"`+user+`","grantType":"password"}`, auth), 400, refusal(10002, "The parameter username is required."))

	same(t, send(t, s, "DELETE", schemesPath+"/"+user, "", auth), 200, `{}`)
	gone := refusal(30003, "The authentication does not exist.")
	same(t, send(t, s, "GET", schemesPath+"/"+user, "", auth), 404, gone)
	same(t, send(t, s, "DELETE", schemesPath+"/"+user, "", auth), 404, gone)
	same(t, send(t, s, "PUT", schemesPath, `[{"authId":"`+user+`"}]`, auth), 404, gone)
	same(t, send(t, s, "GET", schemesPath, "", auth), 200, `[`+one(client, "client_credentials", tokenURL)+`]`)
}

func TestENSAuthenticationRefused(t *testing.T) {
	t.Parallel()
	required := func(name string) string { return refusal(10002, "The parameter "+name+" is required.") }
	endpoint := func(what string) string { return refusal(10005, "The parameter authEndpoint "+what+".") }
	const noURL = "is not a URL with a host"
	for _, row := range []struct{ name, method, body, want string }{
		{"not JSON", "POST", `[{]`, badFormat},
		{"an object and more", "POST", `{}{}`, badFormat},
		{"nothing", "POST", ``, badFormat},
		{"null", "POST", `null`, badFormat},
		{"an empty list", "POST", `[]`, badFormat},
		{"a list of null", "POST", `[null]`, badFormat},
		{"a list of a list", "POST", `[[]]`, badFormat},
		{"a text", "POST", `"x"`, badFormat},
		{"one that cannot be read", "POST", `[` + clientScheme + `,1]`, badFormat},
		{"no authType", "POST", with(t, clientScheme, "authType"), required("authType")},
		{"another authType", "POST", with(t, clientScheme, `authType:"basic"`), refusal(10005, "The parameter authType is not oauth2.")},
		{"no grantType", "POST", with(t, clientScheme, "grantType:null"), required("grantType")},
		{"another grantType", "POST", with(t, clientScheme, `grantType:"implicit"`), refusal(10005, "The parameter grantType is neither client_credentials nor password.")},
		{"grantType a number", "POST", with(t, clientScheme, `grantType:1`), refusal(10001, "The parameter grantType is not of the expected type.")},
		{"no authEndpoint", "POST", with(t, clientScheme, "authEndpoint"), required("authEndpoint")},
		{"no URL", "POST", with(t, clientScheme, `authEndpoint:"auth.test"`), endpoint(noURL)},
		{"no host", "POST", with(t, clientScheme, `authEndpoint:"https:///x"`), endpoint(noURL)},
		{"a space", "POST", with(t, clientScheme, `authEndpoint:"https://auth.test/ "`), endpoint(noURL)},
		{"opaque", "POST", with(t, clientScheme, `authEndpoint:"https:x"`), endpoint(noURL)},
		{"control character", "POST", with(t, clientScheme, `authEndpoint:"https://auth.test/\u0007"`), endpoint(noURL)},
		{"another protocol", "POST", with(t, clientScheme, `authEndpoint:"ftp://auth.test/"`), endpoint("is not a URL that begins with https://")},
		{"a user", "POST", with(t, clientScheme, `authEndpoint:"https://a:b@auth.test/"`), endpoint("has a user")},
		{"a fragment", "POST", with(t, clientScheme, `authEndpoint:"https://auth.test/#"`), endpoint("has a fragment")},
		{"no clientId", "POST", with(t, clientScheme, "clientId"), required("clientId")},
		{"no clientSecret", "POST", with(t, clientScheme, `clientSecret:" "`), required("clientSecret")},
		{"no username", "POST", with(t, userScheme, "username"), required("username")},
		{"no password", "POST", with(t, userScheme, `password:""`), required("password")},
		{"no authId", "PUT", clientScheme, required("authId")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			for _, body := range []string{row.body, `[` + row.body + `]`} {
				if body != row.body && row.want == badFormat {
					continue
				}
				same(t, send(t, s, row.method, schemesPath, body, auth), 400, row.want)
			}
			same(t, send(t, s, "GET", schemesPath, "", auth), 200, `[]`)
			if seen := c.saw(); seen != nil {
				t.Errorf("requests: %v", seen)
			}
		})
	}
}

// A list of several is done in turn, up to the first that is refused.
func TestENSAuthenticationList(t *testing.T) {
	t.Parallel()
	s, auth := newENS(t, &customer{})
	other := with(t, clientScheme, `authEndpoint:"https://auth.test/2"`)
	same(t, send(t, s, "POST", schemesPath, `[`+clientScheme+`,`+other+`,{},`+clientScheme+`]`, auth), 400, refusal(10002, "The parameter authType is required."))
	var list []map[string]string
	if err := json.Unmarshal(send(t, s, "GET", schemesPath, "", auth).Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	var endpoints []string
	for _, scheme := range list {
		endpoints = append(endpoints, scheme["authEndpoint"])
	}
	if diff := cmp.Diff([]string{tokenURL, "https://auth.test/2"}, endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

// A scheme that gets no token is not created, and not changed.
func TestENSAuthenticationWithoutToken(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	}
	const noToken = "ProtocolError. The response has no access_token."
	for _, row := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string // "" when it is a token
	}{
		{"401", text(401, `{"error":"invalid_client"}`), "ProtocolError. The remote server returned an error: (401) Unauthorized."},
		{"201", text(201, `{"access_token":"a"}`), "ProtocolError. The remote server returned an unexpected response: (201) Created."},
		{"a redirect", func(w http.ResponseWriter) { w.Header().Set("Location", "/2"); w.WriteHeader(307) }, "ProtocolError. The remote server returned an unexpected response: (307) Temporary Redirect."},
		{"nothing", text(200, ""), noToken},
		{"a form", text(200, "access_token=a"), noToken},
		{"another name", text(200, `{"token":"a"}`), noToken},
		{"an empty token", text(200, `{"access_token":""}`), noToken},
		{"a number", text(200, `{"access_token":1}`), noToken},
		{"a token with a line", text(200, `{"access_token":"a\nb"}`), noToken},
		{"a token and no more", text(200, `{"access_token":"a"}`), ""},
		{"with a strange life", text(200, `{"access_token":"a","expires_in":[]}`), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			id := newScheme(t, s, auth, clientScheme)
			c.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool { row.answer(w); return true }
			change := `{"authId":"` + id + `","authEndpoint":"https://auth.test/2"}`
			if row.want == "" {
				newScheme(t, s, auth, clientScheme)
				member(t, send(t, s, "PUT", schemesPath, change, auth), 200)
				return
			}
			want := func(url string) string {
				return refusal(10000, "MCMS_UWH_Runtime_GeneralFailure_verifyAuthentication: Could not retrieve a token from authEndpoint '"+url+"'. "+
					"Please test that it is reachable with a https POST call and returns an access_token within 2 seconds. Status: "+row.want)
			}
			same(t, send(t, s, "POST", schemesPath, userScheme, auth), 400, want(tokenURL))
			same(t, send(t, s, "PUT", schemesPath, change, auth), 400, want("https://auth.test/2"))
			same(t, send(t, s, "GET", schemesPath, "", auth), 200,
				`[{"authId":"`+id+`","authType":"oauth2","grantType":"client_credentials","authEndpoint":"`+tokenURL+`"}]`)
		})
	}
}

// A caller that hangs up does not end what it asked for.
func TestENSCallerLeaves(t *testing.T) {
	t.Parallel()
	s, auth := newENS(t, &customer{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for path, body := range map[string]string{schemesPath: clientScheme, callbacksPath: plainCallback} {
		r := newRequest(t, "POST", path, auth, "Content-Type: application/json")
		r.Body = io.NopCloser(strings.NewReader(body))
		if w := serve(s, r.WithContext(ctx)); w.Code != 201 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
